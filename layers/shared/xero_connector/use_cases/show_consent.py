"""Show what became of a consent, as it stands now, to the browser that gave it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from xero_connector.domain import consent_refusals
from xero_connector.domain.consent import AuthorizationRequest, BrowserBinding, RequestPhase, is_digest
from xero_connector.domain.consent_refusals import Refusal
from xero_connector.domain.credential import Credential
from xero_connector.domain.errors import ConsentRefused
from xero_connector.domain.ports import Clock, Consents, Registry
from xero_connector.domain.status import Status
from xero_connector.services.exchange_code import Connected

_NO_LONGER: Mapping[Status, Refusal] = MappingProxyType(
    {
        Status.REAUTHORIZATION_REQUIRED: consent_refusals.connection_lost,
        Status.CLIENT_REJECTED: consent_refusals.connection_interrupted,
        Status.DISCONNECTING: consent_refusals.connection_ended,
        Status.DISCONNECTED: consent_refusals.connection_ended,
    }
)
_ENDED = frozenset({Status.DISCONNECTING, Status.DISCONNECTED})


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ShowConsent:
    """Reads and writes nothing, so that a page can be loaded any number of times."""

    registry: Registry
    consents: Consents
    clock: Clock

    def __call__(self, consent_id: str, *, bindings: Callable[[str], BrowserBinding | None]) -> Connected:
        """Tell what a consent connected, or raise `ConsentRefused` with what became of it.

        `consent_id` is the hash of its state. `bindings` finds what this browser's cookie holds for a ticket,
        given the ticket's hash.
        """
        request = self.consents.get_request(consent_id) if is_digest(consent_id) else None
        if request is None:
            raise consent_refusals.consent_unknown()
        browser = bindings(request.ticket_hash)
        if browser is None or not request.is_bound_to(browser.binding):
            raise consent_refusals.shown_elsewhere()
        try:
            return replace(self._as_it_stands(request), ticket=browser.ticket)
        except ConsentRefused as refusal:
            raise refusal.offering(browser.ticket) from refusal

    def _as_it_stands(self, request: AuthorizationRequest) -> Connected:
        """The credential comes first: the schedule may have finished what the callback could not."""
        credential = self._alive(request)
        if credential is not None and credential.grant_consent == request.state_hash:
            return _of_its_grant(credential, request)
        if credential is not None and _waits(credential, request):
            return Connected((), tenants_pending=True, repeated=True, stored=False)
        match request.phase:
            case RequestPhase.COMPLETED if credential is None or credential.status in _ENDED:
                raise consent_refusals.connection_ended()
            case RequestPhase.COMPLETED:
                return Connected(request.tenants, tenants_pending=False, repeated=True, replaced=True)
            case RequestPhase.FAILED:
                refusal = consent_refusals.kept(request.refusal)
                raise refusal()
            case RequestPhase.CLAIMED if request.is_claimed(self.clock()):
                raise consent_refusals.busy()
            case RequestPhase.CLAIMED:
                raise consent_refusals.consent_cut_off()
            case RequestPhase.OPEN:
                raise consent_refusals.consent_unfinished()

    def _alive(self, request: AuthorizationRequest) -> Credential | None:
        """Return the credential that the consent was for; None if its client ID lives another life by now."""
        credential = self.registry.get(request.client_id)
        return None if credential is None or request.created_at < credential.created_at else credential


def _of_its_grant(credential: Credential, request: AuthorizationRequest) -> Connected:
    if credential.status in _NO_LONGER:
        refusal = _NO_LONGER[credential.status]
        raise refusal()
    if request.tenants and not credential.tenants and not credential.tenants_pending:
        raise consent_refusals.organisations_removed()
    return Connected(credential.tenants, credential.tenants_pending, repeated=True)


def _waits(credential: Credential, request: AuthorizationRequest) -> bool:
    """Whether the answer to a consent is kept until the vault takes it."""
    parked = credential.parked
    return parked is not None and parked.consent == request.state_hash and credential.status not in _ENDED
