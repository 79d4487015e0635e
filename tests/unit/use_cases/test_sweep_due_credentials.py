from dataclasses import replace
from datetime import timedelta

import pytest

from tests.fakes.interruptions import step_in
from tests.fakes.world import ADMIN, CLIENT_ID, World
from xero_connector.domain.ports import Due
from xero_connector.domain.status import Status
from xero_connector.domain.token_endpoint import FailureKind

OTHER = "F" * 32
MANY = [f"{number:032X}" for number in range(40)]


class UnforeseenError(Exception):
    """A defect."""


def sweep(world: World, *, seconds_left: float = 58, shards: tuple[str, ...] = ("0",)) -> dict[str, int]:
    deadline = world.now + timedelta(seconds=seconds_left)
    return dict(world.app.sweep_due_credentials(shards=shards, deadline=deadline))


def all_due(world: World, *client_ids: str) -> None:
    for client_id in client_ids:
        world.connect(client_id)
    world.advance(21 * 60)


def defect() -> None:
    raise UnforeseenError


def test_with_nothing_due_nothing_is_done(world: World) -> None:
    assert sweep(world) == {}
    world.connect()
    world.xero.calls.clear()
    assert sweep(world) == {}
    assert world.xero.calls == []


def test_everything_that_is_due_has_its_turn(world: World) -> None:
    all_due(world, *MANY)
    assert sweep(world) == {"refreshed": len(MANY)}
    assert {world.credential(client_id).generation for client_id in MANY} == {2}
    assert sweep(world) == {}


def test_only_the_named_shards_are_swept(world: World) -> None:
    world.registry.shards[OTHER] = "5"
    all_due(world, CLIENT_ID, OTHER)
    assert sweep(world, shards=("1", "2")) == {}
    assert sweep(world, shards=("5",)) == {"refreshed": 1}
    assert (world.credential().generation, world.credential(OTHER).generation) == (1, 2)
    assert sweep(world, shards=("0", "5")) == {"refreshed": 1}


def test_each_kind_of_unfinished_business_is_taken_on(world: World) -> None:
    connected, pending, leaving, refused = MANY[:4]
    world.connect(connected)
    world.connect(leaving)
    world.submit(refused)
    world.xero.failures.append(FailureKind.UNAVAILABLE)
    world.app.disconnect_credential(leaving, by=ADMIN)
    world.xero.failures.append(FailureKind.INVALID_CLIENT)
    world.app.revalidate_credential(refused, by=ADMIN)
    world.xero.failures.append(FailureKind.UNANSWERED)
    world.submit(pending)
    world.advance(21 * 60)
    assert sweep(world) == {"refreshed": 1, "validated": 2, "disconnected": 1}


def test_one_failing_credential_does_not_stop_the_others(world: World) -> None:
    all_due(world, *MANY)
    world.vault.unseen.add(world.credential(MANY[0]).tokens_version_id(1))
    assert sweep(world) == {"failed": 1, "refreshed": len(MANY) - 1}
    assert world.observer.counts["SecretUnreadable"] == 1


def test_an_unforeseen_error_shows_after_the_others_had_their_turn(world: World) -> None:
    all_due(world, *MANY)
    step_in(world.vault, "get_tokens", before=defect)
    with pytest.raises(UnforeseenError):
        sweep(world)
    assert sorted(world.credential(client_id).generation for client_id in MANY) == [1, *[2] * (len(MANY) - 1)]
    (fields,) = [fields for message, fields in world.observer.events if message == "sweep_done"]
    assert fields == {"due": len(MANY), "refreshed": len(MANY) - 1, "unforeseen": 1}


def test_a_credential_that_cannot_be_judged_does_not_keep_the_others_from_their_turn(world: World) -> None:
    all_due(world, *MANY)
    # No store hands on such a moment: it can be compared with no other.
    odd = replace(world.credential(MANY[0]), due_at=world.now.replace(tzinfo=None))
    world.registry.rows[MANY[0]] = odd
    index = [Due(world.now, client_id) for client_id in MANY]
    world.registry.due = lambda **_: index  # type: ignore[method-assign] # as the index has them
    with pytest.raises(TypeError):
        sweep(world)
    assert {world.credential(client_id).generation for client_id in MANY[1:]} == {2}
    assert world.credential(MANY[0]) == odd


def test_what_an_unforeseen_error_cut_off_is_due_again(world: World) -> None:
    all_due(world, CLIENT_ID)
    step_in(world.vault, "get_tokens", before=defect)
    with pytest.raises(UnforeseenError):
        sweep(world)
    world.advance(60)
    assert sweep(world) == {"refreshed": 1}


