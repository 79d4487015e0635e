"""What an answer of Xero's token endpoint means, as one table.

Sources: RFC 6749 §5.2; Xero's OAuth 2.0 pages; IdentityServer answers 400 for every OAuth error, and 401 is
accepted as well. The description is ignored, because its words are not documented.
"""

from enum import StrEnum

from xero_connector.domain.errors import ConnectorError


class FailureKind(StrEnum):
    """A failed call, by what it means for the pair and for the grant."""

    NOT_SENT = "not_sent"
    """No connection was made, so the request had no effect."""
    UNANSWERED = "unanswered"
    """The request may have taken effect; the answer is lost."""
    THROTTLED = "throttled"
    """429: the request had no effect, and Xero asks for a pause."""
    UNAVAILABLE = "unavailable"
    """5xx or 408: the request may have taken effect."""
    EDGE_REFUSED = "edge_refused"
    """403, or a page instead of JSON: Xero's firewall answered, not its token endpoint."""
    INVALID_GRANT = "invalid_grant"
    """The pair is good; the code or refresh token is not."""
    INVALID_CLIENT = "invalid_client"
    """Xero refuses the pair."""
    UNAUTHORIZED_CLIENT = "unauthorized_client"
    """The pair is good, but the app may not use this grant type."""
    INVALID_SCOPE = "invalid_scope"
    """The pair is good; the app does not have one of the requested scopes."""
    UNEXPECTED = "unexpected"
    """None of the above."""


INCONCLUSIVE = frozenset(
    {
        FailureKind.NOT_SENT,
        FailureKind.UNANSWERED,
        FailureKind.THROTTLED,
        FailureKind.UNAVAILABLE,
        FailureKind.EDGE_REFUSED,
        FailureKind.UNEXPECTED,
    }
)
"""These do not count against the pair."""

OUTAGE = frozenset(
    {
        FailureKind.NOT_SENT,
        FailureKind.UNANSWERED,
        FailureKind.UNAVAILABLE,
        FailureKind.EDGE_REFUSED,
    }
)
"""These do not depend on the app: many of them in sequence mean an outage of Xero."""

_OAUTH_ERRORS = {
    "invalid_grant": FailureKind.INVALID_GRANT,
    "invalid_client": FailureKind.INVALID_CLIENT,
    "unauthorized_client": FailureKind.UNAUTHORIZED_CLIENT,
    "invalid_scope": FailureKind.INVALID_SCOPE,
}
_OAUTH_STATUSES = frozenset({400, 401})


class TokenEndpointFailure(ConnectorError):
    """The token endpoint did not give a token.

    `retry_after` is in seconds if Xero named a pause; `correlation_id` is Xero's own, for its support.
    """

    def __init__(
        self, kind: FailureKind, *, retry_after: int | None = None, correlation_id: str | None = None
    ) -> None:
        super().__init__(EXPLANATIONS[kind], code=str(kind))
        self.kind = kind
        self.retry_after = retry_after
        self.correlation_id = correlation_id


EXPLANATIONS = {
    FailureKind.NOT_SENT: "Xero could not be reached.",
    FailureKind.UNANSWERED: "Xero did not answer in time.",
    FailureKind.THROTTLED: "Xero asks for a pause (429).",
    FailureKind.UNAVAILABLE: "Xero is not available at the moment.",
    FailureKind.EDGE_REFUSED: "Xero's firewall answered instead of its token endpoint.",
    FailureKind.INVALID_GRANT: "Xero no longer accepts this grant.",
    FailureKind.INVALID_CLIENT: "Xero refuses this client ID and client secret.",
    FailureKind.UNAUTHORIZED_CLIENT: "Xero does not allow this app to use this kind of grant.",
    FailureKind.INVALID_SCOPE: "Xero does not allow this app to use one of the scopes.",
    FailureKind.UNEXPECTED: "Xero gave an answer that is not documented.",
}


def classify(status: int, error: str | None) -> FailureKind:
    """Say what a token-endpoint answer without a token means.

    `error` is the `error` key of a JSON body, or None if the body was not a JSON object with one.
    """
    server_error = 500
    if status == 429:  # noqa: PLR2004 - HTTP's own number reads best
        return FailureKind.THROTTLED
    if status >= server_error or status == 408:  # noqa: PLR2004
        return FailureKind.UNAVAILABLE
    if error is None:
        return FailureKind.EDGE_REFUSED
    if status in _OAUTH_STATUSES:
        return _OAUTH_ERRORS.get(error, FailureKind.UNEXPECTED)
    return FailureKind.UNEXPECTED
