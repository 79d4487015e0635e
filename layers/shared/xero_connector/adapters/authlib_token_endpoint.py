"""Xero's token endpoint through Authlib over requests."""

import base64
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import quote_plus

import requests
from authlib.oauth2.auth import ClientAuth
from authlib.oauth2.client import OAuth2Client

from xero_connector.adapters import lenient_json
from xero_connector.adapters.bounded_http import BoundedAdapter
from xero_connector.adapters.budget import Budget, Limits, Transport
from xero_connector.adapters.token_answers import (
    error_of,
    is_access_token,
    is_lost,
    retry_after,
    standard_form,
    token_answer,
    token_members,
)
from xero_connector.adapters.transport_failures import transport_failures
from xero_connector.domain.ports import Clock
from xero_connector.domain.token_endpoint import FailureKind, TokenEndpointFailure, classify
from xero_connector.domain.tokens import ClientPair, TokenAnswer

TOKEN_LIMITS = Limits(within=timedelta(seconds=10), largest=1_048_576)
REVOCATION_LIMITS = Limits(within=timedelta(seconds=8), largest=262_144)
_OK = 200
_SUCCESS = 200
_REDIRECT = 300
_CORRELATION_ID = "Xero-Correlation-Id"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class AuthlibTokenEndpoint:
    """`TokenEndpoint` on Authlib: one session a call, over the connections of its transport."""

    identity_url: str
    redirect_uri: str
    pkce: bool
    clock: Clock
    transport: Transport = BoundedAdapter
    token_limits: Limits = TOKEN_LIMITS
    revocation_limits: Limits = REVOCATION_LIMITS

    def exchange_code(
        self, pair: ClientPair, *, code: str, code_verifier: str, within: timedelta | None = None
    ) -> TokenAnswer:
        return self._fetch(
            pair,
            lambda client: client.fetch_token(
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
            lambda client: client.fetch_token(
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
            lambda client: client.refresh_token(
                f"{self.identity_url}/connect/token",
                refresh_token=refresh_token,
                allow_redirects=False,
            ),
            within,
        )

    def revoke(self, pair: ClientPair, *, refresh_token: str) -> None:
        with (
            transport_failures(),
            Budget(self.revocation_limits, self.transport) as budget,
            budget.bind(requests.Session()) as session,
        ):
            answer = self._client(session, pair).revoke_token(
                f"{self.identity_url}/connect/revocation",
                token=refresh_token,
                token_type_hint="refresh_token",  # noqa: S106 - the name of a kind of token
                allow_redirects=False,
            )
        if answer.status_code != _OK:
            self._raise_failure(answer)
        if lenient_json.text_of(answer.content)[:1] not in {"", "{"}:
            # A page with 200 is the firewall's: Xero's own answer is empty.
            raise TokenEndpointFailure(FailureKind.EDGE_REFUSED)

    def _pkce(self, code_verifier: str) -> dict[str, str]:
        return {"code_verifier": code_verifier} if self.pkce else {}

    def _client(self, session: requests.Session, pair: ClientPair) -> "_Client":
        client = _Client(
            session,
            pair.client_id,
            pair.client_secret,
            token_endpoint_auth_method="client_secret_basic",  # noqa: S106 - the name of a method
            revocation_endpoint_auth_method="client_secret_basic",
        )
        client.register_client_auth_method(("client_secret_basic", _form_encoded_basic))
        for hook in ("access_token_response", "refresh_token_response"):
            client.register_compliance_hook(hook, self._token_answers_only)
        return client

    def _token_answers_only(self, answer: requests.Response) -> requests.Response:
        """Let a usable answer through, in its standard form (RFC 6749 §5.1), whatever is odd beside its tokens."""
        if not _SUCCESS <= answer.status_code < _REDIRECT:
            self._raise_failure(answer)
        content = token_members(answer)
        if not is_access_token(content.get("access_token")) or is_lost(content.get("refresh_token")):
            raise TokenEndpointFailure(
                FailureKind.UNEXPECTED if content else FailureKind.EDGE_REFUSED,
                correlation_id=answer.headers.get(_CORRELATION_ID),
            )
        usable = requests.Response()
        usable.status_code, usable.headers, usable.encoding = _OK, answer.headers, "utf-8"
        usable._content = json.dumps(standard_form(content)).encode()  # noqa: SLF001 - there is no other way to make one
        return usable

    def _raise_failure(self, answer: requests.Response) -> None:
        raise TokenEndpointFailure(
            classify(answer.status_code, error_of(answer)),
            retry_after=retry_after(answer.headers.get("Retry-After", ""), self.clock()),
            correlation_id=answer.headers.get(_CORRELATION_ID),
        )

    def _fetch(
        self,
        pair: ClientPair,
        call: Callable[["_Client"], dict[str, Any]],
        within: timedelta | None = None,
    ) -> TokenAnswer:
        # Taken before the call: however slow the answer, the token's end is never estimated too late.
        asked_at = self.clock()
        with (
            transport_failures(),
            Budget(self.token_limits.at_most(within), self.transport) as budget,
            budget.bind(requests.Session()) as session,
        ):
            token = call(self._client(session, pair))
        return token_answer(token, asked_at)


class _ClientAuth(ClientAuth):  # type: ignore[misc] # untyped
    """Authlib's authentication of a client, as requests calls it."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.url, request.headers, request.body = self.prepare(
            request.method, request.url, request.headers, request.body
        )
        return request


class _Client(OAuth2Client):  # type: ignore[misc] # untyped
    """Authlib's OAuth client, over the session that it is given.

    Its `OAuth2Session` is the same in one piece, and imports OpenID Connect, OAuth 1 and cryptography beside it:
    they would take as long as half of botocore.
    """

    client_auth_class = _ClientAuth
    SESSION_REQUEST_PARAMS = ("allow_redirects",)


def _form_encoded_basic(
    client: "_Client", _method: str, uri: str, headers: dict[str, str], body: str
) -> tuple[str, dict[str, str], str]:
    """Authenticate by HTTP Basic with both halves form-encoded (RFC 6749 §2.3.1), which Authlib leaves out."""
    credentials = f"{quote_plus(client.client_id)}:{quote_plus(client.client_secret)}"
    headers["Authorization"] = f"Basic {base64.b64encode(credentials.encode()).decode()}"
    return uri, headers, body
