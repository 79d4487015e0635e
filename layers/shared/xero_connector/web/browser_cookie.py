"""The cookie that binds an authorization request to one browser: one cookie for each connect ticket."""

from collections.abc import Iterator

from aws_lambda_powertools.event_handler import APIGatewayRestResolver
from aws_lambda_powertools.shared.cookies import Cookie, SameSite

from xero_connector.domain.consent import AUTHORIZATION_REQUEST_KEPT, BrowserBinding, digest, is_token
from xero_connector.web.rest_requests import header_lines

_NAME_DIGITS = 16
_SPACES = " \t"


def binding_cookie(browser: BrowserBinding) -> Cookie:
    """Return the cookie for a browser that goes to Xero.

    With the `__Host-` prefix no other host or path can set it. With Lax the browser sends it on the redirect back
    from Xero (RFC 6265bis §4.1.3.2 and §5.5.7.1).
    """
    return Cookie(
        name=_name(digest(browser.ticket)),
        value=f"{browser.binding}.{browser.ticket}",
        path="/",
        secure=True,
        http_only=True,
        same_site=SameSite.LAX_MODE,
        max_age=int(AUTHORIZATION_REQUEST_KEPT.total_seconds()),
    )


def read_binding(app: APIGatewayRestResolver, ticket_hash: str) -> BrowserBinding | None:
    """Return the content of this browser's cookie for a ticket, or None without a valid one."""
    for value in cookie_values(app, _name(ticket_hash)):
        binding, _, ticket = value.partition(".")
        if is_token(binding) and is_token(ticket) and digest(ticket) == ticket_hash:
            return BrowserBinding(ticket, binding)
    return None


def cookie_values(app: APIGatewayRestResolver, name: str) -> list[str]:
    """Return every value that this browser sends under a cookie's name."""
    return [value for cookie_name, value in _cookies(app) if cookie_name == name]


def _cookies(app: APIGatewayRestResolver) -> Iterator[tuple[str, str]]:
    # HTTP/2 may split the header into lines (RFC 9113 §8.2.3). Within a line only a semicolon ends a cookie
    # (RFC 6265 §4.2). If a comma ended one, another host's cookie could contain ours in its value, despite
    # `__Host-`.
    for line in header_lines(app, "cookie"):
        for pair in line.split(";"):
            name, equals, value = pair.partition("=")
            if equals:
                yield name.strip(_SPACES), _unquoted(value.strip(_SPACES))


def _unquoted(value: str) -> str:
    quoted = value.startswith('"') and value.endswith('"') and value != '"'
    return value[1:-1] if quoted else value


def _name(ticket_hash: str) -> str:
    return f"__Host-connect-{ticket_hash[:_NAME_DIGITS]}"
