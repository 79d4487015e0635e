"""Strict in-process doubles of two boto3 clients: what AWS promises, and none of the kindness of other doubles.

They speak the wire format that the adapters speak and raise real `ClientError`s. botocore is not in the loop, so
its one retry that matters is played here: an answer that is lost makes the same call arrive a second time.
"""

from bisect import bisect_right, insort
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any

from botocore.exceptions import ClientError

type Wire = dict[str, Any]
type Now = Callable[[], datetime]


class AwsFault(StrEnum):
    """What goes wrong with one call, after botocore has tried what it tries."""

    THROTTLED = "throttled"  # no effect, and an error
    ANSWER_LOST = "answer_lost"  # the effect, and botocore's retry of the same call
    FAILED_AFTER = "failed_after"  # the effect, and an error all the same


type Faults = Callable[[str], AwsFault | None]
"""Decides, given the name of an operation, what goes wrong with this call of it."""

DAY = timedelta(days=1)
MOST_VERSIONS = 100
LARGEST_SECRET = 65_536


def no_faults(_: str) -> AwsFault | None:
    return None


def refusal(operation: str, code: str, message: str = "refused", *, item: Wire | None = None) -> ClientError:
    response: Any = {"Error": {"Code": code, "Message": message}}
    if item is not None:
        response["Item"] = item
    return ClientError(response, operation)


def _with_faults[Answer](operation: str, faults: Faults, effect: Callable[[], Answer]) -> Answer:
    fault = faults(operation)
    if fault is AwsFault.THROTTLED:
        raise refusal(operation, "ThrottlingException")
    if fault is AwsFault.ANSWER_LOST:
        effect()
    answer = effect()
    if fault is AwsFault.FAILED_AFTER:
        raise refusal(operation, "InternalServiceError")
    return answer


class StrictDynamoDB:
    """One table with the two indexes of the template; `index_lag` is how far an index is behind."""

    def __init__(self, now: Now, *, faults: Faults = no_faults, index_lag: timedelta = timedelta()) -> None:
        self._now = now
        self.faults = faults
        self.index_lag = index_lag
        self.on_put: Callable[[Wire], object] | None = None
        self.items: dict[tuple[str, str], Wire] = {}
        self._due: dict[str, list[tuple[int, str]]] = {}
        self._entries: dict[str, tuple[str, int]] = {}
        self._lagging: deque[tuple[datetime, str, tuple[str, int] | None]] = deque()

    def get_item(self, *, TableName: str, Key: Wire, ConsistentRead: bool) -> Wire:  # noqa: N803
        del TableName
        if not ConsistentRead:
            raise AssertionError("the registry is read consistently, or not at all")

        def effect() -> Wire:
            found = self.items.get(_key(Key))
            return {} if found is None else {"Item": dict(found)}

        return _with_faults("GetItem", self.faults, effect)

    def put_item(
        self,
        *,
        TableName: str,  # noqa: N803
        Item: Wire,  # noqa: N803
        ConditionExpression: str,  # noqa: N803
        ExpressionAttributeValues: Wire | None = None,  # noqa: N803
        ReturnValuesOnConditionCheckFailure: str,  # noqa: N803
    ) -> Wire:
        del TableName
        if ReturnValuesOnConditionCheckFailure != "ALL_OLD":
            raise AssertionError("a writer has to be able to recognise its own write")

        def effect() -> Wire:
            key = _key(Item)
            present = self.items.get(key)
            if not _holds(ConditionExpression, present, ExpressionAttributeValues or {}):
                raise refusal("PutItem", "ConditionalCheckFailedException", item=present)
            self.items[key] = dict(Item)
            self._index(key, Item)
            if self.on_put is not None:
                self.on_put(Item)
            return {}

        return _with_faults("PutItem", self.faults, effect)

    def delete_item(
        self,
        *,
        TableName: str,  # noqa: N803
        Key: Wire,  # noqa: N803
        ConditionExpression: str,  # noqa: N803
        ExpressionAttributeValues: Wire,  # noqa: N803
    ) -> Wire:
        del TableName

        def effect() -> Wire:
            key = _key(Key)
            if not _holds(ConditionExpression, self.items.get(key), ExpressionAttributeValues):
                raise refusal("DeleteItem", "ConditionalCheckFailedException")
            self.items.pop(key, None)
            return {}

        return _with_faults("DeleteItem", self.faults, effect)

    def query(
        self,
        *,
        TableName: str,  # noqa: N803
        IndexName: str,  # noqa: N803
        KeyConditionExpression: str,  # noqa: N803
        ExpressionAttributeValues: Wire,  # noqa: N803
        Limit: int,  # noqa: N803
    ) -> Wire:
        del TableName
        if (IndexName, KeyConditionExpression) != ("due", "due_shard = :shard AND due_at <= :now"):
            raise AssertionError(f"no query of the due index: {KeyConditionExpression}")

        def effect() -> Wire:
            self._catch_up()
            due = self._due.get(ExpressionAttributeValues[":shard"]["S"], [])
            until = bisect_right(due, (int(ExpressionAttributeValues[":now"]["N"]), "\uffff"))
            return {"Items": [{"pk": {"S": pk}} for _, pk in due[: min(until, Limit)]]}

        return _with_faults("Query", self.faults, effect)

    def _index(self, key: tuple[str, str], item: Wire) -> None:
        if key[1] != "CREDENTIAL":
            return
        entry = (item["due_shard"]["S"], int(item["due_at"]["N"])) if "due_shard" in item else None
        if self.index_lag:
            self._lagging.append((self._now() + self.index_lag, key[0], entry))
        else:
            self._move(key[0], entry)

    def _catch_up(self) -> None:
        while self._lagging and self._lagging[0][0] <= self._now():
            _, pk, entry = self._lagging.popleft()
            self._move(pk, entry)

    def _move(self, pk: str, entry: tuple[str, int] | None) -> None:
        before = self._entries.pop(pk, None)
        if before is not None:
            due = self._due[before[0]]
            del due[bisect_right(due, (before[1], pk)) - 1]
        if entry is not None:
            self._entries[pk] = entry
            insort(self._due.setdefault(entry[0], []), (entry[1], pk))


