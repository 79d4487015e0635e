"""Receive the browser back from Xero: code to tokens, organisations, and all of it stored."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

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
from xero_connector.domain.credential import Credential
from xero_connector.domain.errors import (
    ConsentRefused,
    IdTokenRefused,
    LeaseUnavailable,
    RevisionConflict,
    StoreUnavailable,
)
from xero_connector.domain.history import Action
from xero_connector.domain.ports import (
    Clock,
    Consents,
    Observer,
    Registry,
    Vault,
    XeroIdentity,
)
from xero_connector.domain.refresh_policy import POST_BUDGET
from xero_connector.domain.status import Status
from xero_connector.domain.tenant import Tenant
from xero_connector.domain.token_endpoint import FailureKind, TokenEndpointFailure
from xero_connector.domain.tokens import TokenAnswer
from xero_connector.use_cases import consent_refusals
from xero_connector.use_cases.change_credential import ChangeCredential
from xero_connector.use_cases.hold_lease import HeldLease, HoldLease
from xero_connector.use_cases.list_tenants import Listing, ListTenants
from xero_connector.use_cases.read_client_pair import read_client_pair
from xero_connector.use_cases.store_tokens import StoreTokens

_PATIENCE = timedelta(seconds=6)
"""How long a callback waits for a refresh that is under way; API Gateway waits 29 s for the whole."""
_LIST_WITHIN = timedelta(seconds=10)
"""After that there is no time to list the organisations: the next refresh does it."""
_LEAST_ALLOWANCE = -5
"""A consent may draw a little more than there is to spare: together with the schedule 95 versions a day."""
_RECHECK_REFUSED_PAIR = timedelta(minutes=5)


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
    vault: Vault
    identity: XeroIdentity
    list_tenants: ListTenants
    hold_lease: HoldLease
    store_tokens: StoreTokens
    change_credential: ChangeCredential
    clock: Clock
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
        if request.expires_at <= now:
            raise consent_refusals.state_expired()
        if request.is_claimed(now):
            raise consent_refusals.busy()
        if callback.error:
            raise self._refused_by_xero(callback, request)
        if not callback.code or callback.state is None:
            raise consent_refusals.code_missing()
        row = self._connectable(request)
        try:
            claimed = self.consents.save_request(request.claimed(now, generation=row.generation))
        except RevisionConflict:
            raise consent_refusals.busy() from None
        held = self._hold(claimed, row)
        cut_off = request.phase is RequestPhase.CLAIMED
        if cut_off and (connected := self._stored_before(held, claimed)):
            return connected
        return self._exchange(held, claimed, browser, state=callback.state, code=callback.code)

    def _refused_by_xero(self, callback: Callback, request: AuthorizationRequest) -> ConsentRefused:
        self._end(request.failed())
        refusal = consent_refusals.by_xero(callback.error, callback.error_description)
        if refusal.code == "scopes_refused":
            self._note_refused_scopes(request.client_id)
        return refusal

    def _connectable(self, request: AuthorizationRequest) -> Credential:
        row = self.registry.get(request.client_id)
        if row is None or not row.takes_consent or request.created_at < row.created_at:
            self._end(request.failed())
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
        """Find out whether an earlier callback of this request stored its grant before it was cut off."""
        adopted = self.store_tokens.adopt_newer(held) if held.unfinished else None
        row = adopted or held.row
        if claimed.generation_at_claim is None or row.generation <= claimed.generation_at_claim:
            return None
        if adopted is None:
            held.give_back()
        self._end(claimed.completed(row.tenants, pending=row.tenants_pending))
        return Connected(row.tenants, row.tenants_pending, repeated=True)

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
            pair = read_client_pair(self.vault, row)
            self.identity.load_keys()
            held.ensure(POST_BUDGET)
        except (StoreUnavailable, TokenEndpointFailure) as unavailable:
            # Nothing was presented to Xero yet: the same callback may be opened again.
            held.give_back()
            self._end(claimed.reopened())
            self.observer.count("ConsentPostponed")
            self.observer.event(
                "consent_postponed",
                client_id=row.client_id,
                code=unavailable.code,
                detail=unavailable.detail,
            )
            raise consent_refusals.postponed(unavailable) from None
        try:
            answer = self.identity.exchange_code(pair, code=code, code_verifier=browser.code_verifier(state))
            user_id = self.identity.verify_id_token(
                answer.id_token, client_id=row.client_id, nonce=browser.nonce(state)
            )
        except TokenEndpointFailure as failure:
            self._note_failed_exchange(held, failure)
            self._end(claimed.failed())
            raise consent_refusals.exchange_failed(failure) from None
        except IdTokenRefused as refused:
            held.give_back()
            self._end(claimed.failed())
            self.observer.count("IdTokenRefused")
            self.observer.event("id_token_refused", client_id=row.client_id, reason=refused.code)
            raise consent_refusals.id_token_refused() from None
        return self._keep(held, claimed, answer, user_id=user_id)

    def _keep(
        self, held: HeldLease, claimed: AuthorizationRequest, answer: TokenAnswer, *, user_id: str
    ) -> Connected:
        # Without an answer nothing is known: the organisations of the grant before may be another user's. No grant
        # is lost for want of a list: the next refresh brings it.
        nothing = Listing((), pending=True, checked_at=None)
        listing = nothing if self._is_late(claimed) else self.list_tenants.of_consent(nothing, answer)
        if held.row.generation > 0:
            # The next refresh looks what the grant still reaches of what earlier consents connected.
            listing = replace(listing, checked_at=None)
        row = self.store_tokens(
            held,
            answer,
            listing,
            also=lambda row, now: _with_findings(row, answer, now=now),
            consented=f"xero_user:{user_id}",
        )
        self._end(claimed.completed(listing.tenants, pending=listing.pending))
        self.observer.count("CredentialConnected")
        self.observer.event(
            "credential_connected",
            client_id=row.client_id,
            generation=row.generation,
            tenants=len(listing.tenants),
        )
        return Connected(listing.tenants, tenants_pending=listing.pending, repeated=False)

    def _is_late(self, claimed: AuthorizationRequest) -> bool:
        # A code cannot be presented twice: what it brought is stored before the time of API Gateway runs out.
        return claimed.claimed_at is not None and self.clock() - claimed.claimed_at > _LIST_WITHIN

    def _note_refused_scopes(self, client_id: str) -> None:
        now = self.clock()

        def refused(row: Credential) -> Credential:
            check = scopes_check(AuthorizeFinding.SCOPE_NOT_ALLOWED, row.requested_scopes, now)
            return replace(row.checked(scopes=check).noted(Action.SCOPES_REFUSED), updated_at=now)

        self.change_credential(client_id, refused)

    def _note_failed_exchange(self, held: HeldLease, failure: TokenEndpointFailure) -> None:
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
        if failure.kind is not FailureKind.INVALID_CLIENT:
            held.give_back()
            return
        held.save(
            lambda row, now: (
                row.failed(code=failure.code, detail=failure.detail, now=now)
                .checked(pair=refused_pair_check(now))
                .move_to(Status.CLIENT_REJECTED)
                .released(due_at=now + _RECHECK_REFUSED_PAIR, attempt_finished=not held.unfinished, now=now)
            )
        )

    def _end(self, request: AuthorizationRequest) -> None:
        try:
            self.consents.save_request(request)
        except RevisionConflict:
            # The claim ran out and a later callback of the same browser took over: that one decides.
            self.observer.count("ClaimOverrun")


def _with_findings(row: Credential, answer: TokenAnswer, *, now: datetime) -> Credential:
    return replace(
        row.checked(
            scopes=granted_scopes_check(row.requested_scopes, answer.token.scopes, now),
            redirect_uri=Check(CheckResult.PASS, "Xero sent a user back to the redirect URI.", now),
            pair=Check(CheckResult.PASS, "Xero accepted the pair for a consent.", now),
        ),
        grant_began=row.generation,
    )
