"""Publish domain events: at once where possible, and what was left by the schedule."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from xero_connector.domain.credential import IntegrationType
from xero_connector.domain.errors import StoreUnavailable
from xero_connector.domain.events import WITH_SETUP_URL, iso_time
from xero_connector.domain.history import CONNECTOR, Action, HistoryEntry
from xero_connector.domain.ports import Clock, Deadline, EventBus, History, Observer
from xero_connector.domain.setup_view import Purpose
from xero_connector.domain.shards import shards_of_events
from xero_connector.domain.time_budget import TIME_TO_PUBLISH_AT_ONCE, TIME_TO_PUBLISH_ONE
from xero_connector.services.issue_connect_link import IssueConnectLink
from xero_connector.services.issue_setup_link import IssueSetupLink

_HEALED_BY = {
    Action.REAUTHORIZATION_REQUIRED: Purpose.REAUTHORIZE,
    Action.CLIENT_REJECTED: Purpose.REPLACE_SECRET,
}
_MOST_PER_SHARD = 300
_MOST_REFUSED = 25
"""In a row: then it is the bus that is away, and not these events that it will not take."""
_MOST_MADE = 1_000
"""Events whose links a process keeps until the bus takes them."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class PublishEvents:
    """Publishes events that the registry holds already, so that none is lost and none tells of what never was.

    A process that dies in between, or an answer that is lost, makes an event go out again, under the same id.
    """

    history: History
    event_bus: EventBus
    issue_connect_link: IssueConnectLink
    issue_setup_link: IssueSetupLink
    clock: Clock
    deadline: Deadline
    observer: Observer
    _made: dict[UUID, Mapping[str, Any]] = field(default_factory=dict, init=False)
    """The links of events that the bus did not take: each try with links of its own would fill table and lists."""

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

    def left_over(self, *, deadline: datetime) -> int:
        """Publish what is not published yet; returns how many events went out.

        An event that is refused for itself holds up no other; where many are refused in a row, the bus is away.
        """
        published = refused = 0
        for shard in shards_of_events(self.clock()):
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
        links = self._made.get(entry.entry_id)
        if links is None:
            links = self._healing_links(entry)
            if links and len(self._made) < _MOST_MADE:
                self._made[entry.entry_id] = links
        self.event_bus.publish(entry.event_type, {**entry.event, **links}, at=entry.at)
        self.history.mark_published(entry)
        self._made.pop(entry.entry_id, None)

    def _healing_links(self, entry: HistoryEntry) -> Mapping[str, Any]:
        # Made only now: the registry holds no ticket in the clear.
        purpose = _HEALED_BY.get(entry.action)
        if purpose is None or entry.event is None:
            return {}
        # The entry may have been written by a release before these fields.
        links = {"schema_version": WITH_SETUP_URL, **self._setup_link(entry.client_id, purpose, entry.event)}
        if entry.action is not Action.REAUTHORIZATION_REQUIRED:
            return links
        link = self.issue_connect_link(entry.client_id)
        return {
            **links,
            "connect_url": link.connect_url,
            "connect_url_expires_at": iso_time(link.expires_at),
        }

    def _setup_link(self, client_id: str, purpose: Purpose, event: Mapping[str, Any]) -> Mapping[str, Any]:
        integration_type = IntegrationType(event["integration_type"])
        if purpose is Purpose.REAUTHORIZE and integration_type is IntegrationType.CUSTOM_CONNECTION:
            # There is no consent to lead to.
            return {"setup_url": None, "setup_url_expires_at": None}
        issued = self.issue_setup_link(
            purpose, by=CONNECTOR, label=event["label"], integration_type=integration_type, client_id=client_id
        )
        return {"setup_url": issued.setup_url, "setup_url_expires_at": iso_time(issued.link.expires_at)}

    def _postponed(self, entry: HistoryEntry, unavailable: StoreUnavailable) -> None:
        self.observer.count("EventPostponed")
        self.observer.warning(
            "event_postponed", client_id=entry.client_id, event_type=entry.event_type, detail=unavailable.detail
        )
