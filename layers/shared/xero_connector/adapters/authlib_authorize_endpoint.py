"""Xero's authorize endpoint: where a browser goes, and what it would meet there.

It is asked over requests, as no browser would ask: without cookies, redirects or a user.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from html import unescape
from http import HTTPStatus
from typing import NamedTuple
from urllib.parse import SplitResult, parse_qs, urljoin, urlsplit, urlunsplit

import requests
from authlib.oauth2.rfc6749.parameters import prepare_grant_uri
from authlib.oauth2.rfc7636 import create_s256_code_challenge

from xero_connector.adapters.bounded_http import BoundedAdapter
from xero_connector.adapters.budget import Budget, Limits, Transport
from xero_connector.domain.checks import AuthorizeFinding
from xero_connector.domain.consent import new_token

LARGEST_PAGE = 65_536
"""Bytes of an error page that are read."""
LIMITS = Limits(within=timedelta(seconds=6), largest=LARGEST_PAGE, cut=True)
"""For the two requests of one look. Another six seconds where other letters are tried."""

_REDIRECTS = frozenset(
    {
        HTTPStatus.MOVED_PERMANENTLY,
        HTTPStatus.FOUND,
        HTTPStatus.SEE_OTHER,
        HTTPStatus.TEMPORARY_REDIRECT,
        HTTPStatus.PERMANENT_REDIRECT,
    }
)
_DEFAULT_PORTS = {"https": ":443", "http": ":80"}
_LOGIN_PAGE = "/identity/user/login"
_ERROR_PAGE = "/identity/error"
_WRONG_SCOPES = "requested wrong apps scopes"
_TAG = re.compile("<[^<>]*>")
# The sentences of Xero's error page, small and without spaces, since tags and line ends may stand between words.
_REASONS = {
    "unknownclientorclientnotenabled": AuthorizeFinding.CLIENT_UNKNOWN,
    "invalidredirect_uri": AuthorizeFinding.REDIRECT_URI_REFUSED,
    "invalidscopeforclient": AuthorizeFinding.SCOPE_NOT_ALLOWED,
    "invalid_scope": AuthorizeFinding.SCOPE_UNKNOWN,
}
# Xero looks at the redirect URI before it looks at the scopes.
_REDIRECT_URI_KNOWN = frozenset(
    {AuthorizeFinding.ACCEPTED, AuthorizeFinding.SCOPE_NOT_ALLOWED, AuthorizeFinding.SCOPE_UNKNOWN}
)


class _Impression(NamedTuple):
    finding: AuthorizeFinding
    redirect_uri_known: bool = False


_NOTHING = _Impression(AuthorizeFinding.INCONCLUSIVE)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class AuthlibAuthorizeEndpoint:
    """`AuthorizeEndpoint` on Xero's login host, behind bot protection: every surprise is inconclusive."""

    login_url: str
    redirect_uri: str
    pkce: bool
    transport: Transport = BoundedAdapter
    limits: Limits = LIMITS

    def authorization_url(
        self, *, client_id: str, scopes: Sequence[str], state: str, code_verifier: str, nonce: str
    ) -> str:
        return self._url(
            client_id, scopes, self.redirect_uri, state=state, code_verifier=code_verifier, nonce=nonce
        )

    def probe(self, client_id: str, *, scopes: Sequence[str], try_other_case: bool) -> AuthorizeFinding:
        finding = self._ask(client_id, scopes, self.redirect_uri).finding
        if (
            try_other_case
            and finding is AuthorizeFinding.REDIRECT_URI_REFUSED
            and _has_capitals(self.redirect_uri)
            and self._ask(client_id, scopes, self.redirect_uri.lower()).redirect_uri_known
        ):
            return AuthorizeFinding.REDIRECT_URI_CASE
        return finding

    def _url(
        self,
        client_id: str,
        scopes: Sequence[str],
        redirect_uri: str,
        *,
        state: str,
        code_verifier: str,
        nonce: str,
    ) -> str:
        challenge = (
            {"code_challenge": create_s256_code_challenge(code_verifier), "code_challenge_method": "S256"}
            if self.pkce
            else {}
        )
        url = prepare_grant_uri(
            f"{self.login_url}/identity/connect/authorize",
            client_id,
            "code",
            redirect_uri,
            " ".join(scopes),
            state,
            nonce=nonce,
            **challenge,
        )
        # A literal plus sign is %2B at this point, so every + stands for a space; Xero wants that as %20.
        return str(url).replace("+", "%20")

    def _ask(self, client_id: str, scopes: Sequence[str], redirect_uri: str) -> _Impression:
        url = self._url(
            client_id, scopes, redirect_uri, state=new_token(), code_verifier=new_token(), nonce=new_token()
        )
        try:
            with Budget(self.limits, self.transport) as budget:
                location = _redirect_target(budget, url)
                return _NOTHING if location is None else self._judge(budget, location)
        # A Location can be no address at all, which is a ValueError.
        except (requests.RequestException, ValueError):
            return _NOTHING

    def _judge(self, budget: Budget, location: str) -> _Impression:
        parts = urlsplit(location)
        if _address(parts) == _address(urlsplit(self.redirect_uri)):
            return _Impression(_sent_back(parts.query), redirect_uri_known=True)
        if _origin(parts) != _origin(urlsplit(self.login_url)):
            return _NOTHING
        if parts.path == _LOGIN_PAGE or parts.path.startswith(f"{_LOGIN_PAGE}/"):
            return _Impression(AuthorizeFinding.ACCEPTED, redirect_uri_known=True)
        if parts.path == _ERROR_PAGE:
            finding = _reason(_page(budget, self._on_login_host(parts)))
            return _Impression(finding, redirect_uri_known=finding in _REDIRECT_URI_KNOWN)
        return _NOTHING

    def _on_login_host(self, parts: SplitResult) -> str:
        # Put together anew: however oddly a Location is written, no other host is ever asked.
        login = urlsplit(self.login_url)
        return urlunsplit((login.scheme, login.netloc, parts.path, parts.query, ""))


