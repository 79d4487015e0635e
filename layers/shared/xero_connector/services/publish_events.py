"""Publish domain events: at once where possible, and what was left by the schedule."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from xero_connector.domain.errors import StoreUnavailable
from xero_connector.domain.events import iso_time
from xero_connector.domain.history import Action, HistoryEntry
from xero_connector.domain.ports import Clock, Deadline, EventBus, History, Observer
from xero_connector.domain.time_budget import TIME_TO_PUBLISH_AT_ONCE, TIME_TO_PUBLISH_ONE
from xero_connector.services.issue_connect_link import IssueConnectLink

_MOST_PER_SHARD = 100
_MOST_REFUSED = 25
"""In a row: then it is the bus that is away, and not these events that it will not take."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class PublishEvents:
    """Publishes events that the registry holds already, so that none is lost and none tells of what never was.

    A process that dies in between, or an answer that is lost, makes an event go out again, under the same id.
    """

    history: History
    event_bus: EventBus
    issue_connect_link: IssueConnectLink
    clock: Clock
    deadline: Deadline
    observer: Observer

    def at_once(self, entries: Iterable[HistoryEntry]) -> None:
        """Publish what was just written; what does not go out, or not in time, is left to the schedule."""
        for entry in entries:
            if self.deadline() - self.clock() < TIME_TO_PUBLISH_AT_ONCE:
                # What the request is about comes first, and its answer.
                return
            try:
                self._publish(entry)
            except StoreUnavailable as unavailable:
                self._postponed(entry, unavailable)

    def left_over(self, *, shards: Sequence[str], deadline: datetime) -> int:
        """Publish what is not published yet; returns how many events went out.

        An event that is refused for itself holds up no other; where many are refused in a row, the bus is away.
        """
        published = refused = 0
        for shard in shards:
            for entry in self.history.unpublished(shard=shard, now=self.clock(), limit=_MOST_PER_SHARD):
                now = self.clock()
                self.observer.measure("EventLag", (now - entry.at).total_seconds())
                if deadline - now < TIME_TO_PUBLISH_ONE:
                    return published
                try:
                    self._publish(entry)
                except StoreUnavailable as unavailable:
                    self._postponed(entry, unavailable)
                    refused += 1
                    if refused == _MOST_REFUSED:
                        return published
                else:
                    published, refused = published + 1, 0
        return published

    def _publish(self, entry: HistoryEntry) -> None:
        if entry.event is None or entry.event_type is None:
            return
        self.event_bus.publish(entry.event_type, {**entry.event, **self._connect_link(entry)}, at=entry.at)
        self.history.mark_published(entry)

    def _connect_link(self, entry: HistoryEntry) -> Mapping[str, Any]:
        # Made only now: the registry holds no ticket in the clear.
        if entry.action is not Action.REAUTHORIZATION_REQUIRED:
            return {}
        link = self.issue_connect_link(entry.client_id)
        return {
            "connect_url": link.connect_url,
            "connect_url_expires_at": iso_time(link.expires_at),
        }

    def _postponed(self, entry: HistoryEntry, unavailable: StoreUnavailable) -> None:
        self.observer.count("EventPostponed")
        self.observer.warning(
            "event_postponed", client_id=entry.client_id, event_type=entry.event_type, detail=unavailable.detail
        )
