"""The registry and the consents in one DynamoDB table: see `dynamodb_items` for its shape."""

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from botocore.exceptions import ClientError

from xero_connector.adapters import dynamodb_items as items
from xero_connector.adapters.aws_errors import error_code, member, translating
from xero_connector.domain.consent import AuthorizationRequest, ConnectTicket
from xero_connector.domain.credential import Credential
from xero_connector.domain.errors import MalformedRequest, RevisionConflict, RowUnreadable, StoreUnavailable
from xero_connector.domain.events import entries_of
from xero_connector.domain.ports import Page
from xero_connector.domain.status import Status
from xero_connector.domain.submission import parse_client_id

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient

type Unreadable = Callable[[str], None]
"""Told the client ID of an item that cannot be read."""

_READ_AHEAD = 100
_BEING_WRITTEN = frozenset({"TransactionConflict", "TransactionConflictException"})
"""Somebody else has the row in hand: what AWS answers a transaction, and what a put."""


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


@dataclass(frozen=True, slots=True)
class Table:
    """Single items of the table, read consistently and written under a condition."""

    client: "DynamoDBClient"
    name: str

    def read(self, key: items.Item) -> items.Item | None:
        """Read an item as it stands after the last write."""
        with translating("GetItem"):
            answer = self.client.get_item(TableName=self.name, Key=items.to_wire(key), ConsistentRead=True)
        return items.from_wire(answer["Item"]) if "Item" in answer else None

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
    decisive = next((code for code in codes if code in _BEING_WRITTEN), codes[0])
    raise StoreUnavailable("TransactWriteItems", decisive) from None


@dataclass(frozen=True, slots=True)
class DynamoDBRegistry:
    """`Registry` on DynamoDB: each write is conditional on the revision that the writer saw."""

    client: "DynamoDBClient"
    table_name: str
    shards: int
    unreadable: Unreadable = ignored

    @property
    def _table(self) -> Table:
        return Table(self.client, self.table_name)

    def get(self, client_id: str) -> Credential | None:
        item = self._table.read(items.credential_key(client_id))
        if item is None:
            return None
        try:
            return items.readable(items.credential_from_item, item, "GetItem")
        except RowUnreadable:
            self.unreadable(client_id)
            raise

    def create(self, credential: Credential, *, replacing: Credential | None) -> Credential:
        if replacing is None:
            first = replace(credential, revision=1)
            return self._write(first, only_if="attribute_not_exists(pk)", values=None)
        later = replace(credential, revision=replacing.revision + 1)
        return self._write(later, only_if="revision = :seen", values={":seen": replacing.revision})

    def save(self, credential: Credential) -> Credential:
        changed = replace(credential, revision=credential.revision + 1)
        return self._write(changed, only_if="revision = :seen", values={":seen": credential.revision})

    def _write(self, row: Credential, *, only_if: str, values: Mapping[str, Any] | None) -> Credential:
        item = items.credential_to_item(row, shards=self.shards)
        entries = [items.entry_to_item(entry, shards=self.shards) for entry in entries_of(row)]
        try:
            if entries:
                written = self._table.write_all(item, entries, only_if=only_if, values=values)
            else:
                written = self._table.write(item, only_if=only_if, values=values)
        except StoreUnavailable as trouble:
            if trouble.reason not in _BEING_WRITTEN:
                raise
            written = False
        if not written:
            raise RevisionConflict(row.client_id)
        return replace(row, notes=()) if entries else row

    def page(self, *, status: Status | None, limit: int, next_token: str | None) -> Page:
        found: list[Credential] = []
        start = None if next_token is None else _start_key(next_token)
        while len(found) < limit:
            arguments: dict[str, Any] = {
                "IndexName": "credentials",
                "KeyConditionExpression": "listing = :listing",
                "ExpressionAttributeValues": items.to_wire({":listing": items.LISTING}),
                # A filter is applied after the limit: read ahead, and cut the page to size below.
                "Limit": limit if status is None else max(limit, _READ_AHEAD),
            }
            if start is not None:
                arguments["ExclusiveStartKey"] = start
            page, start = self._table.query(**arguments)
            rows = readable_rows(items.credential_from_item, page, self.unreadable)
            found += [row for row in rows if status is None or row.status is status]
            if start is None:
                break
        more = start is not None or len(found) > limit
        found = found[:limit]
        return Page(found, encoded_token(found[-1].client_id) if more and found else None)

    def due(self, *, shard: str, now: datetime, limit: int) -> Sequence[str]:
        due, _ = self._table.query(
            IndexName="due",
            KeyConditionExpression="due_shard = :shard AND due_at <= :now",
            ExpressionAttributeValues=items.to_wire({":shard": shard, ":now": items.epoch(now)}),
            Limit=limit,
        )
        return [item["pk"].removeprefix("CREDENTIAL#") for item in due]

    def reserve(self, client_id: str, *, owner: str, now: datetime, until: datetime) -> bool:
        return self._table.write(
            {
                **items.reservation_key(client_id),
                "reserved_by": owner,
                "reserved_until": items.epoch(until),
                "ttl": items.epoch(until),
            },
            only_if="attribute_not_exists(pk) OR reserved_until < :now",
            values={":now": items.epoch(now)},
        )

    def unreserve(self, client_id: str, *, owner: str) -> None:
        with translating("DeleteItem"):
            try:
                self.client.delete_item(
                    TableName=self.table_name,
                    Key=items.to_wire(items.reservation_key(client_id)),
                    ConditionExpression="reserved_by = :owner",
                    ExpressionAttributeValues=items.to_wire({":owner": owner}),
                )
            except ClientError as error:
                # Overrun and taken over by another submission: its reservation stays.
                if error_code(error) != "ConditionalCheckFailedException":
                    raise


