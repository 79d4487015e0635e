"""Keep what it takes to end a grant that a later consent replaces: at Xero it lives on."""

from dataclasses import dataclass

from xero_connector.domain.credential import REFRESH_TOKEN_LIFETIME, Credential, ParkedGrant
from xero_connector.domain.errors import StoreUnavailable
from xero_connector.domain.ports import Clock, Seal
from xero_connector.services.read_secrets import ReadSecrets

MOST_EARLIER_GRANTS = 20
"""In a row; the oldest give way. Refresh tokens that nobody uses are dead after 60 days."""


@dataclass(frozen=True, slots=True)
class KeepEarlierGrant:
    """Seals the refresh token of the present grant, so that a disconnect can end it with the others."""

    read_secrets: ReadSecrets
    seal: Seal
    clock: Clock

    def __call__(self, row: Credential) -> tuple[ParkedGrant, ...]:
        """Return the earlier grants of a row whose present grant is about to be replaced.

        Where its token cannot be read or sealed, an entry without a token remains: a disconnect then says that it
        could not be ended.
        """
        now = self.clock()
        alive = [grant for grant in row.earlier_grants if grant.obtained_at + REFRESH_TOKEN_LIFETIME > now]
        if row.generation > 0:
            alive.append(self._present(row))
        if row.parked is not None:
            alive.append(row.parked)
        return tuple(alive[-MOST_EARLIER_GRANTS:])

    def _present(self, row: Credential) -> ParkedGrant:
        obtained_at = row.last_refreshed_at or self.clock()
        try:
            refresh_token = self.read_secrets.tokens(row).secret.token.refresh_token
            sealed = self.seal.seal(refresh_token, context=row.seal_context) if refresh_token else ""
        except StoreUnavailable:
            sealed = ""
        return ParkedGrant(sealed=sealed, obtained_at=obtained_at, xero_user_id=row.xero_user_id)
