"""Secrets Manager in this process."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from tests.doubles.faults import Faults, Now, Wire, no_faults, refusal, with_faults

DAY = timedelta(days=1)
MOST_VERSIONS = 100
LARGEST_SECRET = 65_536
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
    versions: dict[str, Version] = field(default_factory=dict)
    current: Version | None = None
    previous: Version | None = None
    deleted: bool = False
    young: deque[datetime] = field(default_factory=deque)
    most_in_a_day: int = 0


type OnPut = Callable[[str, Version | None, Version], object]


class StrictSecretsManager:
    """Secrets Manager by its documentation; `read_lag` draws how long a new version stays unseen by readers."""

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
        del KmsKeyId, Description

        def effect() -> Wire:
            found = self.secrets.get(Name)
            if found is not None:
                code = "InvalidRequestException" if found.deleted else "ResourceExistsException"
                raise refusal("CreateSecret", code)
            arn = f"arn:aws:secretsmanager:eu-west-1:123456789012:secret:{Name}-a1B2c3"
            self.secrets[Name] = Secret(arn)
            return {"ARN": arn, "Name": Name}

        return with_faults("CreateSecret", self.faults, effect)

    def put_secret_value(self, *, SecretId: str, ClientRequestToken: str, SecretString: str) -> Wire:  # noqa: N803
        def effect() -> Wire:
            secret = self._live("PutSecretValue", SecretId)
            if len(SecretString.encode()) > LARGEST_SECRET:
                raise refusal("PutSecretValue", "InvalidParameterException", "too large")
            if not 32 <= len(ClientRequestToken) <= 64:
                raise refusal("PutSecretValue", "InvalidParameterException", "no request token")
            taken = secret.versions.get(ClientRequestToken)
            if taken is None:
                self._add(SecretId, secret, ClientRequestToken, SecretString)
            elif taken.content != SecretString:
                raise refusal("PutSecretValue", "ResourceExistsException")
            return {"ARN": secret.arn, "Name": SecretId, "VersionId": ClientRequestToken}

        return with_faults("PutSecretValue", self.faults, effect)

    def get_secret_value(self, *, SecretId: str, VersionId: str) -> Wire:  # noqa: N803
        def effect() -> Wire:
            secret = self._live("GetSecretValue", SecretId)
            version = secret.versions.get(VersionId)
            if version is None or version.visible_at > self._now():
                raise refusal("GetSecretValue", "ResourceNotFoundException", "no such version")
            return {"ARN": secret.arn, "VersionId": VersionId, "SecretString": version.content}

        return with_faults("GetSecretValue", self.faults, effect)

    def delete_secret(self, *, SecretId: str, RecoveryWindowInDays: int) -> Wire:  # noqa: N803
        if not 7 <= RecoveryWindowInDays <= 30:
            raise AssertionError("AWS has no such recovery window")

        def effect() -> Wire:
            secret = self._live("DeleteSecret", SecretId)
            secret.deleted = True
            return {"ARN": secret.arn, "Name": SecretId}

        return with_faults("DeleteSecret", self.faults, effect)

    def restore_secret(self, *, SecretId: str) -> Wire:  # noqa: N803
        def effect() -> Wire:
            secret = self.secrets.get(SecretId)
            if secret is None:
                raise refusal("RestoreSecret", "ResourceNotFoundException")
            secret.deleted = False
            return {"ARN": secret.arn, "Name": SecretId}

        return with_faults("RestoreSecret", self.faults, effect)

    def _live(self, operation: str, name: str) -> Secret:
        secret = self.secrets.get(name)
        if secret is None:
            raise refusal(operation, "ResourceNotFoundException", "no such secret")
        if secret.deleted:
            raise refusal(operation, "InvalidRequestException", "marked for deletion")
        return secret

    def _add(self, name: str, secret: Secret, version_id: str, content: str) -> None:
        now = self._now()
        self._make_room(secret, now)
        version = Version(version_id, content, now, now + self.read_lag())
        secret.versions[version_id] = version
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
                raise refusal("PutSecretValue", "LimitExceededException", "100 versions in a day")
            del secret.versions[oldest.version_id]
