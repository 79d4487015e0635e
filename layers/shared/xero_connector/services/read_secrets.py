"""Read the secrets that a credential vouches for."""

from collections.abc import Callable
from dataclasses import dataclass

from xero_connector.domain.credential import Credential
from xero_connector.domain.errors import SecretDeleted, SecretNotVisible
from xero_connector.domain.ports import Observer, Registry, Vault
from xero_connector.domain.status import FINAL, Status
from xero_connector.domain.tokens import ClientPair, StoredTokens

_ENDED = FINAL | {Status.DISCONNECTING}


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ReadSecrets:
    """Reads by version id; brings back a secret that is scheduled for deletion while its credential lives.

    Only a credential that has ended loses its secrets. One that has not was deleted by hand, or by a disconnect
    that was overtaken by a new submission: bringing it back makes that good.
    """

    registry: Registry
    vault: Vault
    observer: Observer

    def pair(self, credential: Credential) -> ClientPair:
        """Return the pair in force; raises `SecretNotVisible` where this reader cannot see it (yet)."""
        return self._found(
            credential,
            lambda: self.vault.get_client_pair(credential.client_id, version_id=credential.client_version_id),
            restore=self.vault.restore_client_pair,
            delete=self.vault.delete_client_pair,
        )

    def tokens(self, credential: Credential) -> StoredTokens:
        """Return the tokens in force; raises `SecretNotVisible` where this reader cannot see them (yet)."""
        return self._found(
            credential,
            lambda: self.vault.get_tokens(
                credential.client_id, version_id=credential.tokens_version_id(credential.generation)
            ),
            restore=self.vault.restore_tokens,
            delete=self.vault.delete_tokens,
        )

    def _found[Secret](
        self,
        credential: Credential,
        read: Callable[[], Secret | None],
        *,
        restore: Callable[[str], None],
        delete: Callable[[str], None],
    ) -> Secret:
        try:
            secret = read()
        except SecretDeleted:
            if not self._lives(credential):
                # Ended while this reader was at work: what was deleted stays deleted.
                raise
            restore(credential.client_id)
            if not self._lives(credential):
                # It ended in this very moment: that is made good.
                delete(credential.client_id)
                raise
            self.observer.count("SecretRestored")
            self.observer.warning("secret_restored", client_id=credential.client_id)
            secret = self._read_restored(read)
        if secret is None:
            raise SecretNotVisible
        return secret

    def _lives(self, credential: Credential) -> bool:
        present = self.registry.get(credential.client_id)
        return (
            present is not None and present.incarnation == credential.incarnation and present.status not in _ENDED
        )

    @staticmethod
    def _read_restored[Secret](read: Callable[[], Secret | None]) -> Secret | None:
        try:
            return read()
        except SecretDeleted:
            # This reader does not see yet that it is back.
            return None
