"""What the ports of Xero promise, on the scripted fake and on the real adapters with the simulator behind them.

The fake is kinder: it does not look at redirect URIs, code verifiers, scopes of a consent, times or the grace. Its
authorize endpoint finds what it was told to find. The suites of each adapter look at those.
"""

from collections.abc import Callable
from contextlib import suppress
from typing import Protocol
from urllib.parse import parse_qs, parse_qsl, urlsplit

import pytest
import requests

from local.xero_simulator.apps import DEFAULT_REDIRECT_URI, IntegrationType
from local.xero_simulator.faults import Endpoint, Fault, FaultKind
from local.xero_simulator.server import XeroSimulator
from local.xero_simulator.user import XeroUser
from tests.fakes.world import NOON
from tests.fakes.xero import ScriptedXero
from xero_connector.adapters.authlib_authorize_endpoint import AuthlibAuthorizeEndpoint
from xero_connector.adapters.authlib_token_endpoint import AuthlibTokenEndpoint
from xero_connector.adapters.joserfc_id_tokens import JoserfcIdTokens
from xero_connector.adapters.requests_xero_connections import RequestsXeroConnections
from xero_connector.domain.checks import AuthorizeFinding
from xero_connector.domain.consent import new_token
from xero_connector.domain.errors import ConnectionsUnavailable, IdTokenRefused
from xero_connector.domain.ports import AuthorizeEndpoint, IdTokens, TokenEndpoint, XeroConnections
from xero_connector.domain.token_endpoint import FailureKind, TokenEndpointFailure
from xero_connector.domain.tokens import ClientPair, TokenAnswer

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])

SCOPES = ("offline_access", "openid", "accounting.contacts")
VERIFIER, NONCE, STATE = "v" * 43, "n" * 43, "s" * 43
ORGANISATIONS = ["Demo Company (UK)", "Electro Land"]


class Xero(Protocol):
    """The four ports, and what people do at Xero."""

    token_endpoint: TokenEndpoint
    id_tokens: IdTokens
    authorize: AuthorizeEndpoint
    connections: XeroConnections

    def web_app(self) -> ClientPair:
        """Make a Web app."""

    def custom_connection(self) -> ClientPair:
        """Make a Custom connection, set up with one organisation."""

    def code(self, pair: ClientPair) -> str:
        """Take a user through consent, for all organisations."""

    def keys_away(self) -> None:
        """Have the next look at the signing keys fail."""

    def connections_away(self) -> None:
        """Have the next look at the connections fail."""


class Scripted:
    def __init__(self) -> None:
        self.xero = ScriptedXero(lambda: NOON)
        self.token_endpoint: TokenEndpoint = self.xero
        self.id_tokens: IdTokens = self.xero
        self.authorize: AuthorizeEndpoint = self.xero
        self.connections: XeroConnections = self.xero

    def web_app(self) -> ClientPair:
        pair = ClientPair(new_token(), new_token())
        self.xero.secrets[pair.client_id] = pair.client_secret
        return pair

    def custom_connection(self) -> ClientPair:
        pair = self.web_app()
        self.xero.custom_connections.add(pair.client_id)
        return pair

    def code(self, pair: ClientPair) -> str:
        del pair
        code = new_token()
        self.xero.codes.add(code)
        return code

    def keys_away(self) -> None:
        self.xero.key_failures.append(FailureKind.UNANSWERED)

    def connections_away(self) -> None:
        self.xero.connections_down = True


class Simulated:
    def __init__(self, simulator: XeroSimulator) -> None:
        self.simulator = simulator
        self.token_endpoint: TokenEndpoint = AuthlibTokenEndpoint(
            identity_url=simulator.url, redirect_uri=DEFAULT_REDIRECT_URI, pkce=True, clock=simulator.clock
        )
        self.id_tokens: IdTokens = JoserfcIdTokens(simulator.url, simulator.clock)
        self.authorize: AuthorizeEndpoint = AuthlibAuthorizeEndpoint(
            login_url=simulator.url, redirect_uri=DEFAULT_REDIRECT_URI, pkce=True
        )
        self.connections: XeroConnections = RequestsXeroConnections(api_url=simulator.url)

    def web_app(self) -> ClientPair:
        return self._registered(IntegrationType.WEB_APP)

    def custom_connection(self) -> ClientPair:
        return self._registered(IntegrationType.CUSTOM_CONNECTION)

    def _registered(self, integration_type: IntegrationType) -> ClientPair:
        app = self.simulator.identity_server.register_app(integration_type)
        assert app.client_secret is not None
        return ClientPair(app.client_id, app.client_secret)

    def code(self, pair: ClientPair) -> str:
        url = self.authorize.authorization_url(
            client_id=pair.client_id, scopes=SCOPES, state=STATE, code_verifier=VERIFIER, nonce=NONCE
        )
        with requests.Session() as session:
            location = XeroUser(session).consent(url)
        return dict(parse_qsl(urlsplit(location).query))["code"]

    def keys_away(self) -> None:
        self.simulator.faults.add(Fault(Endpoint.JWKS, FaultKind.DROP_BEFORE))

    def connections_away(self) -> None:
        self.simulator.faults.add(Fault(Endpoint.CONNECTIONS, FaultKind.STATUS, status=503))


