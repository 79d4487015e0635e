"""Keep what it takes to end a grant that a later consent replaces: at Xero it lives on."""

from dataclasses import dataclass
from datetime import datetime

from xero_connector.domain.credential import Credential
from xero_connector.domain.errors import StoreUnavailable
from xero_connector.domain.parked_grant import ParkedGrant, within_limit
from xero_connector.domain.ports import Clock, Seal
from xero_connector.services.read_secrets import ReadSecrets


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class KeepEarlierGrant:
    """Seals the refresh token of the present grant, so that a disconnect can end it with the others."""

    read_secrets: ReadSecrets
    seal: Seal
    clock: Clock

    def __call__(self, credential: Credential) -> ParkedGrant | None:
        """Return the present grant of a credential, sealed, or None if there is none.

        Where its token cannot be read or sealed, an entry without a token remains, and a disconnect says so.
        """
        if credential.generation == 0:
            return None
        obtained_at = credential.last_refreshed_at or self.clock()
        try:
            refresh_token = self.read_secrets.tokens(credential).secret.token.refresh_token
            sealed = self.seal.seal(refresh_token, context=credential.seal_context) if refresh_token else ""
        except StoreUnavailable:
            sealed = ""
        return ParkedGrant(sealed=sealed, obtained_at=obtained_at, xero_user_id=credential.xero_user_id)


def with_replaced(
    credential: Credential, present: ParkedGrant | None, *, by: str, now: datetime
) -> tuple[ParkedGrant, ...]:
    """Return the earlier grants of a credential once a consent has replaced its `present` grant.

    `by` is the authorization request of the consent: what waits of it in the credential is no other grant.
    """
    earlier = [*credential.earlier_grants, *(one for one in (present, credential.parked) if one is not None)]
    return within_limit([grant for grant in earlier if grant.consent != by], now)
