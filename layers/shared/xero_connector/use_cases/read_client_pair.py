"""Read the client secret that is in force."""

from xero_connector.domain.credential import Credential
from xero_connector.domain.errors import StoreUnavailable
from xero_connector.domain.ports import Vault
from xero_connector.domain.tokens import ClientPair


def read_client_pair(vault: Vault, row: Credential) -> ClientPair:
    """Return the pair that the row names.

    The registry vouches for the version, so that a reader who does not find it cannot see it yet: raises
    `StoreUnavailable`, and `SecretDeleted` once the secret is scheduled for deletion.
    """
    pair = vault.get_client_pair(row.client_id, version_id=row.client_version_id)
    if pair is None:
        raise StoreUnavailable("GetSecretValue", "VersionNotVisible")
    return pair
