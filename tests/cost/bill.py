"""What a deployment costs a month: counted calls, by the prices of `prices.py`.

Prints the tables of `docs/cost.md`: `.venv/bin/python -m tests.cost.bill`.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tests.alarms.cloudformation import Stack
from tests.cost import prices
from tests.cost.counted import RUNS_OF_A_COUNT, Counted, CountedWorld, RefreshCost
from tests.prove.xero import InProcessXero

HOURS = 730
RUNS = HOURS * 60
REFRESHES = HOURS * 60 / 19
"""One refresh in 19 minutes: two thirds of a token's life, less the jitter and the wait for the next run."""
ORGANISATIONS = (1, 60, 500)
GB_OF_MEMORY = 1.0
IDLE_RUN_SECONDS = 0.2
"""Billed for a run that finds nothing. To be measured on AWS: the only figure here that is a guess."""
PACE = 40
"""Refreshes a second: what the schedule allows itself bounds what Lambda bills for one."""
LOG_BYTES_OF_A_RUN = 3_000
LOG_BYTES_OF_A_REFRESH = 400
_BETWEEN_COUNTS = 4
"""Runs without a query of the count: the next one begins five minutes after the last."""
METRICS_AT_WORK = 20
"""Names that are written in every hour."""
_GB = 1_000_000_000

type Table = Sequence[Sequence[str]]


@dataclass(frozen=True, slots=True)
class Month:
    """A deployment at rest, and one credential more, in dollars by service."""

    at_rest: Mapping[str, float]
    credential: Mapping[int, Mapping[str, float]]
    """By its number of organisations."""
    join: float
    refreshes: Sequence[RefreshCost]
    run: Counted
    joined: Counted


def month() -> Month:
    """Count and price."""
    world = CountedWorld(InProcessXero())
    joined = world.join()
    counting, plain = world.rest()
    refreshes = [world.refresh(number) for number in ORGANISATIONS]
    return Month(
        at_rest=_at_rest(counting, plain),
        credential={cost.organisations: _credential(cost) for cost in refreshes},
        join=_calls(joined) + 4 * prices.API_GATEWAY_CALL,
        refreshes=refreshes,
        run=plain,
        joined=joined,
    )


def _calls(counted: Counted) -> float:
    return (
        counted.secrets_manager * prices.SECRETS_MANAGER_CALL
        + counted.kms * prices.KMS_CALL
        + counted.read_units * prices.DYNAMODB_READ_UNIT
        + counted.write_units * prices.DYNAMODB_WRITE_UNIT
    )


def _at_rest(counting: Counted, plain: Counted) -> Mapping[str, float]:
    stack = Stack(Environment="prod", AlarmEmail="ops@example.com")
    alarms = stack.resources("AWS::CloudWatch::Alarm").values()
    watched = sum(_metrics_of(alarm) for alarm in alarms)
    composites = len(stack.resources("AWS::CloudWatch::CompositeAlarm"))
    return {
        "KMS: the vault's key": prices.KMS_KEY_MONTH,
        f"CloudWatch: alarms on {watched} metrics, {composites} groups": watched * prices.ALARM_METRIC_MONTH
        + composites * prices.COMPOSITE_ALARM_MONTH,
        "CloudWatch: dashboard": prices.DASHBOARD_MONTH,
        f"CloudWatch: about {METRICS_AT_WORK} metrics": METRICS_AT_WORK * prices.METRIC_MONTH,
        "CloudWatch: logs of the runs": RUNS * LOG_BYTES_OF_A_RUN / _GB * (prices.LOG_GB + prices.LOG_GB_MONTH),
        f"DynamoDB: {plain.read_units:g} read units a run": RUNS
        * (RUNS_OF_A_COUNT * _calls(counting) + _BETWEEN_COUNTS * _calls(plain))
        / (RUNS_OF_A_COUNT + _BETWEEN_COUNTS),
        "Lambda: a run each minute": RUNS
        * (IDLE_RUN_SECONDS * GB_OF_MEMORY * prices.LAMBDA_GB_SECOND + prices.LAMBDA_REQUEST),
        "Scheduler": RUNS * prices.SCHEDULER_INVOCATION,
        "X-Ray: a trace for each run": RUNS * prices.TRACE,
    }


def _metrics_of(alarm: Mapping[str, object]) -> int:
    queries = alarm.get("Metrics")
    return sum("MetricStat" in query for query in queries) if isinstance(queries, list) else 1


def _credential(cost: RefreshCost) -> Mapping[str, float]:
    counted = cost.counted
    stored = (cost.state_bytes + 2 * cost.details_bytes) / _GB
    return {
        "Secrets Manager: two secrets": 2 * prices.SECRET_MONTH,
        "Secrets Manager: calls": REFRESHES * counted.secrets_manager * prices.SECRETS_MANAGER_CALL,
        "KMS: calls": REFRESHES * counted.kms * prices.KMS_CALL,
        "DynamoDB: units": REFRESHES
        * (counted.read_units * prices.DYNAMODB_READ_UNIT + counted.write_units * prices.DYNAMODB_WRITE_UNIT),
        "DynamoDB: storage": stored * prices.DYNAMODB_GB_MONTH,
        "Lambda": REFRESHES / PACE * GB_OF_MEMORY * prices.LAMBDA_GB_SECOND,
        "CloudWatch: logs": REFRESHES * LOG_BYTES_OF_A_REFRESH / _GB * (prices.LOG_GB + prices.LOG_GB_MONTH),
    }


def tables(found: Month) -> Mapping[str, Table]:
    """Return the tables of the page by the heading that they stand under."""
    one = found.credential[ORGANISATIONS[0]]
    fixed = sum(found.at_rest.values())
    more = _outside(found)
    return {
        "At rest": [*_priced(found.at_rest), ["**together**", f"**${fixed:.2f}**"]],
        "For each credential": [*_priced(one), ["**together**", f"**${sum(one.values()):.3f}**"]],
        "Organisations": [
            [
                str(cost.organisations),
                f"{cost.state_bytes:,} + {cost.details_bytes:,}",
                f"{cost.counted.write_units}",
                f"{cost.counted.read_units:g}",
                f"${sum(found.credential[cost.organisations].values()):.3f}",
            ]
            for cost in found.refreshes
        ],
        "What the account adds": _priced(more),
        "Fleets": [
            [f"{count:,}", f"${fixed + count * sum(one.values()):,.0f}", f"${count * sum(more.values()):,.0f}"]
            for count in (10, 100, 1_000, 10_000, 50_000)
        ],
    }


def _outside(found: Month) -> Mapping[str, float]:
    events = REFRESHES * found.refreshes[0].counted.management_events
    return {
        "each further CloudTrail trail": events * prices.CLOUDTRAIL_EVENT,
        "GuardDuty": events * prices.GUARDDUTY_EVENT,
    }


def _priced(amounts: Mapping[str, float]) -> list[list[str]]:
    return [[name, f"${amount:.3f}"] for name, amount in amounts.items()]


def main() -> None:
    """Print the tables as Markdown rows."""
    found = month()
    for heading, rows in tables(found).items():
        sys.stdout.write(f"\n## {heading}\n\n" + "".join(f"| {' | '.join(row)} |\n" for row in rows))
    sys.stdout.write(f"\njoin ${found.join:.5f}: {found.joined}\nrun: {found.run}\n")


if __name__ == "__main__":
    main()
