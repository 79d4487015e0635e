"""`GET /connections` over requests."""

from dataclasses import dataclass
from typing import Any

import requests

from xero_connector.domain.errors import ConnectionsUnavailable
from xero_connector.domain.tenant import Tenant

_TIMEOUT = (3, 5)


@dataclass(frozen=True, slots=True)
class RequestsXeroConnections:
    """`XeroConnections` on Xero's API."""

    api_url: str

    def tenants(self, access_token: str, *, auth_event_id: str | None) -> tuple[Tenant, ...]:
        if auth_event_id is not None and (of_this_consent := self._list(access_token, auth_event_id)):
            return of_this_consent
        # An organisation that was connected before can keep the id of the older consent.
        return self._list(access_token, None)

    def _list(self, access_token: str, auth_event_id: str | None) -> tuple[Tenant, ...]:
        try:
            with requests.Session() as session:
                session.trust_env = False
                answer = session.get(
                    f"{self.api_url}/connections",
                    params=None if auth_event_id is None else {"authEventId": auth_event_id},
                    headers={"Authorization": f"Bearer {access_token}", "Accept": "application/json"},
                    timeout=_TIMEOUT,
                    allow_redirects=False,
                )
            answer.raise_for_status()
            connections = answer.json()
            if not isinstance(connections, list):
                raise TypeError  # noqa: TRY301 - one of the shapes below that are not a list of connections
            return tuple(_tenant(connection) for connection in connections)
        except (requests.RequestException, KeyError, TypeError, ValueError) as error:
            raise ConnectionsUnavailable(
                "Xero did not list the organisations.", code=f"connections_{type(error).__name__}"
            ) from None


def _tenant(connection: dict[str, Any]) -> Tenant:
    return Tenant(
        tenant_id=connection["tenantId"],
        tenant_name=connection.get("tenantName") or "(no name)",
        tenant_type=connection["tenantType"],
        connection_id=connection["id"],
    )
