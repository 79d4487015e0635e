"""Tell operators what came of a refresh."""

from dataclasses import dataclass

from xero_connector.domain.credential import VERSION_ALLOWANCE, Credential
from xero_connector.domain.ports import Observer
from xero_connector.domain.token_endpoint import OUTAGE, TokenEndpointFailure
from xero_connector.services.refresh_turn import Outcome, Refresh


@dataclass(frozen=True, slots=True)
class ReportRefresh:
    """Counts and logs an outcome, and returns it."""

    observer: Observer

    def refreshed(self, outcome: Outcome, row: Credential, *, answered: bool | None = None) -> Refresh:
        """Report new tokens."""
        if row.last_error is not None and row.last_error.code == VERSION_ALLOWANCE:
            self.observer.count("VersionAllowanceExhausted")
        self.observer.count("Refreshed")
        self.observer.event(outcome, client_id=row.client_id, generation=row.generation, status=row.status)
        return Refresh(outcome, row, answered)

    def refused(self, row: Credential, failure: TokenEndpointFailure) -> Refresh:
        """Report that Xero gave no tokens."""
        self.observer.count("RefreshFailed")
        self.observer.count(f"RefreshFailed.{failure.code}")
        self.observer.event(
            "refresh_failed",
            client_id=row.client_id,
            failure=failure.code,
            status=row.status,
            failures=row.failures,
            correlation_id=failure.correlation_id,
        )
        return Refresh(Outcome.FAILED, row, answered=failure.kind not in OUTAGE)
