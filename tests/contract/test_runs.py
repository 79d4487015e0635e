"""What `Runs` promises, on the fake and on DynamoDB."""

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

import pytest

from tests.contract.conftest import DynamoDBTable, double_of
from tests.fakes.stores import InMemoryRuns
from tests.fakes.world import NOON
from xero_connector.adapters.dynamodb_runs import DynamoDBRuns
from xero_connector.domain.errors import RevisionConflict, RowUnreadable, StoreUnavailable
from xero_connector.domain.ports import Runs
from xero_connector.domain.run import Run

if TYPE_CHECKING:
    from tests.doubles.dynamodb import StrictDynamoDB

UNTIL = NOON + timedelta(seconds=65)


@pytest.fixture(params=["in_memory", "moto", "strict"])
def runs(request: pytest.FixtureRequest) -> Runs:
    if request.param == "in_memory":
        return InMemoryRuns()
    table: DynamoDBTable = double_of(request, "table")
    return DynamoDBRuns(table.client, table.name)


def begin(runs: Runs, schedule: str = "0") -> Run:
    return runs.begin(replace(runs.latest(schedule), begins_until=UNTIL))


def test_before_the_first_run_there_is_none(runs: Runs) -> None:
    assert runs.latest("0") == Run(schedule="0")


def test_each_run_is_the_one_after_the_latest(runs: Runs) -> None:
    first = begin(runs)
    assert first == runs.latest("0") == Run(schedule="0", number=1, begins_until=UNTIL)
    assert begin(runs).number == 2


def test_of_two_that_begin_at_once_one_is_the_next(runs: Runs) -> None:
    for _ in range(2):
        latest = runs.latest("0")
        won = runs.begin(replace(latest, begins_until=UNTIL))
        with pytest.raises(RevisionConflict):
            runs.begin(replace(latest, begins_until=NOON))
        assert runs.latest("0") == won


def test_schedules_have_runs_of_their_own(runs: Runs) -> None:
    begin(runs, "0")
    assert runs.latest("1") == Run(schedule="1")
    assert begin(runs, "1").number == 1


def test_a_run_that_has_ended_begins_nothing(runs: Runs) -> None:
    run = begin(runs)
    assert run.is_at_work(NOON)
    runs.end(run)
    ended = runs.latest("0")
    assert (ended.number, ended.begins_until, ended.is_at_work(NOON)) == (1, None, False)


def test_a_run_that_was_taken_over_ends_no_other(runs: Runs) -> None:
    before = begin(runs)
    present = begin(runs)
    runs.end(before)
    assert runs.latest("0") == present


def test_a_run_is_at_work_until_its_time_is_up() -> None:
    run = Run(schedule="0", number=1, begins_until=UNTIL)
    assert run.is_at_work(UNTIL - timedelta(seconds=1))
    assert not run.is_at_work(UNTIL)


@pytest.mark.parametrize("odd", [{"run_number": {"S": "1"}}, {"begins_until": {"S": "soon"}}])
def test_a_run_that_cannot_be_read_is_told_as_such(
    strict_dynamodb: "StrictDynamoDB", strict_table: DynamoDBTable, odd: dict[str, Any]
) -> None:
    runs = DynamoDBRuns(strict_table.client, strict_table.name)
    begin(runs)
    strict_dynamodb.items["RUN#0", "RUN"] |= odd
    with pytest.raises(RowUnreadable):
        runs.latest("0")


def test_trouble_at_aws_is_a_failure_of_the_store(strict_table: DynamoDBTable) -> None:
    runs = DynamoDBRuns(cast("Any", strict_table.client), "nowhere")
    for call in (lambda: runs.latest("0"), lambda: begin(runs), lambda: runs.end(Run(schedule="0", number=1))):
        with pytest.raises(StoreUnavailable):
            call()
