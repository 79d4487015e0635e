"""Working on a credential alone: every write under a lease is fenced by its owner and by the generation."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from xero_connector.domain.credential import Credential
from xero_connector.domain.errors import LeaseUnavailable, RevisionConflict, StoreUnavailable
from xero_connector.domain.ports import Clock, LeaseHolder, Pause, Registry
from xero_connector.domain.refresh_policy import LEASE
from xero_connector.domain.status import FINAL

type Change = Callable[[Credential, datetime], Credential]
"""Returns a row as it is to be written, given the row as it stands and the time."""

_MOST_CONFLICTS = 5
_WAIT_BETWEEN_TRIES = 0.5
"""Seconds."""


def unchanged(row: Credential, _: datetime) -> Credential:
    """Leave a row as it is."""
    return row


@dataclass(slots=True)
class HeldLease:
    """A lease that was taken, and the row as its holder last wrote it.

    `before` is the row as it was before the lease: its attempt tells whether earlier work was cut off, and its
    due time is what to go back to when nothing came of this one.
    """

    registry: Registry
    clock: Clock
    before: Credential
    row: Credential
    owner: str

    @property
    def unfinished(self) -> bool:
        """Whether an earlier attempt ended without telling its outcome."""
        return self.before.attempt_started_at is not None

    def ensure(self, needed: timedelta) -> None:
        """Have at least this much of the lease left, or raise `LeaseUnavailable` if it was taken over."""
        if self.row.lease is None or self.row.lease.until - self.clock() < needed:
            self.renew()

    def renew(self) -> None:
        """Start the lease's time anew, or raise `LeaseUnavailable` if it was taken over."""
        self.save(lambda row, now: row.leased(self.owner, now=now, duration=LEASE))

    def give_back(self, change: Change = unchanged) -> Credential:
        """Release a lease under which nothing else than `change` came to be; earlier unfinished work stays.

        A due time that another writer set while the lease ran is kept, if it is the sooner one.
        """
        return self.save(lambda row, now: self._as_before(change(row, now), now))

    def give_back_if_possible(self, change: Change = unchanged) -> bool:
        """Release the lease; False where the registry cannot be reached either: it then ends after a minute."""
        try:
            self.give_back(change)
        except (LeaseUnavailable, RevisionConflict, StoreUnavailable):
            return False
        return True

    def _as_before(self, row: Credential, now: datetime) -> Credential:
        before = self.before
        ours = row.lease is not None and row.due_at == row.lease.until
        due_times = [moment for moment in (before.due_at, None if ours else row.due_at) if moment is not None]
        return row.released(
            due_at=min(due_times, default=None), attempt_finished=before.attempt_started_at is None, now=now
        ).looking_for(before)

    def save(self, change: Change) -> Credential:
        """Write a change, or raise `LeaseUnavailable` if the lease was taken over.

        A write that lost against one that needs no lease (a label, a check) is made again on the new row.
        """
        for _ in range(_MOST_CONFLICTS):
            try:
                now = self.clock()
                self.row = self.registry.save(replace(change(self.row, now), updated_at=now))
            except RevisionConflict:
                self._reread()
            else:
                return self.row
        raise RevisionConflict(self.row.client_id)

    def save_late(self, change: Change) -> Credential | None:
        """Write a change that needs no lease, after it was lost; None if this life of the credential has ended."""
        for _ in range(_MOST_CONFLICTS):
            row = self.registry.get(self.row.client_id)
            ended = row is None or row.incarnation != self.row.incarnation or row.status in FINAL
            if row is None or ended or (row.ending is not None and row.ending.grants_done):
                return None
            try:
                now = self.clock()
                return self.registry.save(replace(change(row, now), updated_at=now))
            except RevisionConflict:
                continue
        return None

    def _reread(self) -> None:
        row = self.registry.get(self.row.client_id)
        if (
            row is None
            or row.incarnation != self.row.incarnation
            or row.generation != self.row.generation
            or row.lease is None
            or row.lease.owner != self.owner
        ):
            raise LeaseUnavailable(self.row.client_id) from None
        self.row = row


@dataclass(frozen=True, slots=True)
class HoldLease:
    """Takes the lease of a credential."""

    registry: Registry
    clock: Clock
    pause: Pause
    lease_holder: LeaseHolder

    def __call__(self, row: Credential, *, consenting: str | None = None) -> HeldLease:
        """Take the lease of a row that was just read; raises `LeaseUnavailable`.

        `consenting` is the hash of the state of the authorization request that it is taken for, if any.
        """
        owner = self.lease_holder()
        leased = row.leased(owner, now=self.clock(), duration=LEASE, consenting=consenting)
        try:
            saved = self.registry.save(leased)
        except RevisionConflict:
            raise LeaseUnavailable(row.client_id) from None
        return HeldLease(self.registry, self.clock, before=row, row=saved, owner=owner)

    def waiting(self, row: Credential, *, patience: timedelta, consenting: str | None = None) -> HeldLease:
        """Take the lease, waiting for its holder for a while; raises `LeaseUnavailable`."""
        give_up_at = self.clock() + patience
        while True:
            try:
                return self(row, consenting=consenting)
            except LeaseUnavailable:
                if self.clock() >= give_up_at:
                    raise
            self.pause(_WAIT_BETWEEN_TRIES)
            fresh = self.registry.get(row.client_id)
            if fresh is None or fresh.incarnation != row.incarnation:
                raise LeaseUnavailable(row.client_id)
            row = fresh
