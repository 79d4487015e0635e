"""The table of the reasons why a consent cannot go on: status, code and words of each page.

It is one table, so it stands in one file, however long. A row is called to make its `ConsentRefused`. Rows that
share a code share its status (see `docs/api.md`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus

from xero_connector.domain.error_codes import (
    BUSY,
    NOT_CONNECTABLE,
    REFRESH_TOKEN_MISSING,
    STORE_UNAVAILABLE,
    XERO_UNAVAILABLE,
)
from xero_connector.domain.errors import ConsentRefused, StoreUnavailable
from xero_connector.domain.token_endpoint import INCONCLUSIVE, FailureKind, TokenEndpointFailure

_AUTHORIZATION_FAILED = "authorization_failed"
_NOT_COMPLETED = "This consent was not completed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """One row: what happened, what to do, and whether the page offers to open the connect link again.

    Where a connection may exist, the title must not be the default.
    """

    code: str
    status: HTTPStatus
    title: str = "Xero was not connected"
    detail: str
    hint: str
    can_retry: bool = True

    def __call__(self, *, consent_id: str | None = None) -> ConsentRefused:
        """Return a new error with these words; `consent_id` where the page of that consent shows them."""
        return ConsentRefused(
            self.detail,
            code=self.code,
            status=self.status,
            title=self.title,
            hint=self.hint,
            can_retry=self.can_retry,
            consent_id=consent_id,
        )


# --- the connect link --------------------------------------------------------------------------------------------

# It was never made, or its ticket has been removed since.
ticket_unknown = Refusal(
    code="ticket_unknown",
    status=HTTPStatus.NOT_FOUND,
    title="This link cannot be used",
    detail="This connect link does not exist.",
    hint="Check that the whole link was copied, or ask your administrator for a new one.",
    can_retry=False,
)
ticket_expired = Refusal(
    code="ticket_expired",
    status=HTTPStatus.GONE,
    title="This link cannot be used",
    detail="This connect link has expired.",
    hint="Ask your administrator for a new one.",
    can_retry=False,
)
# The status of the credential allows no consent.
not_connectable = Refusal(
    code=NOT_CONNECTABLE,
    status=HTTPStatus.CONFLICT,
    title="Not at the moment",
    detail="This connection cannot be made at the moment.",
    hint="Ask your administrator to check the status of this connection. They have to do something first.",
    can_retry=False,
)

# --- the way back from Xero --------------------------------------------------------------------------------------

# The state is missing, forged, or has been removed since.
state_unknown = Refusal(
    code="state_unknown",
    status=HTTPStatus.BAD_REQUEST,
    title="There is no consent to complete",
    detail="This page does not belong to a consent that was started here.",
    hint="If Xero is not connected yet, open the connect link that your administrator gave you. If Xero is "
    "connected, there is nothing to do.",
)
# The authorization request ended before, without a grant.
state_used = Refusal(
    code="state_used",
    status=HTTPStatus.BAD_REQUEST,
    title="This consent has ended",
    detail="This consent has already ended.",
    hint="Start again.",
)
state_expired = Refusal(
    code="state_expired",
    status=HTTPStatus.GONE,
    title="This consent has ended",
    detail="This consent took longer than an hour.",
    hint="Start again.",
)
wrong_browser = Refusal(
    code="wrong_browser",
    status=HTTPStatus.FORBIDDEN,
    title="This consent belongs to another browser",
    detail="This consent was started in another browser, or its cookie is missing.",
    hint="Open the connect link again in the browser in which you log in to Xero, and allow cookies for this "
    "page.",
)
# Xero redirected with neither a code nor an error.
code_missing = Refusal(
    code="code_missing",
    status=HTTPStatus.BAD_REQUEST,
    detail="Xero sent no authorization code.",
    hint="Start again.",
)
# A parameter came more than once (RFC 6749 §3.1), or the code cannot be a code (RFC 6749 §A.11).
callback_malformed = Refusal(
    code="callback_malformed",
    status=HTTPStatus.BAD_REQUEST,
    title="There is no consent to complete",
    detail="The address of this page is not one that Xero makes, so it was not used.",
    hint="Open the connect link again, and do not change the address to which Xero sends you.",
)
# The answer names another authorization server than the one that was asked (RFC 9207 §2.4).
wrong_issuer = Refusal(
    code="wrong_issuer",
    status=HTTPStatus.BAD_REQUEST,
    title="There is no consent to complete",
    detail="The address of this page does not come from Xero, so it was not used.",
    hint="Open the connect link again. If this happens again, tell your administrator.",
)

# --- an error that Xero sends back (RFC 6749 §4.1.2.1) -----------------------------------------------------------

consent_denied = Refusal(
    code="consent_denied",
    status=HTTPStatus.BAD_REQUEST,
    detail="Access was not allowed at Xero, so nothing was connected.",
    hint="If that was a mistake, start again and choose Allow access.",
)
scopes_refused = Refusal(
    code="scopes_refused",
    status=HTTPStatus.BAD_REQUEST,
    detail="Xero does not allow this app the permissions that it asked for.",
    hint="Tell your administrator that the scopes of the Xero app and of this connection differ.",
)
xero_unavailable = Refusal(
    code=XERO_UNAVAILABLE,
    status=HTTPStatus.SERVICE_UNAVAILABLE,
    title="Not at the moment",
    detail="Xero is not available at the moment.",
    hint="Start again in a few minutes.",
)
login_required = Refusal(
    code=_AUTHORIZATION_FAILED,
    status=HTTPStatus.BAD_REQUEST,
    detail="Xero could not ask you for your consent.",
    hint="Log in to Xero, then start again. If this happens again, tell your administrator.",
)
app_refused = Refusal(
    code=_AUTHORIZATION_FAILED,
    status=HTTPStatus.BAD_REQUEST,
    detail="Xero does not accept the request of this app.",
    hint="Tell your administrator that the Xero app is not set up correctly.",
)
authorization_failed = Refusal(
    code=_AUTHORIZATION_FAILED,
    status=HTTPStatus.BAD_REQUEST,
    detail="Xero ended the consent with an error.",
    hint="Start again. If this happens again, tell your administrator.",
)

# --- before the code is exchanged: the same callback may be opened again -----------------------------------------

# Another callback, or a refresh, works on the same credential.
busy = Refusal(
    code=BUSY,
    status=HTTPStatus.CONFLICT,
    title="One moment, please",
    detail="This consent is being completed right now.",
    hint="Wait a few seconds and reload this page: nothing is lost.",
    can_retry=False,
)
# Another version of the tokens secret could take the place of one that is still needed.
too_often = Refusal(
    code="too_often",
    status=HTTPStatus.TOO_MANY_REQUESTS,
    title="Too many consents today",
    detail="This connection was made too many times today.",
    hint="The existing connection continues to work. Wait an hour, then reload this page or start again.",
)
# Xero answered 429, and did not take the code.
throttled = Refusal(
    code="throttled",
    status=HTTPStatus.SERVICE_UNAVAILABLE,
    title="One moment, please",
    detail="Xero is receiving too many requests and asks for a pause.",
    hint="Wait a minute and reload this page: nothing is lost.",
    can_retry=False,
)
store_postponed = Refusal(
    code=STORE_UNAVAILABLE,
    status=HTTPStatus.SERVICE_UNAVAILABLE,
    title="Not at the moment",
    detail="This consent could not be completed right now.",
    hint="Wait a minute and reload this page: nothing is lost.",
    can_retry=False,
)
xero_postponed = Refusal(
    code=XERO_UNAVAILABLE,
    status=HTTPStatus.SERVICE_UNAVAILABLE,
    title="Not at the moment",
    detail="This consent could not be completed right now.",
    hint="Wait a minute and reload this page: nothing is lost.",
    can_retry=False,
)
# A store failed anywhere else.
store_unavailable = Refusal(
    code=STORE_UNAVAILABLE,
    status=HTTPStatus.SERVICE_UNAVAILABLE,
    title="Not at the moment",
    detail="This cannot be done at the moment.",
    hint="Start again in a minute.",
)

# --- the exchange of the code ------------------------------------------------------------------------------------

client_rejected = Refusal(
    code="client_rejected",
    status=HTTPStatus.BAD_REQUEST,
    detail="Xero refuses the client ID and client secret of this app.",
    hint="Ask your administrator to enter a new client secret, then open the connect link again.",
)
redirect_uri_refused = Refusal(
    code="redirect_uri_refused",
    status=HTTPStatus.BAD_REQUEST,
    title=_NOT_COMPLETED,
    detail="Xero refuses the address that it sent you back to.",
    hint="Tell your administrator that the redirect URI of the Xero app differs from the one that is used here.",
)
code_refused = Refusal(
    code="code_refused",
    status=HTTPStatus.BAD_REQUEST,
    title=_NOT_COMPLETED,
    detail="Xero no longer accepts this consent: it took longer than five minutes, or it was already used.",
    hint="Start again.",
)
# The code may be used up.
exchange_unanswered = Refusal(
    code=XERO_UNAVAILABLE,
    status=HTTPStatus.SERVICE_UNAVAILABLE,
    title="Not at the moment",
    detail="Xero gave no definite answer, so the consent could not be completed.",
    hint="Start again in a few minutes.",
)
# The ID token does not prove whose consent this is.
id_token_refused = Refusal(
    code="id_token_refused",
    status=HTTPStatus.BAD_REQUEST,
    title=_NOT_COMPLETED,
    detail="Xero's answer could not be verified, so it was not used.",
    hint="Start again. If this happens again, tell your administrator.",
)
# Without a refresh token the connection would end after 30 minutes.
refresh_token_missing = Refusal(
    code=REFRESH_TOKEN_MISSING,
    status=HTTPStatus.BAD_REQUEST,
    title="This consent is not enough",
    detail="Xero gave no lasting access with this consent, so it was not kept. An earlier connection continues to "
    "work.",
    hint="Tell your administrator that the consent came back without the scope offline_access.",
)

# --- the page of a consent ---------------------------------------------------------------------------------------

# There is no such request, or it has been removed since.
consent_unknown = Refusal(
    code="consent_unknown",
    status=HTTPStatus.NOT_FOUND,
    title="There is nothing to show",
    detail="What became of this consent is not known here. It is kept for a week.",
    hint="If Xero is not connected, open the connect link that your administrator gave you. If Xero is connected, "
    "there is nothing to do.",
    can_retry=False,
)
shown_elsewhere = Refusal(
    code="wrong_browser",
    status=HTTPStatus.FORBIDDEN,
    title="This page belongs to another browser",
    detail="What became of a consent is shown for a week, and only in the browser in which it was started.",
    hint="Open this page in that browser, or ask your administrator whether Xero is connected.",
    can_retry=False,
)
consent_unfinished = Refusal(
    code="consent_unfinished",
    status=HTTPStatus.CONFLICT,
    title="This consent is not completed",
    detail="This consent was started, but it is not completed.",
    hint="If Xero asks for your consent in another window, go on there. If not, start again.",
)
# Its callback was cut off. The schedule finds what it stored, if it stored anything.
consent_cut_off = Refusal(
    code="consent_unfinished",
    status=HTTPStatus.CONFLICT,
    title="Not known yet",
    detail="It is not known yet what became of this consent.",
    hint="Reload this page in a few minutes. If it says the same then, start again.",
)
# A user can remove organisations on Xero's page "Connected apps".
organisations_removed = Refusal(
    code="organisations_removed",
    status=HTTPStatus.GONE,
    title="No organisation is connected any more",
    detail="Xero was connected with this consent, but its organisations have been removed at Xero since.",
    hint="To connect an organisation again, start again and tick it.",
)
# The grant of this consent is dead.
connection_lost = Refusal(
    code="connection_lost",
    status=HTTPStatus.GONE,
    title="Xero is no longer connected",
    detail="Xero was connected with this consent, but the connection has been lost since.",
    hint="Start again to connect Xero.",
)
# The grant of this consent may live, but the pair is refused.
connection_interrupted = Refusal(
    code="connection_interrupted",
    status=HTTPStatus.CONFLICT,
    title="The connection is interrupted",
    detail="Xero was connected with this consent, but the client secret of the Xero app no longer works.",
    hint="Tell your administrator that the Xero app needs a new client secret. You need not consent again.",
    can_retry=False,
)
connection_ended = Refusal(
    code="connection_ended",
    status=HTTPStatus.GONE,
    title="Xero is no longer connected",
    detail="Xero was connected with this consent, and it has been disconnected since.",
    hint="If that was a mistake, ask your administrator for a new connect link.",
    can_retry=False,
)

# A store failed while the page was looked up.
consent_not_looked_up = Refusal(
    code=STORE_UNAVAILABLE,
    status=HTTPStatus.SERVICE_UNAVAILABLE,
    title="Not at the moment",
    detail="What became of this consent cannot be looked up at the moment.",
    hint="Wait a minute and reload this page: nothing is lost.",
    can_retry=False,
)

# --- from what Xero said to a row --------------------------------------------------------------------------------

_WRONG_SCOPES = "requested wrong apps scopes"
"""Xero's description, without regard to letter case and spacing."""
_BY_ERROR: Mapping[str, Refusal] = {
    "access_denied": consent_denied,
    "invalid_scope": scopes_refused,
    "server_error": xero_unavailable,
    "temporarily_unavailable": xero_unavailable,
    # OpenID Connect Core §3.1.2.6: Xero would have had to ask the user something.
    "account_selection_required": login_required,
    "consent_required": login_required,
    "interaction_required": login_required,
    "login_required": login_required,
    "invalid_client": app_refused,
    "invalid_request": app_refused,
    "unauthorized_client": app_refused,
    "unsupported_response_type": app_refused,
}
_BY_FAILURE: Mapping[FailureKind, Refusal] = {
    **dict.fromkeys(INCONCLUSIVE, exchange_unanswered),
    FailureKind.INVALID_CLIENT: client_rejected,
    FailureKind.UNAUTHORIZED_CLIENT: redirect_uri_refused,
}


