"""What the schedule tells before, during and after its work."""

import io
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, override
from uuid import uuid4

import pytest
from aws_lambda_powertools import Logger, Metrics

from tests.fakes.interruptions import step_in
from tests.fakes.world import CLIENT_ID, SETTINGS, World
from xero_connector.application import Application
from xero_connector.domain.token_endpoint import FailureKind
from xero_connector.observability import PowertoolsObserver
from xero_connector.use_cases import sweep_due_credentials

OTHER = "F" * 32
PASSING = [FailureKind.NOT_SENT, FailureKind.UNANSWERED, FailureKind.UNAVAILABLE, FailureKind.EDGE_REFUSED]
_PATIENCE = 10
"""Seconds for what takes a hundredth of one."""
ITS_OWN = [FailureKind.UNAUTHORIZED_CLIENT, FailureKind.INVALID_SCOPE, FailureKind.INVALID_GRANT]


class Tape(PowertoolsObserver):
    """The real observer, which also tells when a metric has been written."""

    def __init__(self) -> None:
        log = Logger(service=f"tests-{uuid4()}", stream=io.StringIO())
        super().__init__(log, Metrics(namespace="Tests", service="tests"))
        self.counted: set[str] = set()
        self.refreshed_is_written = threading.Event()

    @override
    def count(self, name: str, value: int = 1) -> None:
        super().count(name, value)
        self.counted.add(name)

    @override
    def flush(self) -> None:
        known = "Refreshed" in self.counted
        super().flush()
        if known:
            self.refreshed_is_written.set()


@pytest.fixture
def tape(world: World) -> Tape:
    tape = Tape()
    world.app = Application(replace(world.ports, observer=tape), SETTINGS)
    return tape


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor() as pool:
        yield pool


def written(capsys: pytest.CaptureFixture[str]) -> dict[str, list[float]]:
    """Everything that reached the log by now."""
    found: dict[str, list[float]] = {}
    for line in capsys.readouterr().out.splitlines():
        document: dict[str, Any] = json.loads(line)
        for metric in document["_aws"]["CloudWatchMetrics"][0]["Metrics"]:
            found.setdefault(metric["Name"], []).extend(document[metric["Name"]])
    return found


def found(world: World, name: str) -> int:
    """What one sweep finds."""
    world.observer.gauges.clear()
    world.sweep()
    return world.observer.gauges[name]


@pytest.mark.parametrize("kind", PASSING)
def test_a_credential_that_runs_out_for_no_reason_of_its_own_is_counted(world: World, kind: FailureKind) -> None:
    world.connect()
    world.advance(24 * 60)
    # What was not sent is sent again at once.
    world.xero.failures.extend([kind] * 2)
    assert found(world, "TokensShort") == 0
    world.xero.failures.clear()
    world.xero.failures.extend([kind] * 2)
    world.advance(2 * 60)
    assert found(world, "TokensShort") == 1


@pytest.mark.parametrize("kind", ITS_OWN)
def test_one_that_xero_refuses_for_itself_is_not_counted(world: World, kind: FailureKind) -> None:
    world.connect()
    world.advance(20 * 60)
    world.xero.failures.append(kind)
    world.sweep()
    assert world.credential().last_error is not None
    world.advance(6 * 60)
    world.xero.failures.append(kind)
    assert found(world, "TokensShort") == 0


def test_one_that_is_late_because_of_us_is_counted(world: World) -> None:
    world.connect()
    world.advance(27 * 60)
    assert found(world, "TokensShort") == 1


def test_the_counts_of_the_alarms_are_written_when_nothing_is_wrong(world: World) -> None:
    world.sweep()
    told = world.observer.counts.keys() | world.observer.gauges.keys()
    assert {"TokensShort", "UnfinishedAttempts", "SweepBegun", "SweepEnded"} <= told


def test_a_tick_that_is_killed_at_work_has_told_what_it_found(
    world: World, tape: Tape, pool: ThreadPoolExecutor, capsys: pytest.CaptureFixture[str]
) -> None:
    world.connect()
    world.advance(27 * 60)
    at_work, killed = threading.Event(), threading.Event()

    def hang() -> None:
        at_work.set()
        killed.wait()

    step_in(world.xero, "refresh", before=hang)
    del tape
    capsys.readouterr()
    tick = pool.submit(world.sweep)
    assert at_work.wait(_PATIENCE)
    told = written(capsys)
    killed.set()
    tick.result()
    assert (told["SweepBegun"], told["TokensShort"], told["UnfinishedAttempts"]) == ([1.0], [1.0], [0.0])
    assert "SweepEnded" not in told
    assert written(capsys)["SweepEnded"] == [1.0]


def test_a_tick_that_is_killed_late_has_told_what_came_before(
    world: World,
    tape: Tape,
    pool: ThreadPoolExecutor,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sweep_due_credentials, "_REPORT_EVERY", 0.01)
    world.connect(CLIENT_ID)
    world.connect(OTHER)
    world.advance(20 * 60)
    killed = threading.Event()
    step_in(world.xero, "refresh", before=killed.wait)
    capsys.readouterr()
    tick = pool.submit(world.sweep)
    in_time = tape.refreshed_is_written.wait(_PATIENCE)
    told = written(capsys)
    killed.set()
    tick.result()
    assert in_time
    assert told["Refreshed"] == [1.0]
    assert len(told["SecondsLeft"]) == 2
    assert "SweepEnded" not in told
