"""Setup links in the DynamoDB table: see `dynamodb_items` for its shape."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from xero_connector.adapters import dynamodb_items as items
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
from xero_connector.adapters.item_members import Members
from xero_connector.domain.checks import CheckResult
from xero_connector.domain.credential import IntegrationType
from xero_connector.domain.errors import RevisionConflict, StoreUnavailable
from xero_connector.domain.history import HistoryEntry
from xero_connector.domain.ports import Page
from xero_connector.domain.setup_link import KEPT_AFTER_EXPIRY, BrowsersTry, Claim, SetupLink
from xero_connector.domain.setup_view import Purpose, Try, TryProblem

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient

LISTING = "SETUP_LINKS"
_MOST_LOOKS = 5
"""At a counter that others write at the same time."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class DynamoDBSetupLinks:
    """`SetupLinks` on the registry's table; DynamoDB removes what has long expired."""

    client: "DynamoDBClient"
    table_name: str
    unreadable: Unreadable = ignored

    @property
    def _table(self) -> Table:
        return Table(self.client, self.table_name)

    def add(self, link: SetupLink) -> None:
        self._table.write(_to_item(link), only_if="attribute_not_exists(pk)")

    def get(self, setup_link_id: str) -> SetupLink | None:
        item = self._table.read(items.setup_link_key(setup_link_id))
        return None if item is None else items.readable(_from_item, item, "GetItem")

    def save(self, link: SetupLink, *entries: HistoryEntry) -> SetupLink:
        changed = replace(link, revision=link.revision + 1)
        item, seen = _to_item(changed), {":seen": link.revision}
        others = [items.entry_to_item(entry) for entry in entries]
        try:
            if others:
                written = self._table.write_all(item, others, only_if="revision = :seen", values=seen)
            else:
                written = self._table.write(item, only_if="revision = :seen", values=seen)
        except StoreUnavailable as trouble:
            if trouble.reason not in BEING_WRITTEN:
                raise
            written = False
        if not written:
            raise RevisionConflict(link.setup_link_id)
        return changed

    def page(self, *, limit: int, next_token: str | None) -> Page[SetupLink]:
        values: dict[str, Any] = {":listing": LISTING}
        condition = "listing = :listing"
        if next_token is not None:
            condition += " AND client_id < :before"
            values[":before"] = _place(next_token)
        found, last = self._table.query(
            IndexName="credentials",
            KeyConditionExpression=condition,
            ExpressionAttributeValues=items.to_wire(values),
            ScanIndexForward=False,
            Limit=limit,
        )
        links = readable_rows(_from_item, found, self.unreadable)
        return Page(links, None if last is None else encoded_token(items.from_wire(last)["client_id"]))

    def count_try(self, address_hash: str, *, now: datetime, window: timedelta) -> tuple[int, datetime]:
        for _ in range(_MOST_LOOKS):
            before = self._table.read(items.address_key(address_hash))
            tries, since = (0, now) if before is None else items.readable(_tries_from_item, before, "GetItem")
            if since + window <= now:
                tries, since = 0, now
            item = {
                **items.address_key(address_hash),
                "tries": tries + 1,
                "since": since.isoformat(),
                "revision": 1 if before is None else before["revision"] + 1,
                "ttl": items.epoch(since + window),
            }
            if before is None:
                written = self._table.write(item, only_if="attribute_not_exists(pk)")
            else:
                seen = {":seen": before["revision"]}
                written = self._table.write(item, only_if="revision = :seen", values=seen)
            if written:
                return tries + 1, since
        # So many at once are a flood, whatever their number.
        raise StoreUnavailable("PutItem", "ConditionalCheckFailedException")


