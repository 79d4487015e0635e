"""What every `Fleet` does: the fake that the other tests trust, and the one on each double of DynamoDB."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

import pytest
from botocore.exceptions import ClientError

from tests.contract.conftest import DynamoDBTable, double_of
from tests.doubles.capacity import Consumed
from tests.doubles.dynamodb import StrictDynamoDB
from tests.fakes.builders import a_credential
from tests.fakes.former_form import put_in_former_form
from tests.fakes.stores import InMemoryFleet, InMemoryRegistry
from tests.fakes.world import CLIENT_ID, NOON
from xero_connector.adapters.dynamodb_fleet import DynamoDBFleet
from xero_connector.adapters.dynamodb_registry import DynamoDBRegistry
from xero_connector.domain.errors import RevisionConflict, RowUnreadable, StoreUnavailable
from xero_connector.domain.fleet import Counted, FleetCount
from xero_connector.domain.ports import Fleet, Registry
from xero_connector.domain.status import Status

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient

A_COUNT = FleetCount(
    totals=dict.fromkeys(Status, 3),
    counted_at=NOON + timedelta(microseconds=1),
    so_far={Status.PENDING_VALIDATION: 0, Status.VALIDATED: 12},
    counting=Status.CONNECTED,
    after="client-17",
)


@dataclass(frozen=True, slots=True)
class Stores:
    registry: Registry
    fleet: Fleet


def on(client: object, table: str) -> Stores:
    dynamodb = cast("DynamoDBClient", client)
    registry = DynamoDBRegistry(dynamodb, table, shards=1)
    return Stores(registry, DynamoDBFleet(dynamodb, table, registry))


@pytest.fixture(params=["in_memory", "moto", "strict"])
def stores(request: pytest.FixtureRequest) -> Stores:
    if request.param == "in_memory":
        registry = InMemoryRegistry()
        return Stores(registry, InMemoryFleet(registry))
    table: DynamoDBTable = double_of(request, "table")
    return on(table.client, table.name)


def counted(fleet: Fleet, status: Status, *, most: int) -> list[int]:
    """The numbers of every stretch."""
    numbers, after = [], None
    while True:
        stretch = fleet.count(status, after=after, most=most)
        numbers.append(stretch.number)
        after = stretch.until
        if after is None:
            return numbers


def test_nothing_was_counted(stores: Stores) -> None:
    assert stores.fleet.read() == FleetCount()
    assert stores.fleet.count(Status.CONNECTED, after=None, most=10) == Counted(0, None)


@pytest.mark.parametrize("count", [FleetCount(), A_COUNT, replace(A_COUNT, counting=None, after=None, so_far={})])
def test_a_count_is_kept(stores: Stores, count: FleetCount) -> None:
    saved = stores.fleet.save(count)
    assert saved == stores.fleet.read() == replace(count, revision=1)
    assert stores.fleet.save(saved) == replace(count, revision=2)


def test_of_two_runs_that_read_the_same_count_one_writes(stores: Stores) -> None:
    seen = stores.fleet.save(A_COUNT)
    first = stores.fleet.save(replace(seen, after="first"))
    for late in (seen, A_COUNT):
        with pytest.raises(RevisionConflict):
            stores.fleet.save(replace(late, after="second"))
    assert stores.fleet.read() == first


@pytest.mark.parametrize("most", [1, 2, 3, 100])
def test_each_credential_counts_in_its_status(stores: Stores, most: int) -> None:
    for number in range(9):
        status = Status.DEGRADED if number % 3 == 2 else Status.CONNECTED
        stores.registry.create(a_credential(f"client-{number}", status=status), replacing=None)
    assert sum(counted(stores.fleet, Status.CONNECTED, most=most)) == 6
    assert sum(counted(stores.fleet, Status.DEGRADED, most=most)) == 3
    assert max(counted(stores.fleet, Status.CONNECTED, most=most)) <= most
    row = stores.registry.get("client-2")
    assert row is not None
    stores.registry.save(row.move_to(Status.CONNECTED))
    assert sum(counted(stores.fleet, Status.CONNECTED, most=most)) == 7
    assert sum(counted(stores.fleet, Status.DEGRADED, most=most)) == 2


def test_with_nothing_in_another_form_there_is_nothing_to_write_anew(stores: Stores) -> None:
    created = stores.registry.create(a_credential(), replacing=None)
    assert not stores.fleet.write_anew(most=10)
    assert stores.registry.get(CLIENT_ID) == created


# On DynamoDB alone


def test_rows_of_the_release_before_are_written_anew_and_then_count(dynamodb_table: DynamoDBTable) -> None:
    stores = on(dynamodb_table.client, dynamodb_table.name)
    row = a_credential(status=Status.CONNECTED, revision=4, label="Demo")
    for number in range(5):
        one = replace(row, client_id=f"client-{number}")
        put_in_former_form(dynamodb_table.client, one, table=dynamodb_table.name)
    assert sum(counted(stores.fleet, Status.CONNECTED, most=10)) == 0
    turns = 0
    while stores.fleet.write_anew(most=2):
        turns += 1
    assert turns == 3
    assert sum(counted(stores.fleet, Status.CONNECTED, most=10)) == 5
    assert stores.registry.get("client-4") == replace(row, client_id="client-4", revision=5)


def test_a_row_that_somebody_else_divides_is_left_to_them(
    strict_dynamodb: StrictDynamoDB, strict_table: DynamoDBTable
) -> None:
    stores = on(strict_table.client, strict_table.name)
    put_in_former_form(strict_table.client, a_credential(revision=4), table=strict_table.name)
    strict_dynamodb.conflicts = lambda _: True
    assert not stores.fleet.write_anew(most=2)


def test_an_unreadable_row_does_not_keep_the_others_from_being_counted(strict_table: DynamoDBTable) -> None:
    stores = on(strict_table.client, strict_table.name)
    put_in_former_form(strict_table.client, a_credential("A"), table=strict_table.name, status="paused")
    put_in_former_form(strict_table.client, a_credential("B", revision=1), table=strict_table.name)
    assert stores.fleet.write_anew(most=10)
    assert not stores.fleet.write_anew(most=10)


def test_many_are_counted_in_stretches_of_known_cost(
    strict_dynamodb: StrictDynamoDB, strict_table: DynamoDBTable
) -> None:
    stores = on(strict_table.client, strict_table.name)
    for number in range(6000):
        stores.registry.create(a_credential(f"{number:032}", status=Status.CONNECTED), replacing=None)
    strict_dynamodb.consumed = Consumed()
    assert stores.fleet.count(Status.CONNECTED, after=None, most=5000) == Counted(5000, f"{4999:032}")
    # As many as there are to be counted in one run.
    assert strict_dynamodb.consumed.reads <= 128


ODD: list[dict[str, Any]] = [
    {"so_far": {"paused": {"N": "1"}}},
    {"totals": {"connected": {"S": "many"}}},
    {"counting": "paused"},
    {"counted_at": "yesterday"},
    {"revision": "x"},
]


@pytest.mark.parametrize("odd", ODD, ids=str)
def test_a_count_that_cannot_be_read_is_told_as_such(
    strict_dynamodb: StrictDynamoDB, strict_table: DynamoDBTable, odd: dict[str, Any]
) -> None:
    stores = on(strict_table.client, strict_table.name)
    stores.fleet.save(A_COUNT)
    item = strict_dynamodb.items["FLEET", "FLEET"]
    item |= {name: {"S": value} if isinstance(value, str) else {"M": value} for name, value in odd.items()}
    with pytest.raises(RowUnreadable):
        stores.fleet.read()


CALLS: list[Callable[[Fleet], object]] = [
    lambda fleet: fleet.read(),
    lambda fleet: fleet.save(A_COUNT),
    lambda fleet: fleet.count(Status.CONNECTED, after="x", most=1),
    lambda fleet: fleet.write_anew(most=1),
]


@pytest.mark.parametrize("call", CALLS)
def test_trouble_at_aws_is_a_failure_of_the_store(
    strict_table: DynamoDBTable, call: Callable[[Fleet], object]
) -> None:
    with pytest.raises(StoreUnavailable) as unavailable:
        call(on(strict_table.client, "nowhere").fleet)
    assert unavailable.value.reason == "ResourceNotFoundException"


def test_an_answer_without_a_count_is_a_failure_of_the_store() -> None:
    class Silent:
        def query(self, **_: object) -> dict[str, object]:
            return {"Items": []}

    with pytest.raises(StoreUnavailable) as unavailable:
        on(Silent(), "table").fleet.count(Status.CONNECTED, after=None, most=1)
    assert unavailable.value.reason == "IncompleteAnswer"
    assert not isinstance(unavailable.value, ClientError)
