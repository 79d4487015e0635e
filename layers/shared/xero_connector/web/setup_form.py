"""How the form of the setup page is tied to one browser, and how it is read.

A cookie holds a random value; the form holds a token that is derived from it. Another site can make a browser send
a form, but it knows no token, and a browser says where a form comes from (Fetch Metadata, RFC 6454 §7).
"""

import hmac
from base64 import b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from dataclasses import dataclass, field
from ipaddress import IPv6Address, IPv6Network, ip_address
from urllib.parse import parse_qsl, urlsplit

from aws_lambda_powertools.event_handler import APIGatewayRestResolver
from aws_lambda_powertools.shared.cookies import Cookie, SameSite

from xero_connector.domain import setup_refusals
from xero_connector.domain.consent import digest, is_token, new_token
from xero_connector.domain.setup_link import setup_link_id
from xero_connector.use_cases.hand_over_pair import Sender, SetupForm
from xero_connector.web.browser_cookie import cookie_values
from xero_connector.web.rest_requests import header_lines

LARGEST_FORM = 8_192
"""Bytes: more than the longest fields need, each of their bytes escaped."""
_COOKIE_LIFETIME = 86_400
"""Seconds: a page that stays open overnight can still be sent."""
_NAME_DIGITS = 16
_FIELDS = frozenset({"client_id", "client_secret", "integration_type", "token"})
_MEDIA_TYPE = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True)
class SetupBrowser:
    """One browser at one setup link."""

    cookie_name: str
    binding: str = field(repr=False)

    @property
    def token(self) -> str:
        """What a form of this browser holds."""
        mac = hmac.digest(self.binding.encode(), b"setup form", "sha256")
        return urlsafe_b64encode(mac).decode().rstrip("=")

    @property
    def browser_hash(self) -> str:
        """Under which the last try of this browser is kept."""
        return digest(self.binding)

    @property
    def cookie(self) -> Cookie:
        """The cookie: no other host or path can set it, and no other site can have it sent with a form."""
        return Cookie(
            name=self.cookie_name,
            value=self.binding,
            path="/",
            secure=True,
            http_only=True,
            same_site=SameSite.LAX_MODE,
            max_age=_COOKIE_LIFETIME,
        )


@dataclass(frozen=True, slots=True)
class ReceivedForm:
    """What was typed, who sent it, and the browser to answer."""

    form: SetupForm
    sender: Sender
    browser: SetupBrowser


def browser_of(app: APIGatewayRestResolver, ticket: str) -> SetupBrowser:
    """Return the browser that asks, by its cookie for this link; one without gets a new one."""
    name = _cookie_name(ticket)
    binding = next((value for value in cookie_values(app, name) if is_token(value)), None)
    return SetupBrowser(name, binding or new_token())


def read_form(app: APIGatewayRestResolver, ticket: str, *, page_url: str) -> ReceivedForm:
    """Read a form that came from the page at `page_url`, or raise `SetupRefused`.

    A form without this browser's token is old: the cookie is gone, or it was the form of another browser.
    """
    _check_where_it_comes_from(app, page_url)
    fields = _fields(app)
    form = SetupForm(
        client_id=fields.get("client_id", ""),
        client_secret=fields.get("client_secret", ""),
        integration_type=fields.get("integration_type", ""),
    )
    browser = browser_of(app, ticket)
    is_current = hmac.compare_digest(fields.get("token", "").encode(), browser.token.encode())
    sender = Sender(
        browser_hash=browser.browser_hash, address_hash=_address_hash(app), has_current_form=is_current
    )
    return ReceivedForm(form, sender, browser)


def _cookie_name(ticket: str) -> str:
    return f"__Host-setup-{setup_link_id(ticket)[:_NAME_DIGITS]}"


def _check_where_it_comes_from(app: APIGatewayRestResolver, page_url: str) -> None:
    """Refuse what a browser says comes from another site.

    A page that sends no referrer has the origin "null" in its forms (Fetch §3.1): that says nothing.
    """
    sites = {line.strip().lower() for line in header_lines(app, "sec-fetch-site")}
    origins = {line.strip().lower() for line in header_lines(app, "origin")} - {"null"}
    page = urlsplit(page_url)
    if sites - {"same-origin"} or origins - {f"{page.scheme}://{page.netloc}".lower()}:
        raise setup_refusals.form_cross_site()


def _fields(app: APIGatewayRestResolver) -> dict[str, str]:
    media_types = {line.partition(";")[0].strip().lower() for line in header_lines(app, "content-type")}
    if media_types != {_MEDIA_TYPE}:
        raise setup_refusals.form_malformed()
    try:
        # The cause is left out of what is raised: it holds what was typed.
        pairs = parse_qsl(
            _body(app).decode(), keep_blank_values=True, strict_parsing=True, errors="strict", max_num_fields=8
        )
    except ValueError:
        raise setup_refusals.form_malformed() from None
    fields = dict(pairs)
    if len(fields) < len(pairs) or not _FIELDS.issuperset(fields):
        raise setup_refusals.form_malformed()
    return fields


def _body(app: APIGatewayRestResolver) -> bytes:
    event = app.current_event
    body = event.body or ""
    # Four characters of Base64 are three bytes.
    if len(body) > LARGEST_FORM * 4 / 3 + 4:
        raise setup_refusals.form_too_large()
    try:
        content = b64decode(body, validate=True) if event.is_base64_encoded else body.encode()
    except (Base64Error, UnicodeEncodeError):
        raise setup_refusals.form_malformed() from None
    if len(content) > LARGEST_FORM:
        raise setup_refusals.form_too_large()
    return content


def _address_hash(app: APIGatewayRestResolver) -> str:
    """Return the hash under which the tries of an address are counted; of IPv6 the network of a household."""
    text = app.current_event.request_context.identity.source_ip or ""
    try:
        address = ip_address(text)
    except ValueError:
        return digest(f"address/{text}")
    if isinstance(address, IPv6Address):
        return digest(f"address/{IPv6Network((address, 64), strict=False)}")
    return digest(f"address/{address}")
