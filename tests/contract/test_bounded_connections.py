"""A connection to Xero serves the next call too, unless it may be dead: no request is lost, none is sent twice."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from functools import partial
from io import BufferedReader

import pytest
import requests

from xero_connector.adapters import bounded_connections
from xero_connector.adapters.authlib_token_endpoint import AuthlibTokenEndpoint
from xero_connector.adapters.bounded_connections import MOST_IDLE, Connections
from xero_connector.adapters.bounded_http import BoundedAdapter
from xero_connector.adapters.budget import Budget, Limits, Transport
from xero_connector.adapters.tls import tls_context
from xero_connector.bootstrap import utc_now
from xero_connector.domain.token_endpoint import FailureKind, TokenEndpointFailure
from xero_connector.domain.tokens import ClientPair

LIMITS = Limits(within=timedelta(seconds=4), largest=10_000)
SHORT = Limits(within=timedelta(seconds=0.4), largest=10_000)
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 8\r\n\r\n" + b'{"a": 1}'

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])

type Respond = Callable[[socket.socket], bool]
"""Answers one request; False ends the connection."""


def answering(connection: socket.socket) -> bool:
    connection.sendall(ANSWER)
    return True


class Server:
    """Answers every request of a connection, and says which connection had how many."""

    def __init__(self) -> None:
        self.respond: Respond = answering
        self.asked: list[int] = []
        self.ended = threading.Semaphore(0)
        """Is released when a connection has ended on this side."""
        self._open: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()
        for connection in self._open:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self._open.append(connection)
                self.asked.append(0)
                threading.Thread(target=self._serve, args=[connection, len(self.asked) - 1], daemon=True).start()

    def _serve(self, connection: socket.socket, number: int) -> None:
        with suppress(OSError), connection, connection.makefile("rb") as stream:
            while _a_request(stream):
                self.asked[number] += 1
                if not self.respond(connection):
                    break
        self.ended.release()


def _a_request(stream: BufferedReader) -> bool:
    """Read one; False at the end of the connection."""
    head = list(iter(stream.readline, b"\r\n")) if stream.peek(1) else []
    lengths = [int(line.split(b":")[1]) for line in head if line.lower().startswith(b"content-length:")]
    stream.read(sum(lengths))
    return bool(head)


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


@pytest.fixture
def transport() -> Iterator[Transport]:
    """That of one process."""
    connections = Connections()
    yield partial(BoundedAdapter, connections=connections)
    connections.clear()


@pytest.fixture
def ask(server: Server, transport: Transport) -> Callable[..., bytes]:
    def ask(limits: Limits = LIMITS) -> bytes:
        with Budget(limits, transport) as budget, budget.bind(requests.Session()) as session:
            return session.post(server.url, data={"grant_type": "refresh_token"}).content

    return ask


@pytest.fixture
def clocks(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The monotonic and the wall clock, to be moved by hand."""
    clocks = [1000.0, 1_700_000_000.0]
    monkeypatch.setattr(bounded_connections, "_clocks", lambda: (clocks[0], clocks[1]))
    return clocks


def test_the_next_call_uses_the_connection_of_the_last(server: Server, ask: Callable[..., bytes]) -> None:
    assert [ask(), ask(), ask()] == [b'{"a": 1}'] * 3
    assert server.asked == [3]


def test_calls_at_the_same_time_have_a_connection_each(server: Server, ask: Callable[..., bytes]) -> None:
    together = threading.Barrier(4, timeout=4)

    def when_all_are_here(connection: socket.socket) -> bool:
        together.wait()
        return answering(connection)

    server.respond = when_all_are_here
    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert server.asked == [1, 1, 1, 1]


@pytest.mark.parametrize("clock", [0, 1], ids=["the monotonic clock", "the wall clock"])
def test_a_connection_that_was_idle_for_too_long_by_either_clock_is_not_used(
    server: Server, ask: Callable[..., bytes], clocks: list[float], clock: int
) -> None:
    # One clock can stand still while an execution environment is frozen.
    ask()
    clocks[clock] += MOST_IDLE
    ask()
    assert server.asked == [2]
    clocks[clock] += MOST_IDLE + 0.1
    ask()
    assert server.asked == [2, 1]


def test_a_wall_clock_that_is_set_back_makes_no_connection_live_longer(
    server: Server, ask: Callable[..., bytes], clocks: list[float]
) -> None:
    ask()
    clocks[0] += MOST_IDLE + 0.1
    clocks[1] -= 3600
    ask()
    assert server.asked == [1, 1]


