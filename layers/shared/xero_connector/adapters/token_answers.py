"""Answers of Xero's token endpoint, read as leniently as their tokens allow (RFC 6749 §5)."""

import base64
import json
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from math import isfinite
from typing import Any

import requests

from xero_connector.adapters import lenient_json
from xero_connector.domain.tokens import TokenAnswer, TokenSet

_DOCUMENTED_LIFE = 1800
"""Seconds (Xero, "Token types")."""
_SHORTEST_LIFE = 60
_LONGEST_LIFE = 86_400
_LONGEST_ACCESS_TOKEN = 40_000
_LONGEST_REFRESH_TOKEN = 16_000
_LONGEST_SCOPES = 8_000
"""Characters of JSON. Together they fit into one version of a secret, which has 64 KiB."""
_LONGEST_SCOPE = 255
_LONGEST_TYPE = 64
_LONGEST_ID_TOKEN = 200_000
_LONGEST_ID = 255
_MOST_DIGITS = 9
_NOT_DECODED = "\ufffd"


def token_members(answer: requests.Response) -> dict[str, Any]:
    """Return the members of a token answer, empty if it has none.

    One that is cut off counts if its refresh token came before the cut: without it, the grant could be lost.
    """
    content, whole = lenient_json.read(answer.content)
    if not isinstance(content, dict):
        return {}
    return content if whole or is_refresh_token(content.get("refresh_token")) else {}


def error_of(answer: requests.Response) -> str | None:
    """Return the error that an answer names (RFC 6749 §5.2), None if it names none."""
    error = lenient_json.members(answer.content).get("error")
    return error if isinstance(error, str) else None


def retry_after(text: str, now: datetime) -> int | None:
    """Read `Retry-After` in both of its forms (RFC 9110 §10.2.3): seconds, or a date.

    A header that came twice is one with a comma: the longer pause counts.
    """
    pauses = [one.strip() for one in text.split(",")]
    if all(pause.isascii() and pause.isdecimal() for pause in pauses):
        return max(int(pause[:_MOST_DIGITS]) for pause in pauses)
    try:
        moment = parsedate_to_datetime(text)
        aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
        return max(0, int((aware - now).total_seconds()))
    except (ArithmeticError, LookupError, TypeError, ValueError):
        # A year, a day or a zone that no calendar has.
        return None


def is_access_token(value: object) -> bool:
    """Tell whether a member is an access token that can be stored."""
    return _is_text(value, _LONGEST_ACCESS_TOKEN)


def is_refresh_token(value: object) -> bool:
    """Tell whether a member is a refresh token that can be stored."""
    return _is_text(value, _LONGEST_REFRESH_TOKEN)


def is_lost(refresh_token: object) -> bool:
    """Tell whether Xero sent a refresh token that cannot be kept: it has to be asked again, within the grace."""
    if refresh_token is lenient_json.UNREADABLE:
        return True
    return isinstance(refresh_token, str) and bool(refresh_token.strip()) and not is_refresh_token(refresh_token)


def _is_text(value: object, longest: int) -> bool:
    """Tell whether a member is a printable text with something in it, and takes no more room than that in JSON."""
    return (
        isinstance(value, str)
        and bool(value.strip())
        and value.isprintable()
        and _NOT_DECODED not in value
        and len(json.dumps(value)) <= longest
    )


def standard_form(content: dict[str, Any]) -> dict[str, Any]:
    """Return the members of a token answer in their documented types; what is missing or odd is filled in."""
    refresh_token, id_token, token_type = (
        content.get(name) for name in ("refresh_token", "id_token", "token_type")
    )
    standard: dict[str, Any] = {
        "access_token": content["access_token"],
        "token_type": token_type if _is_text(token_type, _LONGEST_TYPE) else "Bearer",
        "expires_in": _expires_in(content),
        "scope": _scope(content.get("scope")),
    }
    if type(refresh_token) is int:
        refresh_token = str(refresh_token)
    if is_refresh_token(refresh_token):
        standard["refresh_token"] = refresh_token
    if id_token is not None:
        # Something else than a JWT is refused where ID tokens are verified.
        standard["id_token"] = id_token if _is_text(id_token, _LONGEST_ID_TOKEN) else "not-a-jwt"
    return standard


def _scope(said: object) -> str:
    """Return the scopes of an answer, as many as there is room for wherever they are kept."""
    scopes = said.split() if isinstance(said, str) else said if isinstance(said, list) else []
    fit: list[str] = []
    room = _LONGEST_SCOPES
    for one in scopes:
        if not _is_text(one, _LONGEST_SCOPE):
            continue
        room -= len(json.dumps(one))
        if room < 0:
            break
        fit.append(one)
    return " ".join(fit)


def _expires_in(content: dict[str, Any]) -> int:
    """Return the access token's life in seconds: from the answer, from the token, or as Xero documents it."""
    said = content.get("expires_in")
    if isinstance(said, str) and said.isascii() and said.isdecimal():
        said = int(said[:_MOST_DIGITS])
    if isinstance(said, float) and isfinite(said):
        said = int(said)
    if type(said) is not int or said <= 0:
        claims = _claims(content["access_token"])
        begins, ends = claims.get("nbf", claims.get("iat")), claims.get("exp")
        said = ends - begins if type(begins) is int and type(ends) is int else _DOCUMENTED_LIFE
    return min(max(said, _SHORTEST_LIFE), _LONGEST_LIFE)


def token_answer(token: dict[str, Any], asked_at: datetime) -> TokenAnswer:
    """Return an answer in its standard form as the connector's own; `asked_at` is before the request."""
    expires_in = int(token["expires_in"])
    return TokenAnswer(
        token=TokenSet(
            access_token=token["access_token"],
            token_type=token.get("token_type", "Bearer"),
            refresh_token=token.get("refresh_token"),
            expires_in=expires_in,
            expires_at=int(asked_at.astimezone(UTC).timestamp()) + expires_in,
            scope=token.get("scope", ""),
        ),
        obtained_at=asked_at,
        id_token=token.get("id_token"),
        auth_event_id=_auth_event_id(token["access_token"]),
    )


def _auth_event_id(access_token: str) -> str | None:
    """Read a claim of the access token, unverified: it came from Xero over TLS and only filters a list."""
    event_id = _claims(access_token).get("authentication_event_id")
    return event_id if isinstance(event_id, str) and _is_text(event_id, _LONGEST_ID) else None


def _claims(access_token: str) -> dict[str, Any]:
    try:
        payload = access_token.split(".")[1]
        return lenient_json.members(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (IndexError, ValueError):
        return {}
