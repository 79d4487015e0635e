"""The control API under /_simulator: what tests may do to the simulator. It is no part of Xero."""

import math
from collections.abc import Mapping
from datetime import timedelta
from http import HTTPStatus
from typing import cast

from flask import Blueprint, Response, jsonify, request

from local.xero_simulator.apps import (
    DEFAULT_API_SCOPES,
    DEFAULT_REDIRECT_URI,
    IntegrationType,
    InvalidRegistrationError,
)
from local.xero_simulator.faults import LONGEST_DELAY, Endpoint, Fault, FaultKind
from local.xero_simulator.identity_server import UnknownAppError
from local.xero_simulator.simulation import Simulation
from local.xero_simulator.token_signer import IdTokenFault

PREFIX = "/_simulator"
LONGEST_STEP = timedelta(days=3660)
MOST_TIMES = 100_000

_TIMES = range(1, MOST_TIMES + 1)
_INTEGRATION_TYPES = {choice.value: choice for choice in IntegrationType}
_ENDPOINTS = {choice.value: choice for choice in Endpoint}
_FAULT_KINDS = {choice.value: choice for choice in FaultKind}
_ID_TOKEN_FAULTS = {"none": None, **{choice.value: choice for choice in IdTokenFault}}


class InvalidControlError(ValueError):
    """The control request makes no sense; the message says why."""


class _Fields:
    """The members of a JSON object, each taken once; leftovers are mistakes."""

    def __init__(self, members: Mapping[str, object]) -> None:
        self._members = dict(members)

    def has(self, name: str) -> bool:
        return name in self._members

    def text(self, name: str) -> str:
        value = self._take(name)
        if not isinstance(value, str) or not value:
            raise InvalidControlError(f"{name} must be a non-empty string")
        return value

    def one_of[Choice](self, name: str, choices: Mapping[str, Choice]) -> Choice:
        value = self._take(name)
        if not isinstance(value, str) or value not in choices:
            raise InvalidControlError(f"{name} must be one of {', '.join(choices)}")
        return choices[value]

    def boolean(self, name: str) -> bool:
        value = self._take(name)
        if not isinstance(value, bool):
            raise InvalidControlError(f"{name} must be true or false")
        return value

    def whole_number(self, name: str, bounds: range) -> int:
        value = self._take(name)
        if not isinstance(value, int) or isinstance(value, bool) or value not in bounds:
            raise InvalidControlError(f"{name} must be a whole number from {bounds[0]} to {bounds[-1]}")
        return value

    def seconds(self, name: str, longest: timedelta) -> timedelta:
        value = self._take(name)
        if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
            raise InvalidControlError(f"{name} must be a number")
        if not 0 <= value <= longest.total_seconds():
            raise InvalidControlError(f"{name} must be from 0 to {longest.total_seconds():.0f}")
        return timedelta(seconds=value)

    def texts(self, name: str) -> list[str]:
        value = self._take(name)
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise InvalidControlError(f"{name} must be a list of strings")
        return cast("list[str]", value)

    def words(self, name: str) -> list[str]:
        if isinstance(self._members.get(name), str):
            return self.text(name).split()
        return self.texts(name)

    def headers(self, name: str) -> Mapping[str, str]:
        value = self._take(name)
        if not isinstance(value, dict):
            raise InvalidControlError(f"{name} must be an object of strings")
        for header, content in value.items():
            if not isinstance(content, str) or not header.isascii() or set("\r\n") & set(header + content):
                raise InvalidControlError(f"{name} must be an object of strings without line breaks")
        return cast("dict[str, str]", value)

    def finish(self) -> None:
        if self._members:
            raise InvalidControlError(f"not understood here: {', '.join(sorted(self._members))}")

    def _take(self, name: str) -> object:
        try:
            return self._members.pop(name)
        except KeyError:
            raise InvalidControlError(f"{name} is missing") from None


