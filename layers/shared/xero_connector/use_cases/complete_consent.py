"""Receive the browser back from Xero: code to tokens, organisations, and all of it stored."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

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
    Registry,
)
from xero_connector.domain.refresh_policy import LEASE
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


@dataclass(frozen=True, slots=True)
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
        if connected := self._looked_back(held, claimed):
            return connected
        return self.exchange_code(held, claimed, browser, state=callback.state, code=callback.code)

    def _completed_meanwhile(self, request: AuthorizationRequest) -> Connected | None:
        """Find out whether the schedule finished what an earlier callback of this request stored or parked."""
        row = self.registry.get(request.client_id)
        if row is None or request.created_at < row.created_at:
            return None
        if row.grant_consent == request.state_hash:
            self.end_request(request.completed(row.tenants, pending=row.tenants_pending))
            return Connected(row.tenants, row.tenants_pending, repeated=True)
        if row.parked is not None and row.parked.consent == request.state_hash:
            return Connected((), tenants_pending=True, repeated=True, stored=False)
        return None

    def _refused_by_xero(self, callback: Callback, request: AuthorizationRequest) -> ConsentRefused:
        self.end_request(request.failed())
        refusal = consent_refusals.by_xero(callback.error, callback.error_description)
        if refusal.code == "scopes_refused":
            self._note_refused_scopes(request.client_id)
        return refusal

    def _connectable(self, request: AuthorizationRequest) -> Credential:
        row = self.registry.get(request.client_id)
        if row is None or not row.takes_consent or request.created_at < row.created_at:
            if row is None or row.status is not Status.CLIENT_REJECTED:
                self.end_request(request.failed())
            # A new client secret makes the same callback work, while its code lasts.
            raise consent_refusals.not_connectable()
        return row

    def _hold(self, claimed: AuthorizationRequest, row: Credential) -> HeldLease:
        try:
            held = self.hold_lease.waiting(row, patience=PATIENCE, consenting=claimed.state_hash)
        except LeaseUnavailable:
            # Nothing was presented to Xero yet: the same callback may be opened again.
            self.end_request(claimed.reopened())
            raise consent_refusals.busy() from None
        # As it stands now: it may have been disconnected while we waited.
        if not held.row.takes_consent:
            refused = held.row.status is Status.CLIENT_REJECTED
            held.give_back()
            # Nothing was presented: a new client secret makes the same callback work.
            self.end_request(claimed.reopened() if refused else claimed.failed())
            raise consent_refusals.not_connectable()
        if held.row.allowance.level_at(self.clock()) < _LEAST_ALLOWANCE:
            held.give_back()
            self.end_request(claimed.reopened())
            raise consent_refusals.too_often()
        return held

    def _looked_back(self, held: HeldLease, claimed: AuthorizationRequest) -> Connected | None:
        try:
            return self._stored_before(held, claimed)
        except StoreUnavailable as unavailable:
            # Nothing was presented, and what earlier work left behind is looked for again.
            held.give_back_if_possible()
            self.end_request(claimed.reopened())
            raise consent_refusals.postponed(unavailable) from None

    def _stored_before(self, held: HeldLease, claimed: AuthorizationRequest) -> Connected | None:
        """Commit what earlier work left behind; say if that was the grant of this very request."""
        cut_off = held.before.consenting
        row = self.adopt_tokens.newer(held) if held.unfinished else None
        if cut_off is not None:
            if row is not None:
                held.renew()
            row = self._adopt(held, cut_off, claimed.state_hash) or row
        if held.row.grant_consent == claimed.state_hash:
            if held.row.lease is not None:
                held.give_back()
            self.end_request(claimed.completed(held.row.tenants, pending=held.row.tenants_pending))
            return Connected(held.row.tenants, held.row.tenants_pending, repeated=True)
        if row is not None:
            # Adopting commits and gives the lease back.
            held.before = row
            held.save(
                lambda there, now: there.leased(held.owner, now=now, duration=LEASE, consenting=claimed.state_hash)
            )
        return None

    def _adopt(self, held: HeldLease, cut_off: str, mine: str) -> Credential | None:
        held.row = replace(held.row, consenting=cut_off)
        adopted = self.adopt_tokens.consent(held)
        if adopted is None:
            held.row = replace(held.row, consenting=mine)
        return adopted

    def _note_refused_scopes(self, client_id: str) -> None:
        now = self.clock()

        def refused(row: Credential) -> Credential:
            check = scopes_check(AuthorizeFinding.SCOPE_NOT_ALLOWED, row.requested_scopes, now)
            return replace(row.checked(scopes=check).noted(Action.SCOPES_REFUSED), updated_at=now)

        self.change_credential(client_id, refused)
