"""Exchange the code of a consent, and keep what it brings whatever happens next."""

from dataclasses import dataclass, field, replace
from datetime import datetime

from xero_connector.domain import consent_refusals
from xero_connector.domain.checks import Check, CheckResult, granted_scopes_check
from xero_connector.domain.consent import AuthorizationRequest, BrowserBinding
from xero_connector.domain.credential import ConsentGiven, Credential
from xero_connector.domain.errors import KEYS_UNAVAILABLE, IdTokenRefused, SecretNotVisible, StoreUnavailable
from xero_connector.domain.ports import Clock, Deadline, IdTokens, Observer, Pause, Seal
from xero_connector.domain.tenant import Tenant
from xero_connector.domain.time_budget import TIME_TO_FETCH_KEYS_AGAIN
from xero_connector.domain.token_endpoint import TokenEndpointFailure
from xero_connector.domain.tokens import ClientPair, TokenAnswer
from xero_connector.services.ask_for_tokens import AskForTokens
from xero_connector.services.end_request import EndRequest
from xero_connector.services.fail_consent import FailConsent
from xero_connector.services.hold_lease import HeldLease
from xero_connector.services.list_tenants import Listing, ListTenants
from xero_connector.services.read_secrets import ReadSecrets
from xero_connector.services.store_tokens import StoreTokens
from xero_connector.services.vault_gate import VaultGate

_PAUSE = 1.0
"""Seconds between two tries to fetch the keys."""


@dataclass(frozen=True, slots=True)
class Connected:
    """The organisations of this consent; `repeated` if it was complete already.

    Without `stored` the answer of Xero is kept safe, and the schedule completes the connection. With `replaced` a
    later consent has taken its place. `ticket` is that of the connect link, where this browser holds it.
    """

    tenants: tuple[Tenant, ...]
    tenants_pending: bool
    repeated: bool
    stored: bool = True
    replaced: bool = False
    ticket: str | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ExchangeCode:
    """Presents a code at most once, under the lease of the credential, and stores the answer first."""

    read_secrets: ReadSecrets
    seal: Seal
    ask_for_tokens: AskForTokens
    id_tokens: IdTokens
    list_tenants: ListTenants
    store_tokens: StoreTokens
    fail_consent: FailConsent
    end_request: EndRequest
    clock: Clock
    deadline: Deadline
    pause: Pause
    observer: Observer

    def __call__(
        self,
        lease: HeldLease,
        claimed: AuthorizationRequest,
        browser: BrowserBinding,
        *,
        state: str,
        code: str,
    ) -> Connected:
        """Exchange the code and store its tokens, which ends the lease; or raise `ConsentRefused`."""
        credential = lease.credential
        pair = self._prepared(lease, claimed)
        verifier = browser.code_verifier(state)
        try:
            answer = self.ask_for_tokens.with_code(lease, pair, code=code, code_verifier=verifier)
        except StoreUnavailable as unavailable:
            raise self.fail_consent.postponed(lease, claimed, unavailable) from unavailable
        except TokenEndpointFailure as failure:
            raise self.fail_consent.by_xero(lease, claimed, failure) from failure
        try:
            user_id = self._verified(answer, client_id=credential.client_id, nonce=browser.nonce(state))
        except IdTokenRefused as refused:
            raise self.fail_consent.unverified(lease, claimed, answer, refused) from refused
        if answer.token.refresh_token is None:
            raise self.fail_consent.without_refresh_token(lease, claimed, answer)
        return self._keep(lease, claimed, answer.as_asked_for(credential.requested_scopes), user_id=user_id)

    def _prepared(self, lease: HeldLease, claimed: AuthorizationRequest) -> ClientPair:
        """Have at hand what it takes to use an answer, before there is one."""
        try:
            pair = self.read_secrets.pair(lease.credential)
            self.seal.prepare()
            self.id_tokens.load_keys()
        except SecretNotVisible as unreadable:
            raise self.fail_consent.without_pair(lease, claimed, unreadable) from unreadable
        except (StoreUnavailable, TokenEndpointFailure) as unavailable:
            raise self.fail_consent.postponed(lease, claimed, unavailable) from unavailable
        return pair

    def _verified(self, answer: TokenAnswer, *, client_id: str, nonce: str) -> str:
        """Return the user's id, waiting for the keys as long as there is time: the code is used up."""
        while True:
            try:
                return self.id_tokens.verify_id_token(answer.id_token, client_id=client_id, nonce=nonce)
            except IdTokenRefused as refused:
                if refused.code != KEYS_UNAVAILABLE or self.deadline() - self.clock() < TIME_TO_FETCH_KEYS_AGAIN:
                    raise
            self.pause(_PAUSE)

    def _keep(
        self, lease: HeldLease, claimed: AuthorizationRequest, answer: TokenAnswer, *, user_id: str
    ) -> Connected:
        # Without an answer nothing is known: the organisations of the grant before may be another user's. No grant
        # is lost for want of a list: the next refresh brings it.
        nothing = Listing((), pending=True, checked_at=None)

        def listed() -> Listing:
            listing = self.list_tenants.of_consent(nothing, answer)
            # The next refresh looks what the grant still reaches of what earlier consents connected.
            return replace(listing, checked_at=None) if lease.credential.generation > 0 else listing

        credential = self.store_tokens.and_end(
            lease,
            answer,
            nothing,
            gate=VaultGate(),
            list_after=listed,
            also=lambda credential, now: _with_findings(credential, answer, now=now),
            consent=ConsentGiven(claimed.state_hash, user_id),
        )
        if credential.parked is not None and credential.parked.consent == claimed.state_hash:
            return Connected((), tenants_pending=True, repeated=False, stored=False)
        if credential.grant_consent != claimed.state_hash:
            # The lease was overtaken: a disconnect ends what this consent brought.
            raise self.end_request.refused(claimed, consent_refusals.state_used)
        self.end_request(claimed.completed(credential.tenants, pending=credential.tenants_pending))
        self.observer.count("CredentialConnected")
        self.observer.event(
            "credential_connected",
            client_id=credential.client_id,
            generation=credential.generation,
            tenants=len(credential.tenants),
        )
        return Connected(credential.tenants, tenants_pending=credential.tenants_pending, repeated=False)


def _with_findings(credential: Credential, answer: TokenAnswer, *, now: datetime) -> Credential:
    return credential.checked(
        scopes=granted_scopes_check(credential.requested_scopes, answer.token.scopes, now),
        redirect_uri=Check(CheckResult.PASS, "Xero sent a user back to the redirect URI.", now),
        pair=Check(CheckResult.PASS, "Xero accepted the pair for a consent.", now),
    )
