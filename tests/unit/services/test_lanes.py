"""How many turns there are at work, and which of them take up room."""

import pytest

from tests.fakes.world import World
from xero_connector.services.lanes import MOST_SLOW, NARROWEST, WIDEST, Lanes, Place
from xero_connector.services.pace import Pace

A_SECOND = 1.0


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def lanes(world: World) -> Lanes:
    return Lanes(world.clock)


def fill(lanes: Lanes, *, troubled: bool = False) -> list[Place]:
    """Begin as many as there is room for."""
    places = []
    while lanes.has_room(troubled=troubled):
        places.append(lanes.begin(troubled=troubled))
    return places


def turns(lanes: Lanes, *answers: bool | None, troubled: bool = False) -> None:
    for answered in answers:
        lanes.end(lanes.begin(troubled=troubled), answered=answered, wrote=bool(answered))


def test_it_begins_with_a_few(lanes: Lanes) -> None:
    assert len(fill(lanes)) == NARROWEST


def test_each_answer_lets_one_more_in_up_to_a_limit(lanes: Lanes) -> None:
    turns(lanes, True, True, True)
    assert len(fill(lanes)) == NARROWEST + 3
    turns(lanes, *[True] * 100)
    assert len(fill(lanes)) == WIDEST - NARROWEST - 3


def test_a_turn_that_did_not_ask_xero_tells_nothing(lanes: Lanes) -> None:
    turns(lanes, *[False, None] * 5)
    assert not lanes.engaged
    assert len(fill(lanes)) == NARROWEST


def test_an_outage_leaves_no_room(lanes: Lanes) -> None:
    turns(lanes, *[False] * 6)
    assert lanes.engaged
    assert fill(lanes) == fill(lanes, troubled=True) == []


def test_the_lane_of_the_troubled_holds_up_no_other_and_gets_narrow_again(lanes: Lanes) -> None:
    turns(lanes, *[True] * 10, troubled=True)
    assert len(fill(lanes, troubled=True)) == NARROWEST + 10
    assert len(fill(lanes)) == NARROWEST
    turns(lanes, *[False] * 30, troubled=True)
    assert fill(lanes, troubled=True) == []


def test_a_turn_that_takes_long_while_a_later_one_is_answered_takes_up_no_room(world: World, lanes: Lanes) -> None:
    hanging = fill(lanes)
    world.pause(0.3)
    lanes.end(hanging.pop(), answered=True, wrote=True)
    hanging += fill(lanes)
    assert len(hanging) == NARROWEST + 1
    turns(lanes, True)
    world.pause(0.3)
    # Those of before are slow; those that began since are not.
    assert len(fill(lanes)) == 1 + NARROWEST - 1


def test_where_nobody_is_answered_one_more_is_let_in_each_second(world: World, lanes: Lanes) -> None:
    fill(lanes)
    for second in range(1, 20):
        world.pause(0.5)
        assert fill(lanes) == []
        world.pause(0.5)
        assert len(fill(lanes)) == (second <= 10)


def test_a_few_that_hang_first_are_not_taken_for_all(world: World, lanes: Lanes) -> None:
    hanging = fill(lanes)
    world.pause(A_SECOND)
    (one_more,) = fill(lanes)
    lanes.end(one_more, answered=True, wrote=True)
    assert len(fill(lanes)) == len(hanging) + 1


def test_a_busy_core_makes_no_turn_slow(world: World, lanes: Lanes) -> None:
    turns(lanes, *[True] * WIDEST)
    usual = [lanes.begin() for _ in range(15)]
    world.pause(A_SECOND)
    for place in usual:
        lanes.end(place, answered=True, wrote=True)
    fill(lanes)
    turns(lanes, True)
    world.pause(0.9)
    lanes.end(lanes.begin(), answered=True, wrote=True)
    assert fill(lanes) == []


@pytest.mark.parametrize("troubled", [False, True])
def test_there_is_an_end_to_those_beside_the_lane(world: World, lanes: Lanes, *, troubled: bool) -> None:
    turns(lanes, *[True] * WIDEST, troubled=troubled)
    at_work = 0
    for _ in range(30):
        at_work += len(fill(lanes, troubled=troubled))
        world.pause(0.6)
        lanes.end(lanes.begin(), answered=True, wrote=True)
    assert at_work == WIDEST + MOST_SLOW[troubled]


# Whether all flows


def test_all_flows_where_the_lane_is_wide_and_nothing_takes_long(world: World, lanes: Lanes) -> None:
    turns(lanes, *[True] * (WIDEST - NARROWEST - 1))
    assert not lanes.is_flowing()
    turns(lanes, True)
    assert lanes.is_flowing()
    place = lanes.begin()
    world.pause(0.5)
    assert lanes.is_flowing()
    world.pause(0.1)
    assert not lanes.is_flowing()
    lanes.end(place, answered=True, wrote=True)
    assert lanes.is_flowing()


def test_all_flows_where_each_turn_came_to_something(lanes: Lanes) -> None:
    turns(lanes, *[True] * WIDEST)
    lanes.end(lanes.begin(), answered=True, wrote=False)
    assert not lanes.is_flowing()
    turns(lanes, *[True] * 15)
    assert lanes.is_flowing()
    lanes.end(lanes.begin(troubled=True), answered=True, wrote=False)
    assert lanes.is_flowing()


# Places of the pace


@pytest.fixture
def paced(world: World) -> Lanes:
    lanes = Lanes(world.clock, Pace(1, clock=world.clock, pause=world.pause))
    turns(lanes, *[True] * 10)
    return lanes


def waited(world: World, lanes: Lanes) -> int:
    """How many seconds the next one waits for its place."""
    began = world.now
    lanes.begin(paced=True)
    # Who comes late for a place may make up for a tenth of a second.
    return round((world.now - began).total_seconds())


def test_who_writes_keeps_the_place(world: World, paced: Lanes) -> None:
    paced.end(paced.begin(paced=True), answered=True, wrote=True)
    assert waited(world, paced) == 1


def test_who_writes_nothing_leaves_the_place_to_another(world: World, paced: Lanes) -> None:
    paced.end(paced.begin(paced=True), answered=True, wrote=False)
    assert waited(world, paced) == 0


def test_what_is_not_paced_has_no_place_to_give(world: World, paced: Lanes) -> None:
    paced.begin(paced=True)
    paced.end(paced.begin(), answered=True, wrote=False)
    assert waited(world, paced) == 1


def test_one_that_is_slow_leaves_its_place_until_it_writes(world: World, paced: Lanes) -> None:
    slow = paced.begin(paced=True)
    world.pause(0.6)
    turns(paced, True)
    assert paced.has_room()
    assert waited(world, paced) == 0
    paced.end(slow, answered=True, wrote=True)
    assert waited(world, paced) == 2


def test_one_that_is_slow_and_writes_nothing_gives_its_place_back_once(world: World, paced: Lanes) -> None:
    slow = paced.begin(paced=True)
    world.pause(0.6)
    turns(paced, True)
    assert paced.has_room()
    paced.end(slow, answered=False, wrote=False)
    assert waited(world, paced) == 0
    assert waited(world, paced) == 1


def test_a_clock_that_is_set_back_takes_no_room_away(world: World, lanes: Lanes) -> None:
    turns(lanes, True)
    world.advance(-3600)
    assert len(fill(lanes)) == NARROWEST + 1
