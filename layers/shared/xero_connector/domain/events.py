"""What a write of a credential's row leaves behind: entries of the audit trail, and with some a domain event."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid5

from xero_connector.domain.credential import Credential, LastError
from xero_connector.domain.history import EVENTS, WITH_A_REASON, Action, HistoryEntry, Note
from xero_connector.domain.tenant import Tenant, fitting

SOURCE = "oneenterprise.xero"
SCHEMA_VERSION = "1.0"
MOST_NOTES = 10
"""In one write of a row: what orders the events of a credential counts on it."""

MOST_LISTED = 100
_LARGEST_LISTED = 70_000
"""Organisations in one list of an event, and their bytes: three full ones stay below the 256 KB of EventBridge."""
_MOST_NAMED = 20


def entries_of(row: Credential) -> tuple[HistoryEntry, ...]:
    """Return the entries that a row's notes become when it is written with the revision that it carries.

    The id of an entry is hashed from the incarnation, the revision and the position: however often an event is
    delivered, its id stays the same.
    """
    if len(row.notes) > MOST_NOTES:
        raise AssertionError("one write cannot leave so many entries")
    return tuple(_entry(row, note, position) for position, note in enumerate(row.notes))


def _entry(row: Credential, note: Note, position: int) -> HistoryEntry:
    entry_id = uuid5(row.incarnation, f"history/{row.revision}/{position}")
    published = note.action in EVENTS
    return HistoryEntry(
        entry_id=entry_id,
        client_id=row.client_id,
        revision=row.revision,
        position=position,
        at=row.updated_at,
        action=note.action,
        by=note.by,
        status=str(row.status),
        detail=_detail(row, note),
        event=_event(row, note, entry_id, position) if published else None,
        unpublished=published,
    )


def _detail(row: Credential, note: Note) -> str | None:
    if note.action is Action.TENANTS_CHANGED:
        changes = [f"+ {tenant.tenant_name}" for tenant in note.added]
        changes += [f"- {tenant.tenant_name}" for tenant in note.removed]
        more = [f"and {len(changes) - _MOST_NAMED} more"] if len(changes) > _MOST_NAMED else []
        return ", ".join([*changes[:_MOST_NAMED], *more])
    if note.detail is not None:
        return note.detail
    if note.action in WITH_A_REASON and row.last_error is not None:
        return row.last_error.detail
    return None


def _event(row: Credential, note: Note, entry_id: UUID, position: int) -> Mapping[str, Any]:
    common = {
        "schema_version": SCHEMA_VERSION,
        "event_id": str(entry_id),
        "sequence": row.revision * MOST_NOTES + position,
        "occurred_at": iso_time(row.updated_at),
        "client_id": row.client_id,
        "label": row.label,
        "integration_type": str(row.integration_type),
        "status": str(row.status),
    }
    match note.action:
        case Action.VALIDATED:
            checks = {
                name: {"result": str(check.result), "detail": check.detail} for name, check in row.checks.items()
            }
            return {**common, "checks": checks}
        case Action.CONNECTED:
            return {
                **common,
                **_lists(tenants=row.tenants),
                "scopes": list(row.granted_scopes),
                "token_secret_arn": row.tokens_secret_arn,
                "xero_user_id": row.xero_user_id,
                "replaced_xero_user_id": note.replaced_user_id,
            }
        case Action.TENANTS_CHANGED:
            return {
                **common,
                **_lists(tenants=row.tenants, added=note.added, removed=note.removed),
            }
        case _:
            return {**common, "reason": _reason(row.last_error)}


def _lists(**lists: tuple[Tenant, ...]) -> Mapping[str, Any]:
    """Return lists of organisations that fit into an event; whoever needs all of a long one looks it up."""
    listed = {name: fitting(tenants, most=MOST_LISTED, largest=_LARGEST_LISTED) for name, tenants in lists.items()}
    found: dict[str, Any] = {name: [tenant.to_dict() for tenant in tenants] for name, tenants in listed.items()}
    return {**found, "complete": all(len(listed[name]) == len(tenants) for name, tenants in lists.items())}


def _reason(error: LastError | None) -> Mapping[str, str] | None:
    return None if error is None else {"code": error.code, "detail": error.detail, "at": iso_time(error.at)}


def iso_time(moment: datetime) -> str:
    """Return a moment as every event writes it: ISO 8601 in UTC, to the millisecond."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
