"""The number of credentials by status, as the schedule counts and tells it."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from tests.fakes.builders import a_credential
from tests.fakes.stores import InMemoryFleet
from tests.fakes.world import World
from xero_connector.domain.errors import RowUnreadable, StoreUnavailable
from xero_connector.domain.fleet import Counted, FleetCount
from xero_connector.domain.ports import Fleet
from xero_connector.domain.status import Status
from xero_connector.services import count_fleet
from xero_connector.services.count_fleet import CountFleet


@pytest.fixture
def world() -> World:
    return World()


def add(world: World, **numbers: int) -> None:
    for status, number in numbers.items():
        for serial in range(number):
            row = a_credential(f"{status}-{serial:05}", status=Status(status))
            world.registry.create(row, replacing=None)


RUNS = 1 + len(Status)
"""Of a count of few credentials: one looks for rows in another form, and each of the others counts a status."""


def gauges(world: World) -> dict[str, int]:
    return {name: value for name, value in world.observer.gauges.items() if name.startswith("Credentials")}


def told(world: World) -> dict[str, int]:
    """What a run tells, without what is zero."""
    world.observer.gauges.clear()
    world.sweep()
    return {name.removeprefix("Credentials."): value for name, value in gauges(world).items() if value}


def told_at_last(world: World) -> dict[str, int]:
    """What the run tells that ends the first count."""
    for _ in range(RUNS - 1):
        assert told(world) == {}
    return told(world)


def test_a_run_tells_how_many_credentials_there_are_in_each_status(world: World) -> None:
    add(world, connected=12, degraded=3, disconnected=1)
    assert told_at_last(world) == {"Credentials": 16, "connected": 12, "degraded": 3, "disconnected": 1}
    every = {"Credentials", *(f"Credentials.{status}" for status in Status)}
    assert gauges(world).keys() == every


def test_an_empty_registry_is_told_as_such(world: World) -> None:
    told_at_last(world)
    assert world.observer.gauges["Credentials"] == 0


def test_each_run_tells_and_five_minutes_after_a_count_another_begins(world: World) -> None:
    add(world, connected=1)
    assert told_at_last(world)["Credentials"] == 1
    add(world, degraded=1)
    for minute in range(1, 5 + RUNS):
        world.advance(60)
        assert told(world)["Credentials"] == (1 if minute < 4 + RUNS else 2)


def test_what_one_run_cannot_count_the_next_ones_do(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(count_fleet, "_MOST_IN_A_RUN", 10)
    add(world, validated=4, connected=25, disconnected=2)
    for _ in range(RUNS + 1):
        assert told(world) == {}
        world.advance(60)
    assert told(world) == {"Credentials": 31, "validated": 4, "connected": 25, "disconnected": 2}


def test_a_run_makes_one_query_to_count(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    queries = 0

    def query[**P, Answer](call: Callable[P, Answer]) -> Callable[P, Answer]:
        def counted(*args: P.args, **kwargs: P.kwargs) -> Answer:
            nonlocal queries
            queries += 1
            return call(*args, **kwargs)

        return counted

    monkeypatch.setattr(InMemoryFleet, "count", query(InMemoryFleet.count))
    monkeypatch.setattr(InMemoryFleet, "write_anew", query(InMemoryFleet.write_anew))
    for run in range(1, RUNS + 1):
        world.sweep()
        assert queries == run
    world.sweep()
    assert queries == RUNS


def test_one_of_several_schedules_counts(world: World) -> None:
    add(world, connected=1)
    for shards in (["1", "2"], ["2", "0"]):
        for _ in range(RUNS):
            world.app.sweep_due_credentials(shards=shards, deadline=world.deadline() + timedelta(minutes=1))
        assert gauges(world).get("Credentials") == (1 if "0" in shards else None)


class Troubled(InMemoryFleet):
    """A fleet of which one call fails."""

    failing = ""
    trouble: StoreUnavailable = StoreUnavailable("Query", "ThrottlingException")

    def _fail(self, name: str) -> None:
        if name == self.failing:
            raise self.trouble

    def read(self) -> FleetCount:
        self._fail("read")
        return super().read()

    def save(self, count: FleetCount) -> FleetCount:
        self._fail("save")
        return super().save(count)

    def count(self, status: Status, *, after: str | None, most: int) -> Counted:
        self._fail("count")
        return super().count(status, after=after, most=most)

    def write_anew(self, *, most: int) -> bool:
        self._fail("write_anew")
        return super().write_anew(most=most)


def a_count(world: World, fleet: Fleet) -> dict[str, int]:
    """Let runs count once; returns what the last one tells."""
    for _ in range(RUNS - 1):
        turn(world, fleet)
    return turn(world, fleet)


def turn(world: World, fleet: Fleet, *, left: float = 58) -> dict[str, int]:
    world.observer.gauges.clear()
    CountFleet(fleet, world.clock, world.observer)(deadline=world.now + timedelta(seconds=left))
    return dict(world.observer.gauges)


@pytest.mark.parametrize("failing", ["read", "save", "count", "write_anew"])
def test_what_cannot_be_counted_is_missing_and_fails_nothing(world: World, failing: str) -> None:
    fleet = Troubled(world.registry)
    assert a_count(world, fleet)["Credentials"] == 0
    world.advance(300)
    if failing == "count":
        turn(world, fleet)
    fleet.failing = failing
    assert turn(world, fleet) == {}
    (fields,) = [fields for message, fields in world.observer.events if message == "fleet_not_counted"]
    assert fields["code"] == "store_unavailable"
    fleet.failing = ""
    assert turn(world, fleet)["Credentials"] == 0


def test_a_count_that_cannot_be_read_is_missing(world: World) -> None:
    fleet = Troubled(world.registry)
    fleet.failing, fleet.trouble = "read", RowUnreadable("GetItem")
    assert turn(world, fleet) == {}


def test_of_two_runs_at_once_one_counts_and_the_other_is_silent(world: World) -> None:
    fleet = InMemoryFleet(world.registry)
    seen = fleet.read()
    turn(world, fleet)
    assert fleet.kept.revision == 1
    world.advance(300)

    class Late(InMemoryFleet):
        def read(self) -> FleetCount:
            return seen

    late = Late(world.registry)
    late.kept = fleet.kept
    assert turn(world, late) == {}
    assert late.kept == fleet.kept


def test_a_count_of_long_ago_is_not_told(world: World) -> None:
    fleet = Troubled(world.registry)
    assert a_count(world, fleet)["Credentials"] == 0
    world.advance(7199)
    assert turn(world, fleet, left=20)["Credentials"] == 0
    world.advance(1)
    assert turn(world, fleet, left=20) == {}


def test_without_time_nothing_is_counted(world: World) -> None:
    fleet = InMemoryFleet(world.registry)
    assert turn(world, fleet, left=25) == {}
    assert fleet.kept == FleetCount()


def test_nothing_is_counted_before_everything_has_its_form(world: World) -> None:
    class Former(InMemoryFleet):
        left = 3

        def write_anew(self, *, most: int) -> bool:
            assert most <= 100
            self.left -= 1
            return self.left >= 0

    fleet = Former(world.registry)
    for _ in range(3):
        assert turn(world, fleet) == {}
        assert fleet.kept == FleetCount()
    assert a_count(world, fleet)["Credentials"] == 0


def test_a_failing_count_leaves_the_sweep_as_it_is(world: World) -> None:
    connected = world.connect()
    assert connected.due_at is not None
    world.now = connected.due_at
    fleet = Troubled(world.registry)
    fleet.failing = "read"
    object.__setattr__(world.app.sweep_due_credentials.count_fleet, "fleet", fleet)
    assert world.sweep() == {"refreshed": 1}
