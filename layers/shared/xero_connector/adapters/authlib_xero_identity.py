"""Xero's identity server through Authlib over requests."""

import base64
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from math import isfinite
from typing import Any
from urllib.parse import quote_plus

import requests
from authlib.integrations.requests_client import OAuth2Session
from urllib3.exceptions import ConnectTimeoutError, MaxRetryError, NewConnectionError

from xero_connector.adapters.bounded_http import Budget, Limits
from xero_connector.adapters.joserfc_id_tokens import IdTokenVerifier
from xero_connector.domain.ports import Clock
from xero_connector.domain.token_endpoint import FailureKind, TokenEndpointFailure, classify
from xero_connector.domain.tokens import ClientPair, TokenAnswer, TokenSet

TOKEN_LIMITS = Limits(within=timedelta(seconds=10), largest=1_048_576)
REVOCATION_LIMITS = Limits(within=timedelta(seconds=8), largest=262_144)
_OK = 200
_SUCCESS = 200
_REDIRECT = 300
_DOCUMENTED_LIFE = 1800
"""Seconds (Xero, "Token types")."""
_SHORTEST_LIFE = 60
_LONGEST_LIFE = 86_400
_CORRELATION_ID = "Xero-Correlation-Id"


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthlibXeroIdentity:
    """`XeroIdentity` on Authlib: one connection a call, so that a thawed Lambda never meets a dead one."""

    login_url: str
    identity_url: str
    redirect_uri: str
    pkce: bool
    id_tokens: IdTokenVerifier
    clock: Clock
    token_limits: Limits = TOKEN_LIMITS
    revocation_limits: Limits = REVOCATION_LIMITS

    def authorization_url(
        self,
        *,
        client_id: str,
        scopes: Sequence[str],
        state: str,
        code_verifier: str,
        nonce: str,
        redirect_uri: str | None = None,
    ) -> str:
        """Do as the port says; only a probe names another `redirect_uri` than the registered one."""
        with OAuth2Session(
            client_id,
            scope=" ".join(scopes),
            redirect_uri=self.redirect_uri if redirect_uri is None else redirect_uri,
            code_challenge_method="S256",
        ) as session:
            url, _ = session.create_authorization_url(
                f"{self.login_url}/identity/connect/authorize",
                state=state,
                nonce=nonce,
                **self._pkce(code_verifier),
            )
        # A literal plus sign is %2B at this point, so every + stands for a space; Xero wants that as %20.
        return str(url).replace("+", "%20")

    def load_keys(self) -> None:
        with _translating_transport():
            self.id_tokens.load_keys()

    def exchange_code(
        self, pair: ClientPair, *, code: str, code_verifier: str, within: timedelta | None = None
    ) -> TokenAnswer:
        return self._fetch(
            pair,
            lambda session: session.fetch_token(
                f"{self.identity_url}/connect/token",
                grant_type="authorization_code",
                code=code,
                redirect_uri=self.redirect_uri,
                allow_redirects=False,
                **self._pkce(code_verifier),
            ),
            within,
        )

    def client_credentials(
        self, pair: ClientPair, *, scopes: Sequence[str], within: timedelta | None = None
    ) -> TokenAnswer:
        scope = {"scope": " ".join(scopes)} if scopes else {}
        return self._fetch(
            pair,
            lambda session: session.fetch_token(
                f"{self.identity_url}/connect/token",
                grant_type="client_credentials",
                allow_redirects=False,
                **scope,
            ),
            within,
        )

    def refresh(self, pair: ClientPair, *, refresh_token: str, within: timedelta | None = None) -> TokenAnswer:
        return self._fetch(
            pair,
            lambda session: session.refresh_token(
                f"{self.identity_url}/connect/token",
                refresh_token=refresh_token,
                allow_redirects=False,
            ),
            within,
        )

    def revoke(self, pair: ClientPair, *, refresh_token: str) -> None:
        with (
            _translating_transport(),
            Budget(self.revocation_limits) as budget,
            budget.bind(self._session(pair)) as session,
        ):
            answer = session.revoke_token(
                f"{self.identity_url}/connect/revocation",
                token=refresh_token,
                token_type_hint="refresh_token",  # noqa: S106 - the name of a kind of token
                allow_redirects=False,
            )
        if answer.status_code != _OK:
            self._raise_failure(answer)
        if answer.content.strip()[:1] not in {b"", b"{"}:
            # A page with 200 is the firewall's: Xero's own answer is empty.
            raise TokenEndpointFailure(FailureKind.EDGE_REFUSED)

    def verify_id_token(self, id_token: str | None, *, client_id: str, nonce: str) -> str:
        return self.id_tokens.verify(id_token, client_id=client_id, nonce=nonce, now=self.clock())

    def _pkce(self, code_verifier: str) -> dict[str, str]:
        return {"code_verifier": code_verifier} if self.pkce else {}

    def _session(self, pair: ClientPair) -> OAuth2Session:
        session = OAuth2Session(
            pair.client_id,
            pair.client_secret,
            token_endpoint_auth_method="client_secret_basic",  # noqa: S106 - the name of a method
            revocation_endpoint_auth_method="client_secret_basic",
        )
        session.register_client_auth_method(("client_secret_basic", _form_encoded_basic))
        for hook in ("access_token_response", "refresh_token_response"):
            session.register_compliance_hook(hook, self._token_answers_only)
        return session

    def _token_answers_only(self, answer: requests.Response) -> requests.Response:
        """Let a usable answer through, in its standard form (RFC 6749 §5.1), whatever is odd beside its tokens."""
        if not _SUCCESS <= answer.status_code < _REDIRECT:
            self._raise_failure(answer)
        content = _json_object(answer)
        if not _is_text(content.get("access_token")):
            raise TokenEndpointFailure(
                FailureKind.UNEXPECTED if content else FailureKind.EDGE_REFUSED,
                correlation_id=answer.headers.get(_CORRELATION_ID),
            )
        usable = requests.Response()
        usable.status_code, usable.headers, usable.encoding = _OK, answer.headers, "utf-8"
        usable._content = json.dumps(_standard_form(content)).encode()  # noqa: SLF001 - there is no other way to make one
        return usable

    def _raise_failure(self, answer: requests.Response) -> None:
        error = _json_object(answer).get("error")
        raise TokenEndpointFailure(
            classify(answer.status_code, error if isinstance(error, str) else None),
            retry_after=_retry_after(answer.headers.get("Retry-After", ""), self.clock()),
            correlation_id=answer.headers.get(_CORRELATION_ID),
        )

    def _fetch(
        self,
        pair: ClientPair,
        call: Callable[[OAuth2Session], dict[str, Any]],
        within: timedelta | None = None,
    ) -> TokenAnswer:
        # Taken before the call: however slow the answer, the token's end is never estimated too late.
        asked_at = self.clock()
        with (
            _translating_transport(),
            Budget(self.token_limits.at_most(within)) as budget,
            budget.bind(self._session(pair)) as session,
        ):
            token = call(session)
        return _answer(token, asked_at)


