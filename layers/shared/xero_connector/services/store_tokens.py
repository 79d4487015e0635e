"""The one way by which tokens become current: write the version, and only then the registry."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from xero_connector.domain.credential import ConsentGiven, Credential
from xero_connector.domain.errors import LeaseUnavailable, SecretDeleted, StoreUnavailable, VersionTaken
from xero_connector.domain.parked_grant import ParkedGrant
from xero_connector.domain.ports import Clock, Deadline, Observer, Pause, Seal, Vault
from xero_connector.domain.refresh_policy import LOOK_AGAIN_AFTER, next_refresh
from xero_connector.domain.status import FINAL
from xero_connector.domain.tokens import StoredTokens, TokenAnswer, TokensSecret, consent_version_id
from xero_connector.domain.version_allowance import LOWEST_TO_REFRESH
from xero_connector.services.hold_lease import Change, HeldLease, unchanged
from xero_connector.services.insist import Insist
from xero_connector.services.keep_earlier_grant import KeepEarlierGrant
from xero_connector.services.list_tenants import Listing, ListTenants
from xero_connector.services.vault_gate import VaultGate

_MOST_TAKEN = 5
_MOST_PUTS = 60
_PUT_BUDGET = timedelta(seconds=10)
"""The vault's time-outs and its retry: no put starts with less of the lease left."""
_TIME_TO_PARK = timedelta(seconds=8)
_TIME_TO_LIST = timedelta(seconds=14)
"""Listing the organisations, a second version with them, and the commit."""
_TIME_TO_ANSWER = timedelta(seconds=1)
_LONGEST_PAUSE = 5.0
_OF_ONE_SECRET = frozenset({"LimitExceededException"})
"""What stands in the way of one secret's writes, and says nothing about the vault."""


@dataclass(frozen=True, slots=True)
class Version:
    """A version of the tokens that is written, and not committed yet."""

    stored: StoredTokens
    version_id: str | None
    """None if it is the generation's own."""
    puts: int = 1


