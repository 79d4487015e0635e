"""Refresh one credential's tokens without ever losing the grant."""

from dataclasses import dataclass, replace
from datetime import datetime

from xero_connector.domain.checks import granted_scopes_check, is_news
from xero_connector.domain.credential import ConsentGiven, Credential, IntegrationType
from xero_connector.domain.errors import (
    LeaseUnavailable,
    SecretNotVisible,
    StoreUnavailable,
    VersionTaken,
)
from xero_connector.domain.failed_refresh import (
    look_again_or_forget,
)
from xero_connector.domain.history import Action
from xero_connector.domain.ports import Clock, Deadline, Seal, Vault
from xero_connector.domain.status import Status
from xero_connector.domain.time_budget import TIME_TO_LIST_BEFORE_ASKING
from xero_connector.domain.token_endpoint import TokenEndpointFailure
from xero_connector.domain.tokens import ClientPair, StoredTokens, TokenAnswer
from xero_connector.domain.version_allowance import LOWEST_TO_REFRESH
from xero_connector.services.adopt_tokens import AdoptTokens
from xero_connector.services.ask_for_tokens import AskForTokens
from xero_connector.services.fail_refresh import FailRefresh
from xero_connector.services.hold_lease import Change, HeldLease, HoldLease, unchanged
from xero_connector.services.list_tenants import Listing, ListTenants
from xero_connector.services.read_grant import ReadGrant
from xero_connector.services.read_secrets import ReadSecrets
from xero_connector.services.refresh_turn import Outcome, Refresh, RefreshTurn
from xero_connector.services.report_refresh import ReportRefresh
from xero_connector.services.store_tokens import StoreTokens
from xero_connector.services.vault_gate import VaultGate

_VAULT_TROUBLE = "store_unavailable"


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

    vault: Vault
    ask_for_tokens: AskForTokens
    fail_refresh: FailRefresh
    report_refresh: ReportRefresh
    read_secrets: ReadSecrets
    read_grant: ReadGrant
    seal: Seal
    list_tenants: ListTenants
    hold_lease: HoldLease
    adopt_tokens: AdoptTokens
    store_tokens: StoreTokens
    clock: Clock
    deadline: Deadline

    def __call__(
        self, row: Credential, *, only_if_due: bool, asked_by: str | None = None, gate: VaultGate | None = None
    ) -> Refresh:
        """Refresh a credential that has a grant, or finish what an earlier attempt left behind.

        `row` is the credential as it was just read: the lease is had only if it is still so. `asked_by` is the
        admin to name in the audit trail, None without one. `gate` is the one of the sweep; without one, a
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
        turn = RefreshTurn(held, gate or VaultGate(), asked_for=not only_if_due)
        try:
            return self._go_on(turn)
        except SecretNotVisible:
            return self.fail_refresh.unreadable(turn.held)
        except StoreUnavailable as trouble:
            if gate is not None and gate.closed and not turn.presented:
                held.give_back_if_possible()
                return Refresh(Outcome.LEFT_FOR_LATER, row)
            if not turn.presented or row.integration_type is IntegrationType.CUSTOM_CONNECTION:
                self.fail_refresh.by_a_store(held, trouble)
            raise

    def _has_work(self, row: Credential, *, only_if_due: bool) -> bool:
        if row.status not in WORKS_ON or (only_if_due and not row.is_due(self.clock())):
            return False
        return row.has_grant or row.attempt_started_at is not None or row.consenting is not None

    def _go_on(self, turn: RefreshTurn) -> Refresh:
        held = turn.held
        if held.unfinished and (adopted := self.adopt_tokens.newer(held)):
            return self.report_refresh.refreshed(Outcome.ROLLED_FORWARD, adopted)
        if (held.unfinished or held.row.consenting is not None) and (adopted := self.adopt_tokens.consent(held)):
            return self.report_refresh.refreshed(Outcome.ROLLED_FORWARD, adopted)
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

    def _present(self, turn: RefreshTurn) -> Refresh:
        held, row = turn.held, turn.held.row
        pair = self.read_secrets.pair(row)
        if row.integration_type is IntegrationType.CUSTOM_CONNECTION:
            return self._ask_anew(turn, pair)
        current = self.read_grant.stored(row)
        refresh_token = self.read_grant.newest_refresh_token(row, current)
        if refresh_token is None:
            return self.fail_refresh.without_refresh_token(held)
        if not held.unfinished and (wait := row.allowance.wait_for(LOWEST_TO_REFRESH, self.clock())):
            return self.fail_refresh.for_want_of_versions(held, wait)
        self._admit(turn, current)
        known = self._listed_before(row, current)
        try:
            answer = self.ask_for_tokens.with_refresh_token(turn, pair, refresh_token)
        except TokenEndpointFailure as failure:
            return self.fail_refresh.by_xero(turn, failure)
        if current is not None:
            answer = answer.keeping(current.secret.token)
        answer = replace(
            answer, token=replace(answer.token, refresh_token=answer.token.refresh_token or refresh_token)
        )
        return self._kept(turn, answer.as_asked_for(row.granted_scopes or row.requested_scopes), known)

    def _admit(self, turn: RefreshTurn, current: StoredTokens | None) -> None:
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
        turn.gate.admit(None if current is None else probe, in_trouble=_had_trouble_with_the_vault(turn))

    def _listed_before(self, row: Credential, current: StoredTokens | None) -> Listing:
        """List the organisations with the token that is still good: after its successor, storing comes first."""
        known = Listing.of(row)
        good = current is not None and row.parked is None and self.clock() < current.secret.token_expires_at
        if current is None or not good or not (known.pending or self.list_tenants.is_due(known)):
            return known
        if self.deadline() - self.clock() < TIME_TO_LIST_BEFORE_ASKING:
            return known
        return self.list_tenants.everything(known, current.secret.token.access_token)

    def _kept(
        self, turn: RefreshTurn, answer: TokenAnswer, known: Listing, *, also: Change = unchanged
    ) -> Refresh:
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
        return self.report_refresh.refreshed(Outcome.REFRESHED, row, answered=True)

    def _ask_anew(self, turn: RefreshTurn, pair: ClientPair) -> Refresh:
        row = turn.held.row
        if wait := row.allowance.wait_for(LOWEST_TO_REFRESH, self.clock()):
            return self.fail_refresh.for_want_of_versions(turn.held, wait)
        if row.generation > 0 and _had_trouble_with_the_vault(turn):
            self._admit(turn, self.read_grant.stored(row))
        try:
            answer = self.ask_for_tokens.of_custom_connection(turn, pair)
        except TokenEndpointFailure as failure:
            return self.fail_refresh.by_xero(turn, failure)
        known = Listing.of(row)
        if row.generation == 0:
            known = replace(known, pending=True)
        in_time = self.deadline() - self.clock() > TIME_TO_LIST_BEFORE_ASKING
        if in_time and (known.pending or self.list_tenants.is_due(known)):
            # Before storing: a Custom connection can ask for its tokens again.
            known = self.list_tenants.everything(known, answer.token.access_token)

        def with_scopes(row: Credential, now: datetime) -> Credential:
            found = granted_scopes_check(row.requested_scopes, answer.token.scopes, now)
            # Each refresh finds the same, and what is written anew makes its write a larger one.
            return row.checked(scopes=found) if is_news(found, row.checks["scopes"], now) else row

        return self._kept(turn, answer, known, also=with_scopes)


def _had_trouble_with_the_vault(turn: RefreshTurn) -> bool:
    trouble = turn.held.before.last_error
    return trouble is not None and trouble.code == _VAULT_TROUBLE
