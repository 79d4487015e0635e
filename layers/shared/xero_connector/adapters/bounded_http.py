"""Calls to Xero that end: within a time for the whole answer, however it drips, and within a size."""

import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from threading import Lock, Timer
from time import monotonic
from types import TracebackType
from typing import Any, Self, override

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError, ProtocolError

from xero_connector.adapters import lenient_json
from xero_connector.adapters.bounded_connections import (
    CONNECT_TIMEOUT,
    Connections,
    tls_context,
    within,
)

_PIECE = 16_384
_TO_ANSWER = 1 / 3
"""The part of the time that has to be left for the answer: with less of it, nothing is sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a call may cost: `within` for all of it, `largest` bytes of an answer, decompressed.

    A larger answer is an error, or is cut where `cut` says so.
    """

    within: timedelta
    largest: int
    cut: bool = False

    def at_most(self, within: timedelta | None) -> "Limits":
        """Return the same limits with a shorter time, if this one is."""
        if within is None or within >= self.within:
            return self
        return Limits(within=within, largest=self.largest, cut=self.cut)


type Transport = Callable[["Budget"], HTTPAdapter]
"""Makes what sends the requests that are made within a budget."""


class AnswerTooLarge(requests.RequestException):
    """The answer has more bytes than such an answer can need."""


class Budget:
    """The time that the sessions bound to it have together, from now to the end of the `with` block.

    A time-out of the socket starts anew with each byte. So a timer shuts down what is open when the time is up,
    and no thread or connection outlives the block. Only the lookup of a host's name cannot be cut short; after a
    slow one nothing is sent.
    """

    def __init__(self, limits: Limits, transport: "Transport | None" = None) -> None:
        self.limits = limits
        self._transport = transport or BoundedAdapter
        self._within = limits.within.total_seconds()
        self._ends_at = monotonic() + self._within
        self._lock = Lock()
        self._open: set[socket.socket] = set()
        self._timer: Timer | None = None
        self._over = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer.join()
        for opened in self._open:
            opened.close()

    def bind[Session: requests.Session](self, session: Session, *, follows: bool = False) -> Session:
        """Have a session use this budget, and nothing of the environment: no proxy and no `.netrc`.

        Unless it `follows` redirects, it does not look where they lead. Even where it does not follow, requests
        prepares the next request: it reads the whole body for that, and raises `ValueError` for an odd address.
        """
        session.trust_env = False
        if not follows:
            session.get_redirect_target = _nowhere  # type: ignore[assignment,method-assign] # as a subclass would
        adapter = self._transport(self)
        session.mount("https://", adapter)
        session.mount("http://", adapter)
        return session

    @property
    def left(self) -> float:
        """Seconds that are left."""
        return self._ends_at - monotonic()

    @property
    def has_time_for_an_answer(self) -> bool:
        """Whether a request may be sent."""
        return self.left > self._within * _TO_ANSWER

    def watch(self, opened: socket.socket) -> None:
        """Shut a connection down when the time is up, and close it at the end of the block."""
        with self._lock:
            self._open.add(opened)
            if self._over:
                _shut_down(opened)
            elif self._timer is None:
                self._timer = Timer(max(self.left, 0), self._cut_off)
                self._timer.daemon = True
                self._timer.start()

    def forget(self, opened: socket.socket) -> None:
        """Let go of a connection: another call may use it from here on."""
        with self._lock:
            self._open.discard(opened)

    def check(self) -> None:
        """Raise `requests.ReadTimeout` if the time is up: what was read may only look like a whole answer."""
        if self._over:
            raise requests.ReadTimeout(f"No whole answer within {self._within:g} seconds.")

    def _cut_off(self) -> None:
        with self._lock:
            self._over = True
            for opened in self._open:
                _shut_down(opened)


def _nowhere(_: requests.Response) -> None:
    return None


def _shut_down(opened: socket.socket) -> None:
    with suppress(OSError):
        opened.shutdown(socket.SHUT_RDWR)


class BoundedAdapter(HTTPAdapter):
    """Sends requests within a budget, and reads their answers unless they are streamed.

    The connections are those of the process, if they are given: then they outlive the session.
    """

    def __init__(self, budget: Budget, connections: Connections | None = None) -> None:
        self._budget = budget
        self._kept = connections
        super().__init__()

    @override
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        self.poolmanager = self._kept or Connections()

    @override
    def close(self) -> None:
        if self._kept is None:
            super().close()

    @override
    def build_connection_pool_key_attributes(
        self, request: requests.PreparedRequest, verify: Any, cert: Any = None
    ) -> tuple[Any, Any]:
        host, _ = super().build_connection_pool_key_attributes(request, verify, cert)
        secure = host["scheme"] == "https"
        return host, {"ssl_context": tls_context(verify if isinstance(verify, str) else None)} if secure else {}

    @override
    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        """Leave a pool as it is: its TLS context has the certificates, and always verifies."""

    @override
    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: float | tuple[float, float] | tuple[float, None] | None = None,
        verify: bool | str = True,
        cert: bytes | str | tuple[bytes | str, bytes | str] | None = None,
        proxies: Mapping[str, str] | None = None,
    ) -> requests.Response:
        # The socket waits longer than the timer, so that what was read until then is not lost.
        patience = (CONNECT_TIMEOUT, max(self._budget.left, 0) + 1)
        try:
            with within(self._budget):
                answer = super().send(
                    request, stream=True, timeout=patience, verify=verify, cert=cert, proxies=proxies
                )
        except requests.ConnectionError as error:
            if error.args and isinstance(error.args[0], ProtocolError):
                # Cut off while it waited: say so.
                self._budget.check()
            raise
        try:
            # http.client takes the end of a connection for the end of the header.
            self._budget.check()
            if not stream:
                self._read(answer)
        except requests.RequestException:
            answer.close()
            raise
        return answer

    def _read(self, answer: requests.Response) -> None:
        content = bytearray()
        try:
            while piece := answer.raw.read1(_PIECE, decode_content=True):
                content += piece
                if len(content) > self._budget.limits.largest:
                    self._check_size(content)
                    break
            self._budget.check()
        except (HTTPError, requests.RequestException) as error:
            # A whole document is a whole answer, even if its connection never ends as it should.
            if not lenient_json.read(content).whole:
                raise error if isinstance(error, requests.RequestException) else self._broken(error) from None
        answer.close()
        answer._content = bytes(content)  # noqa: SLF001 - there is no other way to hand it on
        answer._content_consumed = True  # type: ignore[attr-defined] # noqa: SLF001

    def _broken(self, error: HTTPError) -> requests.RequestException:
        self._budget.check()
        return requests.ConnectionError(type(error).__name__)

    def _check_size(self, content: bytearray) -> None:
        if not self._budget.limits.cut:
            raise AnswerTooLarge(f"The answer has more than {self._budget.limits.largest} bytes.")
        del content[self._budget.limits.largest :]
