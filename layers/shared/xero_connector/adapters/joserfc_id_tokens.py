"""ID-token verification with joserfc (OpenID Connect Core §3.1.3.7)."""

import threading
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import requests
from joserfc import jws, jwt
from joserfc.errors import InvalidClaimError, InvalidKeyIdError, InvalidPayloadError, JoseError
from joserfc.jwk import RSAKey

from xero_connector.adapters import lenient_json
from xero_connector.adapters.bounded_http import BoundedAdapter
from xero_connector.adapters.budget import Budget, Limits, Transport
from xero_connector.adapters.transport_failures import transport_failures
from xero_connector.domain.errors import KEYS_UNAVAILABLE, IdTokenRefused
from xero_connector.domain.ports import Clock

LEEWAY = 60
"""Seconds that Xero's clock and ours may differ."""
_KEYS_ARE_FRESH_FOR = timedelta(hours=24)
_REFETCH_AT_MOST_EVERY = timedelta(minutes=1)
LIMITS = Limits(within=timedelta(seconds=5), largest=262_144)
_SECOND_TRY = timedelta(seconds=3)
_ALGORITHM = "RS256"
_LONGEST_USER_ID = 255
"""OpenID Connect Core §2, of `sub`."""
_MALFORMED = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
"""What joserfc raises, besides its own errors, where a header or a claim has a type that it does not expect."""


@dataclass(frozen=True, slots=True)
class _PublishedKey:
    """A key that may have signed an ID token, under the id that it was published with."""

    kid: str | None
    key: RSAKey


type _Keys = tuple[_PublishedKey, ...]


class JoserfcIdTokens:
    """`IdTokens` of one issuer; its keys are fetched when first needed and when an unknown one signs."""

    def __init__(
        self, issuer: str, clock: Clock, *, transport: Transport = BoundedAdapter, limits: Limits = LIMITS
    ) -> None:
        self._issuer = issuer
        self._clock = clock
        self._transport = transport
        self._limits = limits
        self._lock = threading.Lock()
        self._keys: _Keys = ()
        self._fetched_at: datetime | None = None
        self._fruitless_at: datetime | None = None

    def load_keys(self) -> None:
        with transport_failures():
            self._fresh_keys()

    def verify_id_token(self, id_token: str | None, *, client_id: str, nonce: str) -> str:
        if not id_token:
            raise IdTokenRefused("Xero sent no ID token.", code="id_token_missing")
        try:
            claims = self._decode(id_token)
            jwt.JWTClaimsRegistry(
                now=int(self._clock().timestamp()),
                leeway=LEEWAY,
                iss={"essential": True, "value": self._issuer},
                sub={"essential": True},
                aud={"essential": True, "value": client_id},
                exp={"essential": True},
                iat={"essential": True},
                nonce={"essential": True, "value": nonce},
            ).validate(claims)
            _check_for_whom(claims, client_id)
            return _user_of(claims)
        except JoseError as error:
            # The cause can hold parts of the ID token, and so what says who the user is.
            raise IdTokenRefused("The ID token is not acceptable.", code=error.error) from None
        except requests.RequestException:
            # As above: the keys were asked for while a refused ID token was handled.
            raise IdTokenRefused("Xero's signing keys could not be read.", code=KEYS_UNAVAILABLE) from None
        except _MALFORMED:
            # As above.
            raise IdTokenRefused("The ID token is not a signed JWT.", code="id_token_malformed") from None

    def _decode(self, id_token: str) -> dict[str, Any]:
        keys = self._fresh_keys()
        try:
            return _decoded(id_token, keys)
        except (JoseError, *_MALFORMED) as error:
            # Xero may have begun to sign with a new key.
            newer = self._keys_after(keys, unknown=isinstance(error, InvalidKeyIdError))
            if newer is keys:
                raise
        try:
            return _decoded(id_token, newer)
        except (JoseError, *_MALFORMED):
            self._fruitless_at = self._clock()
            raise

    def _fresh_keys(self) -> _Keys:
        with self._lock:
            if self._is_past(self._fetched_at, _KEYS_ARE_FRESH_FOR):
                self._fetch(self._limits)
            return self._keys

    def _keys_after(self, keys: _Keys, *, unknown: bool) -> _Keys:
        """Return the keys that Xero publishes now, or the same where it was asked a moment ago.

        For a key that is not among them Xero is asked at once, unless that was in vain within the last minute: a
        forger cannot make us ask more often. The code is spent by now, so a first failure is not the last word.
        """
        with self._lock:
            last = self._fruitless_at if unknown else self._fetched_at
            if self._keys is keys and self._is_past(last, _REFETCH_AT_MOST_EVERY):
                try:
                    self._fetch(self._limits)
                except requests.RequestException:
                    self._fetch(self._limits.at_most(_SECOND_TRY))
            return self._keys

    def _is_past(self, last: datetime | None, pause: timedelta) -> bool:
        return last is None or self._clock() - last > pause

    def _fetch(self, limits: Limits) -> None:
        now = self._clock()
        try:
            with (
                Budget(limits, self._transport) as budget,
                budget.bind(requests.Session(), follows=True) as session,
            ):
                answer = session.get(f"{self._issuer}/.well-known/openid-configuration/jwks")
        except ValueError as error:
            # A redirect to what is no address.
            raise requests.exceptions.InvalidURL(type(error).__name__) from error
        answer.raise_for_status()
        self._keys = _published_keys(answer.content)
        self._fetched_at = now


