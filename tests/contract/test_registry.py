"""What every `Registry` does: the fake that the other tests trust, and the one on each double of DynamoDB."""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest

from tests.contract.conftest import DynamoDBTable, double_of
from tests.fakes.builders import a_credential
from tests.fakes.due import due_in
from tests.fakes.stores import InMemoryRegistry
from tests.fakes.world import CLIENT_ID, NOON
from tests.fakes.xero import DEMO_COMPANY
from xero_connector.adapters.dynamodb_registry import DynamoDBRegistry
from xero_connector.domain.checks import UNCHECKED, Check, CheckResult
from xero_connector.domain.credential import LastError
from xero_connector.domain.errors import MalformedRequest, RevisionConflict
from xero_connector.domain.ports import Registry
from xero_connector.domain.status import Status

A_MINUTE = timedelta(minutes=1)


@pytest.fixture(params=["in_memory", "moto", "strict"])
def registry(request: pytest.FixtureRequest) -> Registry:
    if request.param == "in_memory":
        return InMemoryRegistry()
    table: DynamoDBTable = double_of(request, "table")
    return DynamoDBRegistry(table.client, table.name, shards=1)


def listed(registry: Registry, *, limit: int, status: Status | None = None) -> list[list[str]]:
    """The client IDs of every page."""
    pages: list[list[str]] = []
    token = None
    while True:
        page = registry.page(status=status, limit=limit, next_token=token)
        pages.append([row.client_id for row in page.items])
        token = page.next_token
        if token is None:
            return pages


def test_nothing_is_there(registry: Registry) -> None:
    assert registry.get(CLIENT_ID) is None
    assert listed(registry, limit=10) == [[]]
    assert registry.due(shard="0", now=NOON, limit=10) == []


def test_what_was_created_is_read_at_once(registry: Registry) -> None:
    created = registry.create(a_credential(), replacing=None)
    assert created == a_credential(revision=1)
    assert registry.get(CLIENT_ID) == created
    assert registry.get("another") is None


def test_every_field_is_kept(registry: Registry) -> None:
    row = a_credential(
        status=Status.DEGRADED,
        label="Elektro-Land · Ünicode 株式会社",
        granted_scopes=("openid", "files"),
        checks={
            **UNCHECKED,
            "pair": Check(CheckResult.FAIL, "No.", NOON),
            "scopes": Check(CheckResult.UNKNOWN, "Not yet."),
        },
        tenants=(DEMO_COMPANY,),
        tenants_pending=True,
        client_secret_number=3,
        generation=17,
        tokens_secret_arn="arn:aws:secretsmanager:x",
        access_token_expires_at=NOON + timedelta(microseconds=1),
        refresh_token_expires_at=NOON + timedelta(days=60),
        last_refreshed_at=NOON,
        failures=2,
        last_error=LastError("unanswered", "Xero did not answer in time.", NOON),
    ).leased("owner", now=NOON + timedelta(microseconds=5), duration=A_MINUTE)
    assert registry.create(row, replacing=None) == registry.get(CLIENT_ID) == replace(row, revision=1)


def test_a_credential_is_created_once(registry: Registry) -> None:
    created = registry.create(a_credential(), replacing=None)
    with pytest.raises(RevisionConflict):
        registry.create(a_credential(label="another"), replacing=None)
    assert registry.get(CLIENT_ID) == created


def test_each_write_counts_up(registry: Registry) -> None:
    row = registry.create(a_credential(), replacing=None)
    for number in range(2, 6):
        row = registry.save(replace(row, label=f"write {number}"))
        assert row == registry.get(CLIENT_ID) == a_credential(revision=number, label=f"write {number}")


def test_of_two_who_read_the_same_row_one_writes(registry: Registry) -> None:
    seen = registry.create(a_credential(), replacing=None)
    first = registry.save(replace(seen, label="first"))
    with pytest.raises(RevisionConflict):
        registry.save(replace(seen, label="second"))
    assert registry.get(CLIENT_ID) == first


