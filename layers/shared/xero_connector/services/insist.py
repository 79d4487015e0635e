"""Do again what a store did not do, for as long as there is time: for what there is no second chance for."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from xero_connector.domain.errors import SecretUnderAnotherKey, StoreUnavailable
from xero_connector.domain.ports import Clock, Deadline, Pause

_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 4.0
"""Seconds."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Insist:
    """Repeats an act that may be repeated, with pauses, until the invocation has no time for another."""

    clock: Clock
    deadline: Deadline
    pause: Pause

    def __call__[Result](self, act: Callable[[], Result], *, leaving: timedelta) -> Result:
        """Return what the act returned, or raise its `StoreUnavailable` with `leaving` of the time left.

        What only a person can settle is raised at once.
        """
        pause = _FIRST_PAUSE
        while True:
            began = self.clock()
            try:
                return act()
            except SecretUnderAnotherKey:
                raise
            except StoreUnavailable:
                now = self.clock()
                # The next try may take as long as this one.
                if self.deadline() - now < leaving + (now - began) + timedelta(seconds=pause):
                    raise
            self.pause(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)
