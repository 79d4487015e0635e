"""Secrets Manager in this process."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from tests.doubles.faults import Faults, Now, Wire, no_faults, refusal, with_faults

DAY = timedelta(days=1)
MOST_VERSIONS = 100
LARGEST_VALUE = 65_536
"""Bytes."""


@dataclass(slots=True)
class Version:
    """One version; readers may not see it before `visible_at`."""

    version_id: str
    content: str = field(repr=False)
    created_at: datetime
    visible_at: datetime


@dataclass(slots=True)
class Secret:
    """A secret with its versions, oldest first, and the history of AWSCURRENT."""

    arn: str
    kms_key_id: str
    description: str
    changed_at: datetime
    versions: dict[str, Version] = field(default_factory=dict)
    current: Version | None = None
    previous: Version | None = None
    goes_at: datetime | None = None
    """When it is deleted for good; None while it is not scheduled for deletion."""
    young: deque[datetime] = field(default_factory=deque)
    most_in_a_day: int = 0

    @property
    def deleted(self) -> bool:
        return self.goes_at is not None


type OnPut = Callable[[str, Version | None, Version], object]


class StrictSecretsManager:
    """Secrets Manager by its API reference; `read_lag` draws how long a new version stays unseen by readers.

    Error codes are those of the "Errors" of each action, but for two:

    - A value that is too long is a `ValidationException`, which `PutSecretValue` does not list.
      AWS checks the length constraints of a request before the action ("1 validation error detected: Value at
      'secretBinary' failed to satisfy constraint", quoted in kubernetes-sigs/cluster-api-provider-aws issue 1531).
    - To create a secret whose name is scheduled for deletion is an `InvalidRequestException`, where the reference
      leaves open which ("You can't create this secret because a secret with this name is already scheduled for
      deletion", which the AWS provider of Terraform waits for).

    Kinder than AWS:

    - Only new versions take time to be seen. That a secret was created, deleted or restored is seen at once.
    - A secret that is scheduled for deletion is never deleted for good.
    - There are no request rates, no permissions, and no keys that could be disabled.
    - Names are not checked, and a secret is found by its name alone, not by its ARN.

    Stricter than AWS, which keeps "about" 100 versions: here the limit is exact.
    It is not made for threads that call at the same moment.
    """

    def __init__(
        self,
        now: Now,
        *,
        faults: Faults = no_faults,
        read_lag: Callable[[], timedelta] = timedelta,
        on_put: OnPut | None = None,
    ) -> None:
        self._now = now
        self.faults = faults
        self.read_lag = read_lag
        self.on_put = on_put
        self.secrets: dict[str, Secret] = {}

    def create_secret(self, *, Name: str, KmsKeyId: str, Description: str) -> Wire:  # noqa: N803
        """Create a secret without a version: the vault puts every version by `put_secret_value`."""

        def effect() -> Wire:
            found = self.secrets.get(Name)
            if found is not None:
                code = "InvalidRequestException" if found.deleted else "ResourceExistsException"
                raise refusal("CreateSecret", code)
            arn = f"arn:aws:secretsmanager:eu-west-1:123456789012:secret:{Name}-a1B2c3"
            self.secrets[Name] = Secret(arn, KmsKeyId, Description, self._now())
            return {"ARN": arn, "Name": Name}

        return with_faults("CreateSecret", self.faults, effect)

    def put_secret_value(self, *, SecretId: str, ClientRequestToken: str, SecretString: str) -> Wire:  # noqa: N803
        def effect() -> Wire:
            if not 0 < len(SecretString.encode()) <= LARGEST_VALUE:
                raise refusal("PutSecretValue", "ValidationException")
            if not 32 <= len(ClientRequestToken) <= 64:
                raise refusal("PutSecretValue", "InvalidParameterException")
            secret = self._live("PutSecretValue", SecretId)
            taken = secret.versions.get(ClientRequestToken)
            if taken is None:
                self._add(SecretId, secret, ClientRequestToken, SecretString)
            elif taken.content != SecretString:
                raise refusal("PutSecretValue", "ResourceExistsException")
            return {"ARN": secret.arn, "Name": SecretId, "VersionId": ClientRequestToken}

        return with_faults("PutSecretValue", self.faults, effect)

    def get_secret_value(self, *, SecretId: str, VersionId: str | None = None) -> Wire:  # noqa: N803
        """Read a version by its id, or AWSCURRENT as a reader sees it."""

        def effect() -> Wire:
            secret = self._live("GetSecretValue", SecretId)
            candidates = (
                [secret.current, secret.previous] if VersionId is None else [secret.versions.get(VersionId)]
            )
            now = self._now()
            for version in candidates:
                if version is not None and version.visible_at <= now:
                    return {
                        "ARN": secret.arn,
                        "Name": SecretId,
                        "VersionId": version.version_id,
                        "SecretString": version.content,
                    }
            raise refusal("GetSecretValue", "ResourceNotFoundException")

        return with_faults("GetSecretValue", self.faults, effect)

    def describe_secret(self, *, SecretId: str) -> Wire:  # noqa: N803
        def effect() -> Wire:
            secret = self._there("DescribeSecret", SecretId)
            described: Wire = {
                "ARN": secret.arn,
                "Name": SecretId,
                "KmsKeyId": secret.kms_key_id,
                "Description": secret.description,
                "LastChangedDate": secret.changed_at,
            }
            return described if secret.goes_at is None else {**described, "DeletedDate": secret.goes_at}

        return with_faults("DescribeSecret", self.faults, effect)

    def delete_secret(self, *, SecretId: str, RecoveryWindowInDays: int) -> Wire:  # noqa: N803
        def effect() -> Wire:
            if not 7 <= RecoveryWindowInDays <= 30:
                raise refusal("DeleteSecret", "InvalidParameterException")
            secret = self._live("DeleteSecret", SecretId)
            secret.changed_at = self._now()
            secret.goes_at = secret.changed_at + timedelta(days=RecoveryWindowInDays)
            return {"ARN": secret.arn, "Name": SecretId, "DeletionDate": secret.goes_at}

        return with_faults("DeleteSecret", self.faults, effect)

    def restore_secret(self, *, SecretId: str) -> Wire:  # noqa: N803
        def effect() -> Wire:
            secret = self._there("RestoreSecret", SecretId)
            secret.goes_at = None
            secret.changed_at = self._now()
            return {"ARN": secret.arn, "Name": SecretId}

        return with_faults("RestoreSecret", self.faults, effect)

    def _there(self, operation: str, name: str) -> Secret:
        secret = self.secrets.get(name)
        if secret is None:
            raise refusal(operation, "ResourceNotFoundException")
        return secret

    def _live(self, operation: str, name: str) -> Secret:
        secret = self._there(operation, name)
        if secret.deleted:
            raise refusal(operation, "InvalidRequestException")
        return secret

    def _add(self, name: str, secret: Secret, version_id: str, content: str) -> None:
        now = self._now()
        self._make_room(secret, now)
        version = Version(version_id, content, now, now + self.read_lag())
        secret.versions[version_id] = version
        secret.changed_at = now
        before = secret.current
        secret.previous, secret.current = secret.current, version
        secret.young.append(now)
        while secret.young[0] <= now - DAY:
            secret.young.popleft()
        secret.most_in_a_day = max(secret.most_in_a_day, len(secret.young))
        if self.on_put is not None:
            self.on_put(name, before, version)

    @staticmethod
    def _make_room(secret: Secret, now: datetime) -> None:
        while len(secret.versions) >= MOST_VERSIONS:
            oldest = next(iter(secret.versions.values()))
            if oldest.created_at > now - DAY or oldest is secret.current or oldest is secret.previous:
                raise refusal("PutSecretValue", "LimitExceededException")
            del secret.versions[oldest.version_id]
