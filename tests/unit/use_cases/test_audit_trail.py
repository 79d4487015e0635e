from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.fakes.interruptions import ProcessDied, die, step_in
from tests.fakes.world import ADMIN, CLIENT_ID, NOON, World
from xero_connector.domain.errors import NotFound, StoreUnavailable
from xero_connector.domain.history import CONNECTOR, Action, HistoryEntry
from xero_connector.domain.status import Status
from xero_connector.domain.token_endpoint import FailureKind

OTHER = "arn:aws:sts::123456789012:assumed-role/support/erin"
USER = "xero_user:user-1"


def trail(world: World) -> list[HistoryEntry]:
    """Oldest first, through pages of three."""
    found: list[HistoryEntry] = []
    next_token = None
    while True:
        page = world.app.read_history(CLIENT_ID, limit=3, next_token=next_token)
        found += page.items
        next_token = page.next_token
        if next_token is None:
            return found[::-1]


def who_did_what(world: World) -> list[tuple[str, str]]:
    return [(entry.by, entry.action.value) for entry in trail(world)]


def events(world: World) -> list[str]:
    return [event.event_type for event in world.event_bus.published]


def test_a_whole_life(world: World) -> None:
    world.submit()
    world.advance(60)
    world.consent()
    world.app.refresh_now(CLIENT_ID, by=OTHER)
    world.app.revalidate_credential(CLIENT_ID, by=OTHER)
    world.xero.secrets[CLIENT_ID] = "new"
    world.sweep_when_due()
    world.app.replace_client_secret(CLIENT_ID, "new", by=OTHER)
    world.app.disconnect_credential(CLIENT_ID, by=ADMIN)
    assert who_did_what(world) == [
        (ADMIN, "submitted"),
        (CONNECTOR, "validated"),
        (ADMIN, "connect_link_created"),
        (ADMIN, "connect_link_created"),
        (USER, "connected"),
        (OTHER, "refresh_requested"),
        (OTHER, "validation_requested"),
        (CONNECTOR, "client_rejected"),
        (OTHER, "secret_replaced"),
        (CONNECTOR, "connected"),
        (ADMIN, "disconnect_requested"),
        (CONNECTOR, "disconnected"),
    ]
    assert events(world) == [
        "CredentialValidated",
        "CredentialConnected",
        "ClientRejected",
        "CredentialConnected",
        "CredentialDisconnected",
    ]
    entries = trail(world)
    assert (entries[0].at, entries[0].status) == (NOON, "validated")
    assert [entry.at for entry in entries] == sorted(entry.at for entry in entries)
    assert len({entry.entry_id for entry in entries}) == len(entries)


def test_the_history_of_no_credential(world: World) -> None:
    with pytest.raises(NotFound):
        world.app.read_history(CLIENT_ID, limit=3, next_token=None)


def test_ordinary_refreshes_leave_no_entry(world: World) -> None:
    world.connect()
    before = trail(world)
    for _ in range(5):
        world.sweep_when_due()
    assert trail(world) == before


def test_trouble_that_passes_is_told_once_each_way(world: World) -> None:
    world.connect()
    world.xero.failures.extend([FailureKind.UNAVAILABLE] * 3)
    for _ in range(4):
        world.sweep_when_due()
    assert who_did_what(world)[-2:] == [(CONNECTOR, "degraded"), (CONNECTOR, "recovered")]
    degraded = next(entry for entry in trail(world) if entry.action is Action.DEGRADED)
    assert degraded.detail == "Xero is not available at the moment."
    assert events(world)[-1] == "CredentialConnected"


def test_a_dead_grant_is_one_event_with_a_link_that_works(world: World) -> None:
    world.connect()
    world.xero.failures.extend([FailureKind.INVALID_GRANT] * 4)
    world.sweep_when_due()
    assert "ReauthorizationRequired" not in events(world)
    world.sweep_when_due()
    assert world.credential().status is Status.REAUTHORIZATION_REQUIRED
    for _ in range(5):
        world.advance(3600)
        world.sweep()
    assert events(world).count("ReauthorizationRequired") == 1
    detail = world.event_bus.published[-1].detail
    assert detail["reason"]["code"] == "invalid_grant"
    ticket = detail["connect_url"].rsplit("/", 1)[1]
    assert world.app.start_consent(ticket, binding=None).authorization_url
    assert ticket not in repr(world.registry.entries)


def test_a_pending_pair_that_is_decided_is_an_event(world: World) -> None:
    world.xero.failures.append(FailureKind.UNAVAILABLE)
    world.submit()
    assert events(world) == []
    world.sweep_when_due()
    assert events(world) == ["CredentialValidated"]


def test_a_pending_pair_that_is_wrong_is_an_event(world: World) -> None:
    world.xero.failures.append(FailureKind.UNAVAILABLE)
    world.submit(known_to_xero=False)
    world.reject()
    assert events(world) == ["CredentialRejected"]
    assert world.event_bus.published[0].detail["reason"]["code"] == "invalid_client"


