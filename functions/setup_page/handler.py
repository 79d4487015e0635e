"""The setup page: the guide, and the form by which a customer hands over a pair."""

from typing import Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.utilities.typing import LambdaContext

from xero_connector.bootstrap import application, invocation, observer
from xero_connector.observability import flushing
from xero_connector.web import setup_form, setup_router
from xero_connector.web.rest_requests import path_segment

app = setup_router.resolver(lambda: application().settings.console_url, lambda error: application().report(error))


@app.get("/setup/<ticket>")
def show(ticket: str) -> Response[str]:
    """Show the guide and the form, or where things stand; opening the link consumes nothing."""
    ticket = path_segment(ticket)
    browser = setup_form.browser_of(app, ticket)
    view = application().open_setup_link(ticket, browser_hash=browser.browser_hash)
    return setup_router.setup_page(app, view, browser, console_url=application().settings.console_url)


@app.post("/setup/<ticket>")
def hand_over(ticket: str) -> Response[str]:
    """Take a pair, prove it, and lead back to the page, which shows what came of it."""
    ticket = path_segment(ticket)
    received = setup_form.read_form(app, ticket, page_url=application().settings.public_url)
    application().hand_over_pair(ticket, received.form, received.sender)
    return setup_router.back_to_page(ticket, received)


@flushing(observer, invocation)
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answer one request of API Gateway (REST API, Lambda proxy integration)."""
    return app.resolve(event, context)
