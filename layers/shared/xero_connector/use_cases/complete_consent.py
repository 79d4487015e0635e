"""Receive the browser back from Xero: code to tokens, organisations, and all of it stored."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from xero_connector.domain import consent_refusals
from xero_connector.domain.checks import (
    AuthorizeFinding,
    Check,
    CheckResult,
    granted_scopes_check,
    redirect_uri_refused_check,
    refused_pair_check,
    scopes_check,
)
from xero_connector.domain.consent import AuthorizationRequest, BrowserBinding, RequestPhase, digest, is_token
from xero_connector.domain.credential import ConsentGiven, Credential
from xero_connector.domain.errors import (
    KEYS_UNAVAILABLE,
    ConsentRefused,
    IdTokenRefused,
    LeaseUnavailable,
    RevisionConflict,
    SecretNotVisible,
    StoreUnavailable,
)
from xero_connector.domain.failed_refresh import Secret, without_secret
from xero_connector.domain.history import Action
from xero_connector.domain.parked_grant import ParkedGrant
from xero_connector.domain.ports import (
    Clock,
    Consents,
    Deadline,
    IdTokens,
    Observer,
    Pause,
    Registry,
    Seal,
    TokenEndpoint,
)
from xero_connector.domain.refresh_policy import LEASE, POST_BUDGET, time_to_ask
from xero_connector.domain.status import Status
from xero_connector.domain.tenant import Tenant
from xero_connector.domain.token_endpoint import INCONCLUSIVE, FailureKind, TokenEndpointFailure
from xero_connector.domain.tokens import ClientPair, TokenAnswer
from xero_connector.services.change_credential import ChangeCredential
from xero_connector.services.hold_lease import HeldLease, HoldLease
from xero_connector.services.list_tenants import Listing, ListTenants
from xero_connector.services.read_secrets import ReadSecrets
from xero_connector.services.store_tokens import StoreTokens
from xero_connector.services.vault_gate import VaultGate

_PATIENCE = timedelta(seconds=6)
"""How long a callback waits for a refresh that is under way; API Gateway waits 29 s for the whole."""
_TIME_TO_END = timedelta(seconds=3)
"""With less of it, the answer comes first: a reload finds out what became of its consent in any case."""
_LEAST_ALLOWANCE = -5
"""A consent may draw a little more than there is to spare: together with the schedule 95 versions a day."""
_NOT_PRESENTED = frozenset({FailureKind.NOT_SENT, FailureKind.THROTTLED})
"""The code is certainly not used up."""
_RECHECK_REFUSED_PAIR = timedelta(minutes=5)
_TIME_TO_LOOK_AGAIN = timedelta(seconds=15)
"""Fetching the keys once more takes 5 s at most; after it there has to be time to store."""
_PAUSE = 1.0
"""Seconds between two tries to fetch the keys."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Callback:
    """The query of the redirect back from Xero (RFC 6749 §4.1.2).

    `bindings` finds what this browser's cookie holds for a ticket, given the ticket's hash.
    """

    state: str | None = field(repr=False)
    code: str | None = field(repr=False)
    error: str | None
    error_description: str | None
    bindings: Callable[[str], BrowserBinding | None] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Connected:
    """The organisations of this consent; `repeated` if it was complete already.

    Without `stored` the answer of Xero is kept safe, and the schedule completes the connection.
    """

    tenants: tuple[Tenant, ...]
    tenants_pending: bool
    repeated: bool
    stored: bool = True


