"""Prove a stored pair again because an admin asks."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from xero_connector.domain.checks import Check
from xero_connector.domain.credential import Credential
from xero_connector.domain.errors import Conflict
from xero_connector.domain.history import Action
from xero_connector.domain.ports import Clock
from xero_connector.domain.rejection import keeps_pair
from xero_connector.domain.status import Status
from xero_connector.use_cases.change_credential import ChangeCredential
from xero_connector.use_cases.find_credential import FindCredential
from xero_connector.use_cases.prove_pair import Proof, ProvePair, Verdict, proven
from xero_connector.use_cases.read_secrets import ReadSecrets

WORKS_ON = frozenset(Status) - {Status.DISCONNECTING, Status.DISCONNECTED}
"""Where there is a secret to prove; a rejected one until it is deleted."""
_RECHECK_REFUSED_PAIR = timedelta(minutes=5)
_RECHECK_LATER = timedelta(hours=1)
_WITH_A_SECRET_IN_DOUBT = frozenset(
    {Status.VALIDATED, Status.CONNECTED, Status.DEGRADED, Status.REAUTHORIZATION_REQUIRED}
)


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
        proof = self.prove_pair.again(self.read_secrets.pair(row), row, thorough=by is not None)
        now = self.clock()

        def finding(there: Credential) -> Credential:
            asked = there if by is None else there.noted(Action.VALIDATION_REQUESTED, by=by)
            return _with_finding(replace(asked, updated_at=now), row.client_version_id, proof, now)

        return self.change_credential(client_id, finding)


def _with_finding(row: Credential, proven_version_id: str, proof: Proof, now: datetime) -> Credential:
    if row.client_version_id != proven_version_id:
        # The secret was replaced during the proof: what was found says nothing about the new one.
        return row
    row = row.checked(**_news(row, proof))
    if keeps_pair(row) and proof.verdict is Verdict.GOOD:
        lease = None if row.lease is None or row.lease.until <= now else row.lease
        return replace(proven(row, now), lease=lease)
    if row.status is Status.PENDING_VALIDATION and proof.verdict is not Verdict.UNKNOWN:
        # The sweep decides: have it do so at once.
        return replace(row, due_at=now)
    if proof.verdict is Verdict.INVALID_CLIENT and row.status in _WITH_A_SECRET_IN_DOUBT:
        failed = row.failed(code=proof.verdict, detail=proof.checks["pair"].detail, now=now)
        return replace(failed.move_to(Status.CLIENT_REJECTED), due_at=now + _RECHECK_REFUSED_PAIR)
    return _still_refused(row, proof, now) if row.status is Status.CLIENT_REJECTED else row


def _still_refused(row: Credential, proof: Proof, now: datetime) -> Credential:
    if proof.verdict is Verdict.GOOD:
        return accepted_again(row, now)
    return replace(row, due_at=now + _RECHECK_LATER) if row.generation == 0 else row


def _news(row: Credential, proof: Proof) -> dict[str, Check]:
    # What the tokens at hand lack is a fact; what the authorize endpoint would allow the next consent is not.
    lacking = row.generation > 0 and not set(row.granted_scopes).issuperset(row.requested_scopes)
    return {name: check for name, check in proof.checks.items() if not (lacking and name == "scopes")}


def accepted_again(row: Credential, now: datetime) -> Credential:
    """Lead a refused credential back: to `validated`, or to a refresh that proves the grant."""
    if row.has_grant:
        return replace(row, due_at=now)
    # A consent may have been cut off after it stored its tokens: then there is something to look for.
    due_at = None if row.attempt_started_at is None and row.consenting is None else now
    return replace(row.move_to(Status.VALIDATED), due_at=due_at, failures=0, last_error=None)
