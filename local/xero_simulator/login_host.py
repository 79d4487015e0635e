"""login.xero.com: the authorize endpoint and the pages that people see."""

from collections import OrderedDict
from http import HTTPStatus
from threading import Lock
from urllib.parse import parse_qsl, quote
from uuid import uuid4

from flask import Blueprint, Response, redirect, render_template, request
from werkzeug.wrappers import Response as BaseResponse

from local.xero_simulator.authorization import AuthorizationRequest, AuthorizeError, SentBackError
from local.xero_simulator.identity_server import IdentityServer
from local.xero_simulator.joined import joined
from local.xero_simulator.users import DEFAULT_EMAIL, Session

SESSION_COOKIE = "xero-simulator-session"
MOST_ERRORS = 1000

_CALLBACK = "/identity/connect/authorize/callback"


class _Errors:
    """The reasons behind the error ids in the addresses of error pages; old ones are forgotten."""

    def __init__(self) -> None:
        self._reasons: OrderedDict[str, str] = OrderedDict()
        self._lock = Lock()

    def add(self, reason: str) -> str:
        error_id = uuid4().hex
        with self._lock:
            self._reasons[error_id] = reason
            if len(self._reasons) > MOST_ERRORS:
                self._reasons.popitem(last=False)
        return error_id

    def reason(self, error_id: str) -> str:
        with self._lock:
            return self._reasons.get(error_id, "unknown error")


class _BadPageRequestError(ValueError):
    """A page was asked for, or its form sent, in a way that no link or form of ours does."""


class _LoginHost:
    def __init__(self, identity_server: IdentityServer) -> None:
        self._identity_server = identity_server
        self._errors = _Errors()

    def authorize(self) -> BaseResponse:
        self._identity_server.check_authorization_request(joined(request.args.items(multi=True)))
        return_url = quote(f"{_CALLBACK}?{request.query_string.decode(errors='replace')}", safe="")
        page = "consent" if self._session() else "login"
        return redirect(f"/identity/user/{page}?ReturnUrl={return_url}")

    def login_page(self) -> str:
        return_url = request.args.get("ReturnUrl", "")
        self._returned_request(return_url)
        return render_template("login.html", return_url=return_url, email=DEFAULT_EMAIL)

    def log_in(self) -> BaseResponse:
        return_url = request.form.get("ReturnUrl", "")
        self._returned_request(return_url)
        email = request.form.get("email", "").strip()
        if not email:
            raise _BadPageRequestError("an email address is needed")
        response = redirect(return_url)
        response.set_cookie(
            SESSION_COOKIE,
            self._identity_server.log_in(email).session_id,
            path="/identity",
            httponly=True,
            samesite="Lax",
        )
        return response

    def consent_page(self) -> BaseResponse | str:
        return_url = request.args.get("ReturnUrl", "")
        authorization = self._returned_request(return_url)
        session = self._session()
        if session is None:
            return redirect(return_url)
        return render_template(
            "consent.html", authorization=authorization, return_url=return_url, email=session.user.email
        )

    def consent(self) -> BaseResponse:
        return_url = request.form.get("ReturnUrl", "")
        authorization = self._returned_request(return_url)
        session = self._session()
        if session is None:
            return redirect(return_url)
        match request.form.get("decision"):
            case "allow":
                chosen = request.form.getlist("tenant_id")
                if not authorization.offers(chosen):
                    raise _BadPageRequestError("not an organisation of this app")
                return redirect(self._identity_server.allow(authorization, session, chosen))
            case "deny":
                return redirect(self._identity_server.deny(authorization))
            case _:
                raise _BadPageRequestError("the decision is either allow or deny")

    def error_page(self) -> str:
        return render_template("error.html", reason=self._errors.reason(request.args.get("errorId", "")))

    def strand(self, error: AuthorizeError) -> BaseResponse:
        return redirect(f"/identity/error?errorId={self._errors.add(str(error))}")

    def _session(self) -> Session | None:
        return self._identity_server.session(request.cookies.get(SESSION_COOKIE))

    def _returned_request(self, return_url: str) -> AuthorizationRequest:
        # Only our own relative address: anything else would make this an open redirect.
        path, _, query = return_url.partition("?")
        if path != _CALLBACK:
            raise _BadPageRequestError("ReturnUrl is not an authorize address")
        return self._identity_server.check_authorization_request(joined(parse_qsl(query, keep_blank_values=True)))


def login_host(identity_server: IdentityServer) -> Blueprint:
    """Make the routes of the login host."""
    host = _LoginHost(identity_server)
    blueprint = Blueprint("login_host", __name__, url_prefix="/identity", template_folder="templates")
    blueprint.get("/connect/authorize")(host.authorize)
    blueprint.get("/connect/authorize/callback")(host.authorize)
    blueprint.get("/user/login")(host.login_page)
    blueprint.post("/user/login")(host.log_in)
    blueprint.get("/user/consent")(host.consent_page)
    blueprint.post("/user/consent")(host.consent)
    blueprint.get("/error")(host.error_page)
    blueprint.register_error_handler(AuthorizeError, host.strand)
    blueprint.register_error_handler(SentBackError, _send_back)
    blueprint.register_error_handler(_BadPageRequestError, _refuse)
    return blueprint


def _send_back(error: SentBackError) -> BaseResponse:
    return redirect(error.location)


def _refuse(error: _BadPageRequestError) -> Response:
    return Response(render_template("error.html", reason=str(error)), HTTPStatus.BAD_REQUEST)
