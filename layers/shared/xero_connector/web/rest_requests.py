"""How the handlers read a request of API Gateway: headers, query, path and body."""

import base64
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from aws_lambda_powertools.event_handler import APIGatewayRestResolver

from xero_connector.domain.errors import BodyTooLarge, MalformedRequest
from xero_connector.domain.setup_link import LinkState
from xero_connector.domain.status import Status
from xero_connector.domain.submission import parse_client_id

LARGEST_BODY = 16_384
"""Bytes after decoding: more than the largest valid submission needs."""
DEFAULT_LIMIT = 50
LARGEST_LIMIT = 100
_BASE64_GROWTH = 4 / 3


def header_lines(app: APIGatewayRestResolver, name: str) -> list[str]:
    """Return every line of a header, whatever the letter case of its name (RFC 9110 §5.1).

    `headers` has only the last of several lines, so `multiValueHeaders` comes first.
    """
    event = app.current_event.raw_event
    many = [
        line
        for key, lines in (event.get("multiValueHeaders") or {}).items()
        if key.lower() == name.lower()
        for line in lines or ()
    ]
    if many:
        return many
    one = event.get("headers") or {}
    return [line for key, line in one.items() if key.lower() == name.lower() and line is not None]


def query_values(app: APIGatewayRestResolver, name: str) -> list[str]:
    """Return every value of a query parameter, in order and decoded; a comma does not divide a value."""
    event = app.current_event.raw_event
    many = (event.get("multiValueQueryStringParameters") or {}).get(name)
    if many:
        return list(many)
    one = (event.get("queryStringParameters") or {}).get(name)
    return [] if one is None else [one]


def client_id(segment: str) -> str:
    """Return the client ID that a segment of the path names, or raise `MalformedRequest`."""
    return parse_client_id(path_segment(segment))


def path_segment(segment: str) -> str:
    """Decode a segment of the path (RFC 3986 §2.1), because the router does not."""
    return unquote(segment)


def json_body(app: APIGatewayRestResolver) -> object:
    """Return the request's JSON body (RFC 8259), or raise `MalformedRequest`.

    A name twice in one object, NaN and infinite numbers, and lone surrogates are refused as well: their meaning is
    not defined, and no store accepts a lone surrogate.
    """
    try:
        text = _body(app).decode("utf-8-sig")
        content: object = json.loads(text, object_pairs_hook=_no_name_twice)
        # A lone surrogate can arrive as an escape; encoding the text finds it.
        json.dumps(content, allow_nan=False, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        raise MalformedRequest(
            "The body is not JSON.",
            code="malformed_json",
            hint="Send a JSON object in UTF-8 as the body, with each name only once.",
        ) from None  # The cause holds the body, and the client secret in it.
    return content


def optional_json_body(app: APIGatewayRestResolver) -> object:
    """Return the request's JSON body, an empty object where there is no body; may raise `MalformedRequest`."""
    return json_body(app) if app.current_event.body else {}


def caller(app: APIGatewayRestResolver) -> str:
    """Return the ARN of the IAM principal that signed the request."""
    return app.current_event.request_context.identity.user_arn or "unknown"


def next_token(app: APIGatewayRestResolver) -> str | None:
    """Return where a page begins; the reader of the list checks that it is valid."""
    return _once(app, "next_token")


def status(app: APIGatewayRestResolver) -> Status | None:
    """Return the status to list, or raise `MalformedRequest`."""
    name = _once(app, "status")
    if name is None:
        return None
    try:
        return Status(name)
    except ValueError as error:
        raise MalformedRequest(
            "There is no such status.", code="malformed_status", hint=f"Use one of: {', '.join(Status)}."
        ) from error


def link_state(app: APIGatewayRestResolver) -> LinkState | None:
    """Return the state of the setup links to list, or raise `MalformedRequest`."""
    name = _once(app, "state")
    if name is None:
        return None
    try:
        return LinkState(name)
    except ValueError as error:
        raise MalformedRequest(
            "There is no such state.", code="malformed_state", hint=f"Use one of: {', '.join(LinkState)}."
        ) from error


def limit(app: APIGatewayRestResolver) -> int:
    """Return the size of a page, or raise `MalformedRequest`."""
    text = _once(app, "limit")
    if text is None:
        return DEFAULT_LIMIT
    if not (text.isascii() and text.isdecimal() and len(text) < 4 and 1 <= int(text) <= LARGEST_LIMIT):  # noqa: PLR2004
        raise MalformedRequest(
            "The limit is not valid.",
            code="malformed_limit",
            hint=f"Send a whole number from 1 to {LARGEST_LIMIT}.",
        )
    return int(text)


def _once(app: APIGatewayRestResolver, name: str) -> str | None:
    values = query_values(app, name)
    # With two values, the meaning of the request is not clear.
    if len(values) > 1:
        raise MalformedRequest(
            f"The query parameter {name} was sent more than once.",
            code=f"malformed_{name}",
            hint=f"Send {name} once.",
        )
    return values[0] if values else None


def _body(app: APIGatewayRestResolver) -> bytes:
    event = app.current_event
    body = event.body or ""
    if not event.is_base64_encoded:
        _check_size(len(body))
        content = body.encode()
    else:
        _check_size(int(len(body) / _BASE64_GROWTH) - 2)
        content = base64.b64decode(body, validate=True)
    _check_size(len(content))
    return content


def _check_size(size: int) -> None:
    if size > LARGEST_BODY:
        raise BodyTooLarge(
            "The body is too large.",
            code="body_too_large",
            hint=f"Send only the documented fields: together they need less than {LARGEST_BODY:,} bytes.",
        )


def _no_name_twice(pairs: list[tuple[str, Any]]) -> Mapping[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise ValueError
    return members
