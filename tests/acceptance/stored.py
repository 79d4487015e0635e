"""What is stored afterwards, and what was published."""

from tests.fakes.simulated_world import SimulatedWorld
from xero_connector.domain.consent import RequestPhase
from xero_connector.domain.tokens import ClientPair


def assert_nothing_is_kept(world: SimulatedWorld) -> None:
    assert not world.registry.rows
    assert not world.registry.entries
    assert not world.registry.reservations
    assert not world.vault.versions
    assert not world.consents.tickets
    assert not world.event_bus.published


def assert_kept(world: SimulatedWorld, pair: ClientPair) -> None:
    """The pair is in force, and so safe that it is nowhere but in the vault."""
    credential = world.credential(pair.client_id)
    assert world.vault.get_client_pair(pair.client_id, version_id=credential.client_version_id) == pair
    assert world.vault.client_secret_name(pair.client_id) not in world.vault.deleted
    assert pair.client_secret not in repr([credential, world.registry.entries, world.event_bus.published])


def assert_never_connected(world: SimulatedWorld, client_id: str, *, status: str = "validated") -> None:
    """There are no tokens, and no work that looks unfinished."""
    credential = world.credential(client_id)
    assert (credential.status, credential.generation, credential.tenants) == (status, 0, ())
    assert (credential.lease, credential.attempt_started_at) == (None, None)
    assert world.vault.tokens_secret_name(client_id) not in world.vault.versions


def phases(world: SimulatedWorld) -> list[RequestPhase]:
    return [request.phase for request in world.consents.requests.values()]


def published(world: SimulatedWorld) -> list[str]:
    return [event.event_type for event in world.event_bus.published]
