"""A credential is divided among its items: what a write costs, what is met half way, and its former form."""

import itertools
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

import pytest

from tests.contract.conftest import DynamoDBTable
from tests.doubles.capacity import Consumed, size
from tests.doubles.dynamodb import StrictDynamoDB
from tests.fakes.builders import a_credential
from tests.fakes.due import due_in
from tests.fakes.former_form import put_in_former_form
from tests.fakes.in_turn import work_in_turn
from tests.fakes.world import CLIENT_ID, NOON
from tests.prove.units import ORGANISATIONS, of_a_refresh, organisations
from tests.prove.world import Life, World
from tests.prove.xero import InProcessXero
from xero_connector.adapters import dynamodb_items as items
from xero_connector.adapters.dynamodb_credential_items import credential_from_item
from xero_connector.adapters.dynamodb_registry import DynamoDBRegistry
from xero_connector.domain.credential import Credential, IntegrationType, LastError
from xero_connector.domain.errors import RowUnreadable, StoreUnavailable
from xero_connector.domain.history import Action
from xero_connector.domain.status import Status

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient

A_MINUTE = timedelta(minutes=1)
STATE = items.credential_key(CLIENT_ID)
DETAILS = items.details_key(CLIENT_ID)


@pytest.fixture
def registry(dynamodb_table: DynamoDBTable) -> DynamoDBRegistry:
    return DynamoDBRegistry(dynamodb_table.client, dynamodb_table.name, shards=1)


@pytest.fixture
def reported() -> list[str]:
    return []


@pytest.fixture
def on_strict(strict_dynamodb: StrictDynamoDB, reported: list[str]) -> DynamoDBRegistry:
    return DynamoDBRegistry(
        cast("DynamoDBClient", strict_dynamodb), strict_dynamodb.table_name, 1, reported.append
    )


@pytest.fixture(scope="module")
def xero() -> InProcessXero:
    return InProcessXero()


def stored(table: DynamoDBTable, key: items.Item) -> items.Item:
    answer = table.client.get_item(TableName=table.name, Key=items.to_wire(key), ConsistentRead=True)
    return items.from_wire(answer["Item"])


def spent_on(strict: StrictDynamoDB, act: Callable[[], object]) -> Consumed:
    strict.consumed = Consumed()
    act()
    return strict.consumed


# What a write costs


@pytest.mark.parametrize("number", ORGANISATIONS)
def test_a_refresh_takes_one_read_and_four_write_units_however_many_organisations(
    xero: InProcessXero, number: int
) -> None:
    cost = of_a_refresh(xero, number)
    assert (cost.reads, cost.writes) == (1, 2)
    assert (cost.write_units, cost.index_write_units) == (4, 2)
    assert cost.state_bytes <= 1024


def test_a_custom_connection_s_refresh_costs_the_same(xero: InProcessXero) -> None:
    cost = of_a_refresh(xero, 1, IntegrationType.CUSTOM_CONNECTION)
    assert (cost.reads, cost.writes, cost.write_units) == (1, 2, 4)


def test_a_state_with_everything_that_a_refresh_may_leave_is_small(on_strict: DynamoDBRegistry) -> None:
    row = a_credential(
        status=Status.CONNECTED,
        generation=10**6,
        grant_began=10**6 - 1,
        grant_version_id="0" * 36,
        grant_consent="0" * 64,
        xero_user_id="0" * 36,
        access_token_expires_at=NOON + timedelta(microseconds=1),
        refresh_token_expires_at=NOON + timedelta(microseconds=1),
        last_refreshed_at=NOON + timedelta(microseconds=1),
        tenants_checked_at=NOON + timedelta(microseconds=1),
        due_at=NOON,
        tenants=organisations(3),
    ).leased("0" * 16, now=NOON + timedelta(microseconds=1), duration=A_MINUTE)
    on_strict.create(row, replacing=None)
    strict = cast("StrictDynamoDB", on_strict.client)
    assert size(strict.items[STATE["pk"], STATE["sk"]]) < 1024


