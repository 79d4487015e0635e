"""One turn of a refresh: what it holds, and what came of it."""

from dataclasses import dataclass
from enum import StrEnum

from xero_connector.domain.credential import Credential
from xero_connector.services.hold_lease import HeldLease
from xero_connector.services.vault_gate import VaultGate


class Outcome(StrEnum):
    """What came of a refresh."""

    REFRESHED = "refreshed"
    ROLLED_FORWARD = "rolled_forward"
    PARKED = "parked"
    """Xero gave new tokens and the vault did not take them: the refresh token waits in the credential."""
    FAILED = "failed"
    BUSY = "busy"
    SKIPPED = "skipped"
    LEFT_FOR_LATER = "left_for_later"
    """The vault takes no writes: nothing was presented."""


@dataclass(frozen=True, slots=True)
class Refresh:
    """The outcome, and the credential as it is now; `answered` tells whether Xero did, None if not asked."""

    outcome: Outcome
    credential: Credential
    answered: bool | None = None


@dataclass(slots=True)
class RefreshTurn:
    """One turn of a credential, under its lease."""

    lease: HeldLease
    gate: VaultGate
    asked_for: bool
