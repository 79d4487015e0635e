"""The doubles refuse what AWS refuses; the experiments are worth no more than that."""

import json
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, cast

import pytest
from botocore.exceptions import ClientError

from tests.doubles.dynamodb import StrictDynamoDB
from tests.doubles.eventbridge import StrictEventBridge
from tests.doubles.faults import AwsFault, Wire
from tests.fakes.builders import a_credential
from tests.fakes.world import CLIENT_ID, NOON
from tests.prove.world import HandClock
from xero_connector.adapters.aws_errors import error_code
from xero_connector.adapters.dynamodb_history import DynamoDBHistory
from xero_connector.adapters.dynamodb_items import shard_of
from xero_connector.adapters.dynamodb_registry import DynamoDBRegistry
from xero_connector.adapters.eventbridge_event_bus import EventBridgeEventBus
from xero_connector.domain.errors import RevisionConflict, StoreUnavailable
from xero_connector.domain.history import Action


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def dynamodb(clock: HandClock) -> StrictDynamoDB:
    return StrictDynamoDB(clock, table_name="registry")


@pytest.fixture
def registry(dynamodb: StrictDynamoDB) -> DynamoDBRegistry:
    return DynamoDBRegistry(cast("Any", dynamodb), "registry", 8)


@pytest.fixture
def history(dynamodb: StrictDynamoDB) -> DynamoDBHistory:
    return DynamoDBHistory(cast("Any", dynamodb), "registry", 8)


def told(history: DynamoDBHistory) -> list[str]:
    """Who is in the audit trail, the newest first."""
    return [entry.by for entry in history.page(CLIENT_ID, limit=100, next_token=None).items]


def refused(call: Any, *arguments: Any, **named: Any) -> str:  # noqa: ANN401 - any call
    with pytest.raises(ClientError) as error:
        call(*arguments, **named)
    return error_code(error.value)


def test_a_throttled_call_has_no_effect_and_a_failed_one_may_have(clock: HandClock) -> None:
    dynamodb = StrictDynamoDB(clock, table_name="registry")
    registry = DynamoDBRegistry(cast("Any", dynamodb), "registry", 8)
    dynamodb.faults = lambda _: AwsFault.THROTTLED
    with pytest.raises(StoreUnavailable):
        registry.create(a_credential(), replacing=None)
    assert dynamodb.items == {}
    dynamodb.faults = lambda _: AwsFault.FAILED_AFTER
    with pytest.raises(StoreUnavailable):
        registry.create(a_credential(), replacing=None)
    assert len(dynamodb.items) == 1


def test_the_due_index_lags_behind_the_table(clock: HandClock) -> None:
    dynamodb = StrictDynamoDB(clock, table_name="registry", index_lag=timedelta(seconds=2))
    registry = DynamoDBRegistry(cast("Any", dynamodb), "registry", 8)
    row = registry.create(a_credential(due_at=clock()), replacing=None)
    shard = shard_of(row.client_id, 8)
    assert registry.due(shard=shard, now=clock(), limit=10) == []
    clock.advance(2)
    assert registry.due(shard=shard, now=clock(), limit=10) == [row.client_id]


# Transactions and the audit trail


@pytest.mark.parametrize(("fault", "items"), [(AwsFault.THROTTLED, 0), (AwsFault.FAILED_AFTER, 2)])
def test_a_throttled_transaction_has_no_effect_and_a_failed_one_may_have(
    dynamodb: StrictDynamoDB, registry: DynamoDBRegistry, fault: AwsFault, items: int
) -> None:
    dynamodb.faults = lambda _: fault
    with pytest.raises(StoreUnavailable):
        registry.create(a_credential().noted(Action.SUBMITTED), replacing=None)
    assert len(dynamodb.items) == items


def test_who_meets_another_s_transaction_has_lost(dynamodb: StrictDynamoDB, registry: DynamoDBRegistry) -> None:
    row = registry.create(a_credential(), replacing=None)
    dynamodb.conflicts = lambda operation: operation in {"PutItem", "TransactWriteItems"}
    for mine in (row, row.noted(Action.VALIDATED)):
        with pytest.raises(RevisionConflict):
            registry.save(mine)
    assert registry.get(CLIENT_ID) == row
    assert len(dynamodb.items) == 1


def test_the_queries_of_an_audit_trail_are_consistent_and_backwards(dynamodb: StrictDynamoDB) -> None:
    query = {
        "TableName": "registry",
        "KeyConditionExpression": "pk = :pk AND begins_with(sk, :history)",
        "ExpressionAttributeValues": {":pk": {"S": "CREDENTIAL#a"}, ":history": {"S": "HISTORY#"}},
        "Limit": 1,
        "ConsistentRead": True,
        "ScanIndexForward": False,
    }
    assert cast("Any", dynamodb.query)(**query) == {"Items": []}
    for change in ({"ConsistentRead": False}, {"ScanIndexForward": True}, {"IndexName": "due"}):
        with pytest.raises(AssertionError):
            cast("Any", dynamodb.query)(**{**query, **change})
    elsewhere = {"ExclusiveStartKey": {"pk": {"S": "CREDENTIAL#b"}, "sk": {"S": "HISTORY#1"}}}
    assert refused(dynamodb.query, **query, **elsewhere) == "ValidationException"