@dataclass(frozen=True, slots=True)
class CompleteConsent:
    """Exchanges at most one code per authorization request, under the lease of the credential."""

    registry: Registry
    consents: Consents
    read_secrets: ReadSecrets
    seal: Seal
    token_endpoint: TokenEndpoint
    id_tokens: IdTokens
    list_tenants: ListTenants
    hold_lease: HoldLease
    store_tokens: StoreTokens
    change_credential: ChangeCredential
    clock: Clock
    deadline: Deadline
    pause: Pause
    observer: Observer
    redirect_uri: str

    def __call__(self, callback: Callback) -> Connected:
        """Complete a consent, or raise `ConsentRefused` with a reason and, where it helps, the ticket."""
        if not callback.state and callback.error:
            raise consent_refusals.by_xero(callback.error, callback.error_description)
        request = self._find(callback.state)
        browser = callback.bindings(request.ticket_hash)
        if browser is None or not request.is_bound_to(browser.binding):
            raise consent_refusals.wrong_browser()
        try:
            return self._go_on(callback, request, browser)
        except ConsentRefused as refusal:
            refusal.ticket = browser.ticket
            raise

    def _find(self, state: str | None) -> AuthorizationRequest:
        request = self.consents.get_request(digest(state)) if state and is_token(state) else None
        if request is None:
            raise consent_refusals.state_unknown()
        return request

    def _go_on(self, callback: Callback, request: AuthorizationRequest, browser: BrowserBinding) -> Connected:
        if request.phase is RequestPhase.COMPLETED:
            return Connected(request.tenants, request.tenants_pending, repeated=True)
        if request.phase is RequestPhase.FAILED:
            raise consent_refusals.state_used()
        now = self.clock()
        if request.is_claimed(now):
            raise consent_refusals.busy()
        if request.phase is RequestPhase.CLAIMED and (connected := self._completed_meanwhile(request)):
            return connected
        if request.expires_at <= now:
            raise consent_refusals.state_expired()
        if callback.error:
            raise self._refused_by_xero(callback, request)
        if not callback.code or callback.state is None:
            raise consent_refusals.code_missing()
        row = self._connectable(request)
        try:
            claimed = self.consents.save_request(request.claimed(now))
        except RevisionConflict:
            raise consent_refusals.busy() from None
        held = self._hold(claimed, row)
        if connected := self._stored_before(held, claimed):
            return connected
        return self._exchange(held, claimed, browser, state=callback.state, code=callback.code)

    def _completed_meanwhile(self, request: AuthorizationRequest) -> Connected | None:
        """Find out whether the schedule finished what an earlier callback of this request stored or parked."""
        row = self.registry.get(request.client_id)
        if row is None or request.created_at < row.created_at:
            return None
        if row.grant_consent == request.state_hash:
            self._end(request.completed(row.tenants, pending=row.tenants_pending))
            return Connected(row.tenants, row.tenants_pending, repeated=True)
        if row.parked is not None and row.parked.consent == request.state_hash:
            return Connected((), tenants_pending=True, repeated=True, stored=False)
        return None

    def _refused_by_xero(self, callback: Callback, request: AuthorizationRequest) -> ConsentRefused:
        self._end(request.failed())
        refusal = consent_refusals.by_xero(callback.error, callback.error_description)
        if refusal.code == "scopes_refused":
            self._note_refused_scopes(request.client_id)
        return refusal

    def _connectable(self, request: AuthorizationRequest) -> Credential:
        row = self.registry.get(request.client_id)
        if row is None or not row.takes_consent or request.created_at < row.created_at:
            if row is None or row.status is not Status.CLIENT_REJECTED:
                self._end(request.failed())
            # A new client secret makes the same callback work, while its code lasts.
            raise consent_refusals.not_connectable()
        return row

    def _hold(self, claimed: AuthorizationRequest, row: Credential) -> HeldLease:
        try:
            held = self.hold_lease.waiting(row, patience=_PATIENCE, consenting=claimed.state_hash)
        except LeaseUnavailable:
            # Nothing was presented to Xero yet: the same callback may be opened again.
            self._end(claimed.reopened())
            raise consent_refusals.busy() from None
        # As it stands now: it may have been disconnected while we waited.
        if not held.row.takes_consent:
            held.give_back()
            self._end(claimed.failed())
            raise consent_refusals.not_connectable()
        if held.row.allowance.level_at(self.clock()) < _LEAST_ALLOWANCE:
            held.give_back()
            self._end(claimed.reopened())
            raise consent_refusals.too_often()
        return held

    def _stored_before(self, held: HeldLease, claimed: AuthorizationRequest) -> Connected | None:
        """Commit what earlier work left behind; say if that was the grant of this very request."""
        cut_off = held.before.consenting
        row = self.store_tokens.adopt_newer(held) if held.unfinished else None
        if cut_off is not None:
            if row is not None:
                held.renew()
            row = self._adopt(held, cut_off, claimed.state_hash) or row
        if held.row.grant_consent == claimed.state_hash:
            if held.row.lease is not None:
                held.give_back()
            self._end(claimed.completed(held.row.tenants, pending=held.row.tenants_pending))
            return Connected(held.row.tenants, held.row.tenants_pending, repeated=True)
        if row is not None:
            # Adopting commits and gives the lease back.
            held.save(
                lambda there, now: there.leased(held.owner, now=now, duration=LEASE, consenting=claimed.state_hash)
            )
        return None

    def _adopt(self, held: HeldLease, cut_off: str, mine: str) -> Credential | None:
        held.row = replace(held.row, consenting=cut_off)
        adopted = self.store_tokens.adopt_consent(held)
        if adopted is None:
            held.row = replace(held.row, consenting=mine)
        return adopted

    def _exchange(
        self,
        held: HeldLease,
        claimed: AuthorizationRequest,
        browser: BrowserBinding,
        *,
        state: str,
        code: str,
    ) -> Connected:
        row = held.row
        try:
            pair = self.read_secrets.pair(row)
            self.seal.prepare()
            self.id_tokens.load_keys()
            held.ensure(POST_BUDGET)
            within = self._time_to_exchange()
        except SecretNotVisible as unreadable:
            raise self._without_pair(held, claimed, unreadable) from None
        except (StoreUnavailable, TokenEndpointFailure) as unavailable:
            raise self._postponed(held, claimed, unavailable) from None
        try:
            answer = self._present_code(held, pair, code, browser.code_verifier(state), within)
        except TokenEndpointFailure as failure:
            if failure.kind in _NOT_PRESENTED:
                # The code is still good: the same callback may be opened again.
                postponed = self._postponed(held, claimed, failure)
                throttled = failure.kind is FailureKind.THROTTLED
                raise (consent_refusals.throttled() if throttled else postponed) from None
            self._note_failed_exchange(held, claimed, failure)
            # Xero looks at the client before the code: a code that came with a refused pair is still good.
            client_refused = failure.kind is FailureKind.INVALID_CLIENT
            self._end(claimed.reopened() if client_refused else claimed.failed())
            raise consent_refusals.exchange_failed(failure) from None
        try:
            user_id = self._verified(answer, client_id=row.client_id, nonce=browser.nonce(state))
        except IdTokenRefused as refused:
            self._leave_behind(held, claimed, answer)
            self.observer.count("IdTokenRefused")
            self.observer.event("id_token_refused", client_id=row.client_id, reason=refused.code)
            raise consent_refusals.id_token_refused() from None
        if answer.token.refresh_token is None:
            # A grant that cannot be kept alive must not take the place of one that is.
            self._leave_behind(held, claimed, answer)
            self.observer.event("refresh_token_missing", client_id=row.client_id, status=row.status)
            raise consent_refusals.refresh_token_missing()
        return self._keep(held, claimed, answer.as_asked_for(row.requested_scopes), user_id=user_id)

    def _verified(self, answer: TokenAnswer, *, client_id: str, nonce: str) -> str:
        """Return the user's id, waiting for the keys as long as there is time: the code is used up."""
        while True:
            try:
                return self.id_tokens.verify_id_token(answer.id_token, client_id=client_id, nonce=nonce)
            except IdTokenRefused as refused:
                if refused.code != KEYS_UNAVAILABLE or self.deadline() - self.clock() < _TIME_TO_LOOK_AGAIN:
                    raise
            self.pause(_PAUSE)

    def _leave_behind(self, held: HeldLease, claimed: AuthorizationRequest, answer: TokenAnswer | None) -> None:
        """Refuse a consent whose grant may live at Xero; a disconnect ends it, or says that it could not."""
        token = None if answer is None else answer.token.refresh_token
        try:
            sealed = "" if token is None else self.seal.seal(token, context=held.row.seal_context)
        except StoreUnavailable:
            sealed = ""
        grant = ParkedGrant(sealed=sealed, obtained_at=self.clock(), consent=claimed.state_hash)
        # Where this cannot be written, the row still says that a consent was at work, and the schedule notes it.
        held.give_back_if_possible(lambda row, now: row.leaving_behind(grant, now=now))
        self._end(claimed.failed())

    def _without_pair(
        self, held: HeldLease, claimed: AuthorizationRequest, unreadable: SecretNotVisible
    ) -> ConsentRefused:
        """Wait for the pair as long as it can lag; after that it is gone, and only an admin can help."""
        due_at = held.before.due_at

        def noted(row: Credential, now: datetime) -> Credential:
            noted = without_secret(row, missing=Secret.CLIENT, now=now).looking_for(held.before)
            waiting = noted.status is not Status.CLIENT_REJECTED
            return replace(noted, due_at=due_at) if waiting else noted

        try:
            row = held.save(noted)
        except StoreUnavailable:
            return self._postponed(held, claimed, unreadable)
        self._end(claimed.reopened())
        self.observer.count("SecretUnreadable")
        self.observer.event("secret_unreadable", client_id=row.client_id, status=row.status)
        gone = row.status is Status.CLIENT_REJECTED
        return consent_refusals.not_connectable() if gone else consent_refusals.postponed(unreadable)

    def _time_to_exchange(self) -> timedelta:
        within = time_to_ask(self.deadline() - self.clock())
        if within is None:
            raise StoreUnavailable("GetSecretValue", "TooSlow")
        return within

    def _present_code(
        self, held: HeldLease, pair: ClientPair, code: str, code_verifier: str, within: timedelta
    ) -> TokenAnswer:
        try:
            return self.token_endpoint.exchange_code(pair, code=code, code_verifier=code_verifier, within=within)
        except TokenEndpointFailure as failure:
            again = time_to_ask(self.deadline() - self.clock())
            if failure.kind is not FailureKind.NOT_SENT or again is None:
                raise
        # Nothing was sent, so nothing can have happened: once more, at once.
        held.ensure(POST_BUDGET)
        return self.token_endpoint.exchange_code(pair, code=code, code_verifier=code_verifier, within=again)

    def _postponed(
        self, held: HeldLease, claimed: AuthorizationRequest, reason: StoreUnavailable | TokenEndpointFailure
    ) -> ConsentRefused:
        """Leave everything as it was: nothing came to be at Xero, and the same callback may be opened again."""
        held.give_back_if_possible()
        self._end(claimed.reopened())
        self.observer.count("ConsentPostponed")
        self.observer.event(
            "consent_postponed", client_id=held.row.client_id, code=reason.code, detail=reason.detail
        )
        return consent_refusals.postponed(reason)

    def _keep(
        self, held: HeldLease, claimed: AuthorizationRequest, answer: TokenAnswer, *, user_id: str
    ) -> Connected:
        # Without an answer nothing is known: the organisations of the grant before may be another user's. No grant
        # is lost for want of a list: the next refresh brings it.
        nothing = Listing((), pending=True, checked_at=None)

        def listed() -> Listing:
            listing = self.list_tenants.of_consent(nothing, answer)
            # The next refresh looks what the grant still reaches of what earlier consents connected.
            return replace(listing, checked_at=None) if held.row.generation > 0 else listing

        row = self.store_tokens(
            held,
            answer,
            nothing,
            gate=VaultGate(),
            list_after=listed,
            also=lambda row, now: _with_findings(row, answer, now=now),
            consent=ConsentGiven(claimed.state_hash, user_id),
        )
        if row.parked is not None:
            return Connected((), tenants_pending=True, repeated=False, stored=False)
        self._end(claimed.completed(row.tenants, pending=row.tenants_pending))
        self.observer.count("CredentialConnected")
        self.observer.event(
            "credential_connected",
            client_id=row.client_id,
            generation=row.generation,
            tenants=len(row.tenants),
        )
        return Connected(row.tenants, tenants_pending=row.tenants_pending, repeated=False)

    def _note_refused_scopes(self, client_id: str) -> None:
        now = self.clock()

        def refused(row: Credential) -> Credential:
            check = scopes_check(AuthorizeFinding.SCOPE_NOT_ALLOWED, row.requested_scopes, now)
            return replace(row.checked(scopes=check).noted(Action.SCOPES_REFUSED), updated_at=now)

        self.change_credential(client_id, refused)

    def _note_failed_exchange(
        self, held: HeldLease, claimed: AuthorizationRequest, failure: TokenEndpointFailure
    ) -> None:
        self.observer.count("ExchangeFailed")
        self.observer.event(
            "exchange_failed",
            client_id=held.row.client_id,
            failure=failure.code,
            correlation_id=failure.correlation_id,
        )
        if failure.kind is FailureKind.UNAUTHORIZED_CLIENT:
            # Both calls carried the same redirect URI, byte for byte; only the token endpoint compares case.
            check = redirect_uri_refused_check(self.redirect_uri, self.clock())
            held.save(lambda row, _: row.checked(redirect_uri=check))
        if failure.kind in INCONCLUSIVE:
            self._leave_behind(held, claimed, None)
            return
        if failure.kind is not FailureKind.INVALID_CLIENT:
            held.give_back_if_possible()
            return
        held.save(
            lambda row, now: (
                row.failed(code=failure.code, detail=failure.detail, now=now)
                .checked(pair=refused_pair_check(now))
                .move_to(Status.CLIENT_REJECTED)
                .released(due_at=now + _RECHECK_REFUSED_PAIR, attempt_finished=not held.unfinished, now=now)
                .looking_for(held.before)
            )
        )

    def _end(self, request: AuthorizationRequest) -> None:
        if self.deadline() - self.clock() < _TIME_TO_END:
            return
        try:
            self.consents.save_request(request)
        except RevisionConflict:
            # The claim ran out and a later callback of the same browser took over: that one decides.
            self.observer.count("ClaimOverrun")
        except StoreUnavailable as unavailable:
            # What counts is stored or given back; the claim runs out by itself, and a reload finds out.
            self.observer.event("consent_not_marked", client_id=request.client_id, detail=unavailable.detail)


def _with_findings(row: Credential, answer: TokenAnswer, *, now: datetime) -> Credential:
    return row.checked(
        scopes=granted_scopes_check(row.requested_scopes, answer.token.scopes, now),
        redirect_uri=Check(CheckResult.PASS, "Xero sent a user back to the redirect URI.", now),
        pair=Check(CheckResult.PASS, "Xero accepted the pair for a consent.", now),
    )
