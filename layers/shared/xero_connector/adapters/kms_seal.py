"""Sealing under the vault's KMS key: envelope encryption with AES-256-GCM."""

import base64
import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Lock
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from xero_connector.adapters.aws_errors import member, translating
from xero_connector.adapters.secret_keys import VaultKeys
from xero_connector.domain.errors import StoreUnavailable

if TYPE_CHECKING:
    from mypy_boto3_kms.client import KMSClient

DATA_KEY_LIVES = timedelta(minutes=5)
"""A data key serves every sweep of these minutes."""
_ENCRYPTION_CONTEXT = {"purpose": "xero-connector/parked-grant"}
_NONCE_BYTES = 12


@dataclass(frozen=True, slots=True)
class _DataKey:
    plain: bytes = field(repr=False)
    encrypted: str
    made_at: datetime


class KmsSeal:
    """`Seal` on KMS: a data key from `GenerateDataKey` is at hand before a token is spent.

    So what has to be sealed while KMS is away can be sealed. `client` makes the boto3 client, at the first use.
    """

    def __init__(self, client: "Callable[[], KMSClient]", keys: VaultKeys, clock: Callable[[], datetime]) -> None:
        self._make_client = client
        self._keys = keys
        self._clock = clock
        self._client: KMSClient | None = None
        self._data_key: _DataKey | None = None
        self._lock = Lock()

    def prepare(self) -> None:
        """See `Seal`; one call in five minutes."""
        self._ready_data_key(DATA_KEY_LIVES)

    def seal(self, text: str, *, context: str) -> str:
        """See `Seal`."""
        key = self._ready_data_key(None)
        nonce = os.urandom(_NONCE_BYTES)
        sealed = AESGCM(key.plain).encrypt(nonce, text.encode(), context.encode())
        return json.dumps({"key": key.encrypted, "sealed": base64.b64encode(nonce + sealed).decode()})

    def unseal(self, sealed: str, *, context: str) -> str:
        """See `Seal`; one call of `Decrypt`, or two for what the former key sealed."""
        try:
            parts = json.loads(sealed)
            encrypted, content = base64.b64decode(parts["key"]), base64.b64decode(parts["sealed"])
        except (KeyError, RecursionError, TypeError, ValueError):
            # The cause holds what was there instead of a seal, perhaps a token that was written by hand.
            raise StoreUnavailable("Decrypt", "MalformedSeal") from None
        try:
            key = self._decrypt(encrypted, self._keys.in_force)
        except StoreUnavailable as trouble:
            if self._keys.former is None or trouble.reason != "IncorrectKeyException":
                raise
            key = self._decrypt(encrypted, self._keys.former)
        try:
            plain = AESGCM(key).decrypt(content[:_NONCE_BYTES], content[_NONCE_BYTES:], context.encode())
            return plain.decode()
        except (InvalidTag, ValueError):
            # The cause can hold the decrypted token.
            raise StoreUnavailable("Decrypt", "InvalidSeal") from None

    def _decrypt(self, encrypted: bytes, key_arn: str) -> bytes:
        with translating("Decrypt"):
            answer = self._ready_client().decrypt(
                CiphertextBlob=encrypted, KeyId=key_arn, EncryptionContext=_ENCRYPTION_CONTEXT
            )
            return member(answer, "Plaintext", bytes)

    def _ready_data_key(self, lives: timedelta | None) -> _DataKey:
        with self._lock:
            now = self._clock()
            key = self._data_key
            if key is not None and (lives is None or now - key.made_at < lives):
                return key
            with translating("GenerateDataKey"):
                answer = self._made_client().generate_data_key(
                    KeyId=self._keys.in_force, KeySpec="AES_256", EncryptionContext=_ENCRYPTION_CONTEXT
                )
                encrypted = base64.b64encode(member(answer, "CiphertextBlob", bytes)).decode()
                self._data_key = _DataKey(member(answer, "Plaintext", bytes), encrypted, now)
            return self._data_key

    def _ready_client(self) -> "KMSClient":
        with self._lock:
            return self._made_client()

    def _made_client(self) -> "KMSClient":
        if self._client is None:
            self._client = self._make_client()
        return self._client