def _form_encoded_basic(
    client: OAuth2Session, _method: str, uri: str, headers: dict[str, str], body: str
) -> tuple[str, dict[str, str], str]:
    """Authenticate by HTTP Basic with both halves form-encoded (RFC 6749 §2.3.1), which Authlib leaves out."""
    credentials = f"{quote_plus(client.client_id)}:{quote_plus(client.client_secret)}"
    headers["Authorization"] = f"Basic {base64.b64encode(credentials.encode()).decode()}"
    return uri, headers, body


def _json_object(answer: requests.Response) -> dict[str, Any]:
    try:
        content = answer.json()
    except (ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def _retry_after(text: str, now: datetime) -> int | None:
    """Read `Retry-After` in both of its forms (RFC 9110 §10.2.3): seconds, or a date."""
    if text.isascii() and text.isdecimal():
        return int(text[:9])
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return max(0, int((aware - now).total_seconds()))


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip()) and value.isprintable()


def _standard_form(content: dict[str, Any]) -> dict[str, Any]:
    """Return the members of a token answer in their documented types; what is missing or odd is filled in."""
    refresh_token, id_token, scope = (content.get(name) for name in ("refresh_token", "id_token", "scope"))
    scopes = scope.split() if isinstance(scope, str) else scope if isinstance(scope, list) else []
    standard: dict[str, Any] = {
        "access_token": content["access_token"],
        "token_type": content["token_type"] if _is_text(content.get("token_type")) else "Bearer",
        "expires_in": _expires_in(content),
        "scope": " ".join(one for one in scopes if _is_text(one)),
    }
    if type(refresh_token) is int:
        refresh_token = str(refresh_token)
    if _is_text(refresh_token):
        standard["refresh_token"] = refresh_token
    if id_token is not None:
        # Something else than a JWT is refused where ID tokens are verified.
        standard["id_token"] = id_token if _is_text(id_token) else "not-a-jwt"
    return standard


def _expires_in(content: dict[str, Any]) -> int:
    """Return the access token's life in seconds: from the answer, from the token, or as Xero documents it."""
    said = content.get("expires_in")
    if isinstance(said, str) and said.isascii() and said.isdecimal():
        said = int(said[:9])
    if isinstance(said, float) and isfinite(said):
        said = int(said)
    if type(said) is not int or said <= 0:
        claims = _claims(content["access_token"])
        begins, ends = claims.get("nbf", claims.get("iat")), claims.get("exp")
        said = ends - begins if type(begins) is int and type(ends) is int else _DOCUMENTED_LIFE
    return min(max(said, _SHORTEST_LIFE), _LONGEST_LIFE)


@contextmanager
def _translating_transport() -> Iterator[None]:
    """Tell a request that was never sent from one whose answer is lost: only the first is free of effect."""
    try:
        yield
    except requests.ConnectTimeout:
        raise TokenEndpointFailure(FailureKind.NOT_SENT) from None
    except requests.ConnectionError as error:
        cause = error.args[0] if error.args else None
        reason = cause.reason if isinstance(cause, MaxRetryError) else cause
        never_connected = isinstance(reason, NewConnectionError | ConnectTimeoutError)
        raise TokenEndpointFailure(FailureKind.NOT_SENT if never_connected else FailureKind.UNANSWERED) from None
    except requests.RequestException:
        raise TokenEndpointFailure(FailureKind.UNANSWERED) from None


def _answer(token: dict[str, Any], asked_at: datetime) -> TokenAnswer:
    expires_in = int(token["expires_in"])
    return TokenAnswer(
        token=TokenSet(
            access_token=token["access_token"],
            token_type=token.get("token_type", "Bearer"),
            refresh_token=token.get("refresh_token"),
            expires_in=expires_in,
            expires_at=int(asked_at.astimezone(UTC).timestamp()) + expires_in,
            scope=token.get("scope", ""),
        ),
        obtained_at=asked_at,
        id_token=token.get("id_token"),
        auth_event_id=_auth_event_id(token["access_token"]),
    )


def _auth_event_id(access_token: str) -> str | None:
    """Read a claim of the access token, unverified: it came from Xero over TLS and only filters a list."""
    found = _claims(access_token).get("authentication_event_id")
    return found if isinstance(found, str) else None


def _claims(access_token: str) -> dict[str, Any]:
    try:
        payload = access_token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (IndexError, RecursionError, ValueError):
        return {}
    return claims if isinstance(claims, dict) else {}
