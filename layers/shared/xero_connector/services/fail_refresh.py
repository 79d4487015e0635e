"""Write down why a refresh brought no tokens, and what follows."""

from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta

from xero_connector.domain.credential import Credential
from xero_connector.domain.error_codes import REFRESH_TOKEN_MISSING
from xero_connector.domain.errors import LeaseUnavailable, RevisionConflict, StoreUnavailable
from xero_connector.domain.failed_refresh import (
    after_failure,
    blocked,
    given_up,
    is_its_own_trouble,
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


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class FailRefresh:
    """Ends a turn without new tokens, under its lease."""

    read_grant: ReadGrant
    adopt_tokens: AdoptTokens
    present_older_tokens: PresentOlderTokens
    report_refresh: ReportRefresh
    observer: Observer

    def by_xero(self, turn: RefreshTurn, failure: TokenEndpointFailure) -> Refresh:
        """Write down a failure of the token endpoint; a grant is given up only after every other way was tried."""
        lease = turn.lease
        previous_error = lease.credential.last_error.code if lease.credential.last_error else None
        if confirms_dead_grant(failure.kind, previous_error=previous_error):
            # Before a grant is given up: its successor may have been stored unseen.
            if adopted := self._adopted(lease):
                return self.report_refresh.refreshed(Outcome.ROLLED_FORWARD, adopted, answered=True)
            try:
                if refreshed := self.present_older_tokens(turn):
                    return self.report_refresh.refreshed(Outcome.REFRESHED, refreshed, answered=True)
            except TokenEndpointFailure:
                # The grant may live on in an older token: the suspicion stays, and all of it is tried again.
                credential = self._save_failure(lease, failure)
            else:
                # What was parked is dead with the rest.
                lease.credential = replace(lease.credential, parked=None)
                credential = self._give_up(lease, code=failure.code, detail=failure.detail)
        else:
            credential = self._save_failure(lease, failure)
        if is_its_own_trouble(credential) and not is_its_own_trouble(lease.before):
            self.observer.count("CustomerNeeded")
        return self.report_refresh.refused(credential, failure)

    def unreadable(self, lease: HeldLease) -> Refresh:
        """Wait for a secret as long as it can lag; after that it is gone, and only a person can help."""
        self.observer.count("SecretUnreadable")
        try:
            missing = self.read_grant.missing(lease.credential)
        except StoreUnavailable as trouble:
            self.by_a_store(lease, trouble)
            raise
        credential = lease.end(lambda credential, now: without_secret(credential, missing=missing, now=now))
        self.observer.warning("secret_unreadable", client_id=credential.client_id, status=credential.status)
        return Refresh(Outcome.FAILED, credential)

    def for_want_of_versions(self, lease: HeldLease, wait: timedelta) -> Refresh:
        """Leave the token alone: Secrets Manager would not keep another version today."""
        self.observer.count("VersionAllowanceExhausted")
        credential = lease.end(
            lambda credential, now: waiting_for_allowance(credential, now=now, until=now + wait)
        )
        return Refresh(Outcome.FAILED, credential)

    def without_refresh_token(self, lease: HeldLease) -> Refresh:
        """Give up a grant that cannot be refreshed."""
        self.observer.count("CustomerNeeded")
        credential = self._give_up(
            lease,
            code=REFRESH_TOKEN_MISSING,
            detail="Xero gave no refresh token: the consent did not grant offline_access.",
        )
        self.observer.warning("refresh_token_missing", client_id=credential.client_id, status=credential.status)
        return Refresh(Outcome.FAILED, credential)

    @staticmethod
    def by_a_store(lease: HeldLease, trouble: StoreUnavailable) -> None:
        """Write down that a store stands in the way; where that is the registry, the lease ends after a minute."""
        with suppress(LeaseUnavailable, RevisionConflict, StoreUnavailable):
            lease.end(lambda credential, now: blocked(credential, trouble, before=lease.before, now=now))

    def _adopted(self, lease: HeldLease) -> Credential | None:
        return self.adopt_tokens.newer(lease, commit=lease.end) or self.adopt_tokens.consent(
            lease, commit=lease.end
        )

    def _give_up(self, lease: HeldLease, *, code: str, detail: str) -> Credential:
        self.observer.count("ReauthorizationRequired")
        return lease.end(lambda credential, now: given_up(credential, code=code, detail=detail, now=now))

    @staticmethod
    def _save_failure(lease: HeldLease, failure: TokenEndpointFailure) -> Credential:
        unfinished = lease.unfinished
        return lease.end(
            lambda credential, now: after_failure(credential, failure, unfinished=unfinished, now=now)
        )
