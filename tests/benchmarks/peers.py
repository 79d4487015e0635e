"""Other ways to refresh rotating refresh tokens, measured in the same run as the product.

Each has the same Xero, 150 ms away, and the same network: TLS, with the same certificate bundle. Figures of a
refresh are taken after the first ones, so that neither imports nor first connections are in them.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from statistics import median
from typing import Any

from tests.benchmarks.artefact import CHECKOUT
from tests.benchmarks.bench import CLEAN_ENVIRONMENT, CLIENT_CORE, Bench
from tests.benchmarks.sweep_measures import tick

PYTHON = CHECKOUT / ".tools" / "peers" / "bin" / "python"
XERO_SECONDS = 0.15
WARM_UP, REFRESHES = 5, 40
"""For each thread."""
PRODUCT_REFRESHES = 200
_PEER = Path(__file__).with_name("peer.py")
_TOKEN = {
    "access_token": "a" * 1300,
    "refresh_token": f"00000000{'r' * 36}",
    "token_type": "Bearer",
    "expires_in": 1800,
    "expires_at": 1_700_000_000,
}


@dataclass(frozen=True, slots=True)
class Peer:
    """A library with a store that its users have; `distribution` has its version."""

    name: str
    library: str
    store: str
    distribution: str
    threads: int = 1

    @property
    def prefix(self) -> str:
        """What its secrets, files and client IDs begin with."""
        return sha256(self.name.encode()).hexdigest()[:6].upper()

    def client_ids(self, count: int, group: str) -> list[str]:
        """Return client IDs of its own, which begin with the prefix and the group."""
        start = f"{self.prefix}{group}"
        return [(start + sha256(f"{start}{number}".encode()).hexdigest().upper())[:32] for number in range(count)]

    def grant(self, client_id: str) -> Mapping[str, Any]:
        """Return a grant as this library stores it, its access token expired."""
        if self.store == "platform":
            tokens = {name: _TOKEN[name] for name in ("access_token", "refresh_token")}
            pair = {"client_id": client_id, "client_secret": "s" * 48}
            return {"credentials": {**pair, **tokens, "token_expiry_date": "2026-01-01T00:00:00Z"}}
        scopes = ["offline_access", "openid", "accounting.contacts"]
        scope = scopes if self.library == "xero_python" else " ".join(scopes)
        return {"client_id": client_id, "client_secret": "s" * 48, "token": {**_TOKEN, "scope": scope}}


PEERS = (
    Peer("airbyte-cdk, its platform's configuration file", "airbyte_cdk", "platform", "airbyte-cdk"),
    Peer("xero-python, a secret", "xero_python", "secrets_manager", "xero-python"),
    Peer("Authlib, a secret", "authlib", "secrets_manager", "authlib"),
    Peer("plain loop, a secret", "plain_loop", "secrets_manager", "requests"),
    Peer("plain loop, a file", "plain_loop", "files", "requests"),
    Peer("eight threads, a secret", "plain_loop", "secrets_manager", "requests", threads=8),
)


def refresh_token_of(grant: Mapping[str, Any]) -> str:
    """Return the refresh token in a grant as any of them stores it."""
    return str((grant.get("credentials") or grant["token"])["refresh_token"])


@dataclass(frozen=True, slots=True)
class Grounds:
    """Where a peer runs: the servers' addresses, its interpreter, and a directory of its own."""

    addresses: Mapping[str, str]
    directory: Path
    certificates: Path
    python: Path = PYTHON

    def seed(self, bench: Bench, peer: Peer, client_ids: Sequence[str]) -> None:
        """Store grants that are due."""
        grants = {client_id: json.dumps(peer.grant(client_id)) for client_id in client_ids}
        if peer.store == "secrets_manager":
            bench.tell(
                "/put-secrets", **{self._secret(peer) + client_id: grants[client_id] for client_id in grants}
            )
            return
        self.files(peer).mkdir(parents=True, exist_ok=True)
        for client_id, grant in grants.items():
            (self.files(peer) / f"{client_id}.json").write_text(grant)

    def files(self, peer: Peer) -> Path:
        """Return the folder of a peer's files."""
        return self.directory / peer.prefix

    def _secret(self, peer: Peer) -> str:
        return f"peers/{peer.prefix}/"

    def stored(self, bench: Bench, peer: Peer) -> Mapping[str, Sequence[str]]:
        """Return the refresh tokens that are stored, by client ID."""
        if peer.store == "secrets_manager":
            secrets: Mapping[str, list[str]] = bench.tell("/secrets", prefix=self._secret(peer))
            contents = {name.removeprefix(self._secret(peer)): texts for name, texts in secrets.items()}
        else:
            contents = {path.stem: [path.read_text()] for path in self.files(peer).glob("*.json")}
        return {
            client_id: [refresh_token_of(json.loads(text)) for text in texts]
            for client_id, texts in contents.items()
        }

    def contents(self, peer: Peer) -> Mapping[str, str]:
        """Return what is in a peer's files, by name."""
        return {path.name: path.read_text() for path in self.files(peer).glob("*.json")}

    def put_back(self, peer: Peer, contents: Mapping[str, str]) -> None:
        """Have in a peer's files what was there."""
        for name, text in contents.items():
            (self.files(peer) / name).write_text(text)

    def _command(self, peer: Peer, steps: Sequence[Mapping[str, Any]], result: Path) -> Sequence[str]:
        job = {
            "library": peer.library,
            "store": peer.store,
            "token_url": self.addresses["tls"] + "/connect/token",
            "directory": str(self.files(peer)),
            "prefix": self._secret(peer),
            "environment": {
                "AWS_ENDPOINT_URL": self.addresses["tls"],
                "AWS_CA_BUNDLE": str(self.certificates),
                "REQUESTS_CA_BUNDLE": str(self.certificates),
                "AWS_DEFAULT_REGION": "us-east-1",
                "AWS_ACCESS_KEY_ID": "AKIA0000000000000000",
                "AWS_SECRET_ACCESS_KEY": "0" * 40,
                "AWS_EC2_METADATA_DISABLED": "true",
            },
            "core": CLIENT_CORE,
            "steps": steps,
            "result": str(result),
        }
        return [str(self.python), "-I", "-B", str(_PEER), json.dumps(job)]

    @contextmanager
    def running(
        self, peer: Peer, steps: Sequence[Mapping[str, Any]], result: Path
    ) -> Iterator[subprocess.Popen[bytes]]:
        """Have a peer work in a process of its own; whatever stores for it is done at the end."""
        process = subprocess.Popen(  # noqa: S603 - our own file
            self._command(peer, steps, result),
            env=CLEAN_ENVIRONMENT,
            stdout=subprocess.PIPE if peer.store == "platform" else subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        with self._platform(peer, process):
            try:
                yield process
            finally:
                if process.poll() is None:
                    process.kill()
                process.wait()

    @contextmanager
    def _platform(self, peer: Peer, connector: subprocess.Popen[bytes]) -> Iterator[None]:
        """Have Airbyte's platform store what a connector prints, to the end of it."""
        if connector.stdout is None:
            yield
            return
        with subprocess.Popen(  # noqa: S603 - our own module
            [sys.executable, "-m", "tests.benchmarks.airbyte_platform", str(self.files(peer))],
            cwd=CHECKOUT,
            env={"PYTHONPATH": ".", "PATH": os.defpath},
            stdin=connector.stdout,
        ):
            connector.stdout.close()
            yield

    def run(self, peer: Peer, steps: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, float]]:
        """Have a peer work to its end; return what it measured of each step."""
        result = self.directory / f"{peer.prefix}.result"
        with self.running(peer, steps, result) as process:
            if process.wait(timeout=300):
                raise RuntimeError(f"{peer.name} ended with {process.returncode}.")
        measured: Sequence[Mapping[str, float]] = json.loads(result.read_text())
        return measured


