"""Space the refreshes of a sweep, so that each answer of Xero finds the vault able to take it."""

import threading
from datetime import datetime, timedelta

from xero_connector.domain.ports import Clock, Pause

_CAUGHT_UP = timedelta(milliseconds=100)
"""Who comes late for a place, because the core was busy, makes up for so much."""


class Pace:
    """Lets at most so many through in a second, whatever the number of threads.

    Secrets Manager takes 50 writes a second in a region. A refresh whose answer cannot be stored has used up its
    token at Xero, and half an hour later the grant is gone: the pace is set before the POST.
    """

    def __init__(self, per_second: int, *, clock: Clock, pause: Pause) -> None:
        self._interval = timedelta(seconds=1) / per_second
        self._clock = clock
        self._pause = pause
        self._lock = threading.Lock()
        self._free_at: datetime | None = None

    def wait(self) -> None:
        """Wait for the next free place."""
        with self._lock:
            now = self._clock()
            place = now if self._free_at is None else max(now - _CAUGHT_UP, self._free_at)
            self._free_at = place + self._interval
        if place > now:
            self._pause((place - now).total_seconds())

    def give_back(self) -> None:
        """Leave one's place to another: there is nothing to be written, or not yet."""
        self._move(-self._interval)

    def take(self) -> None:
        """Take a place without waiting, for what has to be written now: the others wait longer."""
        self._move(self._interval)

    def _move(self, by: timedelta) -> None:
        with self._lock:
            if self._free_at is not None:
                self._free_at = max(self._free_at, self._clock() - _CAUGHT_UP) + by
