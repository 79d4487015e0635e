"""One customer's trouble is not everybody's, and an outage of Xero is still noticed."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from threading import Event, Timer

import pytest

from tests.fakes.in_turn import work_in_turn
from tests.fakes.world import CLIENT_SECRET, World
from xero_connector.domain.status import Status
from xero_connector.domain.token_endpoint import FailureKind, TokenEndpointFailure
from xero_connector.domain.tokens import ClientPair, TokenAnswer
from xero_connector.services.lanes import NARROWEST, WIDEST

DEAD = [f"{number:032X}" for number in range(40)]
WELL = [f"{number:032X}" for number in range(1000, 1060)]
SLOW = [f"{number:032X}" for number in range(2000, 2040)]
FEW = 24
"""Requests of a sweep that tell nothing new: six credentials that were well, or twenty with trouble before, and
those that were under way at the time."""


class Apps:
    """Many apps at one Xero, which answers some of them and not the others."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.unanswered: set[str] = set()
        self.kind = FailureKind.UNANSWERED
        self.asked: list[str] = []
        answer = world.xero.refresh

        def refresh(pair: ClientPair, *, refresh_token: str, within: timedelta | None = None) -> TokenAnswer:
            self.asked.append(pair.client_id)
            if pair.client_id in self.unanswered:
                raise TokenEndpointFailure(self.kind)
            return answer(pair, refresh_token=refresh_token, within=within)

        world.xero.refresh = refresh  # type: ignore[method-assign] # answers not everybody

    def connect(self, client_ids: list[str], *, shards: int = 1) -> None:
        for position, client_id in enumerate(client_ids):
            self.world.registry.shards[client_id] = str(position % shards)
            self.world.connect(client_id)

    def sweep(self) -> Counter[str]:
        self.asked.clear()
        return self.world.app.sweep_due_credentials(
            shards=[str(shard) for shard in range(8)], deadline=self.world.now + timedelta(seconds=58)
        )

    def expired(self, client_ids: list[str]) -> list[str]:
        rows = [self.world.credential(client_id) for client_id in client_ids]
        return [
            credential.client_id
            for credential in rows
            if credential.access_token_expires_at is None or credential.access_token_expires_at <= self.world.now
        ]


@pytest.fixture
def apps(world: World) -> Apps:
    return Apps(world)


@pytest.mark.parametrize(
    ("shard_of_the_dead", "shards", "kind"),
    [(0, 1, FailureKind.UNANSWERED), (0, 8, FailureKind.UNAVAILABLE), (7, 8, FailureKind.EDGE_REFUSED)],
)
def test_forty_dead_apps_cost_sixty_others_nothing(
    world: World, apps: Apps, shard_of_the_dead: int, shards: int, kind: FailureKind
) -> None:
    apps.connect(WELL, shards=shards)
    apps.connect(DEAD)
    world.registry.shards |= dict.fromkeys(DEAD, str(shard_of_the_dead))
    apps.unanswered, apps.kind = set(DEAD), kind
    for _ in range(70):
        world.advance(60)
        apps.sweep()
        assert apps.expired(WELL) == []
    assert {world.credential(client_id).status for client_id in WELL} == {Status.CONNECTED}


def test_the_dead_among_many_are_asked_again_within_the_grace(world: World, apps: Apps) -> None:
    apps.connect(WELL)
    apps.connect(DEAD)
    apps.unanswered = set(DEAD)
    asked: Counter[str] = Counter()
    world.advance(19 * 60)
    for _ in range(30):
        world.advance(60)
        apps.sweep()
        asked.update(set(apps.asked))
    assert min(asked[client_id] for client_id in DEAD) >= 3


@work_in_turn()
def test_those_that_are_well_go_first(world: World, apps: Apps) -> None:
    apps.connect(DEAD[:5])
    world.advance(21 * 60)
    apps.unanswered = set(DEAD[:5])
    apps.sweep()
    apps.connect(WELL[:10])
    world.advance(25 * 60)
    apps.sweep()
    assert set(apps.asked[:10]) == set(WELL[:10])
    assert set(apps.asked[10:]) == set(DEAD[:5])


