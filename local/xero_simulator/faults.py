from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from threading import Lock

LONGEST_DELAY = timedelta(seconds=60)


class Endpoint(StrEnum):
    """Where a fault can be placed."""

    AUTHORIZE = "authorize"
    TOKEN = "token"  # noqa: S105 - the name of an endpoint
    REVOCATION = "revocation"
    CONNECTIONS = "connections"
    JWKS = "jwks"


class FaultKind(StrEnum):
    """What goes wrong."""

    STATUS = "status"  # this status instead of the effect
    DELAY = "delay"  # the effect and the answer, late
    DROP_BEFORE = "drop_before"  # no effect, no answer
    DROP_AFTER = "drop_after"  # the effect, but no answer
    DRIP = "drip"  # the effect, and the answer a byte at a time, each of them late
    ENDLESS = "endless"  # the effect, and an answer that goes on for ever
    HTML_403 = "html_403"  # the edge firewall's page instead of the effect


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that goes wrong at one endpoint; `error` makes a `status` answer look like OAuth's."""

    endpoint: Endpoint
    kind: FaultKind
    status: int = 500
    error: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    delay: timedelta = timedelta(0)


class FaultPlan:
    """The faults to come: each endpoint's are used up in the order in which they were added."""

    def __init__(self) -> None:
        self._pending: list[Fault] = []
        self._lock = Lock()

    def add(self, fault: Fault, *, times: int = 1) -> None:
        """Let this happen to the next so many requests that no earlier fault is meant for."""
        with self._lock:
            self._pending.extend([fault] * times)

    def take(self, endpoint: Endpoint) -> Fault | None:
        """Return the fault for a request that has just arrived, None where all is well."""
        with self._lock:
            for position, fault in enumerate(self._pending):
                if fault.endpoint is endpoint:
                    return self._pending.pop(position)
        return None

    @property
    def pending(self) -> tuple[Fault, ...]:
        """The faults that have not happened yet."""
        with self._lock:
            return tuple(self._pending)

    def clear(self) -> None:
        """Forget every fault to come."""
        with self._lock:
            self._pending.clear()
