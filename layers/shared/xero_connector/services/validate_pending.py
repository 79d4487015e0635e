"""Prove a pair again that Xero gave no definite answer about when it was submitted."""

from dataclasses import dataclass
from datetime import datetime

from xero_connector.domain.credential import Credential
from xero_connector.domain.errors import LeaseUnavailable, SecretNotVisible, StoreUnavailable
from xero_connector.domain.failed_refresh import Secret, blocked, without_secret
from xero_connector.domain.ports import Clock, Observer, Registry, Vault
from xero_connector.domain.proof import decided
from xero_connector.domain.rejection import pair_kept_until
from xero_connector.domain.status import FINAL, Status
from xero_connector.services.hold_lease import HeldLease, HoldLease
from xero_connector.services.prove_pair import ProvePair
from xero_connector.services.read_secrets import ReadSecrets

WORKS_ON = frozenset({Status.PENDING_VALIDATION, Status.REJECTED})


@dataclass(frozen=True, slots=True)
class ValidatePending:
    """Decides a `pending_validation`: proven, rejected, or asked again later; later deletes what was rejected.

    One refusal decides nothing: the pair was promised to be kept safe, and Xero refuses fresh secrets for minutes.
    """

    registry: Registry
    vault: Vault
    read_secrets: ReadSecrets
    prove_pair: ProvePair
    hold_lease: HoldLease
    clock: Clock
    observer: Observer

    def __call__(self, row: Credential) -> Credential:
        """Decide for a row that was just read; raises `LeaseUnavailable` while another holder does.

        A row whose status is none of `WORKS_ON` comes back as it is.
        """
        if row.status not in WORKS_ON:
            return row
        held = self.hold_lease(row)
        if row.status is Status.REJECTED:
            return self._delete_secret(held)
        try:
            pair = self.read_secrets.pair(row)
        except SecretNotVisible:
            return self._unreadable(held)
        except StoreUnavailable as unavailable:
            trouble = unavailable
            held.save(lambda row, now: blocked(row, trouble, before=held.before, now=now))
            raise
        proof = self.prove_pair.again(pair, row)
        self.observer.event("pair_proven", client_id=row.client_id, verdict=proof.verdict)
        return held.save(lambda row, now: decided(row, proof, now))

    def _unreadable(self, held: HeldLease) -> Credential:
        self.observer.count("SecretUnreadable")
        row = held.save(lambda row, now: without_secret(row, missing=Secret.CLIENT, now=now))
        self.observer.event("secret_unreadable", client_id=row.client_id, status=row.status)
        return row

    def _delete_secret(self, held: HeldLease) -> Credential:
        """Delete the secret of a rejected credential; bring it back where it turns out that it was healed."""
        kept_until = pair_kept_until(held.row)
        if kept_until is not None and self.clock() < kept_until:
            # Somebody who wanted to heal it died; its time has not come.
            return held.save(lambda row, now: row.released(due_at=kept_until, attempt_finished=True, now=now))
        # A holder that was overtaken stops here, before it touches the secret.
        held.renew()
        client_id = held.row.client_id
        self.vault.delete_client_pair(client_id)
        try:
            # It stays due until the secret is gone: a process that dies here is followed by another.
            row = held.save(_without_secret)
        except LeaseUnavailable:
            self._bring_back(client_id)
            raise
        if row.status is not Status.REJECTED:
            self._bring_back(client_id)
        return row

    def _bring_back(self, client_id: str) -> None:
        row = self.registry.get(client_id)
        if row is not None and row.status not in FINAL:
            self.observer.count("SecretRestored")
            self.observer.event("late_deletion_undone", client_id=client_id)
            self.vault.restore_client_pair(client_id)


def _without_secret(row: Credential, now: datetime) -> Credential:
    due_at = None if row.status is Status.REJECTED else row.due_at
    return row.released(due_at=due_at, attempt_finished=True, now=now)
