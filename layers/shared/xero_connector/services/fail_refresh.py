"""Write down why a refresh brought no tokens, and what follows."""

from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta

from xero_connector.domain.credential import Credential
from xero_connector.domain.errors import LeaseUnavailable, RevisionConflict, StoreUnavailable
from xero_connector.domain.failed_refresh import (
    after_failure,
    blocked,
    given_up,
    waiting_for_allowance,
    without_secret,
)
from xero_connector.domain.ports import Observer
from xero_connector.domain.refresh_policy import confirms_dead_grant
from xero_connector.domain.token_endpoint import TokenEndpointFailure
from xero_connector.services.adopt_tokens import AdoptTokens
from xero_connector.services.hold_lease import HeldLease
from xero_connector.services.present_older_tokens import PresentOlderTokens
from xero_connector.services.read_grant import ReadGrant
from xero_connector.services.refresh_turn import Outcome, Refresh, RefreshTurn
from xero_connector.services.report_refresh import ReportRefresh


@dataclass(frozen=True, slots=True)
class FailRefresh:
    """Ends a turn without new tokens, under its lease."""

    read_grant: ReadGrant
    adopt_tokens: AdoptTokens
    present_older_tokens: PresentOlderTokens
    report_refresh: ReportRefresh
    observer: Observer

    def by_xero(self, turn: RefreshTurn, failure: TokenEndpointFailure) -> Refresh:
        """Write down a failure of the token endpoint; a grant is given up only after every other way was tried."""
        held = turn.held
        previous_error = held.row.last_error.code if held.row.last_error else None
        if confirms_dead_grant(failure.kind, previous_error=previous_error):
            # Before a grant is given up: its successor may have been stored unseen.
            if adopted := self.adopt_tokens.newer(held) or self.adopt_tokens.consent(held):
                return self.report_refresh.refreshed(Outcome.ROLLED_FORWARD, adopted, answered=True)
            try:
                if refreshed := self.present_older_tokens(turn):
                    return self.report_refresh.refreshed(Outcome.REFRESHED, refreshed, answered=True)
            except TokenEndpointFailure:
                # The grant may live on in an older token: the suspicion stays, and all of it is tried again.
                row = self._save_failure(held, failure)
            else:
                # What was parked is dead with the rest.
                held.row = replace(held.row, parked=None)
                row = self._give_up(held, code=failure.code, detail=failure.detail)
        else:
            row = self._save_failure(held, failure)
        return self.report_refresh.refused(row, failure)

    def unreadable(self, held: HeldLease) -> Refresh:
        """Wait for a secret as long as it can lag; after that it is gone, and only a person can help."""
        self.observer.count("SecretUnreadable")
        try:
            missing = self.read_grant.missing(held.row)
        except StoreUnavailable as trouble:
            self.by_a_store(held, trouble)
            raise
        row = held.save(lambda row, now: without_secret(row, missing=missing, now=now))
        self.observer.event("secret_unreadable", client_id=row.client_id, status=row.status)
        return Refresh(Outcome.FAILED, row)

    def for_want_of_versions(self, held: HeldLease, wait: timedelta) -> Refresh:
        """Leave the token alone: Secrets Manager would not keep another version today."""
        self.observer.count("VersionAllowanceExhausted")
        row = held.save(lambda row, now: waiting_for_allowance(row, now=now, until=now + wait))
        return Refresh(Outcome.FAILED, row)

    def without_refresh_token(self, held: HeldLease) -> Refresh:
        """Give up a grant that cannot be refreshed."""
        row = self._give_up(
            held,
            code="refresh_token_missing",
            detail="Xero gave no refresh token: the consent did not grant offline_access.",
        )
        self.observer.event("refresh_token_missing", client_id=row.client_id, status=row.status)
        return Refresh(Outcome.FAILED, row)

    @staticmethod
    def by_a_store(held: HeldLease, trouble: StoreUnavailable) -> None:
        """Write down that a store stands in the way; where that is the registry, the lease ends after a minute."""
        with suppress(LeaseUnavailable, RevisionConflict, StoreUnavailable):
            held.save(lambda row, now: blocked(row, trouble, before=held.before, now=now))

    def _give_up(self, held: HeldLease, *, code: str, detail: str) -> Credential:
        self.observer.count("ReauthorizationRequired")
        return held.save(lambda row, now: given_up(row, code=code, detail=detail, now=now))

    @staticmethod
    def _save_failure(held: HeldLease, failure: TokenEndpointFailure) -> Credential:
        unfinished = held.unfinished
        return held.save(lambda row, now: after_failure(row, failure, unfinished=unfinished, now=now))