def _decoded(id_token: str, keys: _Keys) -> dict[str, Any]:
    """Return the claims of a token that one of the keys signed: a signature leaves no doubt whose it is."""
    signed = id_token.encode()
    kid = jws.extract_compact(signed).headers().get("kid")
    trouble: Exception = InvalidKeyIdError()
    for candidate in keys:
        if kid is not None and candidate.kid not in {None, kid}:
            continue
        try:
            payload = jws.deserialize_compact(signed, candidate.key, algorithms=[_ALGORITHM]).payload
        except (JoseError, *_MALFORMED) as error:
            trouble = error
            continue
        if claims := lenient_json.members(payload or b""):
            return claims
        raise InvalidPayloadError
    raise trouble


def _check_for_whom(claims: dict[str, Any], client_id: str) -> None:
    """Refuse a token for several audiences, or of another authorized party (OpenID Connect Core §3.1.3.7)."""
    audience = claims["aud"]
    if isinstance(audience, list) and len(audience) > 1:
        raise InvalidClaimError("aud")
    if claims.get("azp", client_id) != client_id:
        raise InvalidClaimError("azp")


def _user_of(claims: dict[str, Any]) -> str:
    # Xero's `sub` is another value than the user id that its API and its access tokens know.
    for name in ("xero_userid", "sub"):
        user_id = claims.get(name)
        if isinstance(user_id, str) and 0 < len(user_id) <= _LONGEST_USER_ID and user_id.isprintable():
            return user_id
    raise InvalidClaimError("sub")


def _published_keys(body: bytes) -> _Keys:
    published = lenient_json.members(body).get("keys")
    keys: list[_PublishedKey] = []
    for entry in published if isinstance(published, list) else []:
        # RFC 7517 §5: what is not understood is ignored.
        if isinstance(entry, dict) and _may_sign(entry):
            kid = entry.get("kid")
            with suppress(JoseError, *_MALFORMED):
                key = RSAKey.import_key({name: entry[name] for name in ("kty", "n", "e")})
                keys.append(_PublishedKey(kid if isinstance(kid, str) else None, key))
    if not keys:
        raise requests.exceptions.InvalidJSONError("The answer is not a key set.")
    return tuple(keys)


def _may_sign(entry: dict[str, Any]) -> bool:
    """Tell whether a key is one for RS256 (RFC 7517 §4.1 to §4.4)."""
    operations = entry.get("key_ops")
    return (
        entry.get("kty") == "RSA"
        and entry.get("use") in (None, "sig")
        and entry.get("alg") in (None, _ALGORITHM)
        and (operations is None or (isinstance(operations, list) and "verify" in operations))
    )
