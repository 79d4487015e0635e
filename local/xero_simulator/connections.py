from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import TypedDict
from uuid import uuid4

from local.xero_simulator.apps import Organisation

# A user's connections to an app; a Custom connection's belongs to no user.
type Owner = tuple[str, str | None]


class ConnectionDocument(TypedDict):
    """A connection as GET /connections shows it."""

    id: str
    authEventId: str
    tenantId: str
    tenantType: str
    tenantName: str
    createdDateUtc: str
    updatedDateUtc: str


@dataclass(slots=True)
class _Connection:
    connection_id: str
    organisation: Organisation
    auth_event_id: str
    created_at: datetime
    updated_at: datetime

    def document(self) -> ConnectionDocument:
        return {
            "id": self.connection_id,
            "authEventId": self.auth_event_id,
            "tenantId": self.organisation.tenant_id,
            "tenantType": "ORGANISATION",
            "tenantName": self.organisation.name,
            "createdDateUtc": _xero_date(self.created_at),
            "updatedDateUtc": _xero_date(self.updated_at),
        }


class Connections:
    """Which organisations are connected to which app, and by whom; callers bring their own lock."""

    def __init__(self) -> None:
        self._by_owner: dict[Owner, dict[str, _Connection]] = {}

    def connect(
        self,
        owner: Owner,
        organisation: Organisation,
        *,
        auth_event_id: str,
        now: datetime,
        keep_auth_event_id: bool,
    ) -> None:
        """Connect an organisation, or note that it was authorised again."""
        connections = self._by_owner.setdefault(owner, {})
        existing = connections.get(organisation.tenant_id)
        if existing is None:
            connections[organisation.tenant_id] = _Connection(str(uuid4()), organisation, auth_event_id, now, now)
            return
        existing.updated_at = now
        if not keep_auth_event_id:
            existing.auth_event_id = auth_event_id

    def replace(
        self, owner: Owner, organisations: Iterable[Organisation], *, auth_event_id: str, now: datetime
    ) -> None:
        """Leave the owner with exactly these; those that were there before stay as they are."""
        before = self._by_owner.get(owner, {})
        self._by_owner[owner] = {
            organisation.tenant_id: before.get(organisation.tenant_id)
            or _Connection(str(uuid4()), organisation, auth_event_id, now, now)
            for organisation in organisations
        }

    def of(self, owner: Owner, auth_event_id: str | None = None) -> list[ConnectionDocument]:
        """List the owner's connections, those of one consent if one is named."""
        return [
            connection.document()
            for connection in self._by_owner.get(owner, {}).values()
            if auth_event_id is None or connection.auth_event_id == auth_event_id.lower()
        ]

    def remove(self, owner: Owner, connection_id: str) -> bool:
        """Remove one connection; False if the owner has no such."""
        connections = self._by_owner.get(owner, {})
        for tenant_id, connection in connections.items():
            if connection.connection_id == connection_id.lower():
                del connections[tenant_id]
                return True
        return False

    def remove_all(self, owner: Owner) -> None:
        """Remove every connection of the owner."""
        self._by_owner.pop(owner, None)


def _xero_date(moment: datetime) -> str:
    # Seven fractional digits, as .NET writes them, and no zone.
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%f0")
