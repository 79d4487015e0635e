"""The pages that a Xero user sees on the way back from Xero."""

from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from aws_lambda_powertools.event_handler import APIGatewayRestResolver, Response

from xero_connector.domain import consent_refusals, errors
from xero_connector.domain.errors import ConnectorError, ConsentRefused
from xero_connector.domain.tenant import Tenant
from xero_connector.web.pages import catalogue, protection
from xero_connector.web.pages.respond import Page, accepted_language, respond

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
        return ConsentPages(console_url(), accepted_language(app)).refused(refusal, reference=reference(app))

    def unavailable(error: ConnectorError) -> Response[str]:
        report(error)
        return refuse(consent_refusals.store_unavailable())

    # A damaged link may have characters that match no route.
    app.not_found(lambda _: refuse(consent_refusals.ticket_unknown()))
    app.exception_handler(ConsentRefused)(refuse)
    app.exception_handler(_OUTAGES)(unavailable)
    return app


def reference(app: APIGatewayRestResolver) -> str:
    """Return the request id, by which the log lines of this request can be found."""
    return str(app.current_event.request_context.request_id)


@dataclass(frozen=True, slots=True)
class ConsentPages:
    """Renders pages in one language; `console_url` is the optional way back to OneEnterprise.

    `root` leads from the page's address to where `connect/` is, so that its links are right behind a custom domain
    and behind a stage.
    """

    console_url: str | None
    language: str
    root: str = ""

    def connected(
        self,
        tenants: tuple[Tenant, ...],
        *,
        pending: bool,
        reference: str,
        stored: bool = True,
        ticket: str | None = None,
    ) -> Response[str]:
        """List the organisations that are connected; without `stored`, say that the connection is being made.

        `ticket` is that of the connect link, if this browser holds it: to choose an organisation after all.
        """
        if stored and not tenants and not pending:
            return self._without_organisation(ticket, reference)
        texts = "consent.connected" if tenants else "consent.unlisted"
        if not stored:
            texts = "consent.kept"
        values: dict[str, Any] = {
            "texts": texts,
            "organisations": [tenant.tenant_name for tenant in tenants] if stored else [],
        }
        kind = "good" if stored else "wait"
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


def _way(href: str, text: str) -> dict[str, str]:
    return {"href": href, "text": text}
