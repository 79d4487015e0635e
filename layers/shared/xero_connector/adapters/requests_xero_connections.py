"""`/connections` of Xero's API over requests."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import requests

from xero_connector.adapters import lenient_json
from xero_connector.adapters.bounded_http import BoundedAdapter
from xero_connector.adapters.budget import Budget, Limits, Transport
from xero_connector.domain.errors import ConnectionsUnavailable
from xero_connector.domain.tenant import Tenant

LIMITS = Limits(within=timedelta(seconds=5), largest=4_194_304)
"""A connection has some 300 bytes, and a user can have thousands of them."""
_LONGEST_TEXT = 255
_REMOVED = frozenset({requests.codes.no_content, requests.codes.not_found})


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class RequestsXeroConnections:
    """`XeroConnections` on Xero's API."""

    api_url: str
    transport: Transport = BoundedAdapter
    limits: Limits = LIMITS

    def tenants(self, access_token: str, *, auth_event_id: str | None) -> tuple[Tenant, ...]:
        with Budget(self.limits, self.transport) as budget:
            if auth_event_id is not None:
                of_this_consent = self._list(budget, access_token, {"authEventId": auth_event_id})
                if of_this_consent:
                    return of_this_consent
            # An organisation that was connected before can keep the id of the older consent.
            return self._list(budget, access_token, None)

    def remove(self, access_token: str, connection_id: str) -> None:
        if not connection_id:
            raise ConnectionsUnavailable("Xero named no id of the connection.", definite=True)
        try:
            with Budget(self.limits, self.transport) as budget:
                answer = self._send(budget, "DELETE", f"/{quote(connection_id, safe='')}", access_token)
        # A token or an id that cannot stand in a header or an address is a ValueError.
        except (requests.RequestException, ValueError) as error:
            # The cause holds the request, and the access token in its header.
            raise ConnectionsUnavailable(f"Xero did not remove the connection ({type(error).__name__}).") from None
        if answer.status_code not in _REMOVED:
            raise ConnectionsUnavailable(
                f"Xero did not remove the connection (status {answer.status_code}).",
                definite=_is_definite(answer),
                unauthorized=_is_unauthorized(answer),
            )

    def _list(self, budget: Budget, access_token: str, query: dict[str, str] | None) -> tuple[Tenant, ...]:
        try:
            answer = self._send(budget, "GET", "", access_token, query)
            if answer.status_code != requests.codes.ok:
                raise ConnectionsUnavailable(
                    f"Xero did not list the organisations (status {answer.status_code}).",
                    definite=_is_definite(answer),
                    unauthorized=_is_unauthorized(answer),
                )
            connections, whole = lenient_json.read(answer.content)
            if not whole or not isinstance(connections, list):
                raise TypeError  # noqa: TRY301 - one of the shapes below that are not a list of connections
            tenants = [_tenant(connection) for connection in connections if isinstance(connection, dict)]
            usable = {tenant.tenant_id: tenant for tenant in tenants if tenant.tenant_id}
            if connections and not usable:
                raise TypeError  # noqa: TRY301 - nothing in it is a connection
            # One odd connection does not void the list.
            return tuple(usable.values())
        except (requests.RequestException, TypeError, ValueError) as error:
            # As in `remove`.
            raise ConnectionsUnavailable(
                f"Xero did not list the organisations ({type(error).__name__})."
            ) from None

    def _send(
        self, budget: Budget, method: str, path: str, access_token: str, query: dict[str, str] | None = None
    ) -> requests.Response:
        with budget.bind(requests.Session()) as session:
            return session.request(
                method,
                f"{self.api_url}/connections{path}",
                params=query,
                headers={"Authorization": f"Bearer {access_token}", "Accept": "application/json"},
                allow_redirects=False,
            )


def _is_definite(answer: requests.Response) -> bool:
    """Tell a refusal of Xero's API, which is JSON, from its firewall's page and from what passes."""
    passing = answer.status_code in {requests.codes.request_timeout, requests.codes.too_many_requests}
    refused = requests.codes.bad_request <= answer.status_code < requests.codes.server_error
    return refused and not passing and "json" in answer.headers.get("Content-Type", "")


def _is_unauthorized(answer: requests.Response) -> bool:
    """Tell whether Xero's API refuses the access token; its firewall's 403 is a page."""
    refused = answer.status_code in {requests.codes.unauthorized, requests.codes.forbidden}
    return refused and _is_definite(answer)


def _tenant(connection: dict[str, Any]) -> Tenant:
    # Xero's schema requires no member of a connection.
    return Tenant(
        tenant_id=_text(connection.get("tenantId")),
        tenant_name=_text(connection.get("tenantName")) or "(no name)",
        tenant_type=_text(connection.get("tenantType")) or "ORGANISATION",
        connection_id=_text(connection.get("id")),
    )


def _text(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    return str(value).encode(errors="replace").decode().strip()[:_LONGEST_TEXT]
