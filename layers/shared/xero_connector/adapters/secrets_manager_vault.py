"""The vault in AWS Secrets Manager: two secrets a credential, every version under an id of our own."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from xero_connector.adapters.aws_errors import error_code, member, translating
from xero_connector.adapters.secret_keys import OF_THE_KEY, RECOVERY_WINDOW_DAYS, SecretKeys, VaultKeys
from xero_connector.adapters.secret_memory import SecretMemory, Version
from xero_connector.domain.errors import SecretDeleted, StoreUnavailable, VersionTaken
from xero_connector.domain.ports import Pause
from xero_connector.domain.tokens import ClientPair, StoredTokens, TokensSecret

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager.client import SecretsManagerClient
    from mypy_boto3_secretsmanager.type_defs import TagTypeDef

_NOT_FOUND = "ResourceNotFoundException"
_EXISTS = "ResourceExistsException"
_SCHEDULED_FOR_DELETION = "InvalidRequestException"
_PAUSES = (0.0, 0.0, 0.2, 0.5, 1.0, 2.0)
"""Seconds before each try to put: a secret that was just created or restored can take a moment to be seen."""
_APPLICATION = "xero-connector"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class SecretsManagerVault:
    """`Vault` on Secrets Manager; names are `{prefix}/{client_id}/client` and `{prefix}/{client_id}/tokens`.

    A version that this process read or put is not read again: see `SecretMemory`.
    """

    client: "SecretsManagerClient"
    prefix: str
    keys: VaultKeys
    stack_name: str
    pause: Pause
    memory: SecretMemory = field(default_factory=SecretMemory)

    def refuse_secrets_of_others(self, client_id: str) -> None:
        for name in (self._client_secret_name(client_id), self.tokens_secret_name(client_id)):
            self._secret_keys.refuse_another(name)

    def put_client_pair(self, pair: ClientPair, *, version_id: str) -> None:
        content = json.dumps({"client_id": pair.client_id, "client_secret": pair.client_secret})
        new = _New(self._client_secret_name(pair.client_id), "Xero app's pair", self._tags(pair.client_id))
        self._put(new, content, version_id)

    def get_client_pair(self, client_id: str, *, version_id: str) -> ClientPair | None:
        found = self._get(self._client_secret_name(client_id), version_id)
        if found is None:
            return None
        return _readable(lambda: _client_pair(found.content))

    def delete_client_pair(self, client_id: str) -> None:
        self._delete(self._client_secret_name(client_id))

    def restore_client_pair(self, client_id: str) -> None:
        self._restore(self._client_secret_name(client_id))

    def put_tokens(self, secret: TokensSecret, *, version_id: str) -> StoredTokens:
        content = secret.to_json()
        if TokensSecret.from_json(content) != secret:
            # A version that no reader understands would cost the grant.
            raise StoreUnavailable("PutSecretValue", "UnreadableVersion")
        return StoredTokens(secret, self._put(self._tokens(secret.client_id), content, version_id))

    def get_tokens(self, client_id: str, *, version_id: str) -> StoredTokens | None:
        found = self._get(self.tokens_secret_name(client_id), version_id)
        if found is None:
            return None
        return StoredTokens(_readable(lambda: TokensSecret.from_json(found.content)), found.arn)

    def delete_tokens(self, client_id: str) -> None:
        self._delete(self.tokens_secret_name(client_id))

    def restore_tokens(self, client_id: str) -> None:
        self._restore(self.tokens_secret_name(client_id))

    def tokens_secret_name(self, client_id: str) -> str:
        return f"{self.prefix}/{client_id}/tokens"

    def _client_secret_name(self, client_id: str) -> str:
        return f"{self.prefix}/{client_id}/client"

    def _tokens(self, client_id: str) -> "_New":
        return _New(self.tokens_secret_name(client_id), "Xero tokens", self._tags(client_id))

    @property
    def _secret_keys(self) -> SecretKeys:
        return SecretKeys(self.client, self.keys, self.pause)

    def _tags(self, client_id: str) -> "Sequence[TagTypeDef]":
        """What the costs of a secret are allocated by; everybody who may list secrets sees it."""
        tags = {"application": _APPLICATION, "stack": self.stack_name, "client_id": client_id}
        return [{"Key": key, "Value": value} for key, value in tags.items()]

    def _put(self, secret: "_New", content: str, version_id: str) -> str:
        """Put a version, creating or restoring the secret where needed; each step may meet another's."""
        reason, mendable = "", {_NOT_FOUND, _SCHEDULED_FOR_DELETION}
        for pause in _PAUSES:
            if pause:
                self.pause(pause)
            try:
                return self._put_version(secret.name, content, version_id)
            except StoreUnavailable as trouble:
                reason = trouble.reason
                if reason not in mendable:
                    if reason in OF_THE_KEY:
                        self._secret_keys.refuse_another(secret.name)
                    raise
            if reason == _SCHEDULED_FOR_DELETION:
                if self._secret_keys.restore(secret.name, tags=secret.tags):
                    # That the key was changed takes a moment to be seen, too.
                    mendable |= OF_THE_KEY
            elif reason == _NOT_FOUND:
                self._create(secret)
        raise StoreUnavailable("PutSecretValue", reason)

    def _put_version(self, name: str, content: str, version_id: str) -> str:
        with translating("PutSecretValue"):
            try:
                answer = self.client.put_secret_value(
                    SecretId=name, ClientRequestToken=version_id, SecretString=content
                )
            except ClientError as error:
                if error_code(error) == _EXISTS:
                    raise VersionTaken(version_id) from None
                raise
            arn = member(answer, "ARN", str)
        self.memory.remember(name, Version(version_id, content, arn))
        return arn

    def _create(self, secret: "_New") -> None:
        """Create a secret without a version, so that every version comes by the same way."""
        with translating("CreateSecret"):
            try:
                self.client.create_secret(
                    Name=secret.name,
                    KmsKeyId=self.keys.in_force,
                    Description=secret.description,
                    Tags=secret.tags,
                )
            except ClientError as error:
                # Somebody created it meanwhile, or it is scheduled for deletion: put again and see.
                if error_code(error) not in {_EXISTS, _SCHEDULED_FOR_DELETION}:
                    raise

    def _get(self, name: str, version_id: str) -> Version | None:
        if (remembered := self.memory.recall(name, version_id)) is not None:
            return remembered
        with translating("GetSecretValue"):
            try:
                answer: Mapping[str, object] = self.client.get_secret_value(SecretId=name, VersionId=version_id)
            except ClientError as error:
                if error_code(error) == _NOT_FOUND:
                    return None
                if error_code(error) == _SCHEDULED_FOR_DELETION:
                    raise SecretDeleted(name) from None
                raise
            if "SecretBinary" in answer:
                # Put there by hand: none of ours is binary.
                raise StoreUnavailable("GetSecretValue", "UnreadableVersion")
            found = Version(version_id, member(answer, "SecretString", str), member(answer, "ARN", str))
        self.memory.remember(name, found)
        return found

    def _restore(self, name: str) -> None:
        with translating("RestoreSecret"):
            try:
                self.client.restore_secret(SecretId=name)
            except ClientError as error:
                if error_code(error) != _NOT_FOUND:
                    raise

    def _delete(self, name: str) -> None:
        self.memory.forget(name)
        with translating("DeleteSecret"):
            try:
                self.client.delete_secret(SecretId=name, RecoveryWindowInDays=RECOVERY_WINDOW_DAYS)
            except ClientError as error:
                if error_code(error) == _NOT_FOUND:
                    return
                # It is scheduled for deletion already; or it has replicas, and nobody can delete it.
                if error_code(error) != _SCHEDULED_FOR_DELETION or not self._secret_keys.is_deleted(name):
                    raise


@dataclass(frozen=True, slots=True)
class _New:
    """A secret as it is made where it is not there yet."""

    name: str
    description: str
    tags: "Sequence[TagTypeDef]"


def _client_pair(content: str) -> ClientPair:
    pair = json.loads(content)
    client_id, client_secret = pair["client_id"], pair["client_secret"]
    if not isinstance(client_id, str) or not isinstance(client_secret, str):
        raise TypeError
    return ClientPair(client_id, client_secret)


def _readable[Content](read: Callable[[], Content]) -> Content:
    """Read what a version holds, or raise `StoreUnavailable`: it was put there by hand, or cut."""
    try:
        return read()
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError):
        raise StoreUnavailable("GetSecretValue", "UnreadableVersion") from None