@pytest.mark.parametrize("revision", [0, 1, 7])
def test_what_is_not_there_cannot_be_changed(registry: Registry, revision: int) -> None:
    with pytest.raises(RevisionConflict):
        registry.save(a_credential(revision=revision))
    assert registry.get(CLIENT_ID) is None


def test_values_can_be_taken_away_again(registry: Registry) -> None:
    row = registry.create(
        a_credential(label="x", last_error=LastError("a", "b", NOON)).leased("me", now=NOON, duration=A_MINUTE),
        replacing=None,
    )
    bare = registry.save(
        replace(row, label=None, last_error=None, lease=None, due_at=None, attempt_started_at=None)
    )
    found = registry.get(CLIENT_ID)
    assert found == bare
    assert found is not None
    assert (found.label, found.last_error, found.lease, found.due_at) == (None, None, None, None)


def test_a_new_life_replaces_the_one_that_was_seen(registry: Registry) -> None:
    past = registry.create(a_credential(status=Status.DISCONNECTED), replacing=None)
    present = a_credential(incarnation=UUID(int=1))
    created = registry.create(present, replacing=past)
    assert created == registry.get(CLIENT_ID) == replace(present, revision=past.revision + 1)
    with pytest.raises(RevisionConflict):
        registry.create(a_credential(incarnation=UUID(int=2)), replacing=past)
    with pytest.raises(RevisionConflict):
        registry.save(replace(past, label="from the past"))
    assert registry.get(CLIENT_ID) == created


def test_a_new_life_of_nothing(registry: Registry) -> None:
    with pytest.raises(RevisionConflict):
        registry.create(a_credential(), replacing=a_credential(revision=1))


# Listing


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 7, 8, 100])
def test_pages_hold_everything_once_and_in_order(registry: Registry, limit: int) -> None:
    ids = [f"client-{number}" for number in (3, 1, 6, 2, 5, 4, 7)]
    for client_id in ids:
        registry.create(a_credential(client_id), replacing=None)
    pages = listed(registry, limit=limit)
    assert [client_id for page in pages for client_id in page] == sorted(ids)
    assert all(len(page) == limit for page in pages[:-1])
    assert len(pages[-1]) <= limit


@pytest.mark.parametrize("limit", [1, 2, 3, 100])
def test_pages_of_one_status(registry: Registry, limit: int) -> None:
    for number in range(12):
        status = Status.CONNECTED if number % 4 == 3 else Status.VALIDATED
        registry.create(a_credential(f"client-{number:02}", status=status), replacing=None)
    pages = listed(registry, limit=limit, status=Status.CONNECTED)
    assert [client_id for page in pages for client_id in page] == ["client-03", "client-07", "client-11"]
    assert all(len(page) == limit for page in pages[:-1])
    assert listed(registry, limit=limit, status=Status.REJECTED) == [[]]


def test_a_listed_row_is_the_whole_row(registry: Registry) -> None:
    row = registry.create(a_credential(tenants=(DEMO_COMPANY,)), replacing=None)
    assert list(registry.page(status=None, limit=10, next_token=None).items) == [row]


def test_reservations_are_not_listed(registry: Registry) -> None:
    registry.reserve(CLIENT_ID, owner="me", now=NOON, until=NOON + A_MINUTE)
    assert listed(registry, limit=10) == [[]]


@pytest.mark.parametrize("token", ["", "x", "!!!", "e30", "bnVsbA", "WzFd", "W10", "é", "\x00", "x" * 5000])
def test_a_next_token_that_is_none(registry: Registry, token: str) -> None:
    registry.create(a_credential(), replacing=None)
    with pytest.raises(MalformedRequest) as refused:
        registry.page(status=None, limit=10, next_token=token)
    assert refused.value.code == "malformed_next_token"


# Due times


def due(registry: Registry, *, at: timedelta = timedelta(), limit: int = 10) -> list[str]:
    return due_in(registry, now=NOON + at, limit=limit)


