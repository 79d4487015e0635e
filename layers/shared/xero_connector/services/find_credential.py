"""Look a credential up, or say that it is not there."""

from dataclasses import dataclass

from xero_connector.domain.credential import Credential
from xero_connector.domain.errors import NotFound
from xero_connector.domain.ports import Registry


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class FindCredential:
    """Reads the registry."""

    registry: Registry

    def __call__(self, client_id: str) -> Credential:
        """Raises `NotFound`."""
        credential = self.registry.get(client_id)
        if credential is None:
            raise NotFound(
                "There is no credential with this client_id.",
                code="credential_not_found",
                hint="Check the client ID, or submit the pair with POST /credentials.",
            )
        return credential