def test_details_are_written_when_they_change_and_not_otherwise(
    strict_dynamodb: StrictDynamoDB, on_strict: DynamoDBRegistry
) -> None:
    row = on_strict.create(a_credential(tenants=organisations(60)), replacing=None)
    leased = row.leased("me", now=NOON, duration=A_MINUTE)
    assert spent_on(strict_dynamodb, lambda: on_strict.save(leased)).calls == {"PutItem": 1}
    read = on_strict.get(CLIENT_ID)
    assert read is not None
    renamed = replace(read, label="renamed")
    spent = spent_on(strict_dynamodb, lambda: on_strict.save(renamed))
    assert spent.calls == {"TransactWriteItems": 1}
    # State and details, each twice, and the details in the index.
    assert spent.writes == 2 * (1 + spent.index_writes["credentials"])
    assert on_strict.get(CLIENT_ID) == replace(renamed, revision=3)


def test_a_change_of_status_leaves_the_details_alone(
    strict_dynamodb: StrictDynamoDB, on_strict: DynamoDBRegistry
) -> None:
    row = on_strict.create(a_credential(status=Status.CONNECTED, tenants=organisations(500)), replacing=None)
    degraded = row.move_to(Status.DEGRADED)
    # State, entry of the list, entry of the history, each twice; the list entry leaves one list for another.
    assert spent_on(strict_dynamodb, lambda: on_strict.save(degraded)).write_units == 8


def test_a_writer_that_did_not_read_the_credential_writes_all_of_it(on_strict: DynamoDBRegistry) -> None:
    on_strict.create(a_credential(), replacing=None)
    unread = a_credential(revision=1, label="from nowhere")
    assert on_strict.save(unread) == on_strict.get(CLIENT_ID)


def test_what_was_read_of_another_revision_does_not_count(on_strict: DynamoDBRegistry) -> None:
    first = on_strict.create(a_credential(label="a"), replacing=None)
    on_strict.save(replace(first, label="b"))
    # As if the first revision's memory came with the second one's number.
    third = on_strict.save(replace(first, revision=2, label="a"))
    assert on_strict.get(CLIENT_ID) == third == a_credential(label="a", revision=3)


# The due index, while a credential is worked on


def test_a_lease_leaves_the_due_index_as_it_is(
    strict_dynamodb: StrictDynamoDB, on_strict: DynamoDBRegistry
) -> None:
    row = on_strict.create(a_credential(due_at=NOON - A_MINUTE), replacing=None)
    spent = spent_on(strict_dynamodb, lambda: on_strict.save(row.leased("me", now=NOON, duration=A_MINUTE)))
    assert (spent.writes, spent.index_writes) == (1, {})
    found = on_strict.get(CLIENT_ID)
    assert found is not None
    # Who finds it in the index reads that it is not due.
    assert due_in(on_strict, now=NOON) == [CLIENT_ID]
    assert (found.due_at, found.is_due(NOON)) == (NOON + A_MINUTE, False)


@pytest.mark.parametrize("due_at", [None, NOON + 10 * A_MINUTE])
def test_a_lease_brings_what_was_due_later_or_never_to_its_end(registry: DynamoDBRegistry, due_at: None) -> None:
    row = registry.create(a_credential(due_at=due_at), replacing=None)
    leased = registry.save(row.leased("me", now=NOON, duration=A_MINUTE))
    assert due_in(registry, now=NOON) == []
    assert due_in(registry, now=NOON + A_MINUTE) == [CLIENT_ID]
    registry.save(leased.released(due_at=due_at, attempt_finished=True, now=NOON))
    assert due_in(registry, now=NOON + A_MINUTE) == []


def test_a_lease_that_is_renewed_stays_where_it_is(
    strict_dynamodb: StrictDynamoDB, on_strict: DynamoDBRegistry
) -> None:
    row = on_strict.create(a_credential(due_at=NOON), replacing=None)
    leased = on_strict.save(row.leased("me", now=NOON, duration=A_MINUTE))
    renewed = leased.leased("me", now=NOON + A_MINUTE, duration=A_MINUTE)
    assert spent_on(strict_dynamodb, lambda: on_strict.save(renewed)).index_writes == {}
    assert due_in(on_strict, now=NOON) == [CLIENT_ID]


