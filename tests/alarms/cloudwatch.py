"""What CloudWatch makes of metrics: a small model of its alarms, as its user guide describes them.

Sources, all Amazon CloudWatch User Guide: "Using Amazon CloudWatch alarms" (periods, M out of N), "Configuring how
CloudWatch alarms treat missing data", "Using math expressions with CloudWatch metrics", "Combining alarms" (rules
and suppression), "Embedded metric format specification".
The model is simpler than CloudWatch in one thing: it looks at the last N whole periods only. CloudWatch looks at a
few more where some of them have no data.
"""

import ast
import json
import operator
import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from tests.alarms.cloudformation import dimensions

type Series = list[float | None]
type Alarm = Mapping[str, Any]
"""The properties of an alarm, resolved."""
type Identity = tuple[str, str, frozenset[tuple[str, str]]]

_COMPARISONS: Mapping[str, Callable[[float, float], bool]] = {
    "GreaterThanOrEqualToThreshold": operator.ge,
    "GreaterThanThreshold": operator.gt,
    "LessThanThreshold": operator.lt,
    "LessThanOrEqualToThreshold": operator.le,
}
_STATISTICS: Mapping[str, Callable[[Sequence[float]], float]] = {
    "Sum": sum,
    "Maximum": max,
    "Minimum": min,
    "SampleCount": len,
    "Average": lambda values: sum(values) / len(values),
}


class Metrics:
    """What was published, by namespace, name and exactly these dimensions."""

    def __init__(self) -> None:
        self._values: defaultdict[Identity, list[tuple[float, float]]] = defaultdict(list)

    def put(self, namespace: str, name: str, dimensions: Mapping[str, str], *values: float, at: datetime) -> None:
        moments = [(at.timestamp(), value) for value in values]
        self._values[namespace, name, frozenset(dimensions.items())].extend(moments)

    def read(self, printed: str, *, at: datetime, without: str | None = None) -> None:
        """Take every line of EMF out of what a function printed, one metric left out."""
        for line in printed.splitlines():
            if '"_aws"' not in line:
                continue
            document = json.loads(line)
            for directive in document["_aws"]["CloudWatchMetrics"]:
                for names in directive["Dimensions"]:
                    of_it = {name: document[name] for name in names}
                    for metric in directive["Metrics"]:
                        if metric["Name"] == without:
                            continue
                        values = document[metric["Name"]]
                        values = values if isinstance(values, list) else [values]
                        self.put(directive["Namespace"], metric["Name"], of_it, *values, at=at)

    def identities(self) -> set[Identity]:
        return set(self._values)

    def series(
        self,
        metric: Mapping[str, Any],
        statistic: str,
        period: int,
        *,
        until: datetime,
        periods: int,
    ) -> Series:
        """Return a statistic for each of the last whole periods, None where there is no data."""
        end = int(until.timestamp()) // period * period
        key = metric["Namespace"], metric["MetricName"], frozenset(dimensions(metric["Dimensions"]).items())
        found: Series = []
        for begin in range(end - periods * period, end, period):
            values = [value for moment, value in self._values.get(key, ()) if begin <= moment < begin + period]
            found.append(_STATISTICS[statistic](values) if values else None)
        return found


def is_in_alarm(alarm: Alarm, metrics: Metrics, now: datetime) -> bool:
    """Whether at least M of the last N periods breach the threshold."""
    looked_at = int(alarm["EvaluationPeriods"])
    needed = int(alarm.get("DatapointsToAlarm", looked_at))
    breaches = _COMPARISONS[alarm["ComparisonOperator"]]
    missing = {"breaching": True, "notBreaching": False}[alarm["TreatMissingData"]]
    points = _points(alarm, metrics, now, looked_at)
    return sum(missing if one is None else breaches(one, float(alarm["Threshold"])) for one in points) >= needed


def _points(alarm: Alarm, metrics: Metrics, now: datetime, looked_at: int) -> Series:
    if "Metrics" not in alarm:
        statistic, period = alarm["Statistic"], int(alarm["Period"])
        return metrics.series(alarm, statistic, period, until=now, periods=looked_at)
    # DIFF needs the value before the first.
    inputs = {
        one["Id"]: metrics.series(
            one["MetricStat"]["Metric"],
            one["MetricStat"]["Stat"],
            int(one["MetricStat"]["Period"]),
            until=now,
            periods=looked_at + 1,
        )
        for one in alarm["Metrics"]
        if "MetricStat" in one
    }
    (expression,) = [one["Expression"] for one in alarm["Metrics"] if one.get("ReturnData", True)]
    return evaluate(expression, inputs)[-looked_at:]


# --- metric math -------------------------------------------------------------------------------------------------

_OPERATORS: Mapping[type, Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
}


def evaluate(expression: str, inputs: Mapping[str, Series]) -> Series:
    """Evaluate an expression of metric math; where a value is missing, so is the result."""
    length = max(len(series) for series in inputs.values())
    python = re.sub(r"\bAND\b", "and", re.sub(r"\bOR\b", "or", expression))
    python = re.sub(r"\bIF\(", "IF_(", python)
    return _series(ast.parse(python, mode="eval").body, inputs, length)


