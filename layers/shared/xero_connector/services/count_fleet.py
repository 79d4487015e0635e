"""Count the credentials by status for the operators, a part of them in each run."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from xero_connector.domain.errors import RevisionConflict, StoreUnavailable
from xero_connector.domain.fleet import FleetCount
from xero_connector.domain.ports import Clock, Fleet, Observer
from xero_connector.domain.status import Status

_MOST_IN_A_RUN = 5000
"""Entries of about 120 bytes: 0.6 MB, which cost some 72 read units."""
_MOST_WRITTEN_ANEW = 50
_TIME_LEFT = timedelta(seconds=25)
"""With less of the run left, nothing is begun, as with everything else."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class CountFleet:
    """Publishes the totals of the last finished count, and goes on with the next.

    It is for people to see, and never in the way: a run makes one query for it, and where one fails there is no
    value in this run. That a value is missing tells that credentials cannot be counted.
    """

    fleet: Fleet
    clock: Clock
    observer: Observer

    def __call__(self, *, deadline: datetime) -> None:
        """Take a turn, as long as there is time."""
        try:
            count = self._gone_on(until=deadline - _TIME_LEFT)
        except (RevisionConflict, StoreUnavailable) as trouble:
            self.observer.event("fleet_not_counted", code=trouble.code, detail=trouble.detail)
            return
        if count.totals is None or not count.is_true(self.clock()):
            return
        self.observer.gauge("Credentials", sum(count.totals.values()))
        for status in Status:
            self.observer.gauge(f"Credentials.{status}", count.totals.get(status, 0))

    def _gone_on(self, *, until: datetime) -> FleetCount:
        before = self.fleet.read()
        if not before.is_due(self.clock()) or self.clock() >= until:
            return before
        if before.counting is None:
            # What another release wrote is in no list by status: it would be missing.
            written = self.fleet.write_anew(most=_MOST_WRITTEN_ANEW)
            return before if written else self.fleet.save(before.begun())
        counted = self.fleet.count(before.counting, after=before.after, most=_MOST_IN_A_RUN)
        return self.fleet.save(before.adding(counted, self.clock()))
