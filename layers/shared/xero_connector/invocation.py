"""How long the present invocation may still run."""

from collections.abc import Callable
from datetime import datetime, timedelta


class Invocation:
    """Knows when Lambda cuts off the invocation that runs now.

    An execution environment runs one invocation at a time, so that one object serves all of them in turn.
    """

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._ends_at: datetime | None = None

    def begin(self, remaining_ms: int) -> None:
        """Start an invocation that has so many milliseconds (`context.get_remaining_time_in_millis`)."""
        self._ends_at = self._clock() + timedelta(milliseconds=remaining_ms)

    def ends_at(self) -> datetime:
        """Return when the invocation is cut off; raises `RuntimeError` outside of one."""
        if self._ends_at is None:
            raise RuntimeError("no invocation has begun")
        return self._ends_at
