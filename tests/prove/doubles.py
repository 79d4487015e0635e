"""Strict in-process doubles of three boto3 clients: what AWS promises, and none of the kindness of other doubles.

They speak the wire format that the adapters speak and raise real `ClientError`s. botocore is not in the loop, so
its one retry that matters is played here: an answer that is lost makes the same call arrive a second time.
"""

import json
import os
from bisect import bisect_left, bisect_right, insort
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any

from botocore.exceptions import ClientError

type Wire = dict[str, Any]
type Key = tuple[str, str]
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
MOST_ACTIONS = 100
MOST_EVENTS = 10
LARGEST_EVENT = 262_144
_AFTER_ALL_KEYS = ("\uffff", "")


def no_faults(_: str) -> AwsFault | None:
    return None


def no_conflict(_: str) -> bool:
    return False


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
    """One table with the two indexes of the template; `index_lag` is how far an index is behind.

    `conflicts` decides, given the name of an operation that writes, whether another transaction is at one of
    its items just then: AWS refuses such a write, whatever its condition.
    """

    def __init__(self, now: Now, *, faults: Faults = no_faults, index_lag: timedelta = timedelta()) -> None:
        self._now = now
        self.faults = faults
        self.index_lag = index_lag
        self.conflicts: Callable[[str], bool] = no_conflict
        self.on_put: Callable[[Wire], object] | None = None
        self.items: dict[Key, Wire] = {}
        self._due: dict[str, list[tuple[int, Key]]] = {}
        self._indexed: dict[Key, tuple[str, int]] = {}
        self._lagging: deque[tuple[datetime, Key, tuple[str, int] | None]] = deque()
        self._history: dict[str, list[str]] = {}
        """The sort keys of each audit trail, in order."""

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
            present = self.items.get(_key(Item))
            if self.conflicts("PutItem"):
                raise refusal("PutItem", "TransactionConflictException")
            if not _holds(ConditionExpression, present, ExpressionAttributeValues or {}):
                raise refusal("PutItem", "ConditionalCheckFailedException", item=present)
            self._put(Item)
            return {}

        return _with_faults("PutItem", self.faults, effect)

    def transact_write_items(self, *, TransactItems: Sequence[Wire], ClientRequestToken: str) -> Wire:  # noqa: N803
        """Put all items or none.

        AWS recognises a repetition by its token, for ten minutes. Here nobody does: the writer has to.
        """
        if not 0 < len(TransactItems) <= MOST_ACTIONS or not 0 < len(ClientRequestToken) <= 36:
            raise refusal("TransactWriteItems", "ValidationException")
        puts = [_only_put(action) for action in TransactItems]
        if len({_key(put["Item"]) for put in puts}) < len(puts):
            raise refusal("TransactWriteItems", "ValidationException", "multiple operations on one item")

        def effect() -> Wire:
            if self.conflicts("TransactWriteItems"):
                raise _cancellation([{"Code": "TransactionConflict"}, *({"Code": "None"} for _ in puts[1:])])
            reasons = [self._reason_against(put) for put in puts]
            if any(reason is not None for reason in reasons):
                raise _cancellation([reason or {"Code": "None"} for reason in reasons])
            for put in puts:
                self._put(put["Item"])
            return {}

        return _with_faults("TransactWriteItems", self.faults, effect)

    def _reason_against(self, put: Wire) -> Wire | None:
        if "ConditionExpression" not in put:
            return None
        present = self.items.get(_key(put["Item"]))
        if _holds(put["ConditionExpression"], present, put.get("ExpressionAttributeValues", {})):
            return None
        reason = {"Code": "ConditionalCheckFailed", "Message": "The conditional request failed"}
        if present is None or put.get("ReturnValuesOnConditionCheckFailure") != "ALL_OLD":
            return reason
        return {**reason, "Item": present}

    def _put(self, item: Wire) -> None:
        key = _key(item)
        if key[1].startswith("HISTORY#") and key not in self.items:
            insort(self._history.setdefault(key[0], []), key[1])
        self.items[key] = dict(item)
        self._index(key, item)
        if self.on_put is not None:
            self.on_put(item)

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
        KeyConditionExpression: str,  # noqa: N803
        ExpressionAttributeValues: Wire,  # noqa: N803
        Limit: int,  # noqa: N803
        IndexName: str | None = None,  # noqa: N803
        **more: Any,  # noqa: ANN401 - what only some queries may say
    ) -> Wire:
        del TableName
        match IndexName, KeyConditionExpression:
            case "due", "due_shard = :shard AND due_at <= :now" if not more:
                return _with_faults("Query", self.faults, lambda: self._due_now(ExpressionAttributeValues, Limit))
            case None, "pk = :pk AND begins_with(sk, :history)":
                return _with_faults(
                    "Query", self.faults, lambda: self._newest_first(ExpressionAttributeValues, Limit, **more)
                )
        raise AssertionError(f"no query that this table is asked: {IndexName}, {KeyConditionExpression}, {more}")

    def _due_now(self, values: Wire, limit: int) -> Wire:
        """Answer with the keys alone, as the index projects them."""
        self._catch_up()
        shard = values[":shard"]
        due = self._due.get(shard["S"], [])
        until = bisect_right(due, (int(values[":now"]["N"]), _AFTER_ALL_KEYS))
        return {
            "Items": [
                {"pk": {"S": pk}, "sk": {"S": sk}, "due_shard": shard, "due_at": {"N": str(due_at)}}
                for due_at, (pk, sk) in due[: min(until, limit)]
            ]
        }

    def _newest_first(
        self,
        values: Wire,
        limit: int,
        *,
        ConsistentRead: bool,  # noqa: N803
        ScanIndexForward: bool,  # noqa: N803
        ExclusiveStartKey: Wire | None = None,  # noqa: N803
    ) -> Wire:
        if not ConsistentRead or ScanIndexForward or values[":history"]["S"] != "HISTORY#":
            raise AssertionError("an audit trail is read consistently and backwards")
        pk = values[":pk"]["S"]
        trail = self._history.get(pk, [])
        end = len(trail)
        if ExclusiveStartKey is not None:
            before = _key(ExclusiveStartKey)
            if before[0] != pk:
                raise refusal("Query", "ValidationException", "the start is outside of the query")
            end = bisect_left(trail, before[1])
        start = max(0, end - limit)
        answer: Wire = {"Items": [dict(self.items[pk, sk]) for sk in reversed(trail[start:end])]}
        # AWS says that there may be more as soon as the limit is reached.
        if end - start == limit:
            answer["LastEvaluatedKey"] = {"pk": {"S": pk}, "sk": {"S": trail[start]}}
        return answer

    def _index(self, key: Key, item: Wire) -> None:
        entry = (item["due_shard"]["S"], int(item["due_at"]["N"])) if "due_shard" in item else None
        if self.index_lag:
            self._lagging.append((self._now() + self.index_lag, key, entry))
        elif entry is not None or key in self._indexed:
            self._move(key, entry)

    def _catch_up(self) -> None:
        while self._lagging and self._lagging[0][0] <= self._now():
            _, key, entry = self._lagging.popleft()
            self._move(key, entry)

    def _move(self, key: Key, entry: tuple[str, int] | None) -> None:
        before = self._indexed.pop(key, None)
        if before is not None:
            due = self._due[before[0]]
            del due[bisect_right(due, (before[1], key)) - 1]
        if entry is not None:
            self._indexed[key] = entry
            insort(self._due.setdefault(entry[0], []), (entry[1], key))


