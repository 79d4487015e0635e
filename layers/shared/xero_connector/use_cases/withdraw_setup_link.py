"""End a setup link before its time, at the request of an admin."""

from dataclasses import dataclass

from xero_connector.domain.errors import Conflict
from xero_connector.domain.ports import Clock
from xero_connector.domain.setup_link import SetupLink
from xero_connector.services.change_setup_link import ChangeSetupLink
from xero_connector.services.settle_setup_link import SettleSetupLink


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class WithdrawSetupLink:
    """Withdraws a link; again changes nothing."""

    change_setup_link: ChangeSetupLink
    settle_setup_link: SettleSetupLink
    clock: Clock

    def __call__(self, setup_link_id: str) -> SetupLink:
        """Raises `NotFound`, or `Conflict` if a pair is being handed over at this moment."""
        self.settle_setup_link(self.change_setup_link.find(setup_link_id))
        now = self.clock()

        def withdrawn(link: SetupLink) -> SetupLink:
            if link.withdrawn_at is not None:
                return link
            if link.claim is not None and link.claim.until > now:
                raise Conflict(
                    "A pair is being handed over by this link at this moment.",
                    code="busy",
                    hint="Try again in a minute, and look at the link first: the pair may have been accepted.",
                )
            return link.withdrawn(now)

        return self.change_setup_link(setup_link_id, withdrawn)
