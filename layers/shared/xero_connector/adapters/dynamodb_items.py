"""How rows of the registry look as DynamoDB items.

Keys: a credential is `CREDENTIAL#{client_id}` / `CREDENTIAL`, its reservation `CREDENTIAL#{client_id}` /
`RESERVATION`, an entry of its audit trail `CREDENTIAL#{client_id}` / `HISTORY#{revision}#{position}`, a connect
ticket `TICKET#{hash}` / `TICKET`, an authorization request `REQUEST#{hash}` / `REQUEST`.
Index `due`: `due_shard`, `due_at` (epoch seconds), only on items that are due at some time; unpublished events
have shards of their own, `EVENTS#{shard}`. Index `credentials`: `listing`, `client_id`; entries have no
`listing`. Attributes without a value are left out.
"""

import json
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from hashlib import sha256
from math import floor
from typing import Any
from uuid import UUID

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer

from xero_connector.domain.checks import Check, CheckResult
from xero_connector.domain.consent import AuthorizationRequest, ConnectTicket, RequestPhase
from xero_connector.domain.credential import Credential, IntegrationType, LastError, Lease
from xero_connector.domain.ending import Ending, Leftover
from xero_connector.domain.errors import RowUnreadable
from xero_connector.domain.history import Action, HistoryEntry
from xero_connector.domain.parked_grant import ParkedGrant
from xero_connector.domain.status import Status
from xero_connector.domain.tenant import tenants_from
from xero_connector.domain.version_allowance import VersionAllowance

type Item = dict[str, Any]

LISTING = "CREDENTIAL"
HISTORY_PREFIX = "HISTORY#"
HISTORY_KEPT = timedelta(days=400)
"""A yearly audit finds the whole year before it, and has a month to begin; after that nobody asks."""
PUBLISHED_BY_ITS_WRITER_WITHIN = timedelta(seconds=30)
"""The writer publishes at once and outlives no request: what it left by then is left to the sweep."""
_SERIALIZER = TypeSerializer()
_DESERIALIZER = TypeDeserializer()


def to_wire(item: Mapping[str, Any]) -> Item:
    """Return an item in DynamoDB's typed JSON, without the attributes that have no value."""
    return {name: _SERIALIZER.serialize(value) for name, value in item.items() if value is not None}


def from_wire(item: Mapping[str, Any]) -> Item:
    """Read DynamoDB's typed JSON."""
    return {name: _DESERIALIZER.deserialize(value) for name, value in item.items()}


def credential_key(client_id: str) -> Item:
    """The key of a credential's row."""
    return {"pk": f"CREDENTIAL#{client_id}", "sk": "CREDENTIAL"}


def reservation_key(client_id: str) -> Item:
    """The key of the reservation that a running submission holds."""
    return {"pk": f"CREDENTIAL#{client_id}", "sk": "RESERVATION"}


def ticket_key(ticket_hash: str) -> Item:
    """The key of a connect ticket."""
    return {"pk": f"TICKET#{ticket_hash}", "sk": "TICKET"}


def request_key(state_hash: str) -> Item:
    """The key of an authorization request."""
    return {"pk": f"REQUEST#{state_hash}", "sk": "REQUEST"}


def history_key(client_id: str, revision: int, position: int) -> Item:
    """The key of an entry of the audit trail: in the order of the writes, also as text."""
    return {"pk": f"CREDENTIAL#{client_id}", "sk": f"{HISTORY_PREFIX}{revision:012d}#{position:02d}"}


def shard_of(client_id: str, shards: int) -> str:
    """Spread credentials over the shards of the due index."""
    return str(int.from_bytes(sha256(client_id.encode()).digest()[:4]) % shards)


