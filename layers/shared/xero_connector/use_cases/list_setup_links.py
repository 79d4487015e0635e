"""List setup links."""

from dataclasses import dataclass

from xero_connector.domain.ports import Clock, Page, SetupLinks
from xero_connector.domain.setup_link import LinkState, SetupLink
from xero_connector.services.change_setup_link import ChangeSetupLink
from xero_connector.services.settle_setup_link import SettleSetupLink

_MOST_PAGES = 5
"""Of the store, for one page of the list: a state is not a key, so links in other states are read over."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ListSetupLinks:
    """Lists links, the newest first, or finds one."""

    setup_links: SetupLinks
    change_setup_link: ChangeSetupLink
    settle_setup_link: SettleSetupLink
    clock: Clock

    def __call__(self, *, state: LinkState | None, limit: int, next_token: str | None) -> Page[SetupLink]:
        """Return up to `limit` links; fewer, even none, where others had to be read over.

        Raises `MalformedRequest` for an invalid next_token.
        """
        found: list[SetupLink] = []
        for _ in range(_MOST_PAGES):
            page = self.setup_links.page(limit=limit - len(found), next_token=next_token)
            links = [self._settled(link) for link in page.items]
            found += [link for link in links if state is None or link.state(self.clock()) is state]
            next_token = page.next_token
            if next_token is None or len(found) == limit:
                break
        return Page(found, next_token)

    def one(self, setup_link_id: str) -> SetupLink:
        """Raises `NotFound`."""
        return self.settle_setup_link(self.change_setup_link.find(setup_link_id))

    def _settled(self, link: SetupLink) -> SetupLink:
        at_work = link.claim is not None and link.claim.until > self.clock()
        return link if at_work else self.settle_setup_link(link)
