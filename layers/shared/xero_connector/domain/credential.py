"""A credential: one Xero app, one pair, one grant."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from uuid import UUID

from xero_connector.domain.checks import UNCHECKED, Check, CheckResult, merged
from xero_connector.domain.errors import LeaseUnavailable
from xero_connector.domain.history import CONNECTOR, Action, Note
from xero_connector.domain.status import CONSENTABLE, Status, check_move
from xero_connector.domain.tenant import Tenant
from xero_connector.domain.tokens import StoredTokens, client_version_id, tokens_version_id
from xero_connector.domain.version_allowance import VersionAllowance

REFRESH_TOKEN_LIFETIME = timedelta(days=60)
"""Unused for this long, a refresh token is dead (Xero, "Token types")."""


class IntegrationType(StrEnum):
    """The choice that was made under "New app" in Xero's portal."""

    WEB_APP = "web_app"
    CUSTOM_CONNECTION = "custom_connection"


_WITH_A_GRANT = frozenset({Status.CONNECTED, Status.DEGRADED, Status.CLIENT_REJECTED})
_MOVED_TO: Mapping[Status, Action] = MappingProxyType(
    {
        Status.VALIDATED: Action.VALIDATED,
        Status.CONNECTED: Action.CONNECTED,
        Status.DEGRADED: Action.DEGRADED,
        Status.REAUTHORIZATION_REQUIRED: Action.REAUTHORIZATION_REQUIRED,
        Status.CLIENT_REJECTED: Action.CLIENT_REJECTED,
        Status.DISCONNECTING: Action.DISCONNECT_REQUESTED,
        Status.DISCONNECTED: Action.DISCONNECTED,
        Status.REJECTED: Action.REJECTED,
    }
)


