"""What a call to Xero may cost: a time for the whole answer, however it drips, and a size."""

import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from threading import Lock, Timer
from time import monotonic
from types import TracebackType
from typing import Self

import requests
from requests.adapters import BaseAdapter

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


type Transport = Callable[["Budget"], BaseAdapter]
"""Makes what sends the requests that are made within a budget."""


class Budget:
    """The time that the sessions bound to it have together, from now to the end of the `with` block.

    A time-out of the socket starts anew with each byte. So a timer shuts down what is open when the time is up,
    and no thread or connection outlives the block. Only the lookup of a host's name cannot be cut short; after a
    slow one nothing is sent.
    """

    def __init__(self, limits: Limits, transport: Transport) -> None:
        self.limits = limits
        self._transport = transport
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
