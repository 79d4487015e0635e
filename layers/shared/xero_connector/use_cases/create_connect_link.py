"""Make the link that takes a Xero user through consent, at the request of an admin."""

from dataclasses import dataclass, replace

from xero_connector.domain.credential import IntegrationType
from xero_connector.domain.error_codes import NOT_CONNECTABLE
from xero_connector.domain.errors import Conflict
from xero_connector.domain.history import Action
from xero_connector.domain.ports import Clock
from xero_connector.domain.status import CONSENTABLE, Status
from xero_connector.services.change_credential import ChangeCredential
from xero_connector.services.find_credential import FindCredential
from xero_connector.services.issue_connect_link import ConnectLink, IssueConnectLink

_FIRST = {
    Status.PENDING_VALIDATION: "Wait: the schedule will prove the pair once Xero answers.",
    Status.CLIENT_REJECTED: "Generate a client secret at Xero and PUT it to /credentials/{client_id}/secret.",
    Status.DISCONNECTING: "Wait until it is disconnected, then submit the pair again with POST /credentials.",
}


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class CreateConnectLink:
    """Checks that a consent is possible, records who asked, and issues the link."""

    find_credential: FindCredential
    change_credential: ChangeCredential
    issue_connect_link: IssueConnectLink
    clock: Clock

    def __call__(self, client_id: str, *, by: str) -> ConnectLink:
        """Raises `NotFound`, or `Conflict` if no consent is possible."""
        credential = self.find_credential(client_id)
        if credential.integration_type is IntegrationType.CUSTOM_CONNECTION:
            raise Conflict(
                "A Custom connection needs no consent: it gets its tokens without a user.",
                code="no_consent_needed",
                hint="Look at the status and the last_error of the credential.",
            )
        if credential.status not in CONSENTABLE:
            raise Conflict(
                f"A credential that is {credential.status} cannot be connected.",
                code=NOT_CONNECTABLE,
                hint=_FIRST.get(credential.status, "Submit the pair again with POST /credentials."),
            )
        # The record comes first, so that every link has one.
        self.change_credential(
            client_id,
            lambda credential: replace(
                credential.noted(Action.CONNECT_LINK_CREATED, by=by), updated_at=self.clock()
            ),
        )
        return self.issue_connect_link(client_id)
