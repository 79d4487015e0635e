"""Translate what botocore raises."""

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from xero_connector.domain.errors import StoreUnavailable

# One call ends within about 8 s, its one retry included: a request has several of them in its 28 s.
CLIENT_CONFIG = Config(
    connect_timeout=1,
    read_timeout=3,
    retries={"mode": "standard", "total_max_attempts": 2},
    max_pool_connections=64,
)

# An event is published while somebody waits for an answer, and the schedule publishes what did not go out.
EVENTS_CONFIG = Config(connect_timeout=1, read_timeout=2, retries={"mode": "standard", "total_max_attempts": 1})


@contextmanager
def translating(operation: str) -> Iterator[None]:
    """Turn what botocore raises into `StoreUnavailable`; the service's message stays out, it can hold input."""
    try:
        yield
    except ClientError as error:
        raise StoreUnavailable(operation, error_code(error)) from None
    except BotoCoreError as error:
        raise StoreUnavailable(operation, type(error).__name__) from None


def error_code(error: ClientError) -> str:
    """Return the service's error code."""
    return error.response["Error"]["Code"]
