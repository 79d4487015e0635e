"""No test can reach the network or an account."""

import gc
import os
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from local.stack.fixtures import domain_events, journey, local_stack

__all__ = ["domain_events", "journey", "local_stack"]  # fixtures of the stack and browser tests

_TESTS = Path(__file__).parent / "tests"
_OFFLINE = (_TESTS / "unit", _TESTS / "contract")
_LOOPBACK = ["127.0.0.1", "::1"]

# A slow machine is no defect, and a failure here is the same failure everywhere.
hypothesis.settings.register_profile("connector", deadline=None, derandomize=True, database=None)
hypothesis.settings.load_profile("connector")


@pytest.fixture(scope="session", autouse=True)
def _no_account() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as environment:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            environment.delenv(name)
        environment.setenv("AWS_ACCESS_KEY_ID", "testing")
        environment.setenv("AWS_SECRET_ACCESS_KEY", "testing")
        environment.setenv("AWS_DEFAULT_REGION", "eu-west-1")
        environment.setenv("AWS_EC2_METADATA_DISABLED", "true")
        environment.setenv("AWS_CONFIG_FILE", os.devnull)
        environment.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
        yield


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        offline = any(item.path.is_relative_to(folder) for folder in _OFFLINE)
        # A module of the offline folders that starts a server says so with a mark of its own.
        if offline and item.get_closest_marker("allow_hosts") is None:
            item.add_marker(pytest.mark.disable_socket)
        else:
            item.add_marker(pytest.mark.allow_hosts(_LOOPBACK))


def pytest_collection_finish() -> None:
    # Thousands of modules and tests stay to the end: the collector need not look at them after each test.
    gc.collect()
    gc.freeze()
