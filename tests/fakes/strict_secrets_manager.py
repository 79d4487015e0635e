"""Secrets Manager as strict as AWS, over a double that is kinder.

moto and MiniStack accept more versions than AWS keeps, longer values, and (MiniStack) a version id that was used
for other content; moto also puts into a secret that is scheduled for deletion, and every double reads its own
writes at once. This adds what they lack. It knows what was done through it, by secret name; it may be shared by
threads. Hand it to an adapter as its client.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import RLock
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager.client import SecretsManagerClient

LARGEST_VALUE = 65_536
"""Bytes."""
MOST_VERSIONS = 100
VERSIONS_ARE_KEPT_FOR = timedelta(hours=24)

_DELETED = "InvalidRequestException"
_EXISTS = "ResourceExistsException"
_NOT_FOUND = "ResourceNotFoundException"


@dataclass(frozen=True, slots=True)
class _Version:
    content: str = field(repr=False)
    written_at: datetime


@dataclass(slots=True)
class _Secret:
    versions: dict[str, _Version] = field(default_factory=dict)
    scheduled_for_deletion: bool = False


class StrictSecretsManager:
    """The methods of a Secrets Manager client that the vault uses, with AWS's refusals.

    `lag` is how long a reader cannot see a version that was written: Secrets Manager is eventually consistent.
    `failures` are error codes, each of which the next call of any method fails with, before it has an effect.
    """

    def __init__(
        self, client: "SecretsManagerClient", clock: Callable[[], datetime], *, lag: timedelta = timedelta()
    ) -> None:
        self.lag = lag
        self.failures: deque[str] = deque()
        self.calls: list[str] = []
        self._client = client
        self._clock = clock
        self._secrets: dict[str, _Secret] = {}
        self._lock = RLock()

    def create_secret(self, *, Name: str, **arguments: Any) -> Any:  # noqa: ANN401, N803 - as boto3's
        """Create a secret without a version; refuse a name that is in use or on its way out."""
        operation = "CreateSecret"
        with self._lock:
            self._begin(operation)
            if "SecretString" in arguments or "SecretBinary" in arguments:
                raise NotImplementedError("the vault puts every version by put_secret_value")
            secret = self._secrets.get(Name)
            if secret is not None:
                raise _refusal(operation, _DELETED if secret.scheduled_for_deletion else _EXISTS)
            answer = self._client.create_secret(Name=Name, **arguments)
            self._secrets[Name] = _Secret()
            return answer

    def put_secret_value(
        self,
        *,
        SecretId: str,  # noqa: N803
        ClientRequestToken: str,  # noqa: N803
        SecretString: str,  # noqa: N803
    ) -> Any:  # noqa: ANN401 - as boto3's
        """Refuse a value that is too long, a used version id, a secret on its way out, and the 101st version."""
        operation = "PutSecretValue"
        with self._lock:
            self._begin(operation)
            if len(SecretString.encode()) > LARGEST_VALUE:
                raise _refusal(operation, "ValidationException")
            secret = self._secrets.get(SecretId, _Secret())
            if secret.scheduled_for_deletion:
                raise _refusal(operation, _DELETED)
            version = secret.versions.get(ClientRequestToken)
            if version is not None and version.content != SecretString:
                raise _refusal(operation, _EXISTS)
            if version is None and self._young_versions(secret) >= MOST_VERSIONS:
                raise _refusal(operation, "LimitExceededException")
            answer = self._client.put_secret_value(
                SecretId=SecretId, ClientRequestToken=ClientRequestToken, SecretString=SecretString
            )
            # A repetition changes nothing, so the first time of writing stays.
            secret.versions.setdefault(ClientRequestToken, _Version(SecretString, self._clock()))
            self._secrets[SecretId] = secret
            return answer

    def get_secret_value(self, *, SecretId: str, **which: str) -> Any:  # noqa: ANN401, N803 - as boto3's
        """Refuse a secret on its way out; by version id, do not see what was written a moment ago."""
        operation = "GetSecretValue"
        with self._lock:
            self._begin(operation)
            secret = self._secrets.get(SecretId, _Secret())
            if secret.scheduled_for_deletion:
                raise _refusal(operation, _DELETED)
            version = secret.versions.get(which.get("VersionId", ""))
            if version is not None and self._clock() < version.written_at + self.lag:
                raise _refusal(operation, _NOT_FOUND)
            return self._client.get_secret_value(SecretId=SecretId, **which)

    def delete_secret(self, *, SecretId: str, RecoveryWindowInDays: int) -> Any:  # noqa: ANN401, N803 - as boto3's
        """As AWS."""
        with self._lock:
            self._begin("DeleteSecret")
            answer = self._client.delete_secret(SecretId=SecretId, RecoveryWindowInDays=RecoveryWindowInDays)
            self._secrets.setdefault(SecretId, _Secret()).scheduled_for_deletion = True
            return answer

    def restore_secret(self, *, SecretId: str) -> Any:  # noqa: ANN401, N803 - as boto3's
        """As AWS."""
        with self._lock:
            self._begin("RestoreSecret")
            answer = self._client.restore_secret(SecretId=SecretId)
            self._secrets.setdefault(SecretId, _Secret()).scheduled_for_deletion = False
            return answer

    def _begin(self, operation: str) -> None:
        self.calls.append(operation)
        if self.failures:
            raise _refusal(operation, self.failures.popleft())

    def _young_versions(self, secret: _Secret) -> int:
        oldest = self._clock() - VERSIONS_ARE_KEPT_FOR
        return sum(version.written_at > oldest for version in secret.versions.values())


def _refusal(operation: str, code: str) -> ClientError:
    # AWS's messages can repeat the input: whoever passes them on is found out by this one.
    return ClientError({"Error": {"Code": code, "Message": "the-message-of-the-service"}}, operation)
