"""Connections to Xero: each made and used within the budget of a call, and kept for the next call for a moment.

A refresh costs less with a connection that is there. But an execution environment can be frozen for hours between
two invocations, and a server closes what is idle: a request on a dead connection would count as unanswered, though
Xero never saw it. So a connection is used again within seconds or not at all, by two clocks, since one of them can
stand still while the environment is frozen. And not if anything has arrived on it: that is the server's good-bye.
"""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, override

from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError
from urllib3.util.connection import create_connection

from xero_connector.adapters.budget import Budget

CONNECT_TIMEOUT = 3.0
"""Seconds for one address of a host, and for one TLS handshake."""
MOST_IDLE = 2.0
"""Seconds for which a connection may have been idle. Servers close idle ones after 5 seconds and more."""
_MOST_KEPT = 64
"""For each host: one for each thread of a sweep."""


class _Calls(threading.local):
    budget: Budget | None = None


_calls = _Calls()


@contextmanager
def within(budget: Budget) -> Iterator[None]:
    """Have the connections that this thread uses meanwhile obey a budget."""
    _calls.budget = budget
    try:
        yield
    finally:
        _calls.budget = None


class BoundedConnection(HTTPConnection):
    """A connection that is made within a call's budget; until it stands, every failure is one to connect."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - handed on
        super().__init__(*args, **kwargs)
        self._budget: Budget | None = None
        self._opened: socket.socket | None = None
        self._idle_since = (0.0, 0.0)

    @property
    @override
    def is_connected(self) -> bool:
        """Whether it can be used again."""
        idle = max(now - since for now, since in zip(_clocks(), self._idle_since, strict=True))
        return idle <= MOST_IDLE and super().is_connected

    @override
    def connect(self) -> None:
        try:
            super().connect()
        except OSError as error:
            raise NewConnectionError(self, type(error).__name__) from error

    @override
    def request(self, *args: Any, **kwargs: Any) -> None:
        budget = self._obey()
        if self._opened is not None:
            budget.watch(self._opened)
        if not budget.has_time_for_an_answer:
            self.close()
            raise ConnectTimeoutError(self, "Connecting took too long to wait for an answer.")
        super().request(*args, **kwargs)

    @override
    def close(self) -> None:
        # An answer that ends with its connection is read after this: then the budget closes what it watches.
        if self._opened is not None and self._budget is None:
            self._opened.close()
        self._opened = self._budget = None
        super().close()

    def rest(self) -> None:
        """Wait for the next call."""
        if self._budget is not None and self._opened is not None:
            self._budget.forget(self._opened)
        self._budget = None
        self._idle_since = _clocks()

    def _obey(self) -> Budget:
        if self._budget is None:
            if _calls.budget is None:
                raise RuntimeError("A connection is used outside of a budget.")
            self._budget = _calls.budget
        return self._budget

    @override
    def _new_conn(self) -> socket.socket:
        # urllib3 itself gives each address the whole time, and a host can have many.
        budget = self._obey()
        try:
            addresses = socket.getaddrinfo(self.host.strip("[]"), self.port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise NameResolutionError(self.host, self, socket.gaierror(type(error).__name__)) from error
        trouble: OSError | None = None
        for *_, (host, port, *_) in addresses:
            if not budget.has_time_for_an_answer:
                break
            try:
                opened = create_connection(
                    (str(host), int(port)),
                    min(CONNECT_TIMEOUT, budget.left),
                    socket_options=self.socket_options,
                )
            except OSError as error:
                trouble = error
            else:
                # A duplicate: TLS takes the socket's own descriptor away from it.
                self._opened = opened.dup()
                budget.watch(self._opened)
                return opened
        if trouble is None or isinstance(trouble, TimeoutError):
            raise ConnectTimeoutError(self, "No address of the host answered in time.")
        raise NewConnectionError(self, type(trouble).__name__) from trouble


class SecureBoundedConnection(BoundedConnection, HTTPSConnection):
    """The same over TLS."""


class _Pool(HTTPConnectionPool):
    ConnectionCls = BoundedConnection

    @override
    def _put_conn(self, conn: Any) -> None:
        if conn is not None:
            conn.rest()
        super()._put_conn(conn)


class _SecurePool(_Pool, HTTPSConnectionPool):
    ConnectionCls = SecureBoundedConnection


class Connections(PoolManager):
    """The connections of one process, for all threads and calls."""

    def __init__(self) -> None:
        super().__init__(maxsize=_MOST_KEPT)
        self.pool_classes_by_scheme = {"http": _Pool, "https": _SecurePool}


def _clocks() -> tuple[float, float]:
    return time.monotonic(), time.time()
