"""What stands in for an adapter makes it once, when it is first used."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from xero_connector.adapters.at_first_use import at_first_use


class Adapter:
    def ask(self) -> int:
        return id(self)


def test_nothing_is_made_before_something_is_asked() -> None:
    made: list[Adapter] = []

    def make() -> Adapter:
        made.append(Adapter())
        return made[-1]

    stand_in = at_first_use(make)
    assert made == []
    assert stand_in.ask() == stand_in.ask()
    assert len(made) == 1


def test_threads_that_ask_at_the_same_time_get_the_same_one() -> None:
    together = threading.Barrier(8)
    stand_in = at_first_use(Adapter)

    def ask(_: int) -> int:
        together.wait(timeout=10)
        return stand_in.ask()

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(ask, range(8)))) == 1


def test_what_could_not_be_made_is_tried_again() -> None:
    tries: list[int] = []

    def make() -> Adapter:
        tries.append(1)
        if len(tries) == 1:
            raise OSError
        return Adapter()

    stand_in = at_first_use(make)
    with pytest.raises(OSError):  # noqa: PT011 - ours, without a message
        stand_in.ask()
    assert stand_in.ask()
