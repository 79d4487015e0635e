"""Open a connect link: send the browser to Xero, so that its return can be recognised."""

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
from xero_connector.domain.ports import AuthorizeEndpoint, Clock, Consents, Observer, Registry, SetupLinks


@dataclass(frozen=True, slots=True)
class StartedConsent:
    """Where the browser goes, and the content of its cookie until it returns."""

    authorization_url: str = field(repr=False)
    browser: BrowserBinding


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class StartConsent:
    """Makes a new authorization request each time, so that a ticket can be opened again after a failure."""

    registry: Registry
    consents: Consents
    setup_links: SetupLinks
    authorize: AuthorizeEndpoint
    clock: Clock
    observer: Observer

    def __call__(self, ticket: str, *, binding: str | None) -> StartedConsent:
        """Start a consent; `binding` comes from this browser's cookie for the ticket, if it has one.

        Raises `ConsentRefused`.
        """
        connect_ticket = self.consents.get_ticket(digest(ticket)) if is_token(ticket) else None
        if connect_ticket is None:
            raise consent_refusals.ticket_unknown()
        now = self.clock()
        if connect_ticket.expires_at <= now:
            raise consent_refusals.ticket_expired()
        if connect_ticket.setup_link_id is not None:
            self._check_not_withdrawn(connect_ticket.setup_link_id)
        credential = self.registry.get(connect_ticket.client_id)
        if credential is None or not credential.takes_consent:
            raise consent_refusals.not_connectable()
        if connect_ticket.created_at < credential.created_at:
            # Made for an earlier incarnation, which an admin ended, perhaps because the link had leaked.
            raise consent_refusals.ticket_expired()
        # A second tab with the same link shares the cookie, so the request of the first tab must stay valid.
        if binding is None or not is_token(binding):
            binding = new_token()
        browser = BrowserBinding(ticket, binding)
        state = new_token()
        self.consents.add_request(
            AuthorizationRequest(
                state_hash=digest(state),
                client_id=credential.client_id,
                ticket_hash=connect_ticket.ticket_hash,
                binding_hash=digest(binding),
                created_at=now,
                expires_at=now + AUTHORIZATION_REQUEST_LIFETIME,
            )
        )
        self.observer.event("consent_started", client_id=credential.client_id)
        url = self.authorize.authorization_url(
            client_id=credential.client_id,
            scopes=credential.requested_scopes,
            state=state,
            code_verifier=browser.code_verifier(state),
            nonce=browser.nonce(state),
        )
        return StartedConsent(url, browser)

    def _check_not_withdrawn(self, setup_link_id: str) -> None:
        link = self.setup_links.get(setup_link_id)
        if link is not None and link.withdrawn_at is not None:
            raise consent_refusals.ticket_withdrawn()
