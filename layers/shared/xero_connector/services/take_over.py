"""Have one run of the schedule begin refreshes at a time, although runs overlap."""

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from xero_connector.domain.errors import RevisionConflict, StoreUnavailable
from xero_connector.domain.ports import Clock, Pause, Runs
from xero_connector.domain.run import Run

_LOOK_EVERY = timedelta(seconds=1)
_NOTICED_WITHIN = timedelta(seconds=2)
"""Who is at work looks every second, and a look takes less than one."""
_MOST_CONFLICTS = 5


@dataclass(slots=True)
class RunAtWork:
    """A run that has taken over, until a later one does."""

    runs: Runs
    clock: Clock
    run: Run
    _looked_at: datetime
    _superseded: bool = False

    def is_superseded(self) -> bool:
        """Whether a later run has taken over: it asks every second at most."""
        now = self.clock()
        if not self._superseded and now - self._looked_at >= _LOOK_EVERY:
            self._looked_at = now
            # Unknown for once: the time of the run ends it in any case, and leases keep runs apart.
            with suppress(StoreUnavailable):
                self._superseded = self.runs.latest(self.run.schedule).number != self.run.number
        return self._superseded

    def end(self) -> None:
        """Tell the next run that it need not wait."""
        with suppress(StoreUnavailable):
            self.runs.end(self.run)


@dataclass(frozen=True, slots=True)
class TakeOver:
    """Lets a run take over from the one before: together they would write faster than the vault takes it.

    It is about the pace alone. What keeps two runs from the same credential is the lease.
    """

    runs: Runs
    clock: Clock
    pause: Pause

    def __call__(self, schedule: str, *, until: datetime) -> RunAtWork:
        """Take over, and wait until the run before has noticed; raises `StoreUnavailable`, `RevisionConflict`."""
        for _ in range(_MOST_CONFLICTS):
            before = self.runs.latest(schedule)
            try:
                run = self.runs.begin(Run(schedule=schedule, number=before.number, begins_until=until))
            except RevisionConflict:
                continue
            if before.is_at_work(self.clock()):
                self.pause(_NOTICED_WITHIN.total_seconds())
            return RunAtWork(self.runs, self.clock, run, self.clock())
        raise RevisionConflict(schedule)
