"""The checks of the authorize endpoint, in the order of IdentityServer's AuthorizeRequestValidator."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import quote, urlencode, urlsplit

from local.xero_simulator.apps import APP_CONNECTIONS_SCOPE, App

CHALLENGE_LENGTHS = range(43, 129)


class AuthorizeError(Exception):
    """A refusal that strands the browser on Xero's own error page."""

    def __init__(self, error: str, description: str) -> None:
        super().__init__(f"{error} : {description}")
        self.error = error
        self.description = description


class SentBackError(Exception):
    """A refusal that goes straight back to the client's redirect URI, which is `location`."""

    def __init__(self, location: str) -> None:
        super().__init__("sent back to the client")
        self.location = location


@dataclass(frozen=True, slots=True)
class AuthorizationRequest:
    """An authorization request that passed every check."""

    app: App
    redirect_uri: str
    scope: tuple[str, ...]
    state: str | None
    nonce: str | None
    code_challenge: str | None

    def offers(self, tenant_ids: Iterable[str]) -> bool:
        """Tell whether the user could choose these organisations."""
        return {organisation.tenant_id for organisation in self.app.organisations}.issuperset(tenant_ids)

    def redirect(self, **parameters: str) -> str:
        """Build the answer to the client: its redirect URI with these parameters and its state."""
        return _redirect(self.redirect_uri, self.state, parameters)


def check_authorization_request(parameters: Mapping[str, str], apps: Mapping[str, App]) -> AuthorizationRequest:
    """Return the request, or raise `AuthorizeError` or `SentBackError`."""
    app = _checked_client(parameters, apps)
    redirect_uri = _checked_redirect_uri(parameters, app)
    if not parameters.get("response_type"):
        raise AuthorizeError("unsupported_response_type", "Missing response_type")
    if parameters["response_type"] != "code":
        raise AuthorizeError("unsupported_response_type", "Response type not supported")
    code_challenge = _checked_challenge(parameters, app)
    if parameters.get("response_mode", "query") != "query":
        raise AuthorizeError("unsupported_response_type", "Invalid response_mode")
    if "authorization_code" not in app.grant_types:
        raise AuthorizeError("unauthorized_client", "Invalid grant type for client")
    return AuthorizationRequest(
        app=app,
        redirect_uri=redirect_uri,
        scope=_checked_scope(parameters, app, redirect_uri),
        state=parameters.get("state") or None,
        nonce=parameters.get("nonce") or None,
        code_challenge=code_challenge,
    )


def _checked_client(parameters: Mapping[str, str], apps: Mapping[str, App]) -> App:
    client_id = parameters.get("client_id")
    if not client_id:
        raise AuthorizeError("invalid_request", "Invalid client_id")
    app = apps.get(client_id)
    if app is None:
        raise AuthorizeError("unauthorized_client", "Unknown client or client not enabled")
    return app


def _checked_redirect_uri(parameters: Mapping[str, str], app: App) -> str:
    redirect_uri = parameters.get("redirect_uri", "")
    try:
        absolute = bool(urlsplit(redirect_uri).scheme)
    except ValueError:
        absolute = False
    if not absolute:
        raise AuthorizeError("invalid_request", "Invalid redirect_uri")
    if not app.has_redirect_uri(redirect_uri):
        raise AuthorizeError("unauthorized_client", "Invalid redirect_uri")
    return redirect_uri


def _checked_challenge(parameters: Mapping[str, str], app: App) -> str | None:
    challenge = parameters.get("code_challenge")
    if not challenge:
        if app.is_public:
            raise AuthorizeError("invalid_request", "code challenge required")
        return None
    if len(challenge) not in CHALLENGE_LENGTHS:
        raise AuthorizeError("invalid_request", "Invalid code_challenge")
    # No method means "plain" (RFC 7636 section 4.3), which is not allowed.
    if parameters.get("code_challenge_method") != "S256":
        raise AuthorizeError("invalid_request", "Transform algorithm not supported")
    return challenge


def _checked_scope(parameters: Mapping[str, str], app: App, redirect_uri: str) -> tuple[str, ...]:
    scope = tuple(dict.fromkeys(parameters.get("scope", "").split(" ")))
    scope = tuple(name for name in scope if name)
    if not scope:
        raise AuthorizeError("invalid_request", "Invalid scope")
    if not app.known_scopes.issuperset(scope):
        raise AuthorizeError("invalid_scope", "Invalid scope")
    if not app.scopes.issuperset(scope):
        if not app.granular_scopes and APP_CONNECTIONS_SCOPE not in scope:
            raise AuthorizeError("unauthorized_client", "Invalid scope for client")
        refusal = {"error": "access_denied", "error_description": "Requested wrong apps scopes"}
        raise SentBackError(_redirect(redirect_uri, parameters.get("state"), refusal))
    return scope


def _redirect(redirect_uri: str, state: str | None, parameters: Mapping[str, str]) -> str:
    answer = {**parameters, **({"state": state} if state else {})}
    separator = "&" if urlsplit(redirect_uri).query else "?"
    return f"{redirect_uri}{separator}{urlencode(answer, quote_via=quote, safe='')}"
