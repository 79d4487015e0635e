"""How rows of the registry look as DynamoDB items.

Keys: a credential's state is `CREDENTIAL#{client_id}` / `CREDENTIAL`, its details `CREDENTIAL#{client_id}` /
`CREDENTIAL#DETAILS`, its entry in the lists by status `CREDENTIAL#{client_id}` / `STATUS`, its reservation
`CREDENTIAL#{client_id}` / `RESERVATION`, an entry of its audit trail `CREDENTIAL#{client_id}` /
`HISTORY#{revision}#{position}`, a connect ticket `TICKET#{hash}` / `TICKET`, an authorization request
`REQUEST#{hash}` / `REQUEST`, the latest run of a schedule `RUN#{first shard}` / `RUN`, a setup link
`SETUP_LINK#{id}` / `SETUP_LINK` (its entries are `HISTORY#…` with the same first part), the tries of an address
`ADDRESS#{hash}` / `TRIES`.
Index `due`: `due_shard`, `due_at` (epoch seconds), only on items that are due at some time; unpublished events
have a shard of their own, `EVENTS#0`. Index `credentials`: `listing`, `client_id`; details are in the listing
`DETAILS`, entries of the lists by status in `STATUS#{status}`, setup links in `SETUP_LINKS` (in place of a client
ID they have the moment in which they were made, and their id). Attributes without a value are left out.
"""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from hashlib import sha256
from math import floor
from typing import Any
from uuid import UUID

from xero_connector.adapters.dynamodb_values import typed, untyped
from xero_connector.adapters.item_members import Members
from xero_connector.domain.consent import (
    AUTHORIZATION_REQUEST_KEPT,
    AuthorizationRequest,
    ConnectTicket,
    RequestPhase,
)
from xero_connector.domain.errors import RowUnreadable
from xero_connector.domain.history import Action, HistoryEntry
from xero_connector.domain.shards import EVENTS
from xero_connector.domain.tenant import tenants_from

type Item = dict[str, Any]

LISTED_DETAILS = "DETAILS"
LISTED_IN_FORMER_FORM = "CREDENTIAL"
"""Where release 0.1.0 listed its rows, of one item each."""
STATE = "CREDENTIAL"
DETAILS = "CREDENTIAL#DETAILS"
"""Sort keys: a query for what begins with the first finds both, and nothing else."""
HISTORY_PREFIX = "HISTORY#"
HISTORY_KEPT = timedelta(days=400)
"""A yearly audit finds the whole year before it, and has a month to begin; after that it is not needed."""
PUBLISHED_BY_ITS_WRITER_WITHIN = timedelta(seconds=30)
"""The writer publishes at once and outlives no request: what it left by then is left to the sweep."""


def to_wire(item: Mapping[str, Any]) -> Item:
    """Return an item in DynamoDB's typed JSON, without the attributes that have no value."""
    return {name: typed(value) for name, value in item.items() if value is not None}


def from_wire(item: Mapping[str, Any]) -> Item:
    """Read DynamoDB's typed JSON."""
    return {name: untyped(value) for name, value in item.items()}


def credential_key(client_id: str) -> Item:
    """The key of a credential's state."""
    return {"pk": f"CREDENTIAL#{client_id}", "sk": STATE}


def details_key(client_id: str) -> Item:
    """The key of a credential's details."""
    return {"pk": f"CREDENTIAL#{client_id}", "sk": DETAILS}


def status_key(client_id: str) -> Item:
    """The key of a credential's entry in the lists by status."""
    return {"pk": f"CREDENTIAL#{client_id}", "sk": "STATUS"}


def listed_by(status: str) -> str:
    """Where the credentials in a status are listed."""
    return f"STATUS#{status}"


def client_id_of(item: Item) -> str:
    """The client ID in the key of one of a credential's items."""
    return str(item["pk"]).removeprefix("CREDENTIAL#")


def reservation_key(client_id: str) -> Item:
    """The key of the reservation that a running submission holds."""
    return {"pk": f"CREDENTIAL#{client_id}", "sk": "RESERVATION"}


def ticket_key(ticket_hash: str) -> Item:
    """The key of a connect ticket."""
    return {"pk": f"TICKET#{ticket_hash}", "sk": "TICKET"}


def request_key(state_hash: str) -> Item:
    """The key of an authorization request."""
    return {"pk": f"REQUEST#{state_hash}", "sk": "REQUEST"}


def setup_link_key(setup_link_id: str) -> Item:
    """The key of a setup link."""
    return {"pk": f"SETUP_LINK#{setup_link_id}", "sk": "SETUP_LINK"}


def address_key(address_hash: str) -> Item:
    """The key of the tries that an address has made."""
    return {"pk": f"ADDRESS#{address_hash}", "sk": "TRIES"}


def history_key(client_id: str, revision: int, position: int) -> Item:
    """The key of an entry of the audit trail: in the order of the writes, also as text."""
    return {"pk": f"CREDENTIAL#{client_id}", "sk": f"{HISTORY_PREFIX}{revision:012d}#{position:02d}"}


def shard_of(client_id: str, shards: int) -> str:
    """Spread credentials over the shards of the due index."""
    return str(int.from_bytes(sha256(client_id.encode()).digest()[:4]) % shards)


