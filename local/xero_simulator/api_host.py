"""api.xero.com, as far as connections go."""

from http import HTTPStatus

from flask import Blueprint, Response, jsonify, request

from local.xero_simulator.identity_server import IdentityServer
from local.xero_simulator.token_signer import InvalidAccessTokenError


def bearer_token() -> str:
    """Read the request's bearer token; empty where there is none."""
    scheme, _, access_token = request.headers.get("Authorization", "").partition(" ")
    return access_token if scheme.lower() == "bearer" else ""


def api_host(identity_server: IdentityServer) -> Blueprint:
    """Make the routes of the API host."""
    blueprint = Blueprint("api_host", __name__)

    @blueprint.errorhandler(InvalidAccessTokenError)
    def refuse(_: InvalidAccessTokenError) -> Response:
        response = jsonify(
            Type=None,
            Title="Unauthorized",
            Status=HTTPStatus.UNAUTHORIZED,
            Detail="AuthenticationUnsuccessful",
            Extensions={},
        )
        response.status_code = HTTPStatus.UNAUTHORIZED
        response.headers["WWW-Authenticate"] = "Bearer"
        return response

    # Paths of Xero's API are not case-sensitive: its own Python SDK asks for /Connections.
    @blueprint.get("/connections")
    @blueprint.get("/Connections")
    def connections() -> Response:
        return jsonify(identity_server.connections(bearer_token(), request.args.get("authEventId")))

    @blueprint.delete("/connections/<connection_id>")
    @blueprint.delete("/Connections/<connection_id>")
    def disconnect(connection_id: str) -> Response:
        removed = identity_server.disconnect(bearer_token(), connection_id)
        return Response(status=HTTPStatus.NO_CONTENT if removed else HTTPStatus.NOT_FOUND)

    return blueprint
