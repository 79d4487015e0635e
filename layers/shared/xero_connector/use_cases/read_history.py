"""Read the audit trail of a credential."""

from dataclasses import dataclass

from xero_connector.domain.history import HistoryEntry
from xero_connector.domain.ports import History, Page
from xero_connector.services.find_credential import FindCredential


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ReadHistory:
    """Lists who did what and when, newest first, including earlier submissions of the client ID."""

    history: History
    find_credential: FindCredential

    def __call__(self, client_id: str, *, limit: int, next_token: str | None) -> Page[HistoryEntry]:
        """Raises `NotFound`, and `MalformedRequest` for an invalid next_token."""
        self.find_credential(client_id)
        return self.history.page(client_id, limit=limit, next_token=next_token)