def _redirect_target(budget: Budget, url: str) -> str | None:
    # What follows the header is not waited for.
    with (
        budget.bind(requests.Session()) as session,
        session.get(url, stream=True, allow_redirects=False) as answer,
    ):
        location = answer.headers.get("Location")
        return urljoin(url, location) if location and answer.status_code in _REDIRECTS else None


def _page(budget: Budget, url: str) -> str:
    with budget.bind(requests.Session()) as session:
        return session.get(url, allow_redirects=False).content.decode(errors="replace")


def _reason(page: str) -> AuthorizeFinding:
    text = "".join(unescape(_TAG.sub("", page)).split()).lower()
    findings = [finding for sentence, finding in _REASONS.items() if sentence in text]
    # A page that says more than one of them is a list of what could have gone wrong.
    return findings[0] if len(findings) == 1 else AuthorizeFinding.INCONCLUSIVE


def _sent_back(query: str) -> AuthorizeFinding:
    answer = parse_qs(query)
    description = " ".join(" ".join(answer.get("error_description", [])).split()).lower()
    if answer.get("error") == ["access_denied"] and _WRONG_SCOPES in description:
        return AuthorizeFinding.SCOPE_NOT_ALLOWED
    return AuthorizeFinding.INCONCLUSIVE


def _address(parts: SplitResult) -> str:
    return parts._replace(query="", fragment="").geturl().lower()


def _origin(parts: SplitResult) -> tuple[str, str]:
    # The whole authority, so that neither user information nor a stray character can dress up another host.
    return parts.scheme, parts.netloc.lower().removesuffix(_DEFAULT_PORTS.get(parts.scheme, ""))


def _has_capitals(redirect_uri: str) -> bool:
    path = urlsplit(redirect_uri).path
    return path != path.lower()
