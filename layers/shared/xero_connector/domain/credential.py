"""A credential: one Xero app, one pair, one grant."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from xero_connector.domain.errors import LeaseUnavailable
from xero_connector.domain.status import Status, check_move
from xero_connector.domain.tenant import Tenant
from xero_connector.domain.tokens import StoredTokens, client_version_id, tokens_version_id
from xero_connector.domain.version_allowance import VersionAllowance

REFRESH_TOKEN_LIFETIME = timedelta(days=60)
"""Unused for this long, a refresh token is dead (Xero, "Token types")."""


class IntegrationType(StrEnum):
    """The choice that was made under "New app" in Xero's portal."""

    WEB_APP = "web_app"
    CUSTOM_CONNECTION = "custom_connection"


class CheckResult(StrEnum):
    """What a check found; `unknown` never counts against a pair."""

    PASS = "pass"  # noqa: S105 - a verdict, not a password
    FAIL = "fail"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Check:
    """One finding about the app at Xero, with a sentence that a person can act on."""

    result: CheckResult
    detail: str
    checked_at: datetime | None = None


UNCHECKED: Mapping[str, Check] = {
    "pair": Check(CheckResult.UNKNOWN, "Not checked yet."),
    "redirect_uri": Check(CheckResult.UNKNOWN, "Known once the first user gives consent."),
    "scopes": Check(CheckResult.UNKNOWN, "Known once the first user gives consent."),
}


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
class Credential:
    """The registry's row: everything but the secrets.

    `revision` counts the writes; each write names the one that it saw, so that no write is ever lost.
    `generation` counts the token sets, 0 before the first; those before `grant_began` belong to an earlier
    consent, perhaps of another user. `attempt_started_at` is set from taking the lease until the outcome is
    known: a row that carries it without a live lease tells of work that was cut off. `consenting` tells that
    this work may have been a consent.
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
    client_secret_number: int = 1
    generation: int = 0
    grant_began: int = 0
    consenting: bool = False
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

    def move_to(self, status: Status) -> "Credential":
        """Change the status, or raise `IllegalMove`."""
        check_move(self.status, status)
        return replace(self, status=status)

    def leased(self, owner: str, *, now: datetime, duration: timedelta, consenting: bool = False) -> "Credential":
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
            consenting=self.consenting or consenting,
            updated_at=now,
        )

    def released(self, *, due_at: datetime | None, attempt_finished: bool, now: datetime) -> "Credential":
        """Give the lease back; an attempt of unknown outcome stays on the row."""
        return replace(
            self,
            lease=None,
            due_at=due_at,
            attempt_started_at=None if attempt_finished else self.attempt_started_at,
            consenting=self.consenting and not attempt_finished,
            updated_at=now,
        )

    def holding(self, stored: StoredTokens, *, due_at: datetime, now: datetime) -> "Credential":
        """Point at a stored version of the tokens: the credential is connected, and all trouble is over."""
        secret = stored.secret
        return replace(
            self.move_to(Status.CONNECTED),
            generation=secret.generation,
            tokens_secret_arn=stored.arn,
            tenants=secret.tenants,
            granted_scopes=secret.token.scopes,
            access_token_expires_at=secret.token_expires_at,
            refresh_token_expires_at=secret.obtained_at + REFRESH_TOKEN_LIFETIME,
            last_refreshed_at=secret.obtained_at,
            failures=0,
            last_error=None,
            allowance=self.allowance.drawn(now),
        ).released(due_at=due_at, attempt_finished=True, now=now)

    def failed(self, *, code: str, detail: str, now: datetime) -> "Credential":
        """Count a failure and keep its reason to be read."""
        return replace(self, failures=self.failures + 1, last_error=LastError(code, detail, now), updated_at=now)

    def checked(self, **checks: Check) -> "Credential":
        """Replace some of the checks."""
        return replace(self, checks={**self.checks, **checks})
