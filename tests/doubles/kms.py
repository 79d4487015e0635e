"""KMS in this process."""

import os
from collections.abc import Mapping

from tests.doubles.faults import Wire, refusal


class StrictKms:
    """One symmetric key: data keys, and their decryption under the context that they were made with."""

    def __init__(self, key_arn: str) -> None:
        self._key_arn = key_arn
        self._made: dict[bytes, tuple[bytes, Mapping[str, str]]] = {}

    def generate_data_key(self, *, KeyId: str, KeySpec: str, EncryptionContext: Mapping[str, str]) -> Wire:  # noqa: N803
        if KeyId != self._key_arn or KeySpec != "AES_256":
            raise refusal("GenerateDataKey", "NotFoundException")
        plain, encrypted = os.urandom(32), os.urandom(48)
        self._made[encrypted] = (plain, dict(EncryptionContext))
        return {"Plaintext": plain, "CiphertextBlob": encrypted, "KeyId": KeyId}

    def decrypt(self, *, CiphertextBlob: bytes, KeyId: str, EncryptionContext: Mapping[str, str]) -> Wire:  # noqa: N803
        plain, context = self._made.get(CiphertextBlob, (b"", {}))
        if not plain or KeyId != self._key_arn or context != dict(EncryptionContext):
            raise refusal("Decrypt", "InvalidCiphertextException")
        return {"Plaintext": plain, "KeyId": KeyId}
