"""DynamoDB in this process."""

from bisect import bisect_left, bisect_right, insort
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from botocore.exceptions import ClientError

from tests.doubles.faults import Faults, Now, Wire, no_faults, refusal, with_faults

type Key = tuple[str, str]

MOST_ACTIONS = 100
_AFTER_ALL_KEYS = ("\uffff", "")


def no_conflict(_: str) -> bool:
    return False


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

        return with_faults("GetItem", self.faults, effect)

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

        return with_faults("PutItem", self.faults, effect)

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

        return with_faults("TransactWriteItems", self.faults, effect)

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

        return with_faults("DeleteItem", self.faults, effect)

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
                return with_faults("Query", self.faults, lambda: self._due_now(ExpressionAttributeValues, Limit))
            case None, "pk = :pk AND begins_with(sk, :history)":
                return with_faults(
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
