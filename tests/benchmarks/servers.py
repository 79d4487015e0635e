"""What the benchmarked functions talk to, in a process of its own so that only the client's work is counted.

    python -m tests.benchmarks.servers DIRECTORY

Prints one line of JSON with the addresses, and serves until its standard input ends. AWS is the strict doubles of
`tests/doubles` behind AWS's JSON protocol, Xero a token endpoint that accepts every refresh token. Both are kinder
than the real ones: they are here to be fast, the same for every contender, and strict about nothing.

Both are served over plain HTTP and over TLS. `POST /seed` makes credentials that are due, `/due` makes those due
again that were refreshed, `/reset` removes everything and sets the latencies, `/calls` counts the calls since the
last `/seed`, `/due` or `/reset`, and `/lap` has it tell how many there were since the lap before. After a reset
with `rotating`, Xero rotates refresh tokens as the real one does; `kept_world.py` has the control for that.
"""

import base64
import json
import ssl
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import BaseServer
from typing import Any, cast, override
from urllib.parse import parse_qsl, urlsplit
from uuid import UUID

from botocore.exceptions import ClientError
from joserfc import jwt
from joserfc.jwk import RSAKey

from tests.benchmarks import kept_world
from tests.benchmarks.certificates import Certificates, make_certificates
from tests.benchmarks.fleet import BUS, KEY_ARN, TABLE, Fleet, access_token
from tests.benchmarks.rotation import InvalidGrantError, Rotation
from tests.doubles.capacity import Consumed
from tests.doubles.dynamodb import StrictDynamoDB
from tests.doubles.eventbridge import StrictEventBridge
from tests.doubles.kms import StrictKms
from tests.doubles.secrets_manager import StrictSecretsManager
from xero_connector.adapters.dynamodb_consents import DynamoDBConsents

HOST = "127.0.0.1"
SIGNING_KEY = RSAKey.generate_key(2048)
_OPERATIONS = {
    "PutItem": "put_item",
    "GetItem": "get_item",
    "DeleteItem": "delete_item",
    "Query": "query",
    "UpdateItem": "update_item",
    "BatchGetItem": "batch_get_item",
    "TransactWriteItems": "transact_write_items",
    "CreateSecret": "create_secret",
    "PutSecretValue": "put_secret_value",
    "GetSecretValue": "get_secret_value",
    "BatchGetSecretValue": "batch_get_secret_value",
    "RestoreSecret": "restore_secret",
    "DeleteSecret": "delete_secret",
    "PutEvents": "put_events",
    "GenerateDataKey": "generate_data_key",
    "Decrypt": "decrypt",
}
_BYTES = ("CiphertextBlob", "Plaintext")


def utc_now() -> datetime:
    return datetime.now(tz=UTC)


class GrantIsDead(Exception):
    """The refresh token is not accepted."""


