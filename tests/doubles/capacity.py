"""The capacity units that calls of DynamoDB consume, counted as AWS documents it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tests.doubles.faults import Wire

WRITE_UNIT = 1024
READ_UNIT = 4096
TABLE_KEYS = ("pk", "sk")
INDEXES: Mapping[str, tuple[str, str]] = {"due": ("due_shard", "due_at"), "credentials": ("listing", "client_id")}
_KEYS_ONLY = frozenset({"due"})


@dataclass(slots=True)
class Consumed:
    """The capacity units that calls consumed, and how many calls there were of each kind.

    Reads: 4 KB a unit, half of it where the read is eventually consistent; a query adds its items up, a batch
    rounds up each of them (Developer Guide, "DynamoDB read and write operations").
    Writes: 1 KB a unit of the larger of the items before and after; in a transaction twice ("Managing complex
    workflows with DynamoDB transactions").
    Each index costs a write of its entry for an entry that comes, goes or changes, and two where its key changes;
    nothing where neither key nor projected attributes change ("Using global secondary indexes in DynamoDB").
    """

    writes: int = 0
    index_writes: Counter[str] = field(default_factory=Counter)
    reads: float = 0
    calls: Counter[str] = field(default_factory=Counter)

    @property
    def write_units(self) -> int:
        """Of the table and its indexes."""
        return self.writes + self.index_writes.total()

    def write(self, before: Wire, after: Wire, *, times: int = 1) -> None:
        """Count a write that takes an item from one state to another; an empty one is none."""
        self.writes += times * max(write_units(before), write_units(after))
        for name in INDEXES:
            old, new = _entry(name, before), _entry(name, after)
            moved = old is not None and new is not None and _index_key(name, old) != _index_key(name, new)
            if old is not None and (new is None or moved):
                self.index_writes[name] += write_units(old)
            if new is not None and (old is None or moved or old != new):
                self.index_writes[name] += write_units(new)

    def read(self, items: Sequence[Wire], *, consistent: bool) -> None:
        """Count one read of some items."""
        units = max(1, -(-sum(map(size, items)) // READ_UNIT))
        self.reads += units if consistent else units / 2


def _entry(index: str, item: Wire) -> Wire | None:
    """What an index holds of an item, None if it does not hold it."""
    keys = INDEXES[index]
    if not all(name in item for name in keys):
        return None
    projected = (*TABLE_KEYS, *keys)
    return {name: item[name] for name in projected} if index in _KEYS_ONLY else item


def _index_key(index: str, entry: Wire) -> list[Wire]:
    return [entry[name] for name in INDEXES[index]]


def write_units(item: Wire) -> int:
    return -(-size(item) // WRITE_UNIT) if item else 0


def size(item: Wire) -> int:
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
            return 3 + len(content) + size(content)
        case "BOOL" | "NULL":
            return 1
    raise AssertionError(f"no type that an item has: {kind}")
