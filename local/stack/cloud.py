import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import boto3
import requests
from botocore.config import Config

from local.stack.description import Credentials
from local.stack.processes import GuardedProcess, LocalStackError, free_port

ACCOUNT = "000000000000"
REGION = "us-east-1"
STARTS_WITHIN_SECONDS = 60
ATTEMPTS = 3
# What the template, `sam deploy` and the tests use. Everything else stays unloaded.
SERVICES = (
    *("acm", "apigateway", "cloudformation", "cloudwatch", "dynamodb", "events", "iam", "kms", "lambda", "logs"),
    *("route53", "s3", "scheduler", "secretsmanager", "sns", "sqs", "sts"),
)


@dataclass(frozen=True)
class Principal:
    """A named IAM user."""

    name: str
    arn: str
    credentials: Credentials


class LocalCloud:
    """MiniStack on a free loopback port, with IAM switched on and a root key of its own."""

    def __init__(self, *, python: Path, directory: Path) -> None:
        self._python = python
        self._directory = directory
        self._root = Credentials(f"AKIA{secrets.token_hex(8).upper()}", secrets.token_urlsafe(30))
        self._process: GuardedProcess | None = None
        self.endpoint_url = ""
        self.port = 0

    def __enter__(self) -> Self:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                self._start()
            except LocalStackError:
                # Another process may have taken the port between our look and MiniStack's.
                if attempt == ATTEMPTS:
                    raise
            else:
                break
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self._process.stop()

    @property
    def log(self) -> Path:
        return self._directory / "ministack.log"

    def failure(self, what: str) -> LocalStackError:
        """Say what went wrong, with the end of MiniStack's log."""
        if self._process is None:
            return LocalStackError(what)
        return self._process.failure(what)

    def client(self, service: str, credentials: Credentials | None = None) -> Any:  # noqa: ANN401 - boto3's clients have no common type
        """A boto3 client, of the account's root unless told otherwise."""
        principal = credentials or self._root
        session = boto3.Session(principal.access_key_id, principal.secret_access_key, region_name=REGION)
        return session.client(  # type: ignore[call-overload]
            service,
            endpoint_url=self.endpoint_url,
            config=Config(proxies={}, retries={"total_max_attempts": 1}),
        )

    def create_user(
        self, name: str, *, policy_document: str | None = None, policy_arns: Sequence[str] = ()
    ) -> Principal:
        """Create an IAM user with an access key, allowed what the policies say and nothing else."""
        iam = self.client("iam")
        user = iam.create_user(UserName=name)["User"]
        if policy_document is not None:
            iam.put_user_policy(UserName=name, PolicyName="inline", PolicyDocument=policy_document)
        for arn in policy_arns:
            iam.attach_user_policy(UserName=name, PolicyArn=arn)
        key = iam.create_access_key(UserName=name)["AccessKey"]
        return Principal(name, user["Arn"], Credentials(key["AccessKeyId"], key["SecretAccessKey"]))

    def _start(self) -> None:
        self.port = free_port()
        self.endpoint_url = f"http://127.0.0.1:{self.port}"
        scratch = self._directory / "ministack"
        scratch.mkdir(parents=True, exist_ok=True)
        self._process = GuardedProcess(
            [str(self._python), "-m", "ministack"],
            environment=self._environment(scratch),
            directory=scratch,
            log=self.log,
        )
        try:
            self._process.wait_for(self._healthy, seconds=STARTS_WITHIN_SECONDS, what="the local cloud answers")
        except BaseException:
            self._process.stop()
            raise

    def _environment(self, scratch: Path) -> dict[str, str]:
        # Functions inherit this, so it holds nothing else: no proxy, no AWS profile of the user's.
        return {
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "HOME": str(scratch),
            "TMPDIR": str(scratch),
            "LANG": "C.UTF-8",
            "PYTHONUNBUFFERED": "1",
            "GATEWAY_PORT": str(self.port),
            "BIND_HOST": "127.0.0.1",
            "IOT_MTLS_ENABLED": "0",
            "SFTP_ENABLED": "0",
            "DOCKER_HOST": f"unix://{scratch}/no-docker.sock",  # it would look for containers to clean up
            "SERVICES": ",".join(SERVICES),
            "AUTH": "true",
            "MINISTACK_ACCOUNT_ID": ACCOUNT,
            "MINISTACK_REGION": REGION,
            "AWS_ACCESS_KEY_ID": self._root.access_key_id,
            "AWS_SECRET_ACCESS_KEY": self._root.secret_access_key,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def _healthy(self) -> bool | None:
        try:
            with requests.Session() as session:
                session.trust_env = False
                answer = session.get(f"{self.endpoint_url}/_ministack/health", timeout=2)
        except requests.RequestException:
            return None
        return True if answer.ok else None
