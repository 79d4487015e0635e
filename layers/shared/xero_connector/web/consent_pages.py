"""The pages that a Xero user sees on the way back from Xero."""

from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from aws_lambda_powertools.event_handler import APIGatewayRestResolver, Response

from xero_connector.domain import consent_refusals, errors
from xero_connector.domain.consent_refusals import Refusal
from xero_connector.domain.errors import ConnectorError, ConsentRefused
from xero_connector.services.exchange_code import Connected
from xero_connector.web.pages import catalogue, protection
from xero_connector.web.pages.respond import CONTENT_TYPE, Page, accepted_language, respond

REDIRECT_HEADERS = protection.headers()
"""What an answer that only leads on has to carry."""

# Any other error is a defect: it ends the invocation and raises an alarm.
_OUTAGES = [
    errors.LeaseUnavailable,
    errors.NotFound,
    errors.RevisionConflict,
    errors.SecretDeleted,
    errors.StoreUnavailable,
]
_RELOADED = frozenset(
    row.key
    for row in (
        consent_refusals.busy,
        consent_refusals.consent_cut_off,
        consent_refusals.consent_not_looked_up,
        consent_refusals.store_postponed,
        consent_refusals.store_unavailable,
        consent_refusals.throttled,
        consent_refusals.too_often,
        consent_refusals.xero_postponed,
    )
)
"""Where the same address may well answer something else in a moment."""
_LOOKS_AGAIN = {consent_refusals.busy.key: 5}
"""Seconds after which a page looks again by itself."""
_FOR_NOW = frozenset({HTTPStatus.CONFLICT, HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE})


def resolver(
    console_url: Callable[[], str | None], report: Callable[[ConnectorError], None]
) -> APIGatewayRestResolver:
    """Return a router that reports refusals and outages, and answers them with a page."""
    app = APIGatewayRestResolver()

    def refuse(refusal: ConsentRefused) -> Response[str]:
        report(refusal)
        if refusal.consent_id is not None:
            return see_consent(refusal.consent_id)
        pages = ConsentPages(console_url(), accepted_language(app), root=_root(app))
        return pages.refused(refusal, reference=reference(app))

    def refuse_as(of_a_consent: Refusal, otherwise: Refusal) -> Response[str]:
        shows_a_consent = app.current_event.resource.startswith("/consent/")
        return refuse(of_a_consent() if shows_a_consent else otherwise())

    def unavailable(error: ConnectorError) -> Response[str]:
        report(error)
        return refuse_as(consent_refusals.consent_not_looked_up, consent_refusals.store_unavailable)

    def damaged(_: Exception) -> Response[str]:
        return refuse_as(consent_refusals.consent_unknown, consent_refusals.ticket_unknown)

    # A damaged link may have characters that match no route.
    app.not_found(damaged)
    app.exception_handler(ConsentRefused)(refuse)
    app.exception_handler(_OUTAGES)(unavailable)
    return app


def reference(app: APIGatewayRestResolver) -> str:
    """Return the request id, by which the log lines of this request can be found."""
    return str(app.current_event.request_context.request_id)


def see_consent(consent_id: str) -> Response[str]:
    """Send a browser from the callback to the page of its consent (RFC 9110 §15.4.4).

    The address is relative to /oAuth2CallBack, so that it is right behind a custom domain and behind a stage.
    """
    return Response(
        status_code=int(HTTPStatus.SEE_OTHER),
        content_type=CONTENT_TYPE,
        body="",
        headers={**REDIRECT_HEADERS, "Location": f"consent/{consent_id}"},
    )


def _root(app: APIGatewayRestResolver) -> str:
    """Return what leads a relative link to the root of the routes, behind a custom domain and behind a stage."""
    return "../" * app.current_event.resource.removeprefix("/").count("/")


@dataclass(frozen=True, slots=True)
class ConsentPages:
    """Renders pages in one language; `console_url` is the optional way back to OneEnterprise.

    `root` leads from the page's address to where `connect/` is, so that its links are right behind a custom domain
    and behind a stage.
    """

    console_url: str | None
    language: str
    root: str = ""

    def connected(self, connected: Connected, *, reference: str) -> Response[str]:
        """List the organisations that are connected, or say how far the connection has come."""
        texts = _texts(connected)
        if texts == "consent.no_organisation":
            return self._without_organisation(connected.ticket, reference)
        values: dict[str, Any] = {
            "texts": texts,
            "organisations": [tenant.tenant_name for tenant in connected.tenants] if connected.stored else [],
        }
        kind = "good" if connected.stored else "wait"
        return self._page("connected.html", HTTPStatus.OK, texts, values, reference, kind=kind)

    def refused(self, refusal: ConsentRefused, *, reference: str) -> Response[str]:
        """Say what happened and what to do, and offer what can help."""
        texts = f"consent.refusals.{refusal.key}"
        ways = [_way("", "common.reload")] if refusal.key in _RELOADED else []
        if refusal.can_retry and refusal.ticket is not None:
            ways.append(self._connect(refusal.ticket, "common.try_again"))
        values = {"what": f"{texts}.what", "todo": f"{texts}.todo"}
        return self._page(
            "stopped.html",
            refusal.status,
            texts,
            values,
            f"{refusal.code} / {reference}",
            kind="wait" if refusal.status in _FOR_NOW else "bad",
            ways=ways,
            polls=_LOOKS_AGAIN.get(refusal.key),
        )

    def _without_organisation(self, ticket: str | None, reference: str) -> Response[str]:
        texts = "consent.no_organisation"
        values = {"what": f"{texts}.lead", "todo": f"{texts}.todo"}
        ways = [] if ticket is None else [self._connect(ticket, f"{texts}.again")]
        return self._page("stopped.html", HTTPStatus.OK, texts, values, reference, kind="note", ways=ways)

    def _connect(self, ticket: str, text: str) -> dict[str, str]:
        return _way(f"{self.root}connect/{ticket}", text)

    def _page(
        self,
        template: str,
        status: HTTPStatus,
        texts: str,
        values: dict[str, Any],
        reference: str,
        *,
        kind: str,
        ways: list[dict[str, str]] | None = None,
        polls: int | None = None,
    ) -> Response[str]:
        words = catalogue.shipped(self.language)
        back = [] if self.console_url is None else [_way(self.console_url, "common.console")]
        shown = {
            "title": words.text(f"{texts}.title"),
            "kind": kind,
            "state": texts,
            "ways": [*(ways or []), *back],
            "reference": reference,
        }
        return respond(Page(template=template, status=status, values={**shown, **values}, polls=polls), words)


def _texts(connected: Connected) -> str:
    if connected.replaced:
        return "consent.replaced"
    if not connected.stored:
        return "consent.kept"
    if connected.tenants:
        return "consent.connected"
    return "consent.unlisted" if connected.tenants_pending else "consent.no_organisation"


def _way(href: str, text: str) -> dict[str, str]:
    return {"href": href, "text": text}
