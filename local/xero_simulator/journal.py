from datetime import datetime
from threading import Lock
from typing import NotRequired, TypedDict


class JournalEntry(TypedDict):
    """One request as the simulator saw it; `status` is None where the connection was dropped."""

    at: str
    method: str
    path: str
    client_id: str | None
    grant_type: NotRequired[str]
    status: int | None


class Journal:
    """What was asked of the simulator, in the order of the answers; never a secret, token, code or state."""

    def __init__(self) -> None:
        self._entries: list[JournalEntry] = []
        self._lock = Lock()

    @property
    def page(self) -> list[JournalEntry]:
        """Where a request that arrives now belongs: answers still due when all is forgotten stay unseen."""
        with self._lock:
            return self._entries

    def record(
        self,
        page: list[JournalEntry],
        at: datetime,
        *,
        method: str,
        path: str,
        status: int | None,
        client_id: str | None = None,
        grant_type: str | None = None,
    ) -> None:
        """Note one request; callers pass ids and grant types that they know to be such."""
        entry: JournalEntry = {
            "at": at.isoformat(),
            "method": method,
            "path": path,
            "client_id": client_id,
            "status": status,
        }
        if grant_type is not None:
            entry["grant_type"] = grant_type
        with self._lock:
            page.append(entry)

    @property
    def entries(self) -> list[JournalEntry]:
        with self._lock:
            return list(self._entries)

    def clear(self) -> None:
        """Forget every entry, by turning to a new page."""
        with self._lock:
            self._entries = []
