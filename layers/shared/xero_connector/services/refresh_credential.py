"""Refresh one credential's tokens without ever losing the grant."""

from dataclasses import dataclass, replace
from datetime import datetime

from xero_connector.domain.checks import granted_scopes_check, is_news
from xero_connector.domain.credential import ConsentGiven, Credential, IntegrationType
from xero_connector.domain.error_codes import STORE_UNAVAILABLE
from xero_connector.domain.errors import LeaseUnavailable, SecretNotVisible, StoreUnavailable, VersionTaken
from xero_connector.domain.failed_refresh import look_again_or_forget
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


@dataclass(frozen=True, slots=True, eq=False, repr=False)
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
        self,
        credential: Credential,
        *,
        only_if_due: bool,
        asked_by: str | None = None,
        gate: VaultGate | None = None,
    ) -> Refresh:
        """Refresh a credential that has a grant, or finish what an earlier attempt left behind.

        `credential` was just read: the lease is had only if nothing was written since. `asked_by` is the admin to
        name in the audit trail, None without one. `gate` is the one of the sweep; without one, a vault that takes
        no writes raises `StoreUnavailable`.
        """
        if not self._has_work(credential, only_if_due=only_if_due):
            return Refresh(Outcome.SKIPPED, credential)
        if gate is not None and gate.closed:
            return Refresh(Outcome.LEFT_FOR_LATER, credential)
        try:
            lease = self.hold_lease(
                credential if asked_by is None else credential.noted(Action.REFRESH_REQUESTED, by=asked_by)
            )
        except LeaseUnavailable:
            return Refresh(Outcome.BUSY, credential)
        with lease:
            try:
                return self._go_on(RefreshTurn(lease, gate or VaultGate(), asked_for=not only_if_due))
            except SecretNotVisible:
                return self.fail_refresh.unreadable(lease)
            except StoreUnavailable as trouble:
                if gate is not None and gate.closed and not lease.unsettled:
                    return Refresh(Outcome.LEFT_FOR_LATER, credential)
                if not lease.unsettled or credential.integration_type is IntegrationType.CUSTOM_CONNECTION:
                    self.fail_refresh.by_a_store(lease, trouble)
                # Otherwise the lease expires with its attempt, and the old token is presented again in the grace.
                raise

    def _has_work(self, credential: Credential, *, only_if_due: bool) -> bool:
        if credential.status not in WORKS_ON or (only_if_due and not credential.is_due(self.clock())):
            return False
        return (
            credential.has_grant or credential.attempt_started_at is not None or credential.consenting is not None
        )

    def _go_on(self, turn: RefreshTurn) -> Refresh:
        lease = turn.lease
        if adopted := self._adopted(lease):
            return self.report_refresh.refreshed(Outcome.ROLLED_FORWARD, adopted)
        if not lease.credential.has_grant:
            # A consent was cut off before it stored anything: there is no grant to go on with.
            return Refresh(Outcome.SKIPPED, lease.end(look_again_or_forget))
        if lease.credential.consenting is not None and not turn.asked_for and not self._is_refresh_due(lease):
            return Refresh(Outcome.SKIPPED, lease.end(look_again_or_forget))
        return self._present(turn)

    def _adopted(self, lease: HeldLease) -> Credential | None:
        if lease.unfinished and (adopted := self.adopt_tokens.newer(lease, commit=lease.end)):
            return adopted
        if lease.unfinished or lease.credential.consenting is not None:
            return self.adopt_tokens.consent(lease, commit=lease.end)
        return None

    def _is_refresh_due(self, lease: HeldLease) -> bool:
        credential = lease.before
        if credential.attempt_started_at is not None or credential.failures or credential.parked is not None:
            return True
        due_at = credential.refresh_due_at
        return due_at is None or due_at <= self.clock()

    def _present(self, turn: RefreshTurn) -> Refresh:
        lease, credential = turn.lease, turn.lease.credential
        pair = self.read_secrets.pair(credential)
        if credential.integration_type is IntegrationType.CUSTOM_CONNECTION:
            return self._ask_anew(turn, pair)
        current = self.read_grant.stored(credential)
        refresh_token = self.read_grant.newest_refresh_token(credential, current)
        if refresh_token is None:
            return self.fail_refresh.without_refresh_token(lease)
        if not lease.unfinished and (wait := credential.allowance.wait_for(LOWEST_TO_REFRESH, self.clock())):
            return self.fail_refresh.for_want_of_versions(lease, wait)
        self._admit(turn, current)
        listing = self._listed_before(credential, current)
        try:
            answer = self.ask_for_tokens.with_refresh_token(lease, pair, refresh_token)
        except TokenEndpointFailure as failure:
            return self.fail_refresh.by_xero(turn, failure)
        if current is not None:
            answer = answer.keeping(current.secret.token)
        answer = replace(
            answer, token=replace(answer.token, refresh_token=answer.token.refresh_token or refresh_token)
        )
        return self._kept(
            turn, answer.as_asked_for(credential.granted_scopes or credential.requested_scopes), listing
        )

    def _admit(self, turn: RefreshTurn, current: StoredTokens | None) -> None:
        """Let a token be spent only while the vault takes writes, and with a key at hand to seal the answer."""
        credential = turn.lease.credential

        def probe() -> None:
            if current is None:
                return
            try:
                # The version that is there already: taken as a repetition, it changes nothing.
                self.vault.put_tokens(
                    current.secret, version_id=credential.tokens_version_id(credential.generation)
                )
            except VersionTaken:
                # It was written in another form: the vault looked at it, and so it takes writes.
                return

        self.seal.prepare()
        turn.gate.admit(None if current is None else probe, in_trouble=_had_trouble_with_the_vault(turn))

    def _listed_before(self, credential: Credential, current: StoredTokens | None) -> Listing:
        """List the organisations with the token that is still good: after its successor, storing comes first."""
        listing = Listing.of(credential)
        good = current is not None and credential.parked is None and self.clock() < current.secret.token_expires_at
        if current is None or not good or not (listing.pending or self.list_tenants.is_due(listing)):
            return listing
        if self.deadline() - self.clock() < TIME_TO_LIST_BEFORE_ASKING:
            return listing
        return self.list_tenants.everything(listing, current.secret.token.access_token)

    def _kept(
        self, turn: RefreshTurn, answer: TokenAnswer, listing: Listing, *, also: Change = unchanged
    ) -> Refresh:
        parked = turn.lease.credential.parked
        consent = None
        if parked is not None and parked.consent is not None:
            consent = ConsentGiven(parked.consent, parked.xero_user_id)
        list_after = None
        custom = turn.lease.credential.integration_type is IntegrationType.CUSTOM_CONNECTION
        if (listing.pending or consent is not None) and not custom:
            list_after = lambda: self.list_tenants.everything(listing, answer.token.access_token)  # noqa: E731 - bound here
        credential = self.store_tokens.and_end(
            turn.lease,
            answer,
            listing,
            gate=turn.gate,
            list_after=list_after,
            also=also,
            consent=consent,
        )
        if credential.parked is not None:
            return Refresh(Outcome.PARKED, credential, answered=True)
        return self.report_refresh.refreshed(Outcome.REFRESHED, credential, answered=True)

    def _ask_anew(self, turn: RefreshTurn, pair: ClientPair) -> Refresh:
        credential = turn.lease.credential
        if wait := credential.allowance.wait_for(LOWEST_TO_REFRESH, self.clock()):
            return self.fail_refresh.for_want_of_versions(turn.lease, wait)
        if credential.generation > 0 and _had_trouble_with_the_vault(turn):
            self._admit(turn, self.read_grant.stored(credential))
        try:
            answer = self.ask_for_tokens.of_custom_connection(turn.lease, pair)
        except TokenEndpointFailure as failure:
            return self.fail_refresh.by_xero(turn, failure)
        listing = Listing.of(credential)
        if credential.generation == 0:
            listing = replace(listing, pending=True)
        in_time = self.deadline() - self.clock() > TIME_TO_LIST_BEFORE_ASKING
        if in_time and (listing.pending or self.list_tenants.is_due(listing)):
            # Before storing: a Custom connection can ask for its tokens again.
            listing = self.list_tenants.everything(listing, answer.token.access_token)

        def with_scopes(credential: Credential, now: datetime) -> Credential:
            found = granted_scopes_check(credential.requested_scopes, answer.token.scopes, now)
            # Each refresh finds the same, and what is written anew makes its write a larger one.
            return (
                credential.checked(scopes=found)
                if is_news(found, credential.checks["scopes"], now)
                else credential
            )

        return self._kept(turn, answer, listing, also=with_scopes)


def _had_trouble_with_the_vault(turn: RefreshTurn) -> bool:
    trouble = turn.lease.before.last_error
    return trouble is not None and trouble.code == STORE_UNAVAILABLE
