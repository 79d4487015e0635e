"""Refresh one credential's tokens without ever losing the grant."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from xero_connector.domain.checks import granted_scopes_check, refused_pair_check
from xero_connector.domain.credential import Credential, IntegrationType
from xero_connector.domain.errors import LeaseUnavailable, StoreUnavailable
from xero_connector.domain.history import Action
from xero_connector.domain.ports import Clock, Observer, Registry, Vault, XeroIdentity
from xero_connector.domain.refresh_policy import (
    POST_BUDGET,
    REACTIONS,
    confirms_dead_grant,
    retry_at,
)
from xero_connector.domain.status import Status
from xero_connector.domain.token_endpoint import INCONCLUSIVE, FailureKind, TokenEndpointFailure
from xero_connector.domain.tokens import ClientPair, TokenAnswer
from xero_connector.use_cases.hold_lease import HeldLease, HoldLease
from xero_connector.use_cases.list_tenants import Listing, ListTenants
from xero_connector.use_cases.read_client_pair import read_client_pair
from xero_connector.use_cases.store_tokens import StoreTokens

_VISIBLE_WITHIN = timedelta(minutes=15)
_LOOK_AGAIN_AFTER = timedelta(minutes=1)
_OLDER_GENERATIONS = 2
"""How far back the last resort goes: an older answer may be the one that Xero gave last."""


class Outcome(StrEnum):
    """What came of a refresh."""

    REFRESHED = "refreshed"
    ROLLED_FORWARD = "rolled_forward"
    FAILED = "failed"
    BUSY = "busy"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Refresh:
    """The outcome, and the row as it stands now."""

    outcome: Outcome
    row: Credential | None


@dataclass(frozen=True, slots=True)
class RefreshCredential:
    """The refresh protocol (see `docs/decisions/0003`): lease, roll forward, replay, put, commit.

    A Custom connection goes the same way, but asks for new tokens instead of presenting a refresh token.
    """

    registry: Registry
    vault: Vault
    identity: XeroIdentity
    list_tenants: ListTenants
    hold_lease: HoldLease
    store_tokens: StoreTokens
    clock: Clock
    observer: Observer

    def __call__(self, client_id: str, *, only_if_due: bool, asked_by: str | None = None) -> Refresh:
        """Refresh a credential that has a grant, or finish what an earlier attempt left behind.

        `asked_by` is the admin to name in the audit trail, None where nobody asked.
        """
        row = self.registry.get(client_id)
        if row is None or (only_if_due and not row.is_due(self.clock())):
            return Refresh(Outcome.SKIPPED, row)
        if row.attempt_started_at is None and not row.has_grant:
            return Refresh(Outcome.SKIPPED, row)
        try:
            held = self.hold_lease(row if asked_by is None else row.noted(Action.REFRESH_REQUESTED, by=asked_by))
        except LeaseUnavailable:
            return Refresh(Outcome.BUSY, row)
        if held.unfinished and (adopted := self.store_tokens.adopt_newer(held)):
            return self._done(Outcome.ROLLED_FORWARD, adopted)
        if not row.has_grant:
            # A consent was cut off before it stored anything: there is no grant to go on with.
            return Refresh(Outcome.SKIPPED, held.save(_wait_or_abandon))
        return self._present(held)

    def _present(self, held: HeldLease) -> Refresh:
        row = held.row
        pair = read_client_pair(self.vault, row)
        if row.integration_type is IntegrationType.CUSTOM_CONNECTION:
            return self._ask_anew(held, pair)
        current = self.vault.get_tokens(row.client_id, version_id=row.tokens_version_id(row.generation))
        if current is None:
            # A version that the registry vouches for exists: this reader cannot see it yet.
            raise StoreUnavailable("GetSecretValue", "VersionNotVisible")
        refresh_token = current.secret.token.refresh_token
        if refresh_token is None:
            return self._without_refresh_token(held)
        known = Listing.of(row)
        if (
            not known.pending
            and self.list_tenants.is_due(known)
            and self.clock() < current.secret.token_expires_at
        ):
            # With the token that is still good: once its successor is out, nothing may come before storing it.
            known = self.list_tenants.everything(known, current.secret.token.access_token)
        try:
            answer = self._ask(held, pair, refresh_token)
        except TokenEndpointFailure as failure:
            return self._failed(held, failure)
        answer = answer.keeping(current.secret.token)
        if known.pending:
            known = self.list_tenants.of_consent(known, answer)
        return self._done(Outcome.REFRESHED, self.store_tokens(held, answer, known))

    def _ask(self, held: HeldLease, pair: ClientPair, refresh_token: str) -> TokenAnswer:
        return self._insisting(held, lambda: self.identity.refresh(pair, refresh_token=refresh_token))

    @staticmethod
    def _insisting(held: HeldLease, post: Callable[[], TokenAnswer]) -> TokenAnswer:
        held.ensure(POST_BUDGET)
        try:
            return post()
        except TokenEndpointFailure as failure:
            if failure.kind is not FailureKind.NOT_SENT:
                raise
        # Nothing was sent, so nothing can have happened: once more, at once.
        held.ensure(POST_BUDGET)
        return post()

    def _ask_anew(self, held: HeldLease, pair: ClientPair) -> Refresh:
        row = held.row
        try:
            answer = self._client_credentials(held, pair)
        except TokenEndpointFailure as failure:
            return self._failed(held, failure)
        known = Listing.of(row)
        if row.generation == 0:
            known = replace(known, pending=True)
        if known.pending or self.list_tenants.is_due(known):
            known = self.list_tenants.everything(known, answer.token.access_token)

        def with_scopes(row: Credential, now: datetime) -> Credential:
            return row.checked(scopes=granted_scopes_check(row.requested_scopes, answer.token.scopes, now))

        return self._done(Outcome.REFRESHED, self.store_tokens(held, answer, known, also=with_scopes))

    def _client_credentials(self, held: HeldLease, pair: ClientPair) -> TokenAnswer:
        scopes = held.row.requested_scopes
        try:
            answer = self._insisting(held, lambda: self.identity.client_credentials(pair, scopes=scopes))
            return answer.as_asked_for(scopes)
        except TokenEndpointFailure as failure:
            if failure.kind is FailureKind.INVALID_GRANT:
                # There is no grant to be dead: an answer that is documented for other requests only.
                raise TokenEndpointFailure(FailureKind.UNEXPECTED, correlation_id=failure.correlation_id) from None
            if failure.kind is not FailureKind.INVALID_SCOPE or not scopes:
                raise
        # Better a token with what the connection has than none: the check of the scopes tells what is missing.
        return self._insisting(held, lambda: self.identity.client_credentials(pair, scopes=()))

    def _present_older(self, held: HeldLease) -> Credential | None:
        """Try the refresh tokens of the generations before, as a last resort; None if they are dead as well.

        Two holders whose leases overlapped can have stored their answers in the other order than Xero gave them,
        and an adopted answer can have been replaced by one that got lost. Then an older token is alive: by
        itself, or within its grace. Tokens of an earlier consent are left alone: they may reach other
        organisations. Raises `TokenEndpointFailure` where Xero does not say.
        """
        row = held.row
        pair = read_client_pair(self.vault, row)
        oldest = max(row.grant_began, row.generation - _OLDER_GENERATIONS)
        for generation in range(row.generation - 1, oldest - 1, -1):
            older = self.vault.get_tokens(row.client_id, version_id=row.tokens_version_id(generation))
            if older is None or older.secret.token.refresh_token is None:
                continue
            try:
                answer = self._ask(held, pair, older.secret.token.refresh_token)
            except TokenEndpointFailure as failure:
                if failure.kind is not FailureKind.INVALID_GRANT:
                    raise
                continue
            answer = answer.keeping(older.secret.token)
            return self.store_tokens(held, answer, Listing.of(row))
        return None

    def _without_refresh_token(self, held: HeldLease) -> Refresh:
        row = self._give_up(
            held,
            code="refresh_token_missing",
            detail="Xero gave no refresh token: the consent did not grant offline_access.",
        )
        self.observer.event("refresh_token_missing", client_id=row.client_id, status=row.status)
        return Refresh(Outcome.FAILED, row)

    def _failed(self, held: HeldLease, failure: TokenEndpointFailure) -> Refresh:
        previous_error = held.row.last_error.code if held.row.last_error else None
        if confirms_dead_grant(failure.kind, previous_error=previous_error):
            # Before a grant is given up: somebody may have stored its successor unseen.
            if adopted := self.store_tokens.adopt_newer(held):
                return self._done(Outcome.ROLLED_FORWARD, adopted)
            try:
                if refreshed := self._present_older(held):
                    return self._done(Outcome.REFRESHED, refreshed)
            except TokenEndpointFailure:
                # The grant may live on in an older token: the suspicion stays, and all of it is tried again.
                row = self._save_failure(held, failure)
            else:
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
        return Refresh(Outcome.FAILED, row)

    def _give_up(self, held: HeldLease, *, code: str, detail: str) -> Credential:
        self.observer.count("ReauthorizationRequired")
        return held.save(
            lambda row, now: (
                row.failed(code=code, detail=detail, now=now)
                .move_to(Status.REAUTHORIZATION_REQUIRED)
                .released(due_at=None, attempt_finished=True, now=now)
            )
        )

    @staticmethod
    def _save_failure(held: HeldLease, failure: TokenEndpointFailure) -> Credential:
        unfinished = held.unfinished
        return held.save(lambda row, now: _after(row, failure, unfinished=unfinished, now=now))

    def _done(self, outcome: Outcome, row: Credential) -> Refresh:
        self.observer.count("Refreshed")
        self.observer.event(outcome, client_id=row.client_id, generation=row.generation, status=row.status)
        return Refresh(outcome, row)


def _after(row: Credential, failure: TokenEndpointFailure, *, unfinished: bool, now: datetime) -> Credential:
    reaction = REACTIONS[failure.kind]
    counted = row.failed(code=failure.code, detail=failure.detail, now=now)
    if failure.kind is FailureKind.INVALID_CLIENT:
        counted = counted.checked(pair=refused_pair_check(now))
    return counted.move_to(_status_after(row, failure)).released(
        due_at=retry_at(failure.kind, failures=counted.failures, retry_after=failure.retry_after, now=now),
        # That this call did nothing says nothing about an earlier one whose answer is still missing. A Custom
        # connection asks anew, whatever became of what it asked before.
        attempt_finished=row.integration_type is IntegrationType.CUSTOM_CONNECTION
        or (reaction.attempt_finished and not unfinished),
        now=now,
    )


def _status_after(row: Credential, failure: TokenEndpointFailure) -> Status:
    # While Xero says nothing definite, a refused pair stays a refused pair.
    if row.status is Status.CLIENT_REJECTED and failure.kind in INCONCLUSIVE:
        return row.status
    status = REACTIONS[failure.kind].status
    # Without a token yet there is nothing whose service could be degraded.
    return Status.VALIDATED if status is Status.DEGRADED and row.generation == 0 else status


def _wait_or_abandon(row: Credential, now: datetime) -> Credential:
    # What was stored may not be visible to every reader yet, so the search goes on for a while.
    started_at = row.attempt_started_at
    if started_at is not None and now - started_at < _VISIBLE_WITHIN:
        return row.released(due_at=now + _LOOK_AGAIN_AFTER, attempt_finished=False, now=now)
    return row.released(due_at=None, attempt_finished=True, now=now)
