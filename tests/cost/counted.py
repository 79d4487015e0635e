"""Counts the calls of AWS that a deployment makes: at rest, for a refresh, and for a customer who joins.

The real application runs over the strict doubles, and every call passes a gate.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta

from tests.doubles.capacity import Consumed, size
from tests.fakes.in_turn import work_in_turn
from tests.fakes.world import ADMIN, SETTINGS
from tests.prove.units import organisations
from tests.prove.world import World
from tests.prove.xero import InProcessXero
from xero_connector.domain.status import Status

SHARDS = [str(shard) for shard in range(SETTINGS.due_shards)]
_INVOCATION = timedelta(seconds=90)
RUNS_OF_A_COUNT = 1 + len(Status)


@dataclass(frozen=True, slots=True)
class Counted:
    """What one thing costs in calls and capacity units; `kms` has those that Secrets Manager makes for us, too."""

    secrets_manager: int
    kms: int
    read_units: float
    write_units: int

    def __sub__(self, other: "Counted") -> "Counted":
        return Counted(
            self.secrets_manager - other.secrets_manager,
            self.kms - other.kms,
            self.read_units - other.read_units,
            self.write_units - other.write_units,
        )

    @property
    def management_events(self) -> int:
        """Events of CloudTrail: calls of Secrets Manager and KMS are such, those for items of DynamoDB are not."""
        return self.secrets_manager + self.kms


@dataclass(frozen=True, slots=True)
class RefreshCost:
    """One refresh of a credential with so many organisations, and the bytes that it has in the registry."""

    organisations: int
    counted: Counted
    state_bytes: int
    details_bytes: int


class CountedWorld:
    """A deployment with one customer."""

    def __init__(self, xero: InProcessXero) -> None:
        self._world = World(xero)
        self._calls: Counter[str] = Counter()
        self._application = self._world.application(self._pass)

    def join(self) -> Counted:
        """Submit a pair, make a link, consent, come back, and see the page of the consent."""

        def joins() -> None:
            self._application.submit_credential(self._world.submission(), submitted_by=ADMIN)
            callback = self._world.start_consent(self._application)
            self._application.complete_consent(callback)
            self._application.show_consent(callback.consent_id, bindings=callback.bindings)

        return self._count(joins)

    def rest(self) -> tuple[Counted, Counted]:
        """Run the schedule where nothing is due: while the fleet is counted, and between two counts."""
        for _ in range(RUNS_OF_A_COUNT):
            self._sweep()
        self._world.clock.advance(301)
        self._sweep()
        counting = self._count(self._sweep)
        for _ in range(RUNS_OF_A_COUNT):
            self._sweep()
        return counting, self._count(self._sweep)

    def refresh(self, number: int) -> RefreshCost:
        """Run the schedule where one credential is due, and leave out what a run costs that finds nothing."""
        self._world.registry.save(replace(self._world.credential, tenants=organisations(number)))
        # The first refresh after a change can have more to write.
        for _ in range(2):
            self._world.clock.next_tick(not_before=self._world.credential.due_at)
            generation = self._world.credential.generation
            counted = self._count(self._sweep)
            assert self._world.credential.generation == generation + 1
        items = self._world.dynamodb.items
        pk = f"CREDENTIAL#{self._world.client_id}"
        return RefreshCost(
            number,
            counted - self.rest()[0],
            size(items[pk, "CREDENTIAL"]),
            size(items[pk, "CREDENTIAL#DETAILS"]),
        )

    def _sweep(self) -> None:
        deadline = self._world.clock() + _INVOCATION
        with work_in_turn():
            self._application.sweep_due_credentials(shards=SHARDS, deadline=deadline)

    def _pass[Answer](self, name: str, effect: Callable[[], Answer]) -> Answer:
        self._calls[name] += 1
        self._world.clock.advance(0.02)
        return effect()

    def _count(self, act: Callable[[], None]) -> Counted:
        self._calls.clear()
        consumed = self._world.dynamodb.consumed = Consumed()
        act()
        vault = {name: calls for name, calls in self._calls.items() if name.startswith("secretsmanager.")}
        return Counted(sum(vault.values()), _calls_of_kms(vault), consumed.reads, consumed.write_units)


def _calls_of_kms(vault: dict[str, int]) -> int:
    """Return the calls of KMS that Secrets Manager makes for calls of its own.

    A version that is read is decrypted and a new one is encrypted. Where a version is put again, the one that is
    there is decrypted to be compared (Secrets Manager User Guide, "Secret encryption and decryption").
    """
    return vault.get("secretsmanager.get_secret_value", 0) + vault.get("secretsmanager.put_secret_value", 0)
