import io
import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import pytest
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.utilities.typing import LambdaContext

from tests.fakes.world import NOON
from xero_connector.invocation import Invocation
from xero_connector.observability import PowertoolsObserver, flushing

CONTEXT = LambdaContext()
CONTEXT._aws_request_id = "lambda-request"  # noqa: SLF001 - Lambda itself sets it, and there is no other way


@pytest.fixture
def log() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def observer(log: io.StringIO) -> PowertoolsObserver:
    # Loggers of the same name share their stream: each test has a name of its own.
    logger = Logger(service=f"tests-{uuid4()}", stream=log)
    return PowertoolsObserver(logger, Metrics(namespace="Tests", service="tests"))


def metrics(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_an_event_is_one_line_of_json(observer: PowertoolsObserver, log: io.StringIO) -> None:
    observer.event("refresh_failed", client_id="abc", failures=2, correlation_id=None)
    (line,) = log.getvalue().splitlines()
    written = json.loads(line)
    assert (written["message"], written["client_id"], written["failures"]) == ("refresh_failed", "abc", 2)


def test_a_warning_has_its_level(observer: PowertoolsObserver, log: io.StringIO) -> None:
    observer.event("refreshed")
    observer.warning("refresh_failed", client_id="abc")
    levels = [json.loads(line)["level"] for line in log.getvalue().splitlines()]
    assert levels == ["INFO", "WARNING"]


def test_what_was_counted_by_many_threads_is_written_once(
    observer: PowertoolsObserver, capsys: pytest.CaptureFixture[str]
) -> None:
    with ThreadPoolExecutor(max_workers=8) as pool:
        for _ in range(400):
            pool.submit(observer.count, "Refreshed")
        pool.submit(observer.count, "Due", 7)
    observer.flush()
    (written,) = metrics(capsys)
    assert (written["Refreshed"], written["Due"]) == ([400.0], [7.0])
    assert written["_aws"]["CloudWatchMetrics"][0]["Namespace"] == "Tests"


def test_every_duration_is_written(observer: PowertoolsObserver, capsys: pytest.CaptureFixture[str]) -> None:
    for seconds in (12.5, 540.0, 33.0):
        observer.measure("SecondsLeft", seconds)
    observer.measure("SweepLag", 3.0)
    observer.flush()
    (written,) = metrics(capsys)
    assert sorted(written["SecondsLeft"]) == [12.5, 33.0, 540.0]
    assert written["SweepLag"] == [3.0]


def test_of_many_durations_the_extremes_and_the_middle_are_written(
    observer: PowertoolsObserver, capsys: pytest.CaptureFixture[str]
) -> None:
    for seconds in range(1000, 0, -1):
        observer.measure("XeroLatency.token", seconds)
    observer.flush()
    (written,) = metrics(capsys)
    values = written["XeroLatency.token"]
    assert (len(values), values[0], values[-1]) == (50, 1.0, 1000.0)
    assert 490 < values[25] < 520


def test_nothing_found_is_written_as_nought(
    observer: PowertoolsObserver, capsys: pytest.CaptureFixture[str]
) -> None:
    observer.count("TokensShort", 0)
    observer.flush()
    (written,) = metrics(capsys)
    assert written["TokensShort"] == [0.0]


def test_nothing_counted_is_nothing_written(
    observer: PowertoolsObserver, capsys: pytest.CaptureFixture[str]
) -> None:
    observer.flush()
    observer.count("Refreshed")
    observer.flush()
    observer.flush()
    assert len(metrics(capsys)) == 1


def test_a_handler_that_fails_has_its_metrics_written(
    observer: PowertoolsObserver, capsys: pytest.CaptureFixture[str]
) -> None:
    @flushing(lambda: observer, Invocation(lambda: NOON))
    def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
        del context
        observer.count("Refreshed")
        raise KeyError(event["name"])

    with pytest.raises(KeyError, match="shards"):
        handler({"name": "shards"}, CONTEXT)
    (written,) = metrics(capsys)
    assert written["Refreshed"] == [1.0]


def test_a_handler_keeps_its_name_and_answer(observer: PowertoolsObserver) -> None:
    @flushing(lambda: observer, Invocation(lambda: NOON))
    def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
        del context
        return event

    assert lambda_handler({"a": 1}, CONTEXT) == {"a": 1}
    assert lambda_handler.__name__ == "lambda_handler"


def test_every_line_tells_the_request_that_the_caller_was_told(
    observer: PowertoolsObserver, log: io.StringIO
) -> None:
    @flushing(lambda: observer, Invocation(lambda: NOON))
    def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
        del event, context
        observer.event("something")
        return {}

    handler({"requestContext": {"requestId": "api-request"}}, CONTEXT)
    handler({"shards": ["0"]}, CONTEXT)
    written = [json.loads(line)["request_id"] for line in log.getvalue().splitlines()]
    assert written == ["api-request", "lambda-request"]


def test_a_gauge_is_written_once_with_its_last_value(
    observer: PowertoolsObserver, capsys: pytest.CaptureFixture[str]
) -> None:
    observer.gauge("Credentials", 7)
    observer.gauge("Credentials", 5)
    observer.gauge("Credentials.degraded", 0)
    observer.flush()
    (written,) = metrics(capsys)
    assert (written["Credentials"], written["Credentials.degraded"]) == ([5.0], [0.0])
    units = {metric["Name"]: metric["Unit"] for metric in written["_aws"]["CloudWatchMetrics"][0]["Metrics"]}
    assert units == {"Credentials": "Count", "Credentials.degraded": "Count"}
    observer.flush()
    assert metrics(capsys) == []