@pytest.fixture(params=["fake", "real"])
def xero(request: pytest.FixtureRequest) -> Xero:
    return Scripted() if request.param == "fake" else Simulated(request.getfixturevalue("simulator"))


def failure(call: Callable[[], object]) -> FailureKind:
    with pytest.raises(TokenEndpointFailure) as caught:
        call()
    return caught.value.kind


def present(xero: Xero, pair: ClientPair, code: str) -> TokenAnswer:
    return xero.token_endpoint.exchange_code(pair, code=code, code_verifier=VERIFIER)


def exchanged(xero: Xero, pair: ClientPair) -> TokenAnswer:
    return present(xero, pair, xero.code(pair))


def refreshed(xero: Xero, pair: ClientPair, answer: TokenAnswer) -> TokenAnswer:
    assert answer.token.refresh_token is not None
    return xero.token_endpoint.refresh(pair, refresh_token=answer.token.refresh_token)


def revoke(xero: Xero, pair: ClientPair, answer: TokenAnswer) -> None:
    assert answer.token.refresh_token is not None
    xero.token_endpoint.revoke(pair, refresh_token=answer.token.refresh_token)


# The token endpoint


def test_a_code_brings_tokens_of_half_an_hour(xero: Xero) -> None:
    answer = exchanged(xero, xero.web_app())
    assert answer.token.access_token
    assert answer.token.refresh_token
    assert answer.id_token
    assert answer.auth_event_id
    assert answer.token.expires_in == 1800
    assert answer.token.expires_at == int(answer.obtained_at.timestamp()) + 1800
    assert set(answer.token.scopes) == set(SCOPES)


def test_a_code_is_good_once(xero: Xero) -> None:
    pair = xero.web_app()
    code = xero.code(pair)
    present(xero, pair, code)
    assert failure(lambda: present(xero, pair, code)) is FailureKind.INVALID_GRANT


def test_the_client_is_looked_at_before_the_code(xero: Xero) -> None:
    pair = xero.web_app()
    code = xero.code(pair)
    wrong = ClientPair(pair.client_id, "wrong")
    assert failure(lambda: present(xero, wrong, code)) is FailureKind.INVALID_CLIENT
    assert present(xero, pair, code).token.refresh_token


def test_a_random_code_tells_a_good_pair(xero: Xero) -> None:
    random = new_token()
    assert failure(lambda: present(xero, xero.web_app(), random)) is FailureKind.INVALID_GRANT
    assert failure(lambda: present(xero, xero.custom_connection(), random)) is FailureKind.UNAUTHORIZED_CLIENT
    assert failure(lambda: present(xero, ClientPair("0" * 32, "any"), random)) is FailureKind.INVALID_CLIENT


def test_a_refresh_brings_another_refresh_token(xero: Xero) -> None:
    pair = xero.web_app()
    first = exchanged(xero, pair)
    second = refreshed(xero, pair, first)
    third = refreshed(xero, pair, second)
    assert len({one.token.refresh_token for one in (first, second, third)}) == 3
    assert len({one.token.access_token for one in (first, second, third)}) == 3


def test_a_lost_answer_can_be_asked_for_again(xero: Xero) -> None:
    pair = xero.web_app()
    first = exchanged(xero, pair)
    refreshed(xero, pair, first)
    assert refreshed(xero, pair, first).token.refresh_token


def test_a_wrong_secret_costs_no_grant(xero: Xero) -> None:
    pair = xero.web_app()
    first = exchanged(xero, pair)
    wrong = ClientPair(pair.client_id, "wrong")
    assert failure(lambda: refreshed(xero, wrong, first)) is FailureKind.INVALID_CLIENT
    assert failure(lambda: revoke(xero, wrong, first)) is FailureKind.INVALID_CLIENT
    assert refreshed(xero, pair, first).token.refresh_token


def test_a_custom_connection_gets_an_access_token_alone(xero: Xero) -> None:
    pair = xero.custom_connection()
    answer = xero.token_endpoint.client_credentials(pair, scopes=())
    assert answer.token.access_token
    assert (answer.token.refresh_token, answer.id_token) == (None, None)


