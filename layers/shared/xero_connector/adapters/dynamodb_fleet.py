"""The count of credentials by status, on the registry's table."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from xero_connector.adapters import dynamodb_items as items
from xero_connector.adapters.dynamodb_registry import DynamoDBRegistry
from xero_connector.adapters.dynamodb_table import Table
from xero_connector.adapters.item_members import Members
from xero_connector.domain.errors import RevisionConflict
from xero_connector.domain.fleet import Counted, FleetCount
from xero_connector.domain.status import Status

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient

_KEY = {"pk": "FLEET", "sk": "FLEET"}


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class DynamoDBFleet:
    """`Fleet`: counts entries of the lists by status, and keeps how far it came in an item of its own."""

    client: "DynamoDBClient"
    table_name: str
    registry: DynamoDBRegistry

    @property
    def _table(self) -> Table:
        return Table(self.client, self.table_name)

    def read(self) -> FleetCount:
        item = self._table.read(_KEY)
        return FleetCount() if item is None else items.readable(_count_from_item, item, "GetItem")

    def save(self, count: FleetCount) -> FleetCount:
        changed = replace(count, revision=count.revision + 1)
        only_if, values = "attribute_not_exists(pk)", None
        if count.revision:
            only_if, values = "revision = :seen", {":seen": count.revision}
        if not self._table.write(_count_to_item(changed), only_if=only_if, values=values):
            raise RevisionConflict("FLEET")
        return changed

    def count(self, status: Status, *, after: str | None, most: int) -> Counted:
        number, until = self._table.count(items.listed_by(status), after=after, most=most)
        return Counted(number, until)

    def write_anew(self, *, most: int) -> bool:
        return self.registry.write_anew(most=most)


def _count_to_item(count: FleetCount) -> items.Item:
    return {
        **_KEY,
        "revision": count.revision,
        "totals": None if count.totals is None else _by_name(count.totals),
        "counted_at": items.written(count.counted_at),
        "so_far": _by_name(count.so_far),
        "counting": None if count.counting is None else str(count.counting),
        "after": count.after,
    }


def _count_from_item(item: items.Item) -> FleetCount:
    members = Members(item)
    totals = members.inner_or_none("totals")
    counting = members.text_or_none("counting")
    return FleetCount(
        revision=members.whole("revision"),
        totals=None if totals is None else _by_status(totals),
        counted_at=members.moment_or_none("counted_at"),
        so_far=_by_status(members.inner("so_far")),
        counting=None if counting is None else Status(counting),
        after=members.text_or_none("after"),
    )


def _by_name(numbers: Mapping[Status, int]) -> dict[str, int]:
    return {str(status): number for status, number in numbers.items()}


def _by_status(members: Members) -> dict[Status, int]:
    return {Status(name): members.whole(name) for name in members.item}
