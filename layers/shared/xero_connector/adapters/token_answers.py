"""Answers of Xero's token endpoint, read as leniently as their tokens allow (RFC 6749 §5)."""

import base64
import json
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from math import isfinite
from typing import Any

import requests

from xero_connector.domain.tokens import TokenAnswer, TokenSet

_DOCUMENTED_LIFE = 1800
"""Seconds (Xero, "Token types")."""
_SHORTEST_LIFE = 60
_LONGEST_LIFE = 86_400


def json_object(answer: requests.Response) -> dict[str, Any]:
    """Return the object that an answer holds, empty if it holds something else."""
    try:
        content = answer.json()
    except (ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def retry_after(text: str, now: datetime) -> int | None:
    """Read `Retry-After` in both of its forms (RFC 9110 §10.2.3): seconds, or a date."""
    if text.isascii() and text.isdecimal():
        return int(text[:9])
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return max(0, int((aware - now).total_seconds()))


def is_text(value: object) -> bool:
    """Tell whether a member is a printable text with something in it."""
    return isinstance(value, str) and bool(value.strip()) and value.isprintable()


def standard_form(content: dict[str, Any]) -> dict[str, Any]:
    """Return the members of a token answer in their documented types; what is missing or odd is filled in."""
    refresh_token, id_token, scope = (content.get(name) for name in ("refresh_token", "id_token", "scope"))
    scopes = scope.split() if isinstance(scope, str) else scope if isinstance(scope, list) else []
    standard: dict[str, Any] = {
        "access_token": content["access_token"],
        "token_type": content["token_type"] if is_text(content.get("token_type")) else "Bearer",
        "expires_in": _expires_in(content),
        "scope": " ".join(one for one in scopes if is_text(one)),
    }
    if type(refresh_token) is int:
        refresh_token = str(refresh_token)
    if is_text(refresh_token):
        standard["refresh_token"] = refresh_token
    if id_token is not None:
        # Something else than a JWT is refused where ID tokens are verified.
        standard["id_token"] = id_token if is_text(id_token) else "not-a-jwt"
    return standard


def _expires_in(content: dict[str, Any]) -> int:
    """Return the access token's life in seconds: from the answer, from the token, or as Xero documents it."""
    said = content.get("expires_in")
    if isinstance(said, str) and said.isascii() and said.isdecimal():
        said = int(said[:9])
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
    found = _claims(access_token).get("authentication_event_id")
    return found if isinstance(found, str) else None


def _claims(access_token: str) -> dict[str, Any]:
    try:
        payload = access_token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (IndexError, RecursionError, ValueError):
        return {}
    return claims if isinstance(claims, dict) else {}
