"""Space the refreshes of a sweep, so that each answer of Xero finds the vault able to take it."""

import threading
from datetime import datetime, timedelta

from xero_connector.domain.ports import Clock, Pause


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
            place = now if self._free_at is None else max(now, self._free_at)
            self._free_at = place + self._interval
        if place > now:
            self._pause((place - now).total_seconds())
