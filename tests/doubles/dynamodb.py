"""DynamoDB in this process."""

from bisect import bisect_left, bisect_right, insort
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from botocore.exceptions import ClientError

from tests.doubles.capacity import TABLE_KEYS, Consumed, size, write_units
from tests.doubles.faults import Faults, Now, Wire, no_faults, refusal, with_faults

type Key = tuple[str, str]

MOST_ACTIONS = 100
"""Of one transaction."""
LARGEST_ITEM = 400 * 1024
LARGEST_PAGE = 1024 * 1024
"""Bytes of the items that one query reads."""
MOST_KEYS = 100
"""Of one `BatchGetItem`."""
_AFTER_ALL_KEYS = ("\uffff", "")


def no_conflict(_: str) -> bool:
    return False


def never_torn() -> bool:
    return False


class StrictDynamoDB:
    """One table with the two indexes of the template; `index_lag` is how far the index of due items is behind.

    `conflicts` decides, given the name of an operation that writes, whether another transaction is at one of
    its items at that moment: AWS refuses such a write, whatever its condition. `torn` decides whether a query of
    a credential's items meets a transaction half way: AWS isolates a query from a transaction item by item only
    (Developer Guide, "Isolation levels for transactions"). `consumed` counts calls and capacity units.

    Error codes are those of the "Errors" of each action. A request that breaks a limit is a `ValidationException`
    (DynamoDB Developer Guide, "Quotas", and "Common Errors" of the API reference).

    Kinder than AWS:

    - The index of credentials is never behind.
    - No item ever expires: DynamoDB removes expired items within days.
    - There is no throughput limit, and no limit of 4 MB for the items of a transaction.
    - A batch is answered as a whole. `unprocessed` is how many of its keys the next one leaves out.
    - Attribute values are not checked, beyond the size of the item, nor are names that DynamoDB reserves.

    Stricter than AWS, by an `AssertionError` where the product breaks a rule of its own:

    - Items are read consistently. Audit trails are read consistently, and backwards.
    - Writes are conditional, and ask for the item that was there: a writer has to recognise its own write.
    - Transactions only put. Nothing but the queries of the product is answered.
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
        self.torn: Callable[[], bool] = never_torn
        self.unprocessed = 0
        self.consumed = Consumed()
        self.on_put: Callable[[Wire], object] | None = None
        self.items: dict[Key, Wire] = {}
        self._before: dict[Key, Wire | None] = {}
        """What the last write of a credential's details replaced."""
        self._listed: dict[str, list[tuple[str, Key]]] = {}
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
            self.consumed.read([found or {}], consistent=True)
            return {} if found is None else {"Item": dict(found)}

        return self._called("GetItem", effect)

    def batch_get_item(self, *, RequestItems: Wire) -> Wire:  # noqa: N803
        """Read items eventually consistently, one table at a time."""
        ((table_name, request),) = RequestItems.items()
        if set(request) != {"Keys"}:
            raise AssertionError("a batch is read eventually consistently, and whole items")

        def effect() -> Wire:
            self._be_there("BatchGetItem", table_name)
            keys = request["Keys"]
            if not 0 < len(keys) <= MOST_KEYS or len({_key(key) for key in keys}) < len(keys):
                raise refusal("BatchGetItem", "ValidationException")
            processed, self.unprocessed = max(len(keys) - self.unprocessed, 0), 0
            found = [self.items.get(_key(key), {}) for key in keys[:processed]]
            for item in found:
                self.consumed.read([item], consistent=False)
            rest = {table_name: {"Keys": keys[processed:]}} if processed < len(keys) else {}
            # In any order.
            return {
                "Responses": {table_name: [dict(item) for item in reversed(found) if item]},
                "UnprocessedKeys": rest,
            }

        return self._called("BatchGetItem", effect)

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
            if size(Item) > LARGEST_ITEM:
                raise refusal("PutItem", "ValidationException")
            present = self.items.get(_key(Item))
            if self.conflicts("PutItem"):
                raise refusal("PutItem", "TransactionConflictException")
            if not _holds(ConditionExpression, present, ExpressionAttributeValues or {}):
                # "If the ConditionExpression evaluates to false, DynamoDB still consumes write capacity".
                self.consumed.writes += write_units(present or {})
                raise refusal("PutItem", "ConditionalCheckFailedException", item=present)
            self._put(Item)
            return {}

        return self._called("PutItem", effect)

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
                if size(put["Item"]) > LARGEST_ITEM:
                    raise _cancellation([_too_large(put) for put in puts])
            if self.conflicts(operation):
                raise _cancellation([{"Code": "TransactionConflict"}, *({"Code": "None"} for _ in puts[1:])])
            reasons = [self._reason_against(put) for put in puts]
            if any(reason is not None for reason in reasons):
                raise _cancellation([reason or {"Code": "None"} for reason in reasons])
            for put in puts:
                self._put(put["Item"], times=2)
            return {}

        return self._called(operation, effect)

    def _called(self, operation: str, effect: Callable[[], Wire]) -> Wire:
        self.consumed.calls[operation] += 1
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

    def _put(self, item: Wire, *, times: int = 1) -> None:
        key = _key(item)
        before = self.items.get(key, {})
        self.consumed.write(before, item, times=times)
        if key[1] == "CREDENTIAL#DETAILS":
            self._before[key] = before or None
        if key[1].startswith("HISTORY#") and key not in self.items:
            insort(self._history.setdefault(key[0], []), key[1])
        self._list_anew(key, before, item)
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
            before = self.items.pop(key, {})
            self.consumed.write(before, {})
            self._list_anew(key, before, {})
            if before and key[1].startswith("HISTORY#"):
                self._history[key[0]].remove(key[1])
            self._index(key, {})
            return {}

        return self._called("DeleteItem", effect)

    def query(
        self,
        *,
        TableName: str,  # noqa: N803
        KeyConditionExpression: str,  # noqa: N803
        ExpressionAttributeValues: Wire,  # noqa: N803
        Limit: int = 10**9,  # noqa: N803
        IndexName: str | None = None,  # noqa: N803
        **more: Any,  # noqa: ANN401 - what only some queries may say
    ) -> Wire:
        values = ExpressionAttributeValues
        find: Callable[[], Wire]
        match IndexName, KeyConditionExpression:
            case "due", "due_shard = :shard AND due_at <= :now":
                find = lambda: self._due_now(values, Limit, **more)  # noqa: E731 - one of five
            case "credentials", "listing = :listing" | "listing = :listing AND client_id < :before" if (
                "ScanIndexForward" in more
            ):
                find = lambda: self._list_backwards(values, Limit, **more)  # noqa: E731 - one of five
            case "credentials", "listing = :listing" | "listing = :listing AND client_id > :after":
                find = lambda: self._list(values, Limit, **more)  # noqa: E731 - one of five
            case None, "pk = :pk AND begins_with(sk, :history)":
                find = lambda: self._newest_first(values, Limit, **more)  # noqa: E731 - one of five
            case None, "pk = :pk AND begins_with(sk, :credential)":
                find = lambda: self._parts(values, **more)  # noqa: E731 - one of five
            case _:
                raise AssertionError(f"no query that this table is asked: {IndexName}, {KeyConditionExpression}")

        def effect() -> Wire:
            self._be_there("Query", TableName)
            if IndexName is not None and more.pop("ConsistentRead", False):
                # "Strongly consistent reads are not supported on global secondary indexes" (API reference, Query).
                raise refusal("Query", "ValidationException")
            return find()

        return self._called("Query", effect)

    def _parts(self, values: Wire, *, ConsistentRead: bool) -> Wire:  # noqa: N803
        """Answer with the items of one credential, perhaps with the details from before the last transaction."""
        pk, prefix = values[":pk"]["S"], values[":credential"]["S"]
        if prefix != "CREDENTIAL":
            raise AssertionError("a credential is read with its details, and without its history")
        found = []
        for sk in ("CREDENTIAL", "CREDENTIAL#DETAILS"):
            item = self.items.get((pk, sk))
            if (pk, sk) in self._before and self.torn():
                item = self._before[pk, sk]
            if item is not None:
                found.append(dict(item))
        self.consumed.read(found, consistent=ConsistentRead)
        return {"Items": found}

    def _due_now(self, values: Wire, limit: int) -> Wire:
        """Answer with the keys alone, as the index projects them."""
        self._catch_up()
        shard = values[":shard"]
        due = self._due.get(shard["S"], [])
        until = bisect_right(due, (int(values[":now"]["N"]), _AFTER_ALL_KEYS))
        found: list[Wire] = [
            {"pk": {"S": pk}, "sk": {"S": sk}, "due_shard": shard, "due_at": {"N": str(due_at)}}
            for due_at, (pk, sk) in due[: min(until, limit)]
        ]
        self.consumed.read(found, consistent=False)
        return {"Items": found}

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

    def _list(self, values: Wire, limit: int, *, Select: str = "ALL_ATTRIBUTES") -> Wire:  # noqa: N803
        listed = self._listed.get(values[":listing"]["S"], [])
        after = values[":after"]["S"] if ":after" in values else ""
        if after == "" and ":after" in values:
            # "The AttributeValue for a key attribute cannot contain an empty string value".
            raise refusal("Query", "ValidationException")
        begin = bisect_right(listed, (after, _AFTER_ALL_KEYS))
        keys = (listed[at][1] for at in range(begin, len(listed)))
        page = self._page(keys, limit, (*TABLE_KEYS, "listing", "client_id"), consistent=False)
        if Select != "COUNT":
            return page
        last = {name: key for name, key in page.items() if name != "Items"}
        return {"Count": len(page["Items"]), **last}

    def _list_backwards(self, values: Wire, limit: int, *, ScanIndexForward: bool) -> Wire:  # noqa: N803
        if ScanIndexForward:
            raise AssertionError("setup links are listed backwards")
        listed = self._listed.get(values[":listing"]["S"], [])
        end = bisect_left(listed, (values[":before"]["S"],)) if ":before" in values else len(listed)
        keys = (listed[at][1] for at in range(end - 1, -1, -1))
        return self._page(keys, limit, (*TABLE_KEYS, "listing", "client_id"), consistent=False)

    def _page(self, keys: Iterable[Key], limit: int, key_names: Sequence[str], *, consistent: bool = True) -> Wire:
        """Answer with items up to the limit, or up to a megabyte."""
        page: list[Wire] = []
        read = 0
        for key in keys:
            item = self.items[key]
            read += size(item)
            if read > LARGEST_PAGE:
                break
            page.append(dict(item))
            # AWS says that there may be more as soon as the limit is reached.
            if len(page) == limit:
                break
        else:
            self.consumed.read(page, consistent=consistent)
            return {"Items": page}
        self.consumed.read(page, consistent=consistent)
        return {"Items": page, "LastEvaluatedKey": {name: page[-1][name] for name in key_names}}

    def _list_anew(self, key: Key, before: Wire, after: Wire) -> None:
        for item, add in ((before, False), (after, True)):
            if not ("listing" in item and "client_id" in item):
                continue
            listed = self._listed.setdefault(item["listing"]["S"], [])
            place = (item["client_id"]["S"], key)
            if add:
                insort(listed, place)
            else:
                del listed[bisect_left(listed, place)]

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
    return {"Code": "ValidationError" if size(put["Item"]) > LARGEST_ITEM else "None"}


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
