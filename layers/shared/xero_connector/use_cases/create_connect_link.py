"""Make the link that takes a Xero user through consent."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from xero_connector.domain.consent import ConnectTicket, digest, new_token
from xero_connector.domain.errors import Conflict
from xero_connector.domain.ports import Clock, Consents
from xero_connector.domain.status import CONSENTABLE
from xero_connector.use_cases.find_credential import FindCredential


@dataclass(frozen=True, slots=True)
class ConnectLink:
    """A link that may be handed to a Xero user; whoever holds it can start the consent."""

    connect_url: str = field(repr=False)
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class CreateConnectLink:
    """Issues connect tickets; earlier ones stay valid until they expire."""

    consents: Consents
    find_credential: FindCredential
    clock: Clock
    public_url: str
    lifetime: timedelta

    def __call__(self, client_id: str) -> ConnectLink:
        """Raises `NotFound`, or `Conflict` where a consent makes no sense."""
        row = self.find_credential(client_id)
        if row.status not in CONSENTABLE:
            raise Conflict(
                f"A credential that is {row.status} cannot be connected.",
                code="not_connectable",
                hint="Look at the credential's status and last_error: a pair has to be proven first.",
            )
        ticket = new_token()
        now = self.clock()
        expires_at = now + self.lifetime
        self.consents.add_ticket(
            ConnectTicket(ticket_hash=digest(ticket), client_id=client_id, created_at=now, expires_at=expires_at)
        )
        return ConnectLink(f"{self.public_url}/connect/{ticket}", expires_at)
