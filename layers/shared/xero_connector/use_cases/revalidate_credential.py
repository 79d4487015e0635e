"""Prove a stored pair again because an admin asks."""

from dataclasses import dataclass, replace

from xero_connector.domain.credential import Credential
from xero_connector.domain.errors import Conflict, SecretNotVisible
from xero_connector.domain.failed_refresh import CLIENT_SECRET_MISSING, Secret, without_secret
from xero_connector.domain.history import Action
from xero_connector.domain.ports import Clock
from xero_connector.domain.proof import with_finding
from xero_connector.domain.rejection import keeps_pair
from xero_connector.domain.status import Status
from xero_connector.domain.tokens import ClientPair
from xero_connector.services.change_credential import ChangeCredential
from xero_connector.services.find_credential import FindCredential
from xero_connector.services.prove_pair import ProvePair
from xero_connector.services.read_secrets import ReadSecrets

WORKS_ON = frozenset(Status) - {Status.DISCONNECTING, Status.DISCONNECTED}
"""Where there is a secret to prove; a rejected one until it is deleted."""


@dataclass(frozen=True, slots=True)
class RevalidateCredential:
    """Makes the proof and writes down what it found; only a definite refusal changes the status."""

    read_secrets: ReadSecrets
    prove_pair: ProvePair
    find_credential: FindCredential
    change_credential: ChangeCredential
    clock: Clock

    def __call__(self, client_id: str, *, by: str | None = None) -> Credential:
        """Prove for an admin, who is named in the audit trail, or (None) for the schedule.

        Raises `NotFound`, or `Conflict` where there is no secret to prove.
        """
        row = self.find_credential(client_id)
        if row.status not in WORKS_ON or (row.status is Status.REJECTED and not keeps_pair(row)):
            raise Conflict(
                f"A credential that is {row.status} has no secret to prove.",
                code="nothing_to_prove",
                hint="Submit the pair again with POST /credentials.",
            )
        proof = self.prove_pair.again(self._pair(row), row, thorough=by is not None)
        now = self.clock()

        def finding(there: Credential) -> Credential:
            asked = there if by is None else there.noted(Action.VALIDATION_REQUESTED, by=by)
            return with_finding(replace(asked, updated_at=now), row.client_version_id, proof, now)

        return self.change_credential(client_id, finding)

    def _pair(self, row: Credential) -> ClientPair:
        """Read the pair; raises `Conflict` once it has been missing for longer than a secret can lag."""
        try:
            return self.read_secrets.pair(row)
        except SecretNotVisible:
            missed = self.change_credential(row.client_id, self._missed)
            if missed.last_error is not None and missed.last_error.code == CLIENT_SECRET_MISSING:
                raise Conflict(
                    missed.last_error.detail,
                    code=CLIENT_SECRET_MISSING,
                    hint="PUT the new client secret to /credentials/{client_id}/secret.",
                ) from None
            raise

    def _missed(self, row: Credential) -> Credential:
        if row.lease is not None or (row.last_error is not None and row.last_error.code == CLIENT_SECRET_MISSING):
            return row
        noted = without_secret(row, missing=Secret.CLIENT, now=self.clock())
        # The schedule looks again where it has something to do.
        return noted if noted.status is not row.status else replace(noted, due_at=row.due_at)
