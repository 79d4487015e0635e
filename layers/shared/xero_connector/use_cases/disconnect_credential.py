"""End a credential: its grants at Xero first, then its secrets."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from xero_connector.domain import disconnecting
from xero_connector.domain.credential import Credential
from xero_connector.domain.ending import GRANT_NOT_CONFIRMED, SECRETS_NOT_DELETED, Ending, pause_before_next
from xero_connector.domain.errors import Conflict, LeaseUnavailable, RevisionConflict, StoreUnavailable
from xero_connector.domain.history import CONNECTOR
from xero_connector.domain.ports import Clock, Deadline, Observer, Registry, Vault
from xero_connector.domain.refresh_policy import LEASE
from xero_connector.domain.status import Status
from xero_connector.domain.time_budget import (
    LONGEST_SCHEDULED_TURN,
    LONGEST_TURN,
    PATIENCE,
    TIME_TO_DELETE_SECRETS,
)
from xero_connector.services.disconnect_turn import DisconnectTurn, PostponedError
from xero_connector.services.end_grants import EndGrants
from xero_connector.services.find_credential import FindCredential
from xero_connector.services.hold_lease import HeldLease, HoldLease
from xero_connector.services.turn_done import TurnDone

_MAY_HAVE_ENDED = frozenset({Status.DISCONNECTING, Status.DISCONNECTED})


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class DisconnectCredential:
    """Ends a credential in turns; each step may be repeated, so the sweep finishes what was cut off."""

    registry: Registry
    vault: Vault
    end_grants: EndGrants
    hold_lease: HoldLease
    find_credential: FindCredential
    clock: Clock
    deadline: Deadline
    observer: Observer

    def __call__(self, client_id: str, *, by: str) -> Credential:
        """Disconnect for an admin: `disconnected`, or `disconnecting` where the schedule has to go on.

        Raises `NotFound`, and `Conflict` while another holder works on the credential.
        """
        credential = self.find_credential(client_id)
        if credential.status is Status.DISCONNECTED:
            return credential
        try:
            with self.hold_lease.waiting(credential, patience=PATIENCE) as lease:
                # As it stands now: another request may have ended it while this one waited.
                if lease.credential.status is Status.DISCONNECTED:
                    return lease.give_back()
                return self._go_on(lease, by=by, longest=LONGEST_TURN).credential
        except LeaseUnavailable as busy:
            raise Conflict(busy.detail, code=busy.code, hint=busy.hint) from busy

    def resume(self, credential: Credential) -> TurnDone:
        """Go on with a credential that is `disconnecting`; raises `LeaseUnavailable`."""
        with self.hold_lease(credential) as lease:
            return self._go_on(lease, by=CONNECTOR, longest=LONGEST_SCHEDULED_TURN)

    def _go_on(self, lease: HeldLease, *, by: str, longest: timedelta) -> TurnDone:
        # A turn that fails between its writes leaves the lease to expire: the next one sees that it was cut off.
        lease.unsettled = True
        now = self.clock()
        turn = DisconnectTurn(
            lease,
            self.clock,
            ends_at=min(self.deadline(), now + longest),
            ending=lease.credential.ending
            or Ending(since=now, suspected=disconnecting.seems_dead(lease.credential)),
        )
        try:
            credential = self._work(turn, by=by)
        except (LeaseUnavailable, RevisionConflict):
            credential = self._overtaken(turn)
        return TurnDone(credential, turn.answered)

    def _work(self, turn: DisconnectTurn, *, by: str) -> Credential:
        lease = turn.lease
        if lease.credential.status is not Status.DISCONNECTING:
            turn.save(lambda credential, _: disconnecting.begun(credential, before=lease.before, by=by))
        if not turn.ending.grants_done:
            try:
                self.end_grants(turn)
            except PostponedError as postponed:
                if postponed.code is not None or not turn.given_up:
                    return self._later(turn, postponed)
                turn.leave(GRANT_NOT_CONFIRMED, "For three days no turn was long enough to end a grant.")
            turn.ending = replace(turn.ending, grants_done=True)
        if not turn.has_time_for(TIME_TO_DELETE_SECRETS):
            return self._later(turn, PostponedError())
        # A holder that was overtaken stops here, before it touches the secrets.
        turn.save(
            lambda credential, now: disconnecting.grants_done(credential).leased(
                lease.owner, now=now, duration=LEASE
            )
        )
        turn.deleting = True
        return self._delete_secrets(turn)

    def _delete_secrets(self, turn: DisconnectTurn) -> Credential:
        client_id = turn.credential.client_id
        try:
            self._delete(turn, lambda: self.vault.delete_tokens(client_id))
            self._delete(turn, lambda: self.vault.delete_client_pair(client_id))
        except PostponedError as postponed:
            return self._later(turn, postponed)
        ended = turn.lease.end(lambda credential, now: disconnecting.ended(credential, turn.ending, now))
        code = None if ended.last_error is None else ended.last_error.code
        self.observer.count("CredentialDisconnected")
        self.observer.event("credential_disconnected", client_id=client_id, leftover=code)
        return ended

    @staticmethod
    def _delete(turn: DisconnectTurn, delete: Callable[[], None]) -> None:
        try:
            delete()
        except StoreUnavailable as trouble:
            if not turn.given_up:
                raise PostponedError(trouble.code, trouble.detail) from trouble
            turn.leave(
                SECRETS_NOT_DELETED, "Secrets Manager did not take the deletion: delete the secrets by hand."
            )

    def _overtaken(self, turn: DisconnectTurn) -> Credential:
        """Make good what this turn did to the secrets after its lease was lost; raises `LeaseUnavailable`.

        If the client ID was submitted again meanwhile, the secrets are another life's: they are brought back.
        """
        credential = self.registry.get(turn.credential.client_id)
        if credential is None:
            raise LeaseUnavailable(turn.credential.client_id)
        another_life = credential.incarnation != turn.credential.incarnation
        if credential.status is Status.DISCONNECTED and turn.restored:
            self.vault.delete_tokens(credential.client_id)
            self.vault.delete_client_pair(credential.client_id)
        if credential.status is Status.DISCONNECTED and not another_life:
            return credential
        if another_life and turn.deleting and credential.status not in _MAY_HAVE_ENDED:
            self.observer.count("SecretRestored")
            self.observer.warning("late_deletion_undone", client_id=credential.client_id)
            self.vault.restore_client_pair(credential.client_id)
            if (
                credential.generation > 0
                or credential.lease is not None
                or credential.attempt_started_at is not None
            ):
                self.vault.restore_tokens(credential.client_id)
        raise LeaseUnavailable(turn.credential.client_id)

    def _later(self, turn: DisconnectTurn, postponed: PostponedError) -> Credential:
        self.observer.event("disconnect_postponed", client_id=turn.credential.client_id, failure=postponed.code)

        def waiting(credential: Credential, now: datetime) -> Credential:
            if postponed.code is None:
                return credential.released(due_at=now, attempt_finished=not turn.unfinished, now=now)
            pause = pause_before_next(
                0 if postponed.unreadable_since else credential.failures,
                retry_after=postponed.retry_after,
                unfinished_since=turn.unfinished_since,
                now=now,
            )
            noted = disconnecting.postponed(
                credential,
                code=postponed.code,
                detail=postponed.detail,
                unreadable_since=postponed.unreadable_since,
                client_refused=postponed.client_refused,
                now=now,
            )
            return noted.released(due_at=now + pause, attempt_finished=not turn.unfinished, now=now)

        return turn.end(waiting)
