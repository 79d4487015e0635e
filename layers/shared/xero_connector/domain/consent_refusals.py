"""The table of the reasons why a consent cannot go on: status, code and key of each page.

The words of a page are in the catalogue of texts, under the key of its row. A row is called to make its
`ConsentRefused`. Rows that share a code share its status (see `docs/api.md`).
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """One row: its name in the catalogue, what happened, and whether opening the connect link again can help.

    `detail` is for the log line; no page shows it.
    """

    key: str
    code: str
    status: HTTPStatus
    detail: str
    can_retry: bool = True

    def __call__(self, *, consent_id: str | None = None) -> ConsentRefused:
        """Return a new error of this row; `consent_id` where the page of that consent shows it."""
        return ConsentRefused(
            self.detail,
            key=self.key,
            code=self.code,
            status=self.status,
            can_retry=self.can_retry,
            consent_id=consent_id,
        )


# --- the connect link --------------------------------------------------------------------------------------------

# It was never made, or its ticket has been removed since.
ticket_unknown = Refusal(
    key="ticket_unknown",
    code="ticket_unknown",
    status=HTTPStatus.NOT_FOUND,
    detail="This connect link does not exist.",
    can_retry=False,
)
ticket_expired = Refusal(
    key="ticket_expired",
    code="ticket_expired",
    status=HTTPStatus.GONE,
    detail="This connect link has expired.",
    can_retry=False,
)
ticket_withdrawn = Refusal(
    key="ticket_withdrawn",
    code="ticket_withdrawn",
    status=HTTPStatus.GONE,
    detail="The setup link that led to this connect link was withdrawn.",
    can_retry=False,
)
# The status of the credential allows no consent.
not_connectable = Refusal(
    key="not_connectable",
    code=NOT_CONNECTABLE,
    status=HTTPStatus.CONFLICT,
    detail="This connection cannot be made at the moment.",
    can_retry=False,
)

# --- the way back from Xero --------------------------------------------------------------------------------------

# The state is missing, forged, or has been removed since.
state_unknown = Refusal(
    key="state_unknown",
    code="state_unknown",
    status=HTTPStatus.BAD_REQUEST,
    detail="This page does not belong to a consent that was started here.",
)
# The authorization request ended before, without a grant.
state_used = Refusal(
    key="state_used",
    code="state_used",
    status=HTTPStatus.BAD_REQUEST,
    detail="This consent has already ended.",
)
state_expired = Refusal(
    key="state_expired",
    code="state_expired",
    status=HTTPStatus.GONE,
    detail="This consent took longer than an hour.",
)
wrong_browser = Refusal(
    key="wrong_browser",
    code="wrong_browser",
    status=HTTPStatus.FORBIDDEN,
    detail="This consent was started in another browser, or its cookie is missing.",
)
# Xero redirected with neither a code nor an error.
code_missing = Refusal(
    key="code_missing",
    code="code_missing",
    status=HTTPStatus.BAD_REQUEST,
    detail="Xero sent no authorization code.",
)
# A parameter came more than once (RFC 6749 §3.1), or the code cannot be a code (RFC 6749 §A.11).
callback_malformed = Refusal(
    key="callback_malformed",
    code="callback_malformed",
    status=HTTPStatus.BAD_REQUEST,
    detail="The address of this page is not one that Xero makes, so it was not used.",
)
# The answer names another authorization server than the one that was asked (RFC 9207 §2.4).
wrong_issuer = Refusal(
    key="wrong_issuer",
    code="wrong_issuer",
    status=HTTPStatus.BAD_REQUEST,
    detail="The address of this page does not come from Xero, so it was not used.",
)

# --- an error that Xero sends back (RFC 6749 §4.1.2.1) -----------------------------------------------------------

consent_denied = Refusal(
    key="consent_denied",
    code="consent_denied",
    status=HTTPStatus.BAD_REQUEST,
    detail="Access was not allowed at Xero, so nothing was connected.",
)
scopes_refused = Refusal(
    key="scopes_refused",
    code="scopes_refused",
    status=HTTPStatus.BAD_REQUEST,
    detail="Xero does not allow this app the permissions that it asked for.",
)
xero_unavailable = Refusal(
    key="xero_unavailable",
    code=XERO_UNAVAILABLE,
    status=HTTPStatus.SERVICE_UNAVAILABLE,
    detail="Xero is not available at the moment.",
)
login_required = Refusal(
    key="login_required",
    code=_AUTHORIZATION_FAILED,
    status=HTTPStatus.BAD_REQUEST,
    detail="Xero could not ask you for your consent.",
)
app_refused = Refusal(
    key="app_refused",
    code=_AUTHORIZATION_FAILED,
    status=HTTPStatus.BAD_REQUEST,
    detail="Xero does not accept the request of this app.",
)
authorization_failed = Refusal(
    key="authorization_failed",
    code=_AUTHORIZATION_FAILED,
    status=HTTPStatus.BAD_REQUEST,
    detail="Xero ended the consent with an error.",
)

# --- before the code is exchanged: the same callback may be opened again -----------------------------------------

# Another callback, or a refresh, works on the same credential.
busy = Refusal(
    key="busy",
    code=BUSY,
    status=HTTPStatus.CONFLICT,
    detail="This consent is being completed right now.",
    can_retry=False,
)
# Another version of the tokens secret could take the place of one that is still needed.
too_often = Refusal(
    key="too_often",
    code="too_often",
    status=HTTPStatus.TOO_MANY_REQUESTS,
    detail="This connection was made too many times today.",
)
# Xero answered 429, and did not take the code.
throttled = Refusal(
    key="throttled",
    code="throttled",
    status=HTTPStatus.SERVICE_UNAVAILABLE,
    detail="Xero is receiving too many requests and asks for a pause.",
    can_retry=False,
)
store_postponed = Refusal(
    key="store_postponed",
    code=STORE_UNAVAILABLE,
    status=HTTPStatus.SERVICE_UNAVAILABLE,
    detail="This consent could not be completed right now.",
    can_retry=False,
)
xero_postponed = Refusal(
    key="xero_postponed",
    code=XERO_UNAVAILABLE,
    status=HTTPStatus.SERVICE_UNAVAILABLE,
    detail="This consent could not be completed right now.",
    can_retry=False,
)
# A store failed anywhere else.
store_unavailable = Refusal(
    key="store_unavailable",
    code=STORE_UNAVAILABLE,
    status=HTTPStatus.SERVICE_UNAVAILABLE,
    detail="This cannot be done at the moment.",
)

# --- the exchange of the code ------------------------------------------------------------------------------------

client_rejected = Refusal(
    key="client_rejected",
    code="client_rejected",
    status=HTTPStatus.BAD_REQUEST,
    detail="Xero refuses the client ID and client secret of this app.",
)
redirect_uri_refused = Refusal(
    key="redirect_uri_refused",
    code="redirect_uri_refused",
    status=HTTPStatus.BAD_REQUEST,
    detail="Xero refuses the address that it sent you back to.",
)
code_refused = Refusal(
    key="code_refused",
    code="code_refused",
    status=HTTPStatus.BAD_REQUEST,
    detail="Xero no longer accepts this consent: it took longer than five minutes, or it was already used.",
)
# The code may be used up.
exchange_unanswered = Refusal(
    key="exchange_unanswered",
    code=XERO_UNAVAILABLE,
    status=HTTPStatus.SERVICE_UNAVAILABLE,
    detail="Xero gave no definite answer, so the consent could not be completed.",
)
# The ID token does not prove whose consent this is.
id_token_refused = Refusal(
    key="id_token_refused",
    code="id_token_refused",
    status=HTTPStatus.BAD_REQUEST,
    detail="Xero's answer could not be verified, so it was not used.",
)
# Without a refresh token the connection would end after 30 minutes.
refresh_token_missing = Refusal(
    key="refresh_token_missing",
    code=REFRESH_TOKEN_MISSING,
    status=HTTPStatus.BAD_REQUEST,
    detail="Xero gave no lasting access with this consent, so it was not kept. An earlier connection continues to "
    "work.",
)

# --- the page of a consent ---------------------------------------------------------------------------------------

# There is no such request, or it has been removed since.
consent_unknown = Refusal(
    key="consent_unknown",
    code="consent_unknown",
    status=HTTPStatus.NOT_FOUND,
    detail="What became of this consent is not known here.",
    can_retry=False,
)
shown_elsewhere = Refusal(
    key="shown_elsewhere",
    code="wrong_browser",
    status=HTTPStatus.FORBIDDEN,
    detail="The page of this consent belongs to another browser, or its cookie is missing.",
    can_retry=False,
)
consent_unfinished = Refusal(
    key="consent_unfinished",
    code="consent_unfinished",
    status=HTTPStatus.CONFLICT,
    detail="This consent was started, but it is not completed.",
)
# Its callback was cut off. The schedule finds what it stored, if it stored anything.
consent_cut_off = Refusal(
    key="consent_cut_off",
    code="consent_unfinished",
    status=HTTPStatus.CONFLICT,
    detail="It is not known yet what became of this consent.",
)
# A user can remove organisations on Xero's page "Connected apps".
organisations_removed = Refusal(
    key="organisations_removed",
    code="organisations_removed",
    status=HTTPStatus.GONE,
    detail="The organisations of this consent have been removed at Xero since.",
)
# The grant of this consent is dead.
connection_lost = Refusal(
    key="connection_lost",
    code="connection_lost",
    status=HTTPStatus.GONE,
    detail="The grant of this consent has been lost since.",
)
# The grant of this consent may live, but the pair is refused.
connection_interrupted = Refusal(
    key="connection_interrupted",
    code="connection_interrupted",
    status=HTTPStatus.CONFLICT,
    detail="The client secret of the Xero app no longer works.",
    can_retry=False,
)
connection_ended = Refusal(
    key="connection_ended",
    code="connection_ended",
    status=HTTPStatus.GONE,
    detail="The connection of this consent has been disconnected since.",
    can_retry=False,
)
# A store failed while the page was looked up.
consent_not_looked_up = Refusal(
    key="consent_not_looked_up",
    code=STORE_UNAVAILABLE,
    status=HTTPStatus.SERVICE_UNAVAILABLE,
    detail="What became of this consent cannot be looked up at the moment.",
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

# Requests keep these keys, and no words: a key that is there stays.
_AFTER_THE_CODE_WAS_PRESENTED: Mapping[str, Refusal] = {
    row.key: row
    for row in (
        code_refused,
        exchange_unanswered,
        id_token_refused,
        redirect_uri_refused,
        refresh_token_missing,
        state_used,
    )
}


def kept_key(refusal: Refusal) -> str:
    """Return the key under which a request keeps the refusal that it ended with."""
    return _AFTER_THE_CODE_WAS_PRESENTED[refusal.key].key


def kept(key: str | None) -> Refusal:
    """Return the row that a request kept; without a key that is known, all that is told is that it ended."""
    return _AFTER_THE_CODE_WAS_PRESENTED.get(key or "", state_used)
