"""`/connections` over real HTTP."""

import json
from datetime import timedelta
from uuid import uuid4

import pytest
import requests
from urllib3 import HTTPResponse

from local.xero_simulator.apps import IntegrationType, Organisation
from local.xero_simulator.faults import Endpoint, Fault, FaultKind
from local.xero_simulator.server import XeroSimulator
from tests.fakes.canned_server import Answer, CannedServer
from tests.fakes.transport import an_answer, answering
from xero_connector.adapters.budget import Limits
from xero_connector.adapters.requests_xero_connections import RequestsXeroConnections
from xero_connector.domain.errors import ConnectionsUnavailable
from xero_connector.domain.tenant import Tenant

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])

GOOD = {"id": "c", "tenantId": "t", "tenantType": "ORGANISATION", "tenantName": "Demo"}


@pytest.fixture
def connections(simulator: XeroSimulator) -> RequestsXeroConnections:
    return RequestsXeroConnections(api_url=simulator.url)


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
    RequestsXeroConnections(api_url=canned.url).tenants("t0k3n", auth_event_id="e v&x")
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
    (tenant,) = RequestsXeroConnections(api_url=canned.url).tenants("t", auth_event_id=None)
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
    assert error.code == "connections_unavailable"
    assert token not in repr(error)
    assert names(connections.tenants(token, auth_event_id=None)) == {"A"}


def test_a_token_that_is_none(connections: RequestsXeroConnections) -> None:
    error = unavailable(connections, "nonsense")
    assert "(status 401)" in error.detail
    assert error.definite


def test_a_list_that_takes_too_long(
    simulator: XeroSimulator,
) -> None:
    connections = RequestsXeroConnections(
        api_url=simulator.url, limits=Limits(within=timedelta(seconds=0.3), largest=65_536)
    )
    simulator.faults.add(Fault(Endpoint.CONNECTIONS, FaultKind.DELAY, delay=timedelta(seconds=0.6)))
    assert "(ReadTimeout)" in unavailable(connections).detail


@pytest.mark.parametrize("odd", [None, 1, "x", [], {}, {"tenantId": None}], ids=str)
def test_one_odd_connection_does_not_void_the_list(canned: CannedServer, odd: object) -> None:
    canned.answer = Answer([odd, GOOD, {"tenantId": 7, "tenantName": 12}], 200, {})
    found = RequestsXeroConnections(api_url=canned.url).tenants("token", auth_event_id=None)
    assert [(tenant.tenant_id, tenant.tenant_name) for tenant in found] == [("t", "Demo"), ("7", "12")]


DEEP = "[" * 10_000 + "]" * 10_000
A_GOOD_ONE = json.dumps(GOOD)
ODD_LISTS = {
    "byte order mark": f"\ufeff[{A_GOOD_ONE}]",
    "comment after the end": f"[{A_GOOD_ONE}] // t",
    "number of 5,000 digits": f'[{{"x": {"1" * 5_000}}}, {A_GOOD_ONE}]',
    "deep beside it": f"[{DEEP}, {A_GOOD_ONE}]",
    "deep in another": f'[{{"x": {DEEP}}}, {A_GOOD_ONE}]',
    "deep in itself": f'[{{"x": {DEEP}, {A_GOOD_ONE[1:]}]',
    "no JSON beside it": f"[oops, {A_GOOD_ONE}]",
}


@pytest.mark.parametrize("body", ODD_LISTS.values(), ids=ODD_LISTS.keys())
def test_however_oddly_a_list_is_spelt_its_connections_are_read(canned: CannedServer, body: str) -> None:
    canned.answer = Answer(body, 200, {"Content-Type": "application/json"})
    (found,) = RequestsXeroConnections(api_url=canned.url).tenants("token", auth_event_id=None)
    assert (found.tenant_id, found.tenant_name, found.connection_id) == ("t", "Demo", "c")


@pytest.mark.parametrize("odd", [True, float("nan"), float("inf")], ids=str)
def test_an_id_that_is_no_id_is_none(canned: CannedServer, odd: object) -> None:
    canned.answer = Answer([GOOD, {**GOOD, "tenantId": odd}])
    (found,) = RequestsXeroConnections(api_url=canned.url).tenants("token", auth_event_id=None)
    assert found.tenant_id == "t"


def test_a_list_that_is_cut_off_is_none(canned: CannedServer) -> None:
    canned.answer = Answer(f"[{A_GOOD_ONE}, {A_GOOD_ONE[:-5]}")
    unavailable(RequestsXeroConnections(api_url=canned.url))


@pytest.mark.parametrize(
    "body",
    ["", "<html>", "null", 1, {"a": 1}, [1], [None], ["x"], [[]], [{}], [{"id": "c"}]],
    ids=str,
)
def test_a_list_that_is_none(canned: CannedServer, body: object) -> None:
    canned.answer = Answer(body)
    unavailable(RequestsXeroConnections(api_url=canned.url))


@pytest.mark.parametrize(
    ("status", "body", "refused"),
    [
        (401, {"Title": "Unauthorized"}, True),
        (403, {"Title": "Forbidden"}, True),
        (401, "<html>", False),
        (403, "<html>", False),
        (400, {"Title": "Bad"}, False),
        (429, {"Title": "Slow down"}, False),
        (503, {"Title": "Down"}, False),
    ],
)
def test_only_xeros_api_says_that_a_token_is_refused(
    canned: CannedServer, status: int, body: object, *, refused: bool
) -> None:
    content_type = "text/html" if isinstance(body, str) else "application/json"
    canned.answer = Answer(body, status, {"Content-Type": content_type})
    assert unavailable(RequestsXeroConnections(api_url=canned.url)).unauthorized is refused


