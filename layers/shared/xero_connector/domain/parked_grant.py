"""Refresh tokens that wait in the registry, sealed: what the vault did not take, and what was replaced."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

REFRESH_TOKEN_LIFETIME = timedelta(days=60)
"""Unused for this long, a refresh token is dead (Xero, "Token types")."""
MOST_EARLIER_GRANTS = 20
"""In a row."""
_MOST_OF_ONE_USER = 2
"""Where there are too many: revoking one refresh token ends all of a user's connections to the app."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ParkedGrant:
    """A refresh token that waits in the registry: the vault did not take it, or another grant took its place.

    `sealed` is encrypted under the vault's key, and empty where the token could not be read any more. `consent` is
    the authorization request that brought it (the hash of its state), None where it was refreshed. `xero_user_id`
    is the user of its grant, None where that is not known. `scopes` are those that Xero granted with it.
    """

    sealed: str = field(repr=False)
    obtained_at: datetime
    consent: str | None = None
    xero_user_id: str | None = None
    scopes: tuple[str, ...] = ()


def within_limit(grants: Sequence[ParkedGrant], now: datetime) -> tuple[ParkedGrant, ...]:
    """Leave out what is dead, then older grants of the same user, then the oldest: those leave a mark.

    The mark is an entry without a token, so that a disconnect says that something could not be ended.
    """
    alive = [grant for grant in grants if grant.obtained_at + REFRESH_TOKEN_LIFETIME > now]
    if len(alive) <= MOST_EARLIER_GRANTS:
        return tuple(alive)
    newest: list[ParkedGrant] = []
    users: Counter[str] = Counter()
    for grant in reversed(alive):
        if grant.xero_user_id is None or not grant.sealed or users[grant.xero_user_id] < _MOST_OF_ONE_USER:
            newest.insert(0, grant)
        if grant.xero_user_id is not None and grant.sealed:
            users[grant.xero_user_id] += 1
    if len(newest) <= MOST_EARLIER_GRANTS:
        return tuple(newest)
    dropped = newest[: 1 - MOST_EARLIER_GRANTS]
    mark = ParkedGrant(sealed="", obtained_at=max(grant.obtained_at for grant in dropped))
    return (mark, *newest[1 - MOST_EARLIER_GRANTS :])
