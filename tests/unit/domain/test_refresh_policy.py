from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.world import CLIENT_ID, NOON
from xero_connector.domain.refresh_policy import (
    GRACE,
    LEASE,
    REACTIONS,
    confirms_dead_grant,
    next_refresh,
    retry_at,
)
from xero_connector.domain.status import Status
from xero_connector.domain.time_budget import POST_BUDGET
from xero_connector.domain.token_endpoint import INCONCLUSIVE, FailureKind

A_MINUTE = 60
client_ids = st.text(min_size=1, max_size=64)
generations = st.integers(1, 10**6)


def pauses(kind: FailureKind, *, retry_after: int | None = None, failures: int = 8) -> list[float]:
    return [
        (
            retry_at(kind, failures=number, retry_after=retry_after, now=NOON, unfinished_since=None) - NOON
        ).total_seconds()
        for number in range(1, failures + 1)
    ]


@given(client_ids, generations, st.integers(1800, 10**6))
def test_due_at_two_thirds_of_the_life_or_a_tenth_earlier(client_id: str, generation: int, life: int) -> None:
    due_at = next_refresh(client_id, generation=generation, obtained_at=NOON, expires_in=life)
    share = (due_at - NOON) / timedelta(seconds=life)
    assert 2 / 3 * 0.9 - 1e-6 <= share <= 2 / 3 + 1e-6


@given(client_ids, generations)
def test_a_reader_has_five_minutes_left_though_a_tick_is_late(client_id: str, generation: int) -> None:
    due_at = next_refresh(client_id, generation=generation, obtained_at=NOON, expires_in=1800)
    a_tick_apart_and_a_tick_late = timedelta(seconds=120)
    assert NOON + timedelta(seconds=1800) - (due_at + a_tick_apart_and_a_tick_late) >= timedelta(minutes=5)


@given(client_ids, generations)
def test_the_same_inputs_give_the_same_moment(client_id: str, generation: int) -> None:
    first, second = (
        next_refresh(client_id, generation=generation, obtained_at=NOON, expires_in=1800) for _ in range(2)
    )
    assert first == second


def test_credentials_that_were_connected_together_spread_out() -> None:
    moments = [
        next_refresh(f"client-{number}", generation=1, obtained_at=NOON, expires_in=1800) for number in range(1000)
    ]
    thirds = [0, 0, 0]
    for moment in moments:
        thirds[int((moment - NOON - timedelta(seconds=1080)) / timedelta(seconds=40))] += 1
    assert min(thirds) > 250


def test_each_generation_has_a_jitter_of_its_own() -> None:
    assert (
        len({next_refresh(CLIENT_ID, generation=n, obtained_at=NOON, expires_in=1800) for n in range(1, 100)}) > 90
    )


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (FailureKind.NOT_SENT, [60] + [120] * 7),
        (FailureKind.UNANSWERED, [60] * 8),
        (FailureKind.THROTTLED, [60] * 8),
        (FailureKind.UNAVAILABLE, [60] + [120] * 7),
        (FailureKind.EDGE_REFUSED, [60] + [120] * 7),
        (FailureKind.UNEXPECTED, [60] + [120] * 7),
        (FailureKind.INVALID_GRANT, [60] * 8),
        (FailureKind.INVALID_CLIENT, [300, 600, 1200, 2400, 3600, 3600, 3600, 3600]),
        (FailureKind.UNAUTHORIZED_CLIENT, [300, 600, 1200, 2400, 3600, 3600, 3600, 3600]),
    ],
)
def test_the_pauses_between_tries(kind: FailureKind, expected: list[float]) -> None:
    assert pauses(kind) == expected


def test_every_kind_of_failure_has_a_row() -> None:
    assert set(REACTIONS) == set(FailureKind)


@pytest.mark.parametrize("kind", FailureKind)
def test_the_pause_stays_bounded_however_long_it_lasts(kind: FailureKind) -> None:
    late = retry_at(kind, failures=10**6, retry_after=None, now=NOON, unfinished_since=None)
    assert late == NOON + REACTIONS[kind].longest_pause


def test_xero_s_own_pause_is_a_lower_bound() -> None:
    assert pauses(FailureKind.THROTTLED, retry_after=400, failures=5) == [400] * 5


def test_xero_s_own_pause_is_capped() -> None:
    assert pauses(FailureKind.THROTTLED, retry_after=86_400, failures=2) == [900, 900]
    assert pauses(FailureKind.UNAVAILABLE, retry_after=86_400, failures=2) == [900, 900]


def test_a_pause_of_nothing_is_still_a_pause() -> None:
    assert pauses(FailureKind.THROTTLED, retry_after=0, failures=1) == [60]


def test_only_a_definite_answer_or_no_connection_ends_an_attempt() -> None:
    finished = {kind for kind, reaction in REACTIONS.items() if reaction.attempt_finished}
    assert finished == {
        FailureKind.NOT_SENT,
        FailureKind.THROTTLED,
        FailureKind.INVALID_CLIENT,
        FailureKind.UNAUTHORIZED_CLIENT,
    }


@pytest.mark.parametrize("kind", FailureKind)
@pytest.mark.parametrize("retry_after", [None, 900, 86_400])
def test_a_token_that_may_be_rotated_is_presented_several_times_within_the_grace(
    kind: FailureKind, retry_after: int | None
) -> None:
    now, tries = NOON, 0
    while now + LEASE < NOON + GRACE:
        tries += 1
        now = retry_at(kind, failures=tries + 5, retry_after=retry_after, now=now, unfinished_since=NOON)
        now += timedelta(seconds=A_MINUTE)  # the tick that notices
    assert tries >= 5


@pytest.mark.parametrize(
    ("kind", "status"),
    [(kind, Status.DEGRADED) for kind in [*sorted(INCONCLUSIVE), FailureKind.INVALID_GRANT]]
    + [(FailureKind.INVALID_CLIENT, Status.CLIENT_REJECTED), (FailureKind.UNAUTHORIZED_CLIENT, Status.DEGRADED)],
)
def test_where_a_failure_leads(kind: FailureKind, status: Status) -> None:
    assert REACTIONS[kind].status is status


@pytest.mark.parametrize("kind", FailureKind)
@pytest.mark.parametrize("previous", [None, *FailureKind, "something else"])
def test_only_two_refusals_in_a_row_prove_a_grant_dead(kind: FailureKind, previous: str | None) -> None:
    dead = kind is FailureKind.INVALID_GRANT and previous == "invalid_grant"
    assert confirms_dead_grant(kind, previous_error=previous) is dead


def test_a_post_fits_into_a_lease() -> None:
    assert POST_BUDGET < LEASE
