"""EventBridge in this process."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from tests.doubles.faults import Faults, Wire, no_faults, refusal, with_faults

MOST_EVENTS = 10
LARGEST_EVENT = 262_144


@dataclass(frozen=True, slots=True)
class Event:
    """An event as a rule gets it: `detail` is what the JSON says."""

    event_id: str
    detail_type: str
    detail: Wire
    at: datetime


class StrictEventBridge:
    """One bus; `failing_entries` is the error code by which it refuses each event of a call that succeeds."""

    def __init__(self, bus_name: str, *, faults: Faults = no_faults) -> None:
        self.bus_name = bus_name
        self.faults = faults
        self.failing_entries: str | None = None
        self.published: list[Event] = []

    def put_events(self, *, Entries: Sequence[Wire]) -> Wire:  # noqa: N803
        if not 0 < len(Entries) <= MOST_EVENTS:
            raise refusal("PutEvents", "ValidationException")
        if sum(_event_size(entry) for entry in Entries) > LARGEST_EVENT:
            raise refusal("PutEvents", "ValidationException", "too large")

        def effect() -> Wire:
            answers = [self._take(entry) for entry in Entries]
            failed = sum("ErrorCode" in answer for answer in answers)
            return {"FailedEntryCount": failed, "Entries": answers}

        return with_faults("PutEvents", self.faults, effect)

    def _take(self, entry: Wire) -> Wire:
        if entry["EventBusName"] != self.bus_name:
            raise AssertionError(f"another bus: {entry['EventBusName']}")
        if self.failing_entries is not None:
            return {"ErrorCode": self.failing_entries, "ErrorMessage": "refused"}
        if not entry["Source"] or not entry["DetailType"]:
            return {"ErrorCode": "InvalidArgument", "ErrorMessage": "Source and DetailType are required"}
        try:
            detail = json.loads(entry["Detail"])
        except ValueError:
            detail = None
        if not isinstance(detail, dict):
            return {"ErrorCode": "MalformedDetail", "ErrorMessage": "Detail is malformed"}
        if entry["Time"].tzinfo is None:
            raise AssertionError("botocore would take this time for the machine's own")
        event = Event(
            event_id=f"event-{len(self.published) + 1}",
            detail_type=entry["DetailType"],
            detail=detail,
            at=entry["Time"],
        )
        self.published.append(event)
        return {"EventId": event.event_id}


def _event_size(entry: Wire) -> int:
    """How AWS counts: 14 bytes for the time, and the others by their UTF-8 (EventBridge, "PutEvents")."""
    texts = [entry["Source"], entry["DetailType"], entry["Detail"]]
    return 14 + sum(len(text.encode()) for text in texts)
