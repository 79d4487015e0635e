"""What the handlers read from a request of API Gateway."""

import json

from aws_lambda_powertools.event_handler import APIGatewayRestResolver

from xero_connector.domain.errors import BodyTooLarge, MalformedRequest
from xero_connector.domain.status import Status

LARGEST_BODY = 16_384
"""Characters: more than the largest allowed submission needs."""
DEFAULT_LIMIT = 50
LARGEST_LIMIT = 100


def json_body(app: APIGatewayRestResolver) -> object:
    """Return the request's JSON body, or raise `MalformedRequest`."""
    event = app.current_event
    if len(event.body or "") > LARGEST_BODY:
        raise BodyTooLarge(
            "The body is too large.",
            code="body_too_large",
            hint=f"Send only the documented fields: they never need {LARGEST_BODY} characters.",
        )
    try:
        return json.loads(event.decoded_body or "")
    except (ValueError, RecursionError):
        raise MalformedRequest(
            "The body is not JSON.", code="malformed_json", hint="Send a JSON object as the body."
        ) from None


def caller(app: APIGatewayRestResolver) -> str:
    """Return the ARN of the IAM principal that signed the request."""
    return app.current_event.request_context.identity.user_arn or "unknown"


def query(app: APIGatewayRestResolver, name: str) -> str | None:
    """Return a query parameter; None if it is missing, or given more than once."""
    values = app.current_event.resolved_query_string_parameters.get(name, [])
    return values[0] if len(values) == 1 else None


def next_token(app: APIGatewayRestResolver) -> str | None:
    """Return where a page begins; whether it is one that was given out, its reader finds out."""
    return _once(app, "next_token")


def status(app: APIGatewayRestResolver) -> Status | None:
    """Return the status to list, or raise `MalformedRequest`."""
    name = _once(app, "status")
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
    text = _once(app, "limit")
    if text is None:
        return DEFAULT_LIMIT
    if not (text.isascii() and text.isdecimal() and len(text) < 4 and 1 <= int(text) <= LARGEST_LIMIT):  # noqa: PLR2004
        raise MalformedRequest(
            "The limit is not usable.",
            code="malformed_limit",
            hint=f"Send a whole number from 1 to {LARGEST_LIMIT}.",
        )
    return int(text)


def _once(app: APIGatewayRestResolver, name: str) -> str | None:
    # An admin who gives two of them means something that would not be done: better to say so than to guess.
    if len(app.current_event.resolved_query_string_parameters.get(name, [])) > 1:
        raise MalformedRequest(
            f"The query parameter {name} is given more than once.",
            code=f"malformed_{name}",
            hint=f"Send {name} once.",
        )
    return query(app, name)
