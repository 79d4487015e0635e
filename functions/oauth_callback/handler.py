"""The public pages: the connect link, and the redirect back from Xero."""

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
        cookies=[browser_cookie.binding_cookie(started.browser)],
    )


@app.get("/oAuth2CallBack")
def callback() -> Response[str]:
    """Receive a browser back from Xero."""
    response = read_callback(app, issuer=application().settings.xero_identity_url)
    connected = application().complete_consent(response)
    pages = consent_pages.ConsentPages(application().settings.console_url, accepted_language(app))
    return pages.connected(
        connected.tenants,
        pending=connected.tenants_pending,
        stored=connected.stored,
        reference=consent_pages.reference(app),
    )


@flushing(observer, invocation)
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answer one request of API Gateway (REST API, Lambda proxy integration)."""
    return app.resolve(event, context)
