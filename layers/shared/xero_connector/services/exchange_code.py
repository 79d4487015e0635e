"""Exchange the code of a consent, and keep what it brings whatever happens next."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from xero_connector.domain import consent_refusals
from xero_connector.domain.checks import (
    Check,
    CheckResult,
    granted_scopes_check,
    redirect_uri_refused_check,
    refused_pair_check,
)
from xero_connector.domain.consent import AuthorizationRequest, BrowserBinding
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
from xero_connector.domain.parked_grant import ParkedGrant
from xero_connector.domain.ports import Clock, Deadline, IdTokens, Observer, Pause, Seal, TokenEndpoint
from xero_connector.domain.refresh_policy import RECHECK_REFUSED_PAIR
from xero_connector.domain.status import Status
from xero_connector.domain.tenant import Tenant
from xero_connector.domain.time_budget import POST_BUDGET, TIME_TO_FETCH_KEYS_AGAIN, time_to_ask
from xero_connector.domain.token_endpoint import INCONCLUSIVE, FailureKind, TokenEndpointFailure
from xero_connector.domain.tokens import ClientPair, TokenAnswer
from xero_connector.services.end_request import EndRequest
from xero_connector.services.hold_lease import HeldLease
from xero_connector.services.list_tenants import Listing, ListTenants
from xero_connector.services.read_secrets import ReadSecrets
from xero_connector.services.store_tokens import StoreTokens
from xero_connector.services.vault_gate import VaultGate

_NOT_PRESENTED = frozenset({FailureKind.NOT_SENT, FailureKind.THROTTLED})
"""The code is certainly not used up."""
_PAUSE = 1.0
"""Seconds between two tries to fetch the keys."""


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
class ExchangeCode:
    """Presents a code at most once, under the lease of the credential, and stores the answer first."""

    read_secrets: ReadSecrets
    seal: Seal
    token_endpoint: TokenEndpoint
    id_tokens: IdTokens
    list_tenants: ListTenants
    store_tokens: StoreTokens
    end_request: EndRequest
    clock: Clock
    deadline: Deadline
    pause: Pause
    observer: Observer
    redirect_uri: str

    def __call__(
        self,
        held: HeldLease,
        claimed: AuthorizationRequest,
        browser: BrowserBinding,
        *,
        state: str,
        code: str,
    ) -> Connected:
        """Exchange the code and store its tokens, or raise `ConsentRefused`; the lease is given back."""
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
            self.end_request(claimed.reopened() if client_refused else claimed.failed())
            raise consent_refusals.exchange_failed(failure) from None
        try:
            user_id = self._verified(answer, client_id=row.client_id, nonce=browser.nonce(state))
        except IdTokenRefused as refused:
            self._leave_behind(held, claimed, answer)
            self.end_request(claimed.failed())
            self.observer.count("IdTokenRefused")
            self.observer.event("id_token_refused", client_id=row.client_id, reason=refused.code)
            raise consent_refusals.id_token_refused() from None
        if answer.token.refresh_token is None:
            # A grant that cannot be kept alive must not take the place of one that is.
            self._leave_behind(held, claimed, answer)
            self.end_request(claimed.failed())
            self.observer.event("refresh_token_missing", client_id=row.client_id, status=row.status)
            raise consent_refusals.refresh_token_missing()
        return self._keep(held, claimed, answer.as_asked_for(row.requested_scopes), user_id=user_id)

    def _verified(self, answer: TokenAnswer, *, client_id: str, nonce: str) -> str:
        """Return the user's id, waiting for the keys as long as there is time: the code is used up."""
        while True:
            try:
                return self.id_tokens.verify_id_token(answer.id_token, client_id=client_id, nonce=nonce)
            except IdTokenRefused as refused:
                if refused.code != KEYS_UNAVAILABLE or self.deadline() - self.clock() < TIME_TO_FETCH_KEYS_AGAIN:
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
        try:
            held.give_back(lambda row, now: row.leaving_behind(grant, now=now))
        except LeaseUnavailable:
            held.save_late(lambda row, now: row.leaving_behind(grant, now=now))
        except (RevisionConflict, StoreUnavailable) as trouble:
            # The row still says that a consent was at work, and the schedule notes that it is lost.
            self.observer.event("consent_not_marked", client_id=held.row.client_id, detail=trouble.detail)

    def _without_pair(
        self, held: HeldLease, claimed: AuthorizationRequest, unreadable: SecretNotVisible
    ) -> ConsentRefused:
        """Wait for the pair as long as it can lag; after that it is gone, and only an admin can help."""
        if held.row.has_grant:
            # The next refresh looks for it.
            return self._postponed(held, claimed, unreadable)
        try:
            row = held.save(
                lambda row, now: without_secret(row, missing=Secret.CLIENT, now=now).looking_for(held.before)
            )
        except StoreUnavailable:
            return self._postponed(held, claimed, unreadable)
        self.end_request(claimed.reopened())
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
        self.end_request(claimed.reopened())
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
        if row.parked is not None and row.parked.consent == claimed.state_hash:
            return Connected((), tenants_pending=True, repeated=False, stored=False)
        if row.grant_consent != claimed.state_hash:
            # The lease was overtaken: a disconnect ends what this consent brought.
            self.end_request(claimed.failed())
            raise consent_refusals.state_used()
        self.end_request(claimed.completed(row.tenants, pending=row.tenants_pending))
        self.observer.count("CredentialConnected")
        self.observer.event(
            "credential_connected",
            client_id=row.client_id,
            generation=row.generation,
            tenants=len(row.tenants),
        )
        return Connected(row.tenants, tenants_pending=row.tenants_pending, repeated=False)

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
                .released(due_at=now + RECHECK_REFUSED_PAIR, attempt_finished=not held.unfinished, now=now)
                .looking_for(held.before)
            )
        )


def _with_findings(row: Credential, answer: TokenAnswer, *, now: datetime) -> Credential:
    return row.checked(
        scopes=granted_scopes_check(row.requested_scopes, answer.token.scopes, now),
        redirect_uri=Check(CheckResult.PASS, "Xero sent a user back to the redirect URI.", now),
        pair=Check(CheckResult.PASS, "Xero accepted the pair for a consent.", now),
    )
