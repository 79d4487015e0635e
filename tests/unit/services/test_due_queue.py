"""In which order what is due has its turn, and how little of it is read before."""

from collections.abc import Sequence
from concurrent.futures import Future
from datetime import datetime, timedelta

import pytest

from tests.fakes.builders import a_credential
from tests.fakes.world import NOON
from xero_connector.domain.credential import Credential
from xero_connector.domain.status import Status
from xero_connector.services.due_queue import AHEAD, DueQueue, Turn

A_MINUTE = timedelta(minutes=1)


class Registry:
    """Answers at once, unless it is told to hold back."""

    def __init__(self, credentials: Sequence[Credential]) -> None:
        self.rows = {credential.client_id: credential for credential in credentials}
        self.read: list[str] = []
        self.held_back: dict[str, Future[Credential | None]] = {}

    def __call__(self, client_id: str) -> Future[Credential | None]:
        self.read.append(client_id)
        future: Future[Credential | None] = Future()
        if client_id in self.held_back:
            self.held_back[client_id] = future
        else:
            future.set_result(self.rows.get(client_id))
        return future


def well(number: int) -> Credential:
    return a_credential(f"well-{number:04}", status=Status.CONNECTED, generation=1, due_at=NOON)


def troubled(name: str, *, attempt: datetime | None = None, token: datetime | None = None) -> Credential:
    return a_credential(
        name,
        status=Status.DEGRADED,
        failures=1,
        generation=1,
        due_at=NOON,
        attempt_started_at=attempt,
        access_token_expires_at=token,
    )


def queue_of(credentials: Sequence[Credential]) -> DueQueue:
    registry = Registry(credentials)
    return DueQueue(list(registry.rows), registry, lambda _, read: read.result(), NOON)


def order(queue: DueQueue, *, flowing: bool = True, room_for_well: bool = True) -> list[str]:
    names = []
    while (turn := queue.next(well=room_for_well, troubled=True, flowing=flowing)) is not None:
        names.append(turn.client_id)
    return names


@pytest.fixture
def many() -> list[Credential]:
    return [well(number) for number in range(100)]


def test_where_all_flows_the_longest_overdue_go_first(many: list[Credential]) -> None:
    assert order(queue_of(many)) == [credential.client_id for credential in many]


def test_where_it_does_not_every_second_one_is_of_the_later_half(many: list[Credential]) -> None:
    first = order(queue_of(many), flowing=False)
    assert first[:6] == ["well-0000", "well-0050", "well-0001", "well-0051", "well-0002", "well-0052"]
    assert sorted(first) == [credential.client_id for credential in many]


def test_a_few_are_read_before_their_turn(many: list[Credential]) -> None:
    registry = Registry(many)
    queue = DueQueue(list(registry.rows), registry, lambda _, read: read.result(), NOON)
    queue.await_first()
    assert len(registry.read) == 2 * AHEAD
    for _ in range(10):
        assert queue.next(well=True, troubled=True, flowing=True) is not None
    assert len(registry.read) <= 2 * AHEAD + 10
    assert len(queue) == len(many) - 10


def test_the_order_is_kept_where_a_read_takes_longer_than_the_next(many: list[Credential]) -> None:
    registry = Registry(many[:3])
    registry.held_back["well-0000"] = Future()
    queue = DueQueue(list(registry.rows)[:2], registry, lambda _, read: read.result(), NOON)
    # Of two, each is a half.
    assert queue.next(well=True, troubled=True, flowing=True) == Turn("well-0001", many[1], False, True)
    assert queue.next(well=True, troubled=True, flowing=True) is None
    assert len(queue) == 1
    registry.held_back["well-0000"].set_result(many[0])
    turn = queue.next(well=True, troubled=True, flowing=True)
    assert turn is not None
    assert (turn.client_id, len(queue)) == ("well-0000", 0)


def test_what_is_no_longer_due_has_no_turn(many: list[Credential]) -> None:
    registry = Registry(many[:2])
    queue = DueQueue(["gone", *registry.rows], registry, lambda _, read: read.result(), NOON)
    assert sorted(order(queue)) == ["well-0000", "well-0001"]


def test_while_others_wait_one_turn_in_twenty_is_of_those_with_trouble(many: list[Credential]) -> None:
    dead = [troubled(f"dead-{number}", token=NOON + A_MINUTE) for number in range(10)]
    names = order(queue_of([*dead, *many]))
    places = [place for place, name in enumerate(names) if name.startswith("dead")]
    assert places[:5] == [19, 39, 59, 79, 99]
    # And then all of them.
    assert places[5:] == [105, 106, 107, 108, 109]


def test_where_nobody_waits_those_with_trouble_begin_at_once() -> None:
    assert order(queue_of([troubled("dead", token=NOON + A_MINUTE)])) == ["dead"]


def test_those_with_trouble_wait_for_room_in_their_own_lane_only(many: list[Credential]) -> None:
    queue = queue_of([*many[:3], troubled("dead", token=NOON + A_MINUTE)])
    assert queue.next(well=False, troubled=True, flowing=True) is None
    for _ in range(3):
        turn = queue.next(well=True, troubled=False, flowing=True)
        assert turn is not None
        assert not turn.troubled
    assert queue.next(well=True, troubled=False, flowing=True) is None
    assert order(queue, room_for_well=False) == ["dead"]


def test_of_those_with_trouble_the_one_goes_first_that_loses_something_first() -> None:
    rows = [
        troubled("token-9", token=NOON + 9 * A_MINUTE),
        troubled("replay-3", attempt=NOON - 27 * A_MINUTE, token=NOON + 8 * A_MINUTE),
        troubled("token-4", token=NOON + 4 * A_MINUTE),
        troubled("replay-20-token-gone", attempt=NOON - 10 * A_MINUTE, token=NOON - 1 * A_MINUTE),
        troubled("token-1", attempt=NOON - 2 * A_MINUTE, token=NOON + 1 * A_MINUTE),
    ]
    assert order(queue_of(rows)) == ["token-1", "replay-3", "token-4", "token-9", "replay-20-token-gone"]


def test_those_for_which_it_is_too_late_have_every_fourth_turn_and_starve_nobody() -> None:
    late = [troubled(f"late-{number}", token=NOON - A_MINUTE) for number in range(3)]
    none = troubled("none")
    in_time = [troubled(f"soon-{number}", token=NOON + (number + 1) * A_MINUTE) for number in range(4)]
    names = order(queue_of([*late, none, *in_time]))
    assert [name.startswith("soon") for name in names] == [True, True, True, False, True, False, False, False]


def test_one_with_trouble_is_read_again_when_its_turn_comes() -> None:
    (turn,) = [queue_of([troubled("dead")]).next(well=True, troubled=True, flowing=True)]
    assert turn == Turn("dead", None, True, True)
