"""The public pages: the connect link, the redirect back from Xero, and what became of a consent."""

from functools import partial
from http import HTTPStatus
from typing import Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.utilities.typing import LambdaContext

from xero_connector.bootstrap import application, invocation, observer
from xero_connector.domain.consent import digest
from xero_connector.observability import flushing
from xero_connector.web import browser_cookie, consent_pages
from xero_connector.web.authorization_response import read_callback
from xero_connector.web.pages.respond import CONTENT_TYPE, accepted_language
from xero_connector.web.rest_requests import path_segment

app = consent_pages.resolver(lambda: application().settings.console_url, lambda error: application().report(error))


@app.get("/connect/<ticket>")
def connect(ticket: str) -> Response[str]:
    """Send a browser to Xero's consent; opening the link consumes nothing."""
    ticket = path_segment(ticket)
    browser = browser_cookie.read_binding(app, digest(ticket))
    started = application().start_consent(ticket, binding=browser.binding if browser else None)
    return Response(
        status_code=int(HTTPStatus.FOUND),
        content_type=CONTENT_TYPE,
        body="",
        headers={**consent_pages.REDIRECT_HEADERS, "Location": started.authorization_url},
        cookies=browser_cookie.cookies(app, started.browser),
    )


@app.get("/oAuth2CallBack")
def callback() -> Response[str]:
    """Receive a browser back from Xero, and send it on to an address without a code and a state."""
    response = read_callback(app, issuer=application().settings.xero_identity_url)
    application().complete_consent(response)
    return consent_pages.see_consent(response.consent_id)


@app.get("/consent/<consent_id>")
def consent(consent_id: str) -> Response[str]:
    """Show what became of a consent to the browser that gave it; looking at it consumes nothing."""
    bindings = partial(browser_cookie.read_binding, app)
    connected = application().show_consent(path_segment(consent_id), bindings=bindings)
    pages = consent_pages.ConsentPages(application().settings.console_url, accepted_language(app), root="../")
    return pages.connected(connected, reference=consent_pages.reference(app))


@flushing(observer, invocation)
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answer one request of API Gateway (REST API, Lambda proxy integration)."""
    return app.resolve(event, context)