def _key(item: Wire) -> tuple[str, str]:
    return item["pk"]["S"], item["sk"]["S"]


_COMPARE: Mapping[str, Callable[[Any, Any], bool]] = {
    "=": lambda left, right: bool(left == right),
    "<": lambda left, right: bool(left < right),
    "<=": lambda left, right: bool(left <= right),
}


def _holds(expression: str, item: Wire | None, values: Wire) -> bool:
    return any(_term_holds(term.strip(), item or {}, values) for term in expression.split(" OR "))


def _term_holds(term: str, item: Wire, values: Wire) -> bool:
    if term.startswith("attribute_not_exists("):
        return term.removeprefix("attribute_not_exists(").removesuffix(")") not in item
    name, operator, placeholder = term.split(" ")
    if name not in item:
        return False
    ((kind, found),) = item[name].items()
    ((kind_of_value, value),) = values[placeholder].items()
    if kind != kind_of_value:
        return False
    if kind == "N":
        return _COMPARE[operator](Decimal(found), Decimal(value))
    return _COMPARE[operator](found, value)


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

        return _with_faults("CreateSecret", self.faults, effect)

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

        return _with_faults("PutSecretValue", self.faults, effect)

    def get_secret_value(self, *, SecretId: str, VersionId: str) -> Wire:  # noqa: N803
        def effect() -> Wire:
            secret = self._live("GetSecretValue", SecretId)
            version = secret.versions.get(VersionId)
            if version is None or version.visible_at > self._now():
                raise refusal("GetSecretValue", "ResourceNotFoundException", "no such version")
            return {"ARN": secret.arn, "VersionId": VersionId, "SecretString": version.content}

        return _with_faults("GetSecretValue", self.faults, effect)

    def delete_secret(self, *, SecretId: str, RecoveryWindowInDays: int) -> Wire:  # noqa: N803
        if not 7 <= RecoveryWindowInDays <= 30:
            raise AssertionError("AWS has no such recovery window")

        def effect() -> Wire:
            secret = self._live("DeleteSecret", SecretId)
            secret.deleted = True
            return {"ARN": secret.arn, "Name": SecretId}

        return _with_faults("DeleteSecret", self.faults, effect)

    def restore_secret(self, *, SecretId: str) -> Wire:  # noqa: N803
        def effect() -> Wire:
            secret = self.secrets.get(SecretId)
            if secret is None:
                raise refusal("RestoreSecret", "ResourceNotFoundException")
            secret.deleted = False
            return {"ARN": secret.arn, "Name": SecretId}

        return _with_faults("RestoreSecret", self.faults, effect)

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