def good_bye(connection: socket.socket) -> bool:
    connection.sendall(ANSWER)
    return False


def announced(connection: socket.socket) -> bool:
    connection.sendall(ANSWER.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", 1))
    return False


@pytest.mark.parametrize("respond", [good_bye, announced], ids=["without a word", "with a word"])
def test_a_connection_that_the_server_has_closed_is_not_used(
    server: Server, ask: Callable[..., bytes], respond: Respond
) -> None:
    server.respond = respond
    for _ in range(3):
        assert ask() == b'{"a": 1}'
        assert server.ended.acquire(timeout=4)
    assert server.asked == [1, 1, 1], "each request is sent once, on a connection that lives"


def chatty(connection: socket.socket) -> bool:
    connection.sendall(ANSWER + b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfalse")
    return True


def test_what_follows_an_answer_is_never_taken_for_the_next(server: Server, ask: Callable[..., bytes]) -> None:
    server.respond = chatty
    assert [ask() for _ in range(3)] == [b'{"a": 1}'] * 3


def half(connection: socket.socket) -> bool:
    connection.sendall(ANSWER[:-4])
    return True


def test_a_connection_whose_answer_was_cut_off_is_not_used(server: Server, ask: Callable[..., bytes]) -> None:
    server.respond = half
    with pytest.raises(requests.RequestException):
        ask(SHORT)
    server.respond = answering
    assert ask() == b'{"a": 1}'
    assert server.asked == [1, 1]


def large(connection: socket.socket) -> bool:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 900000\r\n\r\n" + b"x" * 900_000)
    return True


def test_a_connection_whose_answer_was_too_large_is_not_used(server: Server, ask: Callable[..., bytes]) -> None:
    server.respond = large
    with pytest.raises(requests.RequestException):
        ask()
    server.respond = answering
    assert ask() == b'{"a": 1}'
    assert server.asked == [1, 1]


def test_a_call_that_is_over_does_not_cut_off_the_next_user_of_its_connection(
    server: Server, transport: Transport
) -> None:
    with Budget(SHORT, transport) as first, first.bind(requests.Session()) as session:
        session.post(server.url)
        cut_off = threading.Event()

        def when_the_first_is_over(connection: socket.socket) -> bool:
            assert cut_off.wait(4)
            return answering(connection)

        server.respond = when_the_first_is_over
        answers: list[bytes] = []

        def next_call() -> None:
            with Budget(LIMITS, transport) as second, second.bind(requests.Session()) as session:
                answers.append(session.post(server.url).content)

        thread = threading.Thread(target=next_call)
        thread.start()
        while not first_is_over(first):
            thread.join(0.02)
        cut_off.set()
        thread.join()
    assert answers == [b'{"a": 1}']
    assert server.asked == [2]


def first_is_over(budget: Budget) -> bool:
    try:
        budget.check()
    except requests.ReadTimeout:
        return True
    return False


def test_a_request_that_may_have_been_received_is_not_sent_again(server: Server, transport: Transport) -> None:
    endpoint = AuthlibTokenEndpoint(
        identity_url=server.url,
        redirect_uri="https://erp.example.com/oAuth2CallBack",
        pkce=True,
        clock=utc_now,
        transport=transport,
        token_limits=LIMITS,
    )
    pair = ClientPair("F" * 32, "s3cr3t")
    with pytest.raises(TokenEndpointFailure):
        endpoint.refresh(pair, refresh_token="r3fr3sh")
    server.respond = lambda _: False
    with pytest.raises(TokenEndpointFailure) as caught:
        endpoint.refresh(pair, refresh_token="r3fr3sh")
    assert caught.value.kind is FailureKind.UNANSWERED
    assert server.asked == [2]


def test_a_call_without_time_for_an_answer_sends_nothing_on_a_connection_that_is_there(
    server: Server, transport: Transport, ask: Callable[..., bytes]
) -> None:
    ask()
    with Budget(SHORT, transport) as budget, budget.bind(requests.Session()) as session:
        while budget.has_time_for_an_answer:
            threading.Event().wait(0.02)
        with pytest.raises(requests.ConnectTimeout):
            session.post(server.url)
    assert server.asked == [1]


def test_the_certificates_are_read_once() -> None:
    assert tls_context(None) is tls_context(None)
    assert tls_context(None).verify_mode.name == "CERT_REQUIRED"
    assert tls_context(None).check_hostname