def _key(item: Wire) -> Key:
    return item["pk"]["S"], item["sk"]["S"]


def _only_put(action: Wire) -> Wire:
    if set(action) != {"Put"}:
        raise AssertionError("a transaction of the registry puts items, and does nothing else")
    put: Wire = action["Put"]
    return put


def _cancellation(reasons: list[Wire]) -> ClientError:
    canceled = refusal("TransactWriteItems", "TransactionCanceledException")
    response: Any = canceled.response
    response["CancellationReasons"] = reasons
    return canceled


_COMPARE: Mapping[str, Callable[[Any, Any], bool]] = {
    "=": lambda left, right: bool(left == right),
    "<": lambda left, right: bool(left < right),
    "<=": lambda left, right: bool(left <= right),
}


def _holds(expression: str, item: Wire | None, values: Wire) -> bool:
    return any(_term_holds(term.strip(), item or {}, values) for term in expression.split(" OR "))


def _term_holds(term: str, item: Wire, values: Wire) -> bool:
    if term.startswith("attribute_exists("):
        return term.removeprefix("attribute_exists(").removesuffix(")") in item
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


@dataclass(frozen=True, slots=True)
class Event:
    """An event as a rule gets it: `detail` is what the JSON says."""

    event_id: str
    detail_type: str
    detail: Wire
    at: datetime


class StrictEventBridge:
    """One bus; `failing_entries` is the error code by which it refuses each event of a call that succeeds."""

    def __init__(self, bus_name: str, *, faults: Faults = no_faults) -> None:
        self.bus_name = bus_name
        self.faults = faults
        self.failing_entries: str | None = None
        self.published: list[Event] = []

    def put_events(self, *, Entries: Sequence[Wire]) -> Wire:  # noqa: N803
        if not 0 < len(Entries) <= MOST_EVENTS:
            raise refusal("PutEvents", "ValidationException")
        if sum(_event_size(entry) for entry in Entries) > LARGEST_EVENT:
            raise refusal("PutEvents", "ValidationException", "too large")

        def effect() -> Wire:
            answers = [self._take(entry) for entry in Entries]
            failed = sum("ErrorCode" in answer for answer in answers)
            return {"FailedEntryCount": failed, "Entries": answers}

        return _with_faults("PutEvents", self.faults, effect)

    def _take(self, entry: Wire) -> Wire:
        if entry["EventBusName"] != self.bus_name:
            raise AssertionError(f"another bus: {entry['EventBusName']}")
        if self.failing_entries is not None:
            return {"ErrorCode": self.failing_entries, "ErrorMessage": "refused"}
        if not entry["Source"] or not entry["DetailType"]:
            return {"ErrorCode": "InvalidArgument", "ErrorMessage": "Source and DetailType are required"}
        try:
            detail = json.loads(entry["Detail"])
        except ValueError:
            detail = None
        if not isinstance(detail, dict):
            return {"ErrorCode": "MalformedDetail", "ErrorMessage": "Detail is malformed"}
        if entry["Time"].tzinfo is None:
            raise AssertionError("botocore would take this time for the machine's own")
        event = Event(
            event_id=f"event-{len(self.published) + 1}",
            detail_type=entry["DetailType"],
            detail=detail,
            at=entry["Time"],
        )
        self.published.append(event)
        return {"EventId": event.event_id}


def _event_size(entry: Wire) -> int:
    """How AWS counts: 14 bytes for the time, and the others by their UTF-8 (EventBridge, "PutEvents")."""
    texts = [entry["Source"], entry["DetailType"], entry["Detail"]]
    return 14 + sum(len(text.encode()) for text in texts)


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
