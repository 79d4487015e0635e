"""Read what a refresh presents: the tokens in the vault, or the newer one that waits in the credential."""

from dataclasses import dataclass

from xero_connector.domain.credential import Credential, IntegrationType
from xero_connector.domain.errors import UNUSABLE, SecretNotVisible, StoreUnavailable
from xero_connector.domain.failed_refresh import Secret
from xero_connector.domain.ports import Seal
from xero_connector.domain.tokens import StoredTokens
from xero_connector.services.read_secrets import ReadSecrets


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ReadGrant:
    """Reads the grant of a credential; raises `SecretNotVisible` where no part of it can be read."""

    read_secrets: ReadSecrets
    seal: Seal

    def stored(self, credential: Credential) -> StoredTokens | None:
        """Return the tokens in the vault, None where all that it has waits in the credential."""
        if credential.generation == 0:
            return None
        try:
            return self.read_secrets.tokens(credential)
        except SecretNotVisible:
            if credential.parked is None:
                raise
            return None

    def newest_refresh_token(self, credential: Credential, current: StoredTokens | None) -> str | None:
        """Return the newest refresh token, from the credential or from `current`; None if the grant has none."""
        if credential.parked is not None:
            try:
                return self.seal.unseal(credential.parked.sealed, context=credential.seal_context)
            except StoreUnavailable as trouble:
                if trouble.reason not in UNUSABLE:
                    raise
            if current is None:
                # Neither of the two can be read.
                raise SecretNotVisible
        return None if current is None else current.secret.token.refresh_token

    def missing(self, credential: Credential) -> Secret | None:
        """Look once more which secret cannot be read."""
        try:
            self.read_secrets.pair(credential)
        except SecretNotVisible:
            return Secret.CLIENT
        if credential.integration_type is IntegrationType.CUSTOM_CONNECTION:
            return None
        try:
            self.newest_refresh_token(credential, self.stored(credential))
        except SecretNotVisible:
            return Secret.TOKENS
        return None
