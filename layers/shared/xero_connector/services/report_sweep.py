"""Tell operators what a run of the schedule found, and what came of it.

A run can be cut off at any moment. So what the alarms count is told as soon as it is read, for the first
credentials before their work begins, and everything is written as soon as it can be.
"""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta

from xero_connector.domain.credential import Credential
from xero_connector.domain.errors import ConnectorError
from xero_connector.domain.failed_refresh import is_its_own_trouble
from xero_connector.domain.ports import Observer
from xero_connector.domain.refresh_policy import PROMISED_LEFT
from xero_connector.domain.status import Status

_LONG_UNFINISHED = timedelta(minutes=10)
_PROMISED = frozenset({Status.CONNECTED, Status.DEGRADED})
"""Readers of these credentials' tokens are promised a live one."""


@dataclass(slots=True)
class InDanger:
    """How many of the credentials that a run has read so far are in danger."""

    short: int = 0
    unfinished: int = 0

    def add(self, credential: Credential, now: datetime) -> None:
        """Take one in that was read."""
        self.short += _is_short(credential, now)
        self.unfinished += _is_long_unfinished(credential, now)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ReportSweep:
    """Counts, measures and logs for one run after the other."""

    observer: Observer

    def begun(self) -> None:
        """Report that a run begins."""
        self.observer.count("SweepBegun")
        self.observer.flush()

    def found(self, danger: InDanger) -> None:
        """Report how many of the credentials that were read are in danger, and write what is known."""
        self.observer.gauge("TokensShort", danger.short)
        self.observer.gauge("UnfinishedAttempts", danger.unfinished)
        self.observer.flush()

    def turn(self, credential: Credential, now: datetime) -> None:
        """Measure how a credential stands when its turn comes."""
        if credential.due_at is not None:
            self.observer.measure("SweepLag", (now - credential.due_at).total_seconds())
        left = _seconds_left(credential, now)
        if left is not None:
            # A credential that is not due has a third of its token's life left: the minimum is among these.
            self.observer.measure("SecondsLeft", left)

    def failed(self, client_id: str, error: ConnectorError) -> None:
        """Report a turn that ended with an error on our side."""
        self.observer.count("SweepFailed")
        self.observer.warning("sweep_failed", client_id=client_id, code=error.code, detail=error.detail)

    def ended(self, outcomes: Counter[str], danger: InDanger, *, outage: bool, vault_closed: bool) -> None:
        """Report a run that came to its end."""
        self.observer.count("SweepEnded")
        if outage:
            self.observer.count("OutageNoticed")
        if vault_closed:
            self.observer.count("VaultClosed")
        self.observer.event("sweep_done", due=outcomes.total(), **dict(sorted(outcomes.items())))
        self.found(danger)


def _seconds_left(credential: Credential, now: datetime) -> float | None:
    """Return what is left of a token that readers are promised, None for any other."""
    if credential.access_token_expires_at is None or credential.status not in _PROMISED:
        return None
    return (credential.access_token_expires_at - now).total_seconds()


def _is_short(credential: Credential, now: datetime) -> bool:
    """Whether readers find less than they are promised, and nothing says that it is this app's own trouble."""
    left = _seconds_left(credential, now)
    return left is not None and left < PROMISED_LEFT.total_seconds() and not is_its_own_trouble(credential)


def _is_long_unfinished(credential: Credential, now: datetime) -> bool:
    return credential.attempt_started_at is not None and now - credential.attempt_started_at > _LONG_UNFINISHED
