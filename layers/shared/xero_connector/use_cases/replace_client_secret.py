"""Swap the client secret of a credential: tokens and consent survive."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from xero_connector.domain.credential import Credential
from xero_connector.domain.errors import Conflict, LeaseUnavailable, VersionTaken, XeroUnavailable
from xero_connector.domain.ports import Clock, Observer, Vault
from xero_connector.domain.status import FINAL, Status
from xero_connector.domain.tokens import ClientPair, client_version_id
from xero_connector.use_cases.find_credential import FindCredential
from xero_connector.use_cases.hold_lease import HeldLease, HoldLease
from xero_connector.use_cases.prove_pair import Proof, ProvePair, Verdict
from xero_connector.use_cases.revalidate_credential import accepted_again

_PATIENCE = timedelta(seconds=6)
_MOST_TAKEN = 10
_ENDING = FINAL | {Status.DISCONNECTING}


@dataclass(frozen=True, slots=True)
class ReplaceClientSecret:
    """Proves the new secret first; the old one stays in force until the row names the new."""

    vault: Vault
    prove_pair: ProvePair
    hold_lease: HoldLease
    find_credential: FindCredential
    clock: Clock
    observer: Observer

    def __call__(self, client_id: str, client_secret: str) -> Credential:
        """Raises `NotFound`, `Conflict`, `PairRefused`, or `XeroUnavailable` without a definite answer."""
        row = self.find_credential(client_id)
        _check_replaceable(row)
        pair = ClientPair(client_id, client_secret)
        proof = self.prove_pair(pair)
        self.observer.event("secret_proven", client_id=client_id, verdict=proof.verdict)
        proof.raise_if_refused()
        if proof.verdict is Verdict.UNKNOWN:
            raise XeroUnavailable(
                "Xero gave no definite answer about the new secret; the old one stays in force.",
                code="xero_unavailable",
                hint="Keep the new secret and send it again in a few minutes.",
            )
        try:
            held = self.hold_lease.waiting(row, patience=_PATIENCE)
        except LeaseUnavailable as busy:
            raise Conflict(busy.detail, code=busy.code, hint=busy.hint) from None
        # As it stands now: it may have been disconnected during the proof.
        if held.row.status in _ENDING:
            _check_replaceable(held.give_back())
        number = self._put(held, pair)
        return held.save(lambda row, now: _swapped(held, row, number=number, proof=proof, now=now))

    def _put(self, held: HeldLease, pair: ClientPair) -> int:
        row = held.row
        for number in range(row.client_secret_number + 1, row.client_secret_number + 1 + _MOST_TAKEN):
            try:
                self.vault.put_client_pair(pair, version_id=client_version_id(row.incarnation, number))
            except VersionTaken:
                # An earlier swap died before its secret came into force: leave its version behind.
                continue
            return number
        raise VersionTaken(client_version_id(row.incarnation, row.client_secret_number + _MOST_TAKEN))


def _check_replaceable(row: Credential) -> None:
    if row.status in _ENDING:
        raise Conflict(
            f"A credential that is {row.status} takes no new secret.",
            code="not_replaceable",
            hint="Submit the pair again with POST /credentials.",
        )


def _swapped(held: HeldLease, row: Credential, *, number: int, proof: Proof, now: datetime) -> Credential:
    swapped = replace(row.checked(pair=proof.as_check(now)), client_secret_number=number, updated_at=now).released(
        due_at=held.before.due_at, attempt_finished=not held.unfinished, now=now
    )
    if swapped.status is Status.CLIENT_REJECTED:
        return accepted_again(swapped, now)
    if swapped.status is Status.PENDING_VALIDATION:
        return replace(swapped.move_to(Status.VALIDATED), due_at=None, failures=0, last_error=None)
    return swapped
