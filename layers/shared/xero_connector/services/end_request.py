"""Write down what became of an authorization request."""

from dataclasses import dataclass

from xero_connector.domain import consent_refusals
from xero_connector.domain.consent import AuthorizationRequest
from xero_connector.domain.consent_refusals import Refusal
from xero_connector.domain.errors import ConsentRefused, RevisionConflict, StoreUnavailable
from xero_connector.domain.ports import Clock, Consents, Deadline, Observer
from xero_connector.domain.time_budget import TIME_TO_END_A_REQUEST


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class EndRequest:
    """Completes, fails or reopens the request of a callback."""

    consents: Consents
    clock: Clock
    deadline: Deadline
    observer: Observer

    def __call__(self, request: AuthorizationRequest) -> bool:
        """Write down where a request stands, if there is time: a reload of the callback learns it anyway.

        Return whether it is written.
        """
        if self.deadline() - self.clock() < TIME_TO_END_A_REQUEST:
            return False
        try:
            self.consents.save_request(request)
        except RevisionConflict:
            # The claim ran out and a later callback of the same browser took over: that one decides.
            self.observer.count("ClaimOverrun")
        except StoreUnavailable as unavailable:
            # What counts is stored or given back; the claim runs out, and a reload finds out.
            self.observer.warning("consent_not_marked", client_id=request.client_id, detail=unavailable.detail)
        else:
            return True
        return False

    def refused(self, claimed: AuthorizationRequest, refusal: Refusal) -> ConsentRefused:
        """End a request whose code was presented to Xero; its page shows why, if that is written down."""
        written = self(claimed.failed(consent_refusals.kept_key(refusal)))
        return refusal(consent_id=claimed.state_hash if written else None)
