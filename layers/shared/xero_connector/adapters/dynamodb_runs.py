"""Which run of each schedule is at work, in the registry's table."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from xero_connector.adapters import dynamodb_items as items
from xero_connector.adapters.dynamodb_table import Table
from xero_connector.adapters.item_members import Members
from xero_connector.domain.errors import RevisionConflict
from xero_connector.domain.run import Run

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class DynamoDBRuns:
    """`Runs`: one item for each schedule."""

    client: "DynamoDBClient"
    table_name: str

    @property
    def _table(self) -> Table:
        return Table(self.client, self.table_name)

    def latest(self, schedule: str) -> Run:
        item = self._table.read(_key(schedule))
        if item is None:
            return Run(schedule=schedule)
        return items.readable(lambda item: _run_from_item(schedule, item), item, "GetItem")

    def begin(self, run: Run) -> Run:
        begun = replace(run, number=run.number + 1)
        if run.number:
            written = self._table.write(
                _run_to_item(begun), only_if="run_number = :seen", values={":seen": run.number}
            )
        else:
            written = self._table.write(_run_to_item(begun), only_if="attribute_not_exists(pk)")
        if not written:
            raise RevisionConflict(f"RUN#{run.schedule}")
        return begun

    def end(self, run: Run) -> None:
        ended = replace(run, begins_until=None)
        # Where another has begun, there is nothing to be told.
        self._table.write(_run_to_item(ended), only_if="run_number = :mine", values={":mine": run.number})


def _key(schedule: str) -> items.Item:
    return {"pk": f"RUN#{schedule}", "sk": "RUN"}


def _run_to_item(run: Run) -> items.Item:
    return {
        **_key(run.schedule),
        "run_number": run.number,
        "begins_until": items.written(run.begins_until),
    }


def _run_from_item(schedule: str, item: items.Item) -> Run:
    members = Members(item)
    return Run(
        schedule=schedule,
        number=members.whole("run_number"),
        begins_until=members.moment_or_none("begins_until"),
    )
