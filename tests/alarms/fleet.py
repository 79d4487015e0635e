"""A fleet of credentials under the eyes of the alarms, minute after minute."""

import io
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from aws_lambda_powertools import Logger

from tests.alarms.aws_metrics import DOCUMENTED
from tests.alarms.cloudformation import Stack
from tests.alarms.cloudwatch import AlarmBoard, Metrics
from tests.fakes.interruptions import ProcessDied
from tests.fakes.world import SETTINGS, World
from tests.handlers.conftest import Event, Invoke, sample_event
from xero_connector import bootstrap
from xero_connector.application import Application
from xero_connector.domain.errors import StoreUnavailable
from xero_connector.domain.token_endpoint import FailureKind, TokenEndpointFailure
from xero_connector.domain.tokens import ClientPair, TokenAnswer

OURS = "OneEnterprise/XeroConnector"
TICK = sample_event("token_refresh/tick")
LOGICAL_IDS = {
    "credential_api": "CredentialApi",
    "oauth_callback": "OAuthCallback",
    "setup_page": "SetupPage",
    "token_refresh": "TokenRefresh",
}
DRIVEN: dict[str, str] = {}
"""Which test brings which alarm about."""


def drives[Test: Callable[..., None]](*alarms: str) -> Callable[[Test], Test]:
    """Mark the test that drives the functions into what these alarms are for."""

    def mark(test: Test) -> Test:
        DRIVEN.update(dict.fromkeys(alarms, test.__name__))
        return test

    return mark


def board_of(stack: Stack) -> AlarmBoard:
    return AlarmBoard(
        stack.resources("AWS::CloudWatch::Alarm"), stack.resources("AWS::CloudWatch::CompositeAlarm")
    )


class Fleet:
    """Real handlers with the real observer over stores in memory; what they print becomes metrics.

    What AWS itself would publish about them is put beside it, under the names and dimensions of `aws_metrics`.
    """

    def __init__(
        self,
        world: World,
        invoke: Invoke,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
        stack: Stack,
    ) -> None:
        self.world = world
        self.stack = stack
        self.metrics = Metrics()
        self.board = board_of(stack)
        self.refused: dict[str, FailureKind] = {}
        """Whom Xero does not give tokens, and why."""
        self.ticks: list[Event] = [TICK]
        """What the schedules ask for each minute."""
        self.counted: Callable[[], int | None] | None = lambda: len(self.world.registry.rows)
        """What stands in for the count of the fleet that a run makes; None for that count itself."""
        self._function = ""
        self._invoke, self._monkeypatch, self._capsys = invoke, monkeypatch, capsys
        monkeypatch.setattr(bootstrap, "Logger", lambda: Logger(service=f"tests-{uuid4()}", stream=io.StringIO()))
        answer = world.xero.refresh

        def refresh(pair: ClientPair, *, refresh_token: str, within: timedelta | None = None) -> TokenAnswer:
            if pair.client_id in self.refused:
                raise TokenEndpointFailure(self.refused[pair.client_id])
            return answer(pair, refresh_token=refresh_token, within=within)

        world.xero.refresh = refresh  # type: ignore[method-assign] # answers not everybody

    @property
    def on(self) -> set[str]:
        return self.board.on

    @property
    def client_ids(self) -> list[str]:
        return sorted(self.world.registry.rows)

    def connect(self, many: int) -> None:
        """Connect so many customers, within twenty minutes."""
        for number in range(many):
            self.world.connect(f"{number:032X}")
            self.world.advance(20 * 60 / many)
        over = self.world.now.timestamp() % 300
        self.world.advance(300 - over + 2)

    def refuse(self, client_ids: list[str], kind: FailureKind) -> None:
        self.refused |= dict.fromkeys(client_ids, kind)

    def run(self, minutes: int, *, look: bool = True) -> None:
        """Have the schedule tick each minute, and the alarms look."""
        for _ in range(minutes):
            began = self.world.now
            for tick in self.ticks:
                self.call("token_refresh", tick)
            self._count_the_fleet()
            self._next_minute((began + timedelta(minutes=1) - self.world.now).total_seconds(), look=look)

    def skip(self, minutes: int) -> None:
        """Let time pass without a tick."""
        for _ in range(minutes):
            self._next_minute(60)

    def _next_minute(self, seconds: float, *, look: bool = True) -> None:
        self.world.advance(seconds)
        if look:
            self.board.look(self.metrics, self.world.now)

    def call(self, function: str, event: Event) -> dict[str, Any] | None:
        """Invoke a function; None if it failed."""
        began = self.world.now
        self._become(function)
        self._capsys.readouterr()
        of_it = {"FunctionName": LOGICAL_IDS[function]}
        self.put("AWS/Lambda", "Invocations", of_it, 1)
        answer: dict[str, Any] | None = None
        try:
            answer = self._invoke(function, event)
        except (StoreUnavailable, ProcessDied):
            self.put("AWS/Lambda", "Errors", of_it, 1)
            if function == "token_refresh":
                # Lambda hands an event that failed to the destination.
                self.put("AWS/SQS", "NumberOfMessagesSent", {"QueueName": "FailedTicks"}, 1)
        else:
            self.put("AWS/Lambda", "Errors", of_it, 0)
        stand_in = self.counted is not None
        self.metrics.read(self._capsys.readouterr().out, at=began, without="Credentials" if stand_in else None)
        return answer

    def _become(self, function: str) -> None:
        """Start as a function does: what it knows of its metrics comes from its environment."""
        if self._function == function:
            return
        self._function = function
        for name, value in self.stack.environment_of(LOGICAL_IDS[function]).items():
            self._monkeypatch.setenv(name, value)
        bootstrap.observer.cache_clear()
        self.world.app = Application(replace(self.world.ports, observer=bootstrap.observer()), SETTINGS)

    def request(self, function: str, event: Event) -> int:
        """Send a request through API Gateway; returns its status."""
        answer = self.call(function, event)
        status = 502 if answer is None else int(answer["statusCode"])
        stage = {"ApiName": "xero-connector", "Stage": "v1"}
        self.put("AWS/ApiGateway", "5XXError", stage, float(status >= 500))
        return status

    def put(self, namespace: str, name: str, dimensions: dict[str, str], value: float) -> None:
        """Put what AWS publishes by itself."""
        assert (namespace, name, frozenset(dimensions)) in DOCUMENTED
        self.metrics.put(namespace, name, dimensions, value, at=self.world.now)

    def _count_the_fleet(self) -> None:
        counted = self.counted() if self.counted is not None else None
        if counted is not None:
            self.metrics.put(OURS, "Credentials", {"service": "token_refresh"}, counted, at=self.world.now)
