import pytest

from tests.alarms.cloudformation import Stack
from tests.alarms.fleet import Fleet
from tests.fakes.world import World
from tests.handlers.conftest import Invoke, invoke

__all__ = ["invoke"]  # a fixture of the handler tests


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def stack() -> Stack:
    return Stack(AlarmEmail="ops@example.com")


@pytest.fixture
def deployed(
    world: World,
    invoke: Invoke,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    stack: Stack,
) -> Fleet:
    """A deployment without customers."""
    return Fleet(world, invoke, monkeypatch, capsys, stack)


@pytest.fixture
def fleet(deployed: Fleet) -> Fleet:
    """Twelve customers in ordinary weather, for a while."""
    deployed.connect(12)
    deployed.run(20, look=False)
    return deployed
