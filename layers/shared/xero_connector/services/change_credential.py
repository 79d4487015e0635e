"""Change a credential without taking its lease."""

from collections.abc import Callable
from dataclasses import dataclass

from xero_connector.domain.credential import Credential
from xero_connector.domain.errors import RevisionConflict
from xero_connector.domain.ports import Registry
from xero_connector.services.find_credential import FindCredential

_MOST_CONFLICTS = 10


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ChangeCredential:
    """Reads, changes and writes a credential, and again if another writer came in between."""

    registry: Registry
    find_credential: FindCredential

    def __call__(self, client_id: str, change: Callable[[Credential], Credential]) -> Credential:
        """Raises `NotFound`, and `RevisionConflict` if the credential changes each time."""
        for _ in range(_MOST_CONFLICTS):
            try:
                return self.registry.save(change(self.find_credential(client_id)))
            except RevisionConflict:
                continue
        raise RevisionConflict(client_id)
