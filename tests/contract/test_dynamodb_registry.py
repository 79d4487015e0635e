"""What only the registry on DynamoDB has to cope with: lost answers, pages, shards and AWS's own errors."""

import base64
import json
import traceback
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectTimeoutError, EndpointConnectionError, ReadTimeoutError

from tests.fakes.builders import a_credential, a_request, a_ticket
from tests.fakes.world import CLIENT_ID, NOON
from xero_connector.adapters.aws_errors import CLIENT_CONFIG
from xero_connector.adapters.dynamodb_items import shard_of
from xero_connector.adapters.dynamodb_registry import DynamoDBConsents, DynamoDBRegistry
from xero_connector.domain.errors import MalformedRequest, RevisionConflict, StoreUnavailable
from xero_connector.domain.status import Status

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient

A_MINUTE = timedelta(minutes=1)
SECRET = "s3cr3t"


@pytest.fixture
def registry(dynamodb: "DynamoDBClient", table: str) -> DynamoDBRegistry:
    return DynamoDBRegistry(dynamodb, table, shards=8)


@pytest.fixture
def losing_client(_cloud: None) -> "DynamoDBClient":
    """Return a client of which each first answer to a write is lost: botocore sends the same request again."""
    client = boto3.client("dynamodb", config=CLIENT_CONFIG)

    def wait(attempts: int, **_: object) -> int | None:
        return 0 if attempts == 1 else None

    client.meta.events.register("needs-retry.dynamodb.PutItem", wait)  # type: ignore[arg-type] # may answer
    return client


# A write whose answer is lost


def test_the_client_does_send_a_lost_write_again(losing_client: "DynamoDBClient", table: str) -> None:
    arguments: dict[str, Any] = {
        "TableName": table,
        "Item": {"pk": {"S": "a"}, "sk": {"S": "a"}},
        "ConditionExpression": "attribute_not_exists(pk)",
    }
    with pytest.raises(ClientError, match="ConditionalCheckFailed"):
        losing_client.put_item(**arguments)


def test_a_creation_is_recognised(losing_client: "DynamoDBClient", table: str, registry: DynamoDBRegistry) -> None:
    losing = DynamoDBRegistry(losing_client, table, shards=8)
    created = losing.create(a_credential(), replacing=None)
    assert registry.get(CLIENT_ID) == created == a_credential(revision=1)


def test_a_change_is_recognised(losing_client: "DynamoDBClient", table: str, registry: DynamoDBRegistry) -> None:
    losing = DynamoDBRegistry(losing_client, table, shards=8)
    row = registry.create(a_credential(), replacing=None)
    changed = losing.save(replace(row, label="changed"))
    assert registry.get(CLIENT_ID) == changed
    assert changed.revision == 2


def test_another_s_write_is_not_taken_for_one_s_own(
    losing_client: "DynamoDBClient", table: str, registry: DynamoDBRegistry
) -> None:
    losing = DynamoDBRegistry(losing_client, table, shards=8)
    row = registry.create(a_credential(), replacing=None)
    theirs = registry.save(replace(row, label="theirs"))
    with pytest.raises(RevisionConflict):
        losing.save(replace(row, label="mine"))
    with pytest.raises(RevisionConflict):
        losing.create(a_credential(label="mine"), replacing=None)
    assert registry.get(CLIENT_ID) == theirs


def test_a_reservation_is_recognised(losing_client: "DynamoDBClient", table: str) -> None:
    losing = DynamoDBRegistry(losing_client, table, shards=8)
    assert losing.reserve(CLIENT_ID, owner="me", now=NOON, until=NOON + A_MINUTE)
    assert not losing.reserve(CLIENT_ID, owner="another", now=NOON, until=NOON + A_MINUTE)


def test_a_claim_is_recognised(losing_client: "DynamoDBClient", table: str, dynamodb: "DynamoDBClient") -> None:
    losing, consents = DynamoDBConsents(losing_client, table), DynamoDBConsents(dynamodb, table)
    losing.add_request(a_request())
    claimed = losing.save_request(a_request().claimed(NOON, generation=0))
    assert consents.get_request(a_request().state_hash) == claimed
    with pytest.raises(RevisionConflict):
        losing.save_request(a_request().claimed(NOON, generation=0))


# Lists


def test_a_page_of_one_status_is_filled_over_many_reads(registry: DynamoDBRegistry) -> None:
    wanted = []
    for number in range(260):
        rare = number % 100 == 99 or number == 259
        status = Status.DEGRADED if rare else Status.CONNECTED
        client_id = f"client-{number:03}"
        wanted += [client_id] if rare else []
        registry.create(a_credential(client_id, status=status), replacing=None)
    found, token = [], None
    while True:
        page = registry.page(status=Status.DEGRADED, limit=2, next_token=token)
        found.append([row.client_id for row in page.items])
        token = page.next_token
        if token is None:
            break
    assert found == [wanted[:2], wanted[2:]]


