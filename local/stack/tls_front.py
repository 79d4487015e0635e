"""A TLS end in front of the local cloud: what API Gateway's custom domain is on AWS."""

import asyncio
import contextlib
import ssl
import tempfile
import threading
from base64 import b64encode
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509.oid import NameOID

_LIFETIME = timedelta(days=7)
_CHUNK = 65_536
_STARTS_WITHIN_SECONDS = 10


@dataclass(frozen=True, slots=True)
class _Certificate:
    """A certificate that signs itself, and its key, as PEM; `pin` is the hash of its public key."""

    chain: bytes
    key: bytes
    pin: str

    @classmethod
    def of(cls, host: str) -> Self:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
        now = datetime.now(tz=UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + _LIFETIME)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .sign(key, hashes.SHA256())
        )
        public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return cls(
            chain=certificate.public_bytes(Encoding.PEM),
            key=key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
            pin=b64encode(sha256(public).digest()).decode(),
        )

    def context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with tempfile.TemporaryDirectory() as folder:
            chain, key = Path(folder, "chain.pem"), Path(folder, "key.pem")
            chain.write_bytes(self.chain)
            key.write_bytes(self.key)
            context.load_cert_chain(chain, key)
        return context


class TlsFront:
    """Ends TLS for one host name on a free loopback port, and passes every byte on to a port behind it.

    The request arrives there as the browser sent it, so that its Host header chooses the custom domain.
    """

    def __init__(self, host: str, port_behind: int) -> None:
        self._host = host
        self._port_behind = port_behind
        self._certificate = _Certificate.of(host)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="tls-front", daemon=True)
        self._started: Future[int] = Future()
        self._stop = asyncio.Event()
        self.port = 0

    def __enter__(self) -> Self:
        self._thread.start()
        self.port = self._started.result(timeout=_STARTS_WITHIN_SECONDS)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    @property
    def certificate(self) -> str:
        """As PEM: what a client has to trust."""
        return self._certificate.chain.decode()

    @property
    def chromium_arguments(self) -> list[str]:
        """What leads Chromium here, and makes it trust this key and no other."""
        return [
            f"--host-resolver-rules=MAP {self._host}:443 127.0.0.1:{self.port}",
            f"--ignore-certificate-errors-spki-list={self._certificate.pin}",
        ]

    def _run(self) -> None:
        with contextlib.closing(self._loop):
            self._loop.run_until_complete(self._serve())

    async def _serve(self) -> None:
        try:
            server = await asyncio.start_server(self._pass_on, "127.0.0.1", 0, ssl=self._certificate.context())
        except OSError as error:
            self._started.set_exception(error)
            return
        self._started.set_result(server.sockets[0].getsockname()[1])
        await self._stop.wait()
        server.close()
        server.abort_clients()
        connections = asyncio.all_tasks() - {asyncio.current_task()}
        for one in connections:
            one.cancel()
        await asyncio.gather(*connections, return_exceptions=True)
        await server.wait_closed()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        reader_behind, writer_behind = await asyncio.open_connection("127.0.0.1", self._port_behind)
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(_copy(reader, writer_behind))
                both.create_task(_copy(reader_behind, writer))
        finally:
            for one in (writer, writer_behind):
                one.transport.abort()
                with contextlib.suppress(ConnectionError, ssl.SSLError):
                    await one.wait_closed()


async def _copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    """Copy until either side hangs up."""
    with contextlib.suppress(ConnectionError, ssl.SSLError):
        while chunk := await source.read(_CHUNK):
            target.write(chunk)
            await target.drain()
    target.close()
