import contextlib
import fcntl
import json
import os
import secrets
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TextIO

import requests
from botocore.exceptions import BotoCoreError, ClientError

from local.stack.clients import AdminClient, LogEvent, LoopbackSession, aws_client, read_logs
from local.stack.cloud import REGION, LocalCloud, Principal
from local.stack.deployment import Deployment
from local.stack.description import Credentials, FunctionNames, StackDescription
from local.stack.processes import (
    GuardedProcess,
    LocalStackError,
    terminating_signals_raise,
    uninterrupted,
)
from local.stack.progress import Progress, print_progress
from local.stack.tls_front import TlsFront

CHECKOUT = Path(__file__).resolve().parents[2]
# A *.localhost name, so that browsers keep Secure cookies over http.
HOST = "connector.localhost"
ADMIN = "local-admin"
STACK_NAME = "xero-connector-local"
# For this throw-away account only: README's and other people's checks look at everything.
ALLOW_ALL = json.dumps(
    {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
)
SIMULATOR_STARTS_WITHIN_SECONDS = 20


class LocalStack:
    """The whole system on this machine, for the length of a `with` block.

    MiniStack and the Xero simulator on free loopback ports, and the template deployed with the real SAM CLI.
    Leaving the block, by whatever way, ends every process and removes every file; the processes end even if this
    one is killed outright. `parameters` are further template parameters.

    With a `tls_host`, which is that of the template's own redirect URI, people meet it over TLS: `tls_front` is
    the end of TLS for that host.

    `.local/stack.json` describes the stack that started last, `.local/stacks/<run>/stack.json` this one.
    """

    description: StackDescription
    cloud: LocalCloud
    outputs: Mapping[str, str]
    tls_front: TlsFront

    def __init__(
        self,
        *,
        report: Progress | None = None,
        parameters: Mapping[str, str] | None = None,
        tls_host: str | None = None,
    ) -> None:
        self._report = report or print_progress()
        self._parameters = dict(parameters or {})
        self._tls_host = tls_host
        self._resources = contextlib.ExitStack()
        self.run_id = f"{os.getpid()}-{secrets.token_hex(3)}"
        self.directory = CHECKOUT / ".local" / "stacks" / self.run_id

    def __enter__(self) -> Self:
        try:
            self._resources.enter_context(terminating_signals_raise())
            self._start(self._resources)
        except BaseException:
            with uninterrupted():
                self._resources.__exit__(*sys.exc_info())
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with uninterrupted():
            self._resources.close()

    # --- using it ---

    @property
    def admin(self) -> AdminClient:
        """Signs as the user `local-admin`, who may do everything."""
        return self.admin_as(self.description.credentials)

    def admin_as(self, credentials: Credentials | None) -> AdminClient:
        """Sign with another key, or (None) not at all."""
        return AdminClient(self.description.api_url, credentials, region=self.description.region)

    def browser(self) -> LoopbackSession:
        """A new one, with no cookies."""
        return LoopbackSession()

    def aws(self, service: str, credentials: Credentials | None = None) -> Any:  # noqa: ANN401 - boto3's clients have no common type
        """A boto3 client."""
        return aws_client(service, self.description, credentials)

    def create_user(
        self, name: str, *, policy_arns: Sequence[str] = (), policy_document: str | None = None
    ) -> Principal:
        """Create a narrower principal, for example with `outputs["AdminPolicyArn"]`."""
        return self.cloud.create_user(name, policy_document=policy_document, policy_arns=policy_arns)

    def read_logs(self) -> list[LogEvent]:
        """Everything the functions wrote so far."""
        return read_logs(self.description)

    # --- starting it ---

    def _start(self, undo: contextlib.ExitStack) -> None:
        _remove_abandoned_runs(self.directory.parent)
        undo.enter_context(_RunDirectory(self.directory))
        self._report("starting the local cloud and the Xero simulator")
        deployment = Deployment(checkout=CHECKOUT, directory=self.directory, report=self._report)
        self.cloud = undo.enter_context(
            LocalCloud(python=CHECKOUT / ".tools" / "ministack" / "bin" / "python", directory=self.directory)
        )
        xero_url = self._start_simulator(undo)
        self._report(f"local cloud at {self.cloud.endpoint_url}, Xero simulator at {xero_url}")

        self._report("sam build")
        built = deployment.build()
        admin = self.cloud.create_user(ADMIN, policy_document=ALLOW_ALL)
        self._report("sam deploy")
        self._deploy(
            deployment,
            built,
            admin.credentials,
            {
                "XeroLoginUrl": xero_url,
                "XeroIdentityUrl": xero_url,
                "XeroApiUrl": xero_url,
                # MiniStack knows neither composite alarms nor metric math.
                "AlarmGroups": "disabled",
                **self._address(undo),
                **self._parameters,
            },
        )
        self.description = self._describe(xero_url, admin.credentials)
        self._report("deployed; waiting for the first answer of the admin API")
        self._wait_until_ready()
        self._publish(undo)
        self._report("ready")

    def _deploy(
        self, deployment: Deployment, built: Path, admin: Credentials, parameters: Mapping[str, str]
    ) -> None:
        bucket = f"artifacts-{self.run_id}"
        self.cloud.client("s3").create_bucket(Bucket=bucket)
        try:
            deployment.deploy(
                built,
                stack_name=STACK_NAME,
                bucket=bucket,
                parameters=parameters,
                endpoint_url=self.cloud.endpoint_url,
                as_=admin,
            )
        except LocalStackError as error:
            # SAM wraps the reasons into a narrow table.
            raise LocalStackError("\n".join([str(error), *self._failed_resources()])) from None

    def _failed_resources(self) -> list[str]:
        cloudformation = self.cloud.client("cloudformation")
        try:
            events = cloudformation.describe_stack_events(StackName=STACK_NAME)["StackEvents"]
        except (BotoCoreError, ClientError):
            return []
        return [
            f"{event['LogicalResourceId']}: {event.get('ResourceStatusReason', 'failed')}"
            for event in reversed(events)
            if event["ResourceStatus"].endswith("_FAILED")
        ]

    def _start_simulator(self, undo: contextlib.ExitStack) -> str:
        process = undo.enter_context(
            GuardedProcess(
                [sys.executable, "-m", "local.xero_simulator", "--port", "0"],
                environment={
                    "PATH": os.environ.get("PATH", os.defpath),
                    "LANG": "C.UTF-8",
                    "PYTHONDONTWRITEBYTECODE": "1",
                },
                directory=CHECKOUT,
                log=self.directory / "simulator.log",
            )
        )

        def first_line() -> str | None:
            line, end, _ = process.output().partition("\n")
            return line if end else None

        line = process.wait_for(
            first_line, seconds=SIMULATOR_STARTS_WITHIN_SECONDS, what="the Xero simulator answers"
        )
        try:
            url: str = json.loads(line)["url"]
        except (ValueError, KeyError) as error:
            raise process.failure("the Xero simulator did not say its address") from error
        return url

    def _address(self, undo: contextlib.ExitStack) -> dict[str, str]:
        """Where people meet it; a custom domain, because the redirect URI must exist before the API has an id."""
        if self._tls_host is None:
            return {"RedirectUri": f"http://{HOST}:{self.cloud.port}/oAuth2CallBack", **self._domain(HOST)}
        self.tls_front = undo.enter_context(TlsFront(self._tls_host, self.cloud.port))
        return self._domain(self._tls_host)

    def _domain(self, host: str) -> dict[str, str]:
        zone = self.cloud.client("route53").create_hosted_zone(Name=host, CallerReference=self.run_id)
        certificate = self.cloud.client("acm").request_certificate(DomainName=host)
        return {
            "DomainName": host,
            "CertificateArn": certificate["CertificateArn"],
            "HostedZoneId": zone["HostedZone"]["Id"].rpartition("/")[2],
        }

    def _describe(self, xero_url: str, admin: Credentials) -> StackDescription:
        stacks = self.cloud.client("cloudformation").describe_stacks(StackName=STACK_NAME)["Stacks"]
        self.outputs = {output["OutputKey"]: output["OutputValue"] for output in stacks[0]["Outputs"]}
        parameters = {item["ParameterKey"]: item["ParameterValue"] for item in stacks[0]["Parameters"]}
        return StackDescription(
            # By path: Python resolves *.localhost on few systems, and a signature covers the host.
            api_url=f"{self.cloud.endpoint_url}/_aws/execute-api/{self.outputs['ApiId']}/v1",
            callback_url=parameters["RedirectUri"],
            xero_url=xero_url,
            aws_endpoint_url=self.cloud.endpoint_url,
            region=REGION,
            access_key_id=admin.access_key_id,
            secret_access_key=admin.secret_access_key,
            table_name=self.outputs["TableName"],
            secret_prefix=parameters["SecretPrefix"],
            event_bus=self.outputs["EventBusName"],
            functions=FunctionNames(
                credential_api=self.outputs["CredentialApiFunction"],
                oauth_callback=self.outputs["OAuthCallbackFunction"],
                setup_page=self.outputs["SetupPageFunction"],
                token_refresh=self.outputs["TokenRefreshFunction"],
            ),
        )

    def _wait_until_ready(self) -> None:
        """The first answer takes a cold start: everything that a broken layer or handler would fail at."""
        try:
            answer = self.admin.get("/credentials")
        except requests.RequestException as error:
            raise self.cloud.failure(f"GET /credentials: {error}") from error
        if answer.status_code != requests.codes.ok:
            raise self.cloud.failure(f"GET /credentials answered {answer.status_code}: {answer.text}")

    def _publish(self, undo: contextlib.ExitStack) -> None:
        latest = CHECKOUT / ".local" / "stack.json"
        self.description.write(self.directory / "stack.json")
        self.description.write(latest)

        def withdraw() -> None:
            # Only if it is still ours: another stack may have started since.
            with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
                if StackDescription.read(latest) == self.description:
                    latest.unlink()

        undo.callback(withdraw)


class _RunDirectory:
    """A run's files, locked while it lives, so that others can tell a live run from an abandoned one."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock: TextIO | None = None

    def __enter__(self) -> Self:
        self._path.mkdir(parents=True)
        self._lock = (self._path / "lock").open("w")
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, LocalStackError):
            self._keep_logs_only()  # the message names one
        else:
            shutil.rmtree(self._path, ignore_errors=True)
        if self._lock is not None:
            self._lock.close()

    def _keep_logs_only(self) -> None:
        for entry in self._path.iterdir():
            if entry.is_dir():
                shutil.rmtree(entry, ignore_errors=True)


def _remove_abandoned_runs(directory: Path) -> None:
    """Remove what runs that failed or were killed outright left, their description included."""
    latest = directory.parent / "stack.json"
    for lock in directory.glob("*/lock"):
        with contextlib.suppress(OSError), lock.open("w") as held:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with contextlib.suppress(FileNotFoundError):
                if latest.read_bytes() == (lock.parent / "stack.json").read_bytes():
                    latest.unlink()
            shutil.rmtree(lock.parent, ignore_errors=True)
