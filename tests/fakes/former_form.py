"""Rows as release 0.1.0 wrote them: one item each, and all of it in the list."""

from typing import Any, cast

from xero_connector.adapters.dynamodb_credential_items import credential_to_item
from xero_connector.adapters.dynamodb_items import to_wire
from xero_connector.domain.credential import Credential


def put_in_former_form(client: object, row: Credential, *, table: str | None = None, **changed: Any) -> None:  # noqa: ANN401 - members of any type
    """Write a credential as that release did, perhaps with members changed."""
    item = {**credential_to_item(row, shards=8), "listing": "CREDENTIAL", "write_id": "0", **changed}
    cast("Any", client).put_item(
        TableName=table or cast("Any", client).table_name,
        Item=to_wire(item),
        ConditionExpression="attribute_not_exists(pk)",
        ReturnValuesOnConditionCheckFailure="ALL_OLD",
    )
