"""What a run of the schedule does: with nothing due, with more than it can do, and with trouble of some."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from statistics import mean
from typing import Any

from tests.benchmarks.bench import Bench, Step
from tests.benchmarks.figure import Figure
from tests.benchmarks.fleet import SHARDS
from tests.benchmarks.requests import api_request

TICK: Mapping[str, Any] = {"shards": [str(shard) for shard in range(SHARDS)]}
XERO_SECONDS = 0.15
A_MINUTE = 60
_WARM_UP = 20
_IDLE_TICKS = 16
"""A count of the fleet takes eleven of them."""
_HEALTHY = 500


def tick(bench: Bench) -> Step:
    """Invoke the function of the schedule as the template has it."""
    return {"do": "invoke", "event": TICK, "seconds": bench.timeout}


def idle_queries(bench: Bench) -> Figure:
    """The queries of a run that finds nothing due, at most: some runs count a part of the fleet."""
    steps = [bench.telling("/reset"), bench.telling("/seed", count=5, due_in_seconds=3600)]
    for _ in range(_IDLE_TICKS):
        steps += [tick(bench), bench.telling("/lap")]
    bench.run("token_refresh", steps, tls=False)
    laps: list[dict[str, int]] = bench.tell("/calls")["laps"]
    queries = [float(lap.get("Query", 0)) for lap in laps]
    together: Counter[str] = sum(map(Counter, laps), Counter())
    parts = {name: count / _IDLE_TICKS for name, count in sorted(together.items())}
    return Figure(max(queries), "queries", queries, parts)


def capacity(bench: Bench, *, due: int = 3000) -> Mapping[str, Figure]:
    """How many of 3,000 due credentials one run refreshes in its minute on one core, over TLS.

    A run works until the next one takes over. None does here, so what came after a minute does not count.
    """
    steps = [
        bench.telling("/reset", xero_seconds=XERO_SECONDS),
        bench.telling("/seed", count=10),
        tick(bench),
        bench.telling("/seed", count=due, prefix="AB"),
        tick(bench),
    ]
    few, many = bench.run("token_refresh", steps)
    answered = [at for at, _ in bench.tell("/calls")["answered"]]
    in_time = float(sum(at <= A_MINUTE for at in answered))
    parts = {"in_all": float(len(answered)), "seconds": many.seconds, "cpu_ms": 1000 * many.cpu / len(answered)}
    return {
        "sweep_capacity_per_tick_tls": Figure(in_time, "refreshes", parts=parts),
        "sweep_efficiency": Figure(
            in_time / A_MINUTE / bench.pace, "of the pace", parts={"per_second": in_time / A_MINUTE}
        ),
        "sweep_rss_growth_mb": Figure(
            (many.rss - few.rss) / 1000, "MB", parts={"10_due": few.rss / 1000, f"{due}_due": many.rss / 1000}
        ),
    }


def _seeds(bench: Bench, *seeds: Mapping[str, Any]) -> Sequence[Step]:
    return [bench.telling("/seed", **seed) for seed in seeds]


def _p99(bench: Bench, *seeds: Mapping[str, Any], slow_seconds: float = 9) -> float:
    """Return when 99 of 100 of the healthy were answered, in seconds since the run began."""
    steps = [
        bench.telling("/reset", xero_seconds=XERO_SECONDS, slow_seconds=slow_seconds),
        bench.telling("/seed", count=_WARM_UP),
        tick(bench),
        *_seeds(bench, *seeds, {"count": _HEALTHY, "prefix": "AB"}),
        tick(bench),
    ]
    bench.run("token_refresh", steps)
    answered = sorted(at for at, client_id in bench.tell("/calls")["answered"] if client_id.startswith("AB"))
    rank = _HEALTHY * 99 // 100 - 1
    return float(answered[rank]) if rank < len(answered) else float("inf")


_CASES: Mapping[str, Mapping[str, Any]] = {
    "slow_tenth": {"count": _HEALTHY // 9, "prefix": "510E", "due_in_seconds": -30},
    "dead_tenth": {"count": _HEALTHY // 9, "prefix": "DEAD", "due_in_seconds": -30},
    "dead_half": {"count": _HEALTHY, "prefix": "DEAD", "due_in_seconds": -30},
    "slow_half": {"count": _HEALTHY, "prefix": "510E", "due_in_seconds": -30},
    "known_slow_half": {"count": _HEALTHY, "prefix": "510E", "due_in_seconds": -30, "failures": 1},
    "known_dead_half": {"count": _HEALTHY, "prefix": "DEAD", "due_in_seconds": -30, "failures": 1},
}
"""Some have trouble, nobody knows it (unless `known`), and they are the longest overdue."""


def head_of_line(bench: Bench) -> Figure:
    """How much later the healthy are refreshed where others have trouble, at worst: p99, beside a run without."""
    before = _p99(bench)
    found = {name: _p99(bench, case) for name, case in _CASES.items()}
    alone = mean((before, _p99(bench)))
    ratios = {name: p99 / alone for name, p99 in found.items()}
    return Figure(max(ratios.values()), "x", parts={**ratios, "alone_seconds": alone})


def list_by_status(bench: Bench, *, credentials: int = 50_000, few: int = 12, limit: int = 50) -> Figure:
    """The read units of a page of a list by status, of the few of many credentials that are in it."""
    steps = [
        bench.telling("/reset"),
        bench.telling("/seed", count=few, status="degraded", prefix="FE", due_in_seconds=600, secrets=False),
        bench.telling("/seed", count=credentials - few, due_in_seconds=600, secrets=False),
        {
            "do": "invoke",
            "event": api_request("GET", "/credentials", status="degraded", limit=str(limit)),
            "seconds": 25,
        },
    ]
    (listed,) = bench.run("credential_api", steps, tls=False)
    counted = bench.tell("/calls")
    calls = {name: float(count) for name, count in sorted(counted["calls"].items())}
    return Figure(counted["read_units"], "units", parts={"shown": few, "cpu_seconds": listed.cpu, **calls})


def measure_sweep(bench: Bench, say: Callable[[str], object]) -> Mapping[str, Figure]:
    """Take every figure, one after the other."""
    say("idle runs")
    figures = {"idle_sweep_queries": idle_queries(bench)}
    say("a list by status")
    figures["list_by_status_read_units"] = list_by_status(bench)
    say("capacity of a run")
    figures.update(capacity(bench))
    say("trouble of some")
    figures["head_of_line_p99_ratio"] = head_of_line(bench)
    return figures
