"""Notice during a sweep that Xero is down for all, and come back to full speed step by step."""

import threading
from itertools import count

WIDEST = 32
"""Credentials at work at once in one lane: the work waits for Xero, so a core serves many."""
_NARROWEST = 4
_NEWS_IN_A_ROW = 6
"""So many credentials that were well before without an answer, and none with one: that is Xero's trouble."""
_OLD_TROUBLE_IN_A_ROW = 20
"""Credentials that had trouble before say less: so many of them, with no answer to anybody in the whole sweep."""


class OutageBrake:
    """Admits work to one sweep, in two lanes: credentials that are well, and those that had trouble before.

    Each lane begins with a few at a time, and becomes wider by one for each answer. What got no answer before
    makes its own lane narrow again and holds up no other. No credential is let in once Xero is plainly away:
    one that is turned away keeps its due time and its count of failures. Each sweep begins with a new brake, so
    every minute a handful finds out whether Xero is back.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._well = _Lane()
        self._troubled = _Lane()
        self._answered = False

    @property
    def engaged(self) -> bool:
        """Whether this sweep has given up on Xero."""
        if self._well.unanswered_in_a_row >= _NEWS_IN_A_ROW:
            return True
        return not self._answered and self._troubled.unanswered_in_a_row >= _OLD_TROUBLE_IN_A_ROW

    def queue(self, *, troubled: bool = False) -> int:
        """Take the next place in the queue of a lane."""
        return next(self._lane(troubled=troubled).places)

    def enter(self, place: int, *, troubled: bool = False) -> bool:
        """Wait for the turn of a place in the queue; False if there is none any more."""
        lane = self._lane(troubled=troubled)
        with self._changed:
            self._changed.wait_for(lambda: self.engaged or lane.admits(place))
            if self.engaged:
                return False
            lane.at_work += 1
            lane.next_place += 1
            self._changed.notify_all()
            return True

    def leave(self, *, answered: bool | None, troubled: bool = False) -> None:
        """End a turn: Xero answered, did not answer, or (None) was not asked."""
        lane = self._lane(troubled=troubled)
        with self._changed:
            lane.at_work -= 1
            if answered:
                self._answered = True
                self._well.unanswered_in_a_row = self._troubled.unanswered_in_a_row = 0
                lane.width = min(lane.width + 1, WIDEST)
            elif answered is False:
                lane.unanswered_in_a_row += 1
                if troubled:
                    lane.width = max(lane.width - 1, _NARROWEST)
            self._changed.notify_all()

    def _lane(self, *, troubled: bool) -> "_Lane":
        return self._troubled if troubled else self._well


class _Lane:
    def __init__(self) -> None:
        self.width = _NARROWEST
        self.at_work = 0
        self.unanswered_in_a_row = 0
        self.places = count()
        self.next_place = 0

    def admits(self, place: int) -> bool:
        """Whether there is room, and no other before this one in the queue."""
        return self.at_work < self.width and place == self.next_place
