"""End a credential: revoke the grant at Xero, then schedule its secrets for deletion."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from xero_connector.domain.checks import CheckResult
from xero_connector.domain.credential import (
    REFRESH_TOKEN_LIFETIME,
    Credential,
    IntegrationType,
    LastError,
    ParkedGrant,
)
from xero_connector.domain.errors import (
    Conflict,
    ConnectionsUnavailable,
    ConnectorError,
    LeaseUnavailable,
    SecretDeleted,
    SecretNotVisible,
)
from xero_connector.domain.history import CONNECTOR
from xero_connector.domain.ports import Clock, Observer, Seal, Vault, XeroConnections, XeroIdentity
from xero_connector.domain.refresh_policy import POST_BUDGET
from xero_connector.domain.status import FINAL, Status
from xero_connector.domain.token_endpoint import INCONCLUSIVE, TokenEndpointFailure
from xero_connector.domain.tokens import ClientPair
from xero_connector.use_cases.find_credential import FindCredential
from xero_connector.use_cases.hold_lease import HeldLease, HoldLease
from xero_connector.use_cases.store_tokens import StoreTokens

_PASSING = INCONCLUSIVE | {"connections_unavailable"}
_PATIENCE = timedelta(seconds=6)
_NOT_ENDED = "The grant of an earlier consent could not be ended. Remove it in Xero under Connected apps."
_FIRST_PAUSE = timedelta(minutes=1)
_LONGEST_PAUSE = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class DisconnectCredential:
    """Ends a credential step by step; each step may be repeated, so the sweep finishes what was cut off."""

    vault: Vault
    seal: Seal
    identity: XeroIdentity
    connections: XeroConnections
    hold_lease: HoldLease
    store_tokens: StoreTokens
    find_credential: FindCredential
    clock: Clock
    observer: Observer

    def __call__(self, client_id: str, *, by: str) -> Credential:
        """Disconnect for an admin: `disconnected`, or `disconnecting` while Xero cannot be reached.

        Raises `NotFound`, and `Conflict` while somebody else works on the credential.
        """
        row = self.find_credential(client_id)
        if row.status in FINAL:
            return row
        try:
            held = self.hold_lease.waiting(row, patience=_PATIENCE)
        except LeaseUnavailable as busy:
            raise Conflict(busy.detail, code=busy.code, hint=busy.hint) from None
        # As it stands now: another request may have ended it while this one waited.
        return held.give_back() if held.row.status in FINAL else self._go_on(held, by=by)

    def resume(self, row: Credential) -> Credential:
        """Go on with a credential that is `disconnecting`; raises `LeaseUnavailable`."""
        return self._go_on(self.hold_lease(row), by=CONNECTOR)

    def _go_on(self, held: HeldLease, *, by: str) -> Credential:
        if held.row.status is not Status.DISCONNECTING:
            if held.row.status is not Status.PENDING_VALIDATION:
                # The grant to revoke is the newest one, even if an earlier attempt never said that it had it.
                self._adopt(held)
            held.save(lambda row, _: replace(row.move_to(Status.DISCONNECTING, by=by), last_error=None))
        try:
            self._revoke(held)
        except ConnectionsUnavailable as unavailable:
            if not unavailable.definite:
                return self._later(held, unavailable)
            self._note_unrevoked(held, unavailable)
        except TokenEndpointFailure as failure:
            if failure.kind in INCONCLUSIVE:
                return self._later(held, failure)
            self._note_unrevoked(held, failure)
        self.vault.delete_tokens(held.row.client_id)
        self.vault.delete_client_pair(held.row.client_id)
        self.observer.count("CredentialDisconnected")
        return held.save(
            lambda row, now: replace(
                row.move_to(Status.DISCONNECTED),
                tenants=(),
                parked=None,
                earlier_grants=(),
                access_token_expires_at=None,
                refresh_token_expires_at=None,
                last_error=_why_unrevoked(row),
            ).released(due_at=None, attempt_finished=True, now=now)
        )

    def _adopt(self, held: HeldLease) -> None:
        if held.unfinished and self.store_tokens.adopt_newer(held) is not None:
            # Adopting commits and gives the lease back.
            held.renew()
        if self.store_tokens.adopt_consent(held) is not None:
            held.renew()

    def _revoke(self, held: HeldLease) -> None:
        row = held.row
        custom = row.integration_type is IntegrationType.CUSTOM_CONNECTION
        # A Custom connection stands at Xero from the day it was set up, with tokens or without.
        sealed = (*row.earlier_grants, *(() if row.parked is None else (row.parked,)))
        if row.generation == 0 and not sealed and not (custom and row.checks["pair"].result is CheckResult.PASS):
            return
        try:
            pair = self.vault.get_client_pair(row.client_id, version_id=row.client_version_id)
            if pair is None:
                raise SecretNotVisible
            if custom:
                self._remove_connections(held, pair)
                return
            self._revoke_sealed(held, pair, sealed)
            if row.generation == 0:
                return
            current = self.vault.get_tokens(row.client_id, version_id=row.tokens_version_id(row.generation))
        except SecretDeleted:
            # An earlier run revoked the grant and began to delete the secrets.
            return
        if current is None:
            raise SecretNotVisible
        if current.secret.token.refresh_token is not None:
            held.ensure(POST_BUDGET)
            self.identity.revoke(pair, refresh_token=current.secret.token.refresh_token)

    def _revoke_sealed(self, held: HeldLease, pair: ClientPair, grants: Sequence[ParkedGrant]) -> None:
        """End the grants whose tokens wait in the row: those that a later consent replaced, and a parked one."""
        for grant in grants:
            if grant.obtained_at + REFRESH_TOKEN_LIFETIME <= self.clock():
                continue
            if not grant.sealed:
                held.save(lambda row, now: row.failed(code="grant_not_confirmed", detail=_NOT_ENDED, now=now))
                continue
            refresh_token = self.seal.unseal(grant.sealed, context=held.row.seal_context)
            held.ensure(POST_BUDGET)
            self.identity.revoke(pair, refresh_token=refresh_token)

    def _remove_connections(self, held: HeldLease, pair: ClientPair) -> None:
        """End a Custom connection: it has no refresh token to revoke, but an organisation to disconnect."""
        held.ensure(POST_BUDGET)
        access_token = self.identity.client_credentials(pair, scopes=()).token.access_token
        for tenant in self.connections.tenants(access_token, auth_event_id=None):
            held.ensure(POST_BUDGET)
            self.connections.remove(access_token, tenant.connection_id)

    @staticmethod
    def _note_unrevoked(held: HeldLease, failure: ConnectorError) -> None:
        # Xero refuses, and asking again would not help: the user has to end it, in Xero.
        detail = f"{failure.detail} Remove the connection in Xero under Connected apps."
        held.save(lambda row, now: row.failed(code=failure.code, detail=detail, now=now))

    def _later(self, held: HeldLease, failure: ConnectorError) -> Credential:
        self.observer.event("disconnect_postponed", client_id=held.row.client_id, failure=failure.code)
        return held.save(
            lambda row, now: row.failed(code=failure.code, detail=failure.detail, now=now).released(
                due_at=now + min(_FIRST_PAUSE * 2 ** min(row.failures, 10), _LONGEST_PAUSE),
                attempt_finished=True,
                now=now,
            )
        )


def _why_unrevoked(row: Credential) -> LastError | None:
    # Whatever passed in the meantime is of no interest any more; a grant that lives on at Xero is.
    error = row.last_error
    return None if error is None or error.code in _PASSING else error
