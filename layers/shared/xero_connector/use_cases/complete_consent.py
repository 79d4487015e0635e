"""Receive the browser back from Xero: code to tokens, organisations, and all of it stored."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from http import HTTPStatus

from xero_connector.domain import consent_refusals
from xero_connector.domain.checks import (
    AuthorizeFinding,
    scopes_check,
)
from xero_connector.domain.consent import AuthorizationRequest, BrowserBinding, RequestPhase, digest, is_token
from xero_connector.domain.credential import Credential
from xero_connector.domain.errors import (
    ConsentRefused,
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
)
from xero_connector.domain.status import Status
from xero_connector.domain.time_budget import PATIENCE
from xero_connector.services.adopt_tokens import AdoptTokens
from xero_connector.services.change_credential import ChangeCredential
from xero_connector.services.end_request import EndRequest
from xero_connector.services.exchange_code import Connected, ExchangeCode
from xero_connector.services.hold_lease import HeldLease, HoldLease

_LEAST_ALLOWANCE = -5
"""A consent may draw a little more than there is to spare: together with the schedule 95 versions a day."""


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

    @property
    def consent_id(self) -> str:
        """Where the registry keeps the request, and what the page of the consent is named for."""
        return digest(self.state or "")


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class CompleteConsent:
    """Exchanges at most one code per authorization request, under the lease of the credential."""

    registry: Registry
    consents: Consents
    hold_lease: HoldLease
    adopt_tokens: AdoptTokens
    exchange_code: ExchangeCode
    end_request: EndRequest
    change_credential: ChangeCredential
    clock: Clock
    observer: Observer

    def __call__(self, callback: Callback) -> Connected:
        """Complete a consent, or raise `ConsentRefused` with a reason and, where it helps, the ticket."""
        outcome = "failed"
        try:
            connected = self._complete(callback)
            outcome = "repeated" if connected.repeated else "connected"
        except ConsentRefused as refusal:
            outcome = "failed" if refusal.status >= HTTPStatus.INTERNAL_SERVER_ERROR else "refused"
            raise
        finally:
            self.observer.count(f"Callbacks.{outcome}")
        return connected

    def _complete(self, callback: Callback) -> Connected:
        if not callback.state and callback.error:
            raise consent_refusals.by_xero(callback.error, callback.error_description)
        request = self._find(callback.state)
        browser = callback.bindings(request.ticket_hash)
        if browser is None or not request.is_bound_to(browser.binding):
            raise consent_refusals.wrong_browser()
        try:
            return self._go_on(callback, request, browser)
        except ConsentRefused as refusal:
            raise refusal.offering(browser.ticket) from refusal

    def _find(self, state: str | None) -> AuthorizationRequest:
        request = self.consents.get_request(digest(state)) if state and is_token(state) else None
        if request is None:
            raise consent_refusals.state_unknown()
        return request

    def _go_on(self, callback: Callback, request: AuthorizationRequest, browser: BrowserBinding) -> Connected:
        if request.phase is RequestPhase.COMPLETED:
            return Connected(request.tenants, request.tenants_pending, repeated=True)
        if request.phase is RequestPhase.FAILED:
            ended_with = consent_refusals.kept(request.refusal)
            raise ended_with(consent_id=request.state_hash if request.refusal is not None else None)
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
        credential = self._connectable(request)
        try:
            claimed = self.consents.save_request(request.claimed(now))
        except RevisionConflict as claimed_by_another:
            raise consent_refusals.busy() from claimed_by_another
        with self._hold(claimed, credential) as lease:
            self._check_still_connectable(lease, claimed)
            if connected := self._looked_back(lease, claimed):
                return connected
            return self.exchange_code(lease, claimed, browser, state=callback.state, code=callback.code)

    def _completed_meanwhile(self, request: AuthorizationRequest) -> Connected | None:
        """Find out whether the schedule finished what an earlier callback of this request stored or parked."""
        credential = self.registry.get(request.client_id)
        if credential is None or request.created_at < credential.created_at:
            return None
        if credential.grant_consent == request.state_hash:
            self.end_request(request.completed(credential.tenants, pending=credential.tenants_pending))
            return Connected(credential.tenants, credential.tenants_pending, repeated=True)
        if credential.parked is not None and credential.parked.consent == request.state_hash:
            return Connected((), tenants_pending=True, repeated=True, stored=False)
        return None

    def _refused_by_xero(self, callback: Callback, request: AuthorizationRequest) -> ConsentRefused:
        self.end_request(request.failed())
        refusal = consent_refusals.by_xero(callback.error, callback.error_description)
        if refusal.code == consent_refusals.scopes_refused.code:
            self._note_refused_scopes(request.client_id)
        return refusal

    def _connectable(self, request: AuthorizationRequest) -> Credential:
        credential = self.registry.get(request.client_id)
        if credential is None or not credential.takes_consent or request.created_at < credential.created_at:
            if credential is None or credential.status is not Status.CLIENT_REJECTED:
                self.end_request(request.failed())
            # A new client secret makes the same callback work, while its code lasts.
            raise consent_refusals.not_connectable()
        return credential

    def _hold(self, claimed: AuthorizationRequest, credential: Credential) -> HeldLease:
        try:
            return self.hold_lease.waiting(credential, patience=PATIENCE, consenting=claimed.state_hash)
        except LeaseUnavailable as busy:
            # Nothing was presented to Xero yet: the same callback may be opened again.
            self.end_request(claimed.reopened())
            raise consent_refusals.busy() from busy

    def _check_still_connectable(self, lease: HeldLease, claimed: AuthorizationRequest) -> None:
        """Look at the credential as it stands now: it may have been disconnected while this callback waited."""
        credential = lease.credential
        if not credential.takes_consent:
            refused = credential.status is Status.CLIENT_REJECTED
            # Nothing was presented: a new client secret makes the same callback work.
            self.end_request(claimed.reopened() if refused else claimed.failed())
            raise consent_refusals.not_connectable()
        if credential.allowance.level_at(self.clock()) < _LEAST_ALLOWANCE:
            self.end_request(claimed.reopened())
            raise consent_refusals.too_often()

    def _looked_back(self, lease: HeldLease, claimed: AuthorizationRequest) -> Connected | None:
        try:
            return self._stored_before(lease, claimed)
        except StoreUnavailable as unavailable:
            # Nothing was presented, and what earlier work left behind is looked for again.
            self.end_request(claimed.reopened())
            raise consent_refusals.postponed(unavailable) from unavailable

    def _stored_before(self, lease: HeldLease, claimed: AuthorizationRequest) -> Connected | None:
        """Commit what earlier work left behind; say if that was the grant of this very request."""
        mine, cut_off = claimed.state_hash, lease.before.consenting
        if lease.unfinished:
            self.adopt_tokens.newer(lease, commit=lease.keep)
        if cut_off is not None:
            commit = lease.end if cut_off == mine else lease.keep
            self.adopt_tokens.consent(lease, commit=commit, request=cut_off)
        credential = lease.credential
        if credential.grant_consent != mine:
            return None
        self.end_request(claimed.completed(credential.tenants, pending=credential.tenants_pending))
        return Connected(credential.tenants, credential.tenants_pending, repeated=True)

    def _note_refused_scopes(self, client_id: str) -> None:
        now = self.clock()

        def refused(credential: Credential) -> Credential:
            check = scopes_check(AuthorizeFinding.SCOPE_NOT_ALLOWED, credential.requested_scopes, now)
            return replace(credential.checked(scopes=check).noted(Action.SCOPES_REFUSED), updated_at=now)

        self.change_credential(client_id, refused)
