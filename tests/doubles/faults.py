"""What can go wrong with a call of AWS, played alike by every double.

The doubles speak the wire format that the adapters speak, and raise real `ClientError`s.
botocore is not in the loop. Its one retry that matters is played here: an answer that is lost makes the same call
arrive a second time.
"""

from collections.abc import Callable
from datetime import datetime
from enum import StrEnum
from typing import Any

from botocore.exceptions import ClientError

type Wire = dict[str, Any]
type Now = Callable[[], datetime]

MESSAGE = "the-message-of-the-service"
"""A message of AWS can repeat the input. A test that finds this text in a log or an answer has found a leak."""


class AwsFault(StrEnum):
    """What goes wrong with one call, after botocore has tried what it tries.

    Every service fails by the codes of Secrets Manager.
    On AWS, `InternalServiceError` is `InternalServerError` in DynamoDB and `InternalException` in EventBridge.
    """

    THROTTLED = "throttled"  # no effect, and an error
    ANSWER_LOST = "answer_lost"  # the effect, and botocore's retry of the same call
    FAILED_AFTER = "failed_after"  # the effect, and an error nevertheless


type Faults = Callable[[str], AwsFault | None]
"""Decides, given the name of an operation, what goes wrong with this call of it."""


def no_faults(_: str) -> AwsFault | None:
    return None


def refusal(operation: str, code: str, *, item: Wire | None = None) -> ClientError:
    response: Any = {"Error": {"Code": code, "Message": MESSAGE}}
    if item is not None:
        response["Item"] = item
    return ClientError(response, operation)


def with_faults[Answer](operation: str, faults: Faults, effect: Callable[[], Answer]) -> Answer:
    fault = faults(operation)
    if fault is AwsFault.THROTTLED:
        raise refusal(operation, "ThrottlingException")
    if fault is AwsFault.ANSWER_LOST:
        effect()
    answer = effect()
    if fault is AwsFault.FAILED_AFTER:
        raise refusal(operation, "InternalServiceError")
    return answer
