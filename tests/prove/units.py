"""What one refresh costs at DynamoDB: calls, capacity units and sizes of items, counted by the strict double.

Run with `.venv/bin/python -m tests.prove.units`.
"""

import sys
from dataclasses import asdict, dataclass, replace

from tests.doubles.capacity import Consumed, size
from tests.prove.world import Life, World
from tests.prove.xero import InProcessXero
from xero_connector.domain.credential import IntegrationType
from xero_connector.domain.tenant import Tenant

ORGANISATIONS = (0, 1, 60, 500)


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one scheduled refresh of a credential that is well; sizes are in bytes."""

    organisations: int
    state_bytes: int
    details_bytes: int
    write_units: int
    index_write_units: int
    read_units: float
    reads: int
    writes: int


def organisations(number: int) -> tuple[Tenant, ...]:
    """Make up organisations with names of an ordinary length."""
    return tuple(
        Tenant(
            tenant_id=f"45e4708e-d862-4111-ab3a-{serial:012}",
            tenant_name=f"Elektro Land Region {serial:03} GmbH",
            tenant_type="ORGANISATION",
            connection_id=f"e1eede29-f875-4a5d-8470-{serial:012}",
        )
        for serial in range(number)
    )


def of_a_refresh(
    xero: InProcessXero, number: int, integration_type: IntegrationType = IntegrationType.WEB_APP
) -> Cost:
    """Let the schedule refresh a credential with so many organisations, and count what its row costs."""
    world = World(xero, integration_type=integration_type)
    life = Life(world.clock)
    world.connect(world.process(life))
    if not number or number > 1:
        world.registry.save(replace(world.credential, tenants=organisations(number)))
    # The second one: a first can tell of what the consent left behind.
    for _ in range(2):
        world.clock.next_tick(not_before=world.credential.due_at)
        before = world.credential.generation
        consumed = world.dynamodb.consumed = Consumed()
        app = world.process(life)
        # What the schedule does in the credential's turn: the rest of a run costs the same, however many are due.
        credential = app.registry.get(world.client_id)
        assert credential is not None
        app.refresh_credential(credential, only_if_due=True)
        world.dynamodb.consumed = Consumed()
        assert world.credential.generation == before + 1
    pk = f"CREDENTIAL#{world.client_id}"
    return Cost(
        organisations=number,
        state_bytes=size(world.dynamodb.items[pk, "CREDENTIAL"]),
        details_bytes=size(world.dynamodb.items[pk, "CREDENTIAL#DETAILS"]),
        write_units=consumed.write_units,
        index_write_units=consumed.index_writes.total(),
        read_units=consumed.reads,
        reads=sum(consumed.calls[name] for name in ("GetItem", "Query", "BatchGetItem")),
        writes=consumed.calls["PutItem"] + consumed.calls["TransactWriteItems"],
    )


def main() -> None:
    """Print a table."""
    xero = InProcessXero()
    costs = [asdict(of_a_refresh(xero, number)) for number in ORGANISATIONS]
    for name in costs[0]:
        sys.stdout.write(f"{name:<20}" + "".join(f"{cost[name]:>10}" for cost in costs) + "\n")


if __name__ == "__main__":
    main()
