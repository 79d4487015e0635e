"""Open a connect link: send the browser to Xero, with everything needed to recognise its return."""

from dataclasses import dataclass, field

from xero_connector.domain import consent_refusals
from xero_connector.domain.consent import (
    AUTHORIZATION_REQUEST_LIFETIME,
    AuthorizationRequest,
    BrowserBinding,
    digest,
    is_token,
    new_token,
)
from xero_connector.domain.ports import AuthorizeEndpoint, Clock, Consents, Observer, Registry


@dataclass(frozen=True, slots=True)
class StartedConsent:
    """Where the browser goes, and what its cookie has to hold until it returns."""

    authorization_url: str = field(repr=False)
    browser: BrowserBinding


@dataclass(frozen=True, slots=True)
class StartConsent:
    """Makes a new authorization request each time: a ticket can be opened again after a failure."""

    registry: Registry
    consents: Consents
    authorize: AuthorizeEndpoint
    clock: Clock
    observer: Observer

    def __call__(self, ticket: str, *, binding: str | None) -> StartedConsent:
        """Start a consent; `binding` is what this browser's cookie for the ticket holds already, if any.

        Raises `ConsentRefused`.
        """
        found = self.consents.get_ticket(digest(ticket)) if is_token(ticket) else None
        if found is None:
            raise consent_refusals.ticket_unknown()
        now = self.clock()
        if found.expires_at <= now:
            raise consent_refusals.ticket_expired()
        row = self.registry.get(found.client_id)
        if row is None or not row.takes_consent:
            raise consent_refusals.not_connectable()
        if found.created_at < row.created_at:
            # Made for an earlier life of this client ID, which somebody ended: perhaps because the link got about.
            raise consent_refusals.ticket_expired()
        # A second tab with the same link shares the cookie, so the first one's request must stay usable.
        if binding is None or not is_token(binding):
            binding = new_token()
        browser = BrowserBinding(ticket, binding)
        state = new_token()
        self.consents.add_request(
            AuthorizationRequest(
                state_hash=digest(state),
                client_id=row.client_id,
                ticket_hash=found.ticket_hash,
                binding_hash=digest(binding),
                created_at=now,
                expires_at=now + AUTHORIZATION_REQUEST_LIFETIME,
            )
        )
        self.observer.event("consent_started", client_id=row.client_id)
        url = self.authorize.authorization_url(
            client_id=row.client_id,
            scopes=row.requested_scopes,
            state=state,
            code_verifier=browser.code_verifier(state),
            nonce=browser.nonce(state),
        )
        return StartedConsent(url, browser)
