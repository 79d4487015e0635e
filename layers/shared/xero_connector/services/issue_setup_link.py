"""Issue a setup link."""

from dataclasses import dataclass, field
from datetime import timedelta

from xero_connector.domain.consent import digest, new_token
from xero_connector.domain.credential import IntegrationType
from xero_connector.domain.ports import Clock, SetupLinks
from xero_connector.domain.setup_link import DEFAULT_LIFETIME, SetupLink
from xero_connector.domain.setup_view import Purpose


@dataclass(frozen=True, slots=True)
class IssuedSetupLink:
    """A link with its address, which is shown this once; its holder can hand over a pair."""

    link: SetupLink
    setup_url: str = field(repr=False)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class IssueSetupLink:
    """Issues setup links. Only the ticket's hash is kept."""

    setup_links: SetupLinks
    clock: Clock
    public_url: str

    def __call__(
        self,
        purpose: Purpose,
        *,
        by: str,
        lifetime: timedelta = DEFAULT_LIFETIME,
        label: str | None = None,
        integration_type: IntegrationType | None = None,
        scopes: tuple[str, ...] | None = None,
        client_id: str | None = None,
    ) -> IssuedSetupLink:
        """Make a link; one that heals names its credential."""
        ticket = new_token()
        now = self.clock()
        link = SetupLink(
            ticket_hash=digest(ticket),
            purpose=purpose,
            label=label,
            integration_type=integration_type,
            scopes=scopes,
            client_id=client_id,
            created_at=now,
            created_by=by,
            expires_at=now + lifetime,
        )
        self.setup_links.add(link)
        return IssuedSetupLink(link, f"{self.public_url}/setup/{ticket}")
