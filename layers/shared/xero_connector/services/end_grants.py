"""End every grant that a credential ever got at Xero, and look whether it has really ended."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from xero_connector.domain.credential import IntegrationType
from xero_connector.domain.disconnecting import GrantsAtHand, with_successor, without_user
from xero_connector.domain.ending import GRANT_NOT_CONFIRMED, still_listed
from xero_connector.domain.errors import ConnectionsUnavailable, StoreUnavailable
from xero_connector.domain.parked_grant import ParkedGrant
from xero_connector.domain.ports import Seal, TokenEndpoint, XeroConnections
from xero_connector.domain.refresh_policy import REACTIONS
from xero_connector.domain.rejection import OF_THE_CLIENT
from xero_connector.domain.tenant import Tenant
from xero_connector.domain.time_budget import TIME_FOR_A_CALL_OF_XERO, TIME_FOR_ONE_MORE_LOOK, TIME_TO_EXCHANGE
from xero_connector.domain.token_endpoint import INCONCLUSIVE, OUTAGE, FailureKind, TokenEndpointFailure
from xero_connector.domain.tokens import ClientPair, TokenAnswer
from xero_connector.services.disconnect_turn import DisconnectTurn, PostponedError
from xero_connector.services.users_grants import UsersGrants

_DEAD = "Xero no longer accepts the refresh token of a grant, and whether it still lists connections is not known."


class _State(StrEnum):
    """What an exchange says about a grant."""

    ALIVE = "alive"
    DEAD = "dead"
    """Its refresh token is; what is still listed has to be looked at."""
    ENDED = "ended"
    """Its access token is dead, too."""
    UNKNOWN = "unknown"
    """It could not be found out, and that is noted."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class EndGrants:
    """Revokes the refresh tokens of each user, and asks with an access token what is still connected.

    Xero answers a revocation of a dead token with 200 as well (RFC 7009 §2.2): that answer alone proves nothing.
    The proof is an access token that is refused, or that lists nothing.
    """

    users_grants: UsersGrants
    seal: Seal
    token_endpoint: TokenEndpoint
    connections: XeroConnections

    def __call__(self, turn: DisconnectTurn) -> None:
        """Leave what could not be ended with the turn; raises `PostponedError` where another turn has to go on."""
        credential = turn.credential
        custom = credential.integration_type is IntegrationType.CUSTOM_CONNECTION
        # A Custom connection stands at Xero from the day it was set up, with tokens or without.
        if not (custom or self.users_grants.any_of(credential)):
            return
        pair = self.users_grants.pair(turn)
        if pair is None:
            return
        if custom:
            self._remove_connections(turn, pair)
            return
        while True:
            grants = self.users_grants.next(turn)
            self._end(turn, pair, grants)
            if grants.is_last:
                return
            turn.ending = turn.ending.next_user()
            self._take_out(turn, grants)

    @staticmethod
    def _take_out(turn: DisconnectTurn, grants: GrantsAtHand) -> None:
        turn.save(lambda credential, _: without_user(credential, grants))

    def _end(self, turn: DisconnectTurn, pair: ClientPair, grants: GrantsAtHand) -> None:
        if not grants.refresh_tokens and grants.access_token is None:
            return
        state: _State | None = None
        if not turn.ending.revoked:
            state = self._prepared(turn, pair, grants)
            if state is _State.ENDED:
                return
            self._revoke_all(turn, pair, grants.refresh_tokens)
            turn.ending = replace(turn.ending, revoked=True)
        if grants.access_token is None and state is None:
            state = self._exchange(turn, pair, grants)
            if state is _State.ALIVE:
                # Its revocation did not end it: once more.
                self._revoke_all(turn, pair, grants.refresh_tokens)
            if state is _State.DEAD and turn.ending.exchanged:
                # It was seen alive, and died when it was revoked.
                return
        if grants.access_token is not None:
            self._leave_nothing_listed(turn, grants.access_token)
        elif state is _State.DEAD:
            turn.leave(GRANT_NOT_CONFIRMED, _DEAD)

    def _prepared(self, turn: DisconnectTurn, pair: ClientPair, grants: GrantsAtHand) -> _State | None:
        """Have a living token to revoke and an access token to look with, as far as Xero gives them."""
        if grants.may_be_rotated or (grants.access_token is None and not turn.ending.exchanged):
            return self._exchange(turn, pair, grants)
        if grants.access_token is None or not turn.has_time_for(TIME_FOR_ONE_MORE_LOOK):
            return None
        if not self._is_refused(turn, grants.access_token):
            return None
        # Refused before its time. With its refresh token dead as well, an earlier turn or the user ended it.
        grants.access_token = None
        state = self._exchange(turn, pair, grants, confirmed=True)
        return _State.ENDED if state is _State.DEAD else state

    def _is_refused(self, turn: DisconnectTurn, access_token: str) -> bool:
        try:
            return self._listed(turn, access_token) is None
        except ConnectionsUnavailable:
            return False

    def _exchange(
        self, turn: DisconnectTurn, pair: ClientPair, grants: GrantsAtHand, *, confirmed: bool = False
    ) -> _State:
        """Get a living successor and an access token; within the grace also where an earlier answer was lost.

        `confirmed` tells that something else says already that the grant is dead.
        """
        if not grants.refresh_tokens:
            return _State.DEAD
        turn.spare(TIME_TO_EXCHANGE)
        try:
            answer = self.token_endpoint.refresh(pair, refresh_token=grants.refresh_tokens[-1])
        except TokenEndpointFailure as failure:
            if failure.kind is not FailureKind.INVALID_GRANT:
                self._failed(turn, failure, exchanging=True)
                return _State.UNKNOWN
            turn.pair_is_good()
            if not (confirmed or turn.ending.suspected or turn.ending.revoked):
                # One word is not enough to give a grant up.
                turn.ending = replace(turn.ending, suspected=True)
                raise PostponedError(failure.code, failure.detail) from failure
            return _State.DEAD
        turn.pair_is_good()
        grants.access_token = answer.token.access_token
        if answer.token.refresh_token is not None:
            grants.refresh_tokens[-1] = answer.token.refresh_token
            self._keep(turn, grants, answer, answer.token.refresh_token)
        return _State.ALIVE

    def _keep(self, turn: DisconnectTurn, grants: GrantsAtHand, answer: TokenAnswer, refresh_token: str) -> None:
        """Write the successor down before it is revoked: Xero may be away for longer than the grace lasts."""
        before = turn.ending
        newest, user_id = grants.newest, turn.credential.xero_user_id if grants.is_last else None
        try:
            successor = ParkedGrant(
                sealed=self.seal.seal(refresh_token, context=turn.credential.seal_context),
                obtained_at=answer.obtained_at,
                consent=newest.consent if newest else None,
                xero_user_id=newest.xero_user_id if newest else user_id,
                scopes=grants.scopes,
            )
            turn.ending = replace(
                turn.ending, exchanged=True, revoked=False, suspected=False, exchange_lost_at=None
            )
            turn.save(lambda credential, _: with_successor(credential, grants, successor))
        except StoreUnavailable:
            # It is about to be revoked. If this turn dies first, the old token is good within the grace.
            turn.ending = before
            return
        grants.sealed = (*(one for one in grants.sealed if one != newest), successor)
        grants.newest = successor

    def _revoke_all(self, turn: DisconnectTurn, pair: ClientPair, refresh_tokens: Sequence[str]) -> None:
        for refresh_token in refresh_tokens:
            turn.spare(TIME_FOR_A_CALL_OF_XERO)
            try:
                self.token_endpoint.revoke(pair, refresh_token=refresh_token)
            except TokenEndpointFailure as failure:
                self._failed(turn, failure)
                return
            turn.pair_is_good()

    @staticmethod
    def _failed(turn: DisconnectTurn, failure: TokenEndpointFailure, *, exchanging: bool = False) -> None:
        turn.answered = failure.kind not in OUTAGE
        if failure.kind in INCONCLUSIVE:
            turn.postpone_or_leave(
                failure,
                retry_after=failure.retry_after,
                exchange_lost=exchanging and not REACTIONS[failure.kind].attempt_finished,
            )
        elif failure.kind in OF_THE_CLIENT and not turn.is_refusal_sure:
            # One word is not enough: Xero refuses a fresh secret for minutes.
            raise PostponedError(failure.code, failure.detail, client_refused=True)
        else:
            # Asking again would not help.
            turn.leave(failure.code, f"{failure.detail} So a grant could not be ended with it.")

    def _remove_connections(self, turn: DisconnectTurn, pair: ClientPair) -> None:
        """End a Custom connection: it has no refresh token to revoke, but an organisation to disconnect."""
        turn.spare(TIME_FOR_A_CALL_OF_XERO)
        try:
            answer = self.token_endpoint.client_credentials(pair, scopes=())
        except TokenEndpointFailure as failure:
            self._failed(turn, failure)
            return
        turn.answered = True
        self._leave_nothing_listed(turn, answer.token.access_token)

    def _leave_nothing_listed(self, turn: DisconnectTurn, access_token: str) -> None:
        """Remove one by one what an access token still reaches, and note what stays."""
        try:
            listed = self._listed(turn, access_token)
            if listed:
                for tenant in listed:
                    self._remove(turn, access_token, tenant)
                listed = self._listed(turn, access_token)
        except ConnectionsUnavailable as unavailable:
            if not unavailable.definite:
                turn.postpone_or_leave(unavailable)
            else:
                turn.leave(GRANT_NOT_CONFIRMED, unavailable.detail)
            return
        if listed:
            turn.ending = turn.ending.leaving(still_listed(listed))

    def _listed(self, turn: DisconnectTurn, access_token: str) -> Sequence[Tenant] | None:
        """Return what an access token reaches, None if Xero refuses it."""
        turn.spare(TIME_FOR_A_CALL_OF_XERO)
        try:
            listed = self.connections.tenants(access_token, auth_event_id=None)
        except ConnectionsUnavailable as unavailable:
            if not unavailable.unauthorized:
                raise
            listed = None
        turn.answered = True
        return listed

    def _remove(self, turn: DisconnectTurn, access_token: str, tenant: Tenant) -> None:
        turn.spare(TIME_FOR_A_CALL_OF_XERO)
        try:
            self.connections.remove(access_token, tenant.connection_id)
        except ConnectionsUnavailable as unavailable:
            # What Xero will not remove is in the list that comes next.
            if not unavailable.definite:
                raise
