"""The rules of Xero's identity server and connections API, without HTTP and with an injected clock.

Usable in process: `register_app`, `consent`, then `token` as often as an experiment likes. Thread safe.
"""

import base64
import hashlib
import secrets
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import RLock
from typing import Literal, NamedTuple, NotRequired, TypedDict
from uuid import uuid4

from joserfc.jwk import RSAKey

from local.xero_simulator.apps import (
    DEFAULT_API_SCOPES,
    DEFAULT_REDIRECT_URI,
    OIDC_SCOPES,
    App,
    ClientSecret,
    IntegrationType,
    InvalidRegistrationError,
    Organisation,
    checked_organisations,
    new_app,
)
from local.xero_simulator.authorization import (
    CHALLENGE_LENGTHS,
    AuthorizationRequest,
    check_authorization_request,
)
from local.xero_simulator.client_authentication import presented_credentials
from local.xero_simulator.clock import Now, utc_now
from local.xero_simulator.connections import ConnectionDocument, Connections, Owner
from local.xero_simulator.refresh_tokens import Grant, RefreshTokens, UnknownRefreshTokenError
from local.xero_simulator.token_signer import (
    ACCESS_TOKEN_LIFETIME,
    Claims,
    IdTokenFault,
    InvalidAccessTokenError,
    TokenSigner,
    new_signing_key,
)
from local.xero_simulator.users import DEFAULT_EMAIL, Session, User

XERO_ISSUER = "https://identity.xero.com"
CODE_LIFETIME = timedelta(minutes=5)

# The grant types that IdentityServer knows; anything else is an unsupported one.
GRANT_TYPES = frozenset(
    {
        "authorization_code",
        "client_credentials",
        "password",
        "refresh_token",
        "urn:ietf:params:oauth:grant-type:device_code",
    }
)

type TokenErrorCode = Literal[
    "invalid_client",
    "invalid_grant",
    "invalid_request",
    "invalid_scope",
    "unauthorized_client",
    "unsupported_grant_type",
    "unsupported_token_type",
]


class TokenError(Exception):
    """A refusal of the token or revocation endpoint; `error` is RFC 6749's code."""

    def __init__(self, error: TokenErrorCode) -> None:
        super().__init__(error)
        self.error: TokenErrorCode = error


class UnknownAppError(LookupError):
    """No app has this client id."""


class TokenResponse(TypedDict):
    """The successful answer of the token endpoint."""

    id_token: NotRequired[str]
    access_token: str
    expires_in: int
    token_type: Literal["Bearer"]
    refresh_token: NotRequired[str]
    scope: str


class RegisteredApp(NamedTuple):
    """A new client id with its secret, which a public app does not have."""

    client_id: str
    client_secret: str | None


@dataclass(frozen=True, slots=True)
class _Code:
    issued_at: datetime
    request: AuthorizationRequest
    grant: Grant


@dataclass(frozen=True, slots=True)
class _Issue:
    """What a token response will be made of."""

    grant: Grant
    issued_at: datetime
    refresh_token: str | None = None
    nonce: str | None = None
    id_token_fault: IdTokenFault | None = None


@dataclass(slots=True)
class _State:
    """Everything that a reset forgets."""

    apps: dict[str, App] = field(default_factory=dict)
    sessions: dict[str, Session] = field(default_factory=dict)
    codes: dict[str, _Code] = field(default_factory=dict)
    refresh_tokens: RefreshTokens = field(default_factory=RefreshTokens)
    connections: Connections = field(default_factory=Connections)
    consented_scopes: dict[Owner, frozenset[str]] = field(default_factory=dict)
    id_token_faults: list[IdTokenFault] = field(default_factory=list)


