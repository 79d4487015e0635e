"""The pages that Xero users see: one template, no scripts, and nothing from other hosts."""

from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from html import escape
from http import HTTPStatus
from string import Template

from aws_lambda_powertools.event_handler import APIGatewayRestResolver, Response

from xero_connector.domain import consent_refusals, errors
from xero_connector.domain.consent_refusals import Refusal
from xero_connector.domain.errors import ConnectorError, ConsentRefused
from xero_connector.domain.tenant import Tenant

_STYLE = """
:root { color-scheme: light dark; }
body { margin: 0; font: 1.0625rem/1.6 system-ui, sans-serif; background: #f3f5f8; color: #17202c; }
main { box-sizing: border-box; max-width: 36rem; margin: 8vh auto; padding: 2rem; background: #fff;
  border-top: .375rem solid #a3261b; border-radius: .5rem; box-shadow: 0 .125rem .75rem rgb(23 32 44 / 12%); }
main.done { border-top-color: #16703c; }
h1 { margin: 0 0 1rem; font-size: 1.5rem; line-height: 1.25; }
ul { padding-left: 1.25rem; }
li { overflow-wrap: anywhere; }
a.button { display: inline-block; margin: .5rem .75rem .5rem 0; padding: .625rem 1.125rem; border-radius: .375rem;
  background: #0b5cab; color: #fff; text-decoration: none; }
a.button:focus-visible { outline: .1875rem solid #f2a900; outline-offset: .125rem; }
small { display: block; margin-top: 1.5rem; color: #55606e; overflow-wrap: anywhere; }
@media (max-width: 40rem) { main { margin: 0; min-height: 100vh; border-radius: 0; } }
@media (prefers-color-scheme: dark) {
  body { background: #10151c; color: #e6ebf2; }
  main { background: #1a212b; box-shadow: none; }
  small { color: #a5b0be; }
  a.button { background: #2672c0; }
}
"""

_PAGE = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>$title | OneEnterprise</title>
<style>$style</style>
</head>
<body>
<main class="$kind">
<h1>$title</h1>
$content
<small>Reference: $reference</small>
</main>
</body>
</html>
""")

_STYLE_HASH = b64encode(sha256(_STYLE.encode()).digest()).decode()
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "Strict-Transport-Security": "max-age=63072000",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}

# Any other error is a defect: it ends the invocation and raises an alarm.
_OUTAGES = [
    errors.LeaseUnavailable,
    errors.NotFound,
    errors.RevisionConflict,
    errors.SecretDeleted,
    errors.StoreUnavailable,
]


def resolver(
    console_url: Callable[[], str | None], report: Callable[[ConnectorError], None]
) -> APIGatewayRestResolver:
    """Return a router that reports refusals and outages, and answers them with a page."""
    app = APIGatewayRestResolver()

    def refuse(refusal: ConsentRefused) -> Response[str]:
        report(refusal)
        if refusal.consent_id is not None:
            return see_consent(refusal.consent_id)
        return HtmlPages(console_url()).refused(refusal, reference=reference(app), up=_up(app))

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
        content_type="text/html; charset=utf-8",
        body="",
        headers={**HEADERS, "Location": f"consent/{consent_id}"},
    )


def _up(app: APIGatewayRestResolver) -> str:
    """Return what leads a relative link to the root of the routes, behind a custom domain and behind a stage."""
    return "../" * app.current_event.resource.removeprefix("/").count("/")


@dataclass(frozen=True, slots=True)
class HtmlPages:
    """Renders pages; `console_url` is the optional way back to OneEnterprise."""

    console_url: str | None

    def connected(
        self,
        tenants: tuple[Tenant, ...],
        *,
        pending: bool,
        reference: str,
        stored: bool = True,
        replaced: bool = False,
    ) -> Response[str]:
        """List the organisations that are connected; without `stored`, say that the connection is being made.

        With `replaced` they are those that the consent connected, and a later one has taken its place.
        """
        title = "Xero is connected" if stored else "Your consent has arrived"
        names = "".join(f"<li><bdi>{_name(tenant)}</bdi></li>" for tenant in tenants)
        if replaced:
            title = "Xero was connected"
            content = f"<p>This consent connected:</p>\n<ul>{names}</ul>\n" if tenants else ""
            content += (
                "<p>A later consent has taken its place. Your administrator can see what is connected now. "
                "There is nothing more to do here.</p>\n"
            )
        elif not stored:
            content = (
                "<p>Xero's answer has arrived and is kept safe. The connection will be complete within a few "
                "minutes. There is nothing more to do here.</p>\n"
            )
        elif tenants:
            content = f"<p>OneEnterprise can now work with:</p>\n<ul>{names}</ul>\n"
        elif pending:
            content = (
                "<p>Xero has not listed your organisations yet. They will appear in OneEnterprise within half an "
                "hour. There is nothing more to do here.</p>\n"
            )
        else:
            content = (
                "<p>Xero allowed the connection, but no organisation was chosen. To add one, open the connect "
                "link again and tick it.</p>\n"
            )
        content += f"<p>You can close this page.</p>\n{self._way_back()}"
        return self._page(HTTPStatus.OK, title, content, kind="done", reference=reference)

    def refused(self, refusal: ConsentRefused, *, reference: str, up: str = "") -> Response[str]:
        """Say what went wrong and what to do, and offer to try again if this browser may.

        `up` leads from the page's address to the root of the routes.
        """
        content = f"<p>{escape(refusal.detail)}</p>\n<p><strong>What to do:</strong> {escape(refusal.hint)}</p>\n"
        if refusal.can_retry and refusal.ticket is not None:
            content += f'<a class="button" href="{up}connect/{escape(refusal.ticket)}">Try again</a>\n'
        return self._page(
            refusal.status,
            refusal.title,
            content + self._way_back(),
            kind="refused",
            reference=f"{refusal.code} / {reference}",
        )

    def _way_back(self) -> str:
        if self.console_url is None:
            return ""
        return f'<a class="button" href="{escape(self.console_url)}">Back to OneEnterprise</a>\n'

    @staticmethod
    def _page(status: HTTPStatus, title: str, content: str, *, kind: str, reference: str) -> Response[str]:
        body = _PAGE.substitute(
            title=escape(title), style=_STYLE, kind=kind, content=content, reference=escape(reference)
        )
        return Response(
            status_code=int(status),
            content_type="text/html; charset=utf-8",
            body=body,
            headers=dict(HEADERS),
        )


def _name(tenant: Tenant) -> str:
    # A character that UTF-8 cannot encode would otherwise end the whole answer.
    return escape(tenant.tenant_name.encode(errors="replace").decode()) or "(an organisation without a name)"
