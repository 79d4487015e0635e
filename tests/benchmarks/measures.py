"""What is measured, in the artefact: several times, and interleaved with its yardstick."""

from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from statistics import median
from typing import Any

from tests.benchmarks.bench import Bench, Step
from tests.benchmarks.figure import Figure
from tests.benchmarks.fleet import PREFIX
from tests.benchmarks.requests import api_request
from tests.benchmarks.sweep_measures import TICK, measure_sweep, tick

WARM_UP = 20
"""Refreshes before the ones that are counted: imports, connections, data keys."""
BARE_THREADS = 8


def _client_ids(count: int, prefix: str) -> list[str]:
    return [
        prefix + sha256(f"{prefix}{number}".encode()).hexdigest()[len(prefix) : 32].upper()
        for number in range(count)
    ]


def refresh_cpu(bench: Bench, *, tls: bool, repetitions: int, refreshes: int = 300) -> Figure:
    """CPU of a refresh in a sweep, in units of the calls that it cannot avoid; none of them has a latency."""
    ratios, ours, bare = [], [], []
    yardstick = {"do": "bare_refreshes", "threads": BARE_THREADS, "prefix": PREFIX}
    for _ in range(repetitions):
        steps = [
            bench.telling("/reset"),
            bench.telling("/seed", count=WARM_UP),
            tick(bench),
            bench.telling("/seed", count=refreshes, prefix="AB"),
            tick(bench),
        ]
        swept = bench.run("token_refresh", steps, tls=tls)[1]
        if swept.answer != {"refreshed": refreshes}:
            raise RuntimeError(f"Not every credential was refreshed: {swept.answer}")
        ids = _client_ids(refreshes, "AB")
        steps = [{**yardstick, "client_ids": ids[:WARM_UP]}, {**yardstick, "client_ids": ids}]
        called = bench.run("token_refresh", steps, tls=tls)[1]
        ours.append(1000 * swept.cpu / refreshes)
        bare.append(1000 * called.cpu / refreshes)
        ratios.append(swept.cpu / called.cpu)
    return Figure.of(ratios, "x", refresh_ms=median(ours), unavoidable_ms=median(bare))


def calls_of_a_refresh(bench: Bench, *, refreshes: int = 200) -> Mapping[str, Figure]:
    """AWS calls of a refresh in a run of many, and the write units that one more takes."""

    def counted(due: int) -> dict[str, Any]:
        steps = [bench.telling("/reset"), bench.telling("/seed", count=due), tick(bench)]
        bench.run("token_refresh", steps, tls=False)
        found: dict[str, Any] = bench.tell("/calls")
        return found

    # What a run writes for itself is in both.
    many, more = counted(refreshes), counted(2 * refreshes)
    calls: dict[str, int] = many["calls"]
    calls.pop("token")
    per_refresh = {name: count / refreshes for name, count in sorted(calls.items())}
    writes, reads = ((more[units] - many[units]) / refreshes for units in ("write_units", "read_units"))
    return {
        "aws_calls_per_refresh": Figure(sum(calls.values()) / refreshes, "calls", parts=per_refresh),
        "dynamodb_write_units_per_refresh": Figure(
            writes, "units", parts={"read_units": reads, "of_a_run": many["write_units"] / refreshes}
        ),
    }


_FIRST_EVENTS: Mapping[str, Callable[[], Any]] = {
    "token_refresh": lambda: TICK,
    "credential_api": lambda: api_request("GET", "/credentials"),
    "oauth_callback": lambda: api_request("GET", "/oAuth2CallBack"),
}


def cold_start(bench: Bench, function: str, *, repetitions: int) -> Figure:
    """CPU of an execution environment's first invocation, in units of importing boto3 and making two clients."""
    ratios, ours, bare = [], [], []
    for _ in range(repetitions):
        steps: Sequence[Step] = [
            bench.telling("/reset"),
            {"do": "invoke", "event": _FIRST_EVENTS[function](), "seconds": 25},
        ]
        (first,) = bench.run(function, steps)
        (imported,) = bench.run(function, [{"do": "import_boto3"}])
        ours.append(1000 * first.cpu)
        bare.append(1000 * imported.cpu)
        ratios.append(first.cpu / imported.cpu)
    return Figure.of(ratios, "x", first_invocation_ms=median(ours), boto3_ms=median(bare))


def layer_size(bench: Bench) -> Figure:
    """What the layer unpacks to."""
    files = [path for path in bench.artefact.layer.rglob("*") if path.is_file()]
    return Figure(sum(path.stat().st_size for path in files) / 1_000_000, "MB")


def measure_all(bench: Bench, *, repetitions: int, say: Callable[[str], object]) -> Mapping[str, Figure]:
    """Take every figure, one after the other."""
    figures: dict[str, Figure] = {"layer_mb": layer_size(bench)}
    for name, tls in (("refresh_cpu_ratio", False), ("refresh_cpu_ratio_tls", True)):
        say(name)
        figures[name] = refresh_cpu(bench, tls=tls, repetitions=repetitions)
    say("calls of a refresh")
    figures.update(calls_of_a_refresh(bench))
    for function in _FIRST_EVENTS:
        say(f"cold start of {function}")
        figures[f"cold_start_ratio_{function}"] = cold_start(bench, function, repetitions=repetitions)
    return {**figures, **measure_sweep(bench, say)}
