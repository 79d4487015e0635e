"""However slow AWS and Xero are, every request is answered before Lambda and API Gateway cut it off."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest

from tests.fakes.world import ADMIN, CLIENT_ID, World
from xero_connector.domain.credential import IntegrationType
from xero_connector.domain.errors import ConnectionsUnavailable, ConnectorError
from xero_connector.domain.ports import (
    AuthorizeEndpoint,
    Consents,
    EventBus,
    History,
    IdTokens,
    Registry,
    Seal,
    TokenEndpoint,
    Vault,
    XeroConnections,
)
from xero_connector.domain.status import Status
from xero_connector.domain.token_endpoint import FailureKind, TokenEndpointFailure
from xero_connector.domain.tokens import ClientPair, TokensSecret

NEW_SECRET = "another-horse-battery-staple"
_LOCAL = frozenset({"tokens_secret_name", "seal", "authorization_url", "verify_id_token"})
"""What makes no call."""
_LONGEST = {"revoke": 8.0, "load_keys": 5.0, "tenants": 5.0, "remove": 5.0, "probe": 6.0}
"""Seconds: the adapters' limits, where they are not the token endpoint's ten."""


class SlowWorld(World):
    """A world whose calls take time once it is told so; Xero's end where the adapters would end them."""

    def slow_down(self, *, aws: float, xero: float) -> None:
        for port, double in {
            Registry: self.registry,
            Consents: self.consents,
            History: self.history,
            Vault: self.vault,
            EventBus: self.event_bus,
            Seal: self.seal,
        }.items():
            self._slow(port, double, aws)
        self._make_secrets_slowly("put_client_pair", self.vault.client_secret_name, aws)
        self._make_secrets_slowly("put_tokens", self.vault.tokens_secret_name, aws)
        for port in _XERO:
            self._slow(port, self.xero, xero)
        self.trace: list[str] = []

    def _slow(self, port: type, double: object, seconds: float) -> None:
        for name in vars(port):
            if not name.startswith("_") and name not in _LOCAL:
                setattr(double, name, self._slowed(name, getattr(double, name), seconds, of_xero=port in _XERO))

    def _make_secrets_slowly(self, put: str, name: Callable[[str], str], seconds: float) -> None:
        """A secret that is not there takes three calls: a put that is refused, its making, and another put."""
        once = getattr(self.vault, put)

        def slowly(content: ClientPair | TokensSecret, *, version_id: str) -> object:
            secret = name(content.client_id)
            if secret not in self.vault.versions or secret in self.vault.deleted:
                self.pause(2 * seconds)
                self.trace.append(f"two calls more {self._paused.total_seconds()}")
            return once(content, version_id=version_id)

        setattr(self.vault, put, slowly)

    def _slowed(
        self, name: str, call: Callable[..., object], seconds: float, *, of_xero: bool
    ) -> Callable[..., object]:
        def slowly(*args: object, **kwargs: Any) -> object:  # noqa: ANN401 - handed on
            within = _LONGEST.get(name, 10.0) if of_xero else seconds
            if name == "probe" and kwargs["try_other_case"]:
                within *= 2
            if kwargs.get("within") is not None:
                within = min(within, kwargs["within"].total_seconds())
            self.pause(min(seconds, within))
            self.trace.append(f"{name} {self._paused.total_seconds()}")
            if seconds > within and name != "probe":
                raise _lost(name)
            return call(*args, **kwargs)

        return slowly

    @contextmanager
    def answering_in_time(self) -> Iterator[None]:
        """One invocation of a function that API Gateway waits for."""
        self.advance(0)
        began = self.now
        with suppress(ConnectorError):
            # A refusal in time is an answer, too.
            yield
        assert self.now - began < self.time_left, f"Lambda cut it off: {self.trace}"


_XERO = (TokenEndpoint, IdTokens, AuthorizeEndpoint, XeroConnections)


def _lost(name: str) -> ConnectorError:
    if name in {"tenants", "remove"}:
        return ConnectionsUnavailable("Xero did not answer in time.")
    return TokenEndpointFailure(FailureKind.UNANSWERED)


@pytest.fixture
def world() -> SlowWorld:
    return SlowWorld()


def _connected(world: World) -> None:
    world.connect()
    world.advance(600)


def _replaced_before(world: World) -> None:
    _connected(world)
    world.consent()
    world.advance(600)


def _custom(world: World) -> None:
    world.xero.custom_connections.add(CLIENT_ID)


def _connected_custom(world: World) -> None:
    _custom(world)
    world.submit(integration_type=IntegrationType.CUSTOM_CONNECTION)
    world.advance(600)


def _new_secret(world: World) -> None:
    _connected(world)
    world.xero.secrets[CLIENT_ID] = NEW_SECRET


