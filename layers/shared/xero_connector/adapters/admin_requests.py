"""What the admin API reads from a request besides its body."""

from aws_lambda_powertools.event_handler import APIGatewayRestResolver

from xero_connector.domain.errors import MalformedRequest
from xero_connector.domain.status import Status

_DEFAULT_LIMIT = 50
_LARGEST_LIMIT = 100


def caller(app: APIGatewayRestResolver) -> str:
    """Return the ARN of the IAM principal that signed the request."""
    return app.current_event.request_context.identity.user_arn or "unknown"


def query(app: APIGatewayRestResolver, name: str) -> str | None:
    """Return a query parameter; None if it is missing, or given more than once."""
    values = app.current_event.resolved_query_string_parameters.get(name, [])
    return values[0] if len(values) == 1 else None


def status(app: APIGatewayRestResolver) -> Status | None:
    """Return the status to list, or raise `MalformedRequest`."""
    name = query(app, "status")
    if name is None:
        return None
    try:
        return Status(name)
    except ValueError:
        raise MalformedRequest(
            "The status is not known.", code="malformed_status", hint=f"Use one of: {', '.join(Status)}."
        ) from None


def limit(app: APIGatewayRestResolver) -> int:
    """Return the size of a page, or raise `MalformedRequest`."""
    text = query(app, "limit")
    if text is None:
        return _DEFAULT_LIMIT
    if not (text.isascii() and text.isdecimal() and len(text) < 4 and 1 <= int(text) <= _LARGEST_LIMIT):  # noqa: PLR2004
        raise MalformedRequest(
            "The limit is not usable.",
            code="malformed_limit",
            hint=f"Send a whole number from 1 to {_LARGEST_LIMIT}.",
        )
    return int(text)
