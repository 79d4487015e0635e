"""One turn of a disconnect: what it may take, and how far it has come."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from xero_connector.domain.credential import Credential
from xero_connector.domain.ending import GRANT_NOT_CONFIRMED, Ending, Leftover
from xero_connector.domain.errors import ConnectorError
from xero_connector.domain.ports import Clock
from xero_connector.domain.rejection import is_refusal_sure
from xero_connector.domain.time_budget import POST_BUDGET
from xero_connector.services.hold_lease import Change, HeldLease


class PostponedError(Exception):
    """The turn ends here, and another goes on.

    `code` and `detail` say what stands in the way, None where only the time is up. `retry_after` is in seconds.
    `client_refused` tells that Xero refused the pair.
    """

    def __init__(
        self,
        code: str | None = None,
        detail: str = "",
        *,
        retry_after: int | None = None,
        unreadable_since: datetime | None = None,
        client_refused: bool = False,
    ) -> None:
        super().__init__(code)
        self.code = code
        self.detail = detail
        self.retry_after = retry_after
        self.unreadable_since = unreadable_since
        self.client_refused = client_refused


@dataclass(slots=True, eq=False, repr=False)
class DisconnectTurn:
    """The lease, the end of the turn, and what goes into the credential with its next write.

    `answered` is True after an answer of Xero, False after an outage of its token endpoint, None before either.
    `restored` tells that a secret was brought back in this turn, `deleting` that the deletion has begun.
    """

    lease: HeldLease
    clock: Clock
    ends_at: datetime
    ending: Ending
    answered: bool | None = None
    restored: bool = False
    deleting: bool = False

    @property
    def credential(self) -> Credential:
        """The credential as it was last written."""
        return self.lease.credential

    @property
    def unfinished(self) -> bool:
        """Whether a refresh token may be rotated unseen: from before the disconnect, or by a turn cut off."""
        started_at = self.credential.attempt_started_at
        return started_at is not None and (started_at <= self.ending.since or self.lease.unfinished)

    @property
    def unfinished_since(self) -> datetime | None:
        """Since when the newest refresh token may be rotated unseen, None if it is not."""
        lost = (self.credential.attempt_started_at if self.unfinished else None, self.ending.exchange_lost_at)
        return min((moment for moment in lost if moment is not None), default=None)

    @property
    def is_refusal_sure(self) -> bool:
        """Whether Xero has refused the pair often and for long enough."""
        return is_refusal_sure(self.credential, self.clock()) or self.given_up

    def pair_is_good(self) -> None:
        """Take back earlier refusals: Xero looks at the client first, and it accepted the pair."""
        self.answered = True
        self.lease.credential = replace(self.lease.credential, refused_since=None, refusals=0)

    @property
    def given_up(self) -> bool:
        """Whether the disconnect has gone on for too long to be postponed once more."""
        return self.ending.given_up(self.clock())

    def has_time_for(self, needed: timedelta) -> bool:
        """Whether so much of the turn is left."""
        return self.ends_at - self.clock() >= needed

    def spare(self, needed: timedelta) -> None:
        """Have so much of the turn left, or raise `PostponedError`; and a lease that lasts for one POST."""
        if not self.has_time_for(needed):
            raise PostponedError
        self.lease.ensure(POST_BUDGET)

    def save(self, change: Change) -> Credential:
        """Write a change together with how far the disconnect has come."""
        return self.lease.save(lambda credential, now: change(replace(credential, ending=self.ending), now))

    def end(self, change: Change) -> Credential:
        """Give the lease back with a change, and how far the disconnect has come."""
        return self.lease.end(lambda credential, now: change(replace(credential, ending=self.ending), now))

    def leave(self, code: str, detail: str) -> None:
        """Note something that could not be ended."""
        self.ending = self.ending.leaving(Leftover(code, detail))

    def postpone_or_leave(
        self, failure: ConnectorError, *, retry_after: int | None = None, exchange_lost: bool = False
    ) -> None:
        """Try again in another turn, by raising `PostponedError`; after days of that, note what is left.

        `exchange_lost` tells that a refresh token was presented, and may have a successor that was never seen.
        """
        if exchange_lost and self.ending.exchange_lost_at is None:
            self.ending = replace(self.ending, exchange_lost_at=self.clock())
        if not self.given_up:
            raise PostponedError(failure.code, failure.detail, retry_after=retry_after)
        self.leave(GRANT_NOT_CONFIRMED, f"{failure.detail} For three days a grant could not be ended.")
