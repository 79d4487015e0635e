"""The experiments of `make prove`, and how two processes share them."""

import multiprocessing
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import timedelta
from functools import partial
from typing import Any, Protocol

from tests.prove import crash, long_run, mean_world, races
from tests.prove.long_run import LongRun
from tests.prove.mean_world import MeanRun
from tests.prove.progress import printing

_PROCESSES = 2


class Figures(Protocol):
    """What an experiment measured."""

    @property
    def passed(self) -> bool: ...

    def as_dict(self) -> dict[str, Any]: ...


def _crash(seed: int, *, reduced: bool) -> Figures:
    return crash.measure(
        seed=seed,
        share_of_pairs=0.002 if reduced else 0.05,
        progress=printing("crash points"),
        variants=crash.REDUCED_VARIANTS if reduced else crash.VARIANTS,
    )


def _races(seed: int, *, reduced: bool) -> Figures:
    return races.measure(seed=seed, runs=160 if reduced else 2000, progress=printing("races"))


def _many_days(seed: int, *, reduced: bool) -> Figures:
    run = LongRun(
        seed=f"{seed}/many days",
        credentials=20 if reduced else 100,
        days=4 if reduced else 60,
        first_successor_survives=False,
    )
    return long_run.run(run, printing(f"{run.credentials} credentials, {run.days} days"))


def _many_credentials(seed: int, *, reduced: bool) -> Figures:
    run = LongRun(
        seed=f"{seed}/many credentials",
        credentials=100 if reduced else 1000,
        days=1 if reduced else 7,
        first_successor_survives=True,
    )
    return long_run.run(run, printing(f"{run.credentials} credentials, {run.days} days"))


def _mean_world(seed: int, *, reduced: bool, first_successor_survives: bool) -> Figures:
    run = MeanRun(
        seed=f"{seed}/mean world/{first_successor_survives}",
        customers=6 if reduced else 25,
        days=2 if reduced else 21,
        longest=timedelta(hours=2 if reduced else 24),
        first_successor_survives=first_successor_survives,
    )
    return mean_world.run(run, printing(f"meaner world, {run.customers} customers, {run.days} days"))


type Experiment = Callable[..., Figures]

# The longest first: two processes share them.
EXPERIMENTS: Mapping[str, Sequence[Experiment]] = {
    "long": (_many_credentials, _many_days),
    "mean": (
        partial(_mean_world, first_successor_survives=False),
        partial(_mean_world, first_successor_survives=True),
    ),
    "crash": (_crash,),
    "races": (_races,),
}


def prove(*, seed: int, reduced: bool, only: str | None) -> dict[str, Any]:
    """Run the experiments and return the results."""
    began = time.monotonic()
    chosen = [name for name in EXPERIMENTS if only in {None, name}]
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(_PROCESSES, mp_context=context) as pool:
        running = {
            name: [pool.submit(experiment, seed, reduced=reduced) for experiment in EXPERIMENTS[name]]
            for name in chosen
        }
        done = {name: [future.result() for future in futures] for name, futures in running.items()}
    results: dict[str, Any] = {"seed": seed, "reduced": reduced}
    for name, figures in done.items():
        dicts = [one.as_dict() for one in figures]
        several = {"long": "long_runs", "mean": "mean_world"}
        results[several.get(name, name)] = dicts if name in several else dicts[0]
    results["passed"] = all(one.passed for figures in done.values() for one in figures)
    results["took_seconds"] = round(time.monotonic() - began, 1)
    return results
