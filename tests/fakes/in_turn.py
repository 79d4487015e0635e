"""An executor without threads: what is handed in is done at once, so that the order is certain."""

from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from typing import override
from unittest import mock

from xero_connector.use_cases import sweep_due_credentials


class InTurn(Executor):
    def __init__(self, max_workers: int) -> None:
        del max_workers

    @override
    def submit[**P, Answer](self, fn: Callable[P, Answer], /, *args: P.args, **kwargs: P.kwargs) -> Future[Answer]:
        future: Future[Answer] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:  # noqa: BLE001 - the future hands it on
            future.set_exception(error)
        return future


@contextmanager
def work_in_turn() -> Iterator[None]:
    """Have sweeps do one thing after the other."""
    with mock.patch.object(sweep_due_credentials, "ThreadPoolExecutor", InTurn):
        yield
