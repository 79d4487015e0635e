"""The one way by which tokens become current: write the version, and only then the registry."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from xero_connector.domain.credential import Credential
from xero_connector.domain.errors import SecretDeleted, VersionTaken
from xero_connector.domain.ports import Vault
from xero_connector.domain.refresh_policy import next_refresh
from xero_connector.domain.tokens import StoredTokens, TokenAnswer, TokensSecret
from xero_connector.use_cases.hold_lease import HeldLease
from xero_connector.use_cases.list_tenants import Listing

type Change = Callable[[Credential, datetime], Credential]

_MOST_TAKEN = 5
_UNKNOWN_USER = "xero_user"
_PUT_BUDGET = timedelta(seconds=15)
"""The vault's time-outs and retries: no put starts with less of the lease left."""


def _nothing_else(row: Credential, _: datetime) -> Credential:
    return row


@dataclass(frozen=True, slots=True)
class StoreTokens:
    """Stores answers of the token endpoint, and adopts those that an earlier attempt stored."""

    vault: Vault

    def __call__(
        self,
        held: HeldLease,
        answer: TokenAnswer,
        listing: Listing,
        *,
        also: Change = _nothing_else,
        consented: str | None = None,
    ) -> Credential:
        """Store an answer under the next generation and commit it, with a further change to the same row.

        `consented` names the user whose consent brought it, None for a refresh.

        A version id that is taken means that an earlier attempt got as far as storing and this reader could
        not see it yet. The answer in hand is the newer one, provided that the lease is still held: it goes
        under the generation after.
        """
        held.ensure(_PUT_BUDGET)
        row = held.row
        for generation in range(row.generation + 1, row.generation + 1 + _MOST_TAKEN):
            secret = TokensSecret(
                client_id=row.client_id,
                generation=generation,
                obtained_at=answer.obtained_at,
                token=answer.token,
                tenants=listing.tenants,
            ).within_limit()
            try:
                stored = self.vault.put_tokens(secret, version_id=row.tokens_version_id(generation))
            except VersionTaken:
                held.renew()
            else:
                return self._commit(held, stored, listing, also=also, consented=consented)
        raise VersionTaken(row.tokens_version_id(row.generation + _MOST_TAKEN))

    def adopt_newer(self, held: HeldLease) -> Credential | None:
        """Commit the newest version that an earlier attempt stored; None if none is (yet) to be seen."""
        row = held.row
        newest: StoredTokens | None = None
        for generation in range(row.generation + 1, row.generation + 1 + _MOST_TAKEN):
            try:
                stored = self.vault.get_tokens(row.client_id, version_id=row.tokens_version_id(generation))
            except SecretDeleted:
                # Deleted with an earlier life of this credential: this one has stored nothing yet.
                break
            if stored is None:
                break
            newest = stored
        if newest is None:
            return None
        # Cut-off work may have stored its answer before it could list the organisations. Those of the grant before
        # are no guide then: after a consent they may be another user's.
        pending = not newest.secret.tenants
        tenants = row.tenants if pending and not row.consenting else newest.secret.tenants
        began = newest.secret.generation if row.consenting else row.grant_began
        return self._commit(
            held,
            newest,
            Listing(tenants, pending, row.tenants_checked_at),
            also=lambda row, _: replace(row, grant_began=began),
            consented=_UNKNOWN_USER if row.consenting else None,
        )

    @staticmethod
    def _commit(
        held: HeldLease,
        stored: StoredTokens,
        listing: Listing,
        *,
        also: Change,
        consented: str | None,
    ) -> Credential:
        due_at = next_refresh(
            held.row.client_id,
            generation=stored.secret.generation,
            obtained_at=stored.secret.obtained_at,
            expires_in=stored.secret.token.expires_in,
        )

        def change(row: Credential, now: datetime) -> Credential:
            holding = row.holding(stored, due_at=due_at, now=now, consented=consented)
            # The organisations of a consent are told with the connection, pending ones once they are known. What
            # an earlier consent connected is not gone because this one does not name it.
            silently = row.generation == 0 or listing.pending or consented is not None
            known = replace(holding, tenants=listing.tenants) if silently else holding.reaching(listing.tenants)
            known = replace(known, tenants_pending=listing.pending, tenants_checked_at=listing.checked_at)
            return also(known, now)

        return held.save(change)
