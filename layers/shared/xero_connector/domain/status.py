"""The statuses of a credential, and the table of the moves between them that are allowed."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from xero_connector.domain.errors import IllegalMove


class Status(StrEnum):
    """The state of a credential."""

    PENDING_VALIDATION = "pending_validation"
    VALIDATED = "validated"
    CONNECTED = "connected"
    DEGRADED = "degraded"
    REAUTHORIZATION_REQUIRED = "reauthorization_required"
    CLIENT_REJECTED = "client_rejected"
    DISCONNECTING = "disconnecting"
    DISCONNECTED = "disconnected"
    REJECTED = "rejected"


# Keeping the status needs no entry. A fresh submission after REJECTED or DISCONNECTED is a new incarnation
# of the credential, not a move.
MOVES: Mapping[Status, frozenset[Status]] = MappingProxyType(
    {
        Status.PENDING_VALIDATION: frozenset({Status.VALIDATED, Status.REJECTED, Status.DISCONNECTING}),
        # Its first grant can die before its tokens are stored.
        Status.VALIDATED: frozenset(
            {
                Status.CONNECTED,
                Status.REAUTHORIZATION_REQUIRED,
                Status.CLIENT_REJECTED,
                Status.DISCONNECTING,
            }
        ),
        Status.CONNECTED: frozenset(
            {
                Status.DEGRADED,
                Status.REAUTHORIZATION_REQUIRED,
                Status.CLIENT_REJECTED,
                Status.DISCONNECTING,
            }
        ),
        Status.DEGRADED: frozenset(
            {
                Status.CONNECTED,
                Status.REAUTHORIZATION_REQUIRED,
                Status.CLIENT_REJECTED,
                Status.DISCONNECTING,
            }
        ),
        Status.REAUTHORIZATION_REQUIRED: frozenset(
            {Status.CONNECTED, Status.CLIENT_REJECTED, Status.DISCONNECTING}
        ),
        # A new secret leads back to the state of the grant: never connected, alive, or dead.
        Status.CLIENT_REJECTED: frozenset(
            {
                Status.VALIDATED,
                Status.CONNECTED,
                Status.DEGRADED,
                Status.REAUTHORIZATION_REQUIRED,
                Status.DISCONNECTING,
            }
        ),
        Status.DISCONNECTING: frozenset({Status.DISCONNECTED}),
        Status.DISCONNECTED: frozenset(),
        # Until its secret is deleted, a new secret or another proof can heal it.
        Status.REJECTED: frozenset({Status.VALIDATED, Status.DISCONNECTING}),
    }
)

FINAL = frozenset({Status.REJECTED, Status.DISCONNECTED})
"""A client ID in one of these may be submitted again."""

CONSENTABLE = frozenset({Status.VALIDATED, Status.CONNECTED, Status.DEGRADED, Status.REAUTHORIZATION_REQUIRED})
"""A user may be taken through consent."""


def check_move(before: Status, after: Status) -> None:
    """Raise `IllegalMove` unless the table allows going from one status to the other."""
    if before is not after and after not in MOVES[before]:
        raise IllegalMove(f"A credential cannot go from {before} to {after}.", code="illegal_move")
