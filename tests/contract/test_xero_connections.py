"""`GET /connections` over real HTTP."""

from datetime import timedelta
from uuid import uuid4

import pytest

from tests.fakes.canned_server import Answer, CannedServer
from tests.xero_simulator.apps import Organisation
from tests.xero_simulator.faults import Endpoint, Fault, FaultKind
from tests.xero_simulator.server import XeroSimulator
from xero_connector.adapters import requests_xero_connections
from xero_connector.adapters.requests_xero_connections import RequestsXeroConnections
from xero_connector.domain.errors import ConnectionsUnavailable
from xero_connector.domain.tenant import Tenant

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])

GOOD = {"id": "c", "tenantId": "t", "tenantType": "ORGANISATION", "tenantName": "Demo"}


@pytest.fixture
def connections(simulator: XeroSimulator) -> RequestsXeroConnections:
    return RequestsXeroConnections(simulator.url)


class User:
    """A user of one app, consenting to some organisations after others."""

    def __init__(self, simulator: XeroSimulator) -> None:
        self._server = simulator.identity_server
        self.client_id = self._server.register_app(organisations=["A", "B", "C"]).client_id

    def consent(self, *organisations: str) -> tuple[str, str]:
        """Return the access token and the consent's id."""
        token = self._server.consent(self.client_id, organisations=organisations)["access_token"]
        return token, self._server.verify_access_token(token)["authentication_event_id"]


@pytest.fixture
def user(simulator: XeroSimulator) -> User:
    return User(simulator)


def names(tenants: tuple[Tenant, ...]) -> set[str]:
    return {tenant.tenant_name for tenant in tenants}


def unavailable(connections: RequestsXeroConnections, access_token: str = "t") -> ConnectionsUnavailable:
    with pytest.raises(ConnectionsUnavailable) as caught:
        connections.tenants(access_token, auth_event_id=None)
    assert caught.value.__cause__ is None
    return caught.value


def test_an_organisation_as_xero_shows_it(connections: RequestsXeroConnections, user: User) -> None:
    token, event = user.consent("A")
    (tenant,) = connections.tenants(token, auth_event_id=event)
    assert (tenant.tenant_name, tenant.tenant_type) == ("A", "ORGANISATION")
    assert tenant.tenant_id == Organisation("A").tenant_id
    assert tenant.connection_id


def test_only_the_organisations_of_this_consent(connections: RequestsXeroConnections, user: User) -> None:
    user.consent("A")
    token, event = user.consent("B", "C")
    assert names(connections.tenants(token, auth_event_id=event)) == {"B", "C"}


def test_an_organisation_that_kept_an_older_consent_s_id_is_not_lost(
    connections: RequestsXeroConnections, user: User
) -> None:
    user.consent("A", "B")
    token, event = user.consent("A")
    assert names(connections.tenants(token, auth_event_id=event)) == {"A", "B"}


def test_without_the_id_of_a_consent_all_are_listed(connections: RequestsXeroConnections, user: User) -> None:
    user.consent("A")
    token, _ = user.consent("B")
    assert names(connections.tenants(token, auth_event_id=None)) == {"A", "B"}
    assert names(connections.tenants(token, auth_event_id=str(uuid4()))) == {"A", "B"}


def test_no_organisation_at_all(connections: RequestsXeroConnections, user: User) -> None:
    token, event = user.consent()
    assert connections.tenants(token, auth_event_id=event) == ()


def test_what_is_asked(canned: CannedServer) -> None:
    canned.answer = Answer([GOOD])
    RequestsXeroConnections(canned.url).tenants("t0k3n", auth_event_id="e v&x")
    (asked,) = canned.requests
    assert (asked.method, asked.path) == ("GET", "/connections?authEventId=e+v%26x")
    assert asked.headers["Authorization"] == "Bearer t0k3n"
    assert asked.headers["Accept"] == "application/json"


def test_the_environment_s_proxy_is_not_used(
    connections: RequestsXeroConnections, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    token, event = user.consent("A")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    assert names(connections.tenants(token, auth_event_id=event)) == {"A"}


@pytest.mark.parametrize("name", [None, ""])
def test_an_organisation_without_a_name(canned: CannedServer, name: str | None) -> None:
    canned.answer = Answer([{**GOOD, "tenantName": name}])
    (tenant,) = RequestsXeroConnections(canned.url).tenants("t", auth_event_id=None)
    assert tenant.tenant_name == "(no name)"


@pytest.mark.parametrize(
    "fault",
    [
        Fault(Endpoint.CONNECTIONS, FaultKind.STATUS, status=401),
        Fault(Endpoint.CONNECTIONS, FaultKind.STATUS, status=429),
        Fault(Endpoint.CONNECTIONS, FaultKind.STATUS, status=500),
        Fault(Endpoint.CONNECTIONS, FaultKind.STATUS, status=302, headers={"Location": "/"}),
        Fault(Endpoint.CONNECTIONS, FaultKind.HTML_403),
        Fault(Endpoint.CONNECTIONS, FaultKind.DROP_BEFORE),
        Fault(Endpoint.CONNECTIONS, FaultKind.DROP_AFTER),
    ],
    ids=lambda fault: f"{fault.kind} {fault.status}",
)
def test_no_list(simulator: XeroSimulator, connections: RequestsXeroConnections, user: User, fault: Fault) -> None:
    token, _ = user.consent("A")
    simulator.faults.add(fault)
    error = unavailable(connections, token)
    assert error.code.startswith("connections_")
    assert token not in repr(error)
    assert names(connections.tenants(token, auth_event_id=None)) == {"A"}


def test_a_token_that_is_none(connections: RequestsXeroConnections) -> None:
    assert unavailable(connections, "nonsense").code == "connections_HTTPError"


def test_a_list_that_takes_too_long(
    simulator: XeroSimulator, connections: RequestsXeroConnections, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requests_xero_connections, "_TIMEOUT", (0.2, 0.2))
    simulator.faults.add(Fault(Endpoint.CONNECTIONS, FaultKind.DELAY, delay=timedelta(seconds=0.6)))
    assert unavailable(connections).code == "connections_ReadTimeout"


@pytest.mark.parametrize(
    "body",
    ["", "<html>", "null", 1, {"a": 1}, [1], [None], ["x"], [[]], [{}], [GOOD, {}], [{"id": "c"}]],
    ids=str,
)
def test_a_list_that_is_none(canned: CannedServer, body: object) -> None:
    canned.answer = Answer(body)
    unavailable(RequestsXeroConnections(canned.url))
