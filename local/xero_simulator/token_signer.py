import base64
import hashlib
import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cached_property
from typing import Any
from uuid import uuid4

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet, RSAKey

from local.xero_simulator.refresh_tokens import Grant

ACCESS_TOKEN_LIFETIME = timedelta(minutes=30)
ID_TOKEN_LIFETIME = timedelta(minutes=5)
ALGORITHM = "RS256"

type Claims = dict[str, Any]


class IdTokenFault(StrEnum):
    """What is wrong with an ID token that no client may accept."""

    WRONG_NONCE = "wrong_nonce"
    WRONG_AUDIENCE = "wrong_audience"
    WRONG_ISSUER = "wrong_issuer"
    EXPIRED = "expired"
    WRONG_KEY = "wrong_key"
    UNSIGNED = "unsigned"


class InvalidAccessTokenError(Exception):
    """The bearer token is not one of ours, or no longer good."""


def new_signing_key() -> RSAKey:
    """Generate an RSA key for RS256."""
    return RSAKey.generate_key(2048, {"use": "sig", "alg": ALGORITHM}, private=True, auto_kid=True)


class TokenSigner:
    """Mints and verifies the JWTs of one issuer."""

    def __init__(self, issuer: str, key: RSAKey) -> None:
        self._issuer = issuer
        self._key = key

    @cached_property
    def _stranger_key(self) -> RSAKey:
        return new_signing_key()

    @property
    def jwks(self) -> Mapping[str, object]:
        """The public key set."""
        return dict(KeySet([self._key]).as_dict(private=False))

    def access_token(self, grant: Grant, now: datetime) -> str:
        """Mint an access token with the claims that Xero's have."""
        claims: Claims = {
            "nbf": int(now.timestamp()),
            "exp": int((now + ACCESS_TOKEN_LIFETIME).timestamp()),
            "iss": self._issuer,
            "aud": f"{self._issuer}/resources",
            "client_id": grant.client_id,
            "jti": uuid4().hex,
            "scope": list(grant.scope),
        }
        if grant.session is not None:
            claims |= {
                "sub": grant.session.user.subject,
                "auth_time": int(grant.session.auth_time.timestamp()),
                "xero_userid": grant.session.user.user_id,
                "global_session_id": grant.session.session_id,
                "authentication_event_id": grant.auth_event_id,
            }
        return self._signed(claims, self._key)

    def verify_access_token(self, access_token: str, now: datetime) -> Claims:
        """Return the claims, or raise `InvalidAccessTokenError`."""
        try:
            claims = jwt.decode(access_token, self._key, algorithms=[ALGORITHM]).claims
        except (JoseError, ValueError):
            raise InvalidAccessTokenError from None
        if claims["iss"] != self._issuer or claims["aud"] != f"{self._issuer}/resources":
            raise InvalidAccessTokenError
        if now.timestamp() >= claims["exp"]:
            raise InvalidAccessTokenError
        return claims

    def id_token(
        self,
        grant: Grant,
        now: datetime,
        *,
        access_token: str,
        nonce: str | None = None,
        fault: IdTokenFault | None = None,
    ) -> str:
        """Mint the ID token of a person's grant, wrong in one way if a fault is given."""
        if grant.session is None:
            raise ValueError("no person, no ID token")
        issued_at = now - timedelta(days=1) if fault is IdTokenFault.EXPIRED else now
        claims: Claims = {
            "nbf": int(issued_at.timestamp()),
            "exp": int((issued_at + ID_TOKEN_LIFETIME).timestamp()),
            "iss": "https://elsewhere.example" if fault is IdTokenFault.WRONG_ISSUER else self._issuer,
            "aud": "F" * 32 if fault is IdTokenFault.WRONG_AUDIENCE else grant.client_id,
            "iat": int(issued_at.timestamp()),
            "at_hash": _left_half_hash(access_token),
            "sid": grant.session.session_id,
            "sub": grant.session.user.subject,
            "auth_time": int(grant.session.auth_time.timestamp()),
            "xero_userid": grant.session.user.user_id,
            "global_session_id": grant.session.session_id,
        }
        if fault is IdTokenFault.WRONG_NONCE:
            claims["nonce"] = uuid4().hex
        elif nonce is not None:
            claims["nonce"] = nonce
        if "email" in grant.scope:
            claims["email"] = grant.session.user.email
        if "profile" in grant.scope:
            claims |= {"preferred_username": grant.session.user.email, "name": "Alex Example"}
        if fault is IdTokenFault.UNSIGNED:
            return _unsigned(claims)
        return self._signed(claims, self._stranger_key if fault is IdTokenFault.WRONG_KEY else self._key)

    def _signed(self, claims: Claims, key: RSAKey) -> str:
        # Always the published key id: a client that trusts the id alone would take the stranger's signature.
        return jwt.encode({"alg": ALGORITHM, "kid": self._key.kid}, claims, key)


def _left_half_hash(access_token: str) -> str:
    # OpenID Connect Core section 3.1.3.6.
    return _base64url(hashlib.sha256(access_token.encode()).digest()[:16])


def _unsigned(claims: Claims) -> str:
    # By hand: the library rightly makes "none" hard to get.
    parts = ({"alg": "none", "typ": "JWT"}, claims)
    return ".".join([*(_base64url(json.dumps(part).encode()) for part in parts), ""])


def _base64url(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()
