"""Write down that a setup link was used, where its own process could not."""

from dataclasses import dataclass

from xero_connector.domain.credential import Credential
from xero_connector.domain.ports import Clock, Registry
from xero_connector.domain.setup_link import SetupLink
from xero_connector.domain.setup_view import Purpose
from xero_connector.domain.status import Status
from xero_connector.services.change_setup_link import ChangeSetupLink


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class SettleSetupLink:
    """Looks at the credential: it names the link by which its pair came, and shows whether consent was given."""

    registry: Registry
    change_setup_link: ChangeSetupLink
    clock: Clock

    def __call__(self, link: SetupLink) -> SetupLink:
        """Return the link as it stands."""
        client_id = _client_id_to_look_at(link)
        if client_id is None:
            return link
        credential = self.registry.get(client_id)
        if credential is None or not _was_used(link, credential):
            return link
        # The credential may be from a process whose clock is ahead, and was there before its link was used.
        now = max(self.clock(), credential.created_at)
        return self.change_setup_link(link.setup_link_id, lambda link: link.used(client_id, now))


def _client_id_to_look_at(link: SetupLink) -> str | None:
    if link.used_at is not None or link.withdrawn_at is not None:
        return None
    if link.purpose is Purpose.REAUTHORIZE:
        return link.client_id
    return None if link.claim is None else link.claim.client_id


def _was_used(link: SetupLink, credential: Credential) -> bool:
    if link.purpose is Purpose.REAUTHORIZE:
        # A consent cannot name the link, but only a consent leads out of the status in which the link was made.
        return link.leads_to(credential) and credential.status is Status.CONNECTED
    return credential.setup_link_id == link.setup_link_id
