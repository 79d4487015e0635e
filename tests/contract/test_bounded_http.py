"""Every call to Xero ends in time and within its size, whatever the server does with the connection."""

import gzip
import ipaddress
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.fakes.world import NOON
from xero_connector.adapters.authlib_token_endpoint import AuthlibTokenEndpoint
from xero_connector.adapters.bounded_http import AnswerTooLarge, BoundedAdapter
from xero_connector.adapters.budget import Budget, Limits
from xero_connector.adapters.joserfc_id_tokens import JoserfcIdTokens
from xero_connector.adapters.lenient_json import members
from xero_connector.adapters.requests_xero_connections import RequestsXeroConnections
from xero_connector.bootstrap import utc_now
from xero_connector.domain.errors import ConnectionsUnavailable
from xero_connector.domain.token_endpoint import FailureKind, TokenEndpointFailure
from xero_connector.domain.tokens import ClientPair

SHORT = Limits(within=timedelta(seconds=0.4), largest=10_000)
AMPLE = 5.0
"""Seconds: only a call that is not bounded takes as long."""
JSON = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
PAIR = ClientPair("F" * 32, "s3cr3t")

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])

type Talk = Iterator[bytes]


class Server:
    """Talks to each connection as it is told, and counts the connections on which it was asked something."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self.asked = 0
        self._context = context
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._stop = threading.Event()
        self._talk: Callable[[], Talk] = lambda: iter(())
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        return f"{'https' if self._context else 'http'}://127.0.0.1:{self._listener.getsockname()[1]}"

    def says(self, talk: Callable[[], Talk]) -> None:
        self._talk = talk

    def close(self) -> None:
        self._stop.set()
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=[connection], daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with suppress(OSError), connection:
            if self._context is None:
                self._converse(connection)
            else:
                with self._context.wrap_socket(connection, server_side=True) as secured:
                    self._converse(secured)

    def _converse(self, connection: socket.socket) -> None:
        if connection.recv(65_536):
            self.asked += 1
        for piece in self._talk():
            if self._stop.is_set():
                return
            connection.sendall(piece)


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key and a certificate of this host that it signed itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Xero")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOON - timedelta(days=3650))
        .not_valid_after(NOON + timedelta(days=3650))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return path


@pytest.fixture(params=["http", "https"])
def server(request: pytest.FixtureRequest, certificate: Path) -> Iterator[Server]:
    context = None
    if request.param == "https":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
    server = Server(context)
    yield server
    server.close()


@pytest.fixture
def ask(server: Server, certificate: Path) -> Callable[..., requests.Response]:
    def ask(limits: Limits = SHORT) -> requests.Response:
        with Budget(limits, BoundedAdapter) as budget, budget.bind(requests.Session()) as session:
            session.verify = str(certificate)
            return session.get(server.url)

    return ask


@pytest.fixture(autouse=True)
def in_time() -> Iterator[None]:
    """However a test ends, it was in time and left no thread of the product behind."""
    before = {thread for thread in threading.enumerate() if isinstance(thread, threading.Timer)}
    began = time.monotonic()
    yield
    assert time.monotonic() - began < AMPLE
    assert {thread for thread in threading.enumerate() if isinstance(thread, threading.Timer)} == before


def drip(before: bytes, drop: bytes = b"x") -> Callable[[], Talk]:
    def talk() -> Talk:
        yield before
        while True:
            time.sleep(0.05)
            yield drop

    return talk


def pour(before: bytes, piece: bytes) -> Callable[[], Talk]:
    def talk() -> Talk:
        yield before
        while True:
            yield piece

    return talk


def say(*pieces: bytes) -> Callable[[], Talk]:
    return lambda: iter(pieces)


SLOW = {
    "no answer": drip(b"", b""),
    "a header that drips": drip(JSON + b"X-Slow: "),
    "headers that go on": drip(b"HTTP/1.1 200 OK\r\n", b"A: b\r\n"),
    "interim answers": drip(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "a body that drips": drip(JSON + b'Content-Length: 9000\r\n\r\n{"a": "'),
    "a body without an end": drip(JSON + b'Connection: close\r\n\r\n{"a": "'),
    "chunks that drip": drip(JSON + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
    "a chunk size that drips": drip(JSON + b"Transfer-Encoding: chunked\r\n\r\n", b"0"),
}


@pytest.mark.parametrize("talk", SLOW.values(), ids=SLOW.keys())
def test_a_slow_answer_ends_in_time(
    server: Server, ask: Callable[..., requests.Response], talk: Callable[[], Talk]
) -> None:
    server.says(talk)
    with pytest.raises(requests.RequestException):
        ask()
    assert server.asked == 1


LARGE = {
    "endless": pour(JSON + b"Connection: close\r\n\r\n[", b'"x",' * 1000),
    "chunked": pour(JSON + b"Transfer-Encoding: chunked\r\n\r\n", b"1000\r\n" + b"x" * 4096 + b"\r\n"),
    "a bomb": say(
        JSON + b"Content-Encoding: gzip\r\nConnection: close\r\n\r\n" + gzip.compress(b"x" * 50_000_000)
    ),
}


@pytest.mark.parametrize("talk", LARGE.values(), ids=LARGE.keys())
def test_a_large_answer_is_not_read_to_its_end(
    server: Server, ask: Callable[..., requests.Response], talk: Callable[[], Talk]
) -> None:
    server.says(talk)
    with pytest.raises(AnswerTooLarge):
        ask(Limits(within=timedelta(seconds=AMPLE - 1), largest=10_000))
    assert len(ask(Limits(within=timedelta(seconds=AMPLE - 1), largest=10_000, cut=True)).content) == 10_000


WHOLE = {
    "drips on": drip(JSON + b'Connection: close\r\n\r\n{"a": 1}', b" "),
    "stays open": drip(JSON + b'Connection: close\r\n\r\n{"a": 1}', b""),
    "is shorter than announced": say(JSON + b'Content-Length: 9000\r\n\r\n{"a": 1}'),
    "ends without the last chunk": say(JSON + b'Transfer-Encoding: chunked\r\n\r\n8\r\n{"a": 1}\r\n'),
    "is followed by too much": pour(JSON + b'Connection: close\r\n\r\n{"a": 1}', b" " * 1000),
    "begins with a byte order mark": say(JSON + b'Content-Length: 9000\r\n\r\n\xef\xbb\xbf{"a": 1}'),
    "has odd members": say(JSON + b'Content-Length: 9000\r\n\r\n{"b": oops, "a": 1}'),
    "comes in pieces": say(JSON + b"Content-Length: 8\r\n\r\n", b'{"a"', b": 1}"),
}


@pytest.mark.parametrize("talk", WHOLE.values(), ids=WHOLE.keys())
def test_a_whole_document_is_an_answer_however_its_connection_ends(
    server: Server, ask: Callable[..., requests.Response], talk: Callable[[], Talk]
) -> None:
    server.says(talk)
    assert members(ask().content)["a"] == 1


@pytest.mark.parametrize(
    "document", [b"", b"1", b"12", b'"a"', b"null", b'{"a": 1', b"[1,", b"[" * 9_000, b'{"b": oops, "a": 1']
)
def test_what_may_be_the_beginning_of_more_is_no_whole_document(
    server: Server, ask: Callable[..., requests.Response], document: bytes
) -> None:
    server.says(say(JSON + b"Content-Length: 9999\r\n\r\n" + document))
    with pytest.raises(requests.RequestException):
        ask()


def test_an_answer_in_time_is_handed_on_as_it_is(server: Server, ask: Callable[..., requests.Response]) -> None:
    body = json.dumps({"a": "é" * 100}).encode()
    server.says(say(JSON + b"Content-Encoding: gzip\r\nConnection: close\r\n\r\n" + gzip.compress(body)))
    answer = ask()
    assert (answer.status_code, answer.content, answer.json()) == (200, body, {"a": "é" * 100})


def test_two_calls_share_one_budget(server: Server, certificate: Path) -> None:
    server.says(drip(JSON + b"X-Slow: "))
    with Budget(SHORT, BoundedAdapter) as budget, budget.bind(requests.Session()) as session:
        session.verify = str(certificate)
        for _ in range(2):
            with pytest.raises(requests.RequestException):
                session.get(server.url)
        assert budget.left <= 0
    assert server.asked == 1, "nothing is sent where no time is left for an answer"


# Before anything is sent


def a_token_call(url: str, limits: Limits = SHORT) -> FailureKind:
    endpoint = AuthlibTokenEndpoint(
        identity_url=url,
        redirect_uri="https://erp.example.com/oAuth2CallBack",
        pkce=True,
        clock=utc_now,
        token_limits=limits,
        revocation_limits=limits,
    )
    with pytest.raises(TokenEndpointFailure) as caught:
        endpoint.refresh(PAIR, refresh_token="r3fr3sh")
    return caught.value.kind


@pytest.fixture
def plain() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


def test_a_certificate_that_is_not_trusted_meets_no_request(certificate: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server = Server(context)
    assert a_token_call(server.url) is FailureKind.NOT_SENT
    assert server.asked == 0
    server.close()


@pytest.mark.parametrize("talk", [drip(b"", b""), drip(b"", b"\x16"), say(b"HTTP/1.1 400 Bad Request\r\n\r\n")])
def test_a_handshake_that_comes_to_nothing_is_no_request(plain: Server, talk: Callable[[], Talk]) -> None:
    plain.says(talk)
    assert a_token_call(plain.url.replace("http:", "https:")) is FailureKind.NOT_SENT


def test_a_name_that_is_looked_up_slowly_leaves_the_request_unsent(
    plain: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    lookup = socket.getaddrinfo

    def slowly(*args: object, **kwargs: object) -> object:
        time.sleep(0.35)
        return lookup(*args, **kwargs)  # type: ignore[arg-type] # handed on

    monkeypatch.setattr(socket, "getaddrinfo", slowly)
    assert a_token_call(plain.url) is FailureKind.NOT_SENT
    assert plain.asked == 0


def test_many_dead_addresses_take_no_longer_than_one_call(monkeypatch: pytest.MonkeyPatch) -> None:
    # A full backlog: further connections hang until they time out.
    with socket.create_server(("127.0.0.1", 0), backlog=0) as dead:
        crowd = [socket.socket() for _ in range(4)]
        for one in crowd:
            one.setblocking(False)
            one.connect_ex(dead.getsockname())
        address = (socket.AF_INET, socket.SOCK_STREAM, 6, "", dead.getsockname())
        lookup = socket.getaddrinfo
        monkeypatch.setattr(
            socket,
            "getaddrinfo",
            lambda host, *args, **kwargs: (
                [address] * 20 if host == "identity.test" else lookup(host, *args, **kwargs)
            ),
        )
        assert a_token_call("http://identity.test") is FailureKind.NOT_SENT
        for one in crowd:
            one.close()


# What it means for each call


@pytest.mark.parametrize("talk", SLOW.values(), ids=SLOW.keys())
def test_a_token_answer_that_drips_is_lost(plain: Server, talk: Callable[[], Talk]) -> None:
    plain.says(talk)
    assert a_token_call(plain.url) is FailureKind.UNANSWERED


def test_a_token_answer_that_never_ends_is_lost(plain: Server) -> None:
    plain.says(LARGE["endless"])
    assert a_token_call(plain.url) is FailureKind.UNANSWERED


def test_a_token_answer_that_is_whole_is_kept_however_its_connection_ends(plain: Server) -> None:
    token = {"access_token": "a", "refresh_token": "r", "expires_in": 1800, "token_type": "Bearer"}
    plain.says(drip(JSON + b"Connection: close\r\n\r\n" + json.dumps(token).encode(), b" "))
    endpoint = AuthlibTokenEndpoint(
        identity_url=plain.url,
        redirect_uri="https://erp.example.com/oAuth2CallBack",
        pkce=True,
        clock=utc_now,
        token_limits=SHORT,
    )
    assert endpoint.refresh(PAIR, refresh_token="before").token.refresh_token == "r"


@pytest.mark.parametrize("talk", [*SLOW.values(), LARGE["endless"]], ids=[*SLOW.keys(), "endless"])
def test_organisations_that_drip_are_not_listed(plain: Server, talk: Callable[[], Talk]) -> None:
    plain.says(talk)
    connections = RequestsXeroConnections(api_url=plain.url, limits=SHORT)
    with pytest.raises(ConnectionsUnavailable):
        connections.tenants("token", auth_event_id="event")
    with pytest.raises(ConnectionsUnavailable):
        connections.remove("token", "connection")


@pytest.mark.parametrize("talk", [*SLOW.values(), LARGE["endless"]], ids=[*SLOW.keys(), "endless"])
def test_keys_that_drip_are_a_failure_before_any_code_is_spent(plain: Server, talk: Callable[[], Talk]) -> None:
    plain.says(talk)
    with pytest.raises(TokenEndpointFailure):
        JoserfcIdTokens(plain.url, utc_now, limits=SHORT).load_keys()
