"""The JSON of a credential and its history (see `docs/openapi.yaml`), without secrets."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from xero_connector.domain.checks import Check
from xero_connector.domain.credential import Credential
from xero_connector.domain.events import iso_time
from xero_connector.domain.history import HistoryEntry
from xero_connector.services.issue_connect_link import ConnectLink


def credential_resource(credential: Credential, *, tokens_secret_name: str) -> dict[str, Any]:
    """Return the JSON form of a credential; times are ISO 8601 in UTC."""
    return {
        "client_id": credential.client_id,
        "label": credential.label,
        "integration_type": str(credential.integration_type),
        "status": str(credential.status),
        "checks": checks_resource(credential.checks),
        "tenants": [tenant.to_dict() for tenant in credential.tenants],
        "scopes": list(credential.granted_scopes or credential.requested_scopes),
        "generation": credential.generation,
        "access_token_expires_at": _time(credential.access_token_expires_at),
        "refresh_token_expires_at": _time(credential.refresh_token_expires_at),
        "last_refreshed_at": _time(credential.last_refreshed_at),
        "next_refresh_at": _time(credential.due_at),
        "last_error": None
        if credential.last_error is None
        else {
            "code": credential.last_error.code,
            "detail": credential.last_error.detail,
            "at": _time(credential.last_error.at),
        },
        "token_secret": {"name": tokens_secret_name, "arn": credential.tokens_secret_arn},
        "created_at": _time(credential.created_at),
        "created_by": credential.created_by,
        "updated_at": _time(credential.updated_at),
    }


def connect_link_resource(link: ConnectLink) -> Mapping[str, Any]:
    """Return the JSON form of a connect link."""
    return {"connect_url": link.connect_url, "expires_at": _time(link.expires_at)}


def checks_resource(checks: Mapping[str, Check]) -> dict[str, dict[str, Any]]:
    """Return the JSON form of checks."""
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
    return None if moment is None else iso_time(moment)
