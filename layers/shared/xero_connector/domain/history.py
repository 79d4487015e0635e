"""The audit trail of a credential or a setup link, and the domain events that some of its entries are."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any
from uuid import UUID

from xero_connector.domain.tenant import Tenant

CONNECTOR = "connector"
"""The actor when no person asked: the schedule, or an answer of Xero."""


class Action(StrEnum):
    """What happened to a credential, or became known about it."""

    SUBMITTED = "submitted"
    VALIDATED = "validated"
    REJECTED = "rejected"
    VALIDATION_REQUESTED = "validation_requested"
    CONNECT_LINK_CREATED = "connect_link_created"
    SETUP_LINK_CREATED = "setup_link_created"
    SETUP_LINK_USED = "setup_link_used"
    SETUP_LINK_FAILING = "setup_link_failing"
    CONNECTED = "connected"
    SCOPES_REFUSED = "scopes_refused"
    TENANTS_CHANGED = "tenants_changed"
    REFRESH_REQUESTED = "refresh_requested"
    DEGRADED = "degraded"
    RECOVERED = "recovered"
    REAUTHORIZATION_REQUIRED = "reauthorization_required"
    CLIENT_REJECTED = "client_rejected"
    SECRET_REPLACED = "secret_replaced"  # noqa: S105 - the name of an action
    DISCONNECT_REQUESTED = "disconnect_requested"
    DISCONNECTED = "disconnected"


EVENTS: Mapping[Action, str] = MappingProxyType(
    {
        Action.VALIDATED: "CredentialValidated",
        Action.REJECTED: "CredentialRejected",
        Action.CONNECTED: "CredentialConnected",
        Action.REAUTHORIZATION_REQUIRED: "ReauthorizationRequired",
        Action.CLIENT_REJECTED: "ClientRejected",
        Action.TENANTS_CHANGED: "TenantsChanged",
        Action.DISCONNECTED: "CredentialDisconnected",
        Action.SETUP_LINK_USED: "SetupLinkUsed",
        Action.SETUP_LINK_FAILING: "SetupLinkFailing",
    }
)
"""The entries that are published, and the type of their event (docs/events.md)."""

WITH_A_REASON = frozenset(
    {
        Action.REJECTED,
        Action.DEGRADED,
        Action.REAUTHORIZATION_REQUIRED,
        Action.CLIENT_REJECTED,
        Action.DISCONNECTED,
    }
)
"""The entries whose reason is the credential's last error."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """An entry that is not written yet: it is written together with its credential, or not at all."""

    action: Action
    by: str = CONNECTOR
    added: tuple[Tenant, ...] = ()
    removed: tuple[Tenant, ...] = ()
    detail: str | None = None
    replaced_user_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryEntry:
    """One entry of the audit trail: who did what and when, and the result.

    `revision` and `position` (within one write) order the entries of a credential. `event` is the detail of the
    domain event, None if the entry is not one; `unpublished` until the event bus has it. An entry about a setup
    link is kept with the link, which `setup_link_id` names; its `client_id` is empty where no credential is known.
    """

    entry_id: UUID
    client_id: str
    revision: int
    position: int
    at: datetime
    action: Action
    by: str
    status: str
    detail: str | None
    event: Mapping[str, Any] | None
    unpublished: bool
    setup_link_id: str | None = None

    @property
    def event_type(self) -> str | None:
        """The type of the domain event, None if the entry is not one."""
        return EVENTS.get(self.action)