def test_a_next_token_can_stand_in_a_url_as_it_is(registry: DynamoDBRegistry) -> None:
    for number in range(3):
        registry.create(a_credential(f"client_{number}-?"), replacing=None)
    token = registry.page(status=None, limit=1, next_token=None).next_token
    assert token is not None
    assert token.replace("-", "").replace("_", "").isalnum()


@pytest.mark.parametrize(
    "content", [None, 1, "xy", [], [1], [None], [[]], ["a", "b"], {}, {"a": 1, "b": 2}, [{"pk": "x"}]]
)
def test_a_forged_next_token_is_refused(registry: DynamoDBRegistry, content: object) -> None:
    token = base64.urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")
    with pytest.raises(MalformedRequest) as refused:
        registry.page(status=None, limit=1, next_token=token)
    assert refused.value.hint


def test_each_credential_is_due_in_one_shard(registry: DynamoDBRegistry) -> None:
    ids = [f"client-{number}" for number in range(40)]
    for client_id in ids:
        registry.create(a_credential(client_id, due_at=NOON), replacing=None)
    shards = {str(shard): list(registry.due(shard=str(shard), now=NOON, limit=100)) for shard in range(8)}
    assert sorted(client_id for due in shards.values() for client_id in due) == sorted(ids)
    assert all(shard_of(client_id, 8) == shard for shard, due in shards.items() for client_id in due)


def test_a_credential_s_id_may_look_like_a_key(registry: DynamoDBRegistry) -> None:
    row = registry.create(a_credential("CREDENTIAL#x", due_at=NOON), replacing=None)
    assert registry.get("CREDENTIAL#x") == row
    assert list(registry.due(shard=shard_of("CREDENTIAL#x", 8), now=NOON, limit=1)) == ["CREDENTIAL#x"]


# AWS's own errors

CALLS: list[tuple[str, Callable[[DynamoDBRegistry, DynamoDBConsents], object]]] = [
    ("GetItem", lambda registry, _: registry.get(CLIENT_ID)),
    ("PutItem", lambda registry, _: registry.create(a_credential(label=SECRET), replacing=None)),
    ("PutItem", lambda registry, _: registry.save(a_credential(label=SECRET))),
    ("Query", lambda registry, _: registry.page(status=None, limit=1, next_token=None)),
    ("Query", lambda registry, _: registry.due(shard="0", now=NOON, limit=1)),
    ("PutItem", lambda registry, _: registry.reserve(CLIENT_ID, owner=SECRET, now=NOON, until=NOON)),
    ("DeleteItem", lambda registry, _: registry.unreserve(CLIENT_ID, owner=SECRET)),
    ("PutItem", lambda _, consents: consents.add_ticket(a_ticket())),
    ("GetItem", lambda _, consents: consents.get_ticket(SECRET)),
    ("PutItem", lambda _, consents: consents.add_request(a_request())),
    ("GetItem", lambda _, consents: consents.get_request(SECRET)),
    ("PutItem", lambda _, consents: consents.save_request(a_request())),
]


@pytest.mark.parametrize(
    "trouble",
    [
        ClientError({"Error": {"Code": "ThrottlingException", "Message": f"of {SECRET}"}}, "Any"),
        ClientError({"Error": {"Code": "ValidationException", "Message": f"{SECRET} is not good"}}, "Any"),
        EndpointConnectionError(endpoint_url=f"https://{SECRET}"),
        ConnectTimeoutError(endpoint_url=f"https://{SECRET}"),
        ReadTimeoutError(endpoint_url=f"https://{SECRET}"),
    ],
    ids=lambda trouble: type(trouble).__name__,
)
@pytest.mark.parametrize(("operation", "call"), CALLS)
@pytest.mark.usefixtures("_cloud")
def test_trouble_at_aws_is_told_by_its_code_alone(
    trouble: Exception,
    operation: str,
    call: Callable[[DynamoDBRegistry, DynamoDBConsents], object],
) -> None:
    client = boto3.client("dynamodb", config=Config(retries={"total_max_attempts": 1}))

    def fail(**_: object) -> None:
        raise trouble

    client.meta.events.register("before-call.dynamodb", fail)
    with pytest.raises(StoreUnavailable) as unavailable:
        call(DynamoDBRegistry(client, "table", shards=8), DynamoDBConsents(client, "table"))
    error = unavailable.value
    code = trouble.response["Error"]["Code"] if isinstance(trouble, ClientError) else type(trouble).__name__
    assert (error.operation, error.reason) == (operation, code)
    told = "".join(traceback.TracebackException.from_exception(error).format())
    assert SECRET not in error.detail + error.hint + told


def test_a_table_that_is_not_there(dynamodb: "DynamoDBClient") -> None:
    with pytest.raises(StoreUnavailable) as unavailable:
        DynamoDBRegistry(dynamodb, "nowhere", shards=1).get(CLIENT_ID)
    assert unavailable.value.reason == "ResourceNotFoundException"