def test_a_refused_pair_leaves_no_event(world: World) -> None:
    with pytest.raises(Exception, match="refuses"):
        world.submit(known_to_xero=False)
    assert (events(world), world.registry.entries) == ([], {})


def test_a_later_life_goes_on_in_the_same_trail(world: World) -> None:
    world.connect()
    world.app.disconnect_credential(CLIENT_ID, by=ADMIN)
    world.submit()
    assert who_did_what(world)[-3:] == [
        (ADMIN, "submitted"),
        (CONNECTOR, "validated"),
        (ADMIN, "connect_link_created"),
    ]


def test_a_consent_that_was_cut_off_is_told_once(world: World) -> None:
    world.submit()
    step_in(world.vault, "put_tokens", after=die)
    with pytest.raises(ProcessDied):
        world.consent()
    world.advance(61)
    world.sweep()
    assert events(world) == ["CredentialValidated", "CredentialConnected"]
    assert who_did_what(world)[-1] == ("xero_user", "connected")


# The event bus is away


def test_what_could_not_be_published_goes_out_with_the_schedule(world: World) -> None:
    world.event_bus.down = True
    world.submit()
    assert world.observer.counts["EventPostponed"] == 1
    world.advance(60)
    world.sweep()
    assert events(world) == []
    world.event_bus.down = False
    world.sweep()
    world.sweep()
    assert events(world) == ["CredentialValidated"]


def test_a_lost_answer_makes_an_event_go_out_again_under_the_same_id(world: World) -> None:
    world.event_bus.answers_lost = True
    world.submit()
    world.event_bus.answers_lost = False
    world.advance(60)
    world.sweep()
    first, second = world.event_bus.published
    assert first == second


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_process_that_dies_while_publishing_loses_no_event(world: World, when: str) -> None:
    if when == "before":
        step_in(world.event_bus, "publish", before=die)
    else:
        step_in(world.event_bus, "publish", after=die)
    with pytest.raises(ProcessDied):
        world.submit()
    assert world.credential().status is Status.VALIDATED
    world.advance(31)
    world.sweep()
    assert len({event.detail["event_id"] for event in world.event_bus.published}) == 1


def test_what_waits_is_measured(world: World) -> None:
    world.event_bus.down = True
    world.submit()
    world.advance(600)
    world.sweep()
    assert ("EventLag", timedelta(minutes=10).total_seconds()) in world.observer.measures


def test_an_event_bus_that_is_away_never_fails_a_request(world: World) -> None:
    world.event_bus.down = True
    assert world.connect().status is Status.CONNECTED
    assert world.app.disconnect_credential(CLIENT_ID, by=ADMIN).status is Status.DISCONNECTED


def test_the_sequence_of_events_grows(world: World) -> None:
    world.connect()
    world.app.disconnect_credential(CLIENT_ID, by=ADMIN)
    world.connect()
    sequence = [event.detail["sequence"] for event in world.event_bus.published]
    assert sequence == sorted(set(sequence))


def test_an_entry_has_the_time_of_its_own_write(world: World) -> None:
    world.connect()
    step_in(world.registry, "save", after=lambda: world.advance(5))  # taking the lease
    world.app.disconnect_credential(CLIENT_ID, by=ADMIN)
    requested = next(entry for entry in trail(world) if entry.action is Action.DISCONNECT_REQUESTED)
    assert requested.at == NOON + timedelta(seconds=5)


def refuse(world: World, monkeypatch: pytest.MonkeyPatch, *client_ids: str) -> None:
    """Have the event bus refuse the events of some credentials for themselves."""
    publish = world.event_bus.publish

    def picky(event_type: str, detail: Mapping[str, Any], *, at: datetime) -> None:
        if detail["client_id"] in client_ids:
            raise StoreUnavailable("PutEvents", "InvalidArgument")
        publish(event_type, detail, at=at)

    monkeypatch.setattr(world.event_bus, "publish", picky)


def test_events_that_are_refused_for_themselves_hold_up_no_other(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = [f"APP{number}" for number in range(10)]
    world.event_bus.down = True
    for client_id in (*refused, "B", "C"):
        world.submit(client_id)
    world.event_bus.down = False
    refuse(world, monkeypatch, *refused)
    world.advance(60)
    world.sweep()
    assert [event.detail["client_id"] for event in world.event_bus.published] == ["B", "C"]


def test_a_bus_that_is_away_is_not_asked_for_every_event(world: World) -> None:
    world.event_bus.down = True
    for number in range(40):
        world.submit(f"APP{number}")
    world.advance(60)
    world.observer.counts.clear()
    world.sweep()
    assert world.observer.counts["EventPostponed"] == 25


def test_what_waits_is_measured_even_where_there_is_no_time_left_for_it(world: World) -> None:
    world.event_bus.down = True
    world.submit()
    world.event_bus.down = False
    world.advance(600)
    world.app.sweep_due_credentials(shards=["0"], deadline=world.now + timedelta(seconds=9))
    assert world.event_bus.published == []
    assert ("EventLag", 600.0) in world.observer.measures
