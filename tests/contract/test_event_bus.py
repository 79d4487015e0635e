"""What every `EventBus` does, as a subscriber sees it: the fake that other tests trust, and each EventBridge."""

import json
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from itertools import count
from typing import TYPE_CHECKING, Any, cast

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, EndpointConnectionError, ReadTimeoutError

from tests.contract.conftest import double_of
from tests.doubles.eventbridge import StrictEventBridge
from tests.fakes.stores import InMemoryEventBus
from tests.fakes.world import NOON
from xero_connector.adapters.aws_errors import CLIENT_CONFIG
from xero_connector.adapters.eventbridge_event_bus import EventBridgeEventBus
from xero_connector.domain.errors import StoreUnavailable
from xero_connector.domain.ports import EventBus

if TYPE_CHECKING:
    from mypy_boto3_events.client import EventBridgeClient
    from mypy_boto3_sqs.client import SQSClient

type Received = tuple[str, dict[str, Any], datetime]

SECRET = "s3cr3t"
_serial = count(1)


class Subscriber:
    """A queue behind a rule that takes whatever the connector publishes on one bus."""

    def __init__(self, events: "EventBridgeClient", queues: "SQSClient") -> None:
        self.bus_name = f"bus-{next(_serial)}"
        self._queues = queues
        self._queue_url = queues.create_queue(QueueName=self.bus_name)["QueueUrl"]
        queue = queues.get_queue_attributes(QueueUrl=self._queue_url, AttributeNames=["QueueArn"])
        events.create_event_bus(Name=self.bus_name)
        pattern = json.dumps({"source": ["oneenterprise.xero"]})
        events.put_rule(Name="all", EventBusName=self.bus_name, EventPattern=pattern)
        target = {"Id": "queue", "Arn": queue["Attributes"]["QueueArn"]}
        events.put_targets(Rule="all", EventBusName=self.bus_name, Targets=[target])  # type: ignore[list-item] # a TypedDict

    def received(self) -> list[Received]:
        answer = self._queues.receive_message(QueueUrl=self._queue_url, MaxNumberOfMessages=10)
        bodies = [json.loads(message["Body"]) for message in answer.get("Messages", [])]
        return [(body["detail-type"], body["detail"], datetime.fromisoformat(body["time"])) for body in bodies]


type Bus = tuple[EventBus, Callable[[], list[Received]]]
"""A bus, and what its subscribers received."""


@pytest.fixture
def strict_bus() -> Bus:
    strict = StrictEventBridge("bus")
    bus = EventBridgeEventBus(lambda: cast("EventBridgeClient", strict), strict.bus_name)
    return bus, lambda: [(event.detail_type, event.detail, event.at) for event in strict.published]


@pytest.fixture
def moto_bus(subscriber: "Subscriber", events: "EventBridgeClient") -> Bus:
    return EventBridgeEventBus(lambda: events, subscriber.bus_name), subscriber.received


@pytest.fixture(params=["moto", "strict"])
def eventbridge_bus(request: pytest.FixtureRequest) -> Bus:
    bus: Bus = double_of(request, "bus")
    return bus


@pytest.fixture(params=["in_memory", "moto", "strict"])
def bus(request: pytest.FixtureRequest) -> Bus:
    if request.param == "in_memory":
        fake = InMemoryEventBus()
        return fake, lambda: [(event.event_type, dict(event.detail), event.at) for event in fake.published]
    bus: Bus = double_of(request, "bus")
    return bus


@pytest.fixture
def subscriber(events: "EventBridgeClient", queues: "SQSClient") -> Subscriber:
    return Subscriber(events, queues)


@pytest.fixture
def failing_client(_cloud: None) -> Callable[[Exception], "EventBridgeClient"]:
    """Return what makes a client whose calls end in an error."""

    def failing(trouble: Exception) -> "EventBridgeClient":
        client = boto3.client("events", config=Config(retries={"total_max_attempts": 1}))

        def fail(**_: object) -> None:
            raise trouble

        client.meta.events.register("before-call.events", fail)
        return client

    return failing


def test_nothing_is_published_unasked(bus: Bus) -> None:
    assert bus[1]() == []


def test_subscribers_get_what_was_published(bus: Bus) -> None:
    published, received = bus
    detail = {
        "label": "Elektro-Land · Ünicode 株式会社 😀",
        "sequence": 10**12,
        "reason": None,
        "tenants": [{"tenant_id": "a", "tenant_name": '"quoted" \\ \n'}],
        "scopes": [],
    }
    published.publish("CredentialConnected", detail, at=NOON)
    assert received() == [("CredentialConnected", detail, NOON)]


def test_each_event_arrives_alone(bus: Bus) -> None:
    published, received = bus
    for number in range(3):
        published.publish("TenantsChanged", {"sequence": number}, at=NOON)
    assert sorted(detail["sequence"] for _, detail, _ in received()) == [0, 1, 2]


