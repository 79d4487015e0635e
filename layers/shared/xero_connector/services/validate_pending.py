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
from xero_connector.services.turn_done import TurnDone

WORKS_ON = frozenset({Status.PENDING_VALIDATION, Status.REJECTED})


@dataclass(frozen=True, slots=True, eq=False, repr=False)
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

    def __call__(self, credential: Credential) -> TurnDone:
        """Decide for a credential that was just read; raises `LeaseUnavailable` while another holder does.

        A credential whose status is none of `WORKS_ON` comes back as it is.
        """
        if credential.status not in WORKS_ON:
            return TurnDone(credential)
        with self.hold_lease(credential) as lease:
            if credential.status is Status.REJECTED:
                return TurnDone(self._delete_secret(lease))
            try:
                pair = self.read_secrets.pair(credential)
            except SecretNotVisible:
                return TurnDone(self._unreadable(lease))
            except StoreUnavailable as unavailable:
                trouble = unavailable
                lease.end(lambda credential, now: blocked(credential, trouble, before=lease.before, now=now))
                raise
            proof = self.prove_pair.again(pair, credential)
            self.observer.event("pair_proven", client_id=credential.client_id, verdict=proof.verdict)
            decision = lease.end(lambda credential, now: decided(credential, proof, now))
            return TurnDone(decision, answered=proof.is_definite)

    def _unreadable(self, lease: HeldLease) -> Credential:
        self.observer.count("SecretUnreadable")
        credential = lease.end(lambda credential, now: without_secret(credential, missing=Secret.CLIENT, now=now))
        self.observer.warning("secret_unreadable", client_id=credential.client_id, status=credential.status)
        return credential

    def _delete_secret(self, lease: HeldLease) -> Credential:
        """Delete the secret of a rejected credential; bring it back where it turns out that it was healed."""
        kept_until = pair_kept_until(lease.credential)
        if kept_until is not None and self.clock() < kept_until:
            # A process that wanted to heal it died; its time has not come.
            return lease.end(
                lambda credential, now: credential.released(due_at=kept_until, attempt_finished=True, now=now)
            )
        # A holder that was overtaken stops here, before it touches the secret.
        lease.renew()
        # A deletion whose answer is lost may still take effect: no new submission may come before that.
        lease.unsettled = True
        client_id = lease.credential.client_id
        self.vault.delete_client_pair(client_id)
        try:
            # It stays due until the secret is gone: a process that dies here is followed by another.
            credential = lease.end(_without_secret)
        except LeaseUnavailable:
            self._bring_back(client_id)
            raise
        if credential.status is not Status.REJECTED:
            self._bring_back(client_id)
        return credential

    def _bring_back(self, client_id: str) -> None:
        credential = self.registry.get(client_id)
        if credential is not None and credential.status not in FINAL:
            self.observer.count("SecretRestored")
            self.observer.warning("late_deletion_undone", client_id=client_id)
            self.vault.restore_client_pair(client_id)


def _without_secret(credential: Credential, now: datetime) -> Credential:
    due_at = None if credential.status is Status.REJECTED else credential.due_at
    return credential.released(due_at=due_at, attempt_finished=True, now=now)