@work_in_turn()
def test_the_longest_overdue_go_first_whatever_their_shard(world: World, apps: Apps) -> None:
    for position, client_id in enumerate(WELL):
        # The later in the order of shards, the longer overdue.
        world.registry.shards[client_id] = str(7 - position % 8)
        world.connect(client_id)
    for position, client_id in enumerate(WELL):
        due_at = world.now + timedelta(minutes=5 * position)
        world.registry.save(replace(world.credential(client_id), due_at=due_at))
    world.advance(400 * 60)
    apps.sweep()
    # Until all goes well, every second one shows whether Xero answers others than those at the front.
    half, cautious = len(WELL) // 2, WIDEST - NARROWEST
    assert apps.asked[:cautious:2] == WELL[: cautious // 2]
    assert apps.asked[1:cautious:2] == WELL[half : half + cautious // 2]
    assert apps.asked[cautious:] == [*WELL[cautious // 2 : half], *WELL[half + cautious // 2 :]]


@pytest.mark.parametrize("kind", [FailureKind.UNANSWERED, FailureKind.UNAVAILABLE, FailureKind.NOT_SENT])
def test_an_outage_is_noticed_braked_and_over_within_one_sweep(
    world: World, apps: Apps, kind: FailureKind
) -> None:
    everyone = [*WELL, *DEAD]
    apps.connect(everyone, shards=8)
    world.advance(21 * 60)
    apps.unanswered, apps.kind = set(everyone), kind
    for minute in range(10):
        world.observer.counts.clear()
        apps.sweep()
        assert world.observer.counts["OutageNoticed"] == 1, minute
        assert len(set(apps.asked)) <= FEW
        world.advance(60)
    apps.unanswered.clear()
    apps.sweep()
    assert len(apps.asked) > len(everyone) - FEW
    world.advance(120)
    apps.sweep()
    assert {world.credential(client_id).status for client_id in everyone} == {Status.CONNECTED}


def test_an_outage_is_noticed_although_many_had_trouble_before(world: World, apps: Apps) -> None:
    apps.connect([*WELL, *DEAD])
    world.advance(19 * 60)
    apps.unanswered = set(DEAD)
    apps.sweep()
    world.advance(60)
    apps.sweep()
    assert world.observer.counts["OutageNoticed"] == 0
    world.advance(20 * 60)
    apps.unanswered = {*WELL, *DEAD}
    apps.sweep()
    assert world.observer.counts["OutageNoticed"] == 1
    assert len(set(apps.asked)) <= FEW


def test_the_trouble_of_a_few_is_no_outage_even_if_no_other_is_due(world: World, apps: Apps) -> None:
    apps.connect(DEAD[:10])
    world.advance(19 * 60)
    apps.unanswered = set(DEAD[:5])
    apps.sweep()
    for _ in range(5):
        world.advance(60)
        apps.sweep()
    assert world.observer.counts["OutageNoticed"] == 0


def test_one_that_hangs_holds_up_neither_the_others_nor_the_events(world: World, apps: Apps) -> None:
    apps.connect([*WELL[:5], DEAD[0]])
    world.xero.failures.append(FailureKind.UNANSWERED)
    world.submit("F" * 32, secret=CLIENT_SECRET)
    world.advance(21 * 60)
    done, published = Event(), Event()
    hang = world.xero.refresh
    publish = world.event_bus.publish

    def hanging(pair: ClientPair, *, refresh_token: str, within: timedelta | None = None) -> TokenAnswer:
        if pair.client_id == DEAD[0]:
            # Until all the others are through and their events are out.
            assert done.wait(timeout=20)
        return hang(pair, refresh_token=refresh_token, within=within)

    def publishing(*args: object, **kwargs: object) -> None:
        published.set()
        publish(*args, **kwargs)  # type: ignore[arg-type] # handed on

    def release() -> None:
        assert published.is_set()
        assert all(world.credential(client_id).generation == 2 for client_id in WELL[:5])
        done.set()

    world.xero.refresh = hanging  # type: ignore[method-assign] # hangs for one
    world.event_bus.publish = publishing  # type: ignore[method-assign] # tells
    timer = Timer(1, release)
    timer.start()
    apps.sweep()
    timer.join()
    assert done.is_set()


def test_forty_that_xero_is_slow_for_and_come_first_hold_up_nobody(world: World, apps: Apps) -> None:
    apps.connect(SLOW)
    world.advance(60)
    apps.connect(WELL)
    world.advance(21 * 60)
    began, release = world.now, Event()
    hanging: list[str] = []
    waited: dict[str, timedelta] = {}
    answer = world.xero.refresh

    def slow_for_some(pair: ClientPair, *, refresh_token: str, within: timedelta | None = None) -> TokenAnswer:
        if pair.client_id in SLOW:
            hanging.append(pair.client_id)
            # Until all the others are through; the first of them lets time pass.
            for _ in range(2000):
                if release.wait(timeout=0.01):
                    break
                world.pause(0.1 if hanging[0] == pair.client_id else 0)
            return answer(pair, refresh_token=refresh_token, within=within)
        waited[pair.client_id] = world.now - began
        if len(waited) == len(WELL):
            release.set()
        return answer(pair, refresh_token=refresh_token, within=within)

    world.xero.refresh = slow_for_some  # type: ignore[method-assign] # hangs for some
    outcomes = world.app.sweep_due_credentials(shards=["0"], deadline=began + timedelta(seconds=90))
    assert release.is_set()
    assert outcomes == {"refreshed": len(SLOW) + len(WELL)}
    assert waited.keys() == set(WELL)
