"""What release 0.1.0 left in its shards is found, and costs a run two queries."""

from datetime import timedelta

import pytest

from tests.fakes.world import NOON
from xero_connector.domain.shards import shards_of_credentials, shards_of_events

PRESENT = ["0", "1", "2", "3"]
FORMER = ["4", "5", "6", "7"]
RUNS = 70


def moments(minutes: int) -> list[timedelta]:
    return [timedelta(minutes=minutes * run) for run in range(RUNS)]


@pytest.mark.parametrize("minutes", [1, 2, 3])
def test_a_run_looks_at_seven_shards(minutes: int) -> None:
    for moment in moments(minutes):
        looked_at = [*shards_of_credentials(PRESENT, NOON + moment), *shards_of_events(NOON + moment)]
        assert len(looked_at) == len(PRESENT) + 1 + 2


def longest_gap(looked_at: list[bool]) -> int:
    runs = [number for number, looked in enumerate(looked_at) if looked]
    return max(after - before for before, after in zip([-1, *runs], [*runs, RUNS], strict=True))


@pytest.mark.parametrize(("minutes", "gap"), [(1, 3), (2, 4), (3, 4)])
@pytest.mark.parametrize("shard", FORMER)
def test_a_former_shard_of_credentials_is_looked_at_again_and_again(shard: str, minutes: int, gap: int) -> None:
    looked_at = [shard in shards_of_credentials(PRESENT, NOON + moment) for moment in moments(minutes)]
    assert longest_gap(looked_at) <= gap


@pytest.mark.parametrize("minutes", [1, 2, 3])
@pytest.mark.parametrize("shard", ["1", "2", "3", "4", "5", "6", "7"])
def test_a_former_shard_of_events_is_looked_at_within_35_runs(shard: str, minutes: int) -> None:
    assert longest_gap([shard in shards_of_events(NOON + moment) for moment in moments(minutes)]) <= 35


def test_schedules_divide_the_former_shards_too() -> None:
    for moment in moments(1):
        now = NOON + moment
        together = shards_of_credentials(PRESENT, now)
        divided = [shard for share in (["0", "2"], ["1", "3"]) for shard in shards_of_credentials(share, now)]
        assert sorted(divided) == sorted(together)


def test_a_schedule_from_before_the_update_looks_at_no_shard_twice() -> None:
    for moment in moments(1):
        assert shards_of_credentials([*PRESENT, *FORMER], NOON + moment) == [*PRESENT, *FORMER]
