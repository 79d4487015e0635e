"""The audit trail and its unpublished events, as the registry's writes leave them: see `dynamodb_items`."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from xero_connector.adapters import dynamodb_items as items
from xero_connector.adapters.dynamodb_table import (
    Table,
    Unreadable,
    decoded_token,
    encoded_token,
    ignored,
    malformed_next_token,
    readable_rows,
)
from xero_connector.domain.events import MOST_NOTES
from xero_connector.domain.history import HistoryEntry
from xero_connector.domain.ports import Page

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient

_MOST_REVISIONS = 10**12
"""What the key has digits for."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class DynamoDBHistory:
    """`History` on the registry's table."""

    client: "DynamoDBClient"
    table_name: str
    unreadable: Unreadable = ignored

    @property
    def _table(self) -> Table:
        return Table(self.client, self.table_name)

    def page(self, client_id: str, *, limit: int, next_token: str | None) -> Page[HistoryEntry]:
        found: list[HistoryEntry] = []
        start = None if next_token is None else _start_key(client_id, next_token)
        # One more than is shown tells whether there is another page; a read may end early, after a megabyte.
        while len(found) <= limit:
            arguments: dict[str, Any] = {
                "KeyConditionExpression": "pk = :pk AND begins_with(sk, :history)",
                "ExpressionAttributeValues": items.to_wire(
                    {":pk": items.credential_key(client_id)["pk"], ":history": items.HISTORY_PREFIX}
                ),
                "ConsistentRead": True,
                "ScanIndexForward": False,
                "Limit": limit + 1 - len(found),
            }
            if start is not None:
                arguments["ExclusiveStartKey"] = start
            page, start = self._table.query(**arguments)
            found += readable_rows(items.entry_from_item, page, self.unreadable)
            if start is None:
                break
        if len(found) <= limit:
            return Page(found, None)
        shown = found[:limit]
        return Page(shown, encoded_token(shown[-1].revision, shown[-1].position))

    def unpublished(self, *, shard: str, now: datetime, limit: int) -> Sequence[HistoryEntry]:
        keys, _ = self._table.query(
            IndexName="due",
            KeyConditionExpression="due_shard = :shard AND due_at <= :now",
            ExpressionAttributeValues=items.to_wire(
                {":shard": items.events_shard(shard), ":now": items.epoch(now)}
            ),
            Limit=limit,
        )
        found = [self._table.read({"pk": key["pk"], "sk": key["sk"]}) for key in keys]
        present = [item for item in found if item is not None]
        entries = readable_rows(items.entry_from_item, present, self.unreadable)
        # The index may still show what was published a moment ago, and knows whole seconds only.
        return sorted(
            (entry for entry in entries if entry.unpublished),
            key=lambda entry: (entry.at, entry.client_id, entry.revision, entry.position),
        )

    def mark_published(self, entry: HistoryEntry) -> None:
        published = items.entry_to_item(replace(entry, unpublished=False))
        # An entry that is gone reached its age: there is nothing left to mark.
        self._table.write(published, only_if="attribute_exists(pk)")


def _start_key(client_id: str, next_token: str) -> items.Item:
    try:
        revision, position = decoded_token(next_token)
    except (TypeError, ValueError):
        raise malformed_next_token() from None
    in_range = (
        type(revision) is type(position) is int and 0 < revision < _MOST_REVISIONS and 0 <= position < MOST_NOTES
    )
    if not in_range or encoded_token(revision, position) != next_token:
        raise malformed_next_token()
    return items.to_wire(items.history_key(client_id, revision, position))
