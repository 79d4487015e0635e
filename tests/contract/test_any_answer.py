"""Whatever Xero's hosts answer, an adapter gives a result or an error of the domain, and nothing foreign."""

import json
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.builders import a_tokens_secret
from tests.fakes.transport import an_answer, answering
from tests.fakes.world import NOON
from xero_connector.adapters.authlib_authorize_endpoint import AuthlibAuthorizeEndpoint
from xero_connector.adapters.authlib_token_endpoint import AuthlibTokenEndpoint
from xero_connector.adapters.budget import Transport
from xero_connector.adapters.joserfc_id_tokens import JoserfcIdTokens
from xero_connector.adapters.requests_xero_connections import RequestsXeroConnections
from xero_connector.domain.checks import AuthorizeFinding
from xero_connector.domain.errors import ConnectionsUnavailable, IdTokenRefused
from xero_connector.domain.token_endpoint import TokenEndpointFailure
from xero_connector.domain.tokens import LARGEST_VERSION, ClientPair, TokenAnswer, TokensSecret

if TYPE_CHECKING:
    from collections.abc import Callable

URL = "https://xero.test"
PAIR = ClientPair("id", "s3cr3t")
MEMBERS = [
    "access_token", "refresh_token", "expires_in", "scope", "token_type", "id_token", "error", "keys",
    "id", "tenantId", "tenantName", "tenantType", "kty", "n", "e", "kid", "use", "alg", "key_ops",
]  # fmt: skip
HEADERS = [
    "Content-Type", "Content-Encoding", "Content-Length", "Location", "Retry-After", "Set-Cookie",
    "Xero-Correlation-Id",
]  # fmt: skip
ODD_TEXTS = [
    "application/json", "text/html; charset=utf-16", "gzip", "br", "http://[", "/\xff", "https://xero.test:99999/",
    "/identity/error", "/identity/user/login", "Mon, 01 Jan 99999999999999999999 00:00:00 GMT", "120, 120", "-5",
    "a=b; Max-Age=" + "9" * 5_000, "a=b; Expires=Mon, 01 Jan 99999999999999999999 00:00:00 GMT",
]  # fmt: skip

leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["a.b.c", "RSA", "sig", "AQAB", "RS256", "e30.e30.", "\ud800", "x" * 70_000, "s " * 40_000])
)
values: st.SearchStrategy[object] = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(MEMBERS) | st.text(max_size=5), inner, max_size=6)
    ),
    max_leaves=12,
)
token_answers = st.fixed_dictionaries(
    {"access_token": st.text(min_size=1) | leaves},
    optional=dict.fromkeys(MEMBERS[1:6], leaves | values),
)
documents = (values | token_answers).map(json.dumps)
bodies = st.binary(max_size=50) | documents.map(str.encode) | documents.map(lambda text: text[:-1].encode())
headers = st.dictionaries(
    st.sampled_from(HEADERS),
    st.sampled_from(ODD_TEXTS) | st.text(st.characters(max_codepoint=255, exclude_characters="\r\n"), max_size=30),
    max_size=3,
)
statuses = st.sampled_from([200, 200, 200, 204, 206, 301, 302, 308, 400, 401, 403, 404, 408, 429, 500, 503, 999])


@dataclass(frozen=True)
class Adapters:
    """All that ask Xero something."""

    transport: Transport

    @property
    def token_endpoint(self) -> AuthlibTokenEndpoint:
        return AuthlibTokenEndpoint(
            identity_url=URL,
            redirect_uri="https://erp.test/back",
            pkce=True,
            clock=lambda: NOON,
            transport=self.transport,
        )

    @property
    def connections(self) -> RequestsXeroConnections:
        return RequestsXeroConnections(api_url=URL, transport=self.transport)

    @property
    def id_tokens(self) -> JoserfcIdTokens:
        return JoserfcIdTokens(URL, lambda: NOON, transport=self.transport)

    @property
    def authorize(self) -> AuthlibAuthorizeEndpoint:
        return AuthlibAuthorizeEndpoint(
            login_url=URL, redirect_uri="https://erp.test/Back", pkce=True, transport=self.transport
        )


answers = st.builds(
    lambda status, named, body: Adapters(answering(lambda _: an_answer(status, named, body))),
    statuses,
    headers,
    bodies,
)


@given(answers)
def test_a_token_answer_can_be_stored_and_read_again_or_is_a_failure(xero: Adapters) -> None:
    endpoint = xero.token_endpoint
    calls: list[Callable[[], TokenAnswer]] = [
        lambda: endpoint.refresh(PAIR, refresh_token="r"),
        lambda: endpoint.exchange_code(PAIR, code="c", code_verifier="v" * 43),
        lambda: endpoint.client_credentials(PAIR, scopes=()),
    ]
    for call in calls:
        with suppress(TokenEndpointFailure):
            secret = a_tokens_secret(token=call().token)
            assert TokensSecret.from_json(secret.to_json()) == secret
            assert len(secret.to_json().encode()) <= LARGEST_VERSION


@given(answers)
def test_a_revocation_happens_or_is_a_failure(xero: Adapters) -> None:
    with suppress(TokenEndpointFailure):
        xero.token_endpoint.revoke(PAIR, refresh_token="r")


@given(answers)
def test_organisations_are_listed_and_removed_or_that_is_a_failure(xero: Adapters) -> None:
    with suppress(ConnectionsUnavailable):
        for tenant in xero.connections.tenants("t", auth_event_id="e"):
            assert tenant.tenant_id
            json.dumps(tenant.to_dict()).encode()
    with suppress(ConnectionsUnavailable):
        xero.connections.remove("t", "c")


@given(answers)
def test_keys_are_read_or_that_is_a_failure(xero: Adapters) -> None:
    with suppress(TokenEndpointFailure):
        xero.id_tokens.load_keys()
    with suppress(IdTokenRefused):
        xero.id_tokens.verify_id_token("e30.e30.x", client_id="id", nonce="n")


@given(answers)
def test_a_probe_finds_something_in_any_answer(xero: Adapters) -> None:
    assert xero.authorize.probe("id", scopes=("openid",), try_other_case=True) in AuthorizeFinding
