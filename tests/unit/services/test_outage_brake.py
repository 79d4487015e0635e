from concurrent.futures import ThreadPoolExecutor

import pytest

from xero_connector.services.outage_brake import WIDEST, OutageBrake

FEW = 4
IN_A_ROW = 6


def turn(brake: OutageBrake, *, answered: bool | None) -> bool:
    admitted = brake.enter(brake.queue())
    if admitted:
        brake.leave(answered=answered)
    return admitted


def width(brake: OutageBrake) -> int:
    """How many turns run at once: the one after them gets in only when another ends."""
    at_work = 0
    with ThreadPoolExecutor(max_workers=1) as pool:
        while True:
            turn = pool.submit(brake.enter, brake.queue())
            try:
                assert turn.result(timeout=0.05)
            except TimeoutError:
                brake.leave(answered=None)
                assert turn.result(timeout=5)
                return at_work
            at_work += 1


def test_it_begins_with_a_few() -> None:
    assert width(OutageBrake()) == FEW


def test_each_answer_lets_one_more_in() -> None:
    brake = OutageBrake()
    for _ in range(3):
        assert turn(brake, answered=True)
    assert width(brake) == FEW + 3


def test_it_never_gets_wider_than_the_pool() -> None:
    brake = OutageBrake()
    for _ in range(100):
        turn(brake, answered=True)
    assert width(brake) == WIDEST


def test_six_in_a_credential_without_an_answer_are_an_outage() -> None:
    brake = OutageBrake()
    for _ in range(IN_A_ROW):
        assert not brake.engaged
        assert turn(brake, answered=False)
    assert brake.engaged
    assert not turn(brake, answered=True)


def test_one_answer_among_them_is_none() -> None:
    brake = OutageBrake()
    for answered in ([False] * (IN_A_ROW - 1) + [True]) * 5:
        assert turn(brake, answered=answered)
    assert not brake.engaged


def test_a_turn_that_did_not_ask_xero_tells_nothing() -> None:
    brake = OutageBrake()
    for answered in [False, None] * (IN_A_ROW - 1):
        assert turn(brake, answered=answered)
    assert not brake.engaged
    assert width(brake) == FEW


def test_credentials_that_wait_are_turned_away_when_the_outage_shows() -> None:
    brake = OutageBrake()
    for _ in range(IN_A_ROW - 1):
        turn(brake, answered=False)
    for _ in range(FEW):
        assert brake.enter(brake.queue())
    with ThreadPoolExecutor(max_workers=1) as pool:
        waiting = pool.submit(brake.enter, brake.queue())
        brake.leave(answered=False)
        assert waiting.result(timeout=5) is False


def test_the_order_of_the_queue_is_kept() -> None:
    brake = OutageBrake()
    first, second = brake.queue(), brake.queue()
    with ThreadPoolExecutor(max_workers=1) as pool:
        early = pool.submit(brake.enter, second)
        with pytest.raises(TimeoutError):
            early.result(timeout=0.05)
        assert brake.enter(first)
        assert early.result(timeout=5)


OLD_IN_A_ROW = 20


def test_trouble_from_before_takes_more_to_be_an_outage() -> None:
    brake = OutageBrake()
    for _ in range(OLD_IN_A_ROW):
        assert brake.enter(brake.queue(troubled=True), troubled=True)
        brake.leave(answered=False, troubled=True)
    assert brake.engaged
    assert not turn(brake, answered=None)


def test_after_any_answer_trouble_from_before_is_no_outage() -> None:
    brake = OutageBrake()
    turn(brake, answered=True)
    for _ in range(OLD_IN_A_ROW * 3):
        assert brake.enter(brake.queue(troubled=True), troubled=True)
        brake.leave(answered=False, troubled=True)
    assert not brake.engaged


def test_the_lane_of_the_troubled_holds_up_no_other() -> None:
    brake = OutageBrake()
    for _ in range(FEW):
        assert brake.enter(brake.queue(troubled=True), troubled=True)
    assert width(brake) == FEW
