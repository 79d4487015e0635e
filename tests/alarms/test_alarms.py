"""The alarms of the template as a whole: who sends, what they look at, and that each has its test."""

import importlib
from collections import Counter
from itertools import pairwise

import pytest

from tests.alarms.aws_metrics import DOCUMENTED
from tests.alarms.cloudformation import STACK_NAME, Stack, source
from tests.alarms.cloudwatch import evaluate, members
from tests.alarms.fleet import DRIVEN, OURS, board_of

TARGETS = [
    ({}, []),
    ({"AlarmEmail": "ops@example.com"}, ["AlarmTopic"]),
    ({"AlarmTopicArn": "arn:aws:sns:eu-west-1:123456789012:ops"}, ["arn:aws:sns:eu-west-1:123456789012:ops"]),
    (
        {"AlarmEmail": "ops@example.com", "AlarmTopicArn": "arn:aws:sns:eu-west-1:123456789012:ops"},
        ["AlarmTopic", "arn:aws:sns:eu-west-1:123456789012:ops"],
    ),
]


def test_every_alarm_has_a_test_that_brings_it_about() -> None:
    for module in ("test_drives", "test_refusals_of_aws"):
        importlib.import_module(f"tests.alarms.{module}")
    board = board_of(Stack())
    assert DRIVEN.keys() == board.alarms.keys() | board.composites.keys()


@pytest.mark.parametrize(("parameters", "targets"), TARGETS)
def test_each_alarm_is_sent_once_to_everybody_who_is_named(parameters: dict[str, str], targets: list[str]) -> None:
    board = board_of(Stack(**parameters))
    everything = {**board.alarms, **board.composites}
    senders = {name for name, alarm in everything.items() if alarm.get("AlarmActions")}
    assert all(everything[name]["AlarmActions"] == targets for name in senders)
    assert all(everything[name]["OKActions"] == targets for name in senders)
    if not targets:
        assert senders == set()
        return
    groups = {name: members(board.composites[name]["AlarmRule"]) for name in senders & board.composites.keys()}
    reached = Counter([*(senders & board.alarms.keys()), *(one for group in groups.values() for one in group)])
    assert reached == Counter(board.alarms.keys())


def test_the_suppressor_is_everything_that_sends_a_cause() -> None:
    composites = board_of(Stack()).composites
    (suffers,) = [one for one in composites.values() if "ActionsSuppressor" in one]
    assert set(members(composites[suffers["ActionsSuppressor"]]["AlarmRule"])) == {
        "RefreshStopped",
        "StoresInTrouble",
        "XeroAway",
    }


def test_the_metrics_of_aws_are_those_that_aws_documents() -> None:
    for alarm in board_of(Stack()).alarms.values():
        if alarm.get("Namespace", OURS) != OURS:
            names = frozenset(one["Name"] for one in alarm["Dimensions"])
            assert (alarm["Namespace"], alarm["MetricName"], names) in DOCUMENTED


def test_the_api_has_the_name_under_which_its_metrics_are_looked_for() -> None:
    stack = Stack()
    api = stack.resolve(source()["Resources"]["Api"]["Properties"]["Name"])
    stage = source()["Resources"]["Api"]["Properties"]["StageName"]
    alarm = stack.resources("AWS::CloudWatch::Alarm")["ApiServerErrors"]
    assert [one["Value"] for one in alarm["Dimensions"]] == [api, stage] == [STACK_NAME, "v1"]


@pytest.mark.parametrize(
    ("schedule", "each"), [("rate(1 minute)", 60), ("rate(2 minutes)", 120), ("rate(3 minutes)", 180)]
)
def test_every_period_of_what_a_run_tells_holds_a_run(schedule: str, each: int) -> None:
    for name, alarm in (
        Stack(RefreshSchedule=schedule, AlarmGroups="disabled").resources("AWS::CloudWatch::Alarm").items()
    ):
        if {"Name": "service", "Value": "token_refresh"} in alarm["Dimensions"]:
            assert alarm["Period"] >= each, name


@pytest.mark.parametrize("schedule", ["rate(1 minute)", "rate(2 minutes)", "rate(3 minutes)"])
def test_a_trouble_that_is_looked_at_as_seldom_as_can_be_does_not_flap(schedule: str) -> None:
    """A credential that fails is tried again after two minutes at the latest, with the run that comes then."""
    tick = {"rate(1 minute)": 1, "rate(2 minutes)": 2, "rate(3 minutes)": 3}[schedule]
    spacing = (2 // tick + 1) * tick
    alarm = Stack(RefreshSchedule=schedule).resources("AWS::CloudWatch::Alarm")["TokensRunningOut"]
    period = alarm["Period"] / 60
    hit = {int(minute // period) for minute in range(0, 300, spacing)}
    for first, _ in pairwise(range(30)):
        assert (
            sum(one in hit for one in range(first, first + alarm["EvaluationPeriods"]))
            >= alarm["DatapointsToAlarm"]
        )


def test_metric_math_misses_what_its_inputs_miss() -> None:
    assert evaluate("IF(DIFF(m) < 0 AND m < 0.5 * (m - DIFF(m)), 1, 0)", {"m": [10.0, None, 10.0, 4.0, 4.0]}) == [
        None,
        None,
        None,
        1.0,
        0.0,
    ]
