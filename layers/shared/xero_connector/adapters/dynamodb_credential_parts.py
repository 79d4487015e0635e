"""How a credential is divided among its items, so that a refresh writes a small one only.

The state is what a refresh changes and what conditions look at. The details are what it leaves alone: names,
organisations, checks. State and details carry the same digest of the details, so that a reader who met a write
half way knows it. The entry is what the lists by status find. Release 0.1.0 wrote one item, without a digest: it
is read as it is, and divided when it is next written.
"""

import json
from dataclasses import dataclass, replace
from hashlib import sha256

from xero_connector.adapters import dynamodb_items as items
from xero_connector.adapters.dynamodb_credential_items import credential_from_item, credential_to_item
from xero_connector.adapters.item_members import Members
from xero_connector.domain.credential import Credential
from xero_connector.domain.status import Status

_OF_DETAILS = frozenset(
    {
        "client_id",
        "label",
        "integration_type",
        "requested_scopes",
        "granted_scopes",
        "checks",
        "tenants",
        "grant_consent",
        "xero_user_id",
        "earlier_grants",
        "tokens_secret_arn",
        "created_at",
        "created_by",
        "setup_link_id",
    }
)
_DIGITS = 32
"""128 bits: no two lists of organisations ever have the same."""


@dataclass(frozen=True, slots=True)
class Stored:
    """What the table has of one revision of a credential: what a write may leave as it is."""

    revision: int
    digest: str
    status: Status
    indexed_at: int | None
    """Its place in the due index, in epoch seconds."""


@dataclass(frozen=True, slots=True)
class Parts:
    """The state, and the other items that have to be written with it."""

    state: items.Item
    others: tuple[items.Item, ...]
    stored: Stored


def parts_to_write(row: Credential, *, seen: int | None, shards: int) -> Parts:
    """Return what has to be written of a credential over the revision `seen`, None where there is none."""
    before = row.stored if isinstance(row.stored, Stored) and row.stored.revision == seen else None
    whole = {name: value for name, value in credential_to_item(row, shards=shards).items() if value is not None}
    details = {name: value for name, value in whole.items() if name in _OF_DETAILS}
    digest = _digest(details)
    state = {name: value for name, value in whole.items() if name not in _OF_DETAILS} | {"details": digest}
    if "due_at" in state:
        state["due_at"] = _place_in_index(row, state["due_at"], before)
    others: list[items.Item] = []
    if before is None or before.digest != digest:
        listed = {"listing": items.LISTED_DETAILS, "details": digest}
        others.append({**details, **items.details_key(row.client_id), **listed})
    if before is None or before.status is not row.status:
        listed = {"listing": items.listed_by(row.status), "client_id": row.client_id}
        others.append({**items.status_key(row.client_id), **listed})
    return Parts(state, tuple(others), Stored(row.revision, digest, row.status, state.get("due_at")))


def _place_in_index(row: Credential, due_at: int, before: Stored | None) -> int:
    """Leave a credential where it is in the due index while it is worked on.

    It falls due when its lease ends. Until then the index shows it too early, and who finds it there reads it and
    leaves it alone: one read, where moving it there and on would be four writes.
    """
    if row.lease is None or before is None or before.indexed_at is None:
        return due_at
    return min(before.indexed_at, due_at)


def credential_from_parts(state: items.Item, details: items.Item | None) -> Credential:
    """Read a credential from its state and its details; None for the details of a row in its former form."""
    if details is None:
        return credential_from_item(state)
    members = Members(state)
    row = credential_from_item({**details, **state})
    indexed_at = members.whole("due_at") if "due_at" in members else None
    stored = Stored(row.revision, members.text("details"), row.status, indexed_at)
    return replace(row, stored=stored)


def is_in_former_form(state: items.Item) -> bool:
    """Whether a row is of one item, as release 0.1.0 wrote it."""
    return "details" not in state


def belong_together(state: items.Item, details: items.Item) -> bool:
    """Whether state and details are of the same write."""
    return bool(state.get("details") == details.get("details"))


def _digest(details: items.Item) -> str:
    return sha256(json.dumps(details, sort_keys=True).encode()).hexdigest()[:_DIGITS]
