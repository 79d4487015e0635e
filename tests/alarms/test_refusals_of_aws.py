"""The alarms on what AWS answers: the functions as `bootstrap` puts them together, on botocore's own clients."""

import io
import json
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import boto3
import pytest
from aws_lambda_powertools import Logger
from botocore.awsrequest import AWSRequest, AWSResponse
from botocore.compat import HTTPHeaders
from botocore.session import get_session

from functions.token_refresh import handler
from local.xero_simulator.apps import IntegrationType
from local.xero_simulator.server import XeroSimulator
from tests.alarms.cloudformation import Stack
from tests.alarms.cloudwatch import Metrics
from tests.alarms.fleet import TICK, board_of, drives
from tests.fakes.in_turn import work_in_turn
from tests.fakes.world import NOON
from tests.handlers.test_bootstrap import PREFIX, environment, simulator, start_afresh, submit
from xero_connector import bootstrap
from xero_connector.domain.errors import StoreUnavailable

__all__ = ["environment", "simulator"]  # fixtures: moto's account with what the template creates, and Xero


class _Body:
    def __init__(self, content: bytes) -> None:
        self._content = content

    def stream(self, **_: object) -> Iterator[bytes]:
        yield self._content


class Refusal:
    """Answers calls of an operation with an error, while it has one."""

    def __init__(self, operation: str) -> None:
        self.code: str | None = None
        self.about = ""
        """What the request has to hold, to be refused."""
        composition_root: Any = bootstrap
        composition_root.get_session().register(f"before-send.{operation}", self._answer)

    def _answer(self, request: AWSRequest, **_: object) -> AWSResponse | None:
        body: Any = request.body
        if self.code is None or self.about.encode() not in body:
            return None
        content = json.dumps({"__type": self.code, "message": "…"}).encode()
        return AWSResponse(str(request.url), 400, HTTPHeaders(), _Body(content))


class Deployment:
    """Custom connections at the simulator, and the schedule, each at its minute."""

    def __init__(self, simulator: XeroSimulator, capsys: pytest.CaptureFixture[str]) -> None:
        self.simulator = simulator
        self.metrics = Metrics()
        self.board = board_of(Stack(AlarmEmail="ops@example.com"))
        self.now = NOON + timedelta(seconds=2)
        self.client_ids: list[str] = []
        self._capsys = capsys

    def clock(self) -> datetime:
        return self.now

    def connect(self, many: int) -> None:
        for _ in range(many):
            client_id, _ = submit(self.simulator, IntegrationType.CUSTOM_CONNECTION)
            self.client_ids.append(client_id)

    def run(self, minutes: int) -> None:
        for _ in range(minutes):
            self._capsys.readouterr()
            context = SimpleNamespace(
                function_name="token_refresh",
                memory_limit_in_mb=1024,
                invoked_function_arn="arn:aws:lambda:eu-west-1:123456789012:function:token_refresh",
                aws_request_id="request-1",
                get_remaining_time_in_millis=lambda: 58_000,
            )
            # Lambda counts a failure; that is another alarm.
            with suppress(StoreUnavailable):
                handler.lambda_handler(TICK, context)  # type: ignore[arg-type] # all of it that is read
            self.metrics.read(self._capsys.readouterr().out, at=self.now)
            self.now += timedelta(minutes=1)
            self.board.look(self.metrics, self.now)


@pytest.fixture
def deployment(
    environment: None,
    simulator: XeroSimulator,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Deployment]:
    del environment
    deployment = Deployment(simulator, capsys)
    for name, value in Stack().environment_of("TokenRefresh").items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(bootstrap, "Logger", lambda: Logger(service=f"tests-{uuid4()}", stream=io.StringIO()))
    monkeypatch.setattr(bootstrap, "utc_now", deployment.clock)
    monkeypatch.setattr(bootstrap.invocation, "_clock", deployment.clock)
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda *_: 0)
    monkeypatch.setattr(bootstrap, "time", SimpleNamespace(sleep=lambda _: None))
    # Moto copies a table while other threads write to it.
    session = get_session()
    monkeypatch.setattr(bootstrap, "get_session", lambda: session)
    start_afresh()
    with work_in_turn():
        yield deployment


@drives("StoresRefuse")
def test_the_key_is_disabled(deployment: Deployment) -> None:
    refusal = Refusal("secretsmanager.GetSecretValue")
    deployment.connect(4)
    deployment.now += timedelta(minutes=20)
    deployment.run(1)
    assert "StoresRefuse" not in deployment.board.on
    refusal.code = "DecryptionFailure"
    # In an execution environment that has not read it yet.
    start_afresh()
    deployment.now += timedelta(minutes=20)
    deployment.run(8)
    assert {"StoresRefuse", "StoresInTrouble"} <= deployment.board.on
    # Nothing is read, so nothing is presented, and nothing written.
    assert "VaultRefusesWrites" not in deployment.board.on
    refusal.code = None
    deployment.run(8)
    assert "StoresRefuse" not in deployment.board.on


def test_one_secret_that_is_refused_rings_nothing(deployment: Deployment) -> None:
    refusal = Refusal("secretsmanager.GetSecretValue")
    deployment.connect(2)
    refusal.about = f"{PREFIX}/{deployment.client_ids[0]}/"
    refusal.code = "DecryptionFailure"
    # In an execution environment that has not read it yet.
    start_afresh()
    deployment.now += timedelta(minutes=20)
    deployment.run(12)
    assert any("StoreRefused" in identity for identity in deployment.metrics.identities())
    rang = {name for _, name in deployment.board.rang}
    assert rang.isdisjoint({"StoresRefuse", "CredentialsBlocked", "TokensRunningOut"})


@drives("StoresThrottled")
def test_the_registry_is_throttled(deployment: Deployment) -> None:
    refusal = Refusal("dynamodb.Query")
    deployment.run(5)
    assert "StoresThrottled" not in deployment.board.on
    refusal.code = "ProvisionedThroughputExceededException"
    deployment.run(3)
    assert {"StoresThrottled", "StoresInTrouble"} <= deployment.board.on
    refusal.code = None
    deployment.run(5)
    assert "StoresThrottled" not in deployment.board.on


@drives("RowsUnreadable")
def test_an_item_cannot_be_read(deployment: Deployment) -> None:
    deployment.connect(1)
    deployment.now += timedelta(minutes=20)
    table = boto3.resource("dynamodb").Table("registry")
    (item,) = [one for one in table.scan()["Items"] if one["sk"] == "CREDENTIAL"]
    table.put_item(Item=item | {"status": "enchanted"})
    deployment.run(6)
    assert "RowsUnreadable" in deployment.board.on
    table.put_item(Item=item)
    deployment.run(10)
    assert "RowsUnreadable" not in deployment.board.on