class IdentityServer:
    """Xero, as far as OAuth and connections go.

    `first_successor_survives` chooses the answer to the open question: does a refresh token's first successor
    stay valid once the token is presented again within its grace?
    """

    def __init__(
        self,
        *,
        issuer: str = XERO_ISSUER,
        now: Now = utc_now,
        first_successor_survives: bool = True,
        reconsent_keeps_auth_event_id: bool = True,
        signing_key: RSAKey | None = None,
    ) -> None:
        self.issuer = issuer
        self.first_successor_survives = first_successor_survives
        self.reconsent_keeps_auth_event_id = reconsent_keeps_auth_event_id
        self._now = now
        self._signer = TokenSigner(issuer, signing_key or new_signing_key())
        self._lock = RLock()
        self._state = _State()

    @property
    def jwks(self) -> Mapping[str, object]:
        """The public keys that tokens are signed with."""
        return self._signer.jwks

    def reset(self) -> None:
        """Forget everything but the signing key, which clients may have cached."""
        with self._lock:
            self._state = _State()

    # Xero's developer portal

    def register_app(
        self,
        integration_type: IntegrationType = IntegrationType.WEB_APP,
        *,
        redirect_uris: Iterable[str] = (DEFAULT_REDIRECT_URI,),
        scopes: Iterable[str] = DEFAULT_API_SCOPES,
        organisations: Iterable[str] | None = None,
        granular_scopes: bool = True,
        case_sensitive_redirect_uris: bool = False,
        client_secret: str | None = None,
    ) -> RegisteredApp:
        """Create an app; raises `InvalidRegistrationError`. A secret is made up unless one is given."""
        app = new_app(
            integration_type,
            redirect_uris=redirect_uris,
            scopes=scopes,
            organisations=organisations,
            granular_scopes=granular_scopes,
            case_sensitive_redirect_uris=case_sensitive_redirect_uris,
        )
        with self._lock:
            self._state.apps[app.client_id] = app
            if integration_type is IntegrationType.CUSTOM_CONNECTION:
                # The organisation's owner consents once, by e-mail, when the connection is set up.
                self._connect((app.client_id, None), app.organisations, str(uuid4()))
            if app.is_public:
                return RegisteredApp(app.client_id, None)
            return RegisteredApp(app.client_id, self.add_secret(app.client_id, client_secret))

    @contextmanager
    def apps(self) -> Iterator[dict[str, App]]:
        """Lend the store of apps, by client id, for as long as nobody else may read or change it."""
        with self._lock:
            yield self._state.apps

    def add_secret(self, client_id: str, client_secret: str | None = None) -> str:
        """Generate one more secret beside those that the app has; raises `UnknownAppError`."""
        with self._lock:
            app = self._app(client_id)
            if app.is_public:
                raise UnknownAppError("a mobile_app has no secrets")
            now = self._now()
            secret = ClientSecret(now, client_secret) if client_secret else ClientSecret(now)
            app.client_secrets.append(secret)
            return secret.value

    def delete_secrets(self, client_id: str) -> None:
        """Delete every secret of an app; raises `UnknownAppError`."""
        with self._lock:
            self._app(client_id).client_secrets.clear()

    def is_registered(self, client_id: str) -> bool:
        """Tell whether there is an app with this id."""
        with self._lock:
            return client_id in self._state.apps

    # Xero's page "Connected apps"

    def connect_exactly(self, client_id: str, organisations: Iterable[str]) -> None:
        """Leave each user who consented to the app with exactly these organisations, as a user does by hand.

        They need not be those that the consent page offers. What is new belongs to a consent of its own. Raises
        `UnknownAppError`, and `InvalidRegistrationError` for more than a Custom connection can have.
        """
        connected = checked_organisations(organisations)
        with self._lock:
            custom = self._app(client_id).integration_type is IntegrationType.CUSTOM_CONNECTION
            if custom and len(connected) > 1:
                raise InvalidRegistrationError("a custom_connection has at most one organisation")
            users = [owner for owner in self._state.consented_scopes if owner[0] == client_id]
            for owner in [(client_id, None)] if custom else users:
                self._state.connections.replace(owner, connected, auth_event_id=str(uuid4()), now=self._now())

    # The authorize endpoint and the pages behind it

    def log_in(self, email: str = DEFAULT_EMAIL) -> Session:
        """Start a person's session."""
        with self._lock:
            session = Session(secrets.token_hex(16), User(email.strip().lower()), self._now())
            self._state.sessions[session.session_id] = session
            return session

    def log_out(self, session_id: str) -> None:
        """End a person's session, if there is one."""
        with self._lock:
            self._state.sessions.pop(session_id, None)

    def session(self, session_id: str | None) -> Session | None:
        """Find the session that a browser's cookie names."""
        with self._lock:
            return self._state.sessions.get(session_id or "")

    def check_authorization_request(self, parameters: Mapping[str, str]) -> AuthorizationRequest:
        """Check what a client asks for; raises `AuthorizeError` or `SentBackError`."""
        with self._lock:
            return check_authorization_request(parameters, self._state.apps)

    def allow(self, request: AuthorizationRequest, session: Session, tenant_ids: Iterable[str]) -> str:
        """Record the user's consent for these organisations; return the redirect with the code."""
        chosen = frozenset(tenant_ids)
        if not request.offers(chosen):
            raise ValueError("not an organisation of this app")
        organisations = [one for one in request.app.organisations if one.tenant_id in chosen]
        with self._lock:
            now = self._now()
            owner = (request.app.client_id, session.user.user_id)
            auth_event_id = str(uuid4())
            self._connect(owner, organisations, auth_event_id)
            # Consents add up, so the scope can be broader than the one asked for now.
            earlier = self._state.consented_scopes.get(owner, frozenset())
            self._state.consented_scopes[owner] = earlier.union(request.scope) - OIDC_SCOPES
            scope = (*request.scope, *sorted(earlier.difference(request.scope)))
            code = secrets.token_urlsafe(32)
            grant = Grant(request.app.client_id, scope, session, auth_event_id)
            self._state.codes[code] = _Code(now, request, grant)
        return request.redirect(code=code, scope=" ".join(scope), session_state=secrets.token_urlsafe(16))

    def deny(self, request: AuthorizationRequest) -> str:
        """Return the redirect of a user who pressed Cancel."""
        return request.redirect(error="access_denied")

    # The token and revocation endpoints

    def token(self, form: Mapping[str, str], *, authorization: str | None = None) -> TokenResponse:
        """Answer a token request, given its form and its Authorization header; raises `TokenError`."""
        with self._lock:
            app = self._authenticated_app(form, authorization)
            grant_type = form.get("grant_type", "")
            if grant_type not in GRANT_TYPES:
                raise TokenError("unsupported_grant_type")
            if grant_type not in app.grant_types:
                raise TokenError("unauthorized_client")
            match grant_type:
                case "authorization_code":
                    issue = self._exchange_code(app, form)
                case "refresh_token":
                    issue = self._refresh(app, form)
                case _:
                    issue = self._client_credentials(app, form)
        # Signing takes most of the time and touches no state: other threads need not wait for it.
        return self._response(issue)

    def revoke(self, form: Mapping[str, str], *, authorization: str | None = None) -> None:
        """Revoke the user's grant to the app by one of its refresh tokens; raises `TokenError`."""
        with self._lock:
            app = self._authenticated_app(form, authorization)
            token = form.get("token")
            if not token:
                raise TokenError("invalid_request")
            if form.get("token_type_hint") not in {None, "", "refresh_token", "access_token"}:
                raise TokenError("unsupported_token_type")
            grant = self._state.refresh_tokens.grant_of(token)
            # RFC 7009 section 2.2: an unknown token counts as revoked. A token of another app is not changed.
            if grant is None or grant.session is None or grant.client_id != app.client_id:
                return
            user_id = grant.session.user.user_id
            self._state.refresh_tokens.revoke(client_id=app.client_id, user_id=user_id)
            self._state.connections.remove_all((app.client_id, user_id))
            self._state.consented_scopes.pop((app.client_id, user_id), None)

    def break_id_tokens(self, fault: IdTokenFault | None, *, times: int = 1) -> None:
        """Make the ID tokens of the next code exchanges wrong in one way; None ends it."""
        with self._lock:
            self._state.id_token_faults = [fault] * times if fault else []

    # The connections API

    def connections(self, access_token: str, auth_event_id: str | None = None) -> list[ConnectionDocument]:
        """List the token's connections; raises `InvalidAccessTokenError`."""
        with self._lock:
            return self._state.connections.of(self._owner(access_token), auth_event_id)

    def disconnect(self, access_token: str, connection_id: str) -> bool:
        """Remove one connection, False if the token has no such; raises `InvalidAccessTokenError`."""
        with self._lock:
            return self._state.connections.remove(self._owner(access_token), connection_id)

    def verify_access_token(self, access_token: str) -> Claims:
        """Return the claims of a good access token; raises `InvalidAccessTokenError`."""
        claims = self._signer.verify_access_token(access_token, self._now())
        if not self.is_registered(claims["client_id"]):
            raise InvalidAccessTokenError
        return claims

    # For experiments

    def consent(
        self,
        client_id: str,
        *,
        scopes: Iterable[str] | None = None,
        organisations: Iterable[str] | None = None,
        email: str = DEFAULT_EMAIL,
    ) -> TokenResponse:
        """Take an app through consent and code exchange in one step; everything is allowed by default."""
        with self._lock:
            app = self._app(client_id)
            chosen = {one.name for one in app.organisations} if organisations is None else set(organisations)
            request = AuthorizationRequest(
                app=app,
                redirect_uri=app.redirect_uris[0],
                scope=tuple(scopes) if scopes is not None else tuple(sorted(app.scopes)),
                state=None,
                nonce=None,
                code_challenge=None,
            )
            self.allow(request, self.log_in(email), [Organisation(name).tenant_id for name in chosen])
            _, code = self._state.codes.popitem()
            issue = self._issue(code)
        return self._response(issue)

    def _app(self, client_id: str) -> App:
        app = self._state.apps.get(client_id)
        if app is None:
            raise UnknownAppError(client_id)
        return app

    def _authenticated_app(self, form: Mapping[str, str], authorization: str | None) -> App:
        presented = presented_credentials(form, authorization)
        app = self._state.apps.get(presented.client_id) if presented else None
        if presented is None or app is None or not app.active:
            raise TokenError("invalid_client")
        if not app.accepts_secret(presented.client_secret):
            raise TokenError("invalid_client")
        return app

    def _exchange_code(self, app: App, form: Mapping[str, str]) -> _Issue:
        # Whatever comes of it, a code is gone once presented, even by another app.
        code = self._state.codes.pop(form.get("code", ""), None)
        if code is None or code.request.app.client_id != app.client_id:
            raise TokenError("invalid_grant")
        if self._now() > code.issued_at + CODE_LIFETIME:
            raise TokenError("invalid_grant")
        if form.get("redirect_uri") != code.request.redirect_uri:
            raise TokenError("unauthorized_client")
        if not _proves(form.get("code_verifier"), code.request.code_challenge):
            raise TokenError("invalid_grant")
        return self._issue(code)

    def _issue(self, code: _Code) -> _Issue:
        now = self._now()
        offline = "offline_access" in code.grant.scope
        faulty = "openid" in code.grant.scope and bool(self._state.id_token_faults)
        return _Issue(
            grant=code.grant,
            issued_at=now,
            refresh_token=self._state.refresh_tokens.start_family(code.grant, now) if offline else None,
            nonce=code.request.nonce,
            id_token_fault=self._state.id_token_faults.pop() if faulty else None,
        )

    def _refresh(self, app: App, form: Mapping[str, str]) -> _Issue:
        presented = form.get("refresh_token")
        if not presented:
            raise TokenError("invalid_request")
        now = self._now()
        try:
            grant, refresh_token = self._state.refresh_tokens.rotate(
                presented,
                client_id=app.client_id,
                now=now,
                first_successor_survives=self.first_successor_survives,
            )
        except UnknownRefreshTokenError:
            raise TokenError("invalid_grant") from None
        return _Issue(grant, now, refresh_token)

    def _client_credentials(self, app: App, form: Mapping[str, str]) -> _Issue:
        granted = app.scopes - OIDC_SCOPES
        scope = tuple(form.get("scope", "").split()) or tuple(sorted(granted))
        # Neither openid nor offline_access: there is no person and no refresh token.
        if not granted.issuperset(scope):
            raise TokenError("invalid_scope")
        return _Issue(Grant(app.client_id, scope), self._now())

    def _response(self, issue: _Issue) -> TokenResponse:
        access_token = self._signer.access_token(issue.grant, issue.issued_at)
        response: TokenResponse = {
            "access_token": access_token,
            "expires_in": int(ACCESS_TOKEN_LIFETIME.total_seconds()),
            "token_type": "Bearer",
            "scope": " ".join(issue.grant.scope),
        }
        if "openid" in issue.grant.scope:
            response["id_token"] = self._signer.id_token(
                issue.grant,
                issue.issued_at,
                access_token=access_token,
                nonce=issue.nonce,
                fault=issue.id_token_fault,
            )
        if issue.refresh_token is not None:
            response["refresh_token"] = issue.refresh_token
        return response

    def _connect(self, owner: Owner, organisations: Iterable[Organisation], auth_event_id: str) -> None:
        for organisation in organisations:
            self._state.connections.connect(
                owner,
                organisation,
                auth_event_id=auth_event_id,
                now=self._now(),
                keep_auth_event_id=self.reconsent_keeps_auth_event_id,
            )

    def _owner(self, access_token: str) -> Owner:
        claims = self.verify_access_token(access_token)
        return claims["client_id"], claims.get("xero_userid")


def _proves(code_verifier: str | None, code_challenge: str | None) -> bool:
    if not code_challenge:
        # A verifier without a challenge is refused too.
        return not code_verifier
    if not code_verifier or len(code_verifier) not in CHALLENGE_LENGTHS:
        return False
    digest = hashlib.sha256(code_verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode() == code_challenge