def test_the_index_shows_nothing_later_than_it_is_due(on_strict: DynamoDBRegistry) -> None:
    steps: list[Callable[[Credential], Credential]] = [
        lambda row: row.leased("me", now=NOON + A_MINUTE, duration=A_MINUTE),
        lambda row: replace(row, due_at=NOON),
        lambda row: row.released(due_at=NOON + 5 * A_MINUTE, attempt_finished=True, now=NOON),
        lambda row: replace(row, due_at=None),
        lambda row: replace(row, due_at=NOON + 2 * A_MINUTE),
    ]
    for order in itertools.permutations(steps, 3):
        client_id = "".join(str(steps.index(step)) for step in order)
        row = on_strict.create(a_credential(client_id, due_at=NOON + 3 * A_MINUTE), replacing=None)
        for step in order:
            row = on_strict.save(step(row))
            due = client_id in due_in(on_strict, now=row.due_at or NOON + 9 * A_MINUTE, limit=1000)
            assert due == (row.due_at is not None), order


def test_a_run_that_meets_a_credential_in_work_reads_it_and_leaves_it_alone(xero: InProcessXero) -> None:
    world = World(xero)
    life = Life(world.clock)
    app = world.process(life)
    world.connect(app)
    world.clock.next_tick(not_before=world.credential.due_at)
    held = app.refresh_credential.hold_lease(world.credential)
    world.clock.advance(2)
    calls = len(life.calls)
    with work_in_turn():
        outcomes = app.sweep_due_credentials(shards=["0", "1", "2", "3"], deadline=world.clock() + A_MINUTE)
    assert outcomes == {"skipped": 1}
    assert not any(call.startswith(("secretsmanager.", "xero.")) for call in life.calls[calls:])
    # Its holder died: when the lease ends, the schedule goes on.
    world.clock.next_tick(not_before=held.credential.due_at)
    world.sweep(app)
    assert (world.credential.generation, world.credential.lease) == (2, None)


# A reader that meets a write half way


def renamed_and_half_read(
    strict: StrictDynamoDB, registry: DynamoDBRegistry, *, times: int
) -> tuple[Credential, Consumed]:
    row = registry.create(a_credential(label="before"), replacing=None)
    renamed = registry.save(replace(row, label="after").noted(Action.VALIDATED))
    half_way = iter([True] * times)
    strict.torn = lambda: next(half_way, False)
    strict.consumed = Consumed()
    return renamed, strict.consumed


@pytest.mark.parametrize("times", [1, 4])
def test_a_write_that_is_met_half_way_is_read_again(
    strict_dynamodb: StrictDynamoDB, on_strict: DynamoDBRegistry, reported: list[str], times: int
) -> None:
    renamed, consumed = renamed_and_half_read(strict_dynamodb, on_strict, times=times)
    assert on_strict.get(CLIENT_ID) == renamed
    assert (consumed.calls["Query"], reported) == (times + 1, [])


def test_state_and_details_that_never_belong_together_are_unreadable(
    strict_dynamodb: StrictDynamoDB, on_strict: DynamoDBRegistry, reported: list[str]
) -> None:
    renamed_and_half_read(strict_dynamodb, on_strict, times=10)
    with pytest.raises(RowUnreadable):
        on_strict.get(CLIENT_ID)
    assert reported == [CLIENT_ID]


@pytest.mark.parametrize("key", [STATE, DETAILS])
def test_one_half_alone_is_unreadable(
    strict_dynamodb: StrictDynamoDB, on_strict: DynamoDBRegistry, reported: list[str], key: items.Item
) -> None:
    on_strict.create(a_credential(), replacing=None)
    del strict_dynamodb.items[key["pk"], key["sk"]]
    with pytest.raises(RowUnreadable):
        on_strict.get(CLIENT_ID)
    assert reported == [CLIENT_ID]


def test_a_creation_that_is_met_half_way_is_read_again(
    strict_dynamodb: StrictDynamoDB, on_strict: DynamoDBRegistry
) -> None:
    created = on_strict.create(a_credential(), replacing=None)
    half_way = iter([True])
    strict_dynamodb.torn = lambda: next(half_way, False)
    assert on_strict.get(CLIENT_ID) == created