def _to_item(link: SetupLink) -> items.Item:
    return {
        **items.setup_link_key(link.setup_link_id),
        "listing": LISTING,
        "client_id": f"{link.created_at.isoformat(timespec='milliseconds')}#{link.setup_link_id}",
        "ticket_hash": link.ticket_hash,
        "revision": link.revision,
        "purpose": str(link.purpose),
        "label": link.label,
        "integration_type": None if link.integration_type is None else str(link.integration_type),
        "scopes": None if link.scopes is None else list(link.scopes),
        "for_client_id": link.client_id,
        "created_at": link.created_at.isoformat(),
        "created_by": link.created_by,
        "expires_at": link.expires_at.isoformat(),
        "last_opened_at": items.written(link.last_opened_at),
        "used_at": items.written(link.used_at),
        "withdrawn_at": items.written(link.withdrawn_at),
        "refusals": link.refusals,
        "refused_in_a_row": link.refused_in_a_row,
        "tries": link.tries,
        "tries_since": items.written(link.tries_since),
        "claimed_client_id": None if link.claim is None else link.claim.client_id,
        "claimed_until": None if link.claim is None else link.claim.until.isoformat(),
        "last_try": None if link.last_try is None else _try_to_item(link.last_try),
        "ttl": items.epoch(link.expires_at + KEPT_AFTER_EXPIRY),
    }


def _from_item(item: items.Item) -> SetupLink:
    members = Members(item)
    last_try = members.inner_or_none("last_try")
    return SetupLink(
        ticket_hash=members.text("ticket_hash"),
        revision=members.whole("revision"),
        purpose=Purpose(members.text("purpose")),
        label=members.text_or_none("label"),
        integration_type=_integration_type(members),
        scopes=members.texts("scopes") if "scopes" in members else None,
        client_id=members.text_or_none("for_client_id"),
        created_at=members.moment("created_at"),
        created_by=members.text("created_by"),
        expires_at=members.moment("expires_at"),
        last_opened_at=members.moment_or_none("last_opened_at"),
        used_at=members.moment_or_none("used_at"),
        withdrawn_at=members.moment_or_none("withdrawn_at"),
        refusals=members.whole("refusals"),
        refused_in_a_row=members.whole("refused_in_a_row"),
        tries=members.whole("tries"),
        tries_since=members.moment_or_none("tries_since"),
        claim=Claim(client_id=members.text("claimed_client_id"), until=members.moment("claimed_until"))
        if "claimed_client_id" in members
        else None,
        last_try=None if last_try is None else _try_from(last_try),
    )


def _try_to_item(last: BrowsersTry) -> Mapping[str, Any]:
    result = last.result
    item = {
        "browser_hash": last.browser_hash,
        "problem": str(result.problem),
        "client_id": result.client_id,
        "integration_type": None if result.integration_type is None else str(result.integration_type),
        "redirect_uri": None if result.redirect_uri is None else str(result.redirect_uri),
        "scopes": None if result.scopes is None else str(result.scopes),
        "again_at": items.written(result.again_at),
    }
    return {name: value for name, value in item.items() if value is not None}


def _try_from(members: Members) -> BrowsersTry:
    redirect_uri, scopes = members.text_or_none("redirect_uri"), members.text_or_none("scopes")
    return BrowsersTry(
        browser_hash=members.text("browser_hash"),
        result=Try(
            problem=TryProblem(members.text("problem")),
            client_id=members.text("client_id"),
            integration_type=_integration_type(members),
            redirect_uri=None if redirect_uri is None else CheckResult(redirect_uri),
            scopes=None if scopes is None else CheckResult(scopes),
            again_at=members.moment_or_none("again_at"),
        ),
    )


def _integration_type(members: Members) -> IntegrationType | None:
    return IntegrationType(members.text("integration_type")) if "integration_type" in members else None


def _tries_from_item(item: items.Item) -> tuple[int, datetime]:
    members = Members(item)
    return members.whole("tries"), members.moment("since")


def _place(next_token: str) -> str:
    try:
        (place,) = decoded_token(next_token)
    except (TypeError, ValueError):
        raise malformed_next_token() from None
    if not isinstance(place, str) or "#" not in place or encoded_token(place) != next_token:
        raise malformed_next_token()
    return place
