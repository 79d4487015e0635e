"""Change a row that nobody needs to be alone with."""

from collections.abc import Callable
from dataclasses import dataclass

from xero_connector.domain.credential import Credential
from xero_connector.domain.errors import RevisionConflict
from xero_connector.domain.ports import Registry
from xero_connector.services.find_credential import FindCredential

_MOST_CONFLICTS = 10


@dataclass(frozen=True, slots=True)
class ChangeCredential:
    """Reads, changes and writes a row, again if somebody else wrote in between."""

    registry: Registry
    find_credential: FindCredential

    def __call__(self, client_id: str, change: Callable[[Credential], Credential]) -> Credential:
        """Raises `NotFound`, and `RevisionConflict` if the row never stands still."""
        for _ in range(_MOST_CONFLICTS):
            try:
                return self.registry.save(change(self.find_credential(client_id)))
            except RevisionConflict:
                continue
        raise RevisionConflict(client_id)
