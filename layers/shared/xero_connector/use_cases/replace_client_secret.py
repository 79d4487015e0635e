"""Swap the client secret of a credential: tokens and consent survive."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from xero_connector.domain.credential import Credential
from xero_connector.domain.error_codes import XERO_UNAVAILABLE
from xero_connector.domain.errors import (
    Conflict,
    ConnectorError,
    LeaseUnavailable,
    SecretDeleted,
    VersionTaken,
    XeroUnavailable,
)
from xero_connector.domain.history import Action
from xero_connector.domain.ports import Clock, Deadline, Observer, Vault
from xero_connector.domain.proof import Verdict, with_new_secret
from xero_connector.domain.rejection import keeps_pair
from xero_connector.domain.status import Status
from xero_connector.domain.time_budget import PATIENCE, TIME_FOR_TOKENS, TIME_TO_ANSWER, TIME_TO_SAVE, TIME_TO_SWAP
from xero_connector.domain.tokens import ClientPair, client_version_id
from xero_connector.services.find_credential import FindCredential
from xero_connector.services.hold_lease import Change, HeldLease, HoldLease
from xero_connector.services.insist import Insist
from xero_connector.services.prove_pair import ProvePair
from xero_connector.services.refresh_credential import RefreshCredential

_MOST_TAKEN = 10
WORKS_ON = frozenset(Status) - {Status.DISCONNECTING, Status.DISCONNECTED}
"""Where a new secret is of use; a rejected credential takes one until its secret is deleted."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ReplaceClientSecret:
    """Proves the new secret first; the old one stays in force until the credential names the new.

    The new one is then put to use by a refresh, as far as the version quota allows: at once for an admin, by the
    schedule for a customer who came by a setup link. The old one stays in Secrets
    Manager as the version before.
    """

    vault: Vault
    prove_pair: ProvePair
    hold_lease: HoldLease
    find_credential: FindCredential
    refresh_credential: RefreshCredential
    clock: Clock
    deadline: Deadline
    insist: Insist
    observer: Observer

    def __call__(
        self, client_id: str, client_secret: str, *, by: str, setup_link_id: str | None = None
    ) -> Credential:
        """Swap for an admin, or for a customer by a setup link.

        Raises `NotFound`, `Conflict`, `PairRefused`, or `XeroUnavailable` without a definite answer.
        """
        credential = self.find_credential(client_id)
        _check_replaceable(credential)
        pair = ClientPair(client_id, client_secret)
        proof = self.prove_pair.again(pair, credential)
        self.observer.event("secret_proven", client_id=client_id, verdict=proof.verdict)
        proof.raise_if_refused()
        if proof.verdict is Verdict.UNKNOWN:
            raise XeroUnavailable(
                "Xero gave no definite answer about the new secret; the old one stays in force.",
                code=XERO_UNAVAILABLE,
                hint="Keep the new secret and send it again in a few minutes.",
            )
        try:
            lease = self.hold_lease.waiting(credential, patience=self._patience())
        except LeaseUnavailable as busy:
            raise Conflict(busy.detail, code=busy.code, hint=busy.hint) from busy
        with lease:
            # As it stands now: it may have been disconnected during the proof.
            _check_replaceable(lease.before)
            # The function behind the setup page reads no secret.
            reads = setup_link_id is None
            number = self.insist(lambda: self._put(lease.credential, pair, reads=reads), leaving=TIME_TO_SAVE)

            def swap(credential: Credential, now: datetime) -> Credential:
                new = with_new_secret(credential, proof, number=number, by=by, before=lease.before, now=now)
                if setup_link_id is None:
                    return new
                used = new.noted(Action.SETUP_LINK_USED, by=by, detail=setup_link_id)
                return replace(used, setup_link_id=setup_link_id)

            swapped = self.insist(lambda: self._end(lease, swap, number=number), leaving=TIME_TO_ANSWER)
        return swapped if setup_link_id is not None else self._put_to_use(swapped)

    def _end(self, lease: HeldLease, swap: Change, *, number: int) -> Credential:
        try:
            return lease.end(swap)
        except LeaseUnavailable:
            credential = lease.registry.get(lease.credential.client_id)
            if credential is not None and _is_swapped(credential, lease, number=number):
                # A try before this one took effect, and its answer was lost.
                return credential
            if credential is not None and _lost_its_secrets(credential):
                # The put brought back what a disconnect had deleted: that is made good.
                self.vault.delete_client_pair(credential.client_id)
            raise

    def _patience(self) -> timedelta:
        return min(PATIENCE, max(self.deadline() - self.clock() - TIME_TO_SWAP, timedelta()))

    def _put_to_use(self, credential: Credential) -> Credential:
        now = self.clock()
        if not credential.is_due(now) or self.deadline() - now < TIME_FOR_TOKENS:
            return credential
        try:
            refresh = self.refresh_credential(credential, only_if_due=False)
        except ConnectorError as postponed:
            # The swap is done, and that is what was asked for. The credential is due: whatever stands in the way
            # of a refresh, the schedule meets it within a minute, and reports it.
            self.observer.event("secret_not_used_yet", client_id=credential.client_id, code=postponed.code)
            return self.find_credential(credential.client_id)
        return refresh.credential

    def _put(self, credential: Credential, pair: ClientPair, *, reads: bool) -> int:
        if reads and self._is_in_force(credential, pair):
            # Sent again, perhaps after a lost answer: the version before stays the one that can be gone back to.
            return credential.client_secret_number
        for number in range(
            credential.client_secret_number + 1, credential.client_secret_number + 1 + _MOST_TAKEN
        ):
            try:
                self.vault.put_client_pair(pair, version_id=client_version_id(credential.incarnation, number))
            except VersionTaken:
                # An earlier swap died before its secret came into force: leave its version behind.
                continue
            return number
        raise VersionTaken(
            client_version_id(credential.incarnation, credential.client_secret_number + _MOST_TAKEN)
        )

    def _is_in_force(self, credential: Credential, pair: ClientPair) -> bool:
        try:
            return (
                self.vault.get_client_pair(credential.client_id, version_id=credential.client_version_id) == pair
            )
        except SecretDeleted:
            return False


def _check_replaceable(credential: Credential) -> None:
    if _has_ended(credential):
        raise Conflict(
            f"A credential that is {credential.status} takes no new secret.",
            code="not_replaceable",
            hint="Submit the pair again with POST /credentials.",
        )


def _is_swapped(credential: Credential, lease: HeldLease, *, number: int) -> bool:
    mine = credential.incarnation == lease.credential.incarnation
    return mine and credential.client_secret_number == number != lease.before.client_secret_number


def _lost_its_secrets(credential: Credential) -> bool:
    if credential.status is Status.DISCONNECTING:
        return credential.ending is not None and credential.ending.grants_done
    return _has_ended(credential)


def _has_ended(credential: Credential) -> bool:
    return credential.status not in WORKS_ON or (
        credential.status is Status.REJECTED and not keeps_pair(credential)
    )
