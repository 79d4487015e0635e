"""Who may do what at the portal: the login, the token of each form, and the headers of each page."""

import hashlib
import hmac
import re
import secrets

from flask import Response, g, redirect, request, url_for
from werkzeug.exceptions import Forbidden
from werkzeug.wrappers import Response as BaseResponse

from local.xero_simulator.identity_server import IdentityServer
from local.xero_simulator.users import User

COOKIE = "xero-simulator-portal"
PREFIX = "/app"
PUBLIC = frozenset({"developer_portal.login_page", "developer_portal.log_in", "developer_portal.static"})

_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    ),
    "Cache-Control": "no-store",
    # Not no-referrer: with that, browsers send `Origin: null` along with our own forms.
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}


class Guard:
    """Lets a request in, or turns it away; the cookie names a session, or a visitor who has yet to log in."""

    def __init__(self, identity_server: IdentityServer) -> None:
        self._identity_server = identity_server
        self._key = secrets.token_bytes(32)

    def admit(self) -> BaseResponse | None:
        """Check a request before its page sees it."""
        cookie = request.cookies.get(COOKIE, "")
        session = self._identity_server.session(cookie)
        g.portal_user = session.user if session else None
        g.portal_cookie = cookie or secrets.token_hex(16)
        if request.endpoint not in PUBLIC and session is None:
            return redirect(url_for("developer_portal.login_page", next=request.path))
        if request.method == "POST":
            self._check_form()
        return None

    def csrf_token(self) -> str:
        """Make the token of this browser's forms."""
        cookie = g.portal_cookie.encode(errors="replace")
        return hmac.new(self._key, cookie, hashlib.sha256).hexdigest()

    def dismiss(self, response: Response) -> Response:
        """Finish an answer."""
        response.headers.update(_HEADERS)
        if g.get("portal_cookie") and request.cookies.get(COOKIE) != g.portal_cookie:
            response.set_cookie(COOKIE, g.portal_cookie, path=PREFIX, httponly=True, samesite="Lax")
        return response

    def log_in(self, email: str) -> None:
        """Start a session of this user in this browser."""
        g.portal_cookie = self._identity_server.log_in(email).session_id

    def log_out(self) -> None:
        """End this browser's session."""
        self._identity_server.log_out(g.portal_cookie)
        g.portal_cookie = secrets.token_hex(16)

    def _check_form(self) -> None:
        if request.headers.get("Origin", request.host_url.rstrip("/")) != request.host_url.rstrip("/"):
            raise Forbidden
        sent = request.form.get("csrf_token", "").encode(errors="replace")
        if not hmac.compare_digest(sent, self.csrf_token().encode()):
            raise Forbidden


def current_user() -> User:
    """Tell who is logged in; only where `Guard.admit` lets nobody else in."""
    user: User = g.portal_user
    return user


def safe_next(address: str) -> str | None:
    """Return the address to go on to after a login, None for one that is not a page of the portal."""
    return address if re.fullmatch(r"/app/[A-Za-z0-9/_-]*", address) else None
