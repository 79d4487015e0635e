"""How Xero rotates refresh tokens: a refresh gives a new one, and the one before is good for 30 minutes more."""

import threading
import time
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import override

GRACE = timedelta(minutes=30)


class InvalidGrantError(Exception):
    """Xero does not accept the refresh token."""

    @override
    def __str__(self) -> str:
        return "invalid_grant"


class Rotation:
    """Who has which refresh token; a token that was never presented before is taken for a new consent's.

    A replay within the grace gives another successor, and the first one dies: the harder of the two worlds, for
    nobody knows which of them Xero is.
    """

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._ahead = timedelta()
        self._lock = threading.Lock()
        self._current: dict[str, str] = {}
        self._presented_at: dict[str, dict[str, datetime]] = {}
        self.received: Counter[str] = Counter()
        self.in_flight = 0

    def _now(self) -> datetime:
        return self._clock() + self._ahead

    def advance(self, minutes: float) -> None:
        """Let time pass for Xero."""
        self._ahead += timedelta(minutes=minutes)

    def accepts(self, client_id: str, refresh_token: str) -> bool:
        """Whether a refresh with this token would succeed now."""
        current = self._current.get(client_id)
        if current is None or current == refresh_token:
            return True
        presented_at = self._presented_at[client_id].get(refresh_token)
        return presented_at is not None and self._now() < presented_at + GRACE

    def rotate(self, client_id: str, refresh_token: str, successor: str) -> None:
        """Give a successor, or raise `InvalidGrantError`."""
        with self._lock:
            if not self.accepts(client_id, refresh_token):
                raise InvalidGrantError
            self._presented_at.setdefault(client_id, {}).setdefault(refresh_token, self._now())
            self._current[client_id] = successor

    def answer(self, client_id: str, refresh_token: str, successor: str, *, seconds: float) -> None:
        """Rotate in the middle of the time that an answer takes: half of it is the way here, half the way back."""
        with self._lock:
            self.received[client_id] += 1
            self.in_flight += 1
        try:
            time.sleep(seconds / 2)
            self.rotate(client_id, refresh_token, successor)
            time.sleep(seconds / 2)
        finally:
            with self._lock:
                self.in_flight -= 1

    def copy(self) -> "Rotation":
        """Return another that goes on from here."""
        twin = Rotation(self._clock)
        twin._ahead = self._ahead
        twin._current = dict(self._current)
        twin._presented_at = {name: dict(seen) for name, seen in self._presented_at.items()}
        return twin
