"""A credential and its history as the admin API shows them (see `docs/openapi.yaml`): everything but secrets."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from xero_connector.domain.checks import Check
from xero_connector.domain.credential import Credential
from xero_connector.domain.history import HistoryEntry
from xero_connector.services.issue_connect_link import ConnectLink


def credential_resource(row: Credential, *, tokens_secret_name: str) -> dict[str, Any]:
    """Return the JSON form of a credential; times are ISO 8601 in UTC."""
    return {
        "client_id": row.client_id,
        "label": row.label,
        "integration_type": str(row.integration_type),
        "status": str(row.status),
        "checks": checks_resource(row.checks),
        "tenants": [tenant.to_dict() for tenant in row.tenants],
        "scopes": list(row.granted_scopes or row.requested_scopes),
        "generation": row.generation,
        "access_token_expires_at": _time(row.access_token_expires_at),
        "refresh_token_expires_at": _time(row.refresh_token_expires_at),
        "last_refreshed_at": _time(row.last_refreshed_at),
        "next_refresh_at": _time(row.due_at),
        "last_error": None
        if row.last_error is None
        else {
            "code": row.last_error.code,
            "detail": row.last_error.detail,
            "at": _time(row.last_error.at),
        },
        "token_secret": {"name": tokens_secret_name, "arn": row.tokens_secret_arn},
        "created_at": _time(row.created_at),
        "created_by": row.created_by,
        "updated_at": _time(row.updated_at),
    }


def connect_link_resource(link: ConnectLink) -> Mapping[str, Any]:
    """Return the JSON form of a connect link."""
    return {"connect_url": link.connect_url, "expires_at": _time(link.expires_at)}


def checks_resource(checks: Mapping[str, Check]) -> dict[str, dict[str, Any]]:
    """Return the JSON form of what the doctor found."""
    return {name: _check(check) for name, check in checks.items()}


def history_entry_resource(entry: HistoryEntry) -> dict[str, Any]:
    """Return the JSON form of an entry of the audit trail; a domain event has the same id."""
    return {
        "id": str(entry.entry_id),
        "at": _time(entry.at),
        "action": str(entry.action),
        "by": entry.by,
        "status": entry.status,
        "detail": entry.detail,
    }


def _check(check: Check) -> dict[str, Any]:
    return {"result": str(check.result), "detail": check.detail, "checked_at": _time(check.checked_at)}


def _time(moment: datetime | None) -> str | None:
    if moment is None:
        return None
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
