"""The last resort before a grant is given up: the refresh tokens of the generations before."""

from dataclasses import dataclass

from xero_connector.domain.credential import Credential
from xero_connector.domain.ports import Vault
from xero_connector.domain.token_endpoint import FailureKind, TokenEndpointFailure
from xero_connector.services.ask_for_tokens import AskForTokens
from xero_connector.services.list_tenants import Listing
from xero_connector.services.read_secrets import ReadSecrets
from xero_connector.services.refresh_turn import RefreshTurn
from xero_connector.services.store_tokens import StoreTokens

_OLDER_GENERATIONS = 2
"""How far back the last resort goes: an older answer may be the one that Xero gave last."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class PresentOlderTokens:
    """Presents the older tokens of the present grant, and stores what one of them brings."""

    vault: Vault
    read_secrets: ReadSecrets
    ask_for_tokens: AskForTokens
    store_tokens: StoreTokens

    def __call__(self, turn: RefreshTurn) -> Credential | None:
        """Try the refresh tokens of the generations before, as a last resort; None if they are dead as well.

        Two holders whose leases overlapped can have stored their answers in the other order than Xero gave them,
        and an adopted answer can have been replaced by one that got lost. Then an older token is alive:
        in its own right, or within its grace. Tokens of an earlier consent are left alone: they may reach other
        organisations. Raises `TokenEndpointFailure` where Xero does not say.
        """
        credential = turn.lease.credential
        pair = self.read_secrets.pair(credential)
        newest = credential.generation if credential.parked is not None else credential.generation - 1
        oldest = max(credential.grant_began, credential.generation - _OLDER_GENERATIONS, 1)
        for generation in range(newest, oldest - 1, -1):
            older = self.vault.get_tokens(
                credential.client_id, version_id=credential.tokens_version_id(generation)
            )
            if older is None or older.secret.token.refresh_token is None:
                continue
            try:
                answer = self.ask_for_tokens.with_refresh_token(turn.lease, pair, older.secret.token.refresh_token)
            except TokenEndpointFailure as failure:
                if failure.kind is not FailureKind.INVALID_GRANT:
                    raise
                continue
            answer = answer.keeping(older.secret.token)
            return self.store_tokens.and_end(turn.lease, answer, Listing.of(credential), gate=turn.gate)
        return None
