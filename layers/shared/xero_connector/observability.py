"""Logs and metrics through Powertools: fields by name, never an event, a request or an environment."""

import functools
import threading
from collections import Counter, defaultdict
from collections.abc import Callable
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from xero_connector.invocation import Invocation

type Handler = Callable[[dict[str, Any], LambdaContext], dict[str, Any]]


_MOST_VALUES = 50
"""Of one duration in one line: EMF takes 100 values of a metric."""


class PowertoolsObserver:
    """`Observer` that writes structured log lines, and its metrics as a line of EMF with each flush.

    Metrics are added up here, because Powertools' own collection is not safe for the threads of a sweep.
    """

    def __init__(self, logger: Logger, metrics: Metrics) -> None:
        self._logger = logger
        self._metrics = metrics
        self._counts: Counter[str] = Counter()
        self._seconds: defaultdict[str, list[float]] = defaultdict(list)
        self._gauges: dict[str, int] = {}
        self._lock = threading.Lock()

    def begin(self, request_id: str) -> None:
        """Put the id of the request that is being answered on every line from here on."""
        self._logger.append_keys(request_id=request_id)

    def count(self, name: str, value: int = 1) -> None:
        """Add to a metric."""
        with self._lock:
            self._counts[name] += value

    def measure(self, name: str, seconds: float) -> None:
        """Record a duration."""
        with self._lock:
            self._seconds[name].append(seconds)

    def gauge(self, name: str, value: int) -> None:
        """Tell how many of something there are.

        An invocation writes one value of it. Those of several invocations in a minute do not add up in the
        statistics Minimum, Maximum and Average; Sum says nothing.
        """
        with self._lock:
            self._gauges[name] = value

    def event(self, message: str, **fields: str | int | None) -> None:
        """Write one line of JSON."""
        self._logger.info(message, extra=fields)

    def warning(self, message: str, **fields: str | int | None) -> None:
        """Write one line of JSON, at the level of a warning."""
        self._logger.warning(message, extra=fields)

    def flush(self) -> None:
        """Write the metrics that were counted since the last flush, if any."""
        with self._lock:
            counts, self._counts = self._counts, Counter()
            seconds, self._seconds = self._seconds, defaultdict(list)
            gauges, self._gauges = self._gauges, {}
        for name, value in (*counts.items(), *gauges.items()):
            self._metrics.add_metric(name=name, unit=MetricUnit.Count, value=value)
        for name, values in seconds.items():
            for one in _spread(values):
                self._metrics.add_metric(name=name, unit=MetricUnit.Seconds, value=one)
        if counts or seconds or gauges:
            self._metrics.flush_metrics()


def _spread(values: list[float]) -> list[float]:
    """Return the extremes and, evenly by rank, what lies between: percentiles stay about what they are."""
    ordered = sorted(values)
    if len(ordered) <= _MOST_VALUES:
        return ordered
    step = (len(ordered) - 1) / (_MOST_VALUES - 1)
    return [ordered[round(position * step)] for position in range(_MOST_VALUES)]


def flushing(observer: Callable[[], PowertoolsObserver], invocation: Invocation) -> Callable[[Handler], Handler]:
    """Decorate a handler: its lines carry the request id, and its metrics are written even when it fails.

    `invocation` receives the time that is left.
    """

    def decorate(handler: Handler) -> Handler:
        @functools.wraps(handler)
        def flushed(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
            invocation.begin(context.get_remaining_time_in_millis())
            # API Gateway's request id, which the caller receives, if there is one.
            observer().begin(event.get("requestContext", {}).get("requestId") or context.aws_request_id)
            try:
                return handler(event, context)
            finally:
                observer().flush()

        return flushed

    return decorate
