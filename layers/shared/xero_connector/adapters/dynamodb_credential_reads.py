"""Reading credentials from their items in the DynamoDB table: one of them, or a page of a list."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from xero_connector.adapters import dynamodb_items as items
from xero_connector.adapters.dynamodb_credential_parts import (
    belong_together,
    credential_from_parts,
    is_in_former_form,
)
from xero_connector.adapters.dynamodb_table import (
    Table,
    Unreadable,
    decoded_token,
    encoded_token,
    malformed_next_token,
    readable_rows,
)
from xero_connector.domain.credential import Credential
from xero_connector.domain.errors import MalformedRequest, RowUnreadable
from xero_connector.domain.ports import Page
from xero_connector.domain.status import Status
from xero_connector.domain.submission import parse_client_id

_MOST_LOOKS = 5
"""At a credential that is being written: a transaction is visible as a whole within milliseconds."""


@dataclass(frozen=True, slots=True)
class _Stretch:
    """What was read of a listing; `until` is the last client ID that was looked at, None at the end."""

    found: Sequence[items.Item]
    until: str | None

    def up_to(self, bound: str | None) -> Iterator[items.Item]:
        """Return what lies within a bound."""
        return (item for item in self.found if bound is None or item["client_id"] <= bound)


@dataclass(frozen=True, slots=True)
class CredentialReads:
    """Puts credentials together from state and details."""

    table: Table
    unreadable: Unreadable

    def one(self, client_id: str, *, consistently: bool = True) -> Credential | None:
        """Read a credential; raises `RowUnreadable`, after it was reported.

        A query of two items may meet a transaction half way, and then their digests differ: it is made again.
        """
        for look in range(_MOST_LOOKS):
            found = self.table.credential(client_id, consistently=consistently or look > 0)
            parts = {item["sk"]: item for item in found}
            state, details = parts.get(items.STATE), parts.get(items.DETAILS)
            if state is None and details is None:
                return None
            if state is not None and is_in_former_form(state):
                return self._readable(client_id, state, None)
            if state is not None and details is not None and belong_together(state, details):
                return self._readable(client_id, state, details)
        self.unreadable(client_id)
        raise RowUnreadable("Query")

    def _readable(self, client_id: str, state: items.Item, details: items.Item | None) -> Credential:
        try:
            return items.readable(lambda state: credential_from_parts(state, details), state, "Query")
        except RowUnreadable:
            self.unreadable(client_id)
            raise

    def page(self, *, status: Status | None, limit: int, next_token: str | None) -> Page[Credential]:
        """List credentials by client ID: all of them, or those in one status.

        Rows in their former form are in a listing of their own, and are merged in.
        """
        listing = items.LISTED_DETAILS if status is None else items.listed_by(status)
        found: list[Credential] = []
        after = None if next_token is None else _client_id_of(next_token)
        while True:
            # One more than is shown tells whether there is another page.
            most = limit + 1 - len(found)
            listed = self._listed(listing, after, most)
            former = self._listed(items.LISTED_IN_FORMER_FORM, after, most)
            # What one of the two has not come to yet has to wait, so that the order is kept.
            after = min((end.until for end in (listed, former) if end.until is not None), default=None)
            rows = self._rows(list(listed.up_to(after)), by_status=status is not None)
            rows |= {
                row.client_id: row
                for row in readable_rows(_in_former_form, list(former.up_to(after)), self.unreadable)
                if row.client_id not in rows
            }
            in_order = (row for _, row in sorted(rows.items()))
            found += [row for row in in_order if status is None or row.status is status]
            if len(found) > limit:
                return Page(found[:limit], encoded_token(found[limit - 1].client_id))
            if after is None:
                return Page(found, None)

    def in_former_form(self, *, most: int) -> list[Credential]:
        """Return some of the rows that are still in their former form."""
        found, _ = self.table.listed(items.LISTED_IN_FORMER_FORM, after=None, most=most)
        return readable_rows(_in_former_form, found, self.unreadable)

    def _listed(self, listing: str, after: str | None, most: int) -> _Stretch:
        found, more = self.table.listed(listing, after=after, most=most)
        return _Stretch(found, found[-1]["client_id"] if more and found else None)

    def _rows(self, listed: Sequence[items.Item], *, by_status: bool) -> dict[str, Credential]:
        """Return what is listed, by client ID; what cannot be read is reported, and voids none of the others."""
        states = {} if by_status else self._states(listed)
        rows: dict[str, Credential] = {}
        for item in listed:
            client_id = items.client_id_of(item)
            state = states.get(client_id)
            try:
                if state is not None and belong_together(state, item):
                    row: Credential | None = self._readable(client_id, state, item)
                else:
                    row = self.one(client_id, consistently=not by_status)
            except RowUnreadable:
                continue
            if row is not None:
                rows[client_id] = row
        return rows

    def _states(self, listed: Sequence[items.Item]) -> dict[str, items.Item]:
        keys = [items.credential_key(items.client_id_of(item)) for item in listed]
        return {items.client_id_of(state): state for state in self.table.read_all(keys)}


def _in_former_form(item: items.Item) -> Credential:
    return credential_from_parts(item, None)


def _client_id_of(next_token: str) -> str:
    try:
        (client_id,) = decoded_token(next_token)
        return parse_client_id(client_id)
    except (AttributeError, TypeError, ValueError, MalformedRequest):
        raise malformed_next_token() from None