def test_what_is_due_comes_by_age(registry: Registry) -> None:
    for client_id, minutes in (("b", 2), ("c", 1), ("a", 3), ("later", 5)):
        registry.create(a_credential(client_id, due_at=NOON + timedelta(minutes=minutes)), replacing=None)
    registry.create(a_credential("never"), replacing=None)
    assert due(registry, at=timedelta(minutes=4)) == ["c", "b", "a"]
    assert due(registry, at=timedelta(minutes=4), limit=2) == ["c", "b"]


def test_a_due_time_is_reached_to_the_second(registry: Registry) -> None:
    registry.create(a_credential(due_at=NOON), replacing=None)
    assert due(registry, at=-timedelta(seconds=1)) == []
    assert due(registry) == [CLIENT_ID]


def test_nobody_is_missed_between_two_seconds(registry: Registry) -> None:
    exact = NOON + timedelta(milliseconds=300)
    registry.create(a_credential(due_at=exact), replacing=None)
    assert due_in(registry, now=exact) == [CLIENT_ID]
    found = registry.get(CLIENT_ID)
    assert found is not None
    assert found.due_at == exact


def test_what_is_put_off_is_no_longer_due(registry: Registry) -> None:
    row = registry.create(a_credential(due_at=NOON), replacing=None)
    row = registry.save(replace(row, due_at=NOON + A_MINUTE))
    assert due(registry) == []
    row = registry.save(replace(row, due_at=None))
    assert due(registry, at=timedelta(days=1)) == []


def test_a_shard_that_nobody_is_in(registry: Registry) -> None:
    registry.create(a_credential(due_at=NOON), replacing=None)
    assert list(registry.due(shard="7", now=NOON, limit=10)) == []


# Reservations


def test_one_submission_at_a_time(registry: Registry) -> None:
    assert registry.reserve(CLIENT_ID, owner="one", now=NOON, until=NOON + A_MINUTE)
    assert not registry.reserve(CLIENT_ID, owner="two", now=NOON, until=NOON + A_MINUTE)
    assert registry.reserve("another", owner="two", now=NOON, until=NOON + A_MINUTE)


def test_a_reservation_is_no_credential(registry: Registry) -> None:
    registry.reserve(CLIENT_ID, owner="one", now=NOON, until=NOON + A_MINUTE)
    assert registry.get(CLIENT_ID) is None
    assert registry.create(a_credential(), replacing=None).revision == 1


def test_a_credential_does_not_keep_its_id_from_being_reserved(registry: Registry) -> None:
    registry.create(a_credential(), replacing=None)
    assert registry.reserve(CLIENT_ID, owner="one", now=NOON, until=NOON + A_MINUTE)


def test_a_reservation_that_was_given_back(registry: Registry) -> None:
    registry.reserve(CLIENT_ID, owner="one", now=NOON, until=NOON + A_MINUTE)
    registry.unreserve(CLIENT_ID, owner="one")
    assert registry.reserve(CLIENT_ID, owner="two", now=NOON, until=NOON + A_MINUTE)


def test_a_reservation_ends_by_itself(registry: Registry) -> None:
    until = NOON + A_MINUTE
    registry.reserve(CLIENT_ID, owner="one", now=NOON, until=until)
    assert not registry.reserve(CLIENT_ID, owner="two", now=until, until=until + A_MINUTE)
    later = until + timedelta(seconds=1)
    assert registry.reserve(CLIENT_ID, owner="two", now=later, until=later + A_MINUTE)


def test_nobody_gives_back_another_s_reservation(registry: Registry) -> None:
    registry.reserve(CLIENT_ID, owner="one", now=NOON, until=NOON + A_MINUTE)
    later = NOON + 2 * A_MINUTE
    registry.reserve(CLIENT_ID, owner="two", now=later, until=later + A_MINUTE)
    registry.unreserve(CLIENT_ID, owner="one")
    assert not registry.reserve(CLIENT_ID, owner="three", now=later, until=later + A_MINUTE)


def test_giving_back_what_is_not_there_does_nothing(registry: Registry) -> None:
    registry.unreserve(CLIENT_ID, owner="one")
    assert registry.reserve(CLIENT_ID, owner="two", now=NOON, until=NOON + A_MINUTE)
