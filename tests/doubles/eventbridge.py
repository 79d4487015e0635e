"""EventBridge in this process."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from tests.doubles.faults import MESSAGE, Faults, Wire, no_faults, refusal, with_faults

MOST_EVENTS = 10
LARGEST_REQUEST = 262_144
"""Bytes of all entries of one call."""


@dataclass(frozen=True, slots=True)
class Event:
    """An event as a rule gets it: `detail` is what the JSON says."""

    event_id: str
    detail_type: str
    detail: Wire
    at: datetime


class StrictEventBridge:
    """One bus; `failing_entries` is the error code by which it refuses each event of a call that succeeds.

    Codes of refused entries are those of `PutEventsResultEntry` in the API reference.
    An entry without a detail is an `InvalidArgument` ("Detail is a required argument"), as moto has it too.

    Kinder than AWS:

    - Each event is delivered, once, at once and in order. AWS promises none of that.
    - There are no request rates and no permissions.

    Stricter than AWS:

    - A call takes 256 KB. AWS took no more until January 2026 (now 1 MB), and some targets of rules still do not.
    - A bus of another name, and a time without a time zone, are an `AssertionError`: mistakes of the caller.
    """

    def __init__(self, bus_name: str, *, faults: Faults = no_faults) -> None:
        self.bus_name = bus_name
        self.faults = faults
        self.failing_entries: str | None = None
        self.published: list[Event] = []

    def put_events(self, *, Entries: Sequence[Wire]) -> Wire:  # noqa: N803
        def effect() -> Wire:
            if not 0 < len(Entries) <= MOST_EVENTS:
                raise refusal("PutEvents", "ValidationException")
            if sum(_event_size(entry) for entry in Entries) > LARGEST_REQUEST:
                raise refusal("PutEvents", "ValidationException")
            answers = [self._take(entry) for entry in Entries]
            failed = sum("ErrorCode" in answer for answer in answers)
            return {"FailedEntryCount": failed, "Entries": answers}

        return with_faults("PutEvents", self.faults, effect)

    def _take(self, entry: Wire) -> Wire:
        if entry["EventBusName"] != self.bus_name:
            raise AssertionError(f"another bus: {entry['EventBusName']}")
        if self.failing_entries is not None:
            return {"ErrorCode": self.failing_entries, "ErrorMessage": MESSAGE}
        if not entry["Source"] or not entry["DetailType"] or not entry["Detail"]:
            return {"ErrorCode": "InvalidArgument", "ErrorMessage": MESSAGE}
        try:
            detail = json.loads(entry["Detail"])
        except ValueError:
            detail = None
        if not isinstance(detail, dict):
            return {"ErrorCode": "MalformedDetail", "ErrorMessage": MESSAGE}
        if entry["Time"].tzinfo is None:
            raise AssertionError("botocore would take this time for the machine's own")
        event = Event(
            event_id=f"event-{len(self.published) + 1}",
            detail_type=entry["DetailType"],
            detail=detail,
            # Delivered to the second, as "yyyy-mm-ddThh:mm:ssZ" (User Guide, "Event structure").
            at=entry["Time"].replace(microsecond=0),
        )
        self.published.append(event)
        return {"EventId": event.event_id}


def _event_size(entry: Wire) -> int:
    """How AWS counts: 14 bytes for the time, and the others by their UTF-8 (EventBridge, "PutEvents")."""
    texts = [entry["Source"], entry["DetailType"], entry["Detail"]]
    return 14 + sum(len(text.encode()) for text in texts)
