"""Connections to AWS verify with one TLS context, which reads the certificates once."""
# ruff: noqa: SLF001 - botocore shows its connections to nobody

import json
import socket
import ssl
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, override

import pytest
from botocore.exceptions import SSLError
from botocore.session import get_session

from tests.benchmarks.certificates import make_certificates
from xero_connector.adapters.aws_connections import share_tls_context
from xero_connector.adapters.aws_errors import CLIENT_CONFIG
from xero_connector.adapters.tls import tls_context

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])
THREADS = 4


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    together = threading.Barrier(THREADS)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        # So that each call has a connection of its own.
        self.together.wait(timeout=10)
        body = json.dumps({"TableNames": []}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    @override
    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """The address of something that answers for DynamoDB over TLS, and the root of its certificate."""
    certificates = make_certificates(tmp_path_factory.mktemp("certificates"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.chain, certificates.key)
    listening = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    listening.socket = context.wrap_socket(listening.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=listening.serve_forever, daemon=True).start()
    yield f"https://127.0.0.1:{listening.server_address[1]}", certificates.root
    listening.shutdown()
    listening.server_close()


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """The bundles of certificates that are read, in turn."""
    bundles: list[object] = []
    load = ssl.SSLContext.load_verify_locations

    def noting(context: ssl.SSLContext, cafile: Any = None, *others: Any, **named: Any) -> None:  # noqa: ANN401
        bundles.append(cafile)
        load(context, cafile, *others, **named)

    monkeypatch.setattr(ssl.SSLContext, "load_verify_locations", noting)
    return bundles


def client(url: str) -> Any:  # noqa: ANN401 - boto3's
    made = get_session().create_client(
        "dynamodb",
        config=CLIENT_CONFIG,
        endpoint_url=url,
        region_name="eu-west-1",
        aws_access_key_id="AKIA0000000000000000",
        aws_secret_access_key="0" * 40,
    )
    share_tls_context(made)
    return made


def test_the_certificates_are_read_once_for_all_connections_and_clients(
    server: tuple[str, Path], read: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, root = server
    monkeypatch.setenv("AWS_CA_BUNDLE", str(root))
    for dynamodb in (client(url), client(url)):
        with ThreadPoolExecutor(THREADS) as pool:
            answers = list(pool.map(lambda _, asked=dynamodb: asked.list_tables(), range(THREADS)))
        assert [answer["TableNames"] for answer in answers] == [[]] * THREADS
    assert read == [str(root)]


def test_a_certificate_of_another_authority_is_refused(server: tuple[str, Path]) -> None:
    url, _ = server
    with pytest.raises(SSLError):
        client(url).list_tables()


def test_time_outs_and_the_pool_are_those_of_the_client(server: tuple[str, Path]) -> None:
    session = client(server[0])._endpoint.http_session
    assert (session._timeout.connect_timeout, session._timeout.read_timeout) == (1, 3)
    assert session._max_pool_connections == 64
    assert (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1) in session._socket_options


def test_calls_to_xero_and_to_aws_share_a_context(
    server: tuple[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE"):
        monkeypatch.delenv(variable, raising=False)
    session = client(server[0])._endpoint.http_session
    assert session._manager.connection_pool_kw["ssl_context"] is tls_context(None)
