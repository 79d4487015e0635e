"""The routes of the setup page: how its requests are read, and how its refusals are answered."""

from collections.abc import Callable
from dataclasses import replace
from http import HTTPStatus

from aws_lambda_powertools.event_handler import APIGatewayRestResolver, Response

from xero_connector.domain import errors, setup_refusals
from xero_connector.domain.credential import IntegrationType
from xero_connector.domain.errors import ConnectorError, SetupRefused
from xero_connector.domain.setup_view import SetupView, Stage, Try, TryProblem
from xero_connector.web.consent_pages import reference
from xero_connector.web.pages import protection
from xero_connector.web.pages.respond import CONTENT_TYPE, accepted_language
from xero_connector.web.rest_requests import query_values
from xero_connector.web.setup_form import ReceivedForm, SetupBrowser
from xero_connector.web.setup_pages import SetupPages

_FORM, _EXPIRED = "form", "expired"
_WITH_A_FORM = frozenset({Stage.PAIR, Stage.SECRET})
# Any other error is a defect: it ends the invocation and raises an alarm.
_OUTAGES = [errors.LeaseUnavailable, errors.NotFound, errors.RevisionConflict, errors.StoreUnavailable]


def resolver(
    console_url: Callable[[], str | None], report: Callable[[ConnectorError], None]
) -> APIGatewayRestResolver:
    """Return a router that reports refusals and outages, and answers them with a page."""
    app = APIGatewayRestResolver()

    def refuse(refusal: SetupRefused) -> Response[str]:
        report(refusal)
        posted = app.current_event.http_method == "POST"
        pages = SetupPages(console_url(), accepted_language(app))
        return pages.refused(refusal, reference=reference(app), posted=posted)

    def unavailable(error: ConnectorError) -> Response[str]:
        report(error)
        return refuse(setup_refusals.store_unavailable())

    # A damaged link may have characters that match no route.
    app.not_found(lambda _: refuse(setup_refusals.setup_link_unknown()))
    app.exception_handler(SetupRefused)(refuse)
    app.exception_handler(_OUTAGES)(unavailable)
    return app


def setup_page(
    app: APIGatewayRestResolver, view: SetupView, browser: SetupBrowser, *, console_url: str | None
) -> Response[str]:
    """Show where things stand, with a form for this browser alone."""
    if view.last_try is None and view.stage in _WITH_A_FORM and query_values(app, _FORM) == [_EXPIRED]:
        view = replace(view, last_try=Try(problem=TryProblem.FORM_EXPIRED, client_id=""))
    pages = SetupPages(console_url, accepted_language(app))
    page = pages.page(view, token=browser.token, reference=reference(app), chosen=_chosen_type(app))
    page.cookies = [browser.cookie]
    return page


def back_to_page(ticket: str, received: ReceivedForm) -> Response[str]:
    """Send the browser from its form to the page, which it may load again without sending anything twice.

    RFC 9110 §15.4.4. The address is relative to that of the form, so that it is right behind a stage too. It says
    that a form was old: a browser that takes no cookies could not be told otherwise.
    """
    location = ticket if received.sender.has_current_form else f"{ticket}?{_FORM}={_EXPIRED}"
    return Response(
        status_code=int(HTTPStatus.SEE_OTHER),
        content_type=CONTENT_TYPE,
        body="",
        headers={**protection.headers(), "Location": location},
        cookies=[received.browser.cookie],
    )


def _chosen_type(app: APIGatewayRestResolver) -> IntegrationType | None:
    """Return the type that the customer chose on the page; anything else in the address counts as none."""
    names = {str(kind): kind for kind in IntegrationType}
    return next((names[value] for value in query_values(app, "integration_type") if value in names), None)
