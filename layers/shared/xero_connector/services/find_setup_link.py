"""Find the setup link that a ticket belongs to, or say why it cannot be used."""

import hmac
from dataclasses import dataclass

from xero_connector.domain import setup_refusals
from xero_connector.domain.consent import digest, is_token
from xero_connector.domain.ports import Clock, SetupLinks
from xero_connector.domain.setup_link import SetupLink, setup_link_id
from xero_connector.services.settle_setup_link import SettleSetupLink


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class FindSetupLink:
    """Reads the link; one that was used stays readable, so that a second visit shows where things stand."""

    setup_links: SetupLinks
    settle_setup_link: SettleSetupLink
    clock: Clock

    def __call__(self, ticket: str) -> SetupLink:
        """Raises `SetupRefused`."""
        link = self.setup_links.get(setup_link_id(ticket)) if is_token(ticket) else None
        if link is None or not hmac.compare_digest(link.ticket_hash, digest(ticket)):
            raise setup_refusals.setup_link_unknown()
        link = self.settle_setup_link(link)
        if link.withdrawn_at is not None:
            raise setup_refusals.setup_link_withdrawn()
        if link.used_at is None and link.is_over(self.clock()):
            raise setup_refusals.setup_link_expired()
        return link
