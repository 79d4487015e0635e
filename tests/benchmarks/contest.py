"""The product beside its peers: one row for each, all of the same run."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import distributions, version
from pathlib import Path

from tests.benchmarks.bench import Bench
from tests.benchmarks.kills import TRIALS, Losses, losses_of_peer, losses_of_product
from tests.benchmarks.peers import PEERS, PYTHON, Grounds, Speed, speed_of_peer, speed_of_product

PRODUCT = "xero-connector"


@dataclass(frozen=True, slots=True)
class Row:
    """One contestant; grants lost are those of all trials together, of `grants` that were due."""

    name: str
    version: str
    rate: float
    cpu_ms: float
    lost_restart_at_once: int
    lost_after_grace: int
    grants: int
    trials: int

    @classmethod
    def of(cls, name: str, release: str, speed: Speed, losses: Losses) -> "Row":
        """Put together what was measured."""
        return cls(
            name=name,
            version=release,
            rate=speed.rate,
            cpu_ms=speed.cpu_ms,
            lost_restart_at_once=losses.restart_at_once,
            lost_after_grace=losses.after_grace,
            grants=losses.grants,
            trials=TRIALS,
        )


def contest(bench: Bench, directory: Path, *, repetitions: int, say: Callable[[str], object]) -> Sequence[Row]:
    """Measure the product and every peer, their speeds interleaved."""
    directory.mkdir()
    releases = _releases()
    grounds = Grounds(bench.addresses, directory, bench.artefact.layer / "certifi" / "cacert.pem")
    speeds: dict[str, list[Speed]] = {PRODUCT: [], **{peer.name: [] for peer in PEERS}}
    for repetition in range(repetitions):
        say(f"peers: speed, {repetition + 1} of {repetitions}")
        speeds[PRODUCT].append(speed_of_product(bench))
        for peer in PEERS:
            speeds[peer.name].append(speed_of_peer(bench, grounds, peer))
    contestants: list[tuple[str, str, Callable[[], Losses]]] = [
        (PRODUCT, version(PRODUCT), partial(losses_of_product, bench)),
        *(
            (peer.name, releases[peer.distribution], partial(losses_of_peer, bench, grounds, peer))
            for peer in PEERS
        ),
    ]
    rows = []
    for name, release, losses in contestants:
        say(f"peers: {TRIALS} kills of {name}")
        rows.append(Row.of(name, release, Speed.of(speeds[name]), losses()))
        say(f"peers: {rows[-1]}")
    return rows


def _releases() -> dict[str, str]:
    (packages,) = (PYTHON.parent.parent / "lib").glob("python3.*/site-packages")
    return {found.name.lower().replace("_", "-"): found.version for found in distributions(path=[str(packages)])}


def table(rows: Sequence[Row]) -> str:
    """Return the rows as a table, and where the product does not lead."""
    lines = [
        f"{'peers':48} {'version':9} {'a second':>9} {'CPU ms':>7} {'lost at once':>13} {'after the grace':>16}"
    ]
    for row in rows:
        lost = (f"{count} of {row.grants}" for count in (row.lost_restart_at_once, row.lost_after_grace))
        at_once, after = lost
        lines.append(f"{row.name:48} {row.version:9} {row.rate:9.1f} {row.cpu_ms:7.1f} {at_once:>13} {after:>16}")
    return "\n".join([*lines, *not_leading(rows)]) + "\n"


def not_leading(rows: Sequence[Row]) -> Sequence[str]:
    """Say where a peer is ahead of the product, which is the first row, and why."""
    ours, *peers = rows
    behind: Sequence[tuple[str, Callable[[Row], bool]]] = (
        ("rate", lambda row: row.rate > ours.rate),
        (
            "CPU: it holds no lease and keeps no registry, each of which is a call of DynamoDB",
            lambda row: row.cpu_ms < ours.cpu_ms,
        ),
        ("lost at once", lambda row: row.lost_restart_at_once < ours.lost_restart_at_once),
        (
            "lost after the grace: fewer refreshes are on their way at any moment",
            lambda row: row.lost_after_grace < ours.lost_after_grace,
        ),
    )
    return [
        f"ahead in {what}: {', '.join(ahead)}"
        for what, is_ahead in behind
        if (ahead := [row.name for row in peers if is_ahead(row)])
    ]
