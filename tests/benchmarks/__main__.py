"""Run the benchmarks.

    python -m tests.benchmarks [--repetitions 5] [--output .bench/results.json]

Takes figures of the built artefact, several times each, and prints a table. Every time is a ratio within one run:
absolute times are those of this machine. Nothing passes or fails here.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from local.stack.progress import print_progress
from tests.benchmarks.artefact import CHECKOUT
from tests.benchmarks.bench import Bench
from tests.benchmarks.figure import Figure
from tests.benchmarks.measures import measure_all


def main() -> None:
    """Measure, write the results and print them."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks")
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--output", type=Path, default=CHECKOUT / ".bench" / "results.json")
    options = parser.parse_args()
    say = print_progress()
    with tempfile.TemporaryDirectory(prefix="xero-connector-bench-") as directory, Bench(Path(directory)) as bench:
        figures = measure_all(bench, repetitions=options.repetitions, say=say)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps({name: asdict(figure) for name, figure in figures.items()}, indent=2))
    sys.stdout.write(table(figures))


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
