"""Room at work in two lanes: for credentials that are well, and for those that had trouble before."""

import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median
from types import MappingProxyType

from xero_connector.domain.ports import Clock
from xero_connector.services.outage_brake import OutageBrake
from xero_connector.services.pace import Pace

NARROWEST = 4
WIDEST = 32
"""Turns of one lane at once: the work waits for Xero, so a core serves many."""
MOST_SLOW: Mapping[bool, int] = MappingProxyType({False: 320, True: 32})
"""Turns beside those of a lane, by whether they are troubled: they wait for an answer and need no core."""
MOST_AT_WORK = 2 * WIDEST + sum(MOST_SLOW.values())
_SLOW_AFTER = timedelta(seconds=0.5)
_SLOWER_THAN_OTHERS = 2
"""Times the usual turn: a core that is busy makes all of them longer, and none of them slow."""
_USUAL_OF = 15
_ONE_MORE_EVERY = timedelta(seconds=1)
_MOST_MORE = 10


@dataclass(slots=True, eq=False)
class Place:
    """A turn that is at work; `paced` where it took a place of the pace, and keeps it until `given_back`."""

    number: int
    troubled: bool
    paced: bool
    began: datetime
    given_back: bool = False


class Lanes:
    """Admits the turns of one sweep, in two lanes.

    Each lane begins with a few at a time, and becomes wider by one for each answer. What had trouble before and
    got no answer makes its own lane narrow again. A turn that takes long, while Xero has answered one that began
    after it, is slow: that is its app's trouble and not Xero's. So it takes up no room any more, and leaves its
    place of the pace to another until it has something to write. Where nobody is answered nobody is slow, and
    one more is let in each second, to find out.
    """

    def __init__(self, clock: Clock, pace: Pace | None = None) -> None:
        self._clock = clock
        self._pace = pace
        self._lock = threading.Lock()
        self._brake = OutageBrake()
        self._width = {False: NARROWEST, True: NARROWEST}
        self._at_work: set[Place] = set()
        self._begun = 0
        self._latest_answered = -1
        self._answered_at = clock()
        self._seconds: deque[float] = deque(maxlen=_USUAL_OF)
        self._came_to_something: deque[bool] = deque(maxlen=_USUAL_OF)

    @property
    def engaged(self) -> bool:
        """Whether this sweep has given up on Xero."""
        with self._lock:
            return self._brake.engaged

    def has_room(self, *, troubled: bool = False) -> bool:
        """Whether a turn may begin."""
        with self._lock:
            if self._brake.engaged:
                return False
            now = self._clock()
            lane = [place for place in self._at_work if place.troubled is troubled]
            slow = [place for place in lane if self._is_slow(place, now)][: MOST_SLOW[troubled]]
            for place in slow:
                self._give_back(place)
            return len(lane) - len(slow) < self._width[troubled] + self._more(now)

    def is_at_work(self) -> bool:
        """Whether a turn has not ended."""
        with self._lock:
            return bool(self._at_work)

    def is_flowing(self) -> bool:
        """Whether those that are well are at full width, none takes long, and each came to something."""
        with self._lock:
            since = self._clock() - self._slow_after()
            late = any(place.began < since for place in self._at_work if not place.troubled)
            return self._width[False] == WIDEST and not late and all(self._came_to_something)

    def begin(self, *, troubled: bool = False, paced: bool = False) -> Place:
        """Take a place; where it is a paced one, wait for it."""
        paced = paced and self._pace is not None
        if paced and self._pace is not None:
            self._pace.wait()
        with self._lock:
            place = Place(self._begun, troubled, paced, self._clock())
            self._begun += 1
            self._at_work.add(place)
            return place

    def end(self, place: Place, *, answered: bool | None, wrote: bool) -> None:
        """End a turn: Xero answered, did not answer, or (None) was not asked; `wrote` where that was stored."""
        with self._lock:
            self._at_work.remove(place)
            if not wrote:
                self._give_back(place)
            elif place.given_back and self._pace is not None:
                self._pace.take()
            if not place.troubled:
                self._came_to_something.append(wrote or answered is None)
            if answered is not None:
                self._heard(place, answered=answered)

    def _heard(self, place: Place, *, answered: bool) -> None:
        self._brake.heard(answered=answered, troubled=place.troubled)
        width = self._width[place.troubled]
        if answered:
            self._answered_at = self._clock()
            self._seconds.append((self._answered_at - place.began).total_seconds())
            self._latest_answered = max(self._latest_answered, place.number)
            self._width[place.troubled] = min(width + 1, WIDEST)
        elif place.troubled:
            self._width[True] = max(width - 1, NARROWEST)

    def _give_back(self, place: Place) -> None:
        if place.paced and not place.given_back and self._pace is not None:
            place.given_back = True
            self._pace.give_back()

    def _more(self, now: datetime) -> int:
        # A clock that is set back must not take room away.
        return min(max((now - self._answered_at) // _ONE_MORE_EVERY, 0), _MOST_MORE)

    def _slow_after(self) -> timedelta:
        usual = median(self._seconds) if self._seconds else 0
        return max(_SLOW_AFTER, timedelta(seconds=usual) * _SLOWER_THAN_OTHERS)

    def _is_slow(self, place: Place, now: datetime) -> bool:
        return place.number < self._latest_answered and now - place.began >= self._slow_after()
