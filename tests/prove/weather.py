"""What goes wrong during the simulated weeks, all of it drawn from the seed before the first day."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from random import Random

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)


class Trouble(StrEnum):
    """What becomes of one call to the token endpoint."""

    NOT_SENT = "not_sent"
    UNAVAILABLE = "unavailable"
    UNAVAILABLE_AFTER = "unavailable_after"  # 5xx, but the token was rotated
    LOST = "lost"  # the token was rotated, and the answer never came
    THROTTLED = "throttled"
    SLOW = "slow"
    STRAY_INVALID_GRANT = "stray_invalid_grant"  # one wrong refusal of a good token


@dataclass(frozen=True, slots=True)
class Spell:
    """A stretch of bad weather."""

    start: datetime
    end: datetime

    @property
    def length(self) -> timedelta:
        return self.end - self.start


class Spells:
    """Stretches that do not overlap, in order."""

    def __init__(self, spells: Sequence[Spell]) -> None:
        self.spells = spells
        self._starts = [spell.start for spell in spells]

    def at(self, now: datetime) -> Spell | None:
        """The spell that this moment lies in."""
        position = bisect_right(self._starts, now) - 1
        if position < 0 or now >= self.spells[position].end:
            return None
        return self.spells[position]

    @classmethod
    def drawn(
        cls, draw: Random, start: datetime, days: int, *, every: timedelta, shortest: timedelta, longest: timedelta
    ) -> "Spells":
        spells: list[Spell] = []
        now = start + timedelta(hours=2)
        while True:
            now += every * draw.uniform(0.5, 1.5)
            length = shortest + (longest - shortest) * draw.random()
            if now + length + timedelta(hours=2) > start + DAY * days:
                return cls(spells)
            spells.append(Spell(now, now + length))
            now += length


type _Shares = Sequence[tuple[float, Trouble | None]]
"""Upper bounds of a draw between 0 and 1, and what each stands for."""

# An outage has many faces, and behind some of them the token is still rotated.
_IN_AN_OUTAGE: _Shares = (
    (0.05, Trouble.UNAVAILABLE_AFTER),
    (0.10, Trouble.LOST),
    (0.60, Trouble.UNAVAILABLE),
    (1.00, Trouble.NOT_SENT),
)
_ON_ANY_DAY: _Shares = (
    (0.9965, None),
    (0.9980, Trouble.SLOW),
    (0.9985, Trouble.LOST),
    (0.9990, Trouble.UNAVAILABLE),
    (0.9992, Trouble.UNAVAILABLE_AFTER),
    (0.9999, None),
    (1.0000, Trouble.STRAY_INVALID_GRANT),
)


def _drawn(chance: float, shares: _Shares) -> Trouble | None:
    return next(trouble for bound, trouble in shares if chance < bound)


class Weather:
    """The seeded faults of one long run."""

    def __init__(self, seed: str, start: datetime, days: int) -> None:
        draw = Random(seed)  # noqa: S311 - a seed is the point
        self._draw = Random(f"{seed}/calls")  # noqa: S311
        self.outages = Spells.drawn(
            draw, start, days, every=timedelta(hours=20), shortest=MINUTE, longest=20 * MINUTE
        )
        self.bursts = Spells.drawn(
            draw, start, days, every=timedelta(hours=12), shortest=30 * SECOND, longest=3 * MINUTE
        )
        self.throttling = Spells.drawn(
            draw, start, days, every=timedelta(hours=16), shortest=30 * SECOND, longest=3 * MINUTE
        )
        self._stray: set[str] = set()

    def of_refresh(self, client_id: str, now: datetime) -> Trouble | None:
        """What happens to this call of the token endpoint."""
        chance = self._draw.random()
        if self.outages.at(now) is not None:
            return _drawn(chance, _IN_AN_OUTAGE)
        if self.bursts.at(now) is not None and chance < 0.5:
            return Trouble.THROTTLED
        trouble = _drawn(chance, _ON_ANY_DAY)
        if trouble is None:
            self._stray.discard(client_id)
        elif trouble is Trouble.STRAY_INVALID_GRANT:
            # Twice in a row would be no stray refusal: believing it is what the protocol is meant to do.
            if client_id in self._stray:
                return None
            self._stray.add(client_id)
        return trouble

    def aws_fails(self, now: datetime) -> float | None:
        """The draw for one AWS call, below 1 if it fails; None in good weather for all but a few calls."""
        chance = self._draw.random()
        share = 0.3 if self.throttling.at(now) is not None else 0.0001
        return chance / share if chance < share else None

    def skew(self) -> timedelta:
        """By how much the clock of a new execution environment is wrong."""
        return timedelta(seconds=self._draw.uniform(-60, 60))

    def tick_is_late(self) -> timedelta:
        return timedelta(seconds=self._draw.uniform(5, 50)) if self._draw.random() < 0.02 else timedelta()

    def tick_is_doubled(self) -> bool:
        return self._draw.random() < 0.02

    def tick_is_killed(self) -> bool:
        return self._draw.random() < 0.001

    def read_lag(self) -> timedelta:
        """How long a new version stays unseen: mostly a moment, now and then more than the next attempt waits."""
        chance = self._draw.random()
        return SECOND if chance < 0.999 else timedelta(seconds=90)

    def crash_call(self) -> tuple[int, bool]:
        """Where an invocation that is killed stands with one of its credentials: call and before/after."""
        return self._draw.randrange(9), self._draw.random() < 0.5
