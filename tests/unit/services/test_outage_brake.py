from xero_connector.services.outage_brake import OutageBrake

NEWS = 6
OLD = 20


def heard(brake: OutageBrake, *answers: bool, troubled: bool = False) -> None:
    for answered in answers:
        brake.heard(answered=answered, troubled=troubled)


def test_six_in_a_row_without_an_answer_are_an_outage() -> None:
    brake = OutageBrake()
    heard(brake, *[False] * (NEWS - 1))
    assert not brake.engaged
    heard(brake, False)
    assert brake.engaged


def test_one_answer_among_them_is_none() -> None:
    brake = OutageBrake()
    heard(brake, *([False] * (NEWS - 1) + [True]) * 5)
    assert not brake.engaged


def test_trouble_from_before_takes_more_to_be_an_outage() -> None:
    brake = OutageBrake()
    heard(brake, *[False] * (OLD - 1), troubled=True)
    assert not brake.engaged
    heard(brake, False, troubled=True)
    assert brake.engaged


def test_after_any_answer_trouble_from_before_is_no_outage() -> None:
    brake = OutageBrake()
    heard(brake, True)
    heard(brake, *[False] * (OLD * 3), troubled=True)
    assert not brake.engaged