class _ControlApi:
    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation
        self._identity_server = simulation.identity_server

    def register_app(self) -> Response:
        fields = _body(
            redirect_uris=[DEFAULT_REDIRECT_URI],
            scopes=list(DEFAULT_API_SCOPES),
            granular_scopes=True,
            case_sensitive_redirect_uris=False,
        )
        integration_type = fields.one_of("integration_type", _INTEGRATION_TYPES)
        redirect_uris = fields.texts("redirect_uris")
        scopes = fields.words("scopes")
        organisations = fields.texts("organisations") if fields.has("organisations") else None
        granular_scopes = fields.boolean("granular_scopes")
        case_sensitive_redirect_uris = fields.boolean("case_sensitive_redirect_uris")
        fields.finish()
        app = self._identity_server.register_app(
            integration_type,
            redirect_uris=redirect_uris,
            scopes=scopes,
            organisations=organisations,
            granular_scopes=granular_scopes,
            case_sensitive_redirect_uris=case_sensitive_redirect_uris,
        )
        return _answer(HTTPStatus.CREATED, **app._asdict())

    def add_secret(self, client_id: str) -> Response:
        client_secret = self._identity_server.add_secret(client_id)
        return _answer(HTTPStatus.CREATED, client_id=client_id, client_secret=client_secret)

    def delete_secrets(self, client_id: str) -> Response:
        self._identity_server.delete_secrets(client_id)
        return Response(status=HTTPStatus.NO_CONTENT)

    def set_connections(self, client_id: str) -> Response:
        fields = _body()
        organisations = fields.texts("organisations")
        fields.finish()
        self._identity_server.connect_exactly(client_id, organisations)
        return Response(status=HTTPStatus.NO_CONTENT)

    def add_fault(self) -> Response:
        fields = _body(times=1)
        times = fields.whole_number("times", _TIMES)
        fault = _fault(fields)
        fields.finish()
        self._simulation.faults.add(fault, times=times)
        return _answer(HTTPStatus.CREATED, endpoint=fault.endpoint, kind=fault.kind, times=times)

    def clear_faults(self) -> Response:
        self._simulation.faults.clear()
        return Response(status=HTTPStatus.NO_CONTENT)

    def break_id_tokens(self) -> Response:
        fields = _body(times=1)
        fault = fields.one_of("fault", _ID_TOKEN_FAULTS)
        times = fields.whole_number("times", _TIMES)
        fields.finish()
        self._identity_server.break_id_tokens(fault, times=times)
        return _answer(HTTPStatus.OK, fault=fault or "none", times=times)

    def advance_clock(self) -> Response:
        fields = _body()
        step = fields.seconds("advance_seconds", LONGEST_STEP)
        fields.finish()
        return _answer(HTTPStatus.OK, now=self._simulation.clock.advance(step).isoformat())

    def choose_world(self) -> Response:
        fields = _body()
        survives = fields.boolean("first_successor_survives")
        fields.finish()
        self._identity_server.first_successor_survives = survives
        return _answer(HTTPStatus.OK, first_successor_survives=survives)

    def journal(self) -> Response:
        return jsonify(self._simulation.journal.entries)

    def reset(self) -> Response:
        self._simulation.reset()
        return Response(status=HTTPStatus.NO_CONTENT)


def control_api(simulation: Simulation) -> Blueprint:
    """Make the routes of the control API."""
    api = _ControlApi(simulation)
    blueprint = Blueprint("control", __name__, url_prefix=PREFIX)
    blueprint.post("/apps")(api.register_app)
    blueprint.post("/apps/<client_id>/secret")(api.add_secret)
    blueprint.delete("/apps/<client_id>/secret")(api.delete_secrets)
    blueprint.put("/apps/<client_id>/connections")(api.set_connections)
    blueprint.post("/faults")(api.add_fault)
    blueprint.delete("/faults")(api.clear_faults)
    blueprint.post("/id_token")(api.break_id_tokens)
    blueprint.post("/clock")(api.advance_clock)
    blueprint.post("/grace")(api.choose_world)
    blueprint.get("/journal")(api.journal)
    blueprint.post("/reset")(api.reset)
    blueprint.register_error_handler(InvalidControlError, _refuse)
    blueprint.register_error_handler(InvalidRegistrationError, _refuse)
    blueprint.register_error_handler(UnknownAppError, _not_found)
    return blueprint


def _refuse(error: ValueError) -> Response:
    return _answer(HTTPStatus.BAD_REQUEST, error=str(error))


def _not_found(_: UnknownAppError) -> Response:
    return _answer(HTTPStatus.NOT_FOUND, error="no such app, or one that has no secrets")


def _fault(fields: _Fields) -> Fault:
    endpoint = fields.one_of("endpoint", _ENDPOINTS)
    kind = fields.one_of("kind", _FAULT_KINDS)
    match kind:
        case FaultKind.STATUS:
            return Fault(
                endpoint,
                kind,
                status=fields.whole_number("status", range(200, 600)),
                error=fields.text("error") if fields.has("error") else None,
                headers=fields.headers("headers") if fields.has("headers") else {},
            )
        case FaultKind.DELAY | FaultKind.DRIP:
            return Fault(endpoint, kind, delay=fields.seconds("seconds", LONGEST_DELAY))
        case FaultKind.HTML_403 | FaultKind.ENDLESS | FaultKind.DROP_BEFORE | FaultKind.DROP_AFTER:
            return Fault(endpoint, kind)


def _body(**defaults: object) -> _Fields:
    # Whatever the content type says: a test's curl command need not be polite.
    document = request.get_json(force=True, silent=True)
    if not isinstance(document, dict):
        raise InvalidControlError("the body must be a JSON object")
    return _Fields({**defaults, **document})


def _answer(status: HTTPStatus, **members: object) -> Response:
    response = jsonify(members)
    response.status_code = status
    return response