def credential_to_item(row: Credential, *, shards: int) -> Item:
    """Return the item of a credential; the due index sees it only while it has a due time."""
    return {
        **credential_key(row.client_id),
        "listing": LISTING,
        "client_id": row.client_id,
        "incarnation": str(row.incarnation),
        "revision": row.revision,
        "status": str(row.status),
        "label": row.label,
        "integration_type": str(row.integration_type),
        "requested_scopes": list(row.requested_scopes),
        "granted_scopes": list(row.granted_scopes),
        "checks": {name: _check_to_item(check) for name, check in row.checks.items()},
        "tenants": [tenant.to_dict() for tenant in row.tenants],
        "tenants_pending": row.tenants_pending,
        "tenants_checked_at": _text(row.tenants_checked_at),
        "client_secret_number": row.client_secret_number,
        "generation": row.generation,
        "grant_began": row.grant_began,
        "grant_consent": row.grant_consent,
        "grant_version_id": row.grant_version_id,
        "xero_user_id": row.xero_user_id,
        "consenting": row.consenting,
        "consenting_since": _text(row.consenting_since),
        "parked": None if row.parked is None else _parked_to_item(row.parked),
        "earlier_grants": [_parked_to_item(grant) for grant in row.earlier_grants] or None,
        "unreadable_since": _text(row.unreadable_since),
        "refused_since": _text(row.refused_since),
        "refusals": row.refusals or None,
        "ending": None if row.ending is None else _ending_to_item(row.ending),
        "tokens_secret_arn": row.tokens_secret_arn,
        "access_token_expires_at": _text(row.access_token_expires_at),
        "refresh_token_expires_at": _text(row.refresh_token_expires_at),
        "last_refreshed_at": _text(row.last_refreshed_at),
        "due_shard": None if row.due_at is None else shard_of(row.client_id, shards),
        "due_at": None if row.due_at is None else epoch(row.due_at),
        "due_exactly_at": _text(row.due_at),
        "lease_owner": None if row.lease is None else row.lease.owner,
        "lease_until": None if row.lease is None else _text(row.lease.until),
        "attempt_started_at": _text(row.attempt_started_at),
        "failures": row.failures,
        "last_error": None
        if row.last_error is None
        else {
            "code": row.last_error.code,
            "detail": row.last_error.detail,
            "at": row.last_error.at.isoformat(),
        },
        "allowance_level": Decimal(str(round(row.allowance.level, 6))),
        "allowance_at": row.allowance.at.isoformat(),
        "created_at": row.created_at.isoformat(),
        "created_by": row.created_by,
        "updated_at": row.updated_at.isoformat(),
    }


def readable[Row](read: Callable[[Item], Row], item: Item, operation: str) -> Row:
    """Read an item with one of the functions below, or raise `RowUnreadable`."""
    try:
        return read(item)
    except (ArithmeticError, AttributeError, KeyError, RecursionError, TypeError, ValueError):
        raise RowUnreadable(operation) from None


def credential_from_item(item: Item) -> Credential:
    """Read the item of a credential."""
    return Credential(
        client_id=item["client_id"],
        incarnation=UUID(item["incarnation"]),
        revision=int(item["revision"]),
        status=Status(item["status"]),
        label=item.get("label"),
        integration_type=IntegrationType(item["integration_type"]),
        requested_scopes=tuple(item["requested_scopes"]),
        granted_scopes=tuple(item["granted_scopes"]),
        checks={name: _check_from_item(check) for name, check in item["checks"].items()},
        tenants=tenants_from(item.get("tenants")),
        tenants_pending=item["tenants_pending"],
        tenants_checked_at=_moment(item.get("tenants_checked_at")),
        client_secret_number=int(item["client_secret_number"]),
        generation=int(item["generation"]),
        grant_began=int(item["grant_began"]),
        grant_consent=item.get("grant_consent"),
        grant_version_id=item.get("grant_version_id"),
        xero_user_id=item.get("xero_user_id"),
        consenting=item.get("consenting") or None,
        consenting_since=_moment(item.get("consenting_since")),
        parked=_parked_from_item(item["parked"]) if "parked" in item else None,
        earlier_grants=tuple(_parked_from_item(grant) for grant in item.get("earlier_grants", ())),
        unreadable_since=_moment(item.get("unreadable_since")),
        refused_since=_moment(item.get("refused_since")),
        refusals=int(item.get("refusals", 0)),
        ending=_ending_from_item(item["ending"]) if "ending" in item else None,
        tokens_secret_arn=item.get("tokens_secret_arn"),
        access_token_expires_at=_moment(item.get("access_token_expires_at")),
        refresh_token_expires_at=_moment(item.get("refresh_token_expires_at")),
        last_refreshed_at=_moment(item.get("last_refreshed_at")),
        due_at=_moment(item.get("due_exactly_at")),
        lease=Lease(item["lease_owner"], datetime.fromisoformat(item["lease_until"]))
        if "lease_owner" in item
        else None,
        attempt_started_at=_moment(item.get("attempt_started_at")),
        failures=int(item["failures"]),
        last_error=LastError(
            item["last_error"]["code"],
            item["last_error"]["detail"],
            datetime.fromisoformat(item["last_error"]["at"]),
        )
        if "last_error" in item
        else None,
        allowance=VersionAllowance(float(item["allowance_level"]), datetime.fromisoformat(item["allowance_at"])),
        created_at=datetime.fromisoformat(item["created_at"]),
        created_by=item["created_by"],
        updated_at=datetime.fromisoformat(item["updated_at"]),
    )


def events_shard(shard: str) -> str:
    """The part of the due index where a shard's unpublished events are, apart from its credentials."""
    return f"EVENTS#{shard}"


