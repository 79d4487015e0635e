"""Pairs, token sets and what the tokens secret holds: none of it shows in a repr."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from math import isfinite
from typing import Any
from uuid import UUID, uuid5

from xero_connector.domain.tenant import Tenant, tenants_from

LARGEST_VERSION = 65_536
"""Bytes that Secrets Manager takes (AWS, "Secrets Manager quotas")."""
_DOCUMENTED_LIFE = 1800
"""Seconds (Xero, "Token types")."""
_MOST_DIGITS = 11
"""Of a moment in epoch seconds: the calendar ends with these."""


@dataclass(frozen=True, slots=True)
class ClientPair:
    """A client ID and its client secret (RFC 6749 §2.3.1)."""

    client_id: str
    client_secret: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenSet:
    """The standard keys of a token response (RFC 6749 §5.1), with `expires_at` in epoch seconds."""

    access_token: str = field(repr=False)
    token_type: str
    refresh_token: str | None = field(repr=False)
    expires_in: int
    expires_at: int
    scope: str

    @property
    def scopes(self) -> tuple[str, ...]:
        """The granted scopes."""
        return tuple(self.scope.split())

    def to_dict(self) -> dict[str, Any]:
        """Return what Authlib and xero-python take as a token; a missing refresh token has no key."""
        token: dict[str, Any] = {
            "access_token": self.access_token,
            "token_type": self.token_type,
            "expires_in": self.expires_in,
            "expires_at": self.expires_at,
            "scope": self.scope,
        }
        if self.refresh_token is not None:
            token["refresh_token"] = self.refresh_token
        return token

    @classmethod
    def from_dict(cls, token: Mapping[str, Any]) -> "TokenSet":
        """Read what `to_dict` made; what is odd beside the tokens does not cost them.

        Raises `KeyError` or `TypeError` without an access token.
        """
        access_token, refresh_token, scope = token["access_token"], token.get("refresh_token"), token.get("scope")
        if not isinstance(access_token, str):
            raise TypeError
        if isinstance(scope, list):
            scope = " ".join(str(one) for one in scope)
        token_type = token.get("token_type")
        return cls(
            access_token=access_token,
            token_type=token_type if isinstance(token_type, str) else "Bearer",
            refresh_token=refresh_token if isinstance(refresh_token, str) else None,
            expires_in=_whole(token.get("expires_in"), otherwise=_DOCUMENTED_LIFE),
            # Without a word about its end it has ended: the next refresh comes at once.
            expires_at=_whole(token.get("expires_at"), otherwise=0),
            scope=scope if isinstance(scope, str) else "",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenAnswer:
    """One whole answer of Xero's token endpoint.

    `auth_event_id` is the `authentication_event_id` claim of the access token, which names the consent.
    """

    token: TokenSet
    obtained_at: datetime
    id_token: str | None = field(default=None, repr=False)
    auth_event_id: str | None = None

    def as_asked_for(self, scopes: Sequence[str]) -> "TokenAnswer":
        """Fill in the scope where the answer leaves it out: it is the one that was asked for (RFC 6749 §5.1)."""
        return replace(self, token=replace(self.token, scope=self.token.scope or " ".join(scopes)))

    def keeping(self, previous: TokenSet) -> "TokenAnswer":
        """Fill in what a refresh response may leave out: the refresh token and the scope (RFC 6749 §6)."""
        return replace(
            self,
            token=replace(
                self.token,
                refresh_token=self.token.refresh_token or previous.refresh_token,
                scope=self.token.scope or previous.scope,
            ),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TokensSecret:
    """What one version of `{prefix}/{client_id}/tokens` holds: one whole answer from Xero."""

    client_id: str
    generation: int
    obtained_at: datetime
    token: TokenSet
    tenants: tuple[Tenant, ...]

    @property
    def token_expires_at(self) -> datetime:
        """When the access token ends."""
        return datetime.fromtimestamp(self.token.expires_at, tz=UTC)

    def within_limit(self) -> "TokensSecret":
        """Leave the organisations out where a version could not hold them all: some hundreds.

        The grant must not be lost for want of room; the registry and the admin API list them nevertheless.
        """
        return self if len(self.to_json().encode()) <= LARGEST_VERSION else replace(self, tenants=())

    def to_json(self) -> str:
        """Return the JSON that consumers read (see `docs/reading-tokens.md`)."""
        return json.dumps(
            {
                "client_id": self.client_id,
                "generation": self.generation,
                "obtained_at": self.obtained_at.astimezone(UTC).isoformat(),
                "token": self.token.to_dict(),
                "tenants": [tenant.to_dict() for tenant in self.tenants],
            }
        )

    @classmethod
    def from_json(cls, text: str) -> "TokensSecret":
        """Read what `to_json` made.

        Raises `AttributeError`, `KeyError`, `RecursionError`, `TypeError` or `ValueError` without tokens in it.
        """
        content = json.loads(text)
        token = TokenSet.from_dict(content["token"])
        return cls(
            client_id=str(content["client_id"]),
            generation=int(content["generation"]),
            obtained_at=_moment(content.get("obtained_at"))
            or datetime.fromtimestamp(max(token.expires_at - token.expires_in, 0), tz=UTC),
            token=token,
            tenants=tenants_from(content.get("tenants")),
        )


@dataclass(frozen=True, slots=True)
class StoredTokens:
    """A version of the tokens as the vault holds it, and the ARN of its secret."""

    secret: TokensSecret
    arn: str


def _whole(value: object, *, otherwise: int) -> int:
    if isinstance(value, str) and value.isascii() and value.isdecimal():
        value = int(value[:_MOST_DIGITS])
    if isinstance(value, float) and isfinite(value):
        value = int(value)
    return value if type(value) is int and 0 <= value < 10**_MOST_DIGITS else otherwise


def _moment(text: object) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None
    return moment.replace(tzinfo=UTC) if moment is not None and moment.tzinfo is None else moment


def tokens_version_id(incarnation: UUID, generation: int) -> str:
    """Return the one version id that this generation of tokens can have.

    Two writers of the same generation ask Secrets Manager for the same id, so that only one content can win,
    and a reader who knows the generation finds its version without asking for a label.
    """
    return str(uuid5(incarnation, f"tokens/{generation}"))


def consent_version_id(incarnation: UUID, request: str, *, again: int = 0) -> str:
    """Return the version id of the answer to an authorization request's code (`request`: the hash of its state).

    It depends on nothing that a refresh changes meanwhile: a look for the answer finds it or does not.
    `again` counts how often the same answer was stored once more: with its organisations, or renumbered.
    """
    return str(uuid5(incarnation, f"consent/{request}/{again}" if again else f"consent/{request}"))


def client_version_id(incarnation: UUID, number: int) -> str:
    """Return the version id of the `number`-th client secret of this incarnation."""
    return str(uuid5(incarnation, f"client/{number}"))
