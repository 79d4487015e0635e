"""Prove a stored pair again because an admin asks, or because the schedule could not read it before."""

from dataclasses import dataclass, replace
from datetime import datetime

from xero_connector.domain.credential import Credential
from xero_connector.domain.errors import Conflict, SecretNotVisible, StoreUnavailable
from xero_connector.domain.failed_refresh import (
    CLIENT_SECRET_MISSING,
    PAIR_GONE,
    Secret,
    blocked,
    readable_again,
    without_secret,
)
from xero_connector.domain.history import Action
from xero_connector.domain.ports import Clock
from xero_connector.domain.proof import with_finding
from xero_connector.domain.refresh_policy import VISIBLE_WITHIN
from xero_connector.domain.rejection import keeps_pair
from xero_connector.domain.status import Status
from xero_connector.domain.tokens import ClientPair
from xero_connector.services.change_credential import ChangeCredential
from xero_connector.services.find_credential import FindCredential
from xero_connector.services.prove_pair import ProvePair
from xero_connector.services.read_secrets import ReadSecrets
from xero_connector.services.turn_done import TurnDone

WORKS_ON = frozenset(Status) - {Status.DISCONNECTING, Status.DISCONNECTED}
"""Where there is a secret to prove; a rejected one until it is deleted."""
_LOOKED_AT_BY_PROOFS = frozenset({Status.VALIDATED, Status.REAUTHORIZATION_REQUIRED, Status.CLIENT_REJECTED})
"""Where no refresh reads the pair, unless there is a grant."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class RevalidateCredential:
    """Makes the proof and writes down what it found; only a definite refusal changes the status."""

    read_secrets: ReadSecrets
    prove_pair: ProvePair
    find_credential: FindCredential
    change_credential: ChangeCredential
    clock: Clock

    def __call__(self, client_id: str, *, by: str) -> Credential:
        """Prove for an admin, who is named in the audit trail.

        Raises `NotFound`, or `Conflict` where there is no secret to prove.
        """
        return self._proven(client_id, by=by).credential

    def scheduled(self, client_id: str) -> TurnDone:
        """Prove for the schedule; raises as for an admin."""
        return self._proven(client_id, by=None)

    def _proven(self, client_id: str, *, by: str | None) -> TurnDone:
        credential = self.find_credential(client_id)
        if credential.status not in WORKS_ON or (
            credential.status is Status.REJECTED and not keeps_pair(credential)
        ):
            raise Conflict(
                f"A credential that is {credential.status} has no secret to prove.",
                code="nothing_to_prove",
                hint="Submit the pair again with POST /credentials.",
            )
        proof = self.prove_pair.again(self._pair(credential), credential, thorough=by is not None)
        now = self.clock()

        def finding(there: Credential) -> Credential:
            asked = there if by is None else there.noted(Action.VALIDATION_REQUESTED, by=by)
            return with_finding(
                readable_again(replace(asked, updated_at=now)), credential.client_version_id, proof, now
            )

        return TurnDone(self.change_credential(client_id, finding), answered=proof.is_definite)

    def _pair(self, credential: Credential) -> ClientPair:
        """Read the pair; raises `Conflict` once it has been missing for longer than a secret can lag."""
        try:
            return self.read_secrets.pair(credential)
        except SecretNotVisible as unreadable:
            missed = self.change_credential(credential.client_id, lambda there: self._missed(there, credential))
            if _is_gone(missed, self.clock()):
                raise Conflict(
                    PAIR_GONE,
                    code=CLIENT_SECRET_MISSING,
                    hint="PUT the new client secret to /credentials/{client_id}/secret.",
                ) from unreadable
            raise
        except StoreUnavailable as unavailable:
            trouble = unavailable
            if credential.status is Status.CLIENT_REJECTED and not credential.has_grant:
                # Nothing but this looks at it: it says what stands in the way, and comes again.
                self.change_credential(
                    credential.client_id, lambda there: self._blocked(there, credential, trouble)
                )
            raise

    def _missed(self, credential: Credential, seen: Credential) -> Credential:
        """Note that the pair could not be read, where no refresh and no pending proof would notice it."""
        if (
            not _is_still(credential, seen)
            or credential.lease is not None
            or credential.status not in _LOOKED_AT_BY_PROOFS
        ):
            return credential
        if credential.has_grant or _is_gone(credential, self.clock()):
            return credential
        return without_secret(credential, missing=Secret.CLIENT, now=self.clock())

    def _blocked(self, credential: Credential, seen: Credential, trouble: StoreUnavailable) -> Credential:
        if not _is_still(credential, seen) or credential.lease is not None:
            return credential
        return blocked(credential, trouble, before=credential, now=self.clock())


def _is_still(credential: Credential, seen: Credential) -> bool:
    """Whether a credential still has the pair that was looked for."""
    return (credential.incarnation, credential.client_version_id, credential.status) == (
        seen.incarnation,
        seen.client_version_id,
        seen.status,
    )


def _is_gone(credential: Credential, now: datetime) -> bool:
    if credential.status is Status.REJECTED:
        # It was not written lately, so no reader can lag.
        return now - credential.created_at > VISIBLE_WITHIN
    return credential.last_error is not None and credential.last_error.code == CLIENT_SECRET_MISSING
