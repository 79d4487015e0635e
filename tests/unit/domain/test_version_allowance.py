import math
from collections.abc import Sequence
from datetime import datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.world import NOON
from xero_connector.domain.refresh_policy import next_refresh
from xero_connector.domain.version_allowance import CAPACITY, REFILL, VersionAllowance

QUOTA = 100
A_DAY = timedelta(hours=24)
moments = st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1)).map(  # noqa: DTZ001 - the zone comes next
    lambda moment: moment.replace(tzinfo=NOON.tzinfo)
)


def most_in_a_day(draws: Sequence[datetime]) -> int:
    """The largest number of draws in any 24 hours, both ends included."""
    return max(
        (sum(first <= draw <= first + A_DAY for draw in draws[index:]) for index, first in enumerate(draws)),
        default=0,
    )


def test_a_new_secret_has_the_whole_capacity_to_spare() -> None:
    allowance = VersionAllowance.full(NOON)
    for _ in range(CAPACITY):
        assert not allowance.wait_for_spare(NOON)
        allowance = allowance.drawn(NOON)
    assert allowance.wait_for_spare(NOON) == REFILL


def test_asking_as_often_as_possible_yields_ninety_a_day() -> None:
    allowance, now, draws = VersionAllowance.full(NOON), NOON, list[datetime]()
    while now < NOON + 2 * A_DAY:
        if not allowance.wait_for_spare(now):
            draws.append(now)
            allowance = allowance.drawn(now)
        else:
            now += timedelta(minutes=1)
    assert most_in_a_day(draws) == 90


@given(st.lists(st.floats(0, 4 * 3600), max_size=200))
def test_no_sequence_of_requests_gets_more_than_ninety_a_day(gaps: list[float]) -> None:
    allowance, now, draws = VersionAllowance.full(NOON), NOON, list[datetime]()
    for gap in gaps:
        now += timedelta(seconds=gap)
        if not allowance.wait_for_spare(now):
            draws.append(now)
            allowance = allowance.drawn(now)
    assert most_in_a_day(draws) <= 90


@given(st.text(min_size=1, max_size=8), st.lists(st.floats(0, 4 * 3600), max_size=120))
def test_with_the_schedule_drawing_unasked_the_quota_still_holds(client_id: str, gaps: list[float]) -> None:
    # The schedule refreshes 20 minutes ± 5 % after the last version, whatever the level is; each of its draws
    # can overdraw by those 5 %, so 72 of them by less than four versions.
    allowance, now, draws = VersionAllowance.full(NOON), NOON, [NOON]
    due_at = next_refresh(client_id, generation=1, obtained_at=NOON, expires_in=1800)
    for gap in gaps:
        asked_at = now + timedelta(seconds=gap)
        while due_at <= asked_at:
            now = due_at
            draws.append(now)
            allowance = allowance.drawn(now)
            due_at = next_refresh(client_id, generation=len(draws), obtained_at=now, expires_in=1800)
        now = asked_at
        if not allowance.wait_for_spare(now):
            draws.append(now)
            allowance = allowance.drawn(now)
            due_at = next_refresh(client_id, generation=len(draws), obtained_at=now, expires_in=1800)
    # The first version of a credential is its consent's: not asked for either.
    assert most_in_a_day(draws) <= 95 < QUOTA


@given(st.lists(moments, max_size=120))
def test_a_clock_that_jumps_about_gives_nothing_away(jumps: list[datetime]) -> None:
    allowance, draws = VersionAllowance.full(NOON), 0
    for now in jumps:
        if not allowance.wait_for_spare(now):
            draws += 1
            allowance = allowance.drawn(now)
    elapsed = max([NOON, *jumps]) - NOON
    assert draws <= CAPACITY + elapsed / REFILL + 1e-6


@given(st.floats(-10, CAPACITY), st.timedeltas(timedelta(), timedelta(days=400)))
def test_a_clock_that_went_back_refills_nothing(level: float, back: timedelta) -> None:
    allowance = VersionAllowance(level, NOON)
    assert allowance.level_at(NOON - back) == level
    assert allowance.drawn(NOON - back) == VersionAllowance(level - 1, NOON)


@given(st.floats(-10, CAPACITY), st.timedeltas(timedelta(), timedelta(days=2)))
def test_the_wait_is_long_enough_and_no_longer(level: float, later: timedelta) -> None:
    allowance, now = VersionAllowance(level, NOON), NOON + later
    wait = allowance.wait_for_spare(now)
    after = now + timedelta(seconds=math.ceil(wait.total_seconds()))
    # A clock shows microseconds, so the last one of them may be missing.
    assert allowance.wait_for_spare(after) <= timedelta(microseconds=1)
    if wait > timedelta(seconds=1):
        assert allowance.wait_for_spare(now + wait - timedelta(seconds=1)) > timedelta()


@given(st.integers(0, 200))
def test_a_draw_is_always_possible_and_has_to_be_earned_back(draws: int) -> None:
    allowance = VersionAllowance.full(NOON)
    for _ in range(draws):
        allowance = allowance.drawn(NOON)
    assert allowance.level == CAPACITY - draws
    assert not allowance.wait_for_spare(NOON + REFILL * max(0, draws + 1 - CAPACITY))


def test_the_level_never_exceeds_the_capacity() -> None:
    assert VersionAllowance.full(NOON).level_at(NOON + timedelta(days=100)) == CAPACITY
