"""What only the registry on DynamoDB has to cope with: lost answers, pages, shards and AWS's own errors."""

import base64
import json
import traceback
from collections.abc import Callable
from copy import copy
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

import boto3
import pytest
from botocore import xform_name
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectTimeoutError, EndpointConnectionError, ReadTimeoutError

from tests.doubles.dynamodb import StrictDynamoDB
from tests.doubles.faults import AwsFault
from tests.fakes.builders import a_credential, a_request, a_ticket
from tests.fakes.due import due_in
from tests.fakes.world import CLIENT_ID, NOON
from xero_connector.adapters import dynamodb_items as items
from xero_connector.adapters.aws_errors import CLIENT_CONFIG
from xero_connector.adapters.dynamodb_consents import DynamoDBConsents
from xero_connector.adapters.dynamodb_credential_parts import parts_to_write
from xero_connector.adapters.dynamodb_history import DynamoDBHistory
from xero_connector.adapters.dynamodb_items import shard_of
from xero_connector.adapters.dynamodb_registry import DynamoDBRegistry
from xero_connector.domain.credential import Credential
from xero_connector.domain.errors import MalformedRequest, RevisionConflict, StoreUnavailable
from xero_connector.domain.events import entries_of
from xero_connector.domain.history import Action
from xero_connector.domain.status import Status

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient

A_MINUTE = timedelta(minutes=1)
SECRET = "s3cr3t"
IF_NEW: Any = {
    "ConditionExpression": "attribute_not_exists(pk)",
    "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
}


@pytest.fixture
def registry(dynamodb: "DynamoDBClient", table: str) -> DynamoDBRegistry:
    return DynamoDBRegistry(dynamodb, table, shards=8)


@pytest.fixture
def losing_client(dynamodb: "DynamoDBClient") -> "DynamoDBClient":
    """Return a client of which each first answer to a write is lost: botocore sends the same request again."""
    strict: object = dynamodb
    if isinstance(strict, StrictDynamoDB):
        # A second client of the same table: a shallow copy shares the items.
        losing = copy(strict)
        losing.faults = lambda _: AwsFault.ANSWER_LOST
        return cast("DynamoDBClient", losing)
    client = boto3.client("dynamodb", config=CLIENT_CONFIG)

    def wait(attempts: int, **_: object) -> int | None:
        return 0 if attempts == 1 else None

    for operation in ("PutItem", "TransactWriteItems"):
        client.meta.events.register(f"needs-retry.dynamodb.{operation}", wait)  # type: ignore[arg-type] # may answer
    return client


@pytest.fixture
def history(dynamodb: "DynamoDBClient", table: str) -> DynamoDBHistory:
    return DynamoDBHistory(dynamodb, table)


def told(history: DynamoDBHistory) -> list[str]:
    """Who is in the audit trail, the newest first."""
    return [entry.by for entry in history.page(CLIENT_ID, limit=100, next_token=None).items]


# A write whose answer is lost


