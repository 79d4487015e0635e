"""The shards of the due index: four for credentials, one for events that are not published yet.

Release 0.1.0 spread both over eight. What it wrote stays where it is until it is written again, so the shards that
it had more are looked at in turn. They can go from here once a day has passed after the update of every stack.
"""

from collections.abc import Sequence
from datetime import datetime

EVENTS = "0"
"""Who works on this shard of the credentials also publishes the events, and counts the credentials."""
_PRESENT = 4
_FORMER_CREDENTIALS = ("4", "5", "6", "7")
_FORMER_EVENTS = ("1", "2", "3", "4", "5", "6", "7")
_RING = [(shard, event) for event in _FORMER_EVENTS for shard in (*_FORMER_CREDENTIALS, None)]
_LOOKS = 2
"""A run looks at so many. Its length, 35, has no factor in common with the minutes between two runs."""


def shards_of_credentials(shards: Sequence[str], now: datetime) -> Sequence[str]:
    """Return where a run finds the credentials of its shards: the shards, and at times one that release 0.1.0 had.

    Each of those is looked at once in three runs, or once in four where there is a run every two or three minutes.
    """
    former = [shard for shard, _ in _turns(now) if shard is not None and str(int(shard) % _PRESENT) in shards]
    return list(dict.fromkeys([*shards, *former]))


def shards_of_events(now: datetime) -> Sequence[str]:
    """Return where a run finds events; those of release 0.1.0 within 35 runs."""
    return [EVENTS, *(event for shard, event in _turns(now) if shard is None)]


def _turns(now: datetime) -> Sequence[tuple[str | None, str]]:
    first = int(now.timestamp()) // 60 * _LOOKS
    return [_RING[(first + look) % len(_RING)] for look in range(_LOOKS)]
