"""KMS in this process."""

import os
from collections.abc import Mapping

from tests.doubles.faults import Wire, refusal


class StrictKms:
    """One symmetric key: data keys, and their decryption under the context that they were made with.

    Error codes are those of the "Errors" of each action.

    Kinder than AWS:

    - There are no request rates and no permissions.
    - That the key was disabled or enabled is seen at once.

    Unlike AWS: a data key is found by its ciphertext, so a ciphertext of another key is as broken as any
    (`InvalidCiphertextException`). AWS says `IncorrectKeyException`, and moto `AccessDeniedException`.
    """

    def __init__(self, key_arn: str) -> None:
        self.key_arn = key_arn
        self._enabled = True
        self._made: dict[bytes, tuple[bytes, Mapping[str, str]]] = {}

    def generate_data_key(self, *, KeyId: str, KeySpec: str, EncryptionContext: Mapping[str, str]) -> Wire:  # noqa: N803
        if KeySpec != "AES_256":
            raise refusal("GenerateDataKey", "ValidationException")
        self._be_usable("GenerateDataKey", KeyId)
        plain, encrypted = os.urandom(32), os.urandom(48)
        self._made[encrypted] = (plain, dict(EncryptionContext))
        return {"Plaintext": plain, "CiphertextBlob": encrypted, "KeyId": KeyId}

    def decrypt(self, *, CiphertextBlob: bytes, KeyId: str, EncryptionContext: Mapping[str, str]) -> Wire:  # noqa: N803
        self._be_usable("Decrypt", KeyId)
        plain, context = self._made.get(CiphertextBlob, (b"", {}))
        if not plain or context != dict(EncryptionContext):
            raise refusal("Decrypt", "InvalidCiphertextException")
        return {"Plaintext": plain, "KeyId": KeyId}

    def disable_key(self, *, KeyId: str) -> None:  # noqa: N803
        self._be_there("DisableKey", KeyId)
        self._enabled = False

    def enable_key(self, *, KeyId: str) -> None:  # noqa: N803
        self._be_there("EnableKey", KeyId)
        self._enabled = True

    def _be_there(self, operation: str, key_id: str) -> None:
        if key_id not in {self.key_arn, self.key_arn.rpartition("/")[2]}:
            raise refusal(operation, "NotFoundException")

    def _be_usable(self, operation: str, key_id: str) -> None:
        self._be_there(operation, key_id)
        if not self._enabled:
            raise refusal(operation, "DisabledException")