def by_xero(error: str | None, description: str | None) -> ConsentRefused:
    """Return the refusal for an error that Xero sent back; `access_denied` does not always come from the user.

    Neither text is ever shown: anyone can make such an address.
    """
    error = _plain(error)
    if error == "access_denied" and _WRONG_SCOPES in _plain(description):
        return scopes_refused()
    return _BY_ERROR.get(error, authorization_failed)()


def _plain(text: str | None) -> str:
    return " ".join((text or "").replace("+", " ").split()).lower()


def postponed(reason: StoreUnavailable | TokenEndpointFailure) -> ConsentRefused:
    """Return the refusal for a failure before the code was presented to Xero."""
    return store_postponed() if isinstance(reason, StoreUnavailable) else xero_postponed()


def exchange_failed(failure: TokenEndpointFailure) -> Refusal:
    """Return the row for a code that did not become a token."""
    return _BY_FAILURE.get(failure.kind, code_refused)


# --- from a request that ended to a row --------------------------------------------------------------------------

# Requests keep these names, and no words: a name that is there stays.
_AFTER_THE_CODE_WAS_PRESENTED: Mapping[str, Refusal] = {
    "code_refused": code_refused,
    "exchange_unanswered": exchange_unanswered,
    "id_token_refused": id_token_refused,
    "redirect_uri_refused": redirect_uri_refused,
    "refresh_token_missing": refresh_token_missing,
    "state_used": state_used,
}


def name_of(refusal: Refusal) -> str:
    """Return the name under which a request keeps the refusal that it ended with."""
    return next(name for name, row in _AFTER_THE_CODE_WAS_PRESENTED.items() if row is refusal)


def named(name: str | None) -> Refusal:
    """Return the row that a request kept; without a name that is known, all that is told is that it ended."""
    return _AFTER_THE_CODE_WAS_PRESENTED.get(name or "", state_used)
