"""Runs jobs in processes of their own, beside the servers that they talk to."""

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self, override

from tests.benchmarks.artefact import CHECKOUT, Artefact, build, python
from tests.template.transformed import Deployed

_CONTENDER = Path(__file__).with_name("contender.py")
CLIENT_CORE, SERVER_CORE = 0, (os.cpu_count() or 1) - 1
CLEAN_ENVIRONMENT = {"PATH": os.defpath, "LANG": "C.UTF-8"}
type Step = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Result:
    """One step: seconds of CPU and of time, the largest resident size in KB, and its answer."""

    cpu: float
    seconds: float
    rss: int
    answer: Any


class Bench(AbstractContextManager["Bench"]):
    """The servers and the artefact, for the length of a `with` block."""

    artefact: Artefact

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    @override
    def __enter__(self) -> Self:
        self._directory.mkdir(parents=True, exist_ok=True)
        self._servers = subprocess.Popen(  # noqa: S603 - our own module
            [sys.executable, "-m", "tests.benchmarks.servers", str(self._directory)],
            cwd=CHECKOUT,
            env={"PYTHONPATH": "layers/shared:.", "PATH": os.defpath},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._servers.stdout is not None
        self.addresses: dict[str, str] = json.loads(self._servers.stdout.readline())
        os.sched_setaffinity(self._servers.pid, {SERVER_CORE})
        self.artefact = build(self._directory / "artefact", root_certificate=Path(self.addresses["root"]))
        return self

    @override
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._servers.stdin is not None
        self._servers.stdin.close()
        self._servers.wait()

    @property
    def pace(self) -> int:
        """Refreshes a second that the template allows a sweep."""
        return int(self.artefact.environment("token_refresh")["TOKEN_WRITES_PER_SECOND"])

    @property
    def timeout(self) -> int:
        """Seconds that the template gives a run of the schedule."""
        seconds: int = Deployed.of({}).resources["TokenRefresh"]["Properties"]["Timeout"]
        return seconds

    def tell(self, path: str, **body: Any) -> Any:  # noqa: ANN401 - JSON
        """Ask the servers' control."""
        request = urllib.request.Request(  # noqa: S310 - loopback
            self.addresses["plain"] + path, json.dumps(body).encode(), method="POST"
        )
        with urllib.request.urlopen(request) as answer:  # noqa: S310 - loopback
            return json.loads(answer.read())

    def telling(self, path: str, **body: Any) -> Step:  # noqa: ANN401 - JSON
        """Have the contender ask the servers' control between two measured steps."""
        return {"do": "tell", "url": self.addresses["plain"] + path, "body": body}

    def run(
        self, function: str, steps: Sequence[Step], *, tls: bool = True, byte_code: bool = False
    ) -> list[Result]:
        """Run steps in a new process on a core of its own; return the measured ones."""
        done = subprocess.run(  # noqa: S603 - our own file
            self.command(function, steps, tls=tls, byte_code=byte_code),
            env=CLEAN_ENVIRONMENT,
            capture_output=True,
            check=False,
            timeout=600,
        )
        if done.returncode:
            raise RuntimeError(done.stderr.decode()[-4000:])
        return [Result(**result) for result in json.loads(done.stdout.decode().rstrip().rsplit("\n", 1)[-1])]

    def command(
        self, function: str, steps: Sequence[Step], *, tls: bool = True, byte_code: bool = False
    ) -> Sequence[str]:
        """Return what does these steps; with byte code of its own where the start is not what is measured."""
        job = {
            "path": [str(self.artefact.functions[function]), str(self.artefact.layer)],
            "environment": self.environment(function, self.addresses["tls" if tls else "plain"]),
            "core": CLIENT_CORE,
            "steps": steps,
        }
        compiled = ["-X", f"pycache_prefix={self._directory / 'byte-code'}"] if byte_code else ["-B"]
        return [str(python()), "-I", *compiled, str(_CONTENDER), json.dumps(job)]

    def environment(self, function: str, base: str) -> Mapping[str, str]:
        """Return a function's environment with Xero and AWS at our addresses."""
        return self.artefact.environment(
            function,
            XERO_LOGIN_URL=base,
            XERO_IDENTITY_URL=base,
            XERO_API_URL=base,
            AWS_ENDPOINT_URL=base,
            AWS_CA_BUNDLE=str(self.artefact.layer / "certifi" / "cacert.pem"),
            AWS_REGION="us-east-1",
            AWS_DEFAULT_REGION="us-east-1",
            AWS_ACCESS_KEY_ID="AKIA0000000000000000",
            AWS_SECRET_ACCESS_KEY="0" * 40,
            AWS_EC2_METADATA_DISABLED="true",
        )