def _series(node: ast.expr, inputs: Mapping[str, Series], length: int) -> Series:
    def of(*nodes: ast.expr) -> list[Series]:
        return [_series(one, inputs, length) for one in nodes]

    found: Series
    match node:
        case ast.Constant(value=int() | float() as value):
            found = [float(value) for _ in range(length)]
        case ast.Name(id=name):
            found = list(inputs[name])
        case ast.BinOp(left=left, op=arithmetic, right=right):
            found = _each(_OPERATORS[type(arithmetic)], *of(left, right))
        case ast.Compare(left=left, ops=[comparison], comparators=[right]):
            found = _each(_OPERATORS[type(comparison)], *of(left, right))
        case ast.BoolOp(op=logic, values=values):
            found = _bool(logic, of(*values))
        case ast.Call(func=ast.Name(id=function), args=arguments):
            found = _FUNCTIONS[function](*of(*arguments))
        case _:
            raise NotImplementedError(ast.unparse(node))
    return found


def _if(condition: Series, yes: Series, no: Series) -> Series:
    rows = zip(condition, yes, no, strict=True)
    return [None if chosen is None else (right if chosen else wrong) for chosen, right, wrong in rows]


def _diff(values: Series) -> Series:
    return [None, *_each(operator.sub, values[1:], values[:-1])]


_FUNCTIONS: Mapping[str, Callable[..., Series]] = {"IF_": _if, "DIFF": _diff}


def _each(act: Callable[[float, float], float], left: Series, right: Series) -> Series:
    pairs = zip(left, right, strict=True)
    return [None if one is None or other is None else float(act(one, other)) for one, other in pairs]


def _bool(op: ast.boolop, operands: list[Series]) -> Series:
    combine = all if isinstance(op, ast.And) else any
    return [None if None in row else float(combine(row)) for row in zip(*operands, strict=True)]


# --- composite alarms --------------------------------------------------------------------------------------------


def members(rule: str) -> list[str]:
    """Return the alarms of a rule that is a row of ALARM(…), joined by OR."""
    parts = [part.strip() for part in rule.split(" OR ")]
    found = [re.fullmatch(r'ALARM\("([^"]+)"\)', part) for part in parts]
    assert all(found), rule
    return [one[1] for one in found if one is not None]


class AlarmBoard:
    """All alarms of a deployment: their states as time goes on, and the notices that people get."""

    def __init__(self, alarms: Mapping[str, Alarm], composites: Mapping[str, Alarm]) -> None:
        self.alarms = alarms
        self.composites = composites
        self.on: set[str] = set()
        self.rang: list[tuple[datetime, str]] = []
        """Each time that an alarm went off."""
        self.notices: list[str] = []
        """What was sent, when an alarm with actions went off or came to its end."""
        self._silent_until: dict[str, datetime] = {}
        self._waiting: dict[str, datetime] = {}

    def look(self, metrics: Metrics, now: datetime) -> None:
        """Evaluate every alarm at a moment."""
        on = {name for name, alarm in self.alarms.items() if is_in_alarm(alarm, metrics, now)}
        self._evaluate_composites(on)
        self.rang += [(now, name) for name in sorted(on - self.on)]
        self._notify(on, now)
        self.on = on

    def _evaluate_composites(self, on: set[str]) -> None:
        left = dict(self.composites)
        while left:
            ready = [name for name, one in left.items() if not left.keys() & set(members(one["AlarmRule"]))]
            assert ready, "a circle of alarms"
            for name in ready:
                if on & set(members(left.pop(name)["AlarmRule"])):
                    on.add(name)

    def _notify(self, on: set[str], now: datetime) -> None:
        everything = {**self.alarms, **self.composites}
        for name in sorted(on ^ self.on):
            if name in on and everything[name].get("ActionsSuppressor"):
                self._waiting[name] = now + timedelta(seconds=everything[name]["ActionsSuppressorWaitPeriod"])
            elif name not in on and name in self._waiting:
                del self._waiting[name]
            elif everything[name].get("AlarmActions") and not self._is_suppressed(everything[name], on, now):
                self.notices.append(name if name in on else f"OK {name}")
        for name, until in list(self._waiting.items()):
            if not self._is_suppressed(everything[name], on, now) and until <= now:
                del self._waiting[name]
                if everything[name].get("AlarmActions"):
                    self.notices.append(name)

    def _is_suppressed(self, alarm: Alarm, on: set[str], now: datetime) -> bool:
        suppressor = alarm.get("ActionsSuppressor")
        if suppressor is None:
            return False
        if suppressor in on:
            extension = timedelta(seconds=alarm["ActionsSuppressorExtensionPeriod"])
            self._silent_until[suppressor] = now + extension
            return True
        return self._silent_until.get(suppressor, now) > now
