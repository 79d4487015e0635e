"""One run of the schedule after the other."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """The run that works on a schedule's shards at present, or was the last to do so.

    `number` counts the runs of `schedule`. `begins_until` is when this one stops to begin anything, None once it
    has stopped.
    """

    schedule: str
    number: int = 0
    begins_until: datetime | None = None

    def is_at_work(self, now: datetime) -> bool:
        """Whether it may still begin something."""
        return self.begins_until is not None and now < self.begins_until
