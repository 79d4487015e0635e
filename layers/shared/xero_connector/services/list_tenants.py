"""Find out which organisations a grant reaches: never "the first one", and never those of another grant."""

from dataclasses import dataclass
from datetime import datetime

from xero_connector.domain.credential import Credential
from xero_connector.domain.errors import ConnectionsUnavailable
from xero_connector.domain.ports import Clock, Observer, XeroConnections
from xero_connector.domain.refresh_policy import TENANTS_RECHECK
from xero_connector.domain.tenant import Tenant, fitting
from xero_connector.domain.tokens import TokenAnswer


@dataclass(frozen=True, slots=True)
class Listing:
    """The organisations as far as they are known; `pending` until Xero has listed those of a new grant."""

    tenants: tuple[Tenant, ...]
    pending: bool
    checked_at: datetime | None

    @classmethod
    def of(cls, credential: Credential) -> "Listing":
        """Return what a credential knows."""
        return cls(credential.tenants, credential.tenants_pending, credential.tenants_checked_at)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ListTenants:
    """Asks Xero; without an answer what was known stays."""

    connections: XeroConnections
    clock: Clock
    observer: Observer

    def of_consent(self, listing: Listing, answer: TokenAnswer) -> Listing:
        """List the organisations of the consent that tokens come from."""
        return self._listed(listing, answer.token.access_token, answer.auth_event_id)

    def everything(self, listing: Listing, access_token: str) -> Listing:
        """List all that the grant's user has connected to the app: that is what its tokens reach."""
        return self._listed(listing, access_token, None)

    def is_due(self, listing: Listing) -> bool:
        """Whether the organisations should be looked at again."""
        return listing.checked_at is None or listing.checked_at + TENANTS_RECHECK <= self.clock()

    def _listed(self, listing: Listing, access_token: str, auth_event_id: str | None) -> Listing:
        try:
            tenants = self.connections.tenants(access_token, auth_event_id=auth_event_id)
        except ConnectionsUnavailable as unavailable:
            self.observer.count("ConnectionsUnavailable")
            self.observer.warning("connections_unavailable", detail=unavailable.detail)
            return listing
        kept = fitting(tenants)
        if len(kept) < len(tenants):
            # A grant whose credential could not be written would be lost: better a list that says that it was cut.
            self.observer.count("TenantsLeftOut", len(tenants) - len(kept))
        return Listing(kept, pending=False, checked_at=self.clock())
