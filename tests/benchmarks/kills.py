"""Grants that are lost when the process that refreshes is killed (SIGKILL) in the midst of its work.

A grant is lost when, after the product's own restart, Xero accepts none of the refresh tokens that are stored. The
restart comes at once, or when the 30 minutes are over in which Xero accepts the token before: both go on from the
same stored state.
"""

import json
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from random import Random

from tests.benchmarks.bench import CLEAN_ENVIRONMENT, Bench, Step
from tests.benchmarks.fleet import PREFIX
from tests.benchmarks.peers import XERO_SECONDS, Grounds, Peer, refresh_token_of
from tests.benchmarks.sweep_measures import tick

TRIALS, GRANTS = 20, 20
"""Kills, and grants that are due at each."""
AT_ONCE, AFTER_THE_GRACE = 1, 31
"""Minutes from the kill to the restart."""
_TICKS = 3
"""Runs of the schedule: those in the first minute find the leases of the run that was killed."""
_POLL_SECONDS, _LONGEST_SECONDS = 0.01, 300
_AT_A_TIME = 4


@dataclass(frozen=True, slots=True)
class Losses:
    """Grants that were lost, of so many that were due."""

    restart_at_once: int
    after_grace: int
    grants: int


def lost(
    stored: Mapping[str, Sequence[str]], accepted: Mapping[str, Sequence[str]], client_ids: Sequence[str]
) -> int:
    """Count the grants of which Xero accepts no stored token; one with nothing stored is lost, too."""
    return sum(not set(stored.get(client_id, ())) & set(accepted.get(client_id, ())) for client_id in client_ids)


def kill_midway(bench: Bench, process: subprocess.Popen[bytes], prefix: str, seconds: float) -> None:
    """Kill when Xero has half of the requests, and so many seconds more have passed."""
    until = time.monotonic() + _LONGEST_SECONDS
    while bench.tell("/received", prefix=prefix)["received"] < GRANTS // 2:
        if process.poll() is not None or time.monotonic() > until:
            raise RuntimeError("The process that was to be killed came to no midst.")
        time.sleep(_POLL_SECONDS)
    time.sleep(seconds)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()


def _moments(seed: str) -> Sequence[float]:
    """Return when to kill in each trial: anywhere within the time that one answer takes."""
    random = Random(seed)  # noqa: S311 - no secret
    return [random.uniform(0, XERO_SECONDS) for _ in range(TRIALS)]


def losses_of_peer(bench: Bench, grounds: Grounds, peer: Peer) -> Losses:
    """Kill a peer in its loop, once in each trial, and restart it over all that it has stored."""
    bench.tell("/reset", xero_seconds=XERO_SECONDS, rotating=True)
    groups = [f"{number:02X}" for number in range(TRIALS)]

    def trial(group: str, seconds: float) -> Sequence[str]:
        client_ids = peer.client_ids(GRANTS, group)
        grounds.seed(bench, peer, client_ids)
        result = grounds.directory / "killed.result"
        with grounds.running(peer, [{"client_ids": client_ids, "threads": peer.threads}], result) as process:
            kill_midway(bench, process, peer.prefix + group, seconds)
        return client_ids

    with ThreadPoolExecutor(_AT_A_TIME) as pool:
        client_ids = [each for ids in pool.map(trial, groups, _moments(peer.name)) for each in ids]
    bench.tell("/keep")
    kept = grounds.contents(peer)

    def after(minutes: float) -> int:
        grounds.put_back(peer, kept)
        bench.tell("/go-on", minutes=minutes)
        grounds.run(peer, [{"client_ids": client_ids, "threads": 1}])
        return _lost(bench, grounds.stored(bench, peer), client_ids)

    return Losses(after(AT_ONCE), after(AFTER_THE_GRACE), len(client_ids))


def _lost(bench: Bench, stored: Mapping[str, Sequence[str]], client_ids: Sequence[str]) -> int:
    return lost(stored, bench.tell("/accepted", **stored), client_ids)


def losses_of_product(bench: Bench) -> Losses:
    """Kill a run of the schedule, once in each trial; the next runs are its restart."""
    at_once, after_grace = 0, 0
    for seconds in _moments("product"):
        bench.tell("/reset", xero_seconds=XERO_SECONDS, rotating=True)
        bench.tell("/seed", count=GRANTS)
        process = subprocess.Popen(  # noqa: S603 - our own file
            bench.command("token_refresh", [tick(bench)], byte_code=True),
            env=CLEAN_ENVIRONMENT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        kill_midway(bench, process, "", seconds)
        bench.tell("/keep")
        at_once += _lost_of_product(bench, AT_ONCE)
        after_grace += _lost_of_product(bench, AFTER_THE_GRACE)
    return Losses(at_once, after_grace, TRIALS * GRANTS)


def _lost_of_product(bench: Bench, minutes: int) -> int:
    bench.tell("/go-on", minutes=minutes)
    steps: list[Step] = []
    for number in range(_TICKS):
        steps += [{"do": "set_clock_ahead", "minutes": minutes + number}, tick(bench)]
    bench.run("token_refresh", steps, byte_code=True)
    secrets: Mapping[str, Sequence[str]] = bench.tell("/secrets", prefix=f"{PREFIX}/")
    stored: dict[str, Sequence[str]] = {}
    for name, texts in secrets.items():
        client_id, _, kind = name.removeprefix(f"{PREFIX}/").partition("/")
        if kind == "tokens":
            stored[client_id] = [refresh_token_of(json.loads(text)) for text in texts]
    if len(stored) != GRANTS:
        raise RuntimeError(f"{len(stored)} grants are stored, and not {GRANTS}.")
    return _lost(bench, stored, list(stored))
