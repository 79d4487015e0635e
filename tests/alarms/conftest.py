from collections.abc import Iterator

import pytest

from tests.alarms.cloudformation import Stack
from tests.alarms.fleet import Fleet
from tests.fakes.world import World
from tests.handlers.conftest import Invoke, invoke
from xero_connector import bootstrap

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
) -> Iterator[Fleet]:
    """A deployment without customers."""
    yield Fleet(world, invoke, monkeypatch, capsys, stack)
    bootstrap.observer.cache_clear()


@pytest.fixture
def fleet(deployed: Fleet) -> Fleet:
    """Twelve customers in ordinary weather, for a while."""
    deployed.connect(12)
    deployed.run(20, look=False)
    return deployed
