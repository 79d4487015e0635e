"""A credential: one Xero app, one pair, one grant."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from uuid import UUID

from xero_connector.domain.checks import UNCHECKED, Check, merged
from xero_connector.domain.ending import Ending
from xero_connector.domain.errors import LeaseUnavailable
from xero_connector.domain.history import CONNECTOR, Action, Note
from xero_connector.domain.parked_grant import ParkedGrant, within_limit
from xero_connector.domain.refresh_policy import next_refresh
from xero_connector.domain.status import CONSENTABLE, Status, check_move
from xero_connector.domain.tenant import Tenant
from xero_connector.domain.tokens import client_version_id, tokens_version_id
from xero_connector.domain.version_allowance import VersionAllowance


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


@dataclass(frozen=True, slots=True)
class ConsentGiven:
    """A consent that brought tokens: its authorization request (the hash of its state) and its user, if known."""

    request: str
    xero_user_id: str | None

    @property
    def by(self) -> str:
        """Who did it, as the audit trail says it."""
        return "xero_user" if self.xero_user_id is None else f"xero_user:{self.xero_user_id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """All that the registry keeps of a credential: everything but the secrets.

    `revision` counts the writes; each write names the one that it saw, so that no write is ever lost.
    `generation` counts the token sets, 0 before the first; those before `grant_began` belong to an earlier
    consent, perhaps of another user. `attempt_started_at` is set from taking the lease until the outcome is
    known: without a live lease it tells of work that was cut off. `consenting` tells that this work may have been
    a consent, and of which authorization request (the hash of its state).
    `grant_consent` is the request that brought the present grant, `xero_user_id` the user who gave it, and
    `grant_version_id` the version of generation `grant_began` where a consent stored it. `parked` holds the newest
    refresh token while the vault does not take it; `earlier_grants` are those of consents that were replaced and
    not revoked. `unreadable_since` tells since when a secret that the credential vouches for cannot be read;
    `refused_since` and `refusals` since when and how often Xero refuses a pair that is pending. `ending` tells how
    far a disconnect has come. `setup_link_id` names the setup link by which a customer handed over the pair or its
    newest secret. `notes` go into the audit trail with the next write of the credential. `stored` is the
    registry's own: it tells what it has of this revision, so that a write costs what changed.
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
    refusals: int = 0
    ending: Ending | None = None
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
    setup_link_id: str | None = None
    updated_at: datetime
    notes: tuple[Note, ...] = ()
    stored: object = field(default=None, compare=False, repr=False)

    @property
    def client_version_id(self) -> str:
        """The version of the client secret that is in force."""
        return client_version_id(self.incarnation, self.client_secret_number)

    def tokens_version_id(self, generation: int) -> str:
        """The version id that belongs to a generation of this incarnation."""
        if generation == self.grant_began and self.grant_version_id is not None:
            return self.grant_version_id
        return tokens_version_id(self.incarnation, generation)

    @property
    def seal_context(self) -> str:
        """What binds a sealed token to this credential."""
        return f"{self.client_id}/{self.incarnation}"

    def is_due(self, now: datetime) -> bool:
        """Whether the sweep has something to do here."""
        return self.due_at is not None and self.due_at <= now

    @property
    def has_grant(self) -> bool:
        """Whether there is something to refresh: tokens of a consent, or a pair that needs no user for tokens."""
        if self.integration_type is IntegrationType.CUSTOM_CONNECTION:
            return self.status is Status.VALIDATED or self.status in _WITH_A_GRANT
        if self.parked is not None:
            return (
                self.status is Status.VALIDATED
                or self.status in _WITH_A_GRANT
                or (self.status is Status.REAUTHORIZATION_REQUIRED and self.parked.consent is not None)
            )
        return self.generation > 0 and self.status in _WITH_A_GRANT

    @property
    def refresh_due_at(self) -> datetime | None:
        """When the tokens in the vault are due by the cadence alone, None without tokens."""
        obtained_at, expires_at = self.last_refreshed_at, self.access_token_expires_at
        if obtained_at is None or expires_at is None:
            return None
        return next_refresh(
            self.client_id,
            generation=self.generation,
            obtained_at=obtained_at,
            expires_in=int((expires_at - obtained_at).total_seconds()),
        )

    @property
    def takes_consent(self) -> bool:
        """Whether a user may be taken through consent."""
        return self.integration_type is IntegrationType.WEB_APP and self.status in CONSENTABLE

    def noted(self, action: Action, *, by: str = CONNECTOR, detail: str | None = None) -> "Credential":
        """Have the next write of this credential leave an entry in the audit trail."""
        return replace(self, notes=(*self.notes, Note(action=action, by=by, detail=detail)))

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

        The credential falls due when the lease ends: if the holder dies, the sweep comes back.
        """
        if self.lease is not None and self.lease.owner != owner and self.lease.until > now:
            raise LeaseUnavailable(self.client_id)
        until = now + duration
        if consenting is not None and self.consenting not in {None, consenting}:
            # Another consent was cut off, and only one can be looked for: it is noted for a disconnect.
            lost = ParkedGrant(sealed="", obtained_at=self.consenting_since or now, consent=self.consenting)
            noted = replace(self.leaving_behind(lost, now=now), consenting=None, consenting_since=None)
            return noted.leased(owner, now=now, duration=duration, consenting=consenting)
        renewed = self.lease is not None and self.lease.owner == owner
        # A consent presents no refresh token: it is no attempt of which the grace would run.
        attempt_started_at = self.attempt_started_at or (None if renewed or consenting else now)
        return replace(
            self,
            lease=Lease(owner, until),
            due_at=until,
            attempt_started_at=attempt_started_at,
            consenting=consenting or self.consenting,
            consenting_since=now if consenting else self.consenting_since,
            updated_at=now,
        )

    def released(self, *, due_at: datetime | None, attempt_finished: bool, now: datetime) -> "Credential":
        """Give the lease back; an attempt of unknown outcome stays."""
        return replace(
            self,
            lease=None,
            due_at=due_at,
            attempt_started_at=None if attempt_finished else self.attempt_started_at,
            updated_at=now,
        )

    def looking_for(self, before: "Credential") -> "Credential":
        """Look again for the cut-off consent that a credential looked for before, and for no other."""
        return replace(self, consenting=before.consenting, consenting_since=before.consenting_since)

    def leaving_behind(self, *grants: ParkedGrant, now: datetime) -> "Credential":
        """Keep grants that live on at Xero beside the present one, for a disconnect to end."""
        told = {grant.consent for grant in grants if grant.consent is not None}
        # What is known of a consent takes the place of the mark that it was lost.
        others = [grant for grant in self.earlier_grants if grant.sealed or grant.consent not in told]
        kept = {grant.consent for grant in others if grant.consent is not None}
        news = [grant for grant in grants if grant.sealed or grant.consent is None or grant.consent not in kept]
        return replace(self, earlier_grants=within_limit((*others, *news), now))

    def failed(self, *, code: str, detail: str, now: datetime) -> "Credential":
        """Count a failure and keep its reason to be read."""
        return replace(self, failures=self.failures + 1, last_error=LastError(code, detail, now), updated_at=now)

    def checked(self, **checks: Check) -> "Credential":
        """Write down what was found."""
        return replace(self, checks=merged(self.checks, checks))
