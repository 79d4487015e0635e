"""Tell operators what came of a refresh."""

from dataclasses import dataclass

from xero_connector.domain.credential import Credential
from xero_connector.domain.error_codes import VERSION_ALLOWANCE
from xero_connector.domain.ports import Observer
from xero_connector.domain.token_endpoint import OUTAGE, TokenEndpointFailure
from xero_connector.services.refresh_turn import Outcome, Refresh


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ReportRefresh:
    """Counts and logs an outcome, and returns it."""

    observer: Observer

    def refreshed(self, outcome: Outcome, credential: Credential, *, answered: bool | None = None) -> Refresh:
        """Report new tokens."""
        if credential.last_error is not None and credential.last_error.code == VERSION_ALLOWANCE:
            self.observer.count("VersionAllowanceExhausted")
        self.observer.count("Refreshed")
        self.observer.event(
            outcome, client_id=credential.client_id, generation=credential.generation, status=credential.status
        )
        return Refresh(outcome, credential, answered)

    def refused(self, credential: Credential, failure: TokenEndpointFailure) -> Refresh:
        """Report that Xero gave no tokens."""
        self.observer.count("RefreshFailed")
        self.observer.count(f"RefreshFailed.{failure.code}")
        self.observer.warning(
            "refresh_failed",
            client_id=credential.client_id,
            failure=failure.code,
            status=credential.status,
            failures=credential.failures,
            correlation_id=failure.correlation_id,
        )
        return Refresh(Outcome.FAILED, credential, answered=failure.kind not in OUTAGE)
