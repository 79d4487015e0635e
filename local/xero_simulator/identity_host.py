"""identity.xero.com: the token and revocation endpoints, discovery and keys."""

from http import HTTPStatus

from flask import Blueprint, Response, jsonify, request

from local.xero_simulator.apps import API_SCOPES, OIDC_SCOPES
from local.xero_simulator.identity_server import IdentityServer, TokenError
from local.xero_simulator.joined import joined

_FORM_TYPES = frozenset({"application/x-www-form-urlencoded", "multipart/form-data"})


class _IdentityHost:
    def __init__(self, identity_server: IdentityServer) -> None:
        self._identity_server = identity_server

    def token(self) -> Response:
        if request.method != "POST":
            raise TokenError("invalid_request")
        # A JSON body has no form fields, so no grant type either; this comes before the client's own check.
        if request.mimetype not in _FORM_TYPES:
            raise TokenError("unsupported_grant_type")
        return jsonify(self._identity_server.token(_form(), authorization=_authorization()))

    def revocation(self) -> Response:
        if request.mimetype not in _FORM_TYPES:
            return Response(status=HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
        self._identity_server.revoke(_form(), authorization=_authorization())
        return Response(status=HTTPStatus.OK)

    def configuration(self) -> Response:
        issuer = self._identity_server.issuer
        return jsonify(
            issuer=issuer,
            authorization_endpoint=f"{issuer}/identity/connect/authorize",
            token_endpoint=f"{issuer}/connect/token",
            revocation_endpoint=f"{issuer}/connect/revocation",
            jwks_uri=f"{issuer}/.well-known/openid-configuration/jwks",
            scopes_supported=sorted(OIDC_SCOPES | API_SCOPES),
            response_types_supported=["code"],
            response_modes_supported=["query"],
            grant_types_supported=["authorization_code", "client_credentials", "refresh_token"],
            subject_types_supported=["public"],
            id_token_signing_alg_values_supported=["RS256"],
            token_endpoint_auth_methods_supported=["client_secret_basic", "client_secret_post"],
            code_challenge_methods_supported=["S256"],
        )

    def jwks(self) -> Response:
        return jsonify(self._identity_server.jwks)


def identity_host(identity_server: IdentityServer) -> Blueprint:
    """Make the routes of the identity host."""
    host = _IdentityHost(identity_server)
    blueprint = Blueprint("identity_host", __name__)
    blueprint.route("/connect/token", methods=["GET", "POST"])(host.token)
    blueprint.post("/connect/revocation")(host.revocation)
    blueprint.get("/.well-known/openid-configuration")(host.configuration)
    blueprint.get("/.well-known/openid-configuration/jwks")(host.jwks)
    blueprint.register_error_handler(TokenError, _refuse)
    blueprint.after_request(_forbid_caching)
    return blueprint


def _refuse(error: TokenError) -> Response:
    response = jsonify(error=error.error)
    response.status_code = HTTPStatus.BAD_REQUEST
    return response


def _forbid_caching(response: Response) -> Response:
    # The keys may be cached, the answers about tokens may not.
    if request.path.startswith("/connect/"):
        response.headers["Cache-Control"] = "no-store, no-cache, max-age=0"
        response.headers["Pragma"] = "no-cache"
    return response


def _form() -> dict[str, str]:
    return joined(request.form.items(multi=True))


def _authorization() -> str | None:
    return request.headers.get("Authorization")