@dataclass(frozen=True, slots=True)
class Speed:
    """Refreshes a second, and milliseconds of CPU (user and system) of one."""

    rate: float
    cpu_ms: float

    @classmethod
    def of(cls, speeds: Sequence["Speed"]) -> "Speed":
        """Return the medians."""
        return cls(median(speed.rate for speed in speeds), median(speed.cpu_ms for speed in speeds))


def speed_of_peer(bench: Bench, grounds: Grounds, peer: Peer) -> Speed:
    """Measure one peer once."""
    bench.tell("/reset", xero_seconds=XERO_SECONDS, rotating=True)
    groups = {"A": WARM_UP * peer.threads, "B": REFRESHES * peer.threads}
    client_ids = {group: peer.client_ids(count, group) for group, count in groups.items()}
    for ids in client_ids.values():
        grounds.seed(bench, peer, ids)
    steps = [{"client_ids": ids, "threads": peer.threads} for ids in client_ids.values()]
    _, measured = grounds.run(peer, steps)
    if measured["failed"]:
        raise RuntimeError(f"{peer.name} did not refresh everything.")
    return Speed(groups["B"] / measured["seconds"], 1000 * measured["cpu"] / groups["B"])


def speed_of_product(bench: Bench) -> Speed:
    """Measure a run of the schedule once."""
    steps = [
        bench.telling("/reset", xero_seconds=XERO_SECONDS, rotating=True),
        bench.telling("/seed", count=WARM_UP * 8),
        tick(bench),
        bench.telling("/seed", count=PRODUCT_REFRESHES, prefix="AB"),
        tick(bench),
    ]
    _, measured = bench.run("token_refresh", steps, byte_code=True)
    if measured.answer != {"refreshed": PRODUCT_REFRESHES}:
        raise RuntimeError(f"Not every credential was refreshed: {measured.answer}")
    return Speed(PRODUCT_REFRESHES / measured.seconds, 1000 * measured.cpu / PRODUCT_REFRESHES)