@pytest.mark.parametrize("status", [None, Status.VALIDATED])
def test_a_list_puts_together_what_belongs_together(
    strict_dynamodb: StrictDynamoDB, on_strict: DynamoDBRegistry, status: Status | None
) -> None:
    renamed, _ = renamed_and_half_read(strict_dynamodb, on_strict, times=1)
    if status is None:
        # The index is behind: it still has the details from before.
        behind = items.to_wire({**stored_in(strict_dynamodb, DETAILS), "label": "before", "details": "0" * 32})
        listed = on_strict._reads.table  # noqa: SLF001 - the list as it is read
        found, _ = listed.listed(items.LISTED_DETAILS, after=None, most=10)
        assert found[0]["label"] == "after"
        rows = on_strict._reads._rows([items.from_wire(behind)], by_status=False)  # noqa: SLF001
        assert list(rows.values()) == [renamed]
    else:
        assert list(on_strict.page(status=status, limit=10, next_token=None).items) == [renamed]


def stored_in(strict: StrictDynamoDB, key: items.Item) -> items.Item:
    return items.from_wire(strict.items[key["pk"], key["sk"]])


# Rows of the release before

FORMER = a_credential(
    status=Status.DEGRADED,
    revision=7,
    label="Elektro-Land",
    tenants=organisations(3),
    generation=17,
    due_at=NOON,
    last_error=LastError("unanswered", "Xero did not answer in time.", NOON),
)


def test_a_row_in_its_former_form_is_read_and_divided_with_its_next_write(
    dynamodb_table: DynamoDBTable, registry: DynamoDBRegistry
) -> None:
    put_in_former_form(dynamodb_table.client, FORMER, table=dynamodb_table.name)
    found = registry.get(CLIENT_ID)
    assert found == FORMER
    leased = registry.save(FORMER.leased("me", now=NOON, duration=A_MINUTE))
    assert leased == registry.get(CLIENT_ID)
    state = stored(dynamodb_table, STATE)
    assert state["details"] == stored(dynamodb_table, DETAILS)["details"]
    assert {"label", "tenants", "checks", "listing", "created_by"}.isdisjoint(state)


def test_a_row_in_its_former_form_can_be_replaced(
    dynamodb_table: DynamoDBTable, registry: DynamoDBRegistry
) -> None:
    ended = replace(FORMER, status=Status.DISCONNECTED, due_at=None, last_error=None)
    put_in_former_form(dynamodb_table.client, ended, table=dynamodb_table.name)
    created = registry.create(a_credential(), replacing=ended)
    assert created == registry.get(CLIENT_ID) == a_credential(revision=8)


def test_the_release_before_cannot_read_a_divided_row_and_so_writes_nothing_over_it(
    dynamodb_table: DynamoDBTable, registry: DynamoDBRegistry
) -> None:
    registry.create(FORMER, replacing=None)
    # That release read the one item that it knew with the same function.
    with pytest.raises(RowUnreadable):
        items.readable(credential_from_item, stored(dynamodb_table, STATE), "GetItem")


@pytest.mark.parametrize("limit", [1, 3, 5, 100])
@pytest.mark.parametrize("status", [None, Status.DEGRADED])
def test_lists_show_rows_in_either_form_once_and_in_order(
    dynamodb_table: DynamoDBTable, registry: DynamoDBRegistry, limit: int, status: Status | None
) -> None:
    for number in range(12):
        row = replace(
            FORMER,
            client_id=f"client-{number:02}",
            status=Status.CONNECTED if number % 3 == 0 else Status.DEGRADED,
        )
        if number in {0, 1, 2, 5, 6, 10}:
            put_in_former_form(dynamodb_table.client, row, table=dynamodb_table.name)
        else:
            registry.create(row, replacing=None)
    # One that was divided meanwhile.
    row = registry.get("client-05") or FORMER
    registry.save(replace(row, label="divided"))
    found: list[str] = []
    token = None
    while True:
        page = registry.page(status=status, limit=limit, next_token=token)
        assert len(page.items) <= limit
        found += [row.client_id for row in page.items]
        token = page.next_token
        if token is None:
            break
    wanted = [number for number in range(12) if status is None or number % 3]
    assert found == [f"client-{number:02}" for number in wanted]


def test_what_one_list_has_not_come_to_waits_for_it(
    dynamodb_table: DynamoDBTable, registry: DynamoDBRegistry
) -> None:
    former = {0: Status.CONNECTED, 1: Status.CONNECTED, 2: Status.CONNECTED, 6: Status.DEGRADED}
    for number in range(12):
        row = replace(FORMER, client_id=f"client-{number:02}", status=former.get(number, Status.DEGRADED))
        if number in former:
            put_in_former_form(dynamodb_table.client, row, table=dynamodb_table.name)
        elif number >= 8:
            registry.create(row, replacing=None)
    page = registry.page(status=Status.DEGRADED, limit=1, next_token=None)
    assert [row.client_id for row in page.items] == ["client-06"]


