"""Every row survives its way into DynamoDB's typed JSON and back."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.builders import a_credential, a_request, a_ticket
from tests.fakes.world import NOON
from xero_connector.adapters import dynamodb_items as items
from xero_connector.adapters.dynamodb_credential_items import credential_from_item, credential_to_item
from xero_connector.domain.checks import UNCHECKED, Check, CheckResult
from xero_connector.domain.consent import AuthorizationRequest, ConnectTicket
from xero_connector.domain.credential import Credential, IntegrationType, LastError, Lease
from xero_connector.domain.ending import Ending, Leftover
from xero_connector.domain.events import MOST_NOTES, entries_of
from xero_connector.domain.history import Action, HistoryEntry, Note
from xero_connector.domain.status import Status
from xero_connector.domain.tenant import Tenant
from xero_connector.domain.version_allowance import CAPACITY, VersionAllowance

moments = st.datetimes(datetime(2020, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - bounds are naive
texts = st.text(max_size=20)
names = st.text(min_size=1, max_size=20)
numbers = st.integers(0, 10**9)
all_tenants = st.lists(
    st.builds(Tenant, tenant_id=texts, tenant_name=texts, tenant_type=texts, connection_id=texts), max_size=3
).map(tuple)
all_checks = st.builds(Check, st.sampled_from(CheckResult), texts, st.none() | moments)
# Rounded to what the item keeps of it.
levels = st.floats(-1000, CAPACITY).map(lambda level: round(level, 6))
credentials = st.builds(
    Credential,
    client_id=names,
    incarnation=st.uuids(),
    revision=numbers,
    status=st.sampled_from(Status),
    label=st.none() | texts,
    integration_type=st.sampled_from(IntegrationType),
    requested_scopes=st.lists(texts, max_size=3).map(tuple),
    granted_scopes=st.lists(texts, max_size=3).map(tuple),
    checks=st.dictionaries(names, all_checks, max_size=3).map(lambda found: {**UNCHECKED, **found}),
    tenants=all_tenants,
    tenants_pending=st.booleans(),
    tenants_checked_at=st.none() | moments,
    client_secret_number=numbers,
    generation=numbers,
    tokens_secret_arn=st.none() | texts,
    access_token_expires_at=st.none() | moments,
    refresh_token_expires_at=st.none() | moments,
    last_refreshed_at=st.none() | moments,
    due_at=st.none() | moments,
    lease=st.none() | st.builds(Lease, texts, moments),
    attempt_started_at=st.none() | moments,
    failures=numbers,
    ending=st.none()
    | st.builds(
        Ending,
        since=moments,
        exchanged=st.booleans(),
        revoked=st.booleans(),
        suspected=st.booleans(),
        grants_done=st.booleans(),
        leftovers=st.lists(st.builds(Leftover, texts, texts), max_size=3).map(tuple),
    ),
    last_error=st.none() | st.builds(LastError, texts, texts, moments),
    allowance=st.builds(VersionAllowance, levels, moments),
    created_at=moments,
    created_by=texts,
    updated_at=moments,
)
notes = st.builds(Note, action=st.sampled_from(Action), by=texts, added=all_tenants, removed=all_tenants)
all_entries = st.builds(
    lambda row, noted: entries_of(replace(row, notes=noted)),
    credentials,
    st.lists(notes, max_size=MOST_NOTES).map(tuple),
)
requests = st.builds(
    AuthorizationRequest,
    state_hash=texts,
    revision=numbers,
    client_id=texts,
    ticket_hash=texts,
    binding_hash=texts,
    created_at=moments,
    expires_at=moments,
    claimed_at=st.none() | moments,
    tenants=all_tenants,
    refusal=st.none() | texts,
)
tickets = st.builds(ConnectTicket, ticket_hash=texts, client_id=texts, created_at=moments, expires_at=moments)


@given(credentials)
def test_a_credential(row: Credential) -> None:
    wire = items.to_wire(credential_to_item(row, shards=8))
    assert credential_from_item(items.from_wire(wire)) == row


@given(credentials, st.lists(notes, max_size=3).map(tuple))
def test_notes_are_no_part_of_a_credential_s_item(row: Credential, noted: tuple[Note, ...]) -> None:
    assert credential_to_item(replace(row, notes=noted), shards=8) == credential_to_item(row, shards=8)


@given(all_entries, st.booleans())
def test_an_entry_of_the_audit_trail(entries: tuple[HistoryEntry, ...], published: bool) -> None:  # noqa: FBT001
    for entry in entries:
        kept = replace(entry, unpublished=entry.unpublished and not published)
        wire = items.to_wire(items.entry_to_item(kept))
        assert items.entry_from_item(items.from_wire(wire)) == kept
        assert ("due_shard" in wire) == ("due_at" in wire) == kept.unpublished
        # The index of credentials, and so their list, knows what has `listing`.
        assert "listing" not in wire


@given(requests)
def test_an_authorization_request(request: AuthorizationRequest) -> None:
    wire = items.to_wire(items.request_to_item(request))
    assert items.request_from_item(items.from_wire(wire)) == request


def test_a_request_of_an_earlier_release_is_read() -> None:
    item = items.from_wire(items.to_wire(items.request_to_item(a_request().failed("code_refused"))))
    assert item.pop("refusal") == "code_refused"
    assert items.request_from_item(item) == a_request().failed()


@given(tickets)
def test_a_connect_ticket(ticket: ConnectTicket) -> None:
    wire = items.to_wire(items.ticket_to_item(ticket))
    assert items.ticket_from_item(items.from_wire(wire)) == ticket


@given(st.floats(-1000, CAPACITY))
def test_an_allowance_is_kept_to_a_millionth(level: float) -> None:
    row = a_credential(allowance=VersionAllowance(level, NOON))
    item = items.from_wire(items.to_wire(credential_to_item(row, shards=1)))
    assert abs(credential_from_item(item).allowance.level - level) <= 1e-6


def test_only_what_is_due_some_time_is_in_the_due_index() -> None:
    never = items.to_wire(credential_to_item(a_credential(due_at=None), shards=8))
    assert {"due_shard", "due_at"}.isdisjoint(never)
    some_time = credential_to_item(a_credential(due_at=NOON + timedelta(milliseconds=999)), shards=8)
    assert (some_time["due_shard"], some_time["due_at"]) == ("5", int(NOON.timestamp()))


def test_entries_lie_in_the_order_in_which_they_were_written() -> None:
    order = [(9, 0), (9, 9), (10, 0), (999, 1), (1000, 0), (10**11, 3), (10**12 - 1, 0)]
    keys = [items.history_key("A", revision, position) for revision, position in order]
    assert [key["sk"] for key in keys] == sorted(key["sk"] for key in keys)
    assert {key["pk"] for key in keys} == {items.credential_key("A")["pk"]}
    assert items.credential_key("A")["sk"] < "HISTORY#" < items.reservation_key("A")["sk"]


def test_an_event_is_kept_as_text_so_that_numbers_and_nulls_survive() -> None:
    (entry,) = entries_of(a_credential(revision=3).noted(Action.REJECTED))
    wire = items.to_wire(items.entry_to_item(entry))
    event = json.loads(wire["event"]["S"])
    assert (event["sequence"], event["reason"], event["label"]) == (30, None, None)


def test_an_audit_trail_ends_some_day() -> None:
    (entry,) = entries_of(a_credential(revision=3).noted(Action.SUBMITTED))
    assert items.entry_to_item(entry)["ttl"] == int((NOON + timedelta(days=400)).timestamp())


def test_events_have_a_part_of_the_due_index_to_themselves() -> None:
    credential = credential_to_item(a_credential(due_at=NOON), shards=8)
    (entry,) = entries_of(a_credential(revision=3).noted(Action.VALIDATED))
    event = items.entry_to_item(entry)
    assert (credential["due_shard"], event["due_shard"]) == ("5", "EVENTS#0")


def test_what_has_no_value_takes_no_room() -> None:
    wire = items.to_wire(credential_to_item(a_credential(), shards=8))
    assert {"label", "lease_owner", "last_error", "attempt_started_at"}.isdisjoint(wire)
    assert not any("NULL" in value for value in wire.values())


def test_the_rows_of_one_credential_lie_together_and_those_of_others_do_not() -> None:
    assert items.credential_key("A")["pk"] == items.reservation_key("A")["pk"]
    assert items.credential_key("A") != items.reservation_key("A")
    keys = [items.credential_key("A"), items.credential_key("B"), items.ticket_key("A"), items.request_key("A")]
    assert len({key["pk"] for key in keys}) == 4


@pytest.mark.parametrize("shards", [1, 2, 8, 50])
def test_credentials_spread_over_all_shards(shards: int) -> None:
    found = [items.shard_of(str(UUID(int=number)), shards) for number in range(100 * shards)]
    assert set(found) == {str(number) for number in range(shards)}
    assert max(found.count(shard) for shard in set(found)) < 150


def test_a_credential_stays_in_its_shard_from_release_to_release() -> None:
    # Rows that are due were written by the release before.
    assert [items.shard_of(name, 8) for name in ("A", "B", "C")] == ["0", "5", "5"]


def test_a_connect_link_is_kept_a_day_longer_to_say_that_it_expired() -> None:
    assert items.ticket_to_item(a_ticket(expires_at=NOON))["ttl"] == int(NOON.timestamp()) + 86_400


def test_a_request_is_kept_for_a_week_after_its_callback_could_come() -> None:
    item = items.request_to_item(a_request(created_at=NOON, expires_at=NOON + timedelta(hours=1)))
    assert item["ttl"] == int(NOON.timestamp()) + 3_600 + 7 * 86_400


def test_numbers_are_decimals_on_the_wire() -> None:
    item = items.from_wire(items.to_wire(credential_to_item(a_credential(), shards=8)))
    assert item["allowance_level"] == Decimal(CAPACITY)
