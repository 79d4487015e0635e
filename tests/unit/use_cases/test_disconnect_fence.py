"""Disconnects that were overtaken, that have little time, and in a world where everything is slow."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

import pytest

from tests.fakes.interruptions import ProcessDied, die, step_in
from tests.fakes.world import ADMIN, CLIENT_ID, CLIENT_SECRET, SETTINGS, World
from xero_connector.application import Application
from xero_connector.domain.credential import IntegrationType
from xero_connector.domain.errors import Conflict
from xero_connector.domain.status import Status
from xero_connector.domain.submission import Submission
from xero_connector.domain.tokens import ClientPair

SKEW = timedelta(seconds=61)
EFFECTS = [
    ("xero", "tenants"),
    ("xero", "revoke"),
    ("vault", "get_client_pair"),
    ("vault", "get_tokens"),
    ("vault", "delete_tokens"),
    ("vault", "delete_client_pair"),
]
EVERYWHERE = pytest.mark.parametrize(("part", "method"), EFFECTS)
WHEN = pytest.mark.parametrize("when", ["before", "after"])


def elsewhere(world: World) -> Application:
    """The same deployment, seen by a process whose clock is a minute ahead."""
    ports = replace(world.ports, clock=lambda: world.clock() + SKEW, deadline=lambda: world.deadline() + SKEW)
    return Application(ports, SETTINGS)


def meanwhile(world: World, part: str, method: str, when: str, what: Callable[[], object]) -> None:
    if when == "before":
        step_in(getattr(world, part), method, before=what)
    else:
        step_in(getattr(world, part), method, after=what)


def resubmit(app: Application) -> None:
    app.disconnect_credential(CLIENT_ID, by=ADMIN)
    submission = Submission(
        pair=ClientPair(CLIENT_ID, CLIENT_SECRET),
        label=None,
        integration_type=IntegrationType.WEB_APP,
        scopes=None,
    )
    app.submit_credential(submission, submitted_by=ADMIN)


@WHEN
@EVERYWHERE
def test_an_overtaken_disconnect_leaves_the_next_life_its_secrets(
    world: World, part: str, method: str, when: str
) -> None:
    first = world.connect()
    meanwhile(world, part, method, when, lambda: resubmit(elsewhere(world)))
    with pytest.raises(Conflict) as conflict:
        world.app.disconnect_credential(CLIENT_ID, by=ADMIN)
    assert conflict.value.code == "busy"
    credential = world.credential()
    assert (credential.status, credential.incarnation == first.incarnation) == (Status.VALIDATED, False)
    assert world.vault.get_client_pair(CLIENT_ID, version_id=credential.client_version_id) is not None


@WHEN
@EVERYWHERE
def test_it_leaves_the_next_life_its_tokens_too(world: World, part: str, method: str, when: str) -> None:
    world.connect()

    def next_life() -> None:
        behind, world.app = world.app, elsewhere(world)
        resubmit(world.app)
        world.consent()
        world.app = behind

    meanwhile(world, part, method, when, next_life)
    with pytest.raises(Conflict):
        world.app.disconnect_credential(CLIENT_ID, by=ADMIN)
    credential = world.credential()
    assert credential.status is Status.CONNECTED
    assert world.vault.deleted == set()
    world.advance(20 * 60)
    assert world.sweep() == {"refreshed": 1}


@WHEN
@EVERYWHERE
def test_an_overtaken_disconnect_that_dies_costs_the_next_life_nothing(
    world: World, part: str, method: str, when: str
) -> None:
    world.connect()

    def next_life() -> None:
        behind, world.app = world.app, elsewhere(world)
        resubmit(world.app)
        world.consent()
        world.app = behind
        step_in(world.vault, "delete_client_pair", after=die)

    meanwhile(world, part, method, when, next_life)
    with suppress(ProcessDied, Conflict):
        world.app.disconnect_credential(CLIENT_ID, by=ADMIN)
    world.advance(20 * 60)
    # Its readers bring back what is missing.
    assert world.sweep() == {"refreshed": 1}


@WHEN
@EVERYWHERE
def test_two_disconnects_at_once_end_it_once(world: World, part: str, method: str, when: str) -> None:
    world.connect()

    def another() -> None:
        elsewhere(world).disconnect_credential(CLIENT_ID, by=ADMIN)

    meanwhile(world, part, method, when, another)
    with suppress(Conflict):
        world.app.disconnect_credential(CLIENT_ID, by=ADMIN)
    assert world.credential().status is Status.DISCONNECTED
    assert world.credential().last_error is None
    assert len(world.vault.deleted) == 2
    told = [event for event in world.event_bus.published if event.event_type == "CredentialDisconnected"]
    assert len(told) == 1


@WHEN
@pytest.mark.parametrize(("part", "method"), [effect for effect in EFFECTS if "delete" not in effect[1]])
def test_an_overtaken_disconnect_stops_before_it_deletes(world: World, part: str, method: str, when: str) -> None:
    world.connect()

    def taken_over() -> None:
        taken = world.credential().leased("another", now=world.now + SKEW, duration=timedelta(minutes=1))
        world.registry.save(taken)

    meanwhile(world, part, method, when, taken_over)
    with pytest.raises(Conflict):
        world.app.disconnect_credential(CLIENT_ID, by=ADMIN)
    assert world.vault.deleted == set()
    for _ in range(5):
        world.advance(180)
        world.sweep()
    assert (world.credential().status, world.credential().last_error) == (Status.DISCONNECTED, None)


def test_an_overtaken_disconnect_does_not_bring_back_what_the_other_deleted(world: World) -> None:
    world.connect()
    restored: list[str] = []
    step_in(world.vault, "restore_client_pair", before=lambda: restored.append("pair"))
    step_in(world.vault, "restore_tokens", before=lambda: restored.append("tokens"))

    def another() -> None:
        elsewhere(world).disconnect_credential(CLIENT_ID, by=ADMIN)

    step_in(world.vault, "get_client_pair", before=another)
    assert world.app.disconnect_credential(CLIENT_ID, by=ADMIN).status is Status.DISCONNECTED
    assert restored == []


def test_what_is_brought_back_too_late_is_deleted_again(world: World) -> None:
    world.connect()
    world.vault.delete_tokens(CLIENT_ID)

    def another() -> None:
        elsewhere(world).disconnect_credential(CLIENT_ID, by=ADMIN)

    step_in(world.vault, "restore_tokens", before=another)
    assert world.app.disconnect_credential(CLIENT_ID, by=ADMIN).status is Status.DISCONNECTED
    assert len(world.vault.deleted) == 2


# A slow world

AWS_SECONDS = 2.5
_STORES = {
    "registry": ("get", "save"),
    "vault": ("get_client_pair", "get_tokens", "delete_tokens", "delete_client_pair"),
    "seal": ("seal", "unseal"),
    "event_bus": ("publish",),
    "history": ("mark_published",),
}


def slow_down(world: World, *, aws: float, xero: float) -> None:
    """Let every call take its time, at the expense of the invocation."""
    calls = {(part, method): aws for part, methods in _STORES.items() for method in methods}
    calls |= {("xero", method): xero for method in ("refresh", "revoke", "tenants", "remove")}
    for (part, method), seconds in calls.items():
        _slow(world, getattr(world, part), method, seconds)


def _slow(world: World, fake: object, method: str, seconds: float) -> None:
    original: Callable[..., object] = getattr(fake, method)

    def slowly(*args: object, **kwargs: object) -> object:
        world.pause(seconds)
        return original(*args, **kwargs)

    setattr(fake, method, slowly)


@pytest.mark.parametrize("access_token", ["good", "expired"])
@pytest.mark.parametrize("xero", [0, 5, 10])
@pytest.mark.parametrize("aws", [0, AWS_SECONDS])
@pytest.mark.parametrize("users", [1, 3])
def test_however_slow_the_world_is_each_turn_ends_in_time_and_gets_further(
    world: World, aws: float, xero: float, access_token: str, users: int
) -> None:
    world.connect()
    for number in range(2, users + 1):
        world.xero.user = f"user-{number}"
        world.consent()
    world.advance(1800 if access_token == "expired" else 0)
    slow_down(world, aws=aws, xero=xero)
    ends_at = world.now + timedelta(seconds=25)
    credential = world.app.disconnect_credential(CLIENT_ID, by=ADMIN)
    assert world.now <= ends_at
    assert credential.status in {Status.DISCONNECTING, Status.DISCONNECTED}
    for _ in range(30):
        if world.credential().status is Status.DISCONNECTED:
            break
        world.advance(60)
        began = world.now
        world.sweep()
        assert world.now - began <= timedelta(seconds=58)
    credential = world.credential()
    assert (credential.status, credential.last_error) == (Status.DISCONNECTED, None)
    assert {(CLIENT_ID, f"user-{number}") for number in range(1, users + 1)} <= world.xero.disconnected
