"""What EventBridge does, as far as the event bus rests on it: on moto, and on the strict double."""

import json
from datetime import UTC, datetime
from itertools import count
from typing import TYPE_CHECKING, Any, cast

import pytest
from botocore.exceptions import ClientError

from tests.contract.conftest import double_of
from tests.doubles.eventbridge import LARGEST_REQUEST, MOST_EVENTS, StrictEventBridge
from tests.fakes.world import NOON
from xero_connector.adapters.aws_errors import error_code

if TYPE_CHECKING:
    from mypy_boto3_events.client import EventBridgeClient

type Wire = dict[str, Any]

_serial = count(1)


class Bus:
    """A bus, and the entries that it took."""

    def __init__(self, client: "EventBridgeClient", name: str) -> None:
        self._client = client
        self._name = name

    def put(self, *entries: Wire) -> list[Any]:
        whole = [{**self.entry(), **entry} for entry in entries]
        return list(self._client.put_events(Entries=cast("Any", whole))["Entries"])

    def entry(self) -> Wire:
        return {"EventBusName": self._name, "Source": "s", "DetailType": "d", "Detail": "{}", "Time": NOON}


@pytest.fixture
def moto_bus(events: "EventBridgeClient") -> Bus:
    name = f"entries-{next(_serial)}"
    events.create_event_bus(Name=name)
    return Bus(events, name)


@pytest.fixture
def strict_events() -> StrictEventBridge:
    return StrictEventBridge("bus")


@pytest.fixture
def strict_bus(strict_events: StrictEventBridge) -> Bus:
    return Bus(cast("EventBridgeClient", strict_events), strict_events.bus_name)


@pytest.fixture(params=["moto", "strict"])
def bus(request: pytest.FixtureRequest) -> Bus:
    bus: Bus = double_of(request, "bus")
    return bus


def test_a_good_event_gets_an_id(bus: Bus) -> None:
    first, second = bus.put({}, {})
    assert first["EventId"] != second["EventId"]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"Detail": "{"}, "MalformedDetail"),
        ({"Detail": ""}, "InvalidArgument"),
        ({"Source": ""}, "InvalidArgument"),
        ({"DetailType": ""}, "InvalidArgument"),
    ],
)
def test_an_event_of_another_form_is_refused_alone(bus: Bus, change: Wire, code: str) -> None:
    good, bad = bus.put({}, change)
    assert "EventId" in good
    assert bad["ErrorCode"] == code


@pytest.mark.filterwarnings("ignore:EventDetail should be of type dict")
@pytest.mark.moto_is_kinder("it takes what is not an object")
def test_a_detail_is_an_object(bus: Bus) -> None:
    (answer,) = bus.put({"Detail": "[]"})
    assert answer["ErrorCode"] == "MalformedDetail"


def test_a_call_takes_so_many_events(bus: Bus) -> None:
    bus.put(*[{}] * MOST_EVENTS)
    with pytest.raises(ClientError) as error:
        bus.put(*[{}] * (MOST_EVENTS + 1))
    assert error_code(error.value) == "ValidationException"


@pytest.mark.moto_is_kinder("it takes events of any size")
def test_a_call_takes_so_many_bytes(bus: Bus) -> None:
    # By UTF-8, with 14 bytes for the time: "s", "d" and the detail are the rest.
    detail = json.dumps({"x": "é" * 65_536}, ensure_ascii=False)
    room = LARGEST_REQUEST - 2 * (14 + 1 + 1) - len(detail.encode())
    other = json.dumps({"x": "x" * (room - len('{"x": ""}'))})
    bus.put({"Detail": detail}, {"Detail": other})
    with pytest.raises(ClientError) as error:
        bus.put({"Detail": detail}, {"Detail": other + " "})
    assert error_code(error.value) == "ValidationException"


def test_the_strict_double_takes_no_call_without_events(strict_bus: Bus) -> None:
    # Before moto, botocore refuses it.
    with pytest.raises(ClientError) as error:
        strict_bus.put()
    assert error_code(error.value) == "ValidationException"


def test_the_strict_double_finds_its_caller_s_mistakes(strict_bus: Bus, strict_events: StrictEventBridge) -> None:
    for change in ({"EventBusName": "other"}, {"Time": datetime(2026, 1, 1)}):  # noqa: DTZ001 - what is refused
        with pytest.raises(AssertionError):
            strict_bus.put(change)
    assert strict_events.published == []


def test_the_strict_double_delivers_to_the_second(strict_bus: Bus, strict_events: StrictEventBridge) -> None:
    strict_bus.put({"Time": datetime(2026, 1, 1, 12, 0, 0, 700_000, tzinfo=UTC)})
    assert [event.at for event in strict_events.published] == [datetime(2026, 1, 1, 12, tzinfo=UTC)]
