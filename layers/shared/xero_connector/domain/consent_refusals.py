"""Why a consent cannot go on: what the page says, what it advises, and whether it offers another try."""

from xero_connector.domain.errors import ConsentRefused, StoreUnavailable
from xero_connector.domain.token_endpoint import INCONCLUSIVE, FailureKind, TokenEndpointFailure

_WRONG_SCOPES = "requested wrong apps scopes"
"""How Xero words it; letter case and blanks do not count."""
_PASSING = frozenset({"server_error", "temporarily_unavailable"})
_OF_THE_LOGIN = frozenset(
    {"account_selection_required", "consent_required", "interaction_required", "login_required"}
)
"""OpenID Connect Core §3.1.2.6: Xero would have had to ask the user something."""
_OF_THE_APP = frozenset({"invalid_client", "invalid_request", "unauthorized_client", "unsupported_response_type"})


def ticket_unknown() -> ConsentRefused:
    """No such connect link was ever made, or it is long gone."""
    return ConsentRefused(
        "This connect link is not known.",
        code="ticket_unknown",
        hint="Check that the whole link was copied, or ask your administrator for a new one.",
        can_retry=False,
    )


def ticket_expired() -> ConsentRefused:
    """The connect link is too old."""
    return ConsentRefused(
        "This connect link has expired.",
        code="ticket_expired",
        hint="Ask your administrator for a new one.",
        can_retry=False,
    )


def not_connectable() -> ConsentRefused:
    """The credential is in a state in which a consent makes no sense."""
    return ConsentRefused(
        "This connection cannot be made at the moment.",
        code="not_connectable",
        hint="Ask your administrator how this connection stands: something has to be done there first.",
        can_retry=False,
    )


def state_unknown() -> ConsentRefused:
    """The state is missing, forged or long gone."""
    return ConsentRefused(
        "This page was reached without a consent that was started here.",
        code="state_unknown",
        hint="If Xero is not connected yet, open the connect link that your administrator gave you. If it is, "
        "there is nothing to do.",
    )


def state_used() -> ConsentRefused:
    """The authorization request ended without a grant before."""
    return ConsentRefused(
        "This consent has ended already.",
        code="state_used",
        hint="Start again.",
    )


def state_expired() -> ConsentRefused:
    """The browser was away too long."""
    return ConsentRefused("This consent took longer than an hour.", code="state_expired", hint="Start again.")


def wrong_browser() -> ConsentRefused:
    """The browser has not the cookie of the one that started the consent."""
    return ConsentRefused(
        "This consent was started in another browser, or the cookie that marks it is gone.",
        code="wrong_browser",
        hint="Open the connect link again, in the browser in which you log in to Xero, and allow cookies for "
        "this page.",
    )


def code_missing() -> ConsentRefused:
    """Xero redirected with neither a code nor an error."""
    return ConsentRefused("Xero sent no authorization code.", code="code_missing", hint="Start again.")


def busy() -> ConsentRefused:
    """Another callback, or a refresh, works on the same thing right now."""
    return ConsentRefused(
        "This consent is being completed right now.",
        code="busy",
        hint="Wait a few seconds and reload this page: nothing is lost.",
        can_retry=False,
    )


def callback_malformed() -> ConsentRefused:
    """A parameter came more than once (RFC 6749 §3.1), or the code is none (RFC 6749 §A.11)."""
    return ConsentRefused(
        "The address of this page is not as Xero makes it, so nothing of it was used.",
        code="callback_malformed",
        hint="Open the connect link again, and do not change the address that Xero sends you to.",
    )


def wrong_issuer() -> ConsentRefused:
    """The answer names another authorization server than the one that was asked (RFC 9207 §2.4)."""
    return ConsentRefused(
        "This page was not reached from Xero, so nothing of it was used.",
        code="wrong_issuer",
        hint="Open the connect link again. If this happens again, tell your administrator.",
    )


def throttled() -> ConsentRefused:
    """Xero asks for a pause (429); the code was not taken, so the same callback may be opened again."""
    return ConsentRefused(
        "Xero has very many requests at the moment and asks for a pause.",
        code="throttled",
        hint="Wait a minute and reload this page: nothing is lost.",
        can_retry=False,
    )


