"""Run the benchmarks.

    python -m tests.benchmarks [--repetitions 5] [--output .bench/results.json] [--only figures|peers] [--growth]

Takes figures of the built artefact, several times each, and prints a table; then measures the product beside its
peers. Absolute times are those of this machine: what can be compared is a ratio within one run. Nothing passes or
fails here.

`--only` leaves out the other half, and keeps what an earlier run found of it. `--growth` takes nothing but the
growth with the number of credentials (ten minutes), and draws docs/growth.svg. `python -m tests.benchmarks.page`
writes what was found into docs/performance.md.
"""

import argparse
import json
import os
import platform
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from local.stack.progress import print_progress
from tests.benchmarks.artefact import CHECKOUT
from tests.benchmarks.bench import Bench
from tests.benchmarks.contest import Row, contest
from tests.benchmarks.contest import table as contest_table
from tests.benchmarks.figure import Figure
from tests.benchmarks.figures import FIGURES
from tests.benchmarks.growth import as_json, measure_growth
from tests.benchmarks.growth_plot import PLOT, drawn
from tests.benchmarks.measures import measure_all

MOST_OF_PEERS = 3
"""Repetitions of the peers' speed: half of their time is the library's start."""


def main() -> None:
    """Measure, write the results and print them."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks")
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--output", type=Path, default=CHECKOUT / ".bench" / "results.json")
    parser.add_argument("--only", choices=["figures", "peers"])
    parser.add_argument("--growth", action="store_true")
    options = parser.parse_args()
    say = print_progress()
    if options.growth:
        points = as_json(measure_growth(say))
        write(options.output, {"growth": points}, afresh=False)
        PLOT.write_text(drawn(points))
        return
    figures: Mapping[str, Figure] = {}
    rows: Sequence[Row] = ()
    with tempfile.TemporaryDirectory(prefix="xero-connector-bench-") as directory, Bench(Path(directory)) as bench:
        if options.only != "peers":
            figures = measure_all(bench, repetitions=options.repetitions, say=say)
        if options.only != "figures":
            rows = contest(
                bench, Path(directory) / "peers", repetitions=min(options.repetitions, MOST_OF_PEERS), say=say
            )
    results: dict[str, Any] = {name: asdict(figure) for name, figure in figures.items()}
    if rows:
        results["peers"] = [asdict(row) for row in rows]
    write(options.output, results, afresh=options.only is None)
    sys.stdout.write(table(figures) + (contest_table(rows) if rows else ""))


def write(output: Path, results: Mapping[str, Any], *, afresh: bool) -> None:
    """Write the results, without those of an earlier run or beside them; the growth is kept."""
    if unnamed := results.keys() - FIGURES.keys() - {"growth"}:
        raise RuntimeError(f"figures.py does not say what these are: {sorted(unnamed)}")
    earlier = json.loads(output.read_text()) if output.exists() else {}
    kept = {name: earlier[name] for name in earlier if name == "growth" or not afresh}
    run = {
        "date": datetime.now(tz=UTC).date().isoformat(),
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}",
    }
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps({**kept, **results, "run": run}, indent=2))


def table(figures: Mapping[str, Figure]) -> str:
    """Return the figures as a table, each with its spread and its parts."""
    lines = []
    for name, figure in figures.items():
        spread = f"{min(figure.repetitions):.2f} to {max(figure.repetitions):.2f}" if figure.repetitions else ""
        parts = ", ".join(f"{part} {value:.4g}" for part, value in figure.parts.items())
        lines.append(f"{name:34} {figure.value:9.2f} {figure.unit:12} {spread:16} {parts}")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
