"""Pairs, token sets and what the tokens secret holds: none of it shows in a repr."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid5

from xero_connector.domain.tenant import Tenant

LARGEST_VERSION = 65_536
"""Bytes that Secrets Manager takes (AWS, "Secrets Manager quotas")."""


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
        """Read what `to_dict` made."""
        return cls(
            access_token=token["access_token"],
            token_type=token["token_type"],
            refresh_token=token.get("refresh_token"),
            expires_in=token["expires_in"],
            expires_at=token["expires_at"],
            scope=token["scope"],
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
        """Read what `to_json` made."""
        content = json.loads(text)
        return cls(
            client_id=content["client_id"],
            generation=content["generation"],
            obtained_at=datetime.fromisoformat(content["obtained_at"]),
            token=TokenSet.from_dict(content["token"]),
            tenants=tuple(Tenant.from_dict(tenant) for tenant in content["tenants"]),
        )


@dataclass(frozen=True, slots=True)
class StoredTokens:
    """A version of the tokens as the vault holds it, and the ARN of its secret."""

    secret: TokensSecret
    arn: str


def tokens_version_id(incarnation: UUID, generation: int) -> str:
    """Return the one version id that this generation of tokens can have.

    Two writers of the same generation ask Secrets Manager for the same id, so that only one content can win,
    and a reader who knows the generation finds its version without asking for a label.
    """
    return str(uuid5(incarnation, f"tokens/{generation}"))


def consent_version_id(incarnation: UUID, request: str) -> str:
    """Return the version id of the answer to an authorization request's code (`request`: the hash of its state).

    It depends on nothing that a refresh changes meanwhile: whoever looks for the answer finds it or does not.
    """
    return str(uuid5(incarnation, f"consent/{request}"))


def client_version_id(incarnation: UUID, number: int) -> str:
    """Return the version id of the `number`-th client secret of this incarnation."""
    return str(uuid5(incarnation, f"client/{number}"))