# Lists


def test_a_list_by_status_costs_the_same_however_many_credentials_there_are(
    strict_dynamodb: StrictDynamoDB, on_strict: DynamoDBRegistry
) -> None:
    for number in range(2000):
        status = Status.DEGRADED if number % 250 == 7 else Status.CONNECTED
        on_strict.create(a_credential(f"client-{number:04}", status=status), replacing=None)
    page: list[Credential] = []
    spent = spent_on(
        strict_dynamodb,
        lambda: page.extend(on_strict.page(status=Status.DEGRADED, limit=50, next_token=None).items),
    )
    assert len(page) == 8
    assert spent.reads <= 5


def test_a_page_of_all_costs_the_same_at_the_beginning_and_at_the_end(
    strict_dynamodb: StrictDynamoDB, on_strict: DynamoDBRegistry
) -> None:
    for number in range(500):
        on_strict.create(a_credential(f"client-{number:04}"), replacing=None)
    token, costs = None, []
    while True:
        strict_dynamodb.consumed = Consumed()
        page = on_strict.page(status=None, limit=50, next_token=token)
        costs.append(strict_dynamodb.consumed)
        token = page.next_token
        if token is None:
            break
    assert len(costs) == 10
    assert max(cost.reads for cost in costs) <= 40
    assert {(cost.calls["Query"], cost.calls["BatchGetItem"]) for cost in costs} == {(2, 1)}


def test_a_list_never_shows_another_status_than_was_asked_for(
    strict_dynamodb: StrictDynamoDB, on_strict: DynamoDBRegistry
) -> None:
    for number in range(6):
        on_strict.create(a_credential(f"client-{number}", status=Status.CONNECTED), replacing=None)
    first = on_strict.page(status=Status.CONNECTED, limit=2, next_token=None)
    assert [row.client_id for row in first.items] == ["client-0", "client-1"]
    # While a person pages: one goes, and one comes back behind what was shown.
    for client_id in ("client-0", "client-3"):
        row = on_strict.get(client_id)
        assert row is not None
        on_strict.save(row.move_to(Status.DEGRADED))
    rest = on_strict.page(status=Status.CONNECTED, limit=10, next_token=first.next_token)
    assert [row.client_id for row in rest.items] == ["client-2", "client-4", "client-5"]
    # The list is behind: it still has one that is degraded by now.
    entry = items.status_key("client-4")
    behind = dict(strict_dynamodb.items[entry["pk"], entry["sk"]])
    row = on_strict.get("client-4")
    assert row is not None
    on_strict.save(row.move_to(Status.DEGRADED))
    strict_dynamodb._put(behind)  # noqa: SLF001 - the double, and not the product
    page = on_strict.page(status=Status.CONNECTED, limit=10, next_token=first.next_token)
    assert [row.client_id for row in page.items] == ["client-2", "client-5"]


def test_a_page_goes_on_where_a_batch_left_keys_out(
    strict_dynamodb: StrictDynamoDB, on_strict: DynamoDBRegistry
) -> None:
    for number in range(9):
        on_strict.create(a_credential(f"client-{number}"), replacing=None)
    strict_dynamodb.unprocessed = 2
    strict_dynamodb.consumed = Consumed()
    assert len(on_strict.page(status=None, limit=100, next_token=None).items) == 9
    assert strict_dynamodb.consumed.calls["BatchGetItem"] == 2


def test_a_batch_that_is_never_answered_whole_is_a_failure_of_the_store(
    strict_dynamodb: StrictDynamoDB, on_strict: DynamoDBRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_strict.create(a_credential(), replacing=None)
    answer = strict_dynamodb.batch_get_item

    def throttled(**request: Any) -> Any:  # noqa: ANN401 - as boto3's
        strict_dynamodb.unprocessed = 1
        return answer(**request)

    monkeypatch.setattr(strict_dynamodb, "batch_get_item", throttled)
    with pytest.raises(StoreUnavailable) as unavailable:
        on_strict.page(status=None, limit=100, next_token=None)
    assert unavailable.value.reason == "UnprocessedKeys"