@pytest.mark.parametrize("access_token", ["日本", "\ud800", "é", "a\r\nX: y", " "])
def test_a_token_that_no_request_can_carry_is_a_failure_like_any_other(
    canned: CannedServer, access_token: str
) -> None:
    canned.answer = Answer("", 401)
    connections = RequestsXeroConnections(api_url=canned.url)
    for call in (
        lambda: connections.tenants(access_token, auth_event_id=None),
        lambda: connections.remove(access_token, "c"),
    ):
        with pytest.raises(ConnectionsUnavailable) as caught:
            call()
        assert caught.value.__cause__ is None
    with pytest.raises(ConnectionsUnavailable):
        connections.remove("t", "\ud800")
    with pytest.raises(ConnectionsUnavailable):
        connections.tenants("t", auth_event_id="\ud800")


# Removing one


def not_removed(connections: RequestsXeroConnections, access_token: str = "t") -> ConnectionsUnavailable:
    with pytest.raises(ConnectionsUnavailable) as caught:
        connections.remove(access_token, "c")
    assert caught.value.__cause__ is None
    assert access_token not in f"{caught.value!r} {caught.value.detail} {caught.value.hint}".split()
    return caught.value


def test_one_connection_is_removed(connections: RequestsXeroConnections, user: User) -> None:
    token, _ = user.consent("A", "B")
    unwanted, wanted = connections.tenants(token, auth_event_id=None)
    connections.remove(token, unwanted.connection_id)
    assert connections.tenants(token, auth_event_id=None) == (wanted,)


def test_a_connection_that_is_gone_is_as_good_as_removed(connections: RequestsXeroConnections, user: User) -> None:
    token, _ = user.consent("A")
    (tenant,) = connections.tenants(token, auth_event_id=None)
    connections.remove(token, tenant.connection_id)
    connections.remove(token, tenant.connection_id)
    connections.remove(token, str(uuid4()))


def test_a_custom_connection_is_removed_by_its_own_token(
    simulator: XeroSimulator, connections: RequestsXeroConnections
) -> None:
    client_id, secret = simulator.identity_server.register_app(IntegrationType.CUSTOM_CONNECTION)
    token = simulator.identity_server.token(
        {"grant_type": "client_credentials", "client_id": client_id, "client_secret": secret or ""}
    )["access_token"]
    (tenant,) = connections.tenants(token, auth_event_id=None)
    connections.remove(token, tenant.connection_id)
    assert connections.tenants(token, auth_event_id=None) == ()


def test_what_is_asked_to_remove_one() -> None:
    asked = []

    def respond(request: requests.PreparedRequest) -> HTTPResponse:
        asked.append((request.method, request.url, request.headers["Authorization"], request.body))
        return an_answer(204)

    connections = RequestsXeroConnections(api_url="https://api.xero.test", transport=answering(respond))
    connections.remove("t0k3n", "c/1?x")
    assert asked == [("DELETE", "https://api.xero.test/connections/c%2F1%3Fx", "Bearer t0k3n", None)]


@pytest.mark.parametrize("status", [200, 202, 302, 400, 401, 403, 409, 429, 500, 503])
def test_whatever_else_is_answered_nothing_was_removed(
    simulator: XeroSimulator, connections: RequestsXeroConnections, status: int
) -> None:
    simulator.faults.add(Fault(Endpoint.CONNECTIONS, FaultKind.STATUS, status=status, headers={"Location": "/"}))
    assert f"(status {status})" in not_removed(connections).detail


@pytest.mark.parametrize(
    ("status", "content_type", "definite"),
    [
        (400, "application/json", True),
        (401, "application/json; charset=utf-8", True),
        (403, "application/problem+json", True),
        (403, "text/html", False),
        (408, "application/json", False),
        (429, "application/json", False),
        (500, "application/json", False),
        (302, "application/json", False),
    ],
)
def test_only_a_refusal_of_the_api_itself_is_definite(status: int, content_type: str, *, definite: bool) -> None:
    transport = answering(lambda _: an_answer(status, {"Content-Type": content_type}))
    error = not_removed(RequestsXeroConnections(api_url="https://api.xero.test", transport=transport))
    assert error.definite is definite
    assert error.code == ("connections_refused" if definite else "connections_unavailable")


@pytest.mark.parametrize("kind", [FaultKind.DROP_BEFORE, FaultKind.DROP_AFTER])
def test_a_removal_whose_answer_got_lost_can_be_repeated(
    simulator: XeroSimulator, connections: RequestsXeroConnections, user: User, kind: FaultKind
) -> None:
    token, _ = user.consent("A")
    (tenant,) = connections.tenants(token, auth_event_id=None)
    simulator.faults.add(Fault(Endpoint.CONNECTIONS, kind))
    assert not_removed(connections, token).code == "connections_unavailable"
    connections.remove(token, tenant.connection_id)
    assert connections.tenants(token, auth_event_id=None) == ()


def test_the_firewall_s_page_removes_nothing(
    simulator: XeroSimulator, connections: RequestsXeroConnections
) -> None:
    simulator.faults.add(Fault(Endpoint.CONNECTIONS, FaultKind.HTML_403))
    assert "(status 403)" in not_removed(connections).detail


def test_a_removal_that_takes_too_long(
    simulator: XeroSimulator,
) -> None:
    connections = RequestsXeroConnections(
        api_url=simulator.url, limits=Limits(within=timedelta(seconds=0.3), largest=65_536)
    )
    simulator.faults.add(Fault(Endpoint.CONNECTIONS, FaultKind.DELAY, delay=timedelta(seconds=0.6)))
    assert "(ReadTimeout)" in not_removed(connections).detail
