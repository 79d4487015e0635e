"""Secrets Manager in this process."""

import re
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from tests.doubles.faults import Faults, Now, Wire, no_faults, refusal, with_faults
from tests.doubles.kms import Keys

DAY = timedelta(days=1)
MOST_VERSIONS = 100
LARGEST_VALUE = 65_536
"""Bytes."""
AWS_MANAGED_KEY = "aws/secretsmanager"
_TAG = re.compile(r"[\w .:/=+@-]*")
MOST_TAGS = 50

type Tags = Sequence[Mapping[str, str]]


@dataclass(slots=True)
class Version:
    """One version; readers may not see it before `visible_at`."""

    version_id: str
    content: str = field(repr=False)
    created_at: datetime
    visible_at: datetime
    keys: set[str] = field(default_factory=set)
    """Each key that decrypts it: a version that is encrypted again can be read with either."""


@dataclass(slots=True)
class Secret:
    """A secret with its versions, oldest first, and the history of AWSCURRENT."""

    arn: str
    kms_key_id: str
    description: str
    changed_at: datetime
    tags: dict[str, str] = field(default_factory=dict)
    replicated: bool = False
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

    `keys` are the keys that the caller may use; without them every key can be used.
    A call acts on a key with the rights of its caller. AWS documents of it:

    - A caller without a permission for the key: `AccessDeniedException`, "Access to KMS is not allowed".
      A key that cannot be used by anybody: `EncryptionFailure` on a write, `DecryptionFailure` on a read.
    - `PutSecretValue` encrypts with the secret's own key, whatever key the caller has in mind.
    - Whoever establishes or changes the key of a secret must be able to use the new one ("Validating access").
    - `UpdateSecret` with another key encrypts what carries a label once more. Where the caller lacks `kms:Decrypt`
      for the key before or `kms:Encrypt` for the new one, it leaves that out and succeeds all the same
      ("Change the encryption key for a secret"). No version loses the key that it had.
    - All of the account can use the key `aws/secretsmanager`, which a secret has that names none.
      `DescribeSecret` leaves that key out.

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
    - There are no request rates, and no permissions but those for keys.
    - What `UpdateSecret` does where the caller has both permissions and the key before is disabled, AWS leaves
      open; here it leaves the versions as they are.
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
        keys: Keys | None = None,
        secrets: dict[str, Secret] | None = None,
    ) -> None:
        """`secrets` are those of another double: the same account, called by another principal."""
        self._now = now
        self.faults = faults
        self.read_lag = read_lag
        self.on_put = on_put
        self.keys = keys
        self.secrets: dict[str, Secret] = {} if secrets is None else secrets

    def create_secret(
        self,
        *,
        Name: str,  # noqa: N803
        Description: str = "",  # noqa: N803
        KmsKeyId: str = AWS_MANAGED_KEY,  # noqa: N803
        Tags: Tags = (),  # noqa: N803
    ) -> Wire:
        """Create a secret without a version: the vault puts every version by `put_secret_value`."""

        def effect() -> Wire:
            found = self.secrets.get(Name)
            if found is not None:
                code = "InvalidRequestException" if found.deleted else "ResourceExistsException"
                raise refusal("CreateSecret", code)
            tags = _checked("CreateSecret", Tags, {})
            self._be_usable("CreateSecret", KmsKeyId, "EncryptionFailure")
            arn = f"arn:aws:secretsmanager:eu-west-1:123456789012:secret:{Name}-a1B2c3"
            self.secrets[Name] = Secret(arn, KmsKeyId, Description, self._now(), tags)
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
                self._be_usable("PutSecretValue", secret.kms_key_id, "EncryptionFailure")
                self._add(SecretId, secret, ClientRequestToken, SecretString)
            else:
                self._be_readable("PutSecretValue", taken)
                if taken.content != SecretString:
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
                    self._be_readable("GetSecretValue", version)
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
                "Description": secret.description,
                "LastChangedDate": secret.changed_at,
            }
            if secret.kms_key_id != AWS_MANAGED_KEY:
                described["KmsKeyId"] = secret.kms_key_id
            if secret.tags:
                described["Tags"] = [{"Key": key, "Value": value} for key, value in secret.tags.items()]
            return described if secret.goes_at is None else {**described, "DeletedDate": secret.goes_at}

        return with_faults("DescribeSecret", self.faults, effect)

    def update_secret(self, *, SecretId: str, KmsKeyId: str) -> Wire:  # noqa: N803
        """Change the key of a secret."""

        def effect() -> Wire:
            secret = self._live("UpdateSecret", SecretId)
            self._be_usable("UpdateSecret", KmsKeyId, "EncryptionFailure")
            for version in (secret.current, secret.previous):
                if version is not None and self._encrypts_again(version):
                    version.keys.add(KmsKeyId)
            secret.kms_key_id = KmsKeyId
            secret.changed_at = self._now()
            return {"ARN": secret.arn, "Name": SecretId}

        return with_faults("UpdateSecret", self.faults, effect)

    def tag_resource(self, *, SecretId: str, Tags: Tags) -> Wire:  # noqa: N803
        def effect() -> Wire:
            secret = self._live("TagResource", SecretId)
            secret.tags = _checked("TagResource", Tags, secret.tags)
            return {}

        return with_faults("TagResource", self.faults, effect)

    def delete_secret(self, *, SecretId: str, RecoveryWindowInDays: int) -> Wire:  # noqa: N803
        def effect() -> Wire:
            if not 7 <= RecoveryWindowInDays <= 30:
                raise refusal("DeleteSecret", "InvalidParameterException")
            secret = self._live("DeleteSecret", SecretId)
            if secret.replicated:
                # "You can't delete a primary secret that is replicated to other Regions"; the code is our guess.
                raise refusal("DeleteSecret", "InvalidRequestException")
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

    def _trouble(self, key_id: str) -> str | None:
        return None if self.keys is None or key_id == AWS_MANAGED_KEY else self.keys.trouble(key_id)

    def _be_usable(self, operation: str, key_id: str, failure: str) -> None:
        trouble = self._trouble(key_id)
        if trouble is not None:
            raise refusal(operation, trouble if trouble == "AccessDeniedException" else failure)

    def _be_readable(self, operation: str, version: Version) -> None:
        troubles = {self._trouble(key) for key in version.keys}
        if None not in troubles:
            denied = troubles == {"AccessDeniedException"}
            raise refusal(operation, "AccessDeniedException" if denied else "DecryptionFailure")

    def _encrypts_again(self, version: Version) -> bool:
        if self.keys is None:
            return True
        return self.keys.may_encrypt and any(self._trouble(key) is None for key in version.keys)

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
        version = Version(version_id, content, now, now + self.read_lag(), {secret.kms_key_id})
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


def _checked(operation: str, tags: Tags, present: Mapping[str, str]) -> dict[str, str]:
    """Return the tags together, or refuse them by the rules of "Tag naming limits and requirements"."""
    together = {**present, **{tag["Key"]: tag["Value"] for tag in tags}}
    for key, value in together.items():
        fits = 0 < len(key) <= 128 and len(value) <= 256 and not key.lower().startswith("aws:")
        if not fits or not _TAG.fullmatch(key) or not _TAG.fullmatch(value):
            raise refusal(operation, "InvalidParameterException")
    if len(together) > MOST_TAGS:
        raise refusal(operation, "InvalidParameterException")
    return together
