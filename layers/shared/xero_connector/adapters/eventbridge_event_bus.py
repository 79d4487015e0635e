"""Domain events on an EventBridge bus."""

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from threading import Lock
from typing import TYPE_CHECKING, Any

from xero_connector.adapters.aws_errors import member, translating
from xero_connector.domain.errors import StoreUnavailable
from xero_connector.domain.events import SOURCE

if TYPE_CHECKING:
    from mypy_boto3_events.client import EventBridgeClient


class EventBridgeEventBus:
    """`EventBus` on EventBridge.

    `client` makes the boto3 client. It is called with the first event, and once: most cold starts publish nothing.
    """

    def __init__(self, client: "Callable[[], EventBridgeClient]", bus_name: str) -> None:
        self._make_client = client
        self._bus_name = bus_name
        self._client: EventBridgeClient | None = None
        self._making = Lock()

    def publish(self, event_type: str, detail: Mapping[str, Any], *, at: datetime) -> None:
        with translating("PutEvents"):
            answer: Mapping[str, object] = self._ready_client().put_events(
                Entries=[
                    {
                        "EventBusName": self._bus_name,
                        "Source": SOURCE,
                        "DetailType": event_type,
                        # As UTF-8: escapes would count against the size of the event.
                        "Detail": json.dumps(dict(detail), ensure_ascii=False, separators=(",", ":")),
                        "Time": at,
                    }
                ]
            )
            # The call succeeds even where the bus took nothing.
            if member(answer, "FailedEntryCount", int) == 0:
                return
            entry = next(iter(member(answer, "Entries", list)), None)
        raise StoreUnavailable("PutEvents", str(entry.get("ErrorCode", "Unknown")) if entry else "Unknown")

    def _ready_client(self) -> "EventBridgeClient":
        # Threads publish at the same time, and boto3's session is not made for that.
        with self._making:
            if self._client is None:
                self._client = self._make_client()
            return self._client
