"""`python -m tests.prove`: runs the reliability experiments, writes `.prove/results.json` and prints a table."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.prove.experiments import EXPERIMENTS, prove

RESULTS = Path(".prove") / "results.json"
DEFAULT_SEED = 20261123


_OF_THE_TRAIL = {
    "events_lost": "  events lost",
    "events_untrue": "  events untrue",
    "events_altered": "  events altered",
    "events_left_waiting": "  events left waiting",
    "untold_changes": "  changes of status that the audit trail does not tell",
}


_OF_THE_MEAN_WORLD = {
    "consents_lost": "  consents lost",
    "grants_lost": "  grants lost",
    "grants_left_behind": "  grants left behind without a word",
    "poisoned_rows": "  poisoned rows",
    "secrets_lost": "  secrets lost",
    "stuck": "  stuck",
    "healthy_tokens_expired": "  healthy tokens expired",
}


def _trail(found: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [
        ("  events published", f"{found['events_published']:,}", ""),
        *((says, str(found[name]), "0") for name, says in _OF_THE_TRAIL.items()),
    ]


def _table(results: dict[str, Any]) -> str:
    rows: list[tuple[str, str, str]] = []
    if "crash" in results:
        found = results["crash"]
        rows += [
            ("crash points", f"{found['crash_points']:,} in {found['crash_runs']:,} runs", ""),
            ("  grants lost", str(found["grants_lost"]), "0"),
            ("  secrets lost", str(found["secrets_lost"]), "0"),
            ("  stuck", str(found["stuck"]), "0"),
            ("  pages of a consent that say what is not so", str(found["pages_untrue"]), "0"),
            ("  consents to repeat (answer died with the process)", str(found["consents_to_repeat"]), ""),
            *_trail(found),
            ("  events delivered again", f"{found['events_repeated']:,}", ""),
        ]
    if "races" in results:
        found = results["races"]
        rows += [
            ("races", f"{found['race_runs']:,} runs", ""),
            ("  double refreshes under a valid lease", str(found["double_refreshes"]), "0"),
            ("  double refreshes, lease overrun or skewed", str(found["double_refreshes_with_broken_leases"]), ""),
            ("  stale overwrites", str(found["stale_overwrites"]), "0"),
            ("  grants lost", str(found["grants_lost"]), "0"),
            *_trail(found),
        ]
    for found in results.get("long_runs", []):
        rows += [
            (f"{found['credentials']:,} credentials, {found['simulated_days']} days", "", ""),
            ("  refreshes", f"{found['refreshes']:,}", ""),
            ("  grants lost", str(found["grants_lost"]), "0"),
            ("  least seconds left, outages over 3 min aside", str(found["min_seconds_left"]), ">= 300"),
            (
                "  least seconds left, outages over 15 min aside",
                str(found["min_seconds_left_outside_long_outages"]),
                "",
            ),
            ("  most versions of a secret in a day", str(found["max_versions_per_secret_per_day"]), "<= 90"),
            ("  changes of status", f"{found['status_changes']:,}", ""),
            *_trail(found),
            ("  events delivered again", f"{found['events_repeated']:,}", ""),
        ]
    for found in results.get("mean_world", []):
        rows += [
            (f"meaner world, {found['customers']} customers, {found['days']} days", "", ""),
            ("  consents", f"{found['consents']:,}", ""),
            ("  refreshes", f"{found['refreshes']:,}", ""),
            *((says, str(found[name]), "0") for name, says in _OF_THE_MEAN_WORLD.items()),
            ("  grants lost in a window", str(found["grants_lost_in_windows"]), ""),
            ("  widest window, in seconds", str(found["widest_window_seconds"]), ""),
            ("  grants parked", str(found["parked"]), ""),
            *_trail(found),
        ]
    width = max(len(name) for name, _, _ in rows)
    return "\n".join(f"{name:<{width}}  {figure:>24}  {bound}".rstrip() for name, figure, bound in rows)


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0 if every figure is within its bound."""
    parser = argparse.ArgumentParser(prog="python -m tests.prove", description=__doc__)
    parser.add_argument("--seed", type=int, default=DEFAULT_SEED, help="the same seed gives the same figures")
    parser.add_argument("--reduced", action="store_true", help="the form that `make test` runs")
    parser.add_argument("--only", choices=sorted(EXPERIMENTS), help="leave the other experiments out")
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args(arguments)
    results = prove(seed=options.seed, reduced=options.reduced, only=options.only)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(results, indent=2) + "\n")
    sys.stdout.write(f"{_table(results)}\n\n")
    verdict = "all within bounds" if results["passed"] else "A BOUND IS BROKEN: see the failures"
    sys.stdout.write(
        f"seed {results['seed']}, {results['took_seconds']} s, {verdict}; figures in {options.output}\n"
    )
    return 0 if results["passed"] else 1


if __name__ == "__main__":
    sys.exit(main())
