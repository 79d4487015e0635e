"""KMS in this process."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Self

from tests.doubles.faults import Wire, refusal


class KeyState(StrEnum):
    ENABLED = "Enabled"
    DISABLED = "Disabled"
    PENDING_DELETION = "PendingDeletion"


_UNUSABLE = {KeyState.DISABLED: "DisabledException", KeyState.PENDING_DELETION: "KMSInvalidStateException"}


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys of an account, by ARN, as one principal may use them.

    `states` is shared by all principals. `allowed` is None for an administrator, who may use every key.
    `may_encrypt` is the permission `kms:Encrypt`, which a function's role does not have: data keys are enough.

    KMS looks at permissions first, so a principal without one does not learn whether the key is disabled.
    """

    states: dict[str, KeyState] = field(default_factory=dict)
    allowed: frozenset[str] | None = None
    may_encrypt: bool = True

    def of_a_function(self, *allowed: str) -> Self:
        """Return the same keys for a role that may use some of them."""
        return type(self)(self.states, frozenset(allowed), may_encrypt=False)

    def trouble(self, key_arn: str) -> str | None:
        """Return KMS's error code for `GenerateDataKey` and `Decrypt` with a key; None if it can be used."""
        if self.allowed is not None and key_arn not in self.allowed:
            return "AccessDeniedException"
        if key_arn not in self.states:
            return "NotFoundException"
        return _UNUSABLE.get(self.states[key_arn])


class StrictKms:
    """Symmetric keys: data keys, and their decryption under the context that they were made with.

    `key_arn` is one that is there; further ones come with `keys`.
    Error codes are those of the "Errors" of each action.

    Kinder than AWS:

    - There are no request rates, and no permissions but those of `keys`.
    - That the key was disabled or enabled is seen at once.

    Unlike AWS: a data key is found by its ciphertext, so what is no ciphertext at all cannot name its key.
    """

    def __init__(self, key_arn: str, keys: Keys | None = None) -> None:
        self.keys = keys or Keys()
        self.keys.states.setdefault(key_arn, KeyState.ENABLED)
        self._made: dict[bytes, tuple[bytes, str, Mapping[str, str]]] = {}

    def generate_data_key(self, *, KeyId: str, KeySpec: str, EncryptionContext: Mapping[str, str]) -> Wire:  # noqa: N803
        if KeySpec != "AES_256":
            raise refusal("GenerateDataKey", "ValidationException")
        self._be_usable("GenerateDataKey", KeyId)
        plain, encrypted = os.urandom(32), os.urandom(48)
        self._made[encrypted] = (plain, KeyId, dict(EncryptionContext))
        return {"Plaintext": plain, "CiphertextBlob": encrypted, "KeyId": KeyId}

    def decrypt(self, *, CiphertextBlob: bytes, KeyId: str, EncryptionContext: Mapping[str, str]) -> Wire:  # noqa: N803
        self._be_usable("Decrypt", KeyId)
        if CiphertextBlob not in self._made:
            raise refusal("Decrypt", "InvalidCiphertextException")
        plain, key_arn, context = self._made[CiphertextBlob]
        if key_arn != KeyId:
            raise refusal("Decrypt", "IncorrectKeyException")
        if context != dict(EncryptionContext):
            raise refusal("Decrypt", "InvalidCiphertextException")
        return {"Plaintext": plain, "KeyId": KeyId}

    def disable_key(self, *, KeyId: str) -> None:  # noqa: N803
        self.keys.states[self._there("DisableKey", KeyId)] = KeyState.DISABLED

    def enable_key(self, *, KeyId: str) -> None:  # noqa: N803
        self.keys.states[self._there("EnableKey", KeyId)] = KeyState.ENABLED

    def schedule_key_deletion(self, *, KeyId: str) -> None:  # noqa: N803
        self.keys.states[self._there("ScheduleKeyDeletion", KeyId)] = KeyState.PENDING_DELETION

    def _there(self, operation: str, key_id: str) -> str:
        for key_arn in self.keys.states:
            if key_id in {key_arn, key_arn.rpartition("/")[2]}:
                return key_arn
        raise refusal(operation, "NotFoundException")

    def _be_usable(self, operation: str, key_arn: str) -> None:
        trouble = self.keys.trouble(key_arn)
        if trouble is not None:
            raise refusal(operation, trouble)
