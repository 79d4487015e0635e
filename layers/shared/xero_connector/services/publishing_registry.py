"""A registry whose writes make their domain events go out."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from xero_connector.domain.credential import Credential
from xero_connector.domain.events import entries_of
from xero_connector.domain.ports import Due, Page, Registry
from xero_connector.domain.status import Status
from xero_connector.services.publish_events import PublishEvents


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class PublishingRegistry:
    """`Registry` over another one: no writer can forget to publish, for none of them has to think of it."""

    registry: Registry
    publish_events: PublishEvents

    def get(self, client_id: str) -> Credential | None:
        """See `Registry`."""
        return self.registry.get(client_id)

    def create(self, credential: Credential, *, replacing: Credential | None) -> Credential:
        """See `Registry`."""
        return self._published(credential, self.registry.create(credential, replacing=replacing))

    def save(self, credential: Credential) -> Credential:
        """See `Registry`."""
        return self._published(credential, self.registry.save(credential))

    def page(self, *, status: Status | None, limit: int, next_token: str | None) -> Page[Credential]:
        """See `Registry`."""
        return self.registry.page(status=status, limit=limit, next_token=next_token)

    def due(self, *, shard: str, now: datetime, limit: int) -> Sequence[Due]:
        """See `Registry`."""
        return self.registry.due(shard=shard, now=now, limit=limit)

    def reserve(self, client_id: str, *, owner: str, now: datetime, until: datetime) -> bool:
        """See `Registry`."""
        return self.registry.reserve(client_id, owner=owner, now=now, until=until)

    def unreserve(self, client_id: str, *, owner: str) -> None:
        """See `Registry`."""
        self.registry.unreserve(client_id, owner=owner)

    def _published(self, written: Credential, saved: Credential) -> Credential:
        if written.notes:
            self.publish_events.at_once(entries_of(replace(saved, notes=written.notes)))
        return saved
