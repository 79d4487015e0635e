"""Notice during a sweep that Xero is down for all."""

_NEWS_IN_A_ROW = 6
"""So many credentials that were well before without an answer, and none with one: that is Xero's trouble."""
_OLD_TROUBLE_IN_A_ROW = 20
"""Credentials that had trouble before say less: so many of them, with no answer to anybody in the whole sweep."""


class OutageBrake:
    """Judges by what came of the turns of one sweep.

    Each sweep begins with a new brake, so every minute a handful finds out whether Xero is back. It is no object
    for several threads: `Lanes` guards it.
    """

    def __init__(self) -> None:
        self._well_in_a_row = 0
        self._troubled_in_a_row = 0
        self._answered = False

    @property
    def engaged(self) -> bool:
        """Whether this sweep has given up on Xero."""
        if self._well_in_a_row >= _NEWS_IN_A_ROW:
            return True
        return not self._answered and self._troubled_in_a_row >= _OLD_TROUBLE_IN_A_ROW

    def heard(self, *, answered: bool, troubled: bool) -> None:
        """Take in whether Xero answered for a credential that was well before, or had trouble."""
        if answered:
            self._answered = True
            self._well_in_a_row = self._troubled_in_a_row = 0
        elif troubled:
            self._troubled_in_a_row += 1
        else:
            self._well_in_a_row += 1
