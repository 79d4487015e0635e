"""DynamoDB in this process."""

from bisect import bisect_left, bisect_right, insort
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from botocore.exceptions import ClientError

from tests.doubles.faults import Faults, Now, Wire, no_faults, refusal, with_faults

type Key = tuple[str, str]

MOST_ACTIONS = 100
"""Of one transaction."""
LARGEST_ITEM = 400 * 1024
LARGEST_PAGE = 1024 * 1024
"""Bytes of the items that one query reads."""
_AFTER_ALL_KEYS = ("\uffff", "")


def no_conflict(_: str) -> bool:
    return False


class StrictDynamoDB:
    """One table with the two indexes of the template; `index_lag` is how far the index of due items is behind.

    `conflicts` decides, given the name of an operation that writes, whether another transaction is at one of
    its items at that moment: AWS refuses such a write, whatever its condition.

    Error codes are those of the "Errors" of each action. A request that breaks a limit is a `ValidationException`
    (DynamoDB Developer Guide, "Quotas", and "Common Errors" of the API reference).

    Kinder than AWS:

    - The index of credentials is never behind.
    - No item ever expires: DynamoDB removes expired items within days.
    - There is no throughput limit, and no limit of 4 MB for the items of a transaction.
    - Attribute values are not checked, beyond the size of the item, nor are names that DynamoDB reserves.

    Stricter than AWS, by an `AssertionError` where the product breaks a rule of its own:

    - Items are read consistently. Audit trails are read consistently, and backwards.
    - Writes are conditional, and ask for the item that was there: a writer has to recognise its own write.
    - Transactions only put. Nothing but the three queries of the product is answered.
    - A repeated transaction is not recognised by its token, as AWS recognises it for ten minutes.
      The writer has to recognise it.
    """

    def __init__(
        self,
        now: Now,
        *,
        table_name: str,
        faults: Faults = no_faults,
        index_lag: timedelta = timedelta(),
    ) -> None:
        self._now = now
        self.table_name = table_name
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
        if not ConsistentRead:
            raise AssertionError("the registry is read consistently, or not at all")

        def effect() -> Wire:
            self._be_there("GetItem", TableName)
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
        if ReturnValuesOnConditionCheckFailure != "ALL_OLD":
            raise AssertionError("a writer has to be able to recognise its own write")

        def effect() -> Wire:
            self._be_there("PutItem", TableName)
            if _size(Item) > LARGEST_ITEM:
                raise refusal("PutItem", "ValidationException")
            present = self.items.get(_key(Item))
            if self.conflicts("PutItem"):
                raise refusal("PutItem", "TransactionConflictException")
            if not _holds(ConditionExpression, present, ExpressionAttributeValues or {}):
                raise refusal("PutItem", "ConditionalCheckFailedException", item=present)
            self._put(Item)
            return {}

        return with_faults("PutItem", self.faults, effect)

    def transact_write_items(self, *, TransactItems: Sequence[Wire], ClientRequestToken: str) -> Wire:  # noqa: N803
        """Put all items or none."""
        operation = "TransactWriteItems"
        puts = [_only_put(action) for action in TransactItems]

        def effect() -> Wire:
            if not 0 < len(puts) <= MOST_ACTIONS or not 0 < len(ClientRequestToken) <= 36:
                raise refusal(operation, "ValidationException")
            if len({_key(put["Item"]) for put in puts}) < len(puts):
                raise refusal(operation, "ValidationException")
            for put in puts:
                self._be_there(operation, put["TableName"])
                if _size(put["Item"]) > LARGEST_ITEM:
                    raise _cancellation([_too_large(put) for put in puts])
            if self.conflicts(operation):
                raise _cancellation([{"Code": "TransactionConflict"}, *({"Code": "None"} for _ in puts[1:])])
            reasons = [self._reason_against(put) for put in puts]
            if any(reason is not None for reason in reasons):
                raise _cancellation([reason or {"Code": "None"} for reason in reasons])
            for put in puts:
                self._put(put["Item"])
            return {}

        return with_faults(operation, self.faults, effect)

    def _be_there(self, operation: str, table_name: str) -> None:
        if table_name != self.table_name:
            raise refusal(operation, "ResourceNotFoundException")

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
        def effect() -> Wire:
            self._be_there("DeleteItem", TableName)
            key = _key(Key)
            if not _holds(ConditionExpression, self.items.get(key), ExpressionAttributeValues):
                raise refusal("DeleteItem", "ConditionalCheckFailedException")
            if self.items.pop(key, None) is not None and key[1].startswith("HISTORY#"):
                self._history[key[0]].remove(key[1])
            self._index(key, {})
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
        values = ExpressionAttributeValues
        find: Callable[[], Wire]
        match IndexName, KeyConditionExpression:
            case "due", "due_shard = :shard AND due_at <= :now":
                find = lambda: self._due_now(values, Limit, **more)  # noqa: E731 - one of three
            case "credentials", "listing = :listing":
                find = lambda: self._listed(values, Limit, **more)  # noqa: E731 - one of three
            case None, "pk = :pk AND begins_with(sk, :history)":
                find = lambda: self._newest_first(values, Limit, **more)  # noqa: E731 - one of three
            case _:
                raise AssertionError(f"no query that this table is asked: {IndexName}, {KeyConditionExpression}")

        def effect() -> Wire:
            self._be_there("Query", TableName)
            if IndexName is not None and more.pop("ConsistentRead", False):
                # "Strongly consistent reads are not supported on global secondary indexes" (API reference, Query).
                raise refusal("Query", "ValidationException")
            return find()

        return with_faults("Query", self.faults, effect)

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
                # "The provided starting key is outside query boundaries".
                raise refusal("Query", "ValidationException")
            end = bisect_left(trail, before[1])
        return self._page(((pk, trail[at]) for at in range(end - 1, -1, -1)), limit, ("pk", "sk"))

    def _listed(
        self,
        values: Wire,
        limit: int,
        *,
        ExclusiveStartKey: Wire | None = None,  # noqa: N803
    ) -> Wire:
        listed = sorted(
            (item["client_id"]["S"], key)
            for key, item in self.items.items()
            if item.get("listing") == values[":listing"]
        )
        if ExclusiveStartKey is not None:
            after = (ExclusiveStartKey["client_id"]["S"], _key(ExclusiveStartKey))
            listed = listed[bisect_right(listed, after) :]
        return self._page((key for _, key in listed), limit, ("pk", "sk", "listing", "client_id"))

    def _page(self, keys: Iterable[Key], limit: int, key_names: Sequence[str]) -> Wire:
        """Answer with items up to the limit, or up to a megabyte."""
        page: list[Wire] = []
        size = 0
        for key in keys:
            item = self.items[key]
            size += _size(item)
            if size > LARGEST_PAGE:
                break
            page.append(dict(item))
            # AWS says that there may be more as soon as the limit is reached.
            if len(page) == limit:
                break
        else:
            return {"Items": page}
        return {"Items": page, "LastEvaluatedKey": {name: page[-1][name] for name in key_names}}

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


def _too_large(put: Wire) -> Wire:
    # "An item size becomes too large" cancels a transaction (API reference, TransactWriteItems).
    return {"Code": "ValidationError" if _size(put["Item"]) > LARGEST_ITEM else "None"}


def _size(item: Wire) -> int:
    """How DynamoDB counts (Developer Guide, "DynamoDB item sizes and formats")."""
    return sum(len(name.encode()) + _size_of(value) for name, value in item.items())


def _size_of(value: Wire) -> int:
    ((kind, content),) = value.items()
    match kind:
        case "S":
            return len(content.encode())
        case "N":
            # One byte for each two significant digits, and one more.
            return len(content.strip("-").replace(".", "").strip("0")) // 2 + 2
        case "L":
            return 3 + sum(1 + _size_of(element) for element in content)
        case "M":
            return 3 + len(content) + _size(content)
        case "BOOL" | "NULL":
            return 1
    raise AssertionError(f"no type that an item has: {kind}")


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
