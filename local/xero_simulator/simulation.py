from dataclasses import dataclass, field

from local.xero_simulator.clock import SimulatorClock
from local.xero_simulator.faults import FaultPlan
from local.xero_simulator.identity_server import IdentityServer
from local.xero_simulator.journal import Journal


@dataclass(slots=True)
class Simulation:
    """The parts of one running simulator; the identity server is expected to go by `clock`."""

    identity_server: IdentityServer
    clock: SimulatorClock
    faults: FaultPlan = field(default_factory=FaultPlan)
    journal: Journal = field(default_factory=Journal)
    _first_successor_survives: bool = field(init=False)

    def __post_init__(self) -> None:
        self._first_successor_survives = self.identity_server.first_successor_survives

    def reset(self) -> None:
        """Return to the state in which the simulator was started."""
        self.identity_server.reset()
        self.identity_server.first_successor_survives = self._first_successor_survives
        self.clock.reset()
        self.faults.clear()
        self.journal.clear()
