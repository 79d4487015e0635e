"""How many versions of a secret may still be written.

Secrets Manager keeps about 100 versions of a secret and removes none that is younger than 24 hours. A bucket
holds what is to spare above the schedule's own rate, so that extra refreshes can never use up the quota.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

REFILL = timedelta(minutes=18)
"""One version in this time: the fastest rate of the schedule, 80 a day."""
CAPACITY = 10
"""Together with the refill at most 90 versions in any 24 hours, ten below the quota."""

LOWEST_TO_REFRESH = -8
"""Below this level the schedule presents no token: its answer could be the 99th version of a day."""


@dataclass(frozen=True, slots=True)
class VersionAllowance:
    """A token bucket: `level` versions were to spare at `at`."""

    level: float
    at: datetime

    @classmethod
    def full(cls, now: datetime) -> "VersionAllowance":
        """The allowance of a secret without versions."""
        return cls(float(CAPACITY), now)

    def level_at(self, now: datetime) -> float:
        """What is to spare at a later moment; a clock that went back refills nothing."""
        elapsed = max(now - self.at, timedelta())
        return min(float(CAPACITY), self.level + elapsed / REFILL)

    def drawn(self, now: datetime) -> "VersionAllowance":
        """Take out one version; the level may go below zero, for a grant is never lost to save quota."""
        return VersionAllowance(self.level_at(now) - 1, max(now, self.at))

    def wait_for_spare(self, now: datetime) -> timedelta:
        """How long until one version is to spare; zero if one is."""
        return self.wait_for(1, now)

    def wait_for(self, level: float, now: datetime) -> timedelta:
        """How long until the level is reached; zero if it is."""
        return max(timedelta(), (level - self.level_at(now)) * REFILL)

    def exhausted(self, now: datetime) -> "VersionAllowance":
        """Believe the service that it keeps no further version: wait before the next."""
        return VersionAllowance(min(self.level_at(now), float(LOWEST_TO_REFRESH - 1)), max(now, self.at))
