"""The entries of the audit trail that a write leaves, and the domain events of some of them."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import NAMESPACE_OID, UUID, uuid5

from xero_connector.domain.credential import Credential, LastError
from xero_connector.domain.history import CONNECTOR, EVENTS, WITH_A_REASON, Action, HistoryEntry, Note
from xero_connector.domain.setup_link import SetupLink
from xero_connector.domain.tenant import Tenant, fitting

SOURCE = "oneenterprise.xero"
SCHEMA_VERSION = "1.0"
WITH_SETUP_URL = "1.1"
"""The schema of the events that carry a setup link, from where they get it."""
MOST_NOTES = 10
"""In one write of a credential; the `sequence` of its events depends on this limit."""

MOST_LISTED = 100
_LARGEST_LISTED = 70_000
"""Organisations in one list of an event, and their bytes: three full ones stay below the 256 KB of EventBridge."""
_MOST_NAMED = 20


def entries_of(credential: Credential) -> tuple[HistoryEntry, ...]:
    """Return the entries that the notes of a credential become when it is written with its revision.

    The id of an entry is a hash of the incarnation, the revision and the position, so an event that is delivered
    several times has the same id each time.
    """
    if len(credential.notes) > MOST_NOTES:
        raise AssertionError("one write cannot leave so many entries")
    return tuple(_entry(credential, note, position) for position, note in enumerate(credential.notes))


def _entry(credential: Credential, note: Note, position: int) -> HistoryEntry:
    entry_id = uuid5(credential.incarnation, f"history/{credential.revision}/{position}")
    published = note.action in EVENTS
    return HistoryEntry(
        entry_id=entry_id,
        client_id=credential.client_id,
        revision=credential.revision,
        position=position,
        at=credential.updated_at,
        action=note.action,
        by=note.by,
        status=str(credential.status),
        detail=_detail(credential, note),
        event=_event(credential, note, entry_id, position) if published else None,
        unpublished=published,
    )


def _detail(credential: Credential, note: Note) -> str | None:
    if note.action is Action.TENANTS_CHANGED:
        changes = [f"+ {tenant.tenant_name}" for tenant in note.added]
        changes += [f"- {tenant.tenant_name}" for tenant in note.removed]
        more = [f"and {len(changes) - _MOST_NAMED} more"] if len(changes) > _MOST_NAMED else []
        return ", ".join([*changes[:_MOST_NAMED], *more])
    if note.detail is not None:
        return note.detail
    if note.action in WITH_A_REASON and credential.last_error is not None:
        return credential.last_error.detail
    return None


def _event(credential: Credential, note: Note, entry_id: UUID, position: int) -> Mapping[str, Any]:
    common = {
        "schema_version": SCHEMA_VERSION,
        "event_id": str(entry_id),
        "sequence": credential.revision * MOST_NOTES + position,
        "occurred_at": iso_time(credential.updated_at),
        "client_id": credential.client_id,
        "label": credential.label,
        "integration_type": str(credential.integration_type),
        "status": str(credential.status),
    }
    match note.action:
        case Action.VALIDATED:
            checks = {
                name: {"result": str(check.result), "detail": check.detail}
                for name, check in credential.checks.items()
            }
            return {**common, "checks": checks}
        case Action.CONNECTED:
            return {
                **common,
                **_lists(tenants=credential.tenants),
                "scopes": list(credential.granted_scopes),
                "token_secret_arn": credential.tokens_secret_arn,
                "xero_user_id": credential.xero_user_id,
                "replaced_xero_user_id": note.replaced_user_id,
            }
        case Action.TENANTS_CHANGED:
            return {
                **common,
                **_lists(tenants=credential.tenants, added=note.added, removed=note.removed),
            }
        case Action.SETUP_LINK_USED:
            return {**common, "setup_link_id": note.detail}
        case _:
            return {**common, "reason": _reason(credential.last_error)}


def failing_entry(link: SetupLink, at: datetime) -> HistoryEntry:
    """Return the entry that tells that a setup link fails, as the write of its revision leaves it."""
    event_id = uuid5(NAMESPACE_OID, f"setup-link/{link.setup_link_id}/{link.revision}")
    problem = None if link.last_try is None else str(link.last_try.result.problem)
    return HistoryEntry(
        entry_id=event_id,
        client_id=link.client_id or "",
        setup_link_id=link.setup_link_id,
        revision=link.revision,
        position=0,
        at=at,
        action=Action.SETUP_LINK_FAILING,
        by=CONNECTOR,
        status=str(link.state(at)),
        detail=problem,
        event={
            "schema_version": SCHEMA_VERSION,
            "event_id": str(event_id),
            "sequence": link.revision * MOST_NOTES,
            "occurred_at": iso_time(at),
            "setup_link_id": link.setup_link_id,
            "purpose": str(link.purpose),
            "label": link.label,
            "client_id": link.client_id,
            "refusals": link.refusals,
            "last_problem": problem,
        },
        unpublished=True,
    )


def _lists(**lists: tuple[Tenant, ...]) -> Mapping[str, Any]:
    """Return lists of organisations that fit into an event; the API has the complete ones."""
    listed = {name: fitting(tenants, most=MOST_LISTED, largest=_LARGEST_LISTED) for name, tenants in lists.items()}
    shortened: dict[str, Any] = {
        name: [tenant.to_dict() for tenant in tenants] for name, tenants in listed.items()
    }
    return {**shortened, "complete": all(len(listed[name]) == len(tenants) for name, tenants in lists.items())}


def _reason(error: LastError | None) -> Mapping[str, str] | None:
    return None if error is None else {"code": error.code, "detail": error.detail, "at": iso_time(error.at)}


def iso_time(moment: datetime) -> str:
    """Return a moment as every event writes it: ISO 8601 in UTC, to the millisecond."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
