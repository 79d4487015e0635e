"""One run begins refreshes at a time, although runs overlap."""

from datetime import timedelta

import pytest

from tests.fakes.interruptions import step_in
from tests.fakes.stores import InMemoryRuns
from tests.fakes.world import NOON, SETTINGS, World
from xero_connector.application import Application
from xero_connector.domain.errors import RevisionConflict, StoreUnavailable
from xero_connector.domain.run import Run
from xero_connector.services.pace import Pace
from xero_connector.services.take_over import RunAtWork, TakeOver
from xero_connector.use_cases import sweep_due_credentials

UNTIL = NOON + timedelta(seconds=65)


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def runs() -> InMemoryRuns:
    return InMemoryRuns()


@pytest.fixture
def take_over(world: World, runs: InMemoryRuns) -> TakeOver:
    return TakeOver(runs, world.clock, world.pause)


def begin(take_over: TakeOver) -> RunAtWork:
    return take_over("0", until=UNTIL)


def away() -> None:
    raise StoreUnavailable("GetItem", "ThrottlingException")


def test_the_first_run_waits_for_nobody(world: World, take_over: TakeOver) -> None:
    assert not begin(take_over).is_superseded()
    assert world.now == NOON


def test_a_run_waits_until_the_one_before_has_noticed(world: World, take_over: TakeOver) -> None:
    before = begin(take_over)
    present = begin(take_over)
    assert world.now == NOON + timedelta(seconds=2)
    assert before.is_superseded()
    assert not present.is_superseded()


def test_a_run_that_ended_is_not_waited_for(world: World, take_over: TakeOver) -> None:
    begin(take_over).end()
    begin(take_over)
    assert world.now == NOON


def test_a_run_that_died_is_waited_for_no_longer_than_it_could_have_worked(
    world: World, take_over: TakeOver
) -> None:
    begin(take_over)
    world.advance(65)
    begin(take_over)
    assert world.now == UNTIL


def test_it_looks_every_second_and_no_more_often(world: World, runs: InMemoryRuns, take_over: TakeOver) -> None:
    run = begin(take_over)
    runs.begin(Run(schedule="0", number=1, begins_until=UNTIL))
    world.pause(0.9)
    assert not run.is_superseded()
    world.pause(0.1)
    assert run.is_superseded()


def test_what_cannot_be_looked_up_changes_nothing(world: World, runs: InMemoryRuns, take_over: TakeOver) -> None:
    run = begin(take_over)
    begin(take_over)
    step_in(runs, "latest", before=away)
    assert not run.is_superseded()
    world.pause(1)
    assert run.is_superseded()
    step_in(runs, "end", before=away)
    run.end()


def test_of_many_that_begin_at_once_each_takes_over_in_the_end(runs: InMemoryRuns, take_over: TakeOver) -> None:
    def another() -> None:
        runs.begin(Run(schedule="0", number=runs.latest("0").number))

    step_in(runs, "begin", before=another)
    assert begin(take_over).run.number == 2
    runs.begin = lambda run: (_ for _ in ()).throw(RevisionConflict(run.schedule))  # type: ignore[method-assign]
    with pytest.raises(RevisionConflict):
        begin(take_over)


# In a sweep


@pytest.fixture
def many(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """Five that are due, which is more than a few here."""
    monkeypatch.setattr(sweep_due_credentials, "_A_FEW", 4)
    for number in range(5):
        world.connect(f"CLIENT{number}")
    world.advance(21 * 60)
    pace = Pace(1, clock=world.clock, pause=world.pause)
    world.app = Application(world.ports, SETTINGS, pace=pace)
    return world


def sweep(world: World) -> dict[str, int]:
    return dict(world.app.sweep_due_credentials(shards=["0"], deadline=world.now + timedelta(seconds=90)))


def test_a_run_stops_when_the_next_one_takes_over_and_leaves_it_the_rest(many: World) -> None:
    def another() -> None:
        latest = many.ports.runs.latest("0")
        many.ports.runs.begin(latest)

    step_in(many.xero, "refresh", before=another)
    outcomes = sweep(many)
    assert outcomes["left_for_later"] >= 2
    assert outcomes["refreshed"] + outcomes["left_for_later"] == 5
    assert sweep(many) == {"refreshed": outcomes["left_for_later"]}


def test_after_a_run_nobody_waits(many: World) -> None:
    assert sweep(many) == {"refreshed": 5}
    assert not many.ports.runs.latest("0").is_at_work(many.now)


def test_a_run_that_cannot_take_over_works_and_then_fails(many: World) -> None:
    step_in(many.ports.runs, "latest", before=away)
    with pytest.raises(StoreUnavailable):
        sweep(many)
    assert {row.generation for row in many.registry.rows.values()} == {2}


def test_for_a_few_nobody_takes_over(many: World) -> None:
    many.registry.rows.pop("CLIENT0")
    assert sweep(many) == {"refreshed": 4}
    assert many.ports.runs.latest("0") == Run(schedule="0")
