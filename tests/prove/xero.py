"""Xero in this process: the simulator's own code behind the real `requests`, without a socket."""

import json
import secrets
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cache
from io import BytesIO
from random import Random
from typing import Any
from unittest import mock
from urllib.parse import parse_qsl, urlsplit

import requests
from joserfc.jwk import RSAKey
from urllib3 import HTTPResponse
from urllib3.exceptions import ProtocolError

from local.xero_simulator import apps
from local.xero_simulator.client_authentication import presented_credentials
from local.xero_simulator.clock import SimulatorClock
from local.xero_simulator.identity_server import IdentityServer, RegisteredApp
from local.xero_simulator.simulation import Simulation
from local.xero_simulator.token_signer import new_signing_key
from local.xero_simulator.users import DEFAULT_EMAIL
from local.xero_simulator.web import wsgi_application
from tests.fakes.transport import answering
from tests.fakes.world import SETTINGS
from xero_connector.adapters.budget import Transport
from xero_connector.domain.credential import IntegrationType

type Gate = Callable[[str, Callable[[], HTTPResponse]], HTTPResponse]
"""Lets one outside call happen, given its name and its effect."""


@cache
def signing_key() -> RSAKey:
    return new_signing_key()


def register(server: IdentityServer, draw: Random, **app: Any) -> RegisteredApp:  # noqa: ANN401
    """Register an app whose client ID is drawn from a seed: the jitter of its due times is hashed from it."""
    with mock.patch.object(secrets, "token_hex", lambda size: draw.randbytes(size).hex()):
        return server.register_app(**app)


def _client_id(request: requests.PreparedRequest) -> str | None:
    presented = presented_credentials({}, request.headers.get("Authorization"))
    return presented and presented.client_id


class InProcessXero:
    """One simulator that each run starts afresh, since building its WSGI application takes longer than a run."""

    def __init__(self) -> None:
        self._now: Callable[[], datetime] | None = None
        clock = SimulatorClock(self._time)
        self.server = IdentityServer(issuer=SETTINGS.xero_identity_url, now=clock, signing_key=signing_key())
        self.simulation = Simulation(self.server, clock)
        self._application = wsgi_application(self.simulation, lambda _: None)
        self.issued: list[str] = []
        """Every refresh token that Xero gave out, in order."""
        self.presented: Counter[str] = Counter()
        """How often each refresh token was exchanged for another."""
        self.client_id = ""
        """Whose pair came with the last request that had one."""

    def _time(self) -> datetime:
        assert self._now is not None
        return self._now()

    def restart(self, now: Callable[[], datetime], *, first_successor_survives: bool) -> None:
        self._now = now
        self.simulation.reset()
        self.issued.clear()
        self.presented.clear()
        self.server.first_successor_survives = first_successor_survives

    def transport(self, gate: Gate) -> Transport:
        """Return what an adapter sends its requests by; each passes the gate."""
        return answering(lambda request: self._pass(request, gate))

    def _pass(self, request: requests.PreparedRequest, gate: Gate) -> HTTPResponse:
        self.client_id = _client_id(request) or self.client_id
        name = f"xero.{request.method} {urlsplit(request.url or '').path}"
        return gate(name, lambda: self._answer(request))

    def register(self, integration_type: IntegrationType) -> RegisteredApp:
        # The same client ID for every world: there is but one app in each.
        return register(
            self.server,
            Random(0),  # noqa: S311 - a seed is the point
            integration_type=apps.IntegrationType(integration_type),
            redirect_uris=[SETTINGS.redirect_uri],
        )

    def consent(self, authorization_url: str, *, email: str = DEFAULT_EMAIL) -> Mapping[str, str]:
        """Have a person allow everything; returns the query of the redirect back."""
        request = self.server.check_authorization_request(dict(parse_qsl(urlsplit(authorization_url).query)))
        session = self.server.log_in(email)
        location = self.server.allow(request, session, [one.tenant_id for one in request.app.organisations])
        return dict(parse_qsl(urlsplit(location).query))

    def accepted(self, grant_type: str) -> int:
        """How many token requests of this type Xero granted."""
        return sum(
            entry.get("grant_type") == grant_type and entry["status"] == requests.codes.ok
            for entry in self.simulation.journal.entries
        )

    def revocations(self) -> int:
        return sum(
            entry["path"] == "/connect/revocation" and entry["status"] == requests.codes.ok
            for entry in self.simulation.journal.entries
        )

    def connections_of(self, client_id: str, client_secret: str) -> int:
        """How many organisations a Custom connection has: one, or none once it was ended."""
        form = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": client_secret}
        return len(self.server.connections(self.server.token(form)["access_token"]))

    def _answer(self, request: requests.PreparedRequest) -> HTTPResponse:
        body = request.body or b""
        if isinstance(body, str):
            body = body.encode()
        parts = urlsplit(request.url or "")
        environ: dict[str, Any] = {
            "REQUEST_METHOD": request.method,
            "SCRIPT_NAME": "",
            "PATH_INFO": parts.path,
            "QUERY_STRING": parts.query,
            "SERVER_NAME": parts.hostname,
            "SERVER_PORT": "443",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "CONTENT_TYPE": request.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "https",
            "wsgi.input": BytesIO(body),
            "wsgi.errors": BytesIO(),
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
        }
        for name, value in request.headers.items():
            environ.setdefault(f"HTTP_{name.upper().replace('-', '_')}", value)
        head: list[Any] = []

        def start_response(
            status: str, headers: list[tuple[str, str]], _: object = None
        ) -> Callable[[bytes], object]:
            head[:] = [int(status.split(" ", 1)[0]), headers]
            return lambda _: None

        try:
            content = b"".join(self._application(environ, start_response))
        except ConnectionAbortedError as dropped:
            raise requests.ConnectionError(ProtocolError("Connection aborted.", dropped)) from None
        status, headers = head
        if status == requests.codes.ok and parts.path == "/connect/token":
            # A Custom connection's token has no successor.
            if issued := json.loads(content).get("refresh_token"):
                self.issued.append(issued)
            if presented := dict(parse_qsl(body.decode())).get("refresh_token"):
                self.presented[presented] += 1
        return HTTPResponse(body=BytesIO(content), headers=headers, status=status, preload_content=False)
