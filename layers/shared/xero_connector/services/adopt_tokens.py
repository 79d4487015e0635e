"""Commit what an earlier attempt stored before it was cut off."""

from dataclasses import dataclass, replace

from xero_connector.domain.credential import ConsentGiven, Credential
from xero_connector.domain.errors import SecretDeleted
from xero_connector.domain.ports import Clock, Deadline, Vault
from xero_connector.domain.time_budget import TIME_TO_LIST_AFTER_STORING
from xero_connector.domain.tokens import StoredTokens, TokensSecret, consent_version_id
from xero_connector.services.commit_tokens import MOST_TAKEN, CommitTokens, Version
from xero_connector.services.hold_lease import HeldLease, unchanged
from xero_connector.services.list_tenants import Listing, ListTenants


@dataclass(frozen=True, slots=True)
class AdoptTokens:
    """Looks for versions that the row does not name yet. Committing one gives the lease back."""

    vault: Vault
    commit_tokens: CommitTokens
    list_tenants: ListTenants
    clock: Clock
    deadline: Deadline

    def newer(self, held: HeldLease) -> Credential | None:
        """Commit the newest version that an earlier attempt stored; None if none is (yet) to be seen."""
        row = held.row
        newest: StoredTokens | None = None
        for generation in range(row.generation + 1, row.generation + 1 + MOST_TAKEN):
            stored = self._seen(row.client_id, row.tokens_version_id(generation))
            if stored is None:
                break
            newest = stored
        if newest is None:
            return None
        # Cut-off work may have stored its answer before it could list the organisations.
        pending = not newest.secret.tenants
        tenants = row.tenants if pending else newest.secret.tenants
        return self.commit_tokens(
            held,
            Version(newest, None),
            self._listed(Listing(tenants, pending, row.tenants_checked_at), newest.secret),
            also=unchanged,
            consent=None,
        )

    def consent(self, held: HeldLease) -> Credential | None:
        """Commit what a consent stored before it was cut off; None if nothing is (yet) to be seen.

        What the row holds by then may be newer in the vault than the consent's answer: that is then written again,
        so that it is the current version for readers too.
        """
        row = held.row
        given = _looked_for(row)
        if given is None or given.request == row.grant_consent:
            return None
        version = self._newest_of(row, given.request)
        if version is None:
            return None
        stored = version.stored
        if stored.secret.generation <= row.generation:
            renumbered = replace(stored.secret, generation=row.generation + 1)
            version = self.commit_tokens.put_once_more(held, renumbered, given.request)
        # The organisations of the grant before may be another user's.
        pending = not stored.secret.tenants
        return self.commit_tokens(
            held,
            version,
            self._listed(Listing(stored.secret.tenants, pending, None), stored.secret),
            also=unchanged,
            consent=given,
        )

    def _newest_of(self, row: Credential, request: str) -> Version | None:
        newest = None
        for again in range(1 + MOST_TAKEN):
            version_id = consent_version_id(row.incarnation, request, again=again)
            stored = self._seen(row.client_id, version_id)
            if stored is None:
                break
            newest = Version(stored, version_id)
        return newest

    def _listed(self, known: Listing, secret: TokensSecret) -> Listing:
        in_time = (
            self.deadline() - self.clock() > TIME_TO_LIST_AFTER_STORING and self.clock() < secret.token_expires_at
        )
        return (
            self.list_tenants.everything(known, secret.token.access_token) if known.pending and in_time else known
        )

    def _seen(self, client_id: str, version_id: str) -> StoredTokens | None:
        try:
            return self.vault.get_tokens(client_id, version_id=version_id)
        except SecretDeleted:
            # Deleted with an earlier life of this credential: this one has stored nothing yet.
            return None


def _looked_for(row: Credential) -> ConsentGiven | None:
    """Return the consent whose answer may be in the vault: one that was cut off, or one that is parked."""
    if row.consenting is not None:
        return ConsentGiven(row.consenting, None)
    if row.parked is not None and row.parked.consent is not None:
        return ConsentGiven(row.parked.consent, row.parked.xero_user_id)
    return None
