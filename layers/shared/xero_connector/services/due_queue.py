"""In which order what is due has its turn."""

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass
from datetime import datetime
from heapq import heappop, heappush

from xero_connector.domain.credential import Credential
from xero_connector.domain.refresh_policy import GRACE

AHEAD = 32
"""Read before their turn comes: less than a second's work."""
_ONE_IN = 20
"""While others wait, so few of the turns are of those that had trouble before."""
_LATE_ONE_IN = 4
"""Of their turns, so many go to those for which it may be too late."""


@dataclass(frozen=True, slots=True)
class Turn:
    """A credential whose turn it is: as it was read, or (None) to be read anew."""

    client_id: str
    credential: Credential | None
    troubled: bool
    refreshes: bool


class DueQueue:
    """Credentials that are due, of which a few are read before their turn.

    Those that are well go first, the longest overdue before the others. While it is not known that all goes well
    (`flowing`), every second one is taken from the middle on: if Xero is slow for those at the front, others show
    that it answers. Those that had trouble before have one turn in twenty while others wait, and then all of them,
    in the order of what they have to lose: see `_Troubled`.
    """

    def __init__(
        self,
        client_ids: Sequence[str],
        read: Callable[[str], Future[Credential | None]],
        sort_out: Callable[[str, Future[Credential | None]], Credential | None],
        now: datetime,
    ) -> None:
        middle = (len(client_ids) + 1) // 2
        self._halves = [_Line(client_ids[:middle], read), _Line(client_ids[middle:], read)]
        self._sort_out = sort_out
        self._troubled = _Troubled(now)
        self._taken = [0, 0]
        self._since_troubled = 0

    def __len__(self) -> int:
        """How many have not had their turn."""
        return sum(map(len, self._halves)) + len(self._troubled)

    def await_first(self) -> None:
        """Wait until those that come first are read."""
        for half in self._halves:
            half.read_ahead()
            wait([future for _, future in half.being_read])
        self._settle()

    def next(self, *, well: bool, troubled: bool, flowing: bool) -> Turn | None:
        """Take the next that may begin, given in which lanes there is room; None if there is none by now."""
        self._settle()
        waiting = any(map(len, self._halves))
        if troubled and len(self._troubled) and (not waiting or self._since_troubled >= _ONE_IN - 1):
            self._since_troubled = 0
            return self._troubled.pop()
        ready = [number for number, half in enumerate(self._halves) if half.ready]
        if not well or not ready:
            return None
        self._since_troubled += 1
        number = ready[0] if flowing else min(ready, key=self._taken.__getitem__)
        self._taken[number] += 1
        return _turn(self._halves[number].ready.popleft(), troubled=False)

    def _settle(self) -> None:
        """Sort out what has been read, as far as all before it have been."""
        for half in self._halves:
            half.read_ahead()
            while half.being_read and half.being_read[0][1].done():
                client_id, future = half.being_read.popleft()
                credential = self._sort_out(client_id, future)
                if credential is not None and credential.failures:
                    self._troubled.push(credential)
                elif credential is not None:
                    half.ready.append(credential)
                half.read_ahead()


class _Line:
    """Credentials that have their turn one after the other."""

    def __init__(self, client_ids: Sequence[str], read: Callable[[str], Future[Credential | None]]) -> None:
        self._unread = deque(client_ids)
        self._read = read
        self.being_read: deque[tuple[str, Future[Credential | None]]] = deque()
        self.ready: deque[Credential] = deque()

    def __len__(self) -> int:
        return len(self._unread) + len(self.being_read) + len(self.ready)

    def read_ahead(self) -> None:
        while self._unread and len(self.being_read) + len(self.ready) < AHEAD:
            client_id = self._unread.popleft()
            self.being_read.append((client_id, self._read(client_id)))


class _Troubled:
    """Those that had trouble before: who can still lose something first, and of them who would lose it soonest.

    They are read again when their turn comes, so only their names are kept.
    """

    def __init__(self, now: datetime) -> None:
        self._now = now
        self._in_time: list[tuple[datetime, str, Turn]] = []
        self._late: list[tuple[datetime, str, Turn]] = []
        self._popped = 0

    def __len__(self) -> int:
        return len(self._in_time) + len(self._late)

    def push(self, credential: Credential) -> None:
        turn = _turn(credential, troubled=True)
        if until := loses_something_at(credential, self._now):
            heappush(self._in_time, (until, credential.client_id, turn))
        else:
            heappush(self._late, (credential.due_at or self._now, credential.client_id, turn))

    def pop(self) -> Turn:
        self._popped += 1
        late = self._late and (not self._in_time or self._popped % _LATE_ONE_IN == 0)
        return heappop(self._late if late else self._in_time)[-1]


def _turn(credential: Credential, *, troubled: bool) -> Turn:
    return Turn(credential.client_id, None if troubled else credential, troubled, credential.has_grant)


def loses_something_at(credential: Credential, now: datetime) -> datetime | None:
    """Return what ends first: the replay of an unfinished attempt, or the token that readers have."""
    began = credential.attempt_started_at
    ends = [None if began is None else began + GRACE, credential.access_token_expires_at]
    return min((moment for moment in ends if moment is not None and moment > now), default=None)
