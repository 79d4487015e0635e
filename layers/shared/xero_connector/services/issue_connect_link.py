"""Issue the ticket behind a connect link."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from xero_connector.domain.consent import ConnectTicket, digest, new_token
from xero_connector.domain.ports import Clock, Consents


@dataclass(frozen=True, slots=True)
class ConnectLink:
    """A link that may be handed to a Xero user; its holder can start the consent."""

    connect_url: str = field(repr=False)
    expires_at: datetime


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class IssueConnectLink:
    """Issues connect tickets; earlier ones stay valid until they expire. Only the ticket's hash is kept."""

    consents: Consents
    clock: Clock
    public_url: str
    lifetime: timedelta

    def __call__(self, client_id: str) -> ConnectLink:
        """Make a link for a credential, whatever its status: opening it looks at that."""
        ticket = new_token()
        now = self.clock()
        expires_at = now + self.lifetime
        self.consents.add_ticket(
            ConnectTicket(ticket_hash=digest(ticket), client_id=client_id, created_at=now, expires_at=expires_at)
        )
        return ConnectLink(f"{self.public_url}/connect/{ticket}", expires_at)
