"""Notice during a sweep that Xero is down for everybody, and come back to full speed step by step."""

import threading

WIDEST = 32
"""Credentials at work at once: the work waits for Xero, so a core serves many."""
_NARROWEST = 4
_FAILURES_IN_A_ROW = 6
"""So many different credentials without an answer, and none with one, are Xero's trouble and not theirs."""


class OutageBrake:
    """Admits work to one sweep: few at first, one more for each answer, none once Xero is plainly away.

    The credentials that are turned away keep their due time and their count of failures. Each sweep begins with
    a new brake, so every minute a handful of them finds out whether Xero is back.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._width = _NARROWEST
        self._at_work = 0
        self._unanswered_in_a_row = 0

    @property
    def engaged(self) -> bool:
        """Whether this sweep has given up on Xero."""
        return self._unanswered_in_a_row >= _FAILURES_IN_A_ROW

    def enter(self) -> bool:
        """Wait for a turn; False if there is none any more."""
        with self._changed:
            self._changed.wait_for(lambda: self.engaged or self._at_work < self._width)
            if self.engaged:
                return False
            self._at_work += 1
            return True

    def leave(self, *, answered: bool | None) -> None:
        """End a turn: Xero answered, did not answer, or (None) was not asked."""
        with self._changed:
            self._at_work -= 1
            if answered:
                self._unanswered_in_a_row = 0
                self._width = min(self._width + 1, WIDEST)
            elif answered is False:
                self._unanswered_in_a_row += 1
            self._changed.notify_all()
