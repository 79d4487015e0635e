"""One schedule or several: together they work on everything, within what Secrets Manager takes."""

import json
from collections import Counter
from itertools import chain

import pytest

from tests.template.transformed import Deployed
from xero_connector.domain.time_budget import LONGEST_WORK

WRITES_OF_A_REGION = 50
each_number = pytest.mark.parametrize("number", ["1", "2", "4"])


def deployed(number: str) -> Deployed:
    return Deployed.of({"RefreshSchedules": number})


def variables(number: str) -> dict[str, str]:
    found: dict[str, str] = deployed(number).resources["TokenRefresh"]["Properties"]["Environment"]["Variables"]
    return found


@each_number
def test_the_schedules_divide_the_shards(number: str) -> None:
    schedules = deployed(number).of_type("AWS::Scheduler::Schedule").values()
    assert len(schedules) == int(number)
    shares = [json.loads(schedule["Target"]["Input"])["shards"] for schedule in schedules]
    everything = [str(shard) for shard in range(int(variables(number)["DUE_SHARDS"]))]
    assert Counter(chain.from_iterable(shares)) == Counter(everything)
    assert {len(share) for share in shares} == {len(everything) // int(number)}


@each_number
def test_together_they_write_no_faster_than_secrets_manager_takes(number: str) -> None:
    assert int(variables(number)["TOKEN_WRITES_PER_SECOND"]) * int(number) < WRITES_OF_A_REGION


def test_they_differ_in_nothing_else() -> None:
    first, *others = deployed("4").of_type("AWS::Scheduler::Schedule").values()
    for schedule in others:
        assert {**schedule, "Description": "", "Target": {**schedule["Target"], "Input": ""}} == {
            **first,
            "Description": "",
            "Target": {**first["Target"], "Input": ""},
        }


def test_a_run_works_for_a_minute_and_has_ended_before_the_next_but_one_begins() -> None:
    timeout = deployed("1").resources["TokenRefresh"]["Properties"]["Timeout"]
    assert 60 < timeout - LONGEST_WORK.total_seconds() < timeout < 2 * 60
