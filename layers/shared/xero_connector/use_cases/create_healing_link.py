"""Make the link by which a customer heals a credential, at the request of an admin."""

from dataclasses import dataclass, replace
from datetime import timedelta

from xero_connector.domain.credential import Credential
from xero_connector.domain.errors import Conflict
from xero_connector.domain.healing import healed_by
from xero_connector.domain.history import Action
from xero_connector.domain.ports import Clock
from xero_connector.services.change_credential import ChangeCredential
from xero_connector.services.find_credential import FindCredential
from xero_connector.services.issue_setup_link import IssuedSetupLink, IssueSetupLink


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class CreateHealingLink:
    """Finds out what heals the credential, records who asked, and issues the link."""

    find_credential: FindCredential
    change_credential: ChangeCredential
    issue_setup_link: IssueSetupLink
    clock: Clock

    def __call__(self, client_id: str, *, lifetime: timedelta, by: str) -> IssuedSetupLink:
        """Raises `NotFound`, or `Conflict` where a customer has nothing to heal."""
        credential = self.find_credential(client_id)
        purpose = healed_by(credential)
        if purpose is None:
            raise _nothing_to_heal(credential)
        # The record comes first, so that every link has one.
        self.change_credential(
            client_id,
            lambda credential: replace(
                credential.noted(Action.SETUP_LINK_CREATED, by=by), updated_at=self.clock()
            ),
        )
        return self.issue_setup_link(
            purpose,
            by=by,
            lifetime=lifetime,
            label=credential.label,
            integration_type=credential.integration_type,
            scopes=credential.requested_scopes,
            client_id=client_id,
        )


def _nothing_to_heal(credential: Credential) -> Conflict:
    return Conflict(
        f"A credential that is {credential.status} has nothing that a customer could heal.",
        code="nothing_to_heal",
        hint="Look at its status and last_error. A customer who never connected needs a connect link.",
    )
