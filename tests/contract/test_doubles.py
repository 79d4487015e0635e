"""What only the strict doubles do: they fail when told, fall behind, and find mistakes of the product.

What they have in common with AWS is in the suites of each service and of each port.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

import pytest
from botocore.exceptions import ClientError

from tests.contract.conftest import Clock
from tests.doubles import capacity
from tests.doubles.dynamodb import StrictDynamoDB
from tests.doubles.eventbridge import StrictEventBridge
from tests.doubles.faults import MESSAGE, AwsFault
from tests.doubles.secrets_manager import StrictSecretsManager
from tests.fakes.builders import a_credential
from tests.fakes.due import due_in
from tests.fakes.world import CLIENT_ID, NOON
from xero_connector.adapters.aws_errors import error_code
from xero_connector.adapters.dynamodb_history import DynamoDBHistory
from xero_connector.adapters.dynamodb_registry import DynamoDBRegistry
from xero_connector.adapters.eventbridge_event_bus import EventBridgeEventBus
from xero_connector.domain.errors import RevisionConflict, StoreUnavailable
from xero_connector.domain.history import Action

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient

VERSION_ID = "0" * 32


def registry_on(strict: StrictDynamoDB) -> DynamoDBRegistry:
    return DynamoDBRegistry(cast("DynamoDBClient", strict), strict.table_name, shards=1)


@pytest.fixture
def registry(strict_dynamodb: StrictDynamoDB) -> DynamoDBRegistry:
    return registry_on(strict_dynamodb)


@pytest.fixture
def history(strict_dynamodb: StrictDynamoDB) -> DynamoDBHistory:
    return DynamoDBHistory(cast("DynamoDBClient", strict_dynamodb), strict_dynamodb.table_name)


@pytest.fixture
def events() -> StrictEventBridge:
    return StrictEventBridge("bus")


def refused(call: Callable[[], object]) -> ClientError:
    with pytest.raises(ClientError) as error:
        call()
    return error.value


def publish(events: StrictEventBridge) -> None:
    EventBridgeEventBus(lambda: cast("Any", events), "bus").publish("TenantsChanged", {}, at=NOON)


# Faults

each_fault = pytest.mark.parametrize(
    ("fault", "code", "effects"),
    [(AwsFault.THROTTLED, "ThrottlingException", 0), (AwsFault.FAILED_AFTER, "InternalServiceError", 1)],
)


@each_fault
def test_a_throttled_put_stores_no_version_and_a_failed_one_may(
    strict_secrets_manager: StrictSecretsManager, fault: AwsFault, code: str, effects: int
) -> None:
    strict_secrets_manager.create_secret(Name="s", KmsKeyId="k", Description="d")
    strict_secrets_manager.faults = lambda _: fault
    error = refused(
        lambda: strict_secrets_manager.put_secret_value(
            SecretId="s", ClientRequestToken=VERSION_ID, SecretString="content"
        )
    )
    assert (error_code(error), error.response["Error"]["Message"]) == (code, MESSAGE)
    assert len(strict_secrets_manager.secrets["s"].versions) == effects


@each_fault
@pytest.mark.parametrize("notes", [0, 1, 2])
def test_a_throttled_write_stores_nothing_and_a_failed_one_may(
    strict_dynamodb: StrictDynamoDB, notes: int, fault: AwsFault, code: str, effects: int
) -> None:
    registry = registry_on(strict_dynamodb)
    strict_dynamodb.faults = lambda _: fault
    credential = a_credential()
    for _ in range(notes):
        credential = credential.noted(Action.VALIDATED)
    with pytest.raises(StoreUnavailable) as unavailable:
        registry.create(credential, replacing=None)
    assert unavailable.value.reason == code
    # State, details, the entry of the list by status.
    assert len(strict_dynamodb.items) == effects * (3 + notes)


@each_fault
def test_a_throttled_event_does_not_go_out_and_a_failed_one_may(
    events: StrictEventBridge, fault: AwsFault, code: str, effects: int
) -> None:
    events.faults = lambda _: fault
    with pytest.raises(StoreUnavailable) as unavailable:
        publish(events)
    assert unavailable.value.reason == code
    assert len(events.published) == effects


def test_an_event_whose_answer_is_lost_goes_out_twice(events: StrictEventBridge) -> None:
    events.faults = lambda _: AwsFault.ANSWER_LOST
    publish(events)
    assert [event.event_id for event in events.published] == ["event-1", "event-2"]


def test_a_call_that_succeeds_may_refuse_its_events(events: StrictEventBridge) -> None:
    events.failing_entries = "InternalFailure"
    with pytest.raises(StoreUnavailable) as unavailable:
        publish(events)
    assert unavailable.value.reason == "InternalFailure"
    assert events.published == []


def test_a_write_that_meets_another_s_transaction_has_lost(
    strict_dynamodb: StrictDynamoDB, registry: DynamoDBRegistry
) -> None:
    credential = registry.create(a_credential(), replacing=None)
    strict_dynamodb.conflicts = lambda operation: operation in {"PutItem", "TransactWriteItems"}
    for mine in (credential, credential.noted(Action.VALIDATED)):
        with pytest.raises(RevisionConflict):
            registry.save(mine)
    assert registry.get(CLIENT_ID) == credential
    assert len(strict_dynamodb.items) == 3


# An index that is behind


def test_the_due_index_lags_behind_the_table(
    clock: Clock, strict_dynamodb: StrictDynamoDB, registry: DynamoDBRegistry
) -> None:
    strict_dynamodb.index_lag = timedelta(seconds=2)
    registry.create(a_credential(due_at=clock()), replacing=None)
    assert due_in(registry, now=clock()) == []
    clock.now += timedelta(seconds=2)
    assert due_in(registry, now=clock()) == [CLIENT_ID]


def test_an_event_that_was_just_published_is_skipped_where_the_index_still_shows_it(
    clock: Clock, strict_dynamodb: StrictDynamoDB, registry: DynamoDBRegistry, history: DynamoDBHistory
) -> None:
    strict_dynamodb.index_lag = timedelta(seconds=2)
    registry.create(a_credential().noted(Action.VALIDATED), replacing=None)
    clock.now += timedelta(seconds=30)
    (entry,) = history.unpublished(shard="0", now=clock(), limit=10)
    history.mark_published(entry)
    indexed = strict_dynamodb.query(
        TableName=strict_dynamodb.table_name,
        IndexName="due",
        KeyConditionExpression="due_shard = :shard AND due_at <= :now",
        ExpressionAttributeValues={":shard": {"S": "EVENTS#0"}, ":now": {"N": str(int(clock().timestamp()))}},
        Limit=10,
    )
    assert len(indexed["Items"]) == 1
    assert list(history.unpublished(shard="0", now=clock(), limit=10)) == []


# Mistakes of the product


def test_a_credential_is_not_read_inconsistently(strict_dynamodb: StrictDynamoDB) -> None:
    key = {"pk": {"S": "a"}, "sk": {"S": "a"}}
    with pytest.raises(AssertionError):
        strict_dynamodb.get_item(TableName=strict_dynamodb.table_name, Key=key, ConsistentRead=False)


def test_a_writer_asks_for_the_item_that_was_there(strict_dynamodb: StrictDynamoDB) -> None:
    with pytest.raises(AssertionError):
        strict_dynamodb.put_item(
            TableName=strict_dynamodb.table_name,
            Item={"pk": {"S": "a"}, "sk": {"S": "a"}},
            ConditionExpression="attribute_not_exists(pk)",
            ReturnValuesOnConditionCheckFailure="NONE",
        )


def test_a_transaction_only_puts(strict_dynamodb: StrictDynamoDB) -> None:
    with pytest.raises(AssertionError):
        strict_dynamodb.transact_write_items(TransactItems=[{"Delete": {}}], ClientRequestToken="token")


@pytest.mark.parametrize("change", [{"ConsistentRead": False}, {"ScanIndexForward": True}, {"IndexName": "due"}])
def test_an_audit_trail_is_read_consistently_and_backwards(
    strict_dynamodb: StrictDynamoDB, change: dict[str, Any]
) -> None:
    query: dict[str, Any] = {
        "TableName": strict_dynamodb.table_name,
        "KeyConditionExpression": "pk = :pk AND begins_with(sk, :history)",
        "ExpressionAttributeValues": {":pk": {"S": "CREDENTIAL#a"}, ":history": {"S": "HISTORY#"}},
        "Limit": 1,
        "ConsistentRead": True,
        "ScanIndexForward": False,
    }
    assert strict_dynamodb.query(**query) == {"Items": []}
    with pytest.raises(AssertionError):
        strict_dynamodb.query(**{**query, **change})


# Capacity units, after the examples of the Developer Guide


def an_item(size: int, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - any attribute
    """Return an item of so many bytes."""
    item: dict[str, Any] = {"pk": {"S": "a"}, "sk": {"S": "a"}, **more, "text": {"S": ""}}
    item["text"] = {"S": "x" * (size - capacity.size(item))}
    return item


def spent(before: dict[str, Any], after: dict[str, Any], *, times: int = 1) -> tuple[int, dict[str, int]]:
    consumed = capacity.Consumed()
    consumed.write(before, after, times=times)
    return consumed.writes, dict(consumed.index_writes)


@pytest.mark.parametrize(("size", "units"), [(100, 1), (1024, 1), (1025, 2), (10_000, 10)])
def test_a_write_takes_a_unit_for_each_kilobyte_of_the_larger_item(size: int, units: int) -> None:
    small, item = an_item(50), an_item(size)
    assert spent({}, item) == spent(item, small) == spent(small, item) == spent(item, {}) == (units, {})
    assert spent({}, item, times=2) == (2 * units, {})


def test_an_index_takes_units_where_its_entry_changes() -> None:
    due = {"due_shard": {"S": "0"}, "due_at": {"N": "1"}}
    never, now = an_item(2000), an_item(2000, **due)
    later, other = an_item(2000, **due | {"due_at": {"N": "2"}}), an_item(1500, **due)
    assert spent(never, now)[1] == spent(now, never)[1] == {"due": 1}
    assert spent(now, later)[1] == {"due": 2}
    # It holds the keys alone, and they are as they were.
    assert spent(now, other)[1] == {}


def test_an_index_that_holds_everything_is_written_with_everything() -> None:
    listed = {"listing": {"S": "all"}, "client_id": {"S": "a"}}
    item, changed = an_item(2000, **listed), an_item(3000, **listed)
    moved = an_item(2000, **listed | {"listing": {"S": "some"}})
    assert spent(item, changed)[1] == {"credentials": 3}
    assert spent(item, moved)[1] == {"credentials": 4}
    assert spent(item, item)[1] == {}


@pytest.mark.parametrize(
    ("sizes", "consistent", "units"),
    [([], True, 1), ([], False, 0.5), ([4096], True, 1), ([4097], True, 2), ([2000] * 3, False, 1)],
)
def test_a_read_takes_a_unit_for_four_kilobytes(sizes: list[int], consistent: bool, units: float) -> None:  # noqa: FBT001 - a case
    consumed = capacity.Consumed()
    consumed.read([an_item(size) for size in sizes], consistent=consistent)
    assert consumed.reads == units


def test_a_write_that_is_refused_takes_units_too(
    strict_dynamodb: StrictDynamoDB, registry: DynamoDBRegistry
) -> None:
    registry.reserve(CLIENT_ID, owner="one", now=NOON, until=NOON)
    before = strict_dynamodb.consumed.writes
    registry.reserve(CLIENT_ID, owner="two", now=NOON, until=NOON)
    assert strict_dynamodb.consumed.writes == before + 1