def refresh_token_missing() -> ConsentRefused:
    """The consent brought no refresh token, so no lasting connection can be made of it."""
    return ConsentRefused(
        "Xero gave no lasting access with this consent, so nothing of it was kept. A connection that was there "
        "before goes on working.",
        code="refresh_token_missing",
        hint="Tell your administrator: the consent came back without the scope offline_access.",
    )


def too_often() -> ConsentRefused:
    """So many consents in a day that the versions of the tokens secret would run out."""
    return ConsentRefused(
        "This connection was made too many times today.",
        code="too_often",
        hint="The connection that is there goes on working. Wait an hour and reload this page or start again.",
    )


def postponed(reason: StoreUnavailable | TokenEndpointFailure) -> ConsentRefused:
    """Something was not there before the code was presented; the same callback may be opened again."""
    return ConsentRefused(
        "This consent could not be completed right now.",
        code=reason.code if isinstance(reason, StoreUnavailable) else "xero_unavailable",
        hint="Wait a minute and reload this page: nothing is lost.",
        can_retry=False,
    )


def id_token_refused() -> ConsentRefused:
    """The ID token does not prove whose consent this is."""
    return ConsentRefused(
        "Xero's answer could not be verified, so it is not used.",
        code="id_token_refused",
        hint="Start again. If it happens again, tell your administrator.",
    )


def by_xero(error: str | None, description: str | None) -> ConsentRefused:
    """Xero sent an error (RFC 6749 §4.1.2.1); `access_denied` is not always the user saying no.

    Neither text is ever shown: anybody can make such an address.
    """
    error = _plain(error)
    if error == "invalid_scope" or (error == "access_denied" and _WRONG_SCOPES in _plain(description)):
        return ConsentRefused(
            "Xero does not allow this app the permissions that it asked for.",
            code="scopes_refused",
            hint="Tell your administrator: the scopes of the Xero app and of this connection differ.",
        )
    if error == "access_denied":
        return ConsentRefused(
            "Access was not allowed at Xero, so nothing was connected.",
            code="consent_denied",
            hint="If that was a mistake, start again and choose Allow access.",
        )
    if error in _PASSING:
        return ConsentRefused(
            "Xero is not available at the moment.",
            code="xero_unavailable",
            hint="Start again in some minutes.",
        )
    if error in _OF_THE_LOGIN:
        return ConsentRefused(
            "Xero could not ask you for your consent.",
            code="authorization_failed",
            hint="Log in at Xero, then start again. If it happens again, tell your administrator.",
        )
    if error in _OF_THE_APP:
        return ConsentRefused(
            "Xero does not take the request of this app.",
            code="authorization_failed",
            hint="Tell your administrator: the Xero app is not set up as it has to be.",
        )
    return ConsentRefused(
        "Xero ended the consent with an error.",
        code="authorization_failed",
        hint="Start again. If it happens again, tell your administrator.",
    )


def _plain(text: str | None) -> str:
    return " ".join((text or "").replace("+", " ").split()).lower()


def exchange_failed(failure: TokenEndpointFailure) -> ConsentRefused:
    """The code did not become a token, and it may be burnt."""
    if failure.kind is FailureKind.INVALID_CLIENT:
        return ConsentRefused(
            "Xero refuses the client ID and client secret of this app.",
            code="client_rejected",
            hint="Ask your administrator to enter a new client secret; then open the connect link again.",
        )
    if failure.kind is FailureKind.UNAUTHORIZED_CLIENT:
        return ConsentRefused(
            "Xero refuses the address that it sent you back to.",
            code="redirect_uri_refused",
            hint="Tell your administrator: the redirect URI of the Xero app differs from the one used here.",
        )
    if failure.kind in INCONCLUSIVE:
        return ConsentRefused(
            "Xero could not be reached to complete the consent.",
            code="xero_unavailable",
            hint="Start again in a few minutes.",
        )
    return ConsentRefused(
        "Xero no longer accepts this consent: it took longer than five minutes, or was used already.",
        code="code_refused",
        hint="Start again.",
    )
