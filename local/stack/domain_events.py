"""A subscriber of the stack's event bus: a rule and a queue, as a consumer would have them."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from local.stack.local_stack import LocalStack

_SOURCE = "oneenterprise.xero"
_POLL_SECONDS = 0.2


@dataclass(frozen=True)
class DomainEvent:
    """One event as EventBridge delivered it."""

    event_type: str
    detail: dict[str, Any] = field(repr=False)


class DomainEventSubscriber:
    """Receives every domain event from now on, and remembers all of them."""

    def __init__(self, stack: LocalStack) -> None:
        self._sqs = stack.aws("sqs")
        name = f"subscriber-{uuid4().hex[:8]}"
        self._queue_url = self._sqs.create_queue(QueueName=name)["QueueUrl"]
        attributes = self._sqs.get_queue_attributes(QueueUrl=self._queue_url, AttributeNames=["QueueArn"])
        events = stack.aws("events")
        bus = stack.description.event_bus
        pattern = json.dumps({"source": [_SOURCE]})
        events.put_rule(Name=name, EventBusName=bus, EventPattern=pattern)
        events.put_targets(
            Rule=name,
            EventBusName=bus,
            Targets=[{"Id": "queue", "Arn": attributes["Attributes"]["QueueArn"]}],
        )
        self._received: list[DomainEvent] = []

    def of(self, client_id: str) -> list[DomainEvent]:
        """Return what was received about a credential so far, in the order of its sequence."""
        self._receive()
        found = [event for event in self._received if event.detail["client_id"] == client_id]
        return sorted(found, key=lambda event: event.detail["sequence"])

    def wait_for(
        self,
        client_id: str,
        event_type: str,
        *,
        seconds: float,
        where: Callable[[dict[str, Any]], bool] | None = None,
    ) -> dict[str, Any]:
        """Wait for an event about a credential and return its detail, or raise `TimeoutError`."""
        give_up_at = time.monotonic() + seconds
        while time.monotonic() < give_up_at:
            for event in self.of(client_id):
                if event.event_type == event_type and (where is None or where(event.detail)):
                    return event.detail
            time.sleep(_POLL_SECONDS)
        raise TimeoutError(f"no {event_type} within {seconds} seconds")

    def _receive(self) -> None:
        while messages := self._sqs.receive_message(
            QueueUrl=self._queue_url, MaxNumberOfMessages=10, WaitTimeSeconds=0
        ).get("Messages"):
            for message in messages:
                event = json.loads(message["Body"])
                self._received.append(DomainEvent(event["detail-type"], event["detail"]))
                self._sqs.delete_message(QueueUrl=self._queue_url, ReceiptHandle=message["ReceiptHandle"])
