from collections.abc import Generator

import pytest

from local.stack.domain_events import DomainEventSubscriber
from local.stack.journey import Journey
from local.stack.local_stack import LocalStack


@pytest.fixture(scope="session")
def local_stack(request: pytest.FixtureRequest) -> Generator[LocalStack]:
    """The deployed stack, one for the whole session; how it comes up is told past pytest's capture."""
    terminal = request.config.get_terminal_writer()
    terminal.line()
    with LocalStack(report=lambda line: terminal.line(f"local stack: {line}", flush=True)) as stack:
        yield stack


@pytest.fixture(scope="session")
def domain_events(local_stack: LocalStack) -> DomainEventSubscriber:
    """Everything that is published on the stack's bus while the session runs."""
    return DomainEventSubscriber(local_stack)


@pytest.fixture(scope="session")
def journey(local_stack: LocalStack) -> Journey:
    """What people do with the stack; it remembers every secret that it meets."""
    return Journey(local_stack)
