"""Prove a pair again that Xero gave no definite answer about when it was submitted."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from xero_connector.domain.credential import Credential
from xero_connector.domain.ports import Clock, Observer, Registry, Vault
from xero_connector.domain.status import Status
from xero_connector.use_cases.hold_lease import HoldLease
from xero_connector.use_cases.prove_pair import Proof, ProvePair, Verdict, proven
from xero_connector.use_cases.read_secrets import ReadSecrets

_FIRST_PAUSE = timedelta(minutes=1)
_LONGEST_PAUSE = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class ValidatePending:
    """Decides a `pending_validation`: proven, rejected with its secret deleted, or asked again later."""

    registry: Registry
    vault: Vault
    read_secrets: ReadSecrets
    prove_pair: ProvePair
    hold_lease: HoldLease
    clock: Clock
    observer: Observer

    def __call__(self, row: Credential) -> Credential:
        """Raises `LeaseUnavailable` while somebody else decides."""
        held = self.hold_lease(row)
        if row.status is Status.REJECTED:
            return self._delete_secret(held.row)
        proof = self.prove_pair.again(self.read_secrets.pair(row), row)
        self.observer.event("pair_proven", client_id=row.client_id, verdict=proof.verdict)
        decided = held.save(lambda row, now: _decided(row, proof, now))
        return self._delete_secret(decided) if decided.status is Status.REJECTED else decided

    def _delete_secret(self, row: Credential) -> Credential:
        # The row stays due until the secret is gone: a process that dies here is followed by another.
        self.vault.delete_client_pair(row.client_id)
        return self.registry.save(row.released(due_at=None, attempt_finished=True, now=self.clock()))


def _decided(row: Credential, proof: Proof, now: datetime) -> Credential:
    checked = row.checked(**proof.checks)
    if proof.verdict is Verdict.GOOD:
        good = proven(checked, now)
        return good.released(due_at=good.due_at, attempt_finished=True, now=now)
    failed = checked.failed(code=proof.verdict, detail=proof.checks["pair"].detail, now=now)
    if proof.verdict is Verdict.UNKNOWN:
        pause = min(_FIRST_PAUSE * 2 ** min(failed.failures - 1, 10), _LONGEST_PAUSE)
        return failed.released(due_at=now + pause, attempt_finished=True, now=now)
    return failed.move_to(Status.REJECTED)