def test_near_the_deadline_nothing_is_begun(world: World) -> None:
    all_due(world, *MANY[:3])
    world.xero.calls.clear()
    assert sweep(world, seconds_left=24) == {"left_for_later": 3}
    assert world.xero.calls == []
    assert sweep(world, seconds_left=26) == {"refreshed": 3}


def test_what_a_sweep_finds_under_way_is_left_to_its_holder(world: World) -> None:
    all_due(world, CLIENT_ID)
    outcomes: list[dict[str, int]] = []

    def another_takes_the_lease() -> None:
        # Between the sweep's query and its own lease.
        world.registry.save(world.credential().leased("another", now=world.now, duration=timedelta(seconds=60)))

    step_in(world.registry, "save", before=another_takes_the_lease)
    outcomes.append(sweep(world))
    assert outcomes == [{"busy": 1}]
    assert world.credential().generation == 1


def test_a_tick_that_comes_twice_refreshes_once(world: World) -> None:
    all_due(world, CLIENT_ID)
    step_in(world.xero, "refresh", before=lambda: sweep(world))
    assert sweep(world) == {"refreshed": 1}
    assert world.credential().generation == 2
    assert world.xero.calls.count("refresh") == 1


def test_an_index_that_lags_does_no_harm(world: World) -> None:
    all_due(world, CLIENT_ID)
    due = world.registry.due(shard="0", now=world.now, limit=10)
    assert sweep(world) == {"refreshed": 1}
    world.registry.due = lambda **_: due  # type: ignore[method-assign] # an answer from the past
    assert sweep(world) == {"skipped": 1}
    assert world.credential().generation == 2


def test_a_credential_that_vanished_is_skipped(world: World) -> None:
    all_due(world, CLIENT_ID)
    step_in(world.registry, "get", before=world.registry.rows.clear)
    assert sweep(world) == {"skipped": 1}


def test_while_xero_is_away_for_everybody_most_keep_their_place(world: World) -> None:
    all_due(world, *MANY)
    world.xero.failures.extend([FailureKind.UNAVAILABLE] * len(MANY))
    outcomes = sweep(world)
    assert set(outcomes) == {"failed", "left_for_later"}
    assert outcomes["failed"] < len(MANY) / 2
    untouched = [client_id for client_id in MANY if world.credential(client_id).status is Status.CONNECTED]
    assert len(untouched) == outcomes["left_for_later"]
    assert {world.credential(client_id).failures for client_id in untouched} == {0}


def test_when_xero_is_back_everybody_has_a_turn(world: World) -> None:
    all_due(world, *MANY)
    world.xero.failures.extend([FailureKind.UNAVAILABLE] * len(MANY))
    sweep(world)
    world.xero.failures.clear()
    world.advance(60)
    sweep(world)
    assert {world.credential(client_id).generation for client_id in MANY} == {2}


def test_a_few_troubled_credentials_do_not_hold_up_the_rest(world: World) -> None:
    all_due(world, *MANY)
    world.xero.failures.extend([FailureKind.UNAVAILABLE] * 3)
    assert sweep(world) == {"failed": 3, "refreshed": len(MANY) - 3}


def test_a_pair_that_xero_refuses_is_no_outage(world: World) -> None:
    all_due(world, *MANY)
    world.xero.failures.extend([FailureKind.INVALID_CLIENT] * len(MANY))
    assert sweep(world) == {"failed": len(MANY)}
    assert {world.credential(client_id).status for client_id in MANY} == {Status.CLIENT_REJECTED}


def test_the_shortest_life_left_is_measured(world: World) -> None:
    all_due(world, CLIENT_ID)
    expires_at = world.credential().access_token_expires_at
    assert expires_at is not None
    left = (expires_at - world.now).total_seconds()
    sweep(world)
    assert ("SecondsLeft", left) in world.observer.measures


def test_an_attempt_of_unknown_outcome_is_counted_after_ten_minutes(world: World) -> None:
    world.connect()
    for _ in range(10):
        world.xero.failures.append(FailureKind.UNANSWERED)
        world.sweep_when_due()
    assert world.observer.gauges["UnfinishedAttempts"] == 0
    world.xero.failures.extend([FailureKind.UNANSWERED] * 2)
    world.sweep_when_due()
    world.sweep_when_due()
    assert world.observer.gauges["UnfinishedAttempts"] == 1
