from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Lock

from tests.fakes.in_turn import work_in_turn
from tests.fakes.world import NOON, World
from xero_connector.application import Application
from xero_connector.services.pace import Pace


def test_the_first_does_not_wait_and_the_others_are_spaced(world: World) -> None:
    pace = Pace(40, clock=world.clock, pause=world.advance)
    for number in range(41):
        pace.wait()
        assert world.now == NOON + timedelta(seconds=number / 40)


def test_time_that_passes_anyway_is_not_waited_for(world: World) -> None:
    pace = Pace(1, clock=world.clock, pause=world.advance)
    pace.wait()
    world.advance(10)
    pace.wait()
    assert world.now == NOON + timedelta(seconds=10)


def test_many_threads_together_keep_the_pace() -> None:
    pauses: list[float] = []
    lock = Lock()

    def pause(seconds: float) -> None:
        with lock:
            pauses.append(seconds)

    pace = Pace(50, clock=lambda: NOON, pause=pause)
    with ThreadPoolExecutor(max_workers=32) as pool:
        for _ in range(101):
            pool.submit(pace.wait)
    assert len(pauses) == 100
    assert round(max(pauses), 6) == 2.0


@work_in_turn()
def test_a_sweep_asks_xero_no_faster_than_the_vault_can_store(world: World) -> None:
    for number in range(5):
        world.connect(f"CLIENT{number}")
    world.advance(1300)
    began = world.now
    pace = Pace(1, clock=world.clock, pause=world.advance)
    app = Application(world.ports, world.app.settings, pace=pace)
    app.sweep_due_credentials(shards=["0"], deadline=world.now + timedelta(minutes=5))
    assert world.now - began >= timedelta(seconds=4)
    assert all(credential.generation == 2 for credential in world.registry.rows.values())
