"""How many credentials there are in each status, counted a part at a time."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from xero_connector.domain.status import Status

COUNTED_AGAIN_AFTER = timedelta(minutes=5)
TRUE_FOR = timedelta(hours=2)
"""A count takes a run for each status, and more where there are thousands. An older one says nothing about now."""
_ORDER = tuple(Status)


@dataclass(frozen=True, slots=True)
class Counted:
    """A stretch of the list of one status: how many credentials, and the last of them unless it is the end."""

    number: int
    until: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetCount:
    """The last count that was finished, and the one that is going on.

    `totals` and `counted_at` are None before the first was finished. `so_far`, `counting` and `after` tell how far
    the present one has come: `counting` is the status at which it goes on, None if none is going on, and `after`
    the client ID that was counted last there. A credential whose status changes meanwhile may be counted twice, or
    not at all. `revision` counts the writes, as a credential's does.
    """

    revision: int = 0
    totals: Mapping[Status, int] | None = None
    counted_at: datetime | None = None
    so_far: Mapping[Status, int] = field(default_factory=dict)
    counting: Status | None = None
    after: str | None = None

    def is_due(self, now: datetime) -> bool:
        """Whether there is something to count."""
        going_on = self.counting is not None
        return going_on or self.counted_at is None or now - self.counted_at >= COUNTED_AGAIN_AFTER

    def is_true(self, now: datetime) -> bool:
        """Whether the totals may be told."""
        return self.counted_at is not None and now - self.counted_at < TRUE_FOR

    def begun(self) -> "FleetCount":
        """Begin another count, unless one is going on."""
        return self if self.counting is not None else replace(self, so_far={}, counting=_ORDER[0], after=None)

    def adding(self, counted: Counted, now: datetime) -> "FleetCount":
        """Add a stretch of the status that is being counted; after the last one the count is finished."""
        if self.counting is None:
            return self
        so_far = {**self.so_far, self.counting: self.so_far.get(self.counting, 0) + counted.number}
        if counted.until is not None:
            return replace(self, so_far=so_far, after=counted.until)
        following = _ORDER[_ORDER.index(self.counting) + 1 :]
        if following:
            return replace(self, so_far=so_far, counting=following[0], after=None)
        return replace(self, totals=so_far, counted_at=now, so_far={}, counting=None, after=None)