def test_events_are_due_until_they_are_published_and_apart_from_credentials(
    clock: HandClock, dynamodb: StrictDynamoDB, registry: DynamoDBRegistry, history: DynamoDBHistory
) -> None:
    shard = shard_of(CLIENT_ID, 8)
    row = a_credential(due_at=clock()).noted(Action.SUBMITTED).noted(Action.VALIDATED).noted(Action.CONNECTED)
    registry.create(row, replacing=None)
    clock.advance(30)
    validated, connected = history.unpublished(shard=shard, now=clock(), limit=10)
    assert (validated.action, connected.action) == (Action.VALIDATED, Action.CONNECTED)
    assert registry.due(shard=shard, now=clock(), limit=10) == [CLIENT_ID]
    history.mark_published(validated)
    assert list(history.unpublished(shard=shard, now=clock(), limit=10)) == [connected]
    history.mark_published(replace(connected, client_id="gone"))
    assert len(dynamodb.items) == 4


def test_an_event_that_was_just_published_is_skipped_where_the_index_still_shows_it(
    clock: HandClock, dynamodb: StrictDynamoDB, registry: DynamoDBRegistry, history: DynamoDBHistory
) -> None:
    dynamodb.index_lag = timedelta(seconds=2)
    shard = shard_of(CLIENT_ID, 8)
    registry.create(a_credential().noted(Action.VALIDATED), replacing=None)
    clock.advance(30)
    (entry,) = history.unpublished(shard=shard, now=clock(), limit=10)
    history.mark_published(entry)
    indexed = dynamodb.query(
        TableName="registry",
        IndexName="due",
        KeyConditionExpression="due_shard = :shard AND due_at <= :now",
        ExpressionAttributeValues={
            ":shard": {"S": f"EVENTS#{shard}"},
            ":now": {"N": str(int(clock().timestamp()))},
        },
        Limit=10,
    )
    assert len(indexed["Items"]) == 1
    assert list(history.unpublished(shard=shard, now=clock(), limit=10)) == []


# The event bus


@pytest.fixture
def events() -> StrictEventBridge:
    return StrictEventBridge("bus")


def publish(events: StrictEventBridge, **detail: object) -> None:
    EventBridgeEventBus(lambda: cast("Any", events), "bus").publish("TenantsChanged", detail, at=NOON)


def test_an_event_is_kept_as_a_subscriber_gets_it(events: StrictEventBridge) -> None:
    publish(events, label="Ünicode", reason=None)
    (event,) = events.published
    assert (event.detail_type, event.detail, event.at) == (
        "TenantsChanged",
        {"label": "Ünicode", "reason": None},
        NOON,
    )


def test_an_event_whose_answer_is_lost_goes_out_twice(events: StrictEventBridge) -> None:
    events.faults = lambda _: AwsFault.ANSWER_LOST
    publish(events)
    assert [event.event_id for event in events.published] == ["event-1", "event-2"]


@pytest.mark.parametrize(("fault", "published"), [(AwsFault.THROTTLED, 0), (AwsFault.FAILED_AFTER, 1)])
def test_a_throttled_event_does_not_go_out_and_a_failed_one_may(
    events: StrictEventBridge, fault: AwsFault, published: int
) -> None:
    events.faults = lambda _: fault
    with pytest.raises(StoreUnavailable):
        publish(events)
    assert len(events.published) == published


def test_a_call_that_succeeds_may_refuse_its_events(events: StrictEventBridge) -> None:
    events.failing_entries = "InternalFailure"
    with pytest.raises(StoreUnavailable) as unavailable:
        publish(events)
    assert unavailable.value.reason == "InternalFailure"
    assert events.published == []


def test_an_event_is_of_the_form_that_aws_takes(events: StrictEventBridge) -> None:
    good: Wire = {"EventBusName": "bus", "Source": "s", "DetailType": "d", "Detail": "{}", "Time": NOON}

    def code(**change: object) -> str:
        (answer,) = events.put_events(Entries=[{**good, **change}])["Entries"]
        return str(answer["ErrorCode"])

    assert code(Detail="[]") == code(Detail="{") == code(Detail="") == "MalformedDetail"
    assert code(Source="") == code(DetailType="") == "InvalidArgument"
    assert refused(events.put_events, Entries=[]) == "ValidationException"
    assert refused(events.put_events, Entries=[good] * 11) == "ValidationException"
    large = {**good, "Detail": json.dumps({"x": "x" * 262_144})}
    assert refused(events.put_events, Entries=[large]) == "ValidationException"
    for change in ({"EventBusName": "other"}, {"Time": datetime(2026, 1, 1)}):  # noqa: DTZ001 - what is refused
        with pytest.raises(AssertionError):
            code(**change)
    assert events.published == []
