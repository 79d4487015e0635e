"""The cookie that binds an authorization request to one browser: one cookie a connect ticket."""

from aws_lambda_powertools.event_handler import APIGatewayRestResolver
from aws_lambda_powertools.shared.cookies import Cookie, SameSite

from xero_connector.domain.consent import AUTHORIZATION_REQUEST_LIFETIME, BrowserBinding, digest, is_token

_NAME_DIGITS = 16


def binding_cookie(browser: BrowserBinding) -> Cookie:
    """Return the cookie for a browser that goes to Xero.

    The `__Host-` prefix keeps every other host and path from setting it; Lax lets it come along on the redirect
    back from Xero (RFC 6265bis §4.1.3.2 and §5.5.7.1).
    """
    return Cookie(
        name=_name(digest(browser.ticket)),
        value=f"{browser.binding}.{browser.ticket}",
        path="/",
        secure=True,
        http_only=True,
        same_site=SameSite.LAX_MODE,
        max_age=int(AUTHORIZATION_REQUEST_LIFETIME.total_seconds()),
    )


def read_binding(app: APIGatewayRestResolver, ticket_hash: str) -> BrowserBinding | None:
    """Return what this browser's cookie for a ticket holds, or None if it has none that is whole."""
    value = app.current_event.resolved_cookies_field.get(_name(ticket_hash), "")
    binding, _, ticket = value.partition(".")
    if is_token(binding) and is_token(ticket) and digest(ticket) == ticket_hash:
        return BrowserBinding(ticket, binding)
    return None


def _name(ticket_hash: str) -> str:
    return f"__Host-connect-{ticket_hash[:_NAME_DIGITS]}"
