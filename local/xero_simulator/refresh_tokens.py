"""Refresh tokens: families, rotation, and the grace in which a used one may be presented again."""

import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from local.xero_simulator.users import Session

GRACE = timedelta(minutes=30)
UNUSED_LIFETIME = timedelta(days=60)


@dataclass(frozen=True, slots=True)
class Grant:
    """What one consent gave to one app; a Custom connection's grant has no person behind it."""

    client_id: str
    scope: tuple[str, ...]
    session: Session | None = None
    auth_event_id: str | None = None


@dataclass(slots=True)
class _RefreshToken:
    value: str = field(repr=False)
    issued_at: datetime
    first_used_at: datetime | None = None
    successors: list["_RefreshToken"] = field(default_factory=list)

    def is_dead(self, now: datetime) -> bool:
        if now > self.issued_at + UNUSED_LIFETIME:
            return True
        return self.first_used_at is not None and now > self.first_used_at + GRACE


@dataclass(slots=True)
class _Family:
    grant: Grant
    tokens: dict[str, _RefreshToken] = field(default_factory=dict, repr=False)


class UnknownRefreshTokenError(Exception):
    """The token never existed, belongs to another app, or is expired, revoked or used past its grace."""


class RefreshTokens:
    """Every live refresh token; callers bring their own lock.

    The grace starts with the *first* use and is not prolonged by a replay. Using a successor does not end it:
    Xero promises 30 minutes and says nothing about ending them early. A replay after the grace is answered
    with an error and does no further harm, as in IdentityServer.
    """

    def __init__(self) -> None:
        self._families: dict[str, _Family] = {}

    def start_family(self, grant: Grant, now: datetime) -> str:
        """Issue the first refresh token of a consent."""
        return self._issue(_Family(grant), now).value

    def rotate(
        self, value: str, *, client_id: str, now: datetime, first_successor_survives: bool
    ) -> tuple[Grant, str]:
        """Use a token: return its grant and a new token, or raise `UnknownRefreshTokenError`.

        In the world where the first successor does not survive, a replay kills all that came of the token
        before: every earlier successor and whatever those were exchanged for.
        """
        family = self._families.get(value)
        if family is None or family.grant.client_id != client_id:
            raise UnknownRefreshTokenError
        for dead in [token for token in family.tokens.values() if token.is_dead(now)]:
            self._forget(family, dead)
        token = family.tokens.get(value)
        if token is None:
            raise UnknownRefreshTokenError
        if token.first_used_at is None:
            token.first_used_at = now
        elif not first_successor_survives:
            self._forget_successors(family, token)
        successor = self._issue(family, now)
        token.successors.append(successor)
        return family.grant, successor.value

    def grant_of(self, value: str) -> Grant | None:
        """Return the grant behind a token that has not been forgotten."""
        family = self._families.get(value)
        return family.grant if family else None

    def revoke(self, *, client_id: str, user_id: str) -> None:
        """Forget every token of this user for this app."""
        for value, family in list(self._families.items()):
            session = family.grant.session
            if family.grant.client_id == client_id and session is not None and session.user.user_id == user_id:
                del self._families[value]

    def _issue(self, family: _Family, now: datetime) -> _RefreshToken:
        token = _RefreshToken(secrets.token_urlsafe(32), now)
        family.tokens[token.value] = token
        self._families[token.value] = family
        return token

    def _forget(self, family: _Family, token: _RefreshToken) -> None:
        # A successor may be gone already: dead ones are forgotten while their parents still refer to them.
        family.tokens.pop(token.value, None)
        self._families.pop(token.value, None)

    def _forget_successors(self, family: _Family, token: _RefreshToken) -> None:
        # A loop, since a chain of refreshes may be longer than Python's stack is deep.
        pending = list(token.successors)
        token.successors.clear()
        while pending:
            successor = pending.pop()
            pending.extend(successor.successors)
            self._forget(family, successor)
