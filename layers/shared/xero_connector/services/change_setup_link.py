"""Change a setup link, whoever else writes it at the same time."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from xero_connector.domain.errors import NotFound, RevisionConflict
from xero_connector.domain.events import failing_entry
from xero_connector.domain.ports import Clock, Observer, SetupLinks
from xero_connector.domain.setup_link import SetupLink, is_setup_link_id
from xero_connector.services.publish_events import PublishEvents

if TYPE_CHECKING:
    from xero_connector.domain.history import HistoryEntry

_MOST_CONFLICTS = 5


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ChangeSetupLink:
    """Reads, changes and writes a link; tells when it begins to fail."""

    setup_links: SetupLinks
    publish_events: PublishEvents
    clock: Clock
    observer: Observer

    def __call__(self, setup_link_id: str, change: Callable[[SetupLink], SetupLink]) -> SetupLink:
        """Raises `NotFound`, `RevisionConflict` if the link changes each time, and what `change` raises."""
        for _ in range(_MOST_CONFLICTS):
            before = self.find(setup_link_id)
            changed = change(before)
            if changed == before:
                return before
            entries: tuple[HistoryEntry, ...] = ()
            if changed.has_just_begun_to_fail(before):
                entries = (failing_entry(replace(changed, revision=before.revision + 1), self.clock()),)
            try:
                saved = self.setup_links.save(changed, *entries)
            except RevisionConflict:
                continue
            if entries:
                self.observer.count("SetupLinksFailing")
                self.publish_events.at_once(entries)
            return saved
        raise RevisionConflict(setup_link_id)

    def find(self, setup_link_id: str) -> SetupLink:
        """Raises `NotFound`."""
        link = self.setup_links.get(setup_link_id) if is_setup_link_id(setup_link_id) else None
        if link is None:
            raise NotFound(
                "There is no setup link with this id.",
                code="setup_link_not_found",
                hint="List the setup links with GET /setup-links. A link is removed 90 days after it expired.",
            )
        return link
