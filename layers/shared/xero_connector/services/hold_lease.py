"""Working on a credential alone: every write under a lease is fenced by its owner and by the generation."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from types import TracebackType
from typing import Self

from xero_connector.domain.credential import Credential
from xero_connector.domain.errors import LeaseUnavailable, RevisionConflict, StoreUnavailable
from xero_connector.domain.ports import Clock, Deadline, LeaseHolder, Pause, Registry
from xero_connector.domain.refresh_policy import LEASE
from xero_connector.domain.status import FINAL
from xero_connector.domain.time_budget import TIME_FOR_ANOTHER_CALL

type Change = Callable[[Credential, datetime], Credential]
"""Returns a credential as it is to be written, given the credential as it stands and the time."""

_MOST_CONFLICTS = 5
_WAIT_BETWEEN_TRIES = 0.5
"""Seconds."""


def unchanged(credential: Credential, _: datetime) -> Credential:
    """Leave a credential as it is."""
    return credential


@dataclass(slots=True, eq=False, repr=False)
class HeldLease:
    """A lease that was taken, and the credential as its holder last wrote it.

    `with` it, a turn ends where the block ends. The last write of a turn is an `end`: it gives the lease back
    together with what came of the turn. A block that writes no `end` gives the lease back as if it had never been
    taken, with two exceptions. While something is `unsettled`, an error leaves the lease to expire: the credential
    then still tells that work was cut off. And a process that dies gives nothing back.

    `before` is the credential as it was before the lease: its attempt tells whether earlier work was cut off, and
    its due time is what to go back to when nothing came of this one. `unsettled` is set before something is done
    outside whose outcome only an `end` can tell.
    """

    registry: Registry
    clock: Clock
    deadline: Deadline
    before: Credential
    credential: Credential
    owner: str
    unsettled: bool = False
    _ended: bool = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        dies = error is not None and not isinstance(error, Exception)
        if dies or self._ended or self.unsettled:
            return
        if self.deadline() - self.clock() >= TIME_FOR_ANOTHER_CALL:
            # What the registry does not take is not tried again: the lease ends after a minute.
            with suppress(LeaseUnavailable, RevisionConflict, StoreUnavailable):
                self.give_back()

    @property
    def unfinished(self) -> bool:
        """Whether an earlier attempt ended without telling its outcome."""
        return self.before.attempt_started_at is not None

    def ensure(self, needed: timedelta) -> None:
        """Have at least this much of the lease left, or raise `LeaseUnavailable` if it was taken over."""
        if self.credential.lease is None or self.credential.lease.until - self.clock() < needed:
            self.renew()

    def renew(self) -> None:
        """Start the lease's time anew, or raise `LeaseUnavailable` if it was taken over."""
        self.save(lambda credential, now: credential.leased(self.owner, now=now, duration=LEASE))

    def save(self, change: Change) -> Credential:
        """Write a change, or raise `LeaseUnavailable` if the lease was taken over.

        A write that lost against one that needs no lease (a label, a check) is made again on the new credential.
        """
        for _ in range(_MOST_CONFLICTS):
            try:
                now = self.clock()
                self.credential = self.registry.save(replace(change(self.credential, now), updated_at=now))
            except RevisionConflict as conflict:
                self._reread(conflict)
            else:
                return self.credential
        raise RevisionConflict(self.credential.client_id)

    def end(self, change: Change) -> Credential:
        """Write a change that gives the lease back; it may be tried again where the registry did not take it."""
        self._ended = True
        return self.save(lambda credential, now: _given_back(change(credential, now)))

    def keep(self, change: Change) -> Credential:
        """Write a change that would give the lease back, and keep the lease: from here on it was `before`."""
        before = self.before

        def kept(credential: Credential, now: datetime) -> Credential:
            nonlocal before
            before = _given_back(change(credential.looking_for(self.before), now))
            return before.leased(self.owner, now=now, duration=LEASE, consenting=credential.consenting)

        saved = self.save(kept)
        self.before = before
        return saved

    def give_back(self, change: Change = unchanged) -> Credential:
        """End a lease under which nothing else than `change` came to be; earlier unfinished work stays.

        A due time that another writer set while the lease ran is kept, if it is the sooner one.
        """
        return self.end(lambda credential, now: self._as_before(change(credential, now), now))

    def _as_before(self, credential: Credential, now: datetime) -> Credential:
        before = self.before
        ours = credential.lease is not None and credential.due_at == credential.lease.until
        due_times = [
            moment for moment in (before.due_at, None if ours else credential.due_at) if moment is not None
        ]
        return credential.released(
            due_at=min(due_times, default=None), attempt_finished=before.attempt_started_at is None, now=now
        ).looking_for(before)

    def save_late(self, change: Change) -> Credential | None:
        """Write a change that needs no lease, after it was lost; None if this life of the credential has ended."""
        for _ in range(_MOST_CONFLICTS):
            present = self.registry.get(self.credential.client_id)
            ended = (
                present is None or present.incarnation != self.credential.incarnation or present.status in FINAL
            )
            if present is None or ended or (present.ending is not None and present.ending.grants_done):
                return None
            try:
                now = self.clock()
                return self.registry.save(replace(change(present, now), updated_at=now))
            except RevisionConflict:
                continue
        return None

    def _reread(self, conflict: RevisionConflict) -> None:
        present = self.registry.get(self.credential.client_id)
        if (
            present is None
            or present.incarnation != self.credential.incarnation
            or present.generation != self.credential.generation
            or present.lease is None
            or present.lease.owner != self.owner
        ):
            self._ended = True
            raise LeaseUnavailable(self.credential.client_id) from conflict
        self.credential = present


def _given_back(credential: Credential) -> Credential:
    if credential.lease is not None:
        raise AssertionError("the last write of a turn has to give the lease back")
    return credential


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class HoldLease:
    """Takes the lease of a credential."""

    registry: Registry
    clock: Clock
    deadline: Deadline
    pause: Pause
    lease_holder: LeaseHolder

    def __call__(self, credential: Credential, *, consenting: str | None = None) -> HeldLease:
        """Take the lease of a credential that was just read; raises `LeaseUnavailable`.

        `consenting` is the hash of the state of the authorization request that it is taken for, if any.
        """
        owner = self.lease_holder()
        leased = credential.leased(owner, now=self.clock(), duration=LEASE, consenting=consenting)
        try:
            saved = self.registry.save(leased)
        except RevisionConflict as conflict:
            raise LeaseUnavailable(credential.client_id) from conflict
        return HeldLease(self.registry, self.clock, self.deadline, credential, saved, owner)

    def waiting(self, credential: Credential, *, patience: timedelta, consenting: str | None = None) -> HeldLease:
        """Take the lease, waiting for its holder for a while; raises `LeaseUnavailable`."""
        give_up_at = self.clock() + patience
        while True:
            try:
                return self(credential, consenting=consenting)
            except LeaseUnavailable:
                if self.clock() >= give_up_at:
                    raise
            self.pause(_WAIT_BETWEEN_TRIES)
            present = self.registry.get(credential.client_id)
            if present is None or present.incarnation != credential.incarnation:
                raise LeaseUnavailable(credential.client_id)
            credential = present
