from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from threading import Lock

type Now = Callable[[], datetime]


def utc_now() -> datetime:
    """Tell the real time, aware and in UTC."""
    return datetime.now(UTC)


class SimulatorClock:
    """Xero's time: the time of `base`, moved ahead by as much as a test asks for."""

    def __init__(self, base: Now = utc_now) -> None:
        self._base = base
        self._ahead = timedelta(0)
        self._lock = Lock()

    def __call__(self) -> datetime:
        return self._base() + self._ahead

    def advance(self, step: timedelta) -> datetime:
        """Move Xero's time ahead and return it; time never goes back."""
        if step < timedelta(0):
            raise ValueError("time does not go back")
        with self._lock:
            self._ahead += step
        return self()

    def reset(self) -> None:
        """Return to the time of `base`."""
        with self._lock:
            self._ahead = timedelta(0)
