"""Refresh one credential's tokens without ever losing the grant."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from xero_connector.domain.checks import granted_scopes_check
from xero_connector.domain.credential import VERSION_ALLOWANCE, ConsentGiven, Credential, IntegrationType
from xero_connector.domain.errors import (
    UNUSABLE,
    LeaseUnavailable,
    RevisionConflict,
    SecretNotVisible,
    StoreUnavailable,
    VersionTaken,
)
from xero_connector.domain.failed_refresh import (
    Secret,
    after_failure,
    blocked,
    given_up,
    look_again_or_forget,
    waiting_for_allowance,
    without_secret,
)
from xero_connector.domain.history import Action
from xero_connector.domain.ports import Clock, Deadline, Observer, Registry, Seal, TokenEndpoint, Vault
from xero_connector.domain.refresh_policy import POST_BUDGET, confirms_dead_grant, time_to_ask
from xero_connector.domain.status import Status
from xero_connector.domain.token_endpoint import OUTAGE, FailureKind, TokenEndpointFailure
from xero_connector.domain.tokens import ClientPair, StoredTokens, TokenAnswer
from xero_connector.domain.version_allowance import LOWEST_TO_REFRESH
from xero_connector.services.hold_lease import Change, HeldLease, HoldLease, unchanged
from xero_connector.services.list_tenants import Listing, ListTenants
from xero_connector.services.read_secrets import ReadSecrets
from xero_connector.services.store_tokens import StoreTokens
from xero_connector.services.vault_gate import VaultGate

_OLDER_GENERATIONS = 2
"""How far back the last resort goes: an older answer may be the one that Xero gave last."""
_TIME_TO_LIST = timedelta(seconds=18)
"""Listing the organisations takes 5 s at most; after it there has to be time to ask and to store."""
_VAULT_TROUBLE = "store_unavailable"


class Outcome(StrEnum):
    """What came of a refresh."""

    REFRESHED = "refreshed"
    ROLLED_FORWARD = "rolled_forward"
    PARKED = "parked"
    """Xero gave new tokens and the vault did not take them: the refresh token waits in the row."""
    FAILED = "failed"
    BUSY = "busy"
    SKIPPED = "skipped"
    LEFT_FOR_LATER = "left_for_later"
    """The vault takes no writes: nothing was presented."""


@dataclass(frozen=True, slots=True)
class Refresh:
    """The outcome, and the row as it stands now; `answered` tells whether Xero did, None if it was not asked."""

    outcome: Outcome
    row: Credential
    answered: bool | None = None


WORKS_ON = frozenset(
    {
        Status.VALIDATED,
        Status.CONNECTED,
        Status.DEGRADED,
        Status.CLIENT_REJECTED,
        Status.REAUTHORIZATION_REQUIRED,
    }
)
"""Where there may be a grant to refresh, or work that was cut off."""


@dataclass(frozen=True, slots=True)
class RefreshCredential:
    """The refresh protocol (see `docs/decisions/0003`): lease, roll forward, replay, put, commit.

    A Custom connection goes the same way, but asks for new tokens instead of presenting a refresh token.
    """

    registry: Registry
    vault: Vault
    token_endpoint: TokenEndpoint
    read_secrets: ReadSecrets
    seal: Seal
    list_tenants: ListTenants
    hold_lease: HoldLease
    store_tokens: StoreTokens
    clock: Clock
    deadline: Deadline
    observer: Observer

    def __call__(
        self, row: Credential, *, only_if_due: bool, asked_by: str | None = None, gate: VaultGate | None = None
    ) -> Refresh:
        """Refresh a credential that has a grant, or finish what an earlier attempt left behind.

        `row` is the credential as it was just read: the lease is had only if it is still so. `asked_by` is the
        admin to name in the audit trail, None where nobody asked. `gate` is the one of the sweep; without one, a
        vault that takes no writes raises `StoreUnavailable`.
        """
        if not self._has_work(row, only_if_due=only_if_due):
            return Refresh(Outcome.SKIPPED, row)
        if gate is not None and gate.closed:
            return Refresh(Outcome.LEFT_FOR_LATER, row)
        try:
            held = self.hold_lease(row if asked_by is None else row.noted(Action.REFRESH_REQUESTED, by=asked_by))
        except LeaseUnavailable:
            return Refresh(Outcome.BUSY, row)
        turn = _Turn(held, gate or VaultGate(), asked_for=not only_if_due)
        try:
            return self._go_on(turn)
        except SecretNotVisible:
            return self._unreadable(turn)
        except StoreUnavailable as trouble:
            if gate is not None and gate.closed and not turn.presented:
                held.give_back_if_possible()
                return Refresh(Outcome.LEFT_FOR_LATER, row)
            if not turn.presented or row.integration_type is IntegrationType.CUSTOM_CONNECTION:
                self._note_trouble(held, trouble)
            raise

    @staticmethod
    def _note_trouble(held: HeldLease, trouble: StoreUnavailable) -> None:
        """Write down that a store stands in the way; where that is the registry, the lease ends after a minute."""
        with suppress(LeaseUnavailable, RevisionConflict, StoreUnavailable):
            held.save(lambda row, now: blocked(row, trouble, before=held.before, now=now))

    def _has_work(self, row: Credential, *, only_if_due: bool) -> bool:
        if row.status not in WORKS_ON or (only_if_due and not row.is_due(self.clock())):
            return False
        return row.has_grant or row.attempt_started_at is not None or row.consenting is not None

    def _go_on(self, turn: "_Turn") -> Refresh:
        held = turn.held
        if held.unfinished and (adopted := self.store_tokens.adopt_newer(held)):
            return self._done(Outcome.ROLLED_FORWARD, adopted)
        if held.row.consenting is not None and (adopted := self.store_tokens.adopt_consent(held)):
            return self._done(Outcome.ROLLED_FORWARD, adopted)
        if not held.row.has_grant:
            # A consent was cut off before it stored anything: there is no grant to go on with.
            return Refresh(Outcome.SKIPPED, held.save(look_again_or_forget))
        if held.row.consenting is not None and not turn.asked_for and not self._is_refresh_due(held):
            return Refresh(Outcome.SKIPPED, held.save(look_again_or_forget))
        return self._present(turn)

    def _is_refresh_due(self, held: HeldLease) -> bool:
        row = held.before
        if row.attempt_started_at is not None or row.failures or row.parked is not None:
            return True
        due_at = row.refresh_due_at
        return due_at is None or due_at <= self.clock()

    def _present(self, turn: "_Turn") -> Refresh:
        held, row = turn.held, turn.held.row
        pair = self.read_secrets.pair(row)
        if row.integration_type is IntegrationType.CUSTOM_CONNECTION:
            return self._ask_anew(turn, pair)
        current = self._stored(row)
        refresh_token = self._newest_refresh_token(row, current)
        if refresh_token is None:
            return self._without_refresh_token(held)
        if not held.unfinished and (wait := row.allowance.wait_for(LOWEST_TO_REFRESH, self.clock())):
            return self._wait_for_allowance(held, wait)
        self._admit(turn, current)
        known = self._listed_before(row, current)
        try:
            answer = self._ask(turn, pair, refresh_token)
        except TokenEndpointFailure as failure:
            return self._failed(turn, failure)
        if current is not None:
            answer = answer.keeping(current.secret.token)
        answer = replace(
            answer, token=replace(answer.token, refresh_token=answer.token.refresh_token or refresh_token)
        )
        return self._kept(turn, answer.as_asked_for(row.granted_scopes or row.requested_scopes), known)

    def _stored(self, row: Credential) -> StoredTokens | None:
        """Return the tokens in the vault, None where all that the credential has waits in the row."""
        if row.generation == 0:
            return None
        try:
            return self.read_secrets.tokens(row)
        except SecretNotVisible:
            if row.parked is None:
                raise
            return None

    def _newest_refresh_token(self, row: Credential, current: StoredTokens | None) -> str | None:
        if row.parked is not None:
            try:
                return self.seal.unseal(row.parked.sealed, context=row.seal_context)
            except StoreUnavailable as trouble:
                if trouble.reason not in UNUSABLE:
                    raise
            if current is None:
                # Neither of the two can be read.
                raise SecretNotVisible
        return None if current is None else current.secret.token.refresh_token

    def _admit(self, turn: "_Turn", current: StoredTokens | None) -> None:
        """Let a token be spent only while the vault takes writes, and with a key at hand to seal the answer."""
        row = turn.held.row

        def probe() -> None:
            if current is None:
                return
            try:
                # The version that is there already: taken as a repetition, it changes nothing.
                self.vault.put_tokens(current.secret, version_id=row.tokens_version_id(row.generation))
            except VersionTaken:
                # It was written in another form: the vault looked at it, and so it takes writes.
                return

        self.seal.prepare()
        trouble = turn.held.before.last_error
        turn.gate.admit(
            None if current is None else probe, in_trouble=trouble is not None and trouble.code == _VAULT_TROUBLE
        )

    def _listed_before(self, row: Credential, current: StoredTokens | None) -> Listing:
        """List the organisations with the token that is still good: after its successor, storing comes first."""
        known = Listing.of(row)
        good = current is not None and row.parked is None and self.clock() < current.secret.token_expires_at
        if current is None or not good or not (known.pending or self.list_tenants.is_due(known)):
            return known
        if self.deadline() - self.clock() < _TIME_TO_LIST:
            return known
        return self.list_tenants.everything(known, current.secret.token.access_token)

    def _kept(self, turn: "_Turn", answer: TokenAnswer, known: Listing, *, also: Change = unchanged) -> Refresh:
        parked = turn.held.row.parked
        consent = None
        if parked is not None and parked.consent is not None:
            consent = ConsentGiven(parked.consent, parked.xero_user_id)
        list_after = None
        custom = turn.held.row.integration_type is IntegrationType.CUSTOM_CONNECTION
        if (known.pending or consent is not None) and not custom:
            list_after = lambda: self.list_tenants.everything(known, answer.token.access_token)  # noqa: E731 - bound here
        row = self.store_tokens(
            turn.held,
            answer,
            known,
            gate=turn.gate,
            list_after=list_after,
            also=also,
            consent=consent,
        )
        if row.parked is not None:
            return Refresh(Outcome.PARKED, row, answered=True)
        return self._done(Outcome.REFRESHED, row, answered=True)

    def _ask(self, turn: "_Turn", pair: ClientPair, refresh_token: str) -> TokenAnswer:
        return self._insisting(
            turn, lambda within: self.token_endpoint.refresh(pair, refresh_token=refresh_token, within=within)
        )

    def _insisting(self, turn: "_Turn", post: Callable[[timedelta], TokenAnswer]) -> TokenAnswer:
        turn.held.ensure(POST_BUDGET)
        within = time_to_ask(self.deadline() - self.clock())
        if within is None:
            # What would come of it could not be stored in time.
            raise StoreUnavailable("GetSecretValue", "TooSlow")
        turn.presented = True
        try:
            return post(within)
        except TokenEndpointFailure as failure:
            again = time_to_ask(self.deadline() - self.clock())
            if failure.kind is not FailureKind.NOT_SENT or again is None:
                raise
        # Nothing was sent, so nothing can have happened: once more, at once.
        turn.held.ensure(POST_BUDGET)
        return post(again)

    def _ask_anew(self, turn: "_Turn", pair: ClientPair) -> Refresh:
        row = turn.held.row
        if wait := row.allowance.wait_for(LOWEST_TO_REFRESH, self.clock()):
            return self._wait_for_allowance(turn.held, wait)
        try:
            answer = self._client_credentials(turn, pair)
        except TokenEndpointFailure as failure:
            return self._failed(turn, failure)
        known = Listing.of(row)
        if row.generation == 0:
            known = replace(known, pending=True)
        in_time = self.deadline() - self.clock() > _TIME_TO_LIST
        if in_time and (known.pending or self.list_tenants.is_due(known)):
            # Before storing: a Custom connection can ask for its tokens again.
            known = self.list_tenants.everything(known, answer.token.access_token)

        def with_scopes(row: Credential, now: datetime) -> Credential:
            return row.checked(scopes=granted_scopes_check(row.requested_scopes, answer.token.scopes, now))

        return self._kept(turn, answer, known, also=with_scopes)

    def _client_credentials(self, turn: "_Turn", pair: ClientPair) -> TokenAnswer:
        scopes = turn.held.row.requested_scopes
        try:
            answer = self._insisting(
                turn, lambda within: self.token_endpoint.client_credentials(pair, scopes=scopes, within=within)
            )
            return answer.as_asked_for(scopes)
        except TokenEndpointFailure as failure:
            if failure.kind is FailureKind.INVALID_GRANT:
                # There is no grant to be dead: an answer that is documented for other requests only.
                raise TokenEndpointFailure(FailureKind.UNEXPECTED, correlation_id=failure.correlation_id) from None
            if failure.kind is not FailureKind.INVALID_SCOPE or not scopes:
                raise
        # Better a token with what the connection has than none: the check of the scopes tells what is missing.
        return self._insisting(
            turn, lambda within: self.token_endpoint.client_credentials(pair, scopes=(), within=within)
        )

    def _present_older(self, turn: "_Turn") -> Credential | None:
        """Try the refresh tokens of the generations before, as a last resort; None if they are dead as well.

        Two holders whose leases overlapped can have stored their answers in the other order than Xero gave them,
        and an adopted answer can have been replaced by one that got lost. Then an older token is alive: by
        itself, or within its grace. Tokens of an earlier consent are left alone: they may reach other
        organisations. Raises `TokenEndpointFailure` where Xero does not say.
        """
        row = turn.held.row
        pair = self.read_secrets.pair(row)
        newest = row.generation if row.parked is not None else row.generation - 1
        oldest = max(row.grant_began, row.generation - _OLDER_GENERATIONS, 1)
        for generation in range(newest, oldest - 1, -1):
            older = self.vault.get_tokens(row.client_id, version_id=row.tokens_version_id(generation))
            if older is None or older.secret.token.refresh_token is None:
                continue
            try:
                answer = self._ask(turn, pair, older.secret.token.refresh_token)
            except TokenEndpointFailure as failure:
                if failure.kind is not FailureKind.INVALID_GRANT:
                    raise
                continue
            answer = answer.keeping(older.secret.token)
            return self.store_tokens(turn.held, answer, Listing.of(row), gate=turn.gate)
        return None

    def _without_refresh_token(self, held: HeldLease) -> Refresh:
        row = self._give_up(
            held,
            code="refresh_token_missing",
            detail="Xero gave no refresh token: the consent did not grant offline_access.",
        )
        self.observer.event("refresh_token_missing", client_id=row.client_id, status=row.status)
        return Refresh(Outcome.FAILED, row)

    def _failed(self, turn: "_Turn", failure: TokenEndpointFailure) -> Refresh:
        held = turn.held
        previous_error = held.row.last_error.code if held.row.last_error else None
        if confirms_dead_grant(failure.kind, previous_error=previous_error):
            # Before a grant is given up: somebody may have stored its successor unseen.
            if adopted := self.store_tokens.adopt_newer(held):
                return self._done(Outcome.ROLLED_FORWARD, adopted, answered=True)
            try:
                if refreshed := self._present_older(turn):
                    return self._done(Outcome.REFRESHED, refreshed, answered=True)
            except TokenEndpointFailure:
                # The grant may live on in an older token: the suspicion stays, and all of it is tried again.
                row = self._save_failure(held, failure)
            else:
                # What was parked is dead with the rest.
                held.row = replace(held.row, parked=None)
                row = self._give_up(held, code=failure.code, detail=failure.detail)
        else:
            row = self._save_failure(held, failure)
        self.observer.count("RefreshFailed")
        self.observer.count(f"RefreshFailed.{failure.code}")
        self.observer.event(
            "refresh_failed",
            client_id=row.client_id,
            failure=failure.code,
            status=row.status,
            failures=row.failures,
            correlation_id=failure.correlation_id,
        )
        return Refresh(Outcome.FAILED, row, answered=failure.kind not in OUTAGE)

    def _wait_for_allowance(self, held: HeldLease, wait: timedelta) -> Refresh:
        """Leave the token alone: Secrets Manager would not keep another version today."""
        self.observer.count("VersionAllowanceExhausted")
        row = held.save(lambda row, now: waiting_for_allowance(row, now=now, until=now + wait))
        return Refresh(Outcome.FAILED, row)

    def _unreadable(self, turn: "_Turn") -> Refresh:
        """Wait for a secret as long as it can lag; after that it is gone, and only a person can help."""
        held = turn.held
        self.observer.count("SecretUnreadable")
        missing = self._missing(held.row)
        row = held.save(lambda row, now: without_secret(row, missing=missing, now=now))
        self.observer.event("secret_unreadable", client_id=row.client_id, status=row.status)
        return Refresh(Outcome.FAILED, row)

    def _missing(self, row: Credential) -> Secret | None:
        """Look once more which secret cannot be read."""
        try:
            self.read_secrets.pair(row)
        except SecretNotVisible:
            return Secret.CLIENT
        if row.integration_type is IntegrationType.CUSTOM_CONNECTION:
            return None
        try:
            self._newest_refresh_token(row, self._stored(row))
        except SecretNotVisible:
            return Secret.TOKENS
        return None

    def _give_up(self, held: HeldLease, *, code: str, detail: str) -> Credential:
        self.observer.count("ReauthorizationRequired")
        return held.save(lambda row, now: given_up(row, code=code, detail=detail, now=now))

    @staticmethod
    def _save_failure(held: HeldLease, failure: TokenEndpointFailure) -> Credential:
        unfinished = held.unfinished
        return held.save(lambda row, now: after_failure(row, failure, unfinished=unfinished, now=now))

    def _done(self, outcome: Outcome, row: Credential, *, answered: bool | None = None) -> Refresh:
        if row.last_error is not None and row.last_error.code == VERSION_ALLOWANCE:
            self.observer.count("VersionAllowanceExhausted")
        self.observer.count("Refreshed")
        self.observer.event(outcome, client_id=row.client_id, generation=row.generation, status=row.status)
        return Refresh(outcome, row, answered)


@dataclass(slots=True)
class _Turn:
    """One turn of a credential, under its lease; `presented` once Xero may have been asked for tokens."""

    held: HeldLease
    gate: VaultGate
    asked_for: bool
    presented: bool = False
