"""What the registry, the audit trail and the event bus have to agree on, whatever went wrong before."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from types import MappingProxyType

from tests.doubles.dynamodb import StrictDynamoDB
from tests.doubles.eventbridge import Event, StrictEventBridge
from tests.doubles.faults import Wire
from xero_connector.adapters.dynamodb_items import HISTORY_PREFIX, entry_from_item, from_wire
from xero_connector.domain.history import Action, HistoryEntry
from xero_connector.domain.status import Status

LEADS_TO: Mapping[Action, Status] = MappingProxyType(
    {
        Action.SUBMITTED: Status.PENDING_VALIDATION,
        Action.VALIDATED: Status.VALIDATED,
        Action.REJECTED: Status.REJECTED,
        Action.CONNECTED: Status.CONNECTED,
        Action.RECOVERED: Status.CONNECTED,
        Action.DEGRADED: Status.DEGRADED,
        Action.REAUTHORIZATION_REQUIRED: Status.REAUTHORIZATION_REQUIRED,
        Action.CLIENT_REJECTED: Status.CLIENT_REJECTED,
        Action.DISCONNECT_REQUESTED: Status.DISCONNECTING,
        Action.DISCONNECTED: Status.DISCONNECTED,
    }
)
"""Said once more, and not taken from the product: what the product leaves out must not go unnoticed here."""
_SETUP_LINK = frozenset({"setup_url", "setup_url_expires_at", "schema_version"})
_MADE_WHEN_PUBLISHED: Mapping[Action, frozenset[str]] = MappingProxyType(
    {
        Action.REAUTHORIZATION_REQUIRED: _SETUP_LINK | {"connect_url", "connect_url_expires_at"},
        Action.CLIENT_REJECTED: _SETUP_LINK,
    }
)


@dataclass(slots=True)
class Broken:
    """How often the promises about the audit trail and the events were broken."""

    events_lost: int = 0
    """The trail holds them, and the bus never got them."""
    events_untrue: int = 0
    """The bus got them, and the trail does not hold them."""
    events_altered: int = 0
    """A delivery that says something else than the trail, and so than another delivery."""
    events_left_waiting: int = 0
    """On the bus, and still not marked: they would go out for ever."""
    untold_changes: int = 0
    """Changes of status that the trail does not tell, and trails that end in another status."""

    def __bool__(self) -> bool:
        return any(asdict(self).values())

    def add(self, other: "Broken") -> None:
        for name, value in asdict(other).items():
            setattr(self, name, getattr(self, name) + value)


@dataclass(slots=True)
class Trail:
    """What the trail and the bus hold, and what is wrong with that."""

    broken: Broken
    status_changes: int
    events_published: int
    events_repeated: int
    """Deliveries after the first one of the same event: allowed, and no more than that."""


class StatusChanges:
    """Sees every credential that is written, and remembers by which revision which status came to be."""

    def __init__(self) -> None:
        self.now: dict[str, Status] = {}
        self.made: set[tuple[str, int, Status]] = set()

    def __call__(self, item: Wire) -> None:
        if item["sk"]["S"] != "CREDENTIAL":
            return
        client_id, status = item["pk"]["S"].removeprefix("CREDENTIAL#"), Status(item["status"]["S"])
        if self.now.get(client_id) is not status:
            self.now[client_id] = status
            self.made.add((client_id, int(item["revision"]["N"]), status))


def look_at(dynamodb: StrictDynamoDB, bus: StrictEventBridge, changes: StatusChanges) -> Trail:
    """Compare everything with everything; to be done after the schedule came round with nothing in its way."""
    entries = [
        entry_from_item(from_wire(item))
        for (_, sort_key), item in sorted(dynamodb.items.items())
        if sort_key.startswith(HISTORY_PREFIX)
    ]
    told = {str(entry.entry_id): entry for entry in entries if entry.event_type is not None}
    delivered = Counter(event.detail["event_id"] for event in bus.published)
    broken = Broken(
        events_lost=len(told.keys() - delivered.keys()),
        events_untrue=len(delivered.keys() - told.keys()),
        events_altered=sum(
            _differs(event, told[event.detail["event_id"]])
            for event in bus.published
            if event.detail["event_id"] in told
        ),
        events_left_waiting=sum(told[event_id].unpublished for event_id in delivered if event_id in told),
        untold_changes=_untold(entries, changes),
    )
    return Trail(broken, len(changes.made), len(delivered), delivered.total() - len(delivered))


def _differs(event: Event, entry: HistoryEntry) -> bool:
    made = _MADE_WHEN_PUBLISHED.get(entry.action, frozenset())
    said = {name: value for name, value in event.detail.items() if name not in made}
    told = {name: value for name, value in (entry.event or {}).items() if name not in made}
    return (event.detail_type, said, event.at) != (entry.event_type, told, entry.at.replace(microsecond=0))


def _untold(entries: list[HistoryEntry], changes: StatusChanges) -> int:
    # In the order of the keys, which is that of the writes: the last one of each credential stays.
    changing = [entry for entry in entries if entry.action in LEADS_TO]
    told = {(entry.client_id, entry.revision, LEADS_TO[entry.action]) for entry in changing}
    ends = {entry.client_id: LEADS_TO[entry.action] for entry in changing}
    return len(changes.made - told) + sum(ends.get(client_id) is not now for client_id, now in changes.now.items())
