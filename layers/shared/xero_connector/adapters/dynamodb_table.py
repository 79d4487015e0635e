"""Items of the one DynamoDB table: read, written under a condition, and listed page by page."""

import base64
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from botocore.exceptions import ClientError

from xero_connector.adapters import dynamodb_items as items
from xero_connector.adapters.aws_errors import error_code, member, translating
from xero_connector.domain.errors import MalformedRequest, RowUnreadable, StoreUnavailable

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient

type Unreadable = Callable[[str], None]
"""Told the client ID of an item that cannot be read."""

BEING_WRITTEN = frozenset({"TransactionConflict", "TransactionConflictException"})
"""Somebody else has the row in hand: what AWS answers a transaction, and what a put."""


_MOST_KEYS = 100
_MOST_BATCHES = 5
"""Each goes on with the keys that the one before left out, because it was too large or was throttled."""


def ignored(_: str) -> None:
    """Leave it at that."""


def readable_rows[Row](
    read: Callable[[items.Item], Row], found: Sequence[items.Item], unreadable: Unreadable
) -> list[Row]:
    """Read items of a list; one that cannot be read is reported, and voids none of the others."""
    rows: list[Row] = []
    for item in found:
        try:
            rows.append(items.readable(read, item, "Query"))
        except RowUnreadable:
            unreadable(str(item.get("client_id", item.get("pk"))))
    return rows


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Table:
    """Single items of the table, read consistently and written under a condition."""

    client: "DynamoDBClient"
    name: str

    def read(self, key: items.Item) -> items.Item | None:
        """Read an item as it stands after the last write."""
        with translating("GetItem"):
            answer = self.client.get_item(TableName=self.name, Key=items.to_wire(key), ConsistentRead=True)
        return items.from_wire(answer["Item"]) if "Item" in answer else None

    def read_all(self, keys: Sequence[items.Item]) -> list[items.Item]:
        """Read items in any order, those that are there; they may lag behind a write for a moment."""
        found: list[items.Item] = []
        for begin in range(0, len(keys), _MOST_KEYS):
            found += self._batch(keys[begin : begin + _MOST_KEYS])
        return found

    def _batch(self, keys: Sequence[items.Item]) -> Iterator[items.Item]:
        left: Any = {self.name: {"Keys": [items.to_wire(key) for key in keys]}}
        for _ in range(_MOST_BATCHES):
            with translating("BatchGetItem"):
                answer: Mapping[str, object] = self.client.batch_get_item(RequestItems=left)
                found = member(member(answer, "Responses", dict), self.name, list)
            yield from (items.from_wire(item) for item in found)
            left = answer.get("UnprocessedKeys")
            if not left:
                return
        raise StoreUnavailable("BatchGetItem", "UnprocessedKeys")

    def credential(self, client_id: str, *, consistently: bool) -> list[items.Item]:
        """Read the state and the details of a credential, each as it stood at some moment of the read."""
        found, _ = self.query(
            KeyConditionExpression="pk = :pk AND begins_with(sk, :credential)",
            ExpressionAttributeValues=items.to_wire(
                {":pk": items.credential_key(client_id)["pk"], ":credential": items.STATE}
            ),
            ConsistentRead=consistently,
        )
        return found

    def listed(self, listing: str, *, after: str | None, most: int) -> tuple[list[items.Item], bool]:
        """Return a stretch of a listing in the order of client IDs, and whether there may be more of it."""
        condition, values = _in_listing(listing, after)
        found, last = self.query(
            IndexName="credentials",
            KeyConditionExpression=condition,
            ExpressionAttributeValues=values,
            Limit=most,
        )
        return found, last is not None

    def count(self, listing: str, *, after: str | None, most: int) -> tuple[int, str | None]:
        """Count a stretch of a listing; also tells the client ID that it ended with, None at the end."""
        condition, values = _in_listing(listing, after)
        with translating("Query"):
            answer: Mapping[str, object] = self.client.query(
                TableName=self.name,
                IndexName="credentials",
                KeyConditionExpression=condition,
                ExpressionAttributeValues=values,
                Select="COUNT",
                Limit=most,
            )
            number = member(answer, "Count", int)
        last: Any = answer.get("LastEvaluatedKey")
        return number, items.from_wire(last)["client_id"] if last else None

    def query(self, **arguments: Any) -> tuple[list[items.Item], items.Item | None]:  # noqa: ANN401 - what boto3 takes
        """Return the items that a query found, and where it stopped."""
        with translating("Query"):
            answer: Mapping[str, object] = self.client.query(TableName=self.name, **arguments)
            found = member(answer, "Items", list)
        start: Any = answer.get("LastEvaluatedKey")
        return [items.from_wire(item) for item in found], start

    def write(self, item: items.Item, *, only_if: str, values: Mapping[str, Any] | None = None) -> bool:
        """Write an item under a condition; False if the condition does not hold.

        A retry after a lost answer meets its own first write: the id of the write tells it from another's.
        """
        write_id = str(uuid4())
        with translating("PutItem"):
            try:
                self.client.put_item(**self._put(item, write_id, only_if=only_if, values=values))
            except ClientError as error:
                if error_code(error) != "ConditionalCheckFailedException":
                    raise
                return _is_of(write_id, error.response)
        return True

    def write_all(
        self,
        item: items.Item,
        others: Sequence[items.Item],
        *,
        only_if: str,
        values: Mapping[str, Any] | None = None,
    ) -> bool:
        """Write an item under a condition and others with it: all of them, or none and False."""
        write_id = str(uuid4())
        puts = [
            self._put(item, write_id, only_if=only_if, values=values),
            *({"TableName": self.name, "Item": items.to_wire(other)} for other in others),
        ]
        transaction: Any = [{"Put": put} for put in puts]
        with translating("TransactWriteItems"):
            try:
                # AWS knows a repetition by the token for ten minutes; the id of the write tells it at any time.
                self.client.transact_write_items(TransactItems=transaction, ClientRequestToken=write_id)
            except ClientError as error:
                if error_code(error) != "TransactionCanceledException":
                    raise
                return _has_happened(write_id, error)
        return True

    def _put(
        self, item: items.Item, write_id: str, *, only_if: str, values: Mapping[str, Any] | None
    ) -> dict[str, Any]:
        put: dict[str, Any] = {
            "TableName": self.name,
            "Item": items.to_wire({**item, "write_id": write_id}),
            "ConditionExpression": only_if,
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
        return {**put, "ExpressionAttributeValues": items.to_wire(values)} if values else put


def _in_listing(listing: str, after: str | None) -> tuple[str, items.Item]:
    if after is None:
        return "listing = :listing", items.to_wire({":listing": listing})
    values = {":listing": listing, ":after": after}
    return "listing = :listing AND client_id > :after", items.to_wire(values)


def _is_of(write_id: str, refusal: Mapping[str, Any]) -> bool:
    return bool(items.from_wire(refusal.get("Item", {})).get("write_id") == write_id)


def _has_happened(write_id: str, canceled: ClientError) -> bool:
    # The stubs know the members that all errors have, and not those of this one.
    response: Mapping[str, Any] = canceled.response
    reasons: Sequence[Mapping[str, Any]] = response.get("CancellationReasons", [])
    for reason in reasons:
        if reason["Code"] == "ConditionalCheckFailed":
            return _is_of(write_id, reason)
    codes = [reason["Code"] for reason in reasons if reason["Code"] != "None"] or [error_code(canceled)]
    decisive = next((code for code in codes if code in BEING_WRITTEN), codes[0])
    raise StoreUnavailable("TransactWriteItems", decisive) from None


def encoded_token(*parts: str | int) -> str:
    """Return a next_token that can stand in a URL as it is."""
    return base64.urlsafe_b64encode(json.dumps(parts).encode()).decode().rstrip("=")


def decoded_token(next_token: str) -> Any:  # noqa: ANN401 - any JSON
    """Read a next_token, or raise `ValueError`."""
    padded = next_token + "=" * (-len(next_token) % 4)
    try:
        return json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except RecursionError as error:
        raise ValueError from error


def malformed_next_token() -> MalformedRequest:
    """What to raise for a next_token that leads nowhere."""
    return MalformedRequest(
        "The next_token is not one that this list gave.",
        code="malformed_next_token",
        hint="Pass the next_token of the page before, or none for the first page.",
    )