def test_a_moment_is_the_same_in_every_time_zone(bus: Bus) -> None:
    published, received = bus
    somewhere = NOON.astimezone(timezone(timedelta(hours=11)))
    published.publish("TenantsChanged", {}, at=somewhere)
    assert [at for _, _, at in received()] == [NOON]


def test_eventbridge_delivers_moments_to_the_second(eventbridge_bus: Bus) -> None:
    published, received = eventbridge_bus
    published.publish("TenantsChanged", {}, at=NOON + timedelta(milliseconds=700))
    assert [at for _, _, at in received()] == [NOON]


# The fake's own troubles


def test_the_fake_can_be_down() -> None:
    bus = InMemoryEventBus()
    bus.down = True
    with pytest.raises(StoreUnavailable):
        bus.publish("TenantsChanged", {}, at=NOON)
    assert bus.published == []


def test_the_fake_can_publish_and_say_that_it_failed() -> None:
    bus = InMemoryEventBus()
    bus.answers_lost = True
    with pytest.raises(StoreUnavailable):
        bus.publish("TenantsChanged", {}, at=NOON)
    assert len(bus.published) == 1


# EventBridge's


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ({"ErrorCode": "ThrottlingException", "ErrorMessage": f"of {SECRET}"}, "ThrottlingException"),
        ({"ErrorCode": "InternalFailure"}, "InternalFailure"),
        ({}, "Unknown"),
    ],
)
def test_a_call_that_succeeds_may_have_published_nothing(
    events: "EventBridgeClient", subscriber: Subscriber, entry: dict[str, str], reason: str
) -> None:
    def refuse(parsed: dict[str, Any], **_: object) -> None:
        parsed.update({"FailedEntryCount": 1, "Entries": [entry]})

    events.meta.events.register("after-call.events.PutEvents", refuse, unique_id="refuse")
    try:
        with pytest.raises(StoreUnavailable) as unavailable:
            EventBridgeEventBus(lambda: events, subscriber.bus_name).publish(
                "TenantsChanged", {"connect_url": SECRET}, at=NOON
            )
    finally:
        events.meta.events.unregister("after-call.events.PutEvents", unique_id="refuse")
    assert (unavailable.value.operation, unavailable.value.reason) == ("PutEvents", reason)
    assert SECRET not in "".join(traceback.TracebackException.from_exception(unavailable.value).format())


@pytest.mark.parametrize(
    "trouble",
    [
        ClientError({"Error": {"Code": "ThrottlingException", "Message": f"of {SECRET}"}}, "Any"),
        EndpointConnectionError(endpoint_url=f"https://{SECRET}"),
        ReadTimeoutError(endpoint_url=f"https://{SECRET}"),
    ],
    ids=lambda trouble: type(trouble).__name__,
)
def test_trouble_at_aws_is_told_by_its_code_alone(
    failing_client: Callable[[Exception], "EventBridgeClient"], trouble: Exception
) -> None:
    bus = EventBridgeEventBus(lambda: failing_client(trouble), "bus")
    with pytest.raises(StoreUnavailable) as unavailable:
        bus.publish("ReauthorizationRequired", {"connect_url": SECRET}, at=NOON)
    error = unavailable.value
    code = trouble.response["Error"]["Code"] if isinstance(trouble, ClientError) else type(trouble).__name__
    assert (error.operation, error.reason) == ("PutEvents", code)
    assert SECRET not in error.detail + "".join(traceback.TracebackException.from_exception(error).format())


@pytest.mark.usefixtures("_cloud")
def test_the_client_is_made_with_the_first_event_and_once() -> None:
    made = []

    def client() -> "EventBridgeClient":
        made.append(boto3.client("events", config=CLIENT_CONFIG))
        return made[-1]

    client_for_setup = boto3.client("events")
    client_for_setup.create_event_bus(Name="shared")
    bus = EventBridgeEventBus(client, "shared")
    assert made == []
    with ThreadPoolExecutor(8) as pool:
        for _ in range(20):
            pool.submit(bus.publish, "TenantsChanged", {}, at=NOON)
    assert len(made) == 1


@pytest.mark.usefixtures("_cloud")
def test_a_client_that_could_not_be_made_is_tried_again() -> None:
    tries = count()

    def client() -> "EventBridgeClient":
        if next(tries) == 0:
            raise EndpointConnectionError(endpoint_url="https://nowhere")
        return boto3.client("events")

    boto3.client("events").create_event_bus(Name="later")
    bus = EventBridgeEventBus(client, "later")
    with pytest.raises(StoreUnavailable):
        bus.publish("TenantsChanged", {}, at=NOON)
    bus.publish("TenantsChanged", {}, at=NOON)