def readable[Row](read: Callable[[Item], Row], item: Item, operation: str) -> Row:
    """Read an item with one of the functions for it, or raise `RowUnreadable`."""
    try:
        return read(item)
    except (ArithmeticError, AttributeError, KeyError, RecursionError, TypeError, ValueError):
        raise RowUnreadable(operation) from None


def events_shard(shard: str) -> str:
    """The part of the due index where unpublished events are, apart from the credentials."""
    return f"EVENTS#{shard}"


def entry_to_item(entry: HistoryEntry) -> Item:
    """Return the item of an entry; the due index sees it only while its event is unpublished."""
    due_at = epoch(entry.at + PUBLISHED_BY_ITS_WRITER_WITHIN)
    subject = entry.setup_link_id or entry.client_id
    key = history_key(subject, entry.revision, entry.position)
    return {
        **(key if entry.setup_link_id is None else key | {"pk": setup_link_key(subject)["pk"]}),
        "entry_id": str(entry.entry_id),
        # Empty is no value of an attribute that an index has as its key.
        "client_id": entry.client_id or None,
        "setup_link_id": entry.setup_link_id,
        "revision": entry.revision,
        "position": entry.position,
        "at": entry.at.isoformat(),
        "action": str(entry.action),
        "by": entry.by,
        "status": entry.status,
        "detail": entry.detail,
        # As text: typed JSON knows no integers, and `to_wire` leaves out what is null.
        # As UTF-8: escapes would count against the size of the item.
        "event": None
        if entry.event is None
        else json.dumps(dict(entry.event), separators=(",", ":"), ensure_ascii=False),
        "due_shard": events_shard(EVENTS) if entry.unpublished else None,
        "due_at": due_at if entry.unpublished else None,
        "ttl": epoch(entry.at + HISTORY_KEPT),
    }


def entry_from_item(item: Item) -> HistoryEntry:
    """Read the item of an entry."""
    members = Members(item)
    return HistoryEntry(
        entry_id=UUID(members.text("entry_id")),
        client_id=members.text_or_none("client_id") or "",
        setup_link_id=members.text_or_none("setup_link_id"),
        revision=members.whole("revision"),
        position=members.whole("position"),
        at=members.moment("at"),
        action=Action(members.text("action")),
        by=members.text("by"),
        status=members.text("status"),
        detail=members.text_or_none("detail"),
        event=Members(json.loads(members.text("event"))).item if "event" in members else None,
        unpublished="due_shard" in members,
    )


def ticket_to_item(ticket: ConnectTicket) -> Item:
    """Return the item of a connect ticket."""
    return {
        **ticket_key(ticket.ticket_hash),
        "client_id": ticket.client_id,
        "setup_link_id": ticket.setup_link_id,
        "created_at": ticket.created_at.isoformat(),
        "expires_at": ticket.expires_at.isoformat(),
        # A day longer than it is good for: an expired link can then say that it expired.
        "ttl": epoch(ticket.expires_at) + 86_400,
    }


def ticket_from_item(item: Item) -> ConnectTicket:
    """Read the item of a connect ticket."""
    members = Members(item)
    return ConnectTicket(
        ticket_hash=members.text("pk").removeprefix("TICKET#"),
        client_id=members.text("client_id"),
        setup_link_id=members.text_or_none("setup_link_id"),
        created_at=members.moment("created_at"),
        expires_at=members.moment("expires_at"),
    )


def request_to_item(request: AuthorizationRequest) -> Item:
    """Return the item of an authorization request."""
    return {
        **request_key(request.state_hash),
        "revision": request.revision,
        "client_id": request.client_id,
        "ticket_hash": request.ticket_hash,
        "binding_hash": request.binding_hash,
        "created_at": request.created_at.isoformat(),
        "expires_at": request.expires_at.isoformat(),
        "phase": str(request.phase),
        "claimed_at": written(request.claimed_at),
        "tenants": [tenant.to_dict() for tenant in request.tenants],
        "tenants_pending": request.tenants_pending,
        "refusal": request.refusal,
        "ttl": epoch(request.created_at + AUTHORIZATION_REQUEST_KEPT),
    }


def request_from_item(item: Item) -> AuthorizationRequest:
    """Read the item of an authorization request."""
    members = Members(item)
    return AuthorizationRequest(
        state_hash=members.text("pk").removeprefix("REQUEST#"),
        revision=members.whole("revision"),
        client_id=members.text("client_id"),
        ticket_hash=members.text("ticket_hash"),
        binding_hash=members.text("binding_hash"),
        created_at=members.moment("created_at"),
        expires_at=members.moment("expires_at"),
        phase=RequestPhase(members.text("phase")),
        claimed_at=members.moment_or_none("claimed_at"),
        tenants=tenants_from(item.get("tenants")),
        tenants_pending=members.flag("tenants_pending"),
        refusal=members.text_or_none("refusal"),
    )


def epoch(moment: datetime) -> int:
    """Return whole epoch seconds, as the due index and the TTL take them."""
    return floor(moment.timestamp())


def moment(seconds: Decimal) -> datetime:
    """Return the moment of whole epoch seconds."""
    return datetime.fromtimestamp(int(seconds), tz=UTC)


def written(moment: datetime | None) -> str | None:
    """Return a moment as an item holds it."""
    return None if moment is None else moment.isoformat()
