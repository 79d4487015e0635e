"""What a page says about the request before it, once."""

from flask import Response, g, request
from werkzeug.wrappers import Response as BaseResponse

from local.xero_simulator.developer_portal.guard import PREFIX

COOKIE = "xero-simulator-notice"

_NOTICES = {
    "created": "The app was created.",
    "saved": "Saved.",
    "secret-deleted": "The client secret was deleted. Xero refuses it from now on.",
    "invited": "Saved. An email was sent to the authorising user. The app is inactive until they authorise it.",
    "authorised": "The app is connected. Its owner can copy the client ID and generate a client secret now.",
    "logged-out": "You are logged out.",
}


def announce(response: BaseResponse, notice: str) -> BaseResponse:
    """Let the page that the browser is sent to say something."""
    response.set_cookie(COOKIE, notice, path=PREFIX, max_age=60, httponly=True, samesite="Lax")
    return response


def take_notice() -> str | None:
    """Read what this page has to say about the request before it."""
    g.notice_taken = True
    return _NOTICES.get(request.cookies.get(COOKIE, ""))


def forget_taken_notice(response: Response) -> Response:
    """See that a notice is shown once."""
    if g.get("notice_taken") and COOKIE in request.cookies:
        response.delete_cookie(COOKIE, path=PREFIX)
    return response