@dataclass(frozen=True, slots=True)
class DynamoDBConsents:
    """`Consents` on the same table; DynamoDB removes expired items by itself."""

    client: "DynamoDBClient"
    table_name: str

    @property
    def _table(self) -> Table:
        return Table(self.client, self.table_name)

    def add_ticket(self, ticket: ConnectTicket) -> None:
        self._table.write(items.ticket_to_item(ticket), only_if="attribute_not_exists(pk)")

    def get_ticket(self, ticket_hash: str) -> ConnectTicket | None:
        item = self._table.read(items.ticket_key(ticket_hash))
        return None if item is None else items.readable(items.ticket_from_item, item, "GetItem")

    def add_request(self, request: AuthorizationRequest) -> None:
        self._table.write(items.request_to_item(request), only_if="attribute_not_exists(pk)")

    def get_request(self, state_hash: str) -> AuthorizationRequest | None:
        item = self._table.read(items.request_key(state_hash))
        return None if item is None else items.readable(items.request_from_item, item, "GetItem")

    def save_request(self, request: AuthorizationRequest) -> AuthorizationRequest:
        changed = replace(request, revision=request.revision + 1)
        if not self._table.write(
            items.request_to_item(changed),
            only_if="revision = :seen",
            values={":seen": request.revision},
        ):
            raise RevisionConflict(request.client_id)
        return changed


def encoded_token(*parts: str | int) -> str:
    """Return a next_token that can stand in a URL as it is."""
    return base64.urlsafe_b64encode(json.dumps(parts).encode()).decode().rstrip("=")


def decoded_token(next_token: str) -> Any:  # noqa: ANN401 - whatever somebody put there
    """Read a next_token, or raise `ValueError`."""
    padded = next_token + "=" * (-len(next_token) % 4)
    return json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))


def malformed_next_token() -> MalformedRequest:
    """What to raise for a next_token that leads nowhere."""
    return MalformedRequest(
        "The next_token is not one that this list gave.",
        code="malformed_next_token",
        hint="Pass the next_token of the page before, or none for the first page.",
    )


def _start_key(next_token: str) -> items.Item:
    try:
        (client_id,) = decoded_token(next_token)
        parse_client_id(client_id)
    except (AttributeError, TypeError, ValueError, MalformedRequest):
        raise malformed_next_token() from None
    return items.to_wire({**items.credential_key(client_id), "listing": items.LISTING, "client_id": client_id})
