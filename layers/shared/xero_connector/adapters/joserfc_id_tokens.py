"""ID-token verification with joserfc (OpenID Connect Core §3.1.3.7)."""

import threading
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

import requests
from joserfc import jws, jwt
from joserfc.errors import BadSignatureError, InvalidClaimError, JoseError
from joserfc.jwk import Key, KeySet, RSAKey

from xero_connector.adapters import lenient_json
from xero_connector.adapters.bounded_http import BoundedAdapter, Budget, Limits, Transport
from xero_connector.adapters.transport_failures import transport_failures
from xero_connector.domain.errors import IdTokenRefused
from xero_connector.domain.ports import Clock

LEEWAY = 60
"""Seconds that Xero's clock and ours may differ."""
_KEYS_ARE_FRESH_FOR = timedelta(hours=24)
_REFETCH_AT_MOST_EVERY = timedelta(minutes=1)
LIMITS = Limits(within=timedelta(seconds=5), largest=262_144)


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
        self._keys: KeySet | None = None
        self._fetched_at: datetime | None = None

    def load_keys(self) -> None:
        with transport_failures():
            self._keys_not_older_than(_KEYS_ARE_FRESH_FOR)

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
        except JoseError as error:
            raise IdTokenRefused("The ID token is not acceptable.", code=error.error) from None
        except (RecursionError, ValueError):
            raise IdTokenRefused("The ID token is not a signed JWT.", code="id_token_malformed") from None
        except requests.RequestException:
            raise IdTokenRefused("Xero's signing keys could not be read.", code="keys_unavailable") from None
        # Xero's `sub` is another value than the user id that its API and its access tokens know.
        user_id = claims.get("xero_userid")
        return user_id if isinstance(user_id, str) and user_id else str(claims["sub"])

    def _decode(self, id_token: str) -> dict[str, Any]:
        try:
            return self._decode_with(self._keys_not_older_than(_KEYS_ARE_FRESH_FOR), id_token)
        except (JoseError, ValueError):
            # Xero may have begun to sign with a new key; a forger cannot make us ask more than once a minute.
            return self._decode_with(self._keys_not_older_than(_REFETCH_AT_MOST_EVERY), id_token)

    @staticmethod
    def _decode_with(keys: KeySet, id_token: str) -> dict[str, Any]:
        if len(keys.keys) > 1 and "kid" not in jws.extract_compact(id_token.encode()).headers():
            return _decode_by_any(keys, id_token)
        return jwt.decode(id_token, keys, algorithms=["RS256"]).claims

    def _keys_not_older_than(self, age: timedelta) -> KeySet:
        with self._lock:
            now = self._clock()
            if self._keys is None or self._fetched_at is None or now - self._fetched_at > age:
                with Budget(self._limits, self._transport) as budget, budget.bind(requests.Session()) as session:
                    answer = session.get(f"{self._issuer}/.well-known/openid-configuration/jwks")
                answer.raise_for_status()
                self._keys = _key_set(answer)
                self._fetched_at = now
            return self._keys


def _decode_by_any(keys: KeySet, id_token: str) -> dict[str, Any]:
    """Take a token that names no key if one of the keys signed it: a signature leaves no doubt whose it is."""
    for key in keys.keys[:-1]:
        with suppress(BadSignatureError):
            return jwt.decode(id_token, key, algorithms=["RS256"]).claims
    return jwt.decode(id_token, keys.keys[-1], algorithms=["RS256"]).claims


def _check_for_whom(claims: dict[str, Any], client_id: str) -> None:
    """Refuse a token for several audiences, or of another authorized party (OpenID Connect Core §3.1.3.7)."""
    audience = claims["aud"]
    if isinstance(audience, list) and len(audience) > 1:
        raise InvalidClaimError("aud")
    if claims.get("azp", client_id) != client_id:
        raise InvalidClaimError("azp")


def _key_set(answer: requests.Response) -> KeySet:
    published = lenient_json.members(answer.content).get("keys")
    keys: list[Key] = []
    for entry in published if isinstance(published, list) else []:
        # RFC 7517 §5: what is not understood is ignored. Xero signs with RSA, so other keys are of no use here.
        if isinstance(entry, dict) and entry.get("kty") == "RSA":
            with suppress(JoseError, KeyError, TypeError, ValueError):
                keys.append(RSAKey.import_key(entry))
    if not keys:
        raise requests.exceptions.InvalidJSONError("The answer is not a key set.")
    return KeySet(keys)
