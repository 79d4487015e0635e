"""Ask Xero's token endpoint under a lease, and only while there is time to store the answer."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from xero_connector.domain.errors import StoreUnavailable
from xero_connector.domain.ports import Clock, Deadline, TokenEndpoint
from xero_connector.domain.time_budget import POST_BUDGET, time_to_ask
from xero_connector.domain.token_endpoint import FailureKind, TokenEndpointFailure
from xero_connector.domain.tokens import ClientPair, TokenAnswer
from xero_connector.services.hold_lease import HeldLease


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class AskForTokens:
    """Makes one POST, and a second at once where the first was certainly not sent.

    From the first on the lease is unsettled. Raises `TokenEndpointFailure`, or `StoreUnavailable` where an answer
    could not be stored in time: then nothing was sent.
    """

    token_endpoint: TokenEndpoint
    clock: Clock
    deadline: Deadline

    def with_code(self, lease: HeldLease, pair: ClientPair, *, code: str, code_verifier: str) -> TokenAnswer:
        """Present the code of a consent."""
        return self._insisting(
            lease,
            lambda within: self.token_endpoint.exchange_code(
                pair, code=code, code_verifier=code_verifier, within=within
            ),
        )

    def with_refresh_token(self, lease: HeldLease, pair: ClientPair, refresh_token: str) -> TokenAnswer:
        """Present a refresh token."""
        return self._insisting(
            lease, lambda within: self.token_endpoint.refresh(pair, refresh_token=refresh_token, within=within)
        )

    def of_custom_connection(self, lease: HeldLease, pair: ClientPair) -> TokenAnswer:
        """Ask for the tokens of a Custom connection, with the scopes it has where it lacks some."""
        scopes = lease.credential.requested_scopes
        try:
            answer = self._insisting(
                lease, lambda within: self.token_endpoint.client_credentials(pair, scopes=scopes, within=within)
            )
            return answer.as_asked_for(scopes)
        except TokenEndpointFailure as failure:
            if failure.kind is FailureKind.INVALID_GRANT:
                # There is no grant to be dead: an answer that is documented for other requests only.
                raise TokenEndpointFailure(
                    FailureKind.UNEXPECTED, correlation_id=failure.correlation_id
                ) from failure
            if failure.kind is not FailureKind.INVALID_SCOPE or not scopes:
                raise
        # Better a token with what the connection has than none: the check of the scopes tells what is missing.
        return self._insisting(
            lease, lambda within: self.token_endpoint.client_credentials(pair, scopes=(), within=within)
        )

    def _insisting(self, lease: HeldLease, post: Callable[[timedelta], TokenAnswer]) -> TokenAnswer:
        lease.ensure(POST_BUDGET)
        within = time_to_ask(self.deadline() - self.clock())
        if within is None:
            # What would come of it could not be stored in time.
            raise StoreUnavailable("GetSecretValue", "TooSlow")
        lease.unsettled = True
        try:
            return post(within)
        except TokenEndpointFailure as failure:
            again = time_to_ask(self.deadline() - self.clock())
            if failure.kind is not FailureKind.NOT_SENT or again is None:
                raise
        # Nothing was sent, so nothing can have happened: once more, at once.
        lease.ensure(POST_BUDGET)
        return post(again)
