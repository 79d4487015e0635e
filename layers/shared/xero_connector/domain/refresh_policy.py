"""When a credential is due, and what a failed refresh leads to: one table, a row for each kind of failure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from types import MappingProxyType

from xero_connector.domain.status import Status
from xero_connector.domain.token_endpoint import FailureKind
from xero_connector.domain.version_allowance import REFILL

LEASE = timedelta(seconds=60)
"""How long a holder works on a credential alone."""
GRACE = timedelta(minutes=30)
"""How long Xero accepts the old refresh token after a lost response."""
VISIBLE_WITHIN = timedelta(minutes=15)
"""What cannot be read after this time is gone: Secrets Manager is eventually consistent, but not for so long."""
PROMISED_LEFT = timedelta(minutes=5)
"""What is left of the access token that a reader finds, in normal running."""
TENANTS_RECHECK = timedelta(hours=6)
"""How often a refresh also looks whether the grant still reaches the same organisations."""

A_MINUTE = timedelta(minutes=1)
LOOK_AGAIN_AFTER = A_MINUTE
LONGEST_PAUSE = timedelta(minutes=15)
"""Also for what Xero asks for with `Retry-After`, and shorter where a refresh token may be rotated unseen."""
RECHECK_REFUSED_PAIR = timedelta(minutes=5)
"""After Xero refused a pair for the first time: it refuses fresh secrets for minutes."""

# The jitter only ever makes it earlier: what is left for readers when Xero is in trouble is not for sale.
_JITTER = 0.1


def doubled(first: timedelta, failures: int, *, longest: timedelta) -> timedelta:
    """Return the pause after the `failures`-th failure in a row: `first`, doubling up to `longest`."""
    return min(first * 2.0 ** min(max(failures - 1, 0), 10), longest)


def next_refresh(client_id: str, *, generation: int, obtained_at: datetime, expires_in: int) -> datetime:
    """Due at two thirds of the access token's life (`expires_in` in seconds), or up to 10 % earlier.

    However short the tokens live, it is never sooner than Secrets Manager takes another version. The jitter is
    hashed from the credential and its generation: no two credentials stay in step, and the same inputs give the
    same moment again.
    """
    digest = sha256(f"{client_id}/{generation}".encode()).digest()
    position = int.from_bytes(digest[:4]) / 2**32
    factor = 1 - _JITTER * position
    return obtained_at + max(timedelta(seconds=expires_in) * (2 / 3) * factor, REFILL)


@dataclass(frozen=True, slots=True)
class Reaction:
    """What follows a failed refresh.

    `first_pause` doubles with each further failure up to `longest_pause`. `attempt_finished` says that the
    refresh token was certainly not rotated. `status` is where a credential with a grant goes.
    """

    status: Status
    first_pause: timedelta
    longest_pause: timedelta
    attempt_finished: bool


_FIVE_MINUTES = timedelta(minutes=5)
# Within the grace, the sooner the old token is presented again the better, and readers are promised five minutes:
# no pause is long. A storm is what the sweep's brake prevents, for all credentials together.
_WITHIN_GRACE = timedelta(minutes=2)

REACTIONS: Mapping[FailureKind, Reaction] = MappingProxyType(
    {
        FailureKind.NOT_SENT: Reaction(Status.DEGRADED, A_MINUTE, _WITHIN_GRACE, attempt_finished=True),
        FailureKind.UNANSWERED: Reaction(Status.DEGRADED, A_MINUTE, A_MINUTE, attempt_finished=False),
        FailureKind.THROTTLED: Reaction(Status.DEGRADED, A_MINUTE, A_MINUTE, attempt_finished=True),
        FailureKind.UNAVAILABLE: Reaction(Status.DEGRADED, A_MINUTE, _WITHIN_GRACE, attempt_finished=False),
        FailureKind.EDGE_REFUSED: Reaction(Status.DEGRADED, A_MINUTE, _WITHIN_GRACE, attempt_finished=False),
        FailureKind.UNEXPECTED: Reaction(Status.DEGRADED, A_MINUTE, _WITHIN_GRACE, attempt_finished=False),
        # The first answer of this kind only raises suspicion; `confirms_dead_grant` decides on the second.
        FailureKind.INVALID_GRANT: Reaction(Status.DEGRADED, A_MINUTE, A_MINUTE, attempt_finished=False),
        # A secret that was just made can be refused for minutes; after that only a person can help.
        FailureKind.INVALID_CLIENT: Reaction(
            Status.CLIENT_REJECTED, RECHECK_REFUSED_PAIR, timedelta(hours=1), attempt_finished=True
        ),
        FailureKind.UNAUTHORIZED_CLIENT: Reaction(
            Status.DEGRADED, _FIVE_MINUTES, timedelta(hours=1), attempt_finished=True
        ),
        FailureKind.INVALID_SCOPE: Reaction(Status.DEGRADED, A_MINUTE, _WITHIN_GRACE, attempt_finished=False),
    }
)


def retry_at(
    kind: FailureKind,
    *,
    failures: int,
    retry_after: int | None,
    now: datetime,
    unfinished_since: datetime | None,
) -> datetime:
    """When to try again after the `failures`-th failure in a row; `retry_after` (seconds) is a lower bound.

    While the outcome of an attempt is unknown (`unfinished_since`), no kind of failure and no `Retry-After` makes
    the pause longer than a quarter of what is left of the grace, so that there is always room for several tries.
    """
    reaction = REACTIONS[kind]
    pause = doubled(reaction.first_pause, failures, longest=reaction.longest_pause)
    if retry_after is not None:
        pause = max(pause, timedelta(seconds=min(retry_after, int(LONGEST_PAUSE.total_seconds()))))
    if unfinished_since is not None:
        left = unfinished_since + GRACE - now
        pause = min(pause, _FIVE_MINUTES, max(left / 4, A_MINUTE))
    return now + max(pause, A_MINUTE)


def confirms_dead_grant(kind: FailureKind, *, previous_error: str | None) -> bool:
    """Whether this failure, after the one before, proves that only a new consent helps."""
    return kind is FailureKind.INVALID_GRANT and previous_error == FailureKind.INVALID_GRANT
