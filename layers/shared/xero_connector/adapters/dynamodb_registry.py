"""The registry in the DynamoDB table: see `dynamodb_items` and `dynamodb_credential_parts` for its shape."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from xero_connector.adapters import dynamodb_items as items
from xero_connector.adapters.aws_errors import error_code, translating
from xero_connector.adapters.dynamodb_credential_parts import parts_to_write
from xero_connector.adapters.dynamodb_credential_reads import CredentialReads
from xero_connector.adapters.dynamodb_table import BEING_WRITTEN, Table, Unreadable, ignored
from xero_connector.domain.credential import Credential
from xero_connector.domain.errors import RevisionConflict, StoreUnavailable
from xero_connector.domain.events import entries_of
from xero_connector.domain.ports import Due, Page
from xero_connector.domain.status import Status

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class DynamoDBRegistry:
    """`Registry` on DynamoDB: each write is conditional on the revision that the writer saw."""

    client: "DynamoDBClient"
    table_name: str
    shards: int
    unreadable: Unreadable = ignored

    @property
    def _table(self) -> Table:
        return Table(self.client, self.table_name)

    @property
    def _reads(self) -> CredentialReads:
        return CredentialReads(self._table, self.unreadable)

    def get(self, client_id: str) -> Credential | None:
        return self._reads.one(client_id)

    def page(self, *, status: Status | None, limit: int, next_token: str | None) -> Page[Credential]:
        return self._reads.page(status=status, limit=limit, next_token=next_token)

    def create(self, credential: Credential, *, replacing: Credential | None) -> Credential:
        return self._write(credential, seen=None if replacing is None else replacing.revision)

    def save(self, credential: Credential) -> Credential:
        return self._write(credential, seen=credential.revision)

    def _write(self, row: Credential, *, seen: int | None) -> Credential:
        row = replace(row, revision=1 if seen is None else seen + 1)
        parts = parts_to_write(row, seen=seen, shards=self.shards)
        entries = [items.entry_to_item(entry) for entry in entries_of(row)]
        only_if, values = (
            ("revision = :seen", {":seen": seen}) if seen is not None else ("attribute_not_exists(pk)", None)
        )
        try:
            if others := (*parts.others, *entries):
                written = self._table.write_all(parts.state, others, only_if=only_if, values=values)
            else:
                written = self._table.write(parts.state, only_if=only_if, values=values)
        except StoreUnavailable as trouble:
            if trouble.reason not in BEING_WRITTEN:
                raise
            written = False
        if not written:
            raise RevisionConflict(row.client_id)
        return replace(row, notes=(), stored=parts.stored)

    def write_anew(self, *, most: int) -> bool:
        """Divide some rows that are still in their former form; False if there was none to be divided."""
        written = 0
        for row in self._reads.in_former_form(most=most):
            try:
                self.save(row)
            except RevisionConflict:
                # Whoever was first has divided it.
                continue
            written += 1
        return written > 0

    def due(self, *, shard: str, now: datetime, limit: int) -> Sequence[Due]:
        due, _ = self._table.query(
            IndexName="due",
            KeyConditionExpression="due_shard = :shard AND due_at <= :now",
            ExpressionAttributeValues=items.to_wire({":shard": shard, ":now": items.epoch(now)}),
            Limit=limit,
        )
        return [Due(items.moment(item["due_at"]), items.client_id_of(item)) for item in due]

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