def _swap(world: World) -> object:
    return world.app.replace_client_secret(CLIENT_ID, NEW_SECRET, by=ADMIN)


def _nothing(_: World) -> None: ...


def _ended(world: World) -> None:
    _connected(world)
    world.app.disconnect_credential(CLIENT_ID, by=ADMIN)
    world.advance(600)


REQUESTS: dict[str, tuple[Callable[[World], object], Callable[[World], object]]] = {
    "submission": (_nothing, lambda world: world.submit()),
    "submission of a Custom connection": (
        _custom,
        lambda world: world.submit(integration_type=IntegrationType.CUSTOM_CONNECTION),
    ),
    "submission once more": (_ended, lambda world: world.submit()),
    "refresh": (_connected, lambda world: world.app.refresh_now(CLIENT_ID, by=ADMIN)),
    "refresh of a Custom connection": (
        _connected_custom,
        lambda world: world.app.refresh_now(CLIENT_ID, by=ADMIN),
    ),
    "validation": (_connected, lambda world: world.app.revalidate_credential(CLIENT_ID, by=ADMIN)),
    "new secret": (_new_secret, _swap),
    "disconnect": (_connected, lambda world: world.app.disconnect_credential(CLIENT_ID, by=ADMIN)),
    "disconnect of several": (
        _replaced_before,
        lambda world: world.app.disconnect_credential(CLIENT_ID, by=ADMIN),
    ),
    "disconnect of a Custom connection": (
        _connected_custom,
        lambda world: world.app.disconnect_credential(CLIENT_ID, by=ADMIN),
    ),
    "link": (_connected, lambda world: world.app.create_connect_link(CLIENT_ID, by=ADMIN)),
    "link opened": (
        _connected,
        lambda world: world.app.start_consent(
            world.app.create_connect_link(CLIENT_ID, by=ADMIN).connect_url.rsplit("/", 1)[1], binding=None
        ),
    ),
    "history": (_connected, lambda world: world.app.read_history(CLIENT_ID, limit=10, next_token=None)),
}
each_request = pytest.mark.parametrize(("before", "ask"), REQUESTS.values(), ids=REQUESTS.keys())
each_pace = pytest.mark.parametrize(
    ("aws", "xero"),
    [(0.1, 1), (2.5, 1), (0.1, 60), (2.5, 60), (2.5, 3), (2.5, 4), (2.5, 6), (1, 9)],
    ids=str,
)


@each_pace
@each_request
def test_a_request_of_an_admin(
    world: SlowWorld, before: Callable[[World], object], ask: Callable[[World], object], *, aws: float, xero: float
) -> None:
    before(world)
    world.slow_down(aws=aws, xero=xero)
    with world.answering_in_time():
        ask(world)


@each_pace
@pytest.mark.parametrize("grant_before", [False, True])
def test_a_callback(world: SlowWorld, *, aws: float, xero: float, grant_before: bool) -> None:
    world.connect() if grant_before else world.submit()
    browser, state = world.open_link()
    world.xero.codes.add("code")
    world.slow_down(aws=aws, xero=xero)
    with world.answering_in_time():
        world.call_back(browser, state, code="code")


@pytest.mark.parametrize("grant_before", [False, True])
def test_slow_aws_prevents_no_connection(world: SlowWorld, *, grant_before: bool) -> None:
    world.connect() if grant_before else world.submit()
    before = world.credential().generation
    browser, state = world.open_link()
    world.xero.codes.add("code")
    world.slow_down(aws=2, xero=1)
    with world.answering_in_time():
        world.call_back(browser, state, code="code")
    assert (world.credential().status, world.credential().generation) == (Status.CONNECTED, before + 1)
    world.advance(60)
    assert world.call_back(browser, state, code="code").repeated


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("submission", Status.VALIDATED),
        ("refresh", Status.CONNECTED),
        ("validation", Status.CONNECTED),
        ("new secret", Status.CONNECTED),
    ],
)
def test_slow_aws_keeps_no_admin_from_what_was_asked(world: SlowWorld, name: str, status: Status) -> None:
    before, ask = REQUESTS[name]
    before(world)
    world.slow_down(aws=2, xero=1)
    ask(world)
    assert world.credential().status is status


def test_a_disconnect_over_slow_aws_comes_to_its_end(world: SlowWorld) -> None:
    _replaced_before(world)
    world.slow_down(aws=2.5, xero=1)
    with world.answering_in_time():
        world.app.disconnect_credential(CLIENT_ID, by=ADMIN)
    for _ in range(10):
        world.advance(60)
        world.sweep()
    assert world.credential().status is Status.DISCONNECTED
    assert world.credential().last_error is None
