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
POST_BUDGET = timedelta(seconds=20)
"""A POST ends within 10 s, with room for a slow machine: none starts with less of the lease left."""
LONGEST_ANSWER = timedelta(seconds=10)
"""What a POST may take where there is time enough."""
LEAST_FOR_AN_ANSWER = timedelta(seconds=3)
"""With less of it, nothing is presented."""
TIME_TO_STORE = timedelta(seconds=9)
"""What has to be left of an invocation after Xero's answer, for the vault and the registry."""
GRACE = timedelta(minutes=30)
"""How long Xero accepts the old refresh token after a lost response."""
VISIBLE_WITHIN = timedelta(minutes=15)
"""What cannot be read after this time is gone: Secrets Manager is eventually consistent, but not for so long."""
LOOK_AGAIN_AFTER = timedelta(minutes=1)
PROMISED_LEFT = timedelta(minutes=5)
"""What is left of the access token that a reader finds, in normal running."""
TENANTS_RECHECK = timedelta(hours=6)
"""How often a refresh also looks whether the grant still reaches the same organisations."""

# The jitter only ever makes it earlier: what is left for readers when Xero is in trouble is not for sale.
_JITTER = 0.1
_SOONEST = timedelta(minutes=1)


def time_to_ask(left: timedelta) -> timedelta | None:
    """How long a POST may take in an invocation with so much time left; None if it must not be made any more."""
    within = left - TIME_TO_STORE
    return min(within, LONGEST_ANSWER) if within >= LEAST_FOR_AN_ANSWER else None


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


_A_MINUTE = timedelta(minutes=1)
_FIVE_MINUTES = timedelta(minutes=5)
# Xero's own Retry-After may be longer; `retry_at` shortens it where the token may be rotated.
_LONGEST_RETRY_AFTER = timedelta(minutes=15)
# Within the grace, the sooner the old token is presented again the better, and readers are promised five minutes:
# no pause is long. A storm is what the sweep's brake prevents, for all credentials together.
_WITHIN_GRACE = timedelta(minutes=2)

REACTIONS: Mapping[FailureKind, Reaction] = MappingProxyType(
    {
        FailureKind.NOT_SENT: Reaction(Status.DEGRADED, _A_MINUTE, _WITHIN_GRACE, attempt_finished=True),
        FailureKind.UNANSWERED: Reaction(Status.DEGRADED, _A_MINUTE, _A_MINUTE, attempt_finished=False),
        FailureKind.THROTTLED: Reaction(Status.DEGRADED, _A_MINUTE, _A_MINUTE, attempt_finished=True),
        FailureKind.UNAVAILABLE: Reaction(Status.DEGRADED, _A_MINUTE, _WITHIN_GRACE, attempt_finished=False),
        FailureKind.EDGE_REFUSED: Reaction(Status.DEGRADED, _A_MINUTE, _WITHIN_GRACE, attempt_finished=False),
        FailureKind.UNEXPECTED: Reaction(Status.DEGRADED, _A_MINUTE, _WITHIN_GRACE, attempt_finished=False),
        # The first answer of this kind only raises suspicion; `confirms_dead_grant` decides on the second.
        FailureKind.INVALID_GRANT: Reaction(Status.DEGRADED, _A_MINUTE, _A_MINUTE, attempt_finished=False),
        # A secret that was just made can be refused for minutes; after that only a person can help.
        FailureKind.INVALID_CLIENT: Reaction(
            Status.CLIENT_REJECTED, _FIVE_MINUTES, timedelta(hours=1), attempt_finished=True
        ),
        FailureKind.UNAUTHORIZED_CLIENT: Reaction(
            Status.DEGRADED, _FIVE_MINUTES, timedelta(hours=1), attempt_finished=True
        ),
        FailureKind.INVALID_SCOPE: Reaction(Status.DEGRADED, _A_MINUTE, _WITHIN_GRACE, attempt_finished=False),
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
    pause = min(reaction.first_pause * 2.0 ** min(failures - 1, 10), reaction.longest_pause)
    if retry_after is not None:
        pause = max(pause, timedelta(seconds=min(retry_after, int(_LONGEST_RETRY_AFTER.total_seconds()))))
    if unfinished_since is not None:
        left = unfinished_since + GRACE - now
        pause = min(pause, _FIVE_MINUTES, max(left / 4, _SOONEST))
    return now + max(pause, _SOONEST)


def confirms_dead_grant(kind: FailureKind, *, previous_error: str | None) -> bool:
    """Whether this failure, after the one before, proves that only a new consent helps."""
    return kind is FailureKind.INVALID_GRANT and previous_error == FailureKind.INVALID_GRANT
