"""Point a credential at a version of its tokens."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from xero_connector.domain.credential import ConsentGiven, Credential
from xero_connector.domain.errors import LeaseUnavailable, VersionTaken
from xero_connector.domain.holding_tokens import holding
from xero_connector.domain.ports import Clock, Vault
from xero_connector.domain.refresh_policy import next_refresh
from xero_connector.domain.status import FINAL
from xero_connector.domain.tokens import StoredTokens, TokensSecret, consent_version_id, tokens_version_id
from xero_connector.domain.version_allowance import LOWEST_TO_REFRESH
from xero_connector.services.hold_lease import Change, HeldLease, unchanged
from xero_connector.services.keep_earlier_grant import KeepEarlierGrant, with_replaced
from xero_connector.services.list_tenants import Listing

type Commit = Callable[[Change], Credential]
"""How the credential is written: `HeldLease.end`, or `HeldLease.keep` where the holder goes on."""

MOST_TAKEN = 5


@dataclass(frozen=True, slots=True)
class Version:
    """A version of the tokens that is written, and not committed yet."""

    stored: StoredTokens
    version_id: str | None
    """None if it is the generation's own."""
    puts: int = 1


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class CommitTokens:
    """Writes the credential that names a stored version, as the last write of a turn or within one."""

    vault: Vault
    keep_earlier_grant: KeepEarlierGrant
    clock: Clock

    def __call__(
        self,
        lease: HeldLease,
        version: Version,
        listing: Listing,
        *,
        commit: Commit,
        also: Change = unchanged,
        consent: ConsentGiven | None = None,
    ) -> Credential:
        """Commit a version, with a further change in the same write; `consent` tells which one brought it, if any.

        Raises `LeaseUnavailable` if the lease was taken over.
        """
        replaced = None if consent is None else self.keep_earlier_grant(lease.credential)

        def change(credential: Credential, now: datetime) -> Credential:
            committed = _committed(credential, version, listing, consent, now=now)
            if consent is not None:
                earlier = with_replaced(credential, replaced, by=consent.request, now=now)
                committed = replace(committed, earlier_grants=earlier)
            return also(committed, now)

        try:
            return commit(change)
        except LeaseUnavailable:
            if mine := self._already_committed(lease, version, consent):
                return mine
            raise

    def _already_committed(
        self, lease: HeldLease, version: Version, consent: ConsentGiven | None
    ) -> Credential | None:
        """Find out why a commit failed: its own first write, whose answer was lost, or an overtaken lease.

        A version that came after the credential had ended brought its secret back: that is made good.
        """
        credential = lease.registry.get(lease.credential.client_id)
        if credential is None:
            return None
        if credential.incarnation == lease.credential.incarnation and _names(credential, version, consent):
            return credential
        if credential.status in FINAL or (credential.ending is not None and credential.ending.grants_done):
            self.vault.delete_tokens(credential.client_id)
        elif credential.incarnation != lease.credential.incarnation and credential.generation > 0:
            # Readers see a version of the life before: the next refresh, at once, writes a newer one.
            lease.registry.save(replace(credential, due_at=self.clock()))
        elif consent is not None and credential.generation > 0:
            # Readers see the tokens of a consent that came too late: the next refresh, at once, writes newer ones.
            lease.save_late(lambda credential, now: replace(credential, due_at=now))
        return None

    def put_under_next(self, lease: HeldLease, secret: TokensSecret) -> StoredTokens:
        """Store an answer under its generation, or the next one that is free."""
        credential = lease.credential
        for generation in range(secret.generation, secret.generation + MOST_TAKEN):
            numbered = replace(secret, generation=generation).within_limit()
            try:
                return self.vault.put_tokens(numbered, version_id=credential.tokens_version_id(generation))
            except VersionTaken:
                lease.renew()
        raise VersionTaken(credential.tokens_version_id(secret.generation + MOST_TAKEN))

    def put_once_more(self, lease: HeldLease, secret: TokensSecret, request: str) -> Version:
        """Store the answer of a consent again, under an id that a refresh cannot take for its own."""
        for again in range(1, 1 + MOST_TAKEN):
            version_id = consent_version_id(lease.credential.incarnation, request, again=again)
            try:
                return Version(self.vault.put_tokens(secret.within_limit(), version_id=version_id), version_id)
            except VersionTaken:
                lease.renew()
        raise VersionTaken(consent_version_id(lease.credential.incarnation, request, again=MOST_TAKEN))


def _committed(
    credential: Credential, version: Version, listing: Listing, consent: ConsentGiven | None, *, now: datetime
) -> Credential:
    secret = version.stored.secret
    due_at = max(
        next_refresh(
            credential.client_id,
            generation=secret.generation,
            obtained_at=secret.obtained_at,
            expires_in=secret.token.expires_in,
        ),
        now + credential.allowance.drawn(now).wait_for(LOWEST_TO_REFRESH, now),
    )
    connected = holding(
        credential, version.stored, due_at=due_at, now=now, version_id=version.version_id, consent=consent
    )
    # The organisations of a consent are told with the connection, pending ones once they are known. What an
    # earlier consent connected is not gone because this one does not name it.
    silently = credential.generation == 0 or listing.pending or consent is not None
    told = replace(connected, tenants=listing.tenants) if silently else connected.reaching(listing.tenants)
    for _ in range(version.puts - 1):
        told = replace(told, allowance=told.allowance.drawn(now))
    return replace(told, tenants_pending=listing.pending, tenants_checked_at=listing.checked_at)


def _names(credential: Credential, version: Version, consent: ConsentGiven | None) -> bool:
    """Whether a credential names a version, or has gone on from it: its number alone may be another's."""
    if consent is not None:
        return credential.grant_consent == consent.request
    generation = version.stored.secret.generation
    return credential.generation == generation and credential.tokens_version_id(generation) == (
        version.version_id or tokens_version_id(credential.incarnation, generation)
    )
