"""Write down why a consent brought no tokens, and what follows for the credential and for the request."""

from dataclasses import dataclass

from xero_connector.domain import consent_refusals
from xero_connector.domain.checks import redirect_uri_refused_check, refused_pair_check
from xero_connector.domain.consent import AuthorizationRequest
from xero_connector.domain.errors import (
    ConsentRefused,
    IdTokenRefused,
    LeaseUnavailable,
    RevisionConflict,
    SecretNotVisible,
    StoreUnavailable,
)
from xero_connector.domain.failed_refresh import Secret, without_secret
from xero_connector.domain.parked_grant import ParkedGrant
from xero_connector.domain.ports import Clock, Observer, Seal
from xero_connector.domain.refresh_policy import RECHECK_REFUSED_PAIR
from xero_connector.domain.status import Status
from xero_connector.domain.token_endpoint import INCONCLUSIVE, FailureKind, TokenEndpointFailure
from xero_connector.domain.tokens import TokenAnswer
from xero_connector.services.end_request import EndRequest
from xero_connector.services.hold_lease import HeldLease

_NOT_PRESENTED = frozenset({FailureKind.NOT_SENT, FailureKind.THROTTLED})
"""The code is certainly not used up."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class FailConsent:
    """Ends a consent under its lease, and returns the refusal that the browser is shown."""

    seal: Seal
    end_request: EndRequest
    clock: Clock
    observer: Observer
    redirect_uri: str

    def postponed(
        self, lease: HeldLease, claimed: AuthorizationRequest, reason: StoreUnavailable | TokenEndpointFailure
    ) -> ConsentRefused:
        """Leave everything as it was: nothing came to be at Xero, and the same callback may be opened again."""
        lease.unsettled = False
        self.end_request(claimed.reopened())
        self.observer.count("ConsentPostponed")
        self.observer.warning(
            "consent_postponed", client_id=lease.credential.client_id, code=reason.code, detail=reason.detail
        )
        return consent_refusals.postponed(reason)

    def without_pair(
        self, lease: HeldLease, claimed: AuthorizationRequest, unreadable: SecretNotVisible
    ) -> ConsentRefused:
        """Wait for the pair as long as it can lag; after that it is gone, and only an admin can help."""
        if lease.credential.has_grant:
            # The next refresh looks for it.
            return self.postponed(lease, claimed, unreadable)
        try:
            credential = lease.end(
                lambda credential, now: without_secret(credential, missing=Secret.CLIENT, now=now).looking_for(
                    lease.before
                )
            )
        except StoreUnavailable:
            return self.postponed(lease, claimed, unreadable)
        self.end_request(claimed.reopened())
        self.observer.count("SecretUnreadable")
        self.observer.warning("secret_unreadable", client_id=credential.client_id, status=credential.status)
        gone = credential.status is Status.CLIENT_REJECTED
        return consent_refusals.not_connectable() if gone else consent_refusals.postponed(unreadable)

    def by_xero(
        self, lease: HeldLease, claimed: AuthorizationRequest, failure: TokenEndpointFailure
    ) -> ConsentRefused:
        """Write down that the code did not become tokens."""
        if failure.kind in _NOT_PRESENTED:
            # The code is still good: the same callback may be opened again.
            postponed = self.postponed(lease, claimed, failure)
            return consent_refusals.throttled() if failure.kind is FailureKind.THROTTLED else postponed
        self.observer.count("ExchangeFailed")
        self.observer.warning(
            "exchange_failed",
            client_id=lease.credential.client_id,
            failure=failure.code,
            correlation_id=failure.correlation_id,
        )
        if failure.kind is FailureKind.UNAUTHORIZED_CLIENT:
            # Both calls carried the same redirect URI, byte for byte; only the token endpoint compares case.
            check = redirect_uri_refused_check(self.redirect_uri, self.clock())
            lease.save(lambda credential, _: credential.checked(redirect_uri=check))
        if failure.kind in INCONCLUSIVE:
            self._leave_behind(lease, claimed, None)
        elif failure.kind is FailureKind.INVALID_CLIENT:
            self._refuse_pair(lease, failure)
        else:
            # The code is dead, and no grant came of it.
            lease.unsettled = False
        refusal = consent_refusals.exchange_failed(failure)
        if failure.kind is FailureKind.INVALID_CLIENT:
            # Xero looks at the client before the code: a code that came with a refused pair is still good.
            self.end_request(claimed.reopened())
            return refusal()
        return self.end_request.refused(claimed, refusal)

    def unverified(
        self, lease: HeldLease, claimed: AuthorizationRequest, answer: TokenAnswer, refused: IdTokenRefused
    ) -> ConsentRefused:
        """Do not use an answer of which it is not known whose consent it is."""
        self._leave_behind(lease, claimed, answer)
        self.observer.count("IdTokenRefused")
        self.observer.warning("id_token_refused", client_id=lease.credential.client_id, reason=refused.code)
        return self.end_request.refused(claimed, consent_refusals.id_token_refused)

    def without_refresh_token(
        self, lease: HeldLease, claimed: AuthorizationRequest, answer: TokenAnswer
    ) -> ConsentRefused:
        """Do not let a grant that cannot be kept alive take the place of one that is."""
        self._leave_behind(lease, claimed, answer)
        credential = lease.credential
        self.observer.warning("refresh_token_missing", client_id=credential.client_id, status=credential.status)
        return self.end_request.refused(claimed, consent_refusals.refresh_token_missing)

    def _leave_behind(self, lease: HeldLease, claimed: AuthorizationRequest, answer: TokenAnswer | None) -> None:
        """Note a grant that may live at Xero; a disconnect ends it, or says that it could not."""
        token = None if answer is None else answer.token.refresh_token
        try:
            sealed = "" if token is None else self.seal.seal(token, context=lease.credential.seal_context)
        except StoreUnavailable:
            sealed = ""
        grant = ParkedGrant(sealed=sealed, obtained_at=self.clock(), consent=claimed.state_hash)
        try:
            lease.give_back(lambda credential, now: credential.leaving_behind(grant, now=now))
        except LeaseUnavailable:
            lease.save_late(lambda credential, now: credential.leaving_behind(grant, now=now))
        except (RevisionConflict, StoreUnavailable) as trouble:
            # The credential still says that a consent was at work, and the schedule notes that it is lost.
            self.observer.warning(
                "consent_not_marked", client_id=lease.credential.client_id, detail=trouble.detail
            )

    @staticmethod
    def _refuse_pair(lease: HeldLease, failure: TokenEndpointFailure) -> None:
        lease.end(
            lambda credential, now: (
                credential.failed(code=failure.code, detail=failure.detail, now=now)
                .checked(pair=refused_pair_check(now))
                .move_to(Status.CLIENT_REJECTED)
                .released(due_at=now + RECHECK_REFUSED_PAIR, attempt_finished=not lease.unfinished, now=now)
                .looking_for(lease.before)
            )
        )
