"""Connect tickets and authorization requests in the DynamoDB table: see `dynamodb_items` for its shape."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from xero_connector.adapters import dynamodb_items as items
from xero_connector.adapters.dynamodb_table import Table
from xero_connector.domain.consent import AuthorizationRequest, ConnectTicket
from xero_connector.domain.errors import RevisionConflict

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class DynamoDBConsents:
    """`Consents` on the same table; DynamoDB removes expired items."""

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
