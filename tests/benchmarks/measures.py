"""What is measured, in the artefact: several times, and interleaved with its yardstick."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from statistics import median
from typing import Any

from tests.benchmarks.bench import Bench, Step
from tests.benchmarks.fleet import PREFIX, SHARDS

TICK: Mapping[str, Any] = {"shards": [str(shard) for shard in range(SHARDS)]}
TICK_SECONDS = 58
WARM_UP = 20
"""Refreshes before the ones that are counted: imports, connections, data keys."""
BARE_THREADS = 8


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure with its unit, the repetitions that it is the median of, and what it was made from."""

    value: float
    unit: str
    repetitions: Sequence[float] = ()
    parts: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, repetitions: Sequence[float], unit: str, **parts: float) -> "Figure":
        return cls(median(repetitions), unit, tuple(repetitions), parts)


def _client_ids(count: int, prefix: str) -> list[str]:
    return [
        prefix + sha256(f"{prefix}{number}".encode()).hexdigest()[len(prefix) : 32].upper()
        for number in range(count)
    ]


def tick() -> Step:
    """Have the contender do what the schedule does each minute."""
    return {"do": "invoke", "event": TICK, "seconds": TICK_SECONDS}


def refresh_cpu(bench: Bench, *, tls: bool, repetitions: int, refreshes: int = 300) -> Figure:
    """CPU of a refresh in a sweep, in units of the calls that it cannot avoid; none of them has a latency."""
    ratios, ours, bare = [], [], []
    yardstick = {"do": "bare_refreshes", "threads": BARE_THREADS, "prefix": PREFIX}
    for _ in range(repetitions):
        steps = [
            bench.telling("/reset"),
            bench.telling("/seed", count=WARM_UP),
            tick(),
            bench.telling("/seed", count=refreshes, prefix="AB"),
            tick(),
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
    """AWS calls of a refresh, and the queries of a sweep that finds nothing due."""
    bench.run(
        "token_refresh", [bench.telling("/reset"), bench.telling("/seed", count=refreshes), tick()], tls=False
    )
    calls: dict[str, int] = bench.tell("/calls")["calls"]
    calls.pop("token")
    steps = [bench.telling("/reset"), bench.telling("/seed", count=5, due_in_seconds=600), tick()]
    bench.run("token_refresh", steps, tls=False)
    idle: dict[str, int] = bench.tell("/calls")["calls"]
    per_refresh = {name: count / refreshes for name, count in sorted(calls.items())}
    return {
        "aws_calls_per_refresh": Figure(sum(calls.values()) / refreshes, "calls", parts=per_refresh),
        "idle_sweep_queries": Figure(
            idle.get("Query", 0), "queries", parts={name: float(count) for name, count in sorted(idle.items())}
        ),
    }


def capacity_of_a_tick(bench: Bench, *, due: int = 3000) -> Mapping[str, Figure]:
    """How many of 3,000 due credentials one tick refreshes on one core over TLS, Xero answering in 150 ms."""
    steps = [bench.telling("/reset", xero_seconds=0.15), bench.telling("/seed", count=due), tick()]
    (swept,) = bench.run("token_refresh", steps)
    refreshed = float(swept.answer.get("refreshed", 0))
    return {
        "sweep_capacity_per_tick_tls": Figure(
            refreshed, "refreshes", parts={"seconds": swept.seconds, "cpu_seconds": swept.cpu}
        ),
        "sweep_efficiency": Figure(
            refreshed / swept.seconds / bench.pace, "of the pace", parts={"per_second": refreshed / swept.seconds}
        ),
    }


_FIRST_EVENTS: Mapping[str, Callable[[], Any]] = {
    "token_refresh": lambda: TICK,
    "credential_api": lambda: _request("GET", "/credentials"),
    "oauth_callback": lambda: _request("GET", "/oAuth2CallBack"),
}


def _request(method: str, path: str) -> Mapping[str, Any]:
    return {
        "resource": path,
        "path": path,
        "httpMethod": method,
        "headers": {"Host": "localhost"},
        "multiValueHeaders": {"Host": ["localhost"]},
        "queryStringParameters": None,
        "multiValueQueryStringParameters": None,
        "pathParameters": None,
        "body": None,
        "isBase64Encoded": False,
        "requestContext": {
            "requestId": "00000000-0000-0000-0000-000000000001",
            "resourcePath": path,
            "httpMethod": method,
            "path": f"/v1{path}",
            "stage": "v1",
            "identity": {"userArn": "arn:aws:iam::123456789012:user/admin", "sourceIp": "127.0.0.1"},
        },
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
    say("capacity of a tick")
    return {**figures, **capacity_of_a_tick(bench)}
