"""A local cloud with the real deployment in it, for `make local`, `make demo`, stack and browser tests.

`LocalStack` is the way in; `clients` has what calls it.
"""

from local.stack.clients import AdminClient, LogEvent, LoopbackSession, aws_client, read_logs
from local.stack.description import Credentials, FunctionNames, StackDescription
from local.stack.local_stack import LocalStack
from local.stack.processes import LocalStackError
from local.stack.progress import Progress, print_progress

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
