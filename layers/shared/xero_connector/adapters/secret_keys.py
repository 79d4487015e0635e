"""The keys that secrets are encrypted with: which are this deployment's, and what becomes of one under another.

`PutSecretValue` encrypts with the secret's own key. So a secret that an earlier deployment left takes no version
of this one until its key is changed.
"""

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from xero_connector.adapters.aws_errors import error_code, translating
from xero_connector.domain.errors import SecretUnderAnotherKey, StoreUnavailable
from xero_connector.domain.ports import Pause

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mypy_boto3_secretsmanager.client import SecretsManagerClient
    from mypy_boto3_secretsmanager.type_defs import TagTypeDef

OF_THE_KEY = frozenset({"AccessDeniedException", "DecryptionFailure", "EncryptionFailure"})
"""What Secrets Manager says where the caller may not use a secret's key, or nobody can."""
RECOVERY_WINDOW_DAYS = 30
_PAUSES = (0.2, 0.5, 1.0, None)
"""Seconds after each try to change a key; None after the last."""
_AWS_MANAGED_KEY = "aws/secretsmanager"
"""What encrypts a secret that names no key: somebody made it by hand."""


@dataclass(frozen=True, slots=True)
class VaultKeys:
    """The ARN of the key in force, and of one that secrets from before may still have."""

    in_force: str
    former: str | None

    def include(self, key_id: str) -> bool:
        """Whether a key is one of these."""
        return any(_is_of(arn, key_id) for arn in (self.in_force, self.former) if arn)

    def is_in_force(self, key_id: str) -> bool:
        """Whether a key is the one that new secrets get."""
        return _is_of(self.in_force, key_id)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class SecretKeys:
    """Looks at the keys of secrets, and changes that of a secret that comes back from its recovery window."""

    client: "SecretsManagerClient"
    keys: VaultKeys
    pause: Pause

    def is_deleted(self, name: str) -> bool:
        """Whether a secret is scheduled for deletion, or gone."""
        found = self._describe(name)
        return found is None or found.deleted

    def refuse_another(self, name: str) -> None:
        """Raise `SecretUnderAnotherKey` for a living secret that is not under a key of this deployment."""
        found = self._describe(name)
        if found is not None and not found.deleted and not self.keys.include(found.key_id):
            raise self._refusal("DescribeSecret", name, found.key_id)

    def restore(self, name: str, *, tags: "Sequence[TagTypeDef]") -> bool:
        """Bring a secret back from its recovery window; return whether its key had to be changed.

        The former key is changed too: a secret that kept it would be lost with it.
        What cannot be used after all is scheduled for deletion again, so that it costs nothing.
        """
        found = self._describe(name)
        with translating("RestoreSecret"):
            self.client.restore_secret(SecretId=name)
        if found is None or not found.deleted or self.keys.is_in_force(found.key_id):
            return False
        try:
            self._change_key(name)
        except StoreUnavailable as trouble:
            self._schedule_deletion(name)
            if trouble.reason in OF_THE_KEY:
                raise self._refusal("UpdateSecret", name, found.key_id) from None
            raise
        with translating("TagResource"):
            self.client.tag_resource(SecretId=name, Tags=tags)
        return True

    def _change_key(self, name: str) -> None:
        """Change the key, and insist on it: the secret lives again, and every put would be refused.

        A role has no kms:Encrypt, and nothing for the key before, so what is there stays as it was encrypted.
        """
        for pause in _PAUSES:
            try:
                with translating("UpdateSecret"):
                    self.client.update_secret(SecretId=name, KmsKeyId=self.keys.in_force)
            except StoreUnavailable as trouble:
                if pause is None or trouble.reason in OF_THE_KEY:
                    raise
                self.pause(pause)
            else:
                return

    def _schedule_deletion(self, name: str) -> None:
        # If this fails too, the next submission finds a living secret under another key, and says so.
        with suppress(StoreUnavailable), translating("DeleteSecret"):
            self.client.delete_secret(SecretId=name, RecoveryWindowInDays=RECOVERY_WINDOW_DAYS)

    def _describe(self, name: str) -> "_Described | None":
        with translating("DescribeSecret"):
            try:
                answer: Mapping[str, object] = self.client.describe_secret(SecretId=name)
            except ClientError as error:
                if error_code(error) == "ResourceNotFoundException":
                    return None
                raise
        return _Described(str(answer.get("KmsKeyId") or _AWS_MANAGED_KEY), "DeletedDate" in answer)

    def _refusal(self, operation: str, name: str, key_id: str) -> SecretUnderAnotherKey:
        return SecretUnderAnotherKey(operation, name=name, key_id=key_id, wanted=self.keys.in_force)


@dataclass(frozen=True, slots=True)
class _Described:
    key_id: str
    deleted: bool


def _is_of(arn: str, key_id: str) -> bool:
    """Whether these name the same key; `DescribeSecret` tells an ARN, or the id alone."""
    return key_id in {arn, arn.rpartition("/")[2]}