def test_a_custom_connection_may_not_ask_for_what_it_was_not_set_up_with(xero: Xero) -> None:
    pair = xero.custom_connection()
    ask = lambda: xero.token_endpoint.client_credentials(pair, scopes=("no.such.scope",))  # noqa: E731
    assert failure(ask) is FailureKind.INVALID_SCOPE


def test_a_web_app_gets_nothing_without_a_user(xero: Xero) -> None:
    pair = xero.web_app()
    ask = lambda: xero.token_endpoint.client_credentials(pair, scopes=())  # noqa: E731
    assert failure(ask) is FailureKind.UNAUTHORIZED_CLIENT


def test_what_was_revoked_is_dead_and_can_be_revoked_again(xero: Xero) -> None:
    pair = xero.web_app()
    answer = exchanged(xero, pair)
    revoke(xero, pair, answer)
    assert failure(lambda: refreshed(xero, pair, answer)) is FailureKind.INVALID_GRANT
    revoke(xero, pair, answer)
    xero.token_endpoint.revoke(pair, refresh_token="of-nobody")


# ID tokens


def test_an_id_token_names_its_user(xero: Xero) -> None:
    pair = xero.web_app()
    xero.id_tokens.load_keys()
    answer = exchanged(xero, pair)
    assert xero.id_tokens.verify_id_token(answer.id_token, client_id=pair.client_id, nonce=NONCE)


@pytest.mark.parametrize("id_token", [None, "", "not-a-jwt"])
def test_what_is_no_id_token_is_refused(xero: Xero, id_token: str | None) -> None:
    with pytest.raises(IdTokenRefused):
        xero.id_tokens.verify_id_token(id_token, client_id="any", nonce=NONCE)


def test_keys_that_cannot_be_had_are_a_failure(xero: Xero) -> None:
    xero.keys_away()
    assert failure(xero.id_tokens.load_keys) is FailureKind.UNANSWERED
    xero.id_tokens.load_keys()


# The authorize endpoint


def test_the_authorization_url_says_who_asks_for_what(xero: Xero) -> None:
    url = xero.authorize.authorization_url(
        client_id="an-id", scopes=SCOPES, state=STATE, code_verifier=VERIFIER, nonce=NONCE
    )
    query = parse_qs(urlsplit(url).query)
    assert (query["client_id"], query["state"]) == (["an-id"], [STATE])
    assert query["scope"] == [" ".join(SCOPES)]
    assert "+" not in url
    assert VERIFIER not in url


def test_a_probe_of_a_good_app_finds_it_good(xero: Xero) -> None:
    pair = xero.web_app()
    found = xero.authorize.probe(pair.client_id, scopes=SCOPES, try_other_case=False)
    assert found is AuthorizeFinding.ACCEPTED


# Connections


def test_a_grant_reaches_the_organisations_of_its_user(xero: Xero) -> None:
    answer = exchanged(xero, xero.web_app())
    of_the_consent = xero.connections.tenants(answer.token.access_token, auth_event_id=answer.auth_event_id)
    all_of_them = xero.connections.tenants(answer.token.access_token, auth_event_id=None)
    assert sorted(tenant.tenant_name for tenant in all_of_them) == ORGANISATIONS
    assert set(of_the_consent) == set(all_of_them)
    assert all(tenant.tenant_id and tenant.connection_id and tenant.tenant_type for tenant in all_of_them)


def test_a_removed_connection_is_gone_and_can_be_removed_again(xero: Xero) -> None:
    access_token = exchanged(xero, xero.web_app()).token.access_token
    first, second = xero.connections.tenants(access_token, auth_event_id=None)
    xero.connections.remove(access_token, first.connection_id)
    assert xero.connections.tenants(access_token, auth_event_id=None) == (second,)
    xero.connections.remove(access_token, first.connection_id)


def test_a_revoked_grant_reaches_nothing(xero: Xero) -> None:
    pair = xero.web_app()
    answer = exchanged(xero, pair)
    revoke(xero, pair, answer)
    with suppress(ConnectionsUnavailable):
        # Xero may refuse the access token as well.
        assert xero.connections.tenants(answer.token.access_token, auth_event_id=None) == ()


def test_a_list_that_cannot_be_had_is_no_empty_list(xero: Xero) -> None:
    access_token = exchanged(xero, xero.web_app()).token.access_token
    xero.connections_away()
    with pytest.raises(ConnectionsUnavailable) as caught:
        xero.connections.tenants(access_token, auth_event_id=None)
    assert not caught.value.definite