def entry_to_item(entry: HistoryEntry, *, shards: int) -> Item:
    """Return the item of an entry; the due index sees it only while its event is unpublished."""
    due_at = epoch(entry.at + PUBLISHED_BY_ITS_WRITER_WITHIN)
    return {
        **history_key(entry.client_id, entry.revision, entry.position),
        "entry_id": str(entry.entry_id),
        "client_id": entry.client_id,
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
        "due_shard": events_shard(shard_of(entry.client_id, shards)) if entry.unpublished else None,
        "due_at": due_at if entry.unpublished else None,
        "ttl": epoch(entry.at + HISTORY_KEPT),
    }


def entry_from_item(item: Item) -> HistoryEntry:
    """Read the item of an entry."""
    return HistoryEntry(
        entry_id=UUID(item["entry_id"]),
        client_id=item["client_id"],
        revision=int(item["revision"]),
        position=int(item["position"]),
        at=datetime.fromisoformat(item["at"]),
        action=Action(item["action"]),
        by=item["by"],
        status=item["status"],
        detail=item.get("detail"),
        event=json.loads(item["event"]) if "event" in item else None,
        unpublished="due_shard" in item,
    )


def ticket_to_item(ticket: ConnectTicket) -> Item:
    """Return the item of a connect ticket."""
    return {
        **ticket_key(ticket.ticket_hash),
        "client_id": ticket.client_id,
        "created_at": ticket.created_at.isoformat(),
        "expires_at": ticket.expires_at.isoformat(),
        "ttl": _time_to_live(ticket.expires_at),
    }


def ticket_from_item(item: Item) -> ConnectTicket:
    """Read the item of a connect ticket."""
    return ConnectTicket(
        ticket_hash=item["pk"].removeprefix("TICKET#"),
        client_id=item["client_id"],
        created_at=datetime.fromisoformat(item["created_at"]),
        expires_at=datetime.fromisoformat(item["expires_at"]),
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
        "claimed_at": _text(request.claimed_at),
        "tenants": [tenant.to_dict() for tenant in request.tenants],
        "tenants_pending": request.tenants_pending,
        "ttl": _time_to_live(request.expires_at),
    }


def request_from_item(item: Item) -> AuthorizationRequest:
    """Read the item of an authorization request."""
    return AuthorizationRequest(
        state_hash=item["pk"].removeprefix("REQUEST#"),
        revision=int(item["revision"]),
        client_id=item["client_id"],
        ticket_hash=item["ticket_hash"],
        binding_hash=item["binding_hash"],
        created_at=datetime.fromisoformat(item["created_at"]),
        expires_at=datetime.fromisoformat(item["expires_at"]),
        phase=RequestPhase(item["phase"]),
        claimed_at=_moment(item.get("claimed_at")),
        tenants=tenants_from(item.get("tenants")),
        tenants_pending=item["tenants_pending"],
    )


def epoch(moment: datetime) -> int:
    """Return whole epoch seconds, as the due index and the TTL take them."""
    return floor(moment.timestamp())


def _time_to_live(expires_at: datetime) -> int:
    # A day longer than it is good for: an expired link can then say that it expired.
    return epoch(expires_at) + 86_400


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _parked_to_item(grant: ParkedGrant) -> Item:
    item = {
        "sealed": grant.sealed,
        "obtained_at": grant.obtained_at.isoformat(),
        "consent": grant.consent,
        "xero_user_id": grant.xero_user_id,
        "scopes": list(grant.scopes),
    }
    return {name: value for name, value in item.items() if value is not None}


def _parked_from_item(item: Item) -> ParkedGrant:
    return ParkedGrant(
        sealed=item["sealed"],
        obtained_at=datetime.fromisoformat(item["obtained_at"]),
        consent=item.get("consent"),
        xero_user_id=item.get("xero_user_id"),
        scopes=tuple(item.get("scopes", ())),
    )


def _ending_to_item(ending: Ending) -> Item:
    item = {
        "since": ending.since.isoformat(),
        "exchanged": ending.exchanged,
        "revoked": ending.revoked,
        "suspected": ending.suspected,
        "exchange_lost_at": _text(ending.exchange_lost_at),
        "grants_done": ending.grants_done,
        "leftovers": [{"code": one.code, "detail": one.detail} for one in ending.leftovers],
    }
    return {name: value for name, value in item.items() if value is not None}


def _ending_from_item(item: Item) -> Ending:
    return Ending(
        since=datetime.fromisoformat(item["since"]),
        exchanged=item["exchanged"],
        revoked=item["revoked"],
        suspected=item["suspected"],
        exchange_lost_at=_moment(item.get("exchange_lost_at")),
        grants_done=item["grants_done"],
        leftovers=tuple(Leftover(one["code"], one["detail"]) for one in item["leftovers"]),
    )


def _check_to_item(check: Check) -> Item:
    item = {"result": str(check.result), "detail": check.detail, "checked_at": _text(check.checked_at)}
    return {name: value for name, value in item.items() if value is not None}


def _check_from_item(item: Item) -> Check:
    return Check(CheckResult(item["result"]), item["detail"], _moment(item.get("checked_at")))
