"""A local cloud with the real deployment in it, for `make local`, `make demo`, stack and browser tests.

`LocalStack` is the way in; `clients` has what calls it.
"""

from tests.local_stack.clients import AdminClient, LogEvent, LoopbackSession, aws_client, read_logs
from tests.local_stack.description import Credentials, FunctionNames, StackDescription
from tests.local_stack.processes import LocalStackError
from tests.local_stack.progress import Progress, print_progress
from tests.local_stack.stack import LocalStack

__all__ = [
    "AdminClient",
    "Credentials",
    "FunctionNames",
    "LocalStack",
    "LocalStackError",
    "LogEvent",
    "LoopbackSession",
    "Progress",
    "StackDescription",
    "aws_client",
    "print_progress",
    "read_logs",
]
