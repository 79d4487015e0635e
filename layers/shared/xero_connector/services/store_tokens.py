"""The one way by which tokens become current: write the version, and only then the registry."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from xero_connector.domain.credential import ConsentGiven, Credential
from xero_connector.domain.error_codes import STORE_UNAVAILABLE
from xero_connector.domain.errors import (
    LeaseUnavailable,
    SecretUnderAnotherKey,
    StoreUnavailable,
    VersionTaken,
)
from xero_connector.domain.holding_tokens import parking
from xero_connector.domain.parked_grant import ParkedGrant
from xero_connector.domain.ports import Clock, Deadline, Observer, Pause, Seal, Vault
from xero_connector.domain.refresh_policy import LONGEST_PAUSE, LOOK_AGAIN_AFTER, doubled
from xero_connector.domain.status import CONSENTABLE
from xero_connector.domain.time_budget import (
    PUT_BUDGET,
    TIME_TO_ANSWER_AFTER_PARKING,
    TIME_TO_LIST_AFTER_STORING,
    TIME_TO_PARK,
)
from xero_connector.domain.tokens import TokenAnswer, TokensSecret, consent_version_id
from xero_connector.domain.version_allowance import LOWEST_TO_REFRESH
from xero_connector.services.commit_tokens import CommitTokens, Version
from xero_connector.services.hold_lease import Change, HeldLease, unchanged
from xero_connector.services.insist import Insist
from xero_connector.services.list_tenants import Listing
from xero_connector.services.vault_gate import VaultGate

_MOST_PUTS = 60
_LONGEST_PAUSE = 5.0
_OF_ONE_SECRET = frozenset({"LimitExceededException"})
"""What stands in the way of one secret's writes, and says nothing about the vault."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class StoreTokens:
    """Stores answers of the token endpoint, and adopts those that an earlier attempt stored.

    After an answer nothing comes before storing it, and storing is insisted on to the end of the time there is.
    What the vault does not take is parked: the refresh token, sealed with the vault's key, in the credential.
    """

    vault: Vault
    seal: Seal
    commit_tokens: CommitTokens
    clock: Clock
    deadline: Deadline
    pause: Pause
    insist: Insist
    observer: Observer

    def and_end(
        self,
        lease: HeldLease,
        answer: TokenAnswer,
        listing: Listing,
        *,
        gate: VaultGate,
        list_after: Callable[[], Listing] | None = None,
        also: Change = unchanged,
        consent: ConsentGiven | None = None,
    ) -> Credential:
        """Store an answer under the next generation, and end the lease with the write that commits it.

        `also` is a further change in that write. `consent` tells which one brought the answer, None for a refresh.
        `list_after` lists the organisations once the answer is safe. The credential that comes back has the grant
        `parked` if the vault did not take it; raises `LeaseUnavailable` if the lease was taken over.

        A version id that is taken means that an earlier attempt got as far as storing and this reader could
        not see it yet. The answer in hand is the newer one, provided that the lease is still held: it goes
        under the generation after.
        """
        version = self._put_insisting(lease, answer, listing, gate, consent)
        if version is None:
            return self._park(lease, answer, consent)
        if list_after is not None and self.deadline() - self.clock() > TIME_TO_LIST_AFTER_STORING:
            listing = list_after()
            if listing.tenants and consent is not None:
                version = self._with_tenants(lease, version, listing, consent.request)
        return self.commit_tokens(lease, version, listing, commit=lease.end, also=also, consent=consent)

    def _put_insisting(
        self,
        lease: HeldLease,
        answer: TokenAnswer,
        listing: Listing,
        gate: VaultGate,
        consent: ConsentGiven | None,
    ) -> Version | None:
        pause = 0.5
        for _ in range(_MOST_PUTS):
            began = self.clock()
            try:
                version = self._put(lease, answer, listing, consent)
            except StoreUnavailable as trouble:
                self._note_not_stored(lease.credential, trouble)
                if isinstance(trouble, SecretUnderAnotherKey):
                    return None
                if trouble.reason in _OF_ONE_SECRET:
                    lease.credential = replace(
                        lease.credential, allowance=lease.credential.allowance.exhausted(self.clock())
                    )
                    return None
                gate.failed()
            else:
                gate.succeeded()
                return version
            now = self.clock()
            if self.deadline() - now < TIME_TO_PARK + (now - began) + timedelta(seconds=pause):
                return None
            self.pause(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)
        return None

    def _note_not_stored(self, credential: Credential, trouble: StoreUnavailable) -> None:
        self.observer.count("TokensNotStored")
        self.observer.warning("tokens_not_stored", client_id=credential.client_id, detail=trouble.detail)

    def _put(
        self, lease: HeldLease, answer: TokenAnswer, listing: Listing, consent: ConsentGiven | None
    ) -> Version:
        secret = TokensSecret(
            client_id=lease.credential.client_id,
            generation=lease.credential.generation + 1,
            obtained_at=answer.obtained_at,
            token=answer.token,
            tenants=listing.tenants,
        )
        if consent is None:
            self._ensure_as_far_as_possible(lease)
            return Version(self.commit_tokens.put_under_next(lease, secret), None)
        # No other process writes under this id: what a code brought is stored even by a holder that was overtaken.
        version_id = consent_version_id(lease.credential.incarnation, consent.request)
        try:
            return Version(self.vault.put_tokens(secret.within_limit(), version_id=version_id), version_id)
        except VersionTaken:
            return self.commit_tokens.put_once_more(lease, secret, consent.request)

    @staticmethod
    def _ensure_as_far_as_possible(lease: HeldLease) -> None:
        try:
            lease.ensure(PUT_BUDGET)
        except StoreUnavailable:
            # The registry is away, and the answer is in hand: its version id is safe to use in any case.
            return

    def _with_tenants(self, lease: HeldLease, version: Version, listing: Listing, request: str) -> Version:
        """Store a consent's answer once more with its organisations: readers of the secret need them at once."""
        secret = version.stored.secret
        try:
            again = self.commit_tokens.put_once_more(lease, replace(secret, tenants=listing.tenants), request)
            return replace(again, puts=2)
        except (StoreUnavailable, VersionTaken) as trouble:
            # The answer is safe, and the credential has the organisations: the next refresh stores them.
            self.observer.warning("tenants_not_stored", client_id=secret.client_id, detail=trouble.detail)
            return version

    def _park(self, lease: HeldLease, answer: TokenAnswer, consent: ConsentGiven | None) -> Credential:
        credential = lease.credential
        refresh_token = answer.token.refresh_token
        if refresh_token is None:
            # A Custom connection asks anew: nothing is lost.
            raise StoreUnavailable("PutSecretValue", "TokensNotStored")
        parked = ParkedGrant(
            sealed=self.seal.seal(refresh_token, context=credential.seal_context),
            obtained_at=answer.obtained_at,
            consent=consent.request if consent else None,
            xero_user_id=consent.xero_user_id if consent else credential.xero_user_id,
            scopes=answer.token.scopes,
        )
        allowance = credential.allowance

        def park(credential: Credential, now: datetime) -> Credential:
            return parking(
                replace(credential, allowance=allowance),
                parked,
                code=STORE_UNAVAILABLE,
                detail="Secrets Manager did not take the new tokens. The grant is kept safe until it does.",
                due_at=now + max(_pause_before_next(credential), allowance.wait_for(LOWEST_TO_REFRESH, now)),
                now=now,
            )

        saved = self.insist(lambda: self._save_parked(lease, parked, park), leaving=TIME_TO_ANSWER_AFTER_PARKING)
        self.observer.count("GrantsParked")
        self.observer.warning("grant_parked", client_id=credential.client_id)
        return saved

    @staticmethod
    def _save_parked(lease: HeldLease, parked: ParkedGrant, park: Change) -> Credential:
        try:
            return lease.end(park)
        except LeaseUnavailable:
            credential = lease.registry.get(lease.credential.client_id)
            if credential is not None and credential.parked == parked:
                # A try before this one took effect, and its answer was lost.
                return credential
            if parked.consent is None:
                raise
            late = lease.save_late(lambda credential, now: _late(credential, parked, park, now))
            if late is None:
                raise
            return late


def _pause_before_next(credential: Credential) -> timedelta:
    """Ask again in a minute; more and more seldom where no probe can tell beforehand that an answer is taken."""
    if credential.generation > 0:
        return LOOK_AGAIN_AFTER
    return doubled(LOOK_AGAIN_AFTER, credential.failures + 1, longest=LONGEST_PAUSE)


def _late(credential: Credential, grant: ParkedGrant, park: Change, now: datetime) -> Credential:
    """Keep what a code brought although the lease was lost; another holder's work is not disturbed."""
    at_work = credential.lease is not None and credential.lease.until > now
    if at_work or credential.status not in CONSENTABLE:
        return credential.leaving_behind(grant, now=now)
    return park(credential, now)
