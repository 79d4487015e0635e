"""How far a disconnect has come, how long it goes on, and how it says what it could not end."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from xero_connector.domain.refresh_policy import A_MINUTE, GRACE, LONGEST_PAUSE, doubled
from xero_connector.domain.tenant import Tenant

GIVE_UP_AFTER = timedelta(days=3)
"""An outage of Xero that lasts a day, or a weekend, must not leave a grant behind; nothing goes on for ever."""

GRANT_REMAINS = "grant_remains"
"""Xero still lists connections after the grant was revoked."""
GRANT_NOT_CONFIRMED = "grant_not_confirmed"
"""Nothing proves that a grant is ended, or that nothing of it is listed any more."""
SECRET_MISSING = "secret_missing"  # noqa: S105 - the name of an error
"""What it takes to end a grant is gone from the vault."""
SECRETS_NOT_DELETED = "secrets_not_deleted"
"""The vault did not take the deletion."""

ADVICE = (
    "The Xero user who gave the consent removes what is left in Xero: Settings, Connected apps, Disconnect. "
    "An unused grant dies after 60 days."
)
_MOST_NAMED = 5


@dataclass(frozen=True, slots=True)
class Leftover:
    """Something that a disconnect could not end, under a stable code; `detail` is a sentence for people."""

    code: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How far a disconnect has come.

    `exchanged` and `revoked` are about the grants of the user whose turn it is: their refresh token was exchanged
    for a living one, which waits sealed in the credential; Xero took its revocation. `suspected` tells that Xero
    called that token dead once. `exchange_lost_at` is when an exchange of it was answered by nothing definite: its
    successor may be unseen. `grants_done` tells that only the secrets are left to be deleted. `leftovers` are told
    when the credential has ended.
    """

    since: datetime
    exchanged: bool = False
    revoked: bool = False
    suspected: bool = False
    exchange_lost_at: datetime | None = None
    grants_done: bool = False
    leftovers: tuple[Leftover, ...] = ()

    def given_up(self, now: datetime) -> bool:
        """Whether it has gone on for so long that it ends with what could not be done."""
        return now - self.since >= GIVE_UP_AFTER

    def leaving(self, leftover: Leftover) -> "Ending":
        """Remember something that could not be ended, once."""
        return self if leftover in self.leftovers else replace(self, leftovers=(*self.leftovers, leftover))

    def next_user(self) -> "Ending":
        """Go on with the grants of the next user."""
        return replace(self, exchanged=False, revoked=False, suspected=False, exchange_lost_at=None)

    @property
    def leftover(self) -> Leftover | None:
        """All that could not be ended as one, with what to do; None if nothing is left."""
        if not self.leftovers:
            return None
        codes = [one.code for one in self.leftovers]
        details = dict.fromkeys(one.detail for one in self.leftovers)
        advice = [] if set(codes) == {SECRETS_NOT_DELETED} else [ADVICE]
        return Leftover(
            code=GRANT_REMAINS if GRANT_REMAINS in codes else codes[0], detail=" ".join([*details, *advice])
        )


def still_listed(tenants: Sequence[Tenant]) -> Leftover:
    """Say which organisations are still connected."""
    names = ", ".join(tenant.tenant_name for tenant in tenants[:_MOST_NAMED])
    more = f" and {len(tenants) - _MOST_NAMED} more" if len(tenants) > _MOST_NAMED else ""
    return Leftover(GRANT_REMAINS, f"Xero still lists connections to this app: {names}{more}.")


def pause_before_next(
    failures: int, *, retry_after: int | None, unfinished_since: datetime | None, now: datetime
) -> timedelta:
    """Return how long to wait after the `failures`-th failure; `retry_after` (seconds) is a lower bound.

    While a refresh token may be rotated unseen (`unfinished_since`), there is room for several tries in its grace.
    """
    pause = doubled(A_MINUTE, failures + 1, longest=LONGEST_PAUSE)
    if retry_after is not None:
        pause = max(pause, min(timedelta(seconds=retry_after), LONGEST_PAUSE))
    if unfinished_since is not None and now < unfinished_since + GRACE:
        pause = min(pause, (unfinished_since + GRACE - now) / 4)
    return max(pause, A_MINUTE)
