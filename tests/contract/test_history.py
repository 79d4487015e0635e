"""What every `History` does with what a `Registry` wrote: the fakes, and the ones on each double of DynamoDB."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from uuid import UUID, uuid5

import pytest

from tests.contract.conftest import DynamoDBTable, double_of
from tests.fakes.builders import INCARNATION, a_credential
from tests.fakes.due import due_in
from tests.fakes.stores import InMemoryHistory, InMemoryRegistry
from tests.fakes.world import ADMIN, CLIENT_ID, NOON
from tests.fakes.xero import DEMO_COMPANY
from xero_connector.adapters.dynamodb_history import DynamoDBHistory
from xero_connector.adapters.dynamodb_registry import DynamoDBRegistry
from xero_connector.domain.credential import Credential
from xero_connector.domain.errors import MalformedRequest, RevisionConflict
from xero_connector.domain.events import entries_of
from xero_connector.domain.history import CONNECTOR, Action, HistoryEntry
from xero_connector.domain.ports import History, Registry
from xero_connector.domain.status import Status

A_SECOND = timedelta(seconds=1)
HALF_A_MINUTE = timedelta(seconds=30)
A_YEAR = timedelta(days=365)


@dataclass(frozen=True, slots=True)
class Store:
    """A registry, and the audit trail that it leaves behind."""

    registry: Registry
    history: History

    def create(self, row: Credential) -> Credential:
        return self.registry.create(row, replacing=None)

    def entries(self, client_id: str = CLIENT_ID) -> list[HistoryEntry]:
        return list(self.history.page(client_id, limit=1000, next_token=None).items)

    def pages(self, *, limit: int) -> list[list[HistoryEntry]]:
        pages: list[list[HistoryEntry]] = []
        token = None
        while True:
            page = self.history.page(CLIENT_ID, limit=limit, next_token=token)
            pages.append(list(page.items))
            token = page.next_token
            if token is None:
                return pages

    def unpublished(self, *, after: timedelta = HALF_A_MINUTE, limit: int = 100) -> list[HistoryEntry]:
        return list(self.history.unpublished(shard="0", now=NOON + after, limit=limit))


@pytest.fixture(params=["in_memory", "moto", "strict"])
def store(request: pytest.FixtureRequest) -> Store:
    if request.param == "in_memory":
        registry = InMemoryRegistry()
        return Store(registry, InMemoryHistory(registry))
    table: DynamoDBTable = double_of(request, "table")
    return Store(DynamoDBRegistry(table.client, table.name, shards=1), DynamoDBHistory(table.client, table.name))


def actions(entries: list[HistoryEntry]) -> list[Action]:
    return [entry.action for entry in entries]


def labelled(row: Credential, label: str) -> Credential:
    return replace(row, label=label).noted(Action.REFRESH_REQUESTED, by=label)


# Writing


def test_a_write_without_notes_leaves_nothing(store: Store) -> None:
    store.registry.save(store.create(a_credential()))
    assert store.entries() == []
    assert store.history.page(CLIENT_ID, limit=1, next_token=None).next_token is None


def test_notes_become_entries_with_the_row(store: Store) -> None:
    noted = a_credential().noted(Action.SUBMITTED, by=ADMIN).noted(Action.VALIDATED)
    store.create(noted)
    assert store.entries() == list(reversed(entries_of(replace(noted, revision=1))))
    validated, submitted = store.entries()
    assert (submitted.by, validated.by) == (ADMIN, CONNECTOR)
    assert (validated.revision, validated.position, validated.at) == (1, 1, NOON)
    assert (validated.event_type, submitted.event_type) == ("CredentialValidated", None)


def test_the_row_does_not_keep_its_notes(store: Store) -> None:
    created = store.create(a_credential().noted(Action.SUBMITTED, by=ADMIN))
    assert created == a_credential(revision=1) == store.registry.get(CLIENT_ID)
    saved = store.registry.save(created.noted(Action.VALIDATION_REQUESTED, by=ADMIN))
    assert saved == a_credential(revision=2) == store.registry.get(CLIENT_ID)
    store.registry.save(saved)
    assert actions(store.entries()) == [Action.VALIDATION_REQUESTED, Action.SUBMITTED]
    assert list(store.registry.page(status=None, limit=10, next_token=None).items) == [a_credential(revision=3)]


def test_every_field_is_kept(store: Store) -> None:
    connected = replace(
        store.create(a_credential(label="Elektro-Land · Ünicode 株式会社", tokens_secret_arn="arn:aws:x")),
        tenants=(DEMO_COMPANY,),
        granted_scopes=(),
        updated_at=NOON + timedelta(microseconds=1),
    )
    other = replace(DEMO_COMPANY, tenant_id="other", tenant_name='"Ö" \\ \n')
    noted = connected.move_to(Status.CONNECTED, by="user-1").reaching((other,)).noted(Action.REJECTED)
    store.registry.save(noted)
    expected = entries_of(replace(noted, revision=2))
    assert store.entries() == list(reversed(expected))
    assert store.unpublished() == list(expected)
    rejected, changed, _ = store.entries()
    assert rejected.event is not None
    assert rejected.event["reason"] is None
    assert rejected.event["sequence"] == 22
    assert changed.detail == '+ "Ö" \\ \n, - Demo Company (UK)'


LOSERS: list[Callable[[Store, Credential], object]] = [
    lambda store, seen: store.registry.save(labelled(seen, "loser")),
    lambda store, seen: store.registry.save(labelled(replace(seen, revision=7), "loser")),
    lambda store, seen: store.create(labelled(seen, "loser")),
    lambda store, seen: store.registry.create(labelled(seen, "loser"), replacing=seen),
    lambda store, _: store.registry.save(labelled(a_credential("absent"), "loser")),
]


@pytest.mark.parametrize("lose", LOSERS)
def test_a_write_that_loses_leaves_nothing(store: Store, lose: Callable[[Store, Credential], object]) -> None:
    seen = store.create(labelled(a_credential(), "first"))
    winner = store.registry.save(labelled(seen, "winner"))
    before = store.entries()
    with pytest.raises(RevisionConflict):
        lose(store, seen)
    assert store.registry.get(CLIENT_ID) == winner
    assert store.entries() == before
    assert [entry.by for entry in before] == ["winner", "first"]
    assert store.entries("absent") == []
    assert store.registry.get("absent") is None


def test_a_loser_s_notes_get_in_with_its_second_try(store: Store) -> None:
    seen = store.create(a_credential())
    store.registry.save(replace(seen, label="another's"))
    mine = labelled(seen, "mine")
    with pytest.raises(RevisionConflict):
        store.registry.save(mine)
    there = store.registry.get(CLIENT_ID)
    assert there is not None
    store.registry.save(labelled(there, "mine"))
    assert [entry.revision for entry in store.entries()] == [3]


def test_an_entry_s_id_tells_incarnation_write_and_position(store: Store) -> None:
    row = store.create(a_credential())
    store.registry.save(row.noted(Action.VALIDATED).noted(Action.REFRESH_REQUESTED))
    second, first = store.entries()
    assert first.entry_id == uuid5(INCARNATION, "history/2/0")
    assert second.entry_id == uuid5(INCARNATION, "history/2/1")
    assert first.event is not None
    assert first.event["event_id"] == str(first.entry_id)


def test_a_new_life_goes_on_with_the_history_of_the_one_before(store: Store) -> None:
    past = store.create(a_credential(status=Status.DISCONNECTING).noted(Action.SUBMITTED, by=ADMIN))
    past = store.registry.save(past.move_to(Status.DISCONNECTED))
    present = a_credential(incarnation=UUID(int=1)).noted(Action.SUBMITTED, by="another admin")
    store.registry.create(present, replacing=past)
    found = store.entries()
    assert actions(found) == [Action.SUBMITTED, Action.DISCONNECTED, Action.SUBMITTED]
    assert [entry.revision for entry in found] == [3, 2, 1]
    assert found[0].entry_id == uuid5(UUID(int=1), "history/3/0")


# Reading


def with_entries(store: Store, *, writes: int = 12, each: int = 1) -> list[HistoryEntry]:
    """Write often; the entries as they are to be read."""
    row = store.create(a_credential())
    for number in range(writes):
        for _ in range(each):
            row = row.noted(Action.REFRESH_REQUESTED, by=f"admin {number}")
        row = store.registry.save(row)
    return store.entries()


def test_the_newest_comes_first(store: Store) -> None:
    found = with_entries(store, writes=12, each=2)
    assert len(found) == 24
    order = [(entry.revision, entry.position) for entry in found]
    assert order == sorted(order, reverse=True)


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 6, 7, 11, 12, 13, 100])
def test_pages_hold_everything_once(store: Store, limit: int) -> None:
    found = with_entries(store, writes=6, each=2)
    pages = store.pages(limit=limit)
    assert [entry for page in pages for entry in page] == found
    assert all(len(page) == limit for page in pages[:-1])
    assert 0 < len(pages[-1]) <= limit


def test_a_page_goes_on_where_the_one_before_ended_whatever_was_written_since(store: Store) -> None:
    found = with_entries(store, writes=4)
    first = store.history.page(CLIENT_ID, limit=2, next_token=None)
    row = store.registry.get(CLIENT_ID)
    assert row is not None
    store.registry.save(labelled(row, "later"))
    second = store.history.page(CLIENT_ID, limit=2, next_token=first.next_token)
    assert [*first.items, *second.items] == found


def test_a_history_is_of_one_credential(store: Store) -> None:
    for client_id in ("A", "AB", "B"):
        store.create(a_credential(client_id).noted(Action.SUBMITTED, by=client_id))
    store.registry.reserve("A", owner="me", now=NOON, until=NOON + HALF_A_MINUTE)
    assert [entry.by for entry in store.entries("A")] == ["A"]
    assert store.entries("never heard of") == []


@pytest.mark.parametrize(
    "token", ["", "x", "!!!", "e30", "bnVsbA", "WzFd", "W10", "WzEsMl0", "MSwy", "é", "\x00", "x" * 5000]
)
def test_a_next_token_that_is_none(store: Store, token: str) -> None:
    with_entries(store, writes=3)
    with pytest.raises(MalformedRequest) as refused:
        store.history.page(CLIENT_ID, limit=1, next_token=token)
    assert refused.value.code == "malformed_next_token"


# Events that nobody published


def test_an_event_is_its_writer_s_for_half_a_minute(store: Store) -> None:
    store.create(a_credential().noted(Action.VALIDATED))
    assert store.entries()[0].unpublished
    assert store.unpublished(after=timedelta()) == []
    assert store.unpublished(after=HALF_A_MINUTE - A_SECOND) == []
    assert store.unpublished(after=HALF_A_MINUTE) == store.entries()
    assert store.unpublished(after=A_YEAR) == store.entries()


def test_the_half_minute_ends_within_a_second(store: Store) -> None:
    at = NOON + timedelta(milliseconds=700)
    store.create(a_credential(updated_at=at).noted(Action.VALIDATED))
    assert store.unpublished(after=HALF_A_MINUTE - timedelta(milliseconds=1)) == []
    assert store.unpublished(after=HALF_A_MINUTE) == store.entries()


def test_only_events_wait_to_be_published(store: Store) -> None:
    row = a_credential()
    for action in Action:
        row = store.create(row.noted(action)) if row.revision == 0 else store.registry.save(row.noted(action))
    waiting = store.unpublished()
    assert actions(waiting) == [action for action in Action if action in set(actions(waiting))]
    assert {entry.event_type for entry in waiting} == {
        "CredentialValidated",
        "CredentialRejected",
        "CredentialConnected",
        "ReauthorizationRequired",
        "ClientRejected",
        "TenantsChanged",
        "CredentialDisconnected",
        "SetupLinkUsed",
        "SetupLinkFailing",
    }
    assert [entry for entry in store.entries() if entry.event is not None] == list(reversed(waiting))
    assert [entry for entry in store.entries() if entry.unpublished] == list(reversed(waiting))


def test_the_oldest_events_come_first(store: Store) -> None:
    for client_id, seconds in (("b", 2), ("c", 1), ("a", 3), ("later", 9)):
        at = NOON + seconds * A_SECOND
        store.create(a_credential(client_id, updated_at=at).noted(Action.VALIDATED))
    found = store.unpublished(after=HALF_A_MINUTE + 5 * A_SECOND)
    assert [entry.client_id for entry in found] == ["c", "b", "a"]
    found = store.unpublished(after=HALF_A_MINUTE + 5 * A_SECOND, limit=2)
    assert [entry.client_id for entry in found] == ["c", "b"]


def test_the_events_of_one_write_keep_their_order(store: Store) -> None:
    row = store.create(a_credential())
    store.registry.save(row.noted(Action.CONNECTED).noted(Action.TENANTS_CHANGED).noted(Action.DISCONNECTED))
    assert [entry.position for entry in store.unpublished()] == [0, 1, 2]


def test_what_was_published_no_longer_waits(store: Store) -> None:
    store.create(a_credential().noted(Action.VALIDATED).noted(Action.CONNECTED))
    first, second = store.unpublished()
    store.history.mark_published(first)
    assert store.unpublished(after=A_YEAR) == [second]
    assert store.entries() == [second, replace(first, unpublished=False)]
    store.history.mark_published(second)
    assert store.unpublished(after=A_YEAR) == []


def test_marking_again_changes_nothing(store: Store) -> None:
    store.create(a_credential().noted(Action.VALIDATED))
    (entry,) = store.unpublished()
    for again in (entry, entry, replace(entry, unpublished=False)):
        store.history.mark_published(again)
        assert store.entries() == [replace(entry, unpublished=False)]
    assert store.unpublished(after=A_YEAR) == []


def test_an_entry_that_is_gone_does_not_come_back(store: Store) -> None:
    (entry,) = entries_of(a_credential(revision=5).noted(Action.VALIDATED))
    store.history.mark_published(entry)
    assert store.entries() == []
    assert store.unpublished(after=A_YEAR) == []


def test_a_shard_that_nobody_is_in(store: Store) -> None:
    store.create(a_credential().noted(Action.VALIDATED))
    assert list(store.history.unpublished(shard="7", now=NOON + A_YEAR, limit=10)) == []


def test_credentials_and_events_fall_due_apart(store: Store) -> None:
    store.create(a_credential(due_at=NOON).noted(Action.VALIDATED))
    store.create(a_credential("idle").noted(Action.VALIDATED))
    assert due_in(store.registry, now=NOON + A_YEAR) == [CLIENT_ID]
    assert {entry.client_id for entry in store.unpublished(after=A_YEAR)} == {CLIENT_ID, "idle"}


def test_entries_are_no_credentials(store: Store) -> None:
    row = store.create(a_credential().noted(Action.SUBMITTED).noted(Action.VALIDATED))
    assert list(store.registry.page(status=None, limit=10, next_token=None).items) == [row]
    assert store.registry.get(CLIENT_ID) == row
    assert store.registry.reserve(CLIENT_ID, owner="me", now=NOON, until=NOON + HALF_A_MINUTE)
