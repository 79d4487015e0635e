"""Open a setup link: find out where things stand, for the page to show."""

from dataclasses import dataclass
from datetime import timedelta

from xero_connector.domain import setup_refusals
from xero_connector.domain.consent import ConnectTicket, digest
from xero_connector.domain.credential import Credential, IntegrationType
from xero_connector.domain.errors import RevisionConflict, StoreUnavailable
from xero_connector.domain.healing import wants_secret
from xero_connector.domain.ports import Clock, Consents, Observer, Registry
from xero_connector.domain.setup_link import OPENED_AGAIN_AFTER, SetupLink, connect_ticket
from xero_connector.domain.setup_view import SetupView, Stage, Try, TryProblem
from xero_connector.domain.status import Status
from xero_connector.services.change_setup_link import ChangeSetupLink
from xero_connector.services.find_setup_link import FindSetupLink

_STAGES = {
    Status.PENDING_VALIDATION: Stage.WAITING,
    Status.VALIDATED: Stage.CONSENT,
    Status.CONNECTED: Stage.CONNECTED,
    Status.DEGRADED: Stage.CONNECTED,
    Status.REAUTHORIZATION_REQUIRED: Stage.REAUTHORIZE,
    Status.CLIENT_REJECTED: Stage.RESUMING,
    Status.DISCONNECTING: Stage.ENDED,
    Status.DISCONNECTED: Stage.ENDED,
    Status.REJECTED: Stage.REFUSED,
}
_NEVER_ACCEPTED = frozenset({Status.PENDING_VALIDATION, Status.REJECTED})
_OF_A_CONSENT = frozenset({Stage.CONSENT, Stage.REAUTHORIZE})


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class OpenSetupLink:
    """Reads link and credential. It consumes nothing, so scanners and link previews may open it too."""

    registry: Registry
    consents: Consents
    find_setup_link: FindSetupLink
    change_setup_link: ChangeSetupLink
    clock: Clock
    observer: Observer
    redirect_uri: str
    default_scopes: tuple[str, ...]
    connect_link_lifetime: timedelta

    def __call__(self, ticket: str, *, browser_hash: str) -> SetupView:
        """Return what the page shows to a browser, or raise `SetupRefused`."""
        link = self._noted(self.find_setup_link(ticket))
        credential = None if link.client_id is None else self.registry.get(link.client_id)
        stage = _stage(link, credential)
        if stage in {Stage.PAIR, Stage.SECRET} and link.is_over(self.clock()):
            raise setup_refusals.setup_link_expired()
        connect = None
        if credential is not None and stage in _OF_A_CONSENT:
            connect = self._connect_ticket(ticket, link, credential)
        last_try = self._last_try(link, browser_hash)
        return SetupView(
            stage=stage,
            purpose=link.purpose,
            label=link.label,
            integration_type=link.integration_type if credential is None else credential.integration_type,
            scopes=_scopes(link, credential) or self.default_scopes,
            redirect_uri=self.redirect_uri,
            expires_at=link.expires_at if connect is None else connect.expires_at,
            client_id=link.client_id,
            checks={} if credential is None else credential.checks,
            tenants=() if credential is None else credential.tenants,
            tenants_pending=credential is not None and credential.tenants_pending,
            never_accepted=stage is Stage.SECRET
            and credential is not None
            and credential.status in _NEVER_ACCEPTED,
            connect_ticket=None if connect is None else connect_ticket(ticket),
            last_try=last_try if stage in {Stage.PAIR, Stage.SECRET} else None,
        )

    def _noted(self, link: SetupLink) -> SetupLink:
        now = self.clock()

        def opened(link: SetupLink) -> SetupLink:
            before = link.last_opened_at
            return link.opened(now) if before is None or before + OPENED_AGAIN_AFTER <= now else link

        try:
            return self.change_setup_link(link.setup_link_id, opened)
        except (RevisionConflict, StoreUnavailable) as unavailable:
            # The page can be shown all the same: the next visit writes it down.
            self.observer.warning(
                "setup_link_opening_not_noted", setup_link_id=link.setup_link_id, detail=unavailable.detail
            )
            return link

    def _last_try(self, link: SetupLink, browser_hash: str) -> Try | None:
        last = link.last_try
        if last is None or last.browser_hash != browser_hash:
            return None
        # The other window has ended since, or its process is gone: the form can be sent.
        is_past = last.result.problem is TryProblem.IN_PROGRESS and link.takes_claim(self.clock())
        return None if is_past else last.result

    def _connect_ticket(self, ticket: str, link: SetupLink, credential: Credential) -> ConnectTicket:
        """Return the connect ticket of this link; it is made once, with the first visit that leads to consent."""
        ticket_hash = digest(connect_ticket(ticket))
        present = self.consents.get_ticket(ticket_hash)
        if present is None:
            present = self._new_ticket(ticket_hash, link, credential)
            self.consents.add_ticket(present)
        if present.expires_at <= self.clock():
            raise setup_refusals.setup_link_expired()
        return present

    def _new_ticket(self, ticket_hash: str, link: SetupLink, credential: Credential) -> ConnectTicket:
        expires_at = link.expires_at
        if link.used_at is not None:
            expires_at = max(expires_at, link.used_at + self.connect_link_lifetime)
        return ConnectTicket(
            ticket_hash=ticket_hash,
            client_id=credential.client_id,
            setup_link_id=link.setup_link_id,
            # The credential may be from a process whose clock is ahead, and a ticket from before it leads nowhere.
            created_at=max(self.clock(), credential.created_at),
            expires_at=expires_at,
        )


def _scopes(link: SetupLink, credential: Credential | None) -> tuple[str, ...] | None:
    return link.scopes if credential is None else credential.requested_scopes


def _stage(link: SetupLink, credential: Credential | None) -> Stage:
    if link.client_id is None:
        return Stage.PAIR
    if credential is None or not link.leads_to(credential):
        return Stage.ENDED
    if wants_secret(credential):
        return Stage.SECRET
    stage = _STAGES[credential.status]
    if credential.integration_type is IntegrationType.CUSTOM_CONNECTION and stage in _OF_A_CONSENT:
        return Stage.CONNECTING
    return stage
