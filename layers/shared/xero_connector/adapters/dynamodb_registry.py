"""The registry in the DynamoDB table: see `dynamodb_items` and `dynamodb_credential_items` for its shape."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from xero_connector.adapters import dynamodb_items as items
from xero_connector.adapters.aws_errors import error_code, translating
from xero_connector.adapters.dynamodb_credential_items import credential_from_item, credential_to_item
from xero_connector.adapters.dynamodb_table import (
    BEING_WRITTEN,
    Table,
    Unreadable,
    decoded_token,
    encoded_token,
    ignored,
    malformed_next_token,
    readable_rows,
)
from xero_connector.domain.credential import Credential
from xero_connector.domain.errors import MalformedRequest, RevisionConflict, RowUnreadable, StoreUnavailable
from xero_connector.domain.events import entries_of
from xero_connector.domain.ports import Page
from xero_connector.domain.status import Status
from xero_connector.domain.submission import parse_client_id

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient

_READ_AHEAD = 100


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
            return items.readable(credential_from_item, item, "GetItem")
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
        item = credential_to_item(row, shards=self.shards)
        entries = [items.entry_to_item(entry, shards=self.shards) for entry in entries_of(row)]
        try:
            if entries:
                written = self._table.write_all(item, entries, only_if=only_if, values=values)
            else:
                written = self._table.write(item, only_if=only_if, values=values)
        except StoreUnavailable as trouble:
            if trouble.reason not in BEING_WRITTEN:
                raise
            written = False
        if not written:
            raise RevisionConflict(row.client_id)
        return replace(row, notes=()) if entries else row

    def page(self, *, status: Status | None, limit: int, next_token: str | None) -> Page[Credential]:
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
            rows = readable_rows(credential_from_item, page, self.unreadable)
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


def _start_key(next_token: str) -> items.Item:
    try:
        (client_id,) = decoded_token(next_token)
        parse_client_id(client_id)
    except (AttributeError, TypeError, ValueError, MalformedRequest):
        raise malformed_next_token() from None
    return items.to_wire({**items.credential_key(client_id), "listing": items.LISTING, "client_id": client_id})
