import socket
import ssl
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from local.stack.tls_front import TlsFront

HOST = "cloudmanager.example"


class _Echo(BaseHTTPRequestHandler):
    """Answers with the Host header and the body of a request."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        answer = f"{self.headers['Host']} {len(body)}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def port_behind() -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Echo) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def connect(front: TlsFront, host: str = HOST) -> ssl.SSLSocket:
    context = ssl.create_default_context(cadata=front.certificate)
    with socket.create_connection(("127.0.0.1", front.port), timeout=10) as plain:
        return context.wrap_socket(plain, server_hostname=host)


def ask(connection: ssl.SSLSocket, body: bytes) -> bytes:
    request = f"POST / HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    connection.sendall(request.encode() + body)
    answer = b""
    while chunk := connection.recv(65_536):
        answer += chunk
    return answer.rpartition(b"\r\n\r\n")[2]


def test_a_request_arrives_as_it_was_sent(port_behind: int) -> None:
    with TlsFront(HOST, port_behind) as front, connect(front) as connection:
        assert ask(connection, b"x" * 300_000) == f"{HOST} 300000".encode()


def test_it_speaks_for_its_host_alone(port_behind: int) -> None:
    with TlsFront(HOST, port_behind) as front, pytest.raises(ssl.SSLCertVerificationError, match="mismatch"):
        connect(front, "elsewhere.example")


def test_it_ends_with_connections_open(port_behind: int) -> None:
    front = TlsFront(HOST, port_behind)
    with front:
        connection = connect(front)
    connection.close()
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", front.port), timeout=10)