@dataclass(frozen=True, slots=True)
class LastError:
    """The most recent failure, until something succeeds."""

    code: str
    detail: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to work on a credential, alone, until a moment in time."""

    owner: str
    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ParkedGrant:
    """A refresh token that waits in the registry: the vault did not take it, or another grant took its place.

    `sealed` is encrypted under the vault's key. `consent` is the authorization request that brought it (the hash
    of its state), None where it was refreshed. `xero_user_id` is the user whose consent brought it, None where it
    was refreshed or where the user is not known. `scopes` are those that Xero granted with it.
    """

    sealed: str = field(repr=False)
    obtained_at: datetime
    consent: str | None = None
    xero_user_id: str | None = None
    scopes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """The registry's row: everything but the secrets.

    `revision` counts the writes; each write names the one that it saw, so that no write is ever lost.
    `generation` counts the token sets, 0 before the first; those before `grant_began` belong to an earlier
    consent, perhaps of another user. `attempt_started_at` is set from taking the lease until the outcome is
    known: a row that carries it without a live lease tells of work that was cut off. `consenting` tells that
    this work may have been a consent, and of which authorization request (the hash of its state).
    `grant_consent` is the request that brought the present grant, `xero_user_id` the user who gave it, and
    `grant_version_id` the version of generation `grant_began` where a consent stored it. `parked` holds the newest
    refresh token while the vault does not take it; `earlier_grants` are those of consents that were replaced and
    not revoked. `unreadable_since` tells since when a secret that the row vouches for cannot be read, and
    `refused_since` since when Xero refuses a pair that is pending. `notes` go into the audit trail with the next
    write of the row.
    """

    client_id: str
    incarnation: UUID
    revision: int = 0
    status: Status
    label: str | None = None
    integration_type: IntegrationType = IntegrationType.WEB_APP
    requested_scopes: tuple[str, ...]
    granted_scopes: tuple[str, ...] = ()
    checks: Mapping[str, Check] = field(default_factory=lambda: dict(UNCHECKED))
    tenants: tuple[Tenant, ...] = ()
    tenants_pending: bool = False
    tenants_checked_at: datetime | None = None
    client_secret_number: int = 1
    generation: int = 0
    grant_began: int = 0
    grant_consent: str | None = None
    grant_version_id: str | None = None
    xero_user_id: str | None = None
    consenting: str | None = None
    consenting_since: datetime | None = None
    parked: ParkedGrant | None = None
    earlier_grants: tuple[ParkedGrant, ...] = ()
    unreadable_since: datetime | None = None
    refused_since: datetime | None = None
    tokens_secret_arn: str | None = None
    access_token_expires_at: datetime | None = None
    refresh_token_expires_at: datetime | None = None
    last_refreshed_at: datetime | None = None
    due_at: datetime | None = None
    lease: Lease | None = None
    attempt_started_at: datetime | None = None
    failures: int = 0
    last_error: LastError | None = None
    allowance: VersionAllowance
    created_at: datetime
    created_by: str
    updated_at: datetime
    notes: tuple[Note, ...] = ()

    @property
    def client_version_id(self) -> str:
        """The version of the client secret that is in force."""
        return client_version_id(self.incarnation, self.client_secret_number)

    def tokens_version_id(self, generation: int) -> str:
        """The version id that belongs to a generation of this incarnation."""
        return tokens_version_id(self.incarnation, generation)

    def is_due(self, now: datetime) -> bool:
        """Whether the sweep has something to do here."""
        return self.due_at is not None and self.due_at <= now

    @property
    def has_grant(self) -> bool:
        """Whether there is something to refresh: tokens of a consent, or a pair that gets tokens by itself."""
        if self.integration_type is IntegrationType.CUSTOM_CONNECTION:
            return self.status is Status.VALIDATED or self.status in _WITH_A_GRANT
        return self.generation > 0 and self.status in _WITH_A_GRANT

    @property
    def takes_consent(self) -> bool:
        """Whether a user may be taken through consent."""
        return self.integration_type is IntegrationType.WEB_APP and self.status in CONSENTABLE

    def noted(self, action: Action, *, by: str = CONNECTOR) -> "Credential":
        """Have the next write of this row leave an entry in the audit trail."""
        return replace(self, notes=(*self.notes, Note(action=action, by=by)))

    def move_to(self, status: Status, *, by: str = CONNECTOR) -> "Credential":
        """Change the status, or raise `IllegalMove`; a change leaves an entry in the audit trail."""
        check_move(self.status, status)
        if status is self.status:
            return self
        recovers = self.status is Status.DEGRADED and status is Status.CONNECTED
        return replace(self, status=status).noted(Action.RECOVERED if recovers else _MOVED_TO[status], by=by)

    def reaching(self, tenants: tuple[Tenant, ...]) -> "Credential":
        """Replace the organisations; those that came or went are noted."""
        before = {tenant.tenant_id for tenant in self.tenants}
        after = {tenant.tenant_id for tenant in tenants}
        changed = replace(self, tenants=tenants)
        if before == after:
            return changed
        note = Note(
            action=Action.TENANTS_CHANGED,
            added=tuple(tenant for tenant in tenants if tenant.tenant_id not in before),
            removed=tuple(tenant for tenant in self.tenants if tenant.tenant_id not in after),
        )
        return replace(changed, notes=(*self.notes, note))

    def leased(
        self, owner: str, *, now: datetime, duration: timedelta, consenting: str | None = None
    ) -> "Credential":
        """Take the lease, or raise `LeaseUnavailable` while another holder's runs.

        The row falls due when the lease ends: if the holder dies, the sweep comes back by itself.
        """
        if self.lease is not None and self.lease.owner != owner and self.lease.until > now:
            raise LeaseUnavailable(self.client_id)
        until = now + duration
        return replace(
            self,
            lease=Lease(owner, until),
            due_at=until,
            attempt_started_at=self.attempt_started_at or now,
            consenting=consenting or self.consenting,
            updated_at=now,
        )

    def released(self, *, due_at: datetime | None, attempt_finished: bool, now: datetime) -> "Credential":
        """Give the lease back; an attempt of unknown outcome stays on the row."""
        return replace(
            self,
            lease=None,
            due_at=due_at,
            attempt_started_at=None if attempt_finished else self.attempt_started_at,
            consenting=None if attempt_finished else self.consenting,
            updated_at=now,
        )

    def holding(
        self, stored: StoredTokens, *, due_at: datetime, now: datetime, consented: str | None = None
    ) -> "Credential":
        """Point at a stored version of the tokens: the credential is connected, and all trouble is over.

        `consented` names the user whose consent brought the tokens, None if they were refreshed.
        """
        secret = stored.secret
        connected = self.move_to(Status.CONNECTED)
        if consented is not None:
            connected = replace(connected, notes=self.notes).noted(Action.CONNECTED, by=consented)
        if self.checks["pair"].result is not CheckResult.PASS:
            connected = connected.checked(pair=Check(CheckResult.PASS, "Xero gave tokens for this pair.", now))
        return replace(
            connected,
            generation=secret.generation,
            tokens_secret_arn=stored.arn,
            granted_scopes=secret.token.scopes,
            access_token_expires_at=secret.token_expires_at,
            refresh_token_expires_at=None
            if secret.token.refresh_token is None
            else secret.obtained_at + REFRESH_TOKEN_LIFETIME,
            last_refreshed_at=secret.obtained_at,
            failures=0,
            last_error=None,
            allowance=self.allowance.drawn(now),
        ).released(due_at=due_at, attempt_finished=True, now=now)

    def failed(self, *, code: str, detail: str, now: datetime) -> "Credential":
        """Count a failure and keep its reason to be read."""
        return replace(self, failures=self.failures + 1, last_error=LastError(code, detail, now), updated_at=now)

    def checked(self, **checks: Check) -> "Credential":
        """Write down what was found."""
        return replace(self, checks=merged(self.checks, checks))
