"""Translate what botocore raises."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from xero_connector.domain.errors import StoreUnavailable

# One call ends within about 8 s, its one retry included: a request has several of them in its 25 s.
CLIENT_CONFIG = Config(
    connect_timeout=1,
    read_timeout=3,
    retries={"mode": "standard", "total_max_attempts": 2},
    max_pool_connections=64,
)

# An event is published while a caller waits for an answer, and the schedule publishes what did not go out.
EVENTS_CONFIG = Config(connect_timeout=1, read_timeout=2, retries={"mode": "standard", "total_max_attempts": 1})

# To compare each call with the service's model takes a sixth of its CPU. The contract suites do so for every call
# that the adapters make, and the service itself does it anyway.
UNCHECKED = Config(parameter_validation=False)


class IncompleteAnswerError(Exception):
    """A call succeeded, and its answer lacks what such an answer has."""


@contextmanager
def translating(operation: str) -> Iterator[None]:
    """Turn what botocore raises into `StoreUnavailable`.

    The service's message and the cause stay out: they can repeat input, and so a client secret or a token.
    """
    try:
        yield
    except ClientError as error:
        raise StoreUnavailable(operation, error_code(error)) from None
    except (BotoCoreError, ResponseParserError) as error:
        raise StoreUnavailable(operation, type(error).__name__) from None
    except IncompleteAnswerError as error:
        raise StoreUnavailable(operation, "IncompleteAnswer") from error


def member[Kind](answer: Mapping[str, object], name: str, kind: type[Kind]) -> Kind:
    """Return a member of an answer, within `translating`; without it the call counts as failed."""
    value = answer.get(name)
    if not isinstance(value, kind):
        raise IncompleteAnswerError
    return value


def error_code(error: ClientError) -> str:
    """Return the service's error code."""
    return error.response.get("Error", {}).get("Code") or "Unknown"
