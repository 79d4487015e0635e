"""Xero's authorize endpoint over requests, asked as no browser would: without cookies, redirects or a user."""

import re
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from html import unescape
from http import HTTPStatus
from threading import Thread
from typing import NamedTuple, Protocol, override
from urllib.parse import SplitResult, parse_qs, urljoin, urlsplit, urlunsplit

import requests

from xero_connector.domain.checks import AuthorizeFinding
from xero_connector.domain.consent import new_token

CONNECT_TIMEOUT = 2
READ_TIMEOUT = 3
PROBE_WITHIN = 10
"""Seconds for a whole probe, however slowly the answer drips; two probes where other letters are tried."""
THOROUGH_PROBE_WITHIN = 18
LARGEST_PAGE = 65_536
"""Bytes of an error page that are read."""

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


class AuthorizationUrl(Protocol):
    """`AuthlibXeroIdentity.authorization_url`, so that the probe asks for exactly what a consent asks for."""

    def __call__(
        self,
        *,
        client_id: str,
        scopes: Sequence[str],
        state: str,
        code_verifier: str,
        nonce: str,
        redirect_uri: str,
    ) -> str:
        """Return where a browser would go for consent."""


class _Impression(NamedTuple):
    finding: AuthorizeFinding
    redirect_uri_known: bool = False


_NOTHING = _Impression(AuthorizeFinding.INCONCLUSIVE)


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestsAuthorizeProbe:
    """`XeroAuthorize` on Xero's login host, which sits behind bot protection: every surprise is inconclusive."""

    login_url: str
    redirect_uri: str
    authorization_url: AuthorizationUrl

    def probe(self, client_id: str, *, scopes: Sequence[str], try_other_case: bool) -> AuthorizeFinding:
        # A server that sends a byte now and then outlives every time-out of a read. Advice is not worth the wait:
        # whatever the thread is at, it is left to itself.
        future: Future[AuthorizeFinding] = Future()

        def find() -> None:
            try:
                future.set_result(self._find(client_id, scopes, try_other_case=try_other_case))
            except BaseException as error:  # noqa: BLE001 - raised below, where the caller is
                future.set_exception(error)

        Thread(target=find, daemon=True).start()
        try:
            return future.result(timeout=THOROUGH_PROBE_WITHIN if try_other_case else PROBE_WITHIN)
        except TimeoutError:
            return AuthorizeFinding.INCONCLUSIVE

    def _find(self, client_id: str, scopes: Sequence[str], *, try_other_case: bool) -> AuthorizeFinding:
        finding = self._ask(client_id, scopes, self.redirect_uri).finding
        if (
            try_other_case
            and finding is AuthorizeFinding.REDIRECT_URI_REFUSED
            and _has_capitals(self.redirect_uri)
            and self._ask(client_id, scopes, self.redirect_uri.lower()).redirect_uri_known
        ):
            return AuthorizeFinding.REDIRECT_URI_CASE
        return finding

    def _ask(self, client_id: str, scopes: Sequence[str], redirect_uri: str) -> _Impression:
        url = self.authorization_url(
            client_id=client_id,
            scopes=scopes,
            state=new_token(),
            code_verifier=new_token(),
            nonce=new_token(),
            redirect_uri=redirect_uri,
        )
        try:
            location = _redirect_target(url)
            return _NOTHING if location is None else self._judge(location)
        # A Location can be no address at all, which is a ValueError.
        except (requests.RequestException, ValueError):
            return _NOTHING

    def _judge(self, location: str) -> _Impression:
        parts = urlsplit(location)
        if _address(parts) == _address(urlsplit(self.redirect_uri)):
            return _Impression(_sent_back(parts.query), redirect_uri_known=True)
        if _origin(parts) != _origin(urlsplit(self.login_url)):
            return _NOTHING
        if parts.path == _LOGIN_PAGE or parts.path.startswith(f"{_LOGIN_PAGE}/"):
            return _Impression(AuthorizeFinding.ACCEPTED, redirect_uri_known=True)
        if parts.path == _ERROR_PAGE:
            finding = _reason(_page(self._on_login_host(parts)))
            return _Impression(finding, redirect_uri_known=finding in _REDIRECT_URI_KNOWN)
        return _NOTHING

    def _on_login_host(self, parts: SplitResult) -> str:
        # Put together anew: however oddly a Location is written, no other host is ever asked.
        login = urlsplit(self.login_url)
        return urlunsplit((login.scheme, login.netloc, parts.path, parts.query, ""))


class _OneStep(requests.Session):
    """A session for one request: no cookies from before, nothing from the environment, no next step."""

    def __init__(self) -> None:
        super().__init__()
        self.trust_env = False

    @override
    def get_redirect_target(self, resp: requests.Response) -> None:
        # Even where it does not follow, requests prepares the next request, and reads the whole body for that.
        return None

    def ask(self, url: str) -> requests.Response:
        return self.get(url, timeout=(CONNECT_TIMEOUT, READ_TIMEOUT), stream=True, allow_redirects=False)


def _redirect_target(url: str) -> str | None:
    with _OneStep() as session, session.ask(url) as answer:
        location = answer.headers.get("Location")
        return urljoin(url, location) if location and answer.status_code in _REDIRECTS else None


def _page(url: str) -> str:
    content = bytearray()
    with _OneStep() as session, session.ask(url) as answer:
        for piece in answer.iter_content(LARGEST_PAGE):
            content += piece
            if len(content) >= LARGEST_PAGE:
                break
    return content[:LARGEST_PAGE].decode(errors="replace")


def _reason(page: str) -> AuthorizeFinding:
    text = "".join(unescape(_TAG.sub("", page)).split()).lower()
    found = [finding for sentence, finding in _REASONS.items() if sentence in text]
    # A page that says more than one of them is a list of what could have gone wrong.
    return found[0] if len(found) == 1 else AuthorizeFinding.INCONCLUSIVE


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
