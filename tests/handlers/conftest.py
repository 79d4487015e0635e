"""The real handlers on the sample events of `events/`, over an application of fakes."""

import importlib
import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.fakes.world import World
from tests.handlers import openapi_document

_ROOT = Path(__file__).parents[2]

type Event = dict[str, Any]
type Invoke = Callable[[str, Event], dict[str, Any]]


def sample_event(name: str) -> Event:
    event: Event = json.loads((_ROOT / "events" / f"{name}.json").read_text())
    return event


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def invoke(world: World, monkeypatch: pytest.MonkeyPatch) -> Invoke:
    """Invoke a function by name with an event, as Lambda does; an answer that is not documented is an error."""

    def call(function: str, event: Event) -> dict[str, Any]:
        handler = importlib.import_module(f"functions.{function}.handler")
        monkeypatch.setattr(handler, "application", lambda: world.app)
        context = SimpleNamespace(
            function_name=function,
            memory_limit_in_mb=512,
            invoked_function_arn=f"arn:aws:lambda:eu-west-1:123456789012:function:{function}",
            aws_request_id="request-1",
            get_remaining_time_in_millis=lambda: 58_000,
        )
        if function == "token_refresh":
            ends_at = world.now + timedelta(seconds=90)
            monkeypatch.setattr(handler, "invocation", SimpleNamespace(ends_at=lambda: ends_at))
        answer: dict[str, Any] = handler.lambda_handler(event, context)
        if "httpMethod" in event:
            assert complaints(event, answer) == []
        return answer

    return call


def complaints(event: Event, answer: dict[str, Any]) -> list[str]:
    headers = {name.lower(): values[0] for name, values in answer["multiValueHeaders"].items()}
    return openapi_document.complaints(
        event["httpMethod"], event["resource"], answer["statusCode"], headers, answer["body"]
    )
