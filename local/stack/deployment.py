import contextlib
import fcntl
import os
import platform
import shutil
from collections.abc import Callable, Generator, Mapping
from pathlib import Path

from local.stack.cloud import REGION
from local.stack.description import Credentials
from local.stack.processes import GuardedProcess
from local.stack.progress import Progress

BUILD_WITHIN_SECONDS = 300
DEPLOY_WITHIN_SECONDS = 180
ARCHITECTURE = {"x86_64": "x86_64", "amd64": "x86_64", "aarch64": "arm64", "arm64": "arm64"}


class Deployment:
    """The real `sam build` and `sam deploy`, of the checkout's template, against an endpoint."""

    def __init__(self, *, checkout: Path, directory: Path, report: Progress) -> None:
        self._checkout = checkout
        self._directory = directory
        self._report = report
        self._tools = checkout / ".tools" / "sam" / "bin"

    def build(self) -> Path:
        """Build for this machine, where the functions are going to run; the built template's path."""
        # SAM keeps downloaded dependencies in the folder it runs in. Runs share one, a run at a time, so that
        # only the first installs the layer. Each takes a copy, of hard links: SAM replaces files, it never
        # rewrites them.
        shared = self._checkout / ".local" / "sam"
        shared.mkdir(parents=True, exist_ok=True)
        with _one_at_a_time(
            shared / "lock", when_waiting=lambda: self._report("waiting for another run's sam build")
        ):
            self._sam(
                "build",
                [
                    *("--template-file", str(self._checkout / "template.yaml")),
                    *("--parameter-overrides", f"Architecture={_host_architecture()}"),
                ],
                directory=shared,
                environment={},
                seconds=BUILD_WITHIN_SECONDS,
            )
            built = self._directory / "build"
            shutil.copytree(shared / ".aws-sam" / "build", built, copy_function=os.link)
        return built / "template.yaml"

    def deploy(
        self,
        built_template: Path,
        *,
        stack_name: str,
        bucket: str,
        parameters: Mapping[str, str],
        endpoint_url: str,
        as_: Credentials,
    ) -> None:
        """Deploy with samconfig.toml's default settings and these parameters."""
        overrides = {"Architecture": _host_architecture(), **parameters}
        self._sam(
            "deploy",
            [
                *("--template-file", str(built_template), "--stack-name", stack_name),
                # Not the bucket that SAM would make: its policy refuses plain http.
                *("--no-resolve-s3", "--s3-bucket", bucket, "--no-confirm-changeset"),
                *("--parameter-overrides", *(f'{name}="{value}"' for name, value in overrides.items())),
            ],
            directory=self._directory,
            environment={
                "AWS_ENDPOINT_URL": endpoint_url,
                "AWS_ACCESS_KEY_ID": as_.access_key_id,
                "AWS_SECRET_ACCESS_KEY": as_.secret_access_key,
            },
            seconds=DEPLOY_WITHIN_SECONDS,
        )

    def _sam(
        self,
        command: str,
        options: list[str],
        *,
        directory: Path,
        environment: Mapping[str, str],
        seconds: float,
    ) -> None:
        config = ["--config-file", str(self._checkout / "samconfig.toml")]
        process = GuardedProcess(
            [str(self._tools / "sam"), command, *config, *options],
            environment={**self._environment(), **environment},
            directory=directory,
            log=self._directory / f"sam-{command}.log",
        )
        with process:
            process.wait(seconds=seconds, what=f"sam {command}", report=self._report)

    def _environment(self) -> dict[str, str]:
        """This environment (package indexes, proxies, certificates) without what means another AWS account."""
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("AWS_", "SAM_CLI_", "VIRTUAL_ENV", "PYTHON"))
        }
        loopback = "127.0.0.1,localhost"
        no_proxy = ",".join(filter(None, [os.environ.get("no_proxy") or os.environ.get("NO_PROXY"), loopback]))
        return kept | {
            "PATH": f"{self._tools}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
            "no_proxy": no_proxy,
            "NO_PROXY": no_proxy,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
            "SAM_CLI_TELEMETRY": "0",
            "SAM_CLI_POLL_DELAY": "1",
            "__SAM_CLI_APP_DIR": str(self._directory / "sam-home"),
            "PYTHONUNBUFFERED": "1",
        }


def _host_architecture() -> str:
    return ARCHITECTURE[platform.machine().lower()]


@contextlib.contextmanager
def _one_at_a_time(path: Path, *, when_waiting: Callable[[], None]) -> Generator[None]:
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            when_waiting()
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield  # closing the file lets go
