"""The WSGI application: Xero's three hosts under one address, with faults and a journal around them."""

from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from http import HTTPStatus
from typing import Any
from uuid import uuid4
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from flask import Flask, Response, g, jsonify, render_template, request

from local.xero_simulator.api_host import api_host, bearer_token
from local.xero_simulator.client_authentication import presented_credentials
from local.xero_simulator.control import PREFIX, control_api
from local.xero_simulator.developer_portal.blueprint import developer_portal
from local.xero_simulator.faults import Endpoint, Fault, FaultKind
from local.xero_simulator.identity_host import identity_host
from local.xero_simulator.identity_server import GRANT_TYPES, IdentityServer
from local.xero_simulator.joined import joined
from local.xero_simulator.login_host import login_host
from local.xero_simulator.simulation import Simulation
from local.xero_simulator.token_signer import InvalidAccessTokenError

type Sleep = Callable[[timedelta], object]

_DROP = "xero_simulator.drop"
_SLOWLY = "xero_simulator.slowly"
_ENDPOINTS = {
    "/identity/connect/authorize": Endpoint.AUTHORIZE,
    "/connect/token": Endpoint.TOKEN,
    "/connect/revocation": Endpoint.REVOCATION,
    "/connections": Endpoint.CONNECTIONS,
    "/connections/<connection_id>": Endpoint.CONNECTIONS,
    "/.well-known/openid-configuration/jwks": Endpoint.JWKS,
}


def wsgi_application(simulation: Simulation, sleep: Sleep) -> WSGIApplication:
    """Make the application; it raises `ConnectionAbortedError` where the server is to hang up."""
    flask = Flask(__name__, static_folder=None)
    flask.register_blueprint(login_host(simulation.identity_server))
    flask.register_blueprint(identity_host(simulation.identity_server))
    flask.register_blueprint(api_host(simulation.identity_server))
    flask.register_blueprint(developer_portal(simulation.identity_server, simulation.clock))
    flask.register_blueprint(control_api(simulation))

    @flask.before_request
    def arrive() -> Response | None:
        g.arrived_at = simulation.clock()
        g.journal_page = simulation.journal.page
        endpoint = _ENDPOINTS.get(request.url_rule.rule) if request.url_rule else None
        g.fault = simulation.faults.take(endpoint) if endpoint else None
        return _answer_instead(g.fault, sleep) if g.fault else None

    @flask.after_request
    def leave(response: Response) -> Response:
        response.headers["Xero-Correlation-Id"] = str(uuid4())
        dropped = g.fault is not None and g.fault.kind in {FaultKind.DROP_BEFORE, FaultKind.DROP_AFTER}
        request.environ[_DROP] = dropped
        request.environ[_SLOWLY] = g.fault
        if not request.path.startswith(PREFIX):
            simulation.journal.record(
                g.journal_page,
                g.arrived_at,
                method=request.method,
                path=request.path,
                status=None if dropped else response.status_code,
                client_id=_client_id(simulation.identity_server),
                grant_type=_grant_type(),
            )
        return response

    return _hanging_up(flask, sleep)


def _answer_instead(fault: Fault, sleep: Sleep) -> Response | None:
    match fault.kind:
        case FaultKind.STATUS:
            # Xero documents no form for these answers: without an `error` it is one that no client can parse.
            response = jsonify(error=fault.error) if fault.error else Response("simulated fault\n")
            response.status_code = fault.status
            response.headers.update(fault.headers)
            return response
        case FaultKind.HTML_403:
            return Response(render_template("firewall.html"), HTTPStatus.FORBIDDEN)
        case FaultKind.DELAY:
            sleep(fault.delay)
            return None
        case FaultKind.DROP_BEFORE:
            return Response()
        case FaultKind.DROP_AFTER | FaultKind.DRIP | FaultKind.ENDLESS:
            return None


def _client_id(identity_server: IdentityServer) -> str | None:
    """Name the client; only a registered id, since a confused client may put its secret in that place."""
    if request.path.startswith("/connections"):
        try:
            return str(identity_server.verify_access_token(bearer_token())["client_id"])
        except InvalidAccessTokenError:
            return None
    form = joined(request.form.items(multi=True))
    presented = presented_credentials(form, request.headers.get("Authorization"))
    client_id = presented.client_id if presented else request.args.get("client_id", "")
    return client_id if identity_server.is_registered(client_id) else None


def _grant_type() -> str | None:
    grant_type = request.form.get("grant_type")
    return grant_type if grant_type in GRANT_TYPES else None


def _hanging_up(application: WSGIApplication, sleep: Sleep) -> WSGIApplication:
    def answer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        held: list[Any] = []

        def hold(*head: Any) -> Callable[[bytes], object]:  # noqa: ANN401 - what WSGI hands on
            held[:] = head
            return lambda _: None

        body = application(environ, hold)
        if environ.get(_DROP):
            # Nothing has been sent yet: werkzeug writes the head with the first piece of the body.
            raise ConnectionAbortedError
        status, headers, *error = held
        fault = environ.get(_SLOWLY)
        if fault is not None and fault.kind is FaultKind.DRIP:
            body = _dripping(b"".join(body), fault.delay, sleep)
        if fault is not None and fault.kind is FaultKind.ENDLESS:
            headers = [(name, value) for name, value in headers if name.lower() != "content-length"]
            body = _endless()
        start_response(status, headers, *error)
        return body

    return answer


def _dripping(content: bytes, pause: timedelta, sleep: Sleep) -> Iterator[bytes]:
    for position in range(len(content)):
        sleep(pause)
        yield content[position : position + 1]


def _endless() -> Iterator[bytes]:
    yield b'{"a": "'
    while True:
        yield b"x" * 65_536