@dataclass(frozen=True, slots=True)
class StoreTokens:
    """Stores answers of the token endpoint, and adopts those that an earlier attempt stored.

    After an answer nothing comes before storing it, and storing is insisted on to the end of the time there is.
    What the vault does not take is parked: the refresh token, sealed with the vault's key, in the row.
    """

    vault: Vault
    seal: Seal
    keep_earlier_grant: KeepEarlierGrant
    list_tenants: ListTenants
    clock: Clock
    deadline: Deadline
    pause: Pause
    insist: Insist
    observer: Observer

    def __call__(
        self,
        held: HeldLease,
        answer: TokenAnswer,
        known: Listing,
        *,
        gate: VaultGate,
        list_after: Callable[[], Listing] | None = None,
        also: Change = unchanged,
        consent: ConsentGiven | None = None,
    ) -> Credential:
        """Store an answer under the next generation and commit it, with a further change to the same row.

        `consent` tells which one brought it, None for a refresh. `list_after` lists the organisations once the
        answer is safe. The row that comes back has the grant `parked` if the vault did not take it; raises
        `LeaseUnavailable` if the lease was taken over.

        A version id that is taken means that an earlier attempt got as far as storing and this reader could
        not see it yet. The answer in hand is the newer one, provided that the lease is still held: it goes
        under the generation after.
        """
        version = self._put_insisting(held, answer, known, gate, consent)
        if version is None:
            return self._park(held, answer, consent)
        if list_after is not None and self.deadline() - self.clock() > _TIME_TO_LIST:
            known = list_after()
            if known.tenants and version.version_id is not None:
                version = self._with_tenants(held, version, known)
        return self._commit(held, version, known, also=also, consent=consent)

    def adopt_newer(self, held: HeldLease) -> Credential | None:
        """Commit the newest version that an earlier attempt stored; None if none is (yet) to be seen."""
        row = held.row
        newest: StoredTokens | None = None
        for generation in range(row.generation + 1, row.generation + 1 + _MOST_TAKEN):
            stored = self._seen(row.client_id, row.tokens_version_id(generation))
            if stored is None:
                break
            newest = stored
        if newest is None:
            return None
        # Cut-off work may have stored its answer before it could list the organisations.
        pending = not newest.secret.tenants
        tenants = row.tenants if pending else newest.secret.tenants
        return self._commit(
            held,
            Version(newest, None),
            self._listed(Listing(tenants, pending, row.tenants_checked_at), newest.secret),
            also=unchanged,
            consent=None,
        )

    def adopt_consent(self, held: HeldLease) -> Credential | None:
        """Commit what a consent stored before it was cut off; None if nothing is (yet) to be seen.

        What the row holds by then may be newer in the vault than the consent's answer: that is then written again,
        so that it is the current version for readers too.
        """
        row = held.row
        if row.consenting is None:
            return None
        version_id = consent_version_id(row.incarnation, row.consenting)
        stored = self._seen(row.client_id, version_id)
        if stored is None:
            return None
        version = Version(stored, version_id)
        if stored.secret.generation <= row.generation:
            again = self._put_under_next(held, replace(stored.secret, generation=row.generation + 1))
            version = Version(again, None)
        # The organisations of the grant before may be another user's.
        pending = not stored.secret.tenants
        return self._commit(
            held,
            version,
            self._listed(Listing(stored.secret.tenants, pending, None), stored.secret),
            also=unchanged,
            consent=ConsentGiven(row.consenting, None),
        )

    def _listed(self, known: Listing, secret: TokensSecret) -> Listing:
        in_time = self.deadline() - self.clock() > _TIME_TO_LIST and self.clock() < secret.token_expires_at
        return (
            self.list_tenants.everything(known, secret.token.access_token) if known.pending and in_time else known
        )

    def _seen(self, client_id: str, version_id: str) -> StoredTokens | None:
        try:
            return self.vault.get_tokens(client_id, version_id=version_id)
        except SecretDeleted:
            # Deleted with an earlier life of this credential: this one has stored nothing yet.
            return None

    def _put_insisting(
        self,
        held: HeldLease,
        answer: TokenAnswer,
        known: Listing,
        gate: VaultGate,
        consent: ConsentGiven | None,
    ) -> Version | None:
        pause = 0.5
        for _ in range(_MOST_PUTS):
            began = self.clock()
            try:
                version = self._put(held, answer, known, consent)
            except StoreUnavailable as trouble:
                self._note_not_stored(held.row, trouble)
                if trouble.reason in _OF_ONE_SECRET:
                    held.row = replace(held.row, allowance=held.row.allowance.exhausted(self.clock()))
                    return None
                gate.failed()
            else:
                gate.succeeded()
                return version
            now = self.clock()
            if self.deadline() - now < _TIME_TO_PARK + (now - began) + timedelta(seconds=pause):
                return None
            self.pause(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)
        return None

    def _note_not_stored(self, row: Credential, trouble: StoreUnavailable) -> None:
        self.observer.count("TokensNotStored")
        self.observer.event("tokens_not_stored", client_id=row.client_id, detail=trouble.detail)

    def _put(self, held: HeldLease, answer: TokenAnswer, known: Listing, consent: ConsentGiven | None) -> Version:
        secret = TokensSecret(
            client_id=held.row.client_id,
            generation=held.row.generation + 1,
            obtained_at=answer.obtained_at,
            token=answer.token,
            tenants=known.tenants,
        )
        if consent is None:
            self._ensure_as_far_as_possible(held)
            return Version(self._put_under_next(held, secret), None)
        # Nobody else writes under this id: what a code brought is stored even by a holder that was overtaken.
        version_id = consent_version_id(held.row.incarnation, consent.request)
        try:
            return Version(self.vault.put_tokens(secret.within_limit(), version_id=version_id), version_id)
        except VersionTaken:
            return Version(self._put_under_next(held, secret), None)

    @staticmethod
    def _ensure_as_far_as_possible(held: HeldLease) -> None:
        try:
            held.ensure(_PUT_BUDGET)
        except StoreUnavailable:
            # The registry is away, and the answer is in hand: its version id is safe to use in any case.
            return

    def _put_under_next(self, held: HeldLease, secret: TokensSecret) -> StoredTokens:
        row = held.row
        for generation in range(secret.generation, secret.generation + _MOST_TAKEN):
            numbered = replace(secret, generation=generation).within_limit()
            try:
                return self.vault.put_tokens(numbered, version_id=row.tokens_version_id(generation))
            except VersionTaken:
                held.renew()
        raise VersionTaken(row.tokens_version_id(secret.generation + _MOST_TAKEN))

    def _with_tenants(self, held: HeldLease, version: Version, known: Listing) -> Version:
        """Store a consent's answer once more with its organisations: readers of the secret need them at once."""
        secret = version.stored.secret
        try:
            return Version(self._put_under_next(held, replace(secret, tenants=known.tenants)), None, puts=2)
        except (StoreUnavailable, VersionTaken) as trouble:
            # The answer is safe, and the row has the organisations: the next refresh stores them.
            self.observer.event("tenants_not_stored", client_id=secret.client_id, detail=trouble.detail)
            return version

    def _park(self, held: HeldLease, answer: TokenAnswer, consent: ConsentGiven | None) -> Credential:
        row = held.row
        refresh_token = answer.token.refresh_token
        if refresh_token is None:
            # A Custom connection asks anew: nothing is lost.
            raise StoreUnavailable("PutSecretValue", "TokensNotStored")
        parked = ParkedGrant(
            sealed=self.seal.seal(refresh_token, context=row.seal_context),
            obtained_at=answer.obtained_at,
            consent=consent.request if consent else None,
            xero_user_id=consent.xero_user_id if consent else row.xero_user_id,
            scopes=answer.token.scopes,
        )
        allowance = row.allowance

        def parking(row: Credential, now: datetime) -> Credential:
            return replace(row, allowance=allowance).parking(
                parked,
                code="store_unavailable",
                detail="Secrets Manager did not take the new tokens. The grant is kept safe until it does.",
                due_at=now + max(LOOK_AGAIN_AFTER, allowance.wait_for(LOWEST_TO_REFRESH, now)),
                now=now,
            )

        saved = self.insist(lambda: self._save_parked(held, parked, parking), leaving=_TIME_TO_ANSWER)
        self.observer.count("GrantsParked")
        self.observer.event("grant_parked", client_id=row.client_id)
        return saved

    @staticmethod
    def _save_parked(held: HeldLease, parked: ParkedGrant, parking: Change) -> Credential:
        try:
            return held.save(parking)
        except LeaseUnavailable:
            row = held.registry.get(held.row.client_id)
            if row is None or row.parked != parked:
                raise
            # A try before this one took effect, and its answer was lost.
            return row

    def _commit(
        self,
        held: HeldLease,
        version: Version,
        listing: Listing,
        *,
        also: Change,
        consent: ConsentGiven | None,
    ) -> Credential:
        stored = version.stored
        earlier = (
            held.row.earlier_grants if consent is None else self.keep_earlier_grant(held.row, by=consent.request)
        )

        def change(row: Credential, now: datetime) -> Credential:
            due_at = max(
                next_refresh(
                    row.client_id,
                    generation=stored.secret.generation,
                    obtained_at=stored.secret.obtained_at,
                    expires_in=stored.secret.token.expires_in,
                ),
                now + row.allowance.drawn(now).wait_for(LOWEST_TO_REFRESH, now),
            )
            holding = row.holding(stored, due_at=due_at, now=now, version_id=version.version_id, consent=consent)
            # The organisations of a consent are told with the connection, pending ones once they are known. What
            # an earlier consent connected is not gone because this one does not name it.
            silently = row.generation == 0 or listing.pending or consent is not None
            told = replace(holding, tenants=listing.tenants) if silently else holding.reaching(listing.tenants)
            told = replace(
                told,
                tenants_pending=listing.pending,
                tenants_checked_at=listing.checked_at,
                earlier_grants=earlier,
            )
            for _ in range(version.puts - 1):
                told = replace(told, allowance=told.allowance.drawn(now))
            return also(told, now)

        try:
            return held.save(change)
        except LeaseUnavailable:
            if mine := self._already_committed(held, stored):
                return mine
            raise

    def _already_committed(self, held: HeldLease, stored: StoredTokens) -> Credential | None:
        """Find out why a commit failed: its own first write, whose answer was lost, or an overtaken lease.

        A version that came after the credential had ended brought its secret back: that is made good.
        """
        row = held.registry.get(held.row.client_id)
        if row is None:
            return None
        if row.incarnation == held.row.incarnation and row.generation == stored.secret.generation:
            return row
        if row.status in FINAL or (row.ending is not None and row.ending.grants_done):
            self.vault.delete_tokens(row.client_id)
        elif row.incarnation != held.row.incarnation and row.generation > 0:
            # Readers see a version of the life before: the next refresh, at once, writes a newer one.
            held.registry.save(replace(row, due_at=self.clock()))
        return None
