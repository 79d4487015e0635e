"""The cookie that binds an authorization request to one browser: one cookie for each connect ticket."""

import re
from collections.abc import Iterator
from datetime import timedelta

from aws_lambda_powertools.event_handler import APIGatewayRestResolver
from aws_lambda_powertools.shared.cookies import Cookie, SameSite

from xero_connector.domain.consent import AUTHORIZATION_REQUEST_KEPT, BrowserBinding, digest, is_token
from xero_connector.web.rest_requests import header_lines

MOST_COOKIES = 20
"""Of consents, that one browser keeps. With 80 of them API Gateway would take no request of the host any more: it
takes 10,240 bytes of headers (AWS, "Amazon API Gateway quotas")."""
_PREFIX = "__Host-connect-"
_NAME_DIGITS = 16
_OURS = re.compile(rf"{_PREFIX}[0-9a-f]{{{_NAME_DIGITS}}}")
_SPACES = " \t"


def cookies(app: APIGatewayRestResolver, browser: BrowserBinding) -> list[Cookie]:
    """Return the cookie for a browser that goes to Xero, and what removes its oldest ones where there are many.

    With the `__Host-` prefix no other host or path can set it. With Lax the browser sends it on the redirect back
    from Xero (RFC 6265bis §4.1.3.2 and §5.5.7.1).
    """
    name = _name(digest(browser.ticket))
    binding = _cookie(name, f"{browser.binding}.{browser.ticket}", lasts=AUTHORIZATION_REQUEST_KEPT)
    # Only names that this module made are put into an answer. Browsers send the oldest first (RFC 6265 §5.4).
    others = dict.fromkeys(sent for sent, _ in _cookies(app) if _OURS.fullmatch(sent) and sent != name)
    return [binding, *(_cookie(old, "", lasts=timedelta()) for old in [*others][: 1 - MOST_COOKIES])]


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


def _cookie(name: str, value: str, *, lasts: timedelta) -> Cookie:
    return Cookie(
        name=name,
        value=value,
        path="/",
        secure=True,
        http_only=True,
        same_site=SameSite.LAX_MODE,
        max_age=int(lasts.total_seconds()),
    )


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
    return f"{_PREFIX}{ticket_hash[:_NAME_DIGITS]}"