class Backend:
    """AWS and Xero, the latencies of their answers in seconds, and the calls that they had."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.reset({})

    def reset(self, latencies: dict[str, Any]) -> dict[str, Any]:
        self.aws_seconds = float(latencies.get("aws_seconds", 0))
        self.xero_seconds = float(latencies.get("xero_seconds", 0))
        self.slow_seconds = float(latencies.get("slow_seconds", 0))
        """How long Xero takes to answer where the client ID begins with `510E`; with `DEAD` the grant is dead."""
        self.dynamodb = StrictDynamoDB(utc_now, table_name=TABLE)
        self.secrets_manager = StrictSecretsManager(utc_now)
        self.kms = StrictKms(KEY_ARN)
        self.events = StrictEventBridge(BUS)
        self.rotation = Rotation(utc_now) if latencies.get("rotating") else None
        self.calls: Counter[str] = Counter()
        self.answered: list[tuple[float, str]] = []
        self.laps: list[Counter[str]] = []
        self._began: float | None = None
        self._serial = 0
        return {}

    def seed(self, order: dict[str, Any]) -> dict[str, Any]:
        with self._lock:
            fleet = Fleet(self.dynamodb, self.secrets_manager, utc_now)
            fleet.connect(**order)
            self.dynamodb.consumed = Consumed()
            self.calls.clear()
            self.answered.clear()
            self._began = None
            return {}

    def lap(self, _: dict[str, Any]) -> dict[str, Any]:
        with self._lock:
            self.laps.append(Counter(self.calls))
            self.calls.clear()
            self.dynamodb.consumed = Consumed()
            return {}

    def due(self, _: dict[str, Any]) -> dict[str, Any]:
        """Make everything due that Xero gave tokens for."""
        with self._lock:
            Fleet(self.dynamodb, self.secrets_manager, utc_now).make_due(
                {client_id for _, client_id in self.answered}
            )
            self.dynamodb.consumed = Consumed()
            self.calls.clear()
            self.answered.clear()
            self._began = None
            return {}

    def tickets(self, order: dict[str, Any]) -> dict[str, Any]:
        """Make credentials that nobody has consented to, each with a connect ticket."""
        with self._lock:
            fleet = Fleet(self.dynamodb, self.secrets_manager, utc_now)
            found = fleet.await_consents(DynamoDBConsents(cast("Any", self.dynamodb), TABLE), **order)
            return {"tickets": found}

    def counted(self, _: dict[str, Any]) -> dict[str, Any]:
        """Tell the calls, the units of DynamoDB, and when Xero answered whom, in seconds since the first call."""
        consumed = self.dynamodb.consumed
        return {
            "calls": dict(self.calls),
            "laps": self.laps,
            "answered": [(at - (self._began or at), client_id) for at, client_id in self.answered],
            "read_units": consumed.reads,
            "write_units": consumed.write_units,
        }

    def aws(self, target: str, body: dict[str, Any]) -> dict[str, Any]:
        service, _, operation = target.partition(".")
        double: Any = {
            "DynamoDB_20120810": self.dynamodb,
            "secretsmanager": self.secrets_manager,
            "TrentService": self.kms,
            "AWSEvents": self.events,
        }[service]
        if operation == "CreateSecret":
            # botocore adds one to every call; the double takes only what the product gives.
            body.pop("ClientRequestToken", None)
        for entry in body.get("Entries", []):
            entry["Time"] = datetime.fromtimestamp(entry["Time"], UTC)
        for name in _BYTES:
            if name in body:
                body[name] = base64.b64decode(body[name])
        for entry in body.get("Entries", ()):
            entry["Time"] = datetime.fromtimestamp(entry["Time"], tz=UTC)
        if self.aws_seconds:
            time.sleep(self.aws_seconds)
        with self._lock:
            self._began = self._began or time.time()
            self.calls[operation] += 1
            answer: dict[str, Any] = getattr(double, _OPERATIONS[operation])(**body)
        return {
            name: base64.b64encode(value).decode() if isinstance(value, bytes) else value
            for name, value in answer.items()
        }

    def get(self, path: str) -> object:
        """Answer for Xero's signing keys, and for the organisations of a token."""
        time.sleep(self.xero_seconds)
        keys = path.endswith("/jwks")
        with self._lock:
            self.calls["keys" if keys else "connections"] += 1
        if keys:
            return {"keys": [{**SIGNING_KEY.as_dict(private=False), "kid": "benchmark", "use": "sig"}]}
        return [
            {
                "id": str(UUID(int=1000 + number)),
                "tenantId": str(UUID(int=number)),
                "tenantType": "ORGANISATION",
                "tenantName": f"Organisation {number}",
            }
            for number in range(2)
        ]

    def token(self, authorization: str | None, form: dict[str, str], issuer: str) -> dict[str, Any]:
        client_id = form.get("client_id") or _basic_user(authorization or "")
        seconds = self.slow_seconds if client_id.startswith("510E") else self.xero_seconds
        presented = form.get("refresh_token", "0" * 8 + "r" * 36)
        with self._lock:
            self._serial += 1
            refresh_token = f"{self._serial:08d}{presented[8:]}"
        if self.rotation:
            self.rotation.answer(client_id, presented, refresh_token, seconds=seconds)
        else:
            time.sleep(seconds)
        if client_id.startswith("DEAD"):
            raise GrantIsDead
        with self._lock:
            self.calls["token"] += 1
            self.answered.append((time.time(), client_id))
        now = utc_now()
        answer = {
            "access_token": access_token(client_id, now),
            "refresh_token": refresh_token,
            "token_type": "Bearer",
            "expires_in": 1800,
            "scope": "offline_access openid accounting.contacts",
        }
        if form["grant_type"] == "authorization_code":
            # The browser of the benchmarks hands in the nonce as the code.
            at = int(now.timestamp())
            claims: dict[str, Any] = {"iss": issuer, "aud": client_id, "sub": "0" * 32, "nonce": form["code"]}
            claims |= {"iat": at, "exp": at + 300, "xero_userid": str(UUID(int=7))}
            answer["id_token"] = jwt.encode({"alg": "RS256", "kid": "benchmark"}, claims, SIGNING_KEY)
        return answer


