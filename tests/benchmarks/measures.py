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
AWS_SECONDS, XERO_SECONDS = 0.005, 0.15


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
    """AWS calls of a refresh in a run of many, and the write units that one more takes.

    Of a credential that this process refreshed before, as most are; and of one that it meets for the first time.
    """

    def counted(due: int, *, again: bool) -> dict[str, Any]:
        steps = [bench.telling("/reset"), bench.telling("/seed", count=due), tick(bench)]
        bench.run("token_refresh", [*steps, bench.telling("/due"), tick(bench)] if again else steps, tls=False)
        found: dict[str, Any] = bench.tell("/calls")
        if found["calls"].pop("token") != due:
            raise RuntimeError("Not every credential was refreshed.")
        return found

    met = counted(refreshes, again=False)
    # What a run writes for itself is in both.
    many, more = counted(refreshes, again=True), counted(2 * refreshes, again=True)
    calls: dict[str, int] = many["calls"]
    per_refresh = {name: count / refreshes for name, count in sorted(calls.items())}
    per_refresh["first_refresh_in_a_process"] = sum(met["calls"].values()) / refreshes
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
    "setup_page": lambda: api_request("GET", "/setup/{ticket}"),
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


def callback_overhead(bench: Bench, *, repetitions: int) -> Figure:
    """What a callback takes beside waiting for Xero, in units of that: Xero answers in 150 ms, AWS in 5.

    Over TLS, in a process that had a callback before; each customer connects for the first time.
    """
    bench.tell("/reset", aws_seconds=AWS_SECONDS, xero_seconds=XERO_SECONDS)
    request = api_request("GET", "/oAuth2CallBack")
    tickets = bench.tell("/tickets", count=1 + repetitions)["tickets"]
    step = {"do": "consent", "tickets": tickets, "request": request, "seconds": 25}
    (came_back,) = bench.run("oauth_callback", [step])
    calls: dict[str, int] = bench.tell("/calls")["calls"]
    waited = (calls["token"] + calls["connections"]) / len(tickets) * XERO_SECONDS
    took = came_back.answer[1:]
    return Figure.of(
        [seconds / waited - 1 for seconds in took], "x", callback_ms=1000 * median(took), waiting_ms=1000 * waited
    )


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
    say("overhead of a callback")
    figures["callback_overhead_ratio"] = callback_overhead(bench, repetitions=3 * repetitions)
    return {**figures, **measure_sweep(bench, say)}
