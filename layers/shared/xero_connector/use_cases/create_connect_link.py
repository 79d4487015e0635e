"""Make the link that takes a Xero user through consent, because an admin asks."""

from dataclasses import dataclass, replace

from xero_connector.domain.credential import IntegrationType
from xero_connector.domain.errors import Conflict
from xero_connector.domain.history import Action
from xero_connector.domain.ports import Clock
from xero_connector.domain.status import CONSENTABLE, Status
from xero_connector.services.change_credential import ChangeCredential
from xero_connector.services.find_credential import FindCredential
from xero_connector.services.issue_connect_link import ConnectLink, IssueConnectLink

_FIRST = {
    Status.PENDING_VALIDATION: "Wait: the pair is proven by itself once Xero answers.",
    Status.CLIENT_REJECTED: "Generate a client secret at Xero and PUT it to /credentials/{client_id}/secret.",
    Status.DISCONNECTING: "It is being disconnected; after that, submit the pair again with POST /credentials.",
}


@dataclass(frozen=True, slots=True)
class CreateConnectLink:
    """Checks that a consent makes sense, writes down who asked, and issues the link."""

    find_credential: FindCredential
    change_credential: ChangeCredential
    issue_connect_link: IssueConnectLink
    clock: Clock

    def __call__(self, client_id: str, *, by: str) -> ConnectLink:
        """Raises `NotFound`, or `Conflict` where a consent makes no sense."""
        row = self.find_credential(client_id)
        if row.integration_type is IntegrationType.CUSTOM_CONNECTION:
            raise Conflict(
                "A Custom connection takes no user through consent: it gets its tokens by itself.",
                code="no_consent_needed",
                hint="Look at the credential: its status and last_error tell how it stands.",
            )
        if row.status not in CONSENTABLE:
            raise Conflict(
                f"A credential that is {row.status} cannot be connected.",
                code="not_connectable",
                hint=_FIRST.get(row.status, "Submit the pair again with POST /credentials."),
            )
        # Written down first: nobody could account for a link that was not.
        self.change_credential(
            client_id, lambda row: replace(row.noted(Action.CONNECT_LINK_CREATED, by=by), updated_at=self.clock())
        )
        return self.issue_connect_link(client_id)