def _basic_user(authorization: str) -> str:
    return base64.b64decode(authorization.removeprefix("Basic ")).decode().partition(":")[0]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    backend: Backend
    scheme: str
    control: dict[str, Callable[[dict[str, Any]], dict[str, Any]]]

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        content = self.rfile.read(length)
        if len(content) < length:
            # The client was killed as it wrote.
            self.close_connection = True
            return
        status, kind = 200, "application/json"
        try:
            answer: dict[str, Any]
            if target := self.headers.get("X-Amz-Target"):
                kind = self.headers["Content-Type"]
                answer = self.backend.aws(target, json.loads(content))
            elif self.path == "/connect/token":
                issuer = f"{self.scheme}://{self.headers['Host']}"
                form = dict(parse_qsl(content.decode()))
                answer = self.backend.token(self.headers.get("Authorization"), form, issuer)
            else:
                answer = self.control[self.path](json.loads(content or b"{}"))
        except GrantIsDead:
            status, answer = 400, {"error": "invalid_grant"}
        except ClientError as refused:
            status, answer = 400, {"__type": refused.response["Error"]["Code"], "message": "refused"}
        except InvalidGrantError as refused:
            status, answer = 400, {"error": str(refused)}
        self._send(status, kind, answer)

    def do_GET(self) -> None:
        self._send(200, "application/json", self.backend.get(urlsplit(self.path).path))

    def _send(self, status: int, kind: str, answer: object) -> None:
        body = json.dumps(answer, default=str).encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    @override
    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 512

    @override
    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), ConnectionError | ssl.SSLError):
            super().handle_error(request, client_address)


def serve(backend: Backend, certificates: Certificates | None) -> int:
    """Serve in the background and return the port."""
    control = {
        "/seed": backend.seed,
        "/due": backend.due,
        "/tickets": backend.tickets,
        "/reset": backend.reset,
        "/calls": backend.counted,
        "/lap": backend.lap,
        **kept_world.controls(backend),
    }
    scheme = "https" if certificates else "http"
    handler = type("Handler", (_Handler,), {"backend": backend, "control": control, "scheme": scheme})
    server = _Server((HOST, 0), handler)
    if certificates is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificates.chain, certificates.key)
        # The handshake belongs to the thread of its connection, not to the one that accepts.
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=_run, args=(server,), daemon=True).start()
    return int(server.server_address[1])


def _run(server: BaseServer) -> None:
    server.serve_forever(poll_interval=0.5)


def main() -> None:
    """Serve until the parent closes our standard input."""
    backend = Backend()
    certificates = make_certificates(Path(sys.argv[1]))
    plain, secure = serve(backend, None), serve(backend, certificates)
    addresses = {
        "plain": f"http://{HOST}:{plain}",
        "tls": f"https://localhost:{secure}",
        "root": str(certificates.root),
    }
    sys.stdout.write(json.dumps(addresses) + "\n")
    sys.stdout.flush()
    sys.stdin.read()


if __name__ == "__main__":
    main()
