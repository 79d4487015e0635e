import pytest

from tests.fakes.world import World
from tests.handlers.conftest import Invoke, sample_event

TICK = sample_event("token_refresh/tick")


def test_a_tick_refreshes_what_is_due(world: World, invoke: Invoke) -> None:
    world.connect()
    world.advance(25 * 60)
    assert invoke("token_refresh", TICK) == {"refreshed": 1}
    assert world.credential().generation == 2


def test_a_tick_too_many_changes_nothing(world: World, invoke: Invoke) -> None:
    world.connect()
    world.advance(25 * 60)
    invoke("token_refresh", TICK)
    assert invoke("token_refresh", TICK) == {}
    assert world.credential().generation == 2


def test_a_schedule_without_shards_is_a_failure_that_shows(invoke: Invoke) -> None:
    with pytest.raises(KeyError, match="shards"):
        invoke("token_refresh", {})