def test_the_client_does_send_a_lost_write_again(losing_client: "DynamoDBClient", table: str) -> None:
    arguments: dict[str, Any] = {
        "TableName": table,
        "Item": {"pk": {"S": "a"}, "sk": {"S": "a"}},
        **IF_NEW,
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


def test_a_write_with_notes_is_recognised_and_leaves_its_entries_once(
    losing_client: "DynamoDBClient", table: str, registry: DynamoDBRegistry, history: DynamoDBHistory
) -> None:
    losing = DynamoDBRegistry(losing_client, table, shards=8)
    created = losing.create(a_credential().noted(Action.SUBMITTED, by="me"), replacing=None)
    assert registry.get(CLIENT_ID) == created == a_credential(revision=1)
    changed = losing.save(created.noted(Action.VALIDATED, by="me again"))
    assert registry.get(CLIENT_ID) == changed == a_credential(revision=2)
    assert told(history) == ["me again", "me"]


def test_another_s_write_with_notes_is_not_taken_for_one_s_own(
    losing_client: "DynamoDBClient", table: str, registry: DynamoDBRegistry, history: DynamoDBHistory
) -> None:
    losing = DynamoDBRegistry(losing_client, table, shards=8)
    row = registry.create(a_credential(), replacing=None)
    theirs = registry.save(row.noted(Action.VALIDATED, by="they"))
    with pytest.raises(RevisionConflict):
        losing.save(row.noted(Action.VALIDATED, by="I"))
    with pytest.raises(RevisionConflict):
        losing.create(a_credential().noted(Action.VALIDATED, by="I"), replacing=None)
    assert registry.get(CLIENT_ID) == theirs
    assert told(history) == ["they"]


def test_a_mark_whose_answer_is_lost(
    losing_client: "DynamoDBClient", table: str, registry: DynamoDBRegistry, history: DynamoDBHistory
) -> None:
    registry.create(a_credential().noted(Action.VALIDATED), replacing=None)
    (entry,) = history.page(CLIENT_ID, limit=1, next_token=None).items
    DynamoDBHistory(losing_client, table).mark_published(entry)
    assert history.page(CLIENT_ID, limit=1, next_token=None).items == [replace(entry, unpublished=False)]


def test_a_reservation_is_recognised(losing_client: "DynamoDBClient", table: str) -> None:
    losing = DynamoDBRegistry(losing_client, table, shards=8)
    assert losing.reserve(CLIENT_ID, owner="me", now=NOON, until=NOON + A_MINUTE)
    assert not losing.reserve(CLIENT_ID, owner="another", now=NOON, until=NOON + A_MINUTE)


def test_a_claim_is_recognised(losing_client: "DynamoDBClient", table: str, dynamodb: "DynamoDBClient") -> None:
    losing, consents = DynamoDBConsents(losing_client, table), DynamoDBConsents(dynamodb, table)
    losing.add_request(a_request())
    claimed = losing.save_request(a_request().claimed(NOON))
    assert consents.get_request(a_request().state_hash) == claimed
    with pytest.raises(RevisionConflict):
        losing.save_request(a_request().claimed(NOON))


# Writes that meet somebody else's


class RefusingClient:
    """A client of which one operation is refused."""

    def __init__(self, client: "DynamoDBClient", operation: str, refusal: ClientError) -> None:
        self._client = client
        self._method = xform_name(operation)
        self._refusal = refusal

    def __getattr__(self, method: str) -> Any:  # noqa: ANN401 - as boto3's
        return self._refuse if method == self._method else getattr(self._client, method)

    def _refuse(self, **_: object) -> None:
        raise self._refusal


@pytest.fixture
def refusing(dynamodb: "DynamoDBClient", table: str) -> Callable[[str, ClientError], DynamoDBRegistry]:
    """Return what makes a registry of which one operation is refused."""

    def registry(operation: str, refusal: ClientError) -> DynamoDBRegistry:
        client = cast("DynamoDBClient", RefusingClient(dynamodb, operation, refusal))
        return DynamoDBRegistry(client, table, shards=8)

    return registry


def canceled(*codes: str) -> ClientError:
    error = ClientError(
        {"Error": {"Code": "TransactionCanceledException", "Message": f"of {SECRET}"}}, "TransactWriteItems"
    )
    response: Any = error.response
    response["CancellationReasons"] = [{"Code": code} for code in codes]
    return error


def test_a_put_that_meets_a_transaction_is_a_conflict(
    refusing: Callable[[str, ClientError], DynamoDBRegistry], registry: DynamoDBRegistry
) -> None:
    row = registry.create(a_credential(), replacing=None)
    conflict = ClientError({"Error": {"Code": "TransactionConflictException", "Message": "-"}}, "PutItem")
    refused = refusing("PutItem", conflict)
    with pytest.raises(RevisionConflict):
        refused.save(row)
    # No transaction has to do with a reservation: to take this for somebody's submission would be a guess.
    with pytest.raises(StoreUnavailable):
        refused.reserve(CLIENT_ID, owner="me", now=NOON, until=NOON + A_MINUTE)


@pytest.mark.parametrize(
    "codes",
    [
        ("TransactionConflict", "None"),
        ("None", "TransactionConflict"),
        ("ThrottlingError", "TransactionConflict"),
        ("ConditionalCheckFailed", "TransactionConflict"),
    ],
)
def test_a_transaction_that_meets_another_is_a_conflict(
    refusing: Callable[[str, ClientError], DynamoDBRegistry], codes: tuple[str, ...]
) -> None:
    with pytest.raises(RevisionConflict):
        refusing("TransactWriteItems", canceled(*codes)).save(a_credential().noted(Action.VALIDATED))


@pytest.mark.parametrize(
    ("codes", "reason"),
    [
        (("None", "ThrottlingError"), "ThrottlingError"),
        (("ValidationError", "None"), "ValidationError"),
        ((), "TransactionCanceledException"),
    ],
)
def test_a_transaction_that_aws_cannot_make_is_told_by_its_reason(
    refusing: Callable[[str, ClientError], DynamoDBRegistry], codes: tuple[str, ...], reason: str
) -> None:
    with pytest.raises(StoreUnavailable) as unavailable:
        refusing("TransactWriteItems", canceled(*codes)).save(a_credential().noted(Action.VALIDATED))
    assert (unavailable.value.operation, unavailable.value.reason) == ("TransactWriteItems", reason)
    assert SECRET not in "".join(traceback.TracebackException.from_exception(unavailable.value).format())


def test_a_row_without_notes_or_new_details_takes_no_transaction(
    refusing: Callable[[str, ClientError], DynamoDBRegistry], registry: DynamoDBRegistry
) -> None:
    row = registry.create(a_credential(), replacing=None)
    leased = row.leased("me", now=NOON, duration=A_MINUTE)
    assert refusing("TransactWriteItems", canceled("ThrottlingError")).save(leased).revision == 2


def test_a_row_and_its_entries_are_one_write(
    refusing: Callable[[str, ClientError], DynamoDBRegistry], registry: DynamoDBRegistry, history: DynamoDBHistory
) -> None:
    row = registry.create(a_credential(), replacing=None)
    noted = row.noted(Action.VALIDATED, by="me")
    with pytest.raises(StoreUnavailable):
        refusing("TransactWriteItems", canceled("ThrottlingError")).save(noted)
    assert (registry.get(CLIENT_ID), told(history)) == (row, [])
    throttled = ClientError({"Error": {"Code": "ThrottlingException", "Message": "-"}}, "PutItem")
    saved = refusing("PutItem", throttled).save(noted)
    assert (registry.get(CLIENT_ID), told(history)) == (saved, ["me"])


# The audit trail


def test_what_is_kept_of_an_entry(dynamodb: "DynamoDBClient", table: str, registry: DynamoDBRegistry) -> None:
    def stored(key: items.Item) -> dict[str, Any]:
        answer = dynamodb.get_item(TableName=table, Key=items.to_wire(key), ConsistentRead=True)
        return answer["Item"]

    row = a_credential().noted(Action.SUBMITTED, by="me").noted(Action.VALIDATED)
    registry.create(row, replacing=None)
    submitted, validated = [
        items.from_wire(stored(items.history_key(CLIENT_ID, 1, position))) for position in (0, 1)
    ]
    assert validated["pk"] == f"CREDENTIAL#{CLIENT_ID}"
    assert validated["sk"] == "HISTORY#000000000001#01"
    assert validated["due_shard"] == "EVENTS#0"
    assert validated["due_at"] == int(NOON.timestamp()) + 30
    assert validated["ttl"] == submitted["ttl"] == int(NOON.timestamp()) + 400 * 86_400
    assert json.loads(validated["event"])["sequence"] == 11
    assert {"event", "due_shard", "due_at", "detail"}.isdisjoint(submitted)
    assert "notes" not in stored(items.credential_key(CLIENT_ID))


def test_an_audit_trail_of_more_than_a_megabyte_is_read_to_its_end(
    dynamodb: "DynamoDBClient", table: str, history: DynamoDBHistory
) -> None:
    for revision in range(1, 13):
        row = a_credential(revision=revision).noted(Action.REFRESH_REQUESTED, by=f"{revision:02d}" + "x" * 150_000)
        (entry,) = entries_of(row)
        dynamodb.put_item(TableName=table, Item=items.to_wire(items.entry_to_item(entry)), **IF_NEW)
    assert [by[:2] for by in told(history)] == [f"{revision:02d}" for revision in range(12, 0, -1)]


def test_the_events_of_all_credentials_wait_in_one_shard(
    registry: DynamoDBRegistry, history: DynamoDBHistory
) -> None:
    ids = [f"client-{number}" for number in range(40)]
    for client_id in ids:
        registry.create(a_credential(client_id).noted(Action.VALIDATED), replacing=None)
    waiting = history.unpublished(shard="0", now=NOON + A_MINUTE, limit=100)
    assert sorted(entry.client_id for entry in waiting) == sorted(ids)


@pytest.mark.parametrize(
    "content",
    [
        None, 1, "12", [], [1], [1, 2, 3], [0, 0], [-1, 0], [1, -1], [1, 10], [10**12, 0], [True, 0], [1, False],
        [1.0, 0], ["1", 0], [1, None], [[1], 0], {}, {"a": 1, "b": 2},
    ],
)  # fmt: skip
def test_a_forged_next_token_of_an_audit_trail_is_refused(history: DynamoDBHistory, content: object) -> None:
    token = base64.urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")
    with pytest.raises(MalformedRequest) as refused:
        history.page(CLIENT_ID, limit=1, next_token=token)
    assert refused.value.code == "malformed_next_token"


@pytest.mark.parametrize("text", ["[1,0]", " [1, 0]", "[1, 0]\n", "[01, 0]", "[1, 0, ]", "[1e0, 0]", "[NaN, 0]"])
def test_a_next_token_of_an_audit_trail_has_one_spelling(history: DynamoDBHistory, text: str) -> None:
    good = base64.urlsafe_b64encode(b"[1, 0]").decode().rstrip("=")
    assert history.page(CLIENT_ID, limit=1, next_token=good).items == []
    token = base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")
    with pytest.raises(MalformedRequest):
        history.page(CLIENT_ID, limit=1, next_token=token)


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


def test_a_next_token_of_any_depth_is_refused(registry: DynamoDBRegistry, history: DynamoDBHistory) -> None:
    token = base64.urlsafe_b64encode(b"[" * 99_999).decode()
    with pytest.raises(MalformedRequest):
        registry.page(status=None, limit=1, next_token=token)
    with pytest.raises(MalformedRequest):
        history.page(CLIENT_ID, limit=1, next_token=token)


def test_each_credential_is_due_in_one_shard(registry: DynamoDBRegistry) -> None:
    ids = [f"client-{number}" for number in range(40)]
    for client_id in ids:
        registry.create(a_credential(client_id, due_at=NOON), replacing=None)
    shards = {str(shard): due_in(registry, shard=str(shard), now=NOON, limit=100) for shard in range(8)}
    assert sorted(client_id for due in shards.values() for client_id in due) == sorted(ids)
    assert all(shard_of(client_id, 8) == shard for shard, due in shards.items() for client_id in due)


def test_a_credential_s_id_may_look_like_a_key(registry: DynamoDBRegistry) -> None:
    row = registry.create(a_credential("CREDENTIAL#x", due_at=NOON), replacing=None)
    assert registry.get("CREDENTIAL#x") == row
    assert due_in(registry, shard=shard_of("CREDENTIAL#x", 8), now=NOON) == ["CREDENTIAL#x"]


# AWS's own errors


def of(registry: DynamoDBRegistry) -> DynamoDBHistory:
    """The audit trail of a registry."""
    return DynamoDBHistory(registry.client, registry.table_name)


def read_before(row: Credential) -> Credential:
    """Return a credential as it is after a read: its details need not be written again."""
    return replace(row, stored=parts_to_write(row, seen=None, shards=8).stored)


CALLS: list[tuple[str, Callable[[DynamoDBRegistry, DynamoDBConsents], object]]] = [
    ("Query", lambda registry, _: registry.get(CLIENT_ID)),
    ("TransactWriteItems", lambda registry, _: registry.create(a_credential(label=SECRET), replacing=None)),
    ("PutItem", lambda registry, _: registry.save(read_before(a_credential(label=SECRET)))),
    (
        "TransactWriteItems",
        lambda registry, _: registry.save(a_credential(label=SECRET).noted(Action.VALIDATED, by=SECRET)),
    ),
    ("Query", lambda registry, _: of(registry).page(SECRET, limit=1, next_token=None)),
    ("Query", lambda registry, _: of(registry).unpublished(shard="0", now=NOON, limit=1)),
    (
        "PutItem",
        lambda registry, _: of(registry).mark_published(entries_of(a_credential().noted(Action.VALIDATED))[0]),
    ),
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
