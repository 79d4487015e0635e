"""Writes the tables of docs/performance.md from the results of the benchmarks.

    python -m tests.benchmarks.page [.bench/results.json]

Each table of the page stands between two comments that name it.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.benchmarks.artefact import CHECKOUT
from tests.benchmarks.contest import Row, not_leading
from tests.benchmarks.figures import FIGURES

PAGE = CHECKOUT / "docs" / "performance.md"
VCPU_MB = 1769
"""Memory with which a function has one vCPU (Lambda Developer Guide, "Configure Lambda function memory")."""
SIZES = (256, 512, 1024, VCPU_MB)
_COLD = {"token_refresh": "sweep", "credential_api": "admin API", "oauth_callback": "pages"}

type Results = Mapping[str, Any]


def tables(results: Results) -> Mapping[str, str]:
    """Return what the page holds between its comments, by name."""
    found = {"figures": _figures(results)}
    if "run" in results:
        found["run"] = f"The last run: {results['run']['date']}, {results['run']['machine']}."
    if "peers" in results:
        found["peers"] = _peers([Row(**row) for row in results["peers"]])
    if "growth" in results:
        found["growth"] = _growth(results["growth"])
    if "refresh_cpu_ratio_tls" in results:
        found["memory"] = _memory(results)
    return found


def rewritten(page: str, found: Mapping[str, str]) -> str:
    """Return the page with each table in its place; a place that is missing is an error."""
    for name, text in found.items():
        begin, end = f"<!-- {name} -->\n", "<!-- end -->"
        before, found_it, rest = page.partition(begin)
        _, ended, after = rest.partition(end)
        if not (found_it and ended):
            raise ValueError(f"The page has no place for {name}.")
        page = f"{before}{begin}\n{text}\n\n{end}{after}"
    return page


def _rows(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in (header, ["---"] * len(header), *rows))


def _figures(results: Results) -> str:
    rows = [
        [f"`{name}`", *_value(results.get(name)), meaning] for name, meaning in FIGURES.items() if name != "peers"
    ]
    return _rows(("figure", "value", "unit", "what it is"), rows)


def _value(figure: Mapping[str, Any] | None) -> tuple[str, str]:
    return ("not measured", "") if figure is None else (f"{figure['value']:,.4g}", figure["unit"])


def _peers(rows: Sequence[Row]) -> str:
    cells = [
        [
            row.name,
            row.version,
            f"{row.rate:.1f}",
            f"{row.cpu_ms:.1f}",
            f"{row.lost_restart_at_once} of {row.grants}",
            f"{row.lost_after_grace} of {row.grants}",
        ]
        for row in rows
    ]
    header = (
        "who",
        "release",
        "refreshes a second",
        "CPU of one, ms",
        "lost, restart at once",
        "lost, after the grace",
    )
    return "\n".join([_rows(header, cells), "", *(f"- {line}." for line in not_leading(rows))])


def _growth(growth: Mapping[str, Sequence[Mapping[str, float]]]) -> str:
    names = list(growth)
    rows = [
        [
            f"{points[0]['credentials']:,}",
            *(f"{point['cpu_ms']:.0f} ms, {point['read_units']:g} + {point['write_units']:g}" for point in points),
        ]
        for points in zip(*growth.values(), strict=True)
    ]
    return _rows(("credentials", *names), rows)


def _memory(results: Results) -> str:
    refresh_ms = results["refresh_cpu_ratio_tls"]["parts"]["refresh_ms"]
    rows = []
    for size in SIZES:
        share = size / VCPU_MB
        starts = [results[f"cold_start_ratio_{name}"]["parts"]["first_invocation_ms"] / share for name in _COLD]
        rows.append(
            [
                f"{size:,} MB",
                f"{share:.2f}",
                f"{1000 * share / refresh_ms:.0f}",
                *(f"{start / 1000:.1f} s" for start in starts),
            ]
        )
    header = ("memory", "vCPU", "refreshes a second", *(f"first invocation, {name}" for name in _COLD.values()))
    return _rows(header, rows)


def main() -> None:
    """Rewrite the page."""
    results = Path(sys.argv[1]) if len(sys.argv) > 1 else CHECKOUT / ".bench" / "results.json"
    PAGE.write_text(rewritten(PAGE.read_text(), tables(json.loads(results.read_text()))))


if __name__ == "__main__":
    main()
