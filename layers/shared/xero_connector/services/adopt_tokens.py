"""Commit what an earlier attempt stored before it was cut off."""

from dataclasses import dataclass, replace

from xero_connector.domain.credential import ConsentGiven, Credential
from xero_connector.domain.errors import SecretDeleted
from xero_connector.domain.ports import Clock, Deadline, Vault
from xero_connector.domain.time_budget import TIME_TO_LIST_AFTER_STORING
from xero_connector.domain.tokens import StoredTokens, TokensSecret, consent_version_id
from xero_connector.services.commit_tokens import MOST_TAKEN, Commit, CommitTokens, Version
from xero_connector.services.hold_lease import HeldLease
from xero_connector.services.list_tenants import Listing, ListTenants


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class AdoptTokens:
    """Looks for versions that the credential does not name yet, and commits what it finds."""

    vault: Vault
    commit_tokens: CommitTokens
    list_tenants: ListTenants
    clock: Clock
    deadline: Deadline

    def newer(self, lease: HeldLease, *, commit: Commit) -> Credential | None:
        """Commit the newest version that an earlier attempt stored; None if none is (yet) to be seen."""
        credential = lease.credential
        newest: StoredTokens | None = None
        for generation in range(credential.generation + 1, credential.generation + 1 + MOST_TAKEN):
            stored = self._seen(credential.client_id, credential.tokens_version_id(generation))
            if stored is None:
                break
            newest = stored
        if newest is None:
            return None
        # Cut-off work may have stored its answer before it could list the organisations.
        pending = not newest.secret.tenants
        tenants = credential.tenants if pending else newest.secret.tenants
        return self.commit_tokens(
            lease,
            Version(newest, None),
            self._listed(Listing(tenants, pending, credential.tenants_checked_at), newest.secret),
            commit=commit,
        )

    def consent(self, lease: HeldLease, *, commit: Commit, request: str | None = None) -> Credential | None:
        """Commit what a consent stored before it was cut off; None if nothing is (yet) to be seen.

        `request` is its authorization request (the hash of its state), None for the one that the credential names.

        What the vault holds by then may be newer than the consent's answer. The answer is then written again, so
        that it is the current version for readers too.
        """
        credential = lease.credential
        given = _looked_for(credential) if request is None else ConsentGiven(request, None)
        if given is None or given.request == credential.grant_consent:
            return None
        version = self._newest_of(credential, given.request)
        if version is None:
            return None
        stored = version.stored
        if stored.secret.generation <= credential.generation:
            renumbered = replace(stored.secret, generation=credential.generation + 1)
            version = self.commit_tokens.put_once_more(lease, renumbered, given.request)
        # The organisations of the grant before may be another user's.
        pending = not stored.secret.tenants
        return self.commit_tokens(
            lease,
            version,
            self._listed(Listing(stored.secret.tenants, pending, None), stored.secret),
            commit=commit,
            consent=given,
        )

    def _newest_of(self, credential: Credential, request: str) -> Version | None:
        newest = None
        for again in range(1 + MOST_TAKEN):
            version_id = consent_version_id(credential.incarnation, request, again=again)
            stored = self._seen(credential.client_id, version_id)
            if stored is None:
                break
            newest = Version(stored, version_id)
        return newest

    def _listed(self, listing: Listing, secret: TokensSecret) -> Listing:
        in_time = (
            self.deadline() - self.clock() > TIME_TO_LIST_AFTER_STORING and self.clock() < secret.token_expires_at
        )
        return (
            self.list_tenants.everything(listing, secret.token.access_token)
            if listing.pending and in_time
            else listing
        )

    def _seen(self, client_id: str, version_id: str) -> StoredTokens | None:
        try:
            return self.vault.get_tokens(client_id, version_id=version_id)
        except SecretDeleted:
            # Deleted with an earlier life of this credential: this one has stored nothing yet.
            return None


def _looked_for(credential: Credential) -> ConsentGiven | None:
    """Return the consent whose answer may be in the vault: one that was cut off, or one that is parked."""
    if credential.consenting is not None:
        return ConsentGiven(credential.consenting, None)
    if credential.parked is not None and credential.parked.consent is not None:
        return ConsentGiven(credential.parked.consent, credential.parked.xero_user_id)
    return None
