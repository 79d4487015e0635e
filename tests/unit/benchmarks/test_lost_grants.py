"""The counting of lost grants: a mistake in it would show as nothing but a better figure."""

from collections.abc import Callable, Mapping, Sequence

import pytest

from tests.benchmarks.kills import lost
from tests.benchmarks.rotation import InvalidGrantError, Rotation
from tests.fakes.world import NOON

CLIENT_IDS = [f"CLIENT{number}" for number in range(6)]
CONSENTED = "from the consent"
type Stored = dict[str, list[str]]
type Peer = Callable[[Rotation, Stored, str], None]


def rotation() -> Rotation:
    return Rotation(lambda: NOON)


def storing_before_it_goes_on(xero: Rotation, stored: Stored, client_id: str) -> None:
    (token,) = stored[client_id]
    xero.rotate(client_id, token, token + "+")
    stored[client_id] = [token + "+"]


def never_storing(xero: Rotation, stored: Stored, client_id: str) -> None:
    (token,) = stored[client_id]
    xero.rotate(client_id, token, token + "+")


def work(peer: Peer, xero: Rotation, stored: Stored) -> None:
    for client_id in CLIENT_IDS:
        try:
            peer(xero, stored, client_id)
        except InvalidGrantError:
            continue


def accepted(xero: Rotation, stored: Mapping[str, Sequence[str]]) -> Mapping[str, Sequence[str]]:
    return {name: [token for token in tokens if xero.accepts(name, token)] for name, tokens in stored.items()}


def lost_by(peer: Peer, *, minutes_to_the_restart: float) -> int:
    xero, stored = rotation(), {client_id: [CONSENTED] for client_id in CLIENT_IDS}
    work(peer, xero, stored)
    xero.advance(minutes_to_the_restart)
    work(peer, xero, stored)
    return lost(stored, accepted(xero, stored), CLIENT_IDS)


@pytest.mark.parametrize("minutes", [1, 29, 31, 1000])
def test_who_stores_before_going_on_loses_nothing(minutes: float) -> None:
    assert lost_by(storing_before_it_goes_on, minutes_to_the_restart=minutes) == 0


@pytest.mark.parametrize("minutes", [30, 31])
def test_who_never_stores_loses_all_once_the_grace_is_over(minutes: float) -> None:
    assert lost_by(never_storing, minutes_to_the_restart=minutes) == len(CLIENT_IDS)


def test_within_the_grace_the_token_before_is_still_good() -> None:
    assert lost_by(never_storing, minutes_to_the_restart=29) == 0


def test_the_grace_begins_when_a_token_is_first_presented() -> None:
    xero = rotation()
    xero.rotate("A", "1", "2")
    xero.advance(29)
    xero.rotate("A", "1", "3")
    xero.advance(2)
    assert not xero.accepts("A", "1")


def test_a_replay_kills_the_first_successor() -> None:
    xero = rotation()
    xero.rotate("A", "1", "2")
    xero.rotate("A", "1", "3")
    assert [xero.accepts("A", token) for token in "123"] == [True, False, True]


def test_any_stored_token_that_is_accepted_saves_the_grant() -> None:
    stored = {"A": ["dead", "alive"], "B": ["dead"], "C": []}
    assert lost(stored, {"A": ["alive"], "B": [], "C": []}, ["A", "B", "C", "D"]) == 3


def test_a_world_that_is_kept_does_not_change_with_the_one_that_goes_on() -> None:
    xero = rotation()
    xero.rotate("A", "1", "2")
    kept = xero.copy()
    xero.advance(31)
    xero.rotate("A", "2", "3")
    assert (kept.accepts("A", "1"), kept.accepts("A", "2"), kept.accepts("A", "3")) == (True, True, False)
    kept.advance(31)
    assert not kept.accepts("A", "1")
