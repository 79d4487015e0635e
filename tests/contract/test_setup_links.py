"""What every `SetupLinks` does: the fake that the other tests trust, and the one on each double of DynamoDB."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.contract.conftest import DynamoDBTable, double_of
from tests.fakes.builders import a_setup_link, a_try
from tests.fakes.interruptions import step_in
from tests.fakes.stores import InMemoryHistory, InMemoryRegistry, InMemorySetupLinks
from tests.fakes.world import CLIENT_ID, NOON
from xero_connector.adapters.dynamodb_history import DynamoDBHistory
from xero_connector.adapters.dynamodb_setup_links import DynamoDBSetupLinks
from xero_connector.domain.checks import CheckResult
from xero_connector.domain.credential import IntegrationType
from xero_connector.domain.errors import MalformedRequest, RevisionConflict, StoreUnavailable
from xero_connector.domain.events import failing_entry
from xero_connector.domain.setup_link import SetupLink, setup_link_id
from xero_connector.domain.setup_view import Purpose, TryProblem

if TYPE_CHECKING:
    from xero_connector.domain.ports import History, SetupLinks

AN_HOUR = timedelta(hours=1)
ADDRESS = "d" * 64


@dataclass(frozen=True, slots=True)
class Store:
    """Setup links, and the outbox that their entries go to."""

    links: "SetupLinks"
    history: "History"

    def unpublished(self) -> list[Any]:
        later = NOON + AN_HOUR
        return [
            entry
            for shard in map(str, range(8))
            for entry in self.history.unpublished(shard=shard, now=later, limit=10)
        ]


@pytest.fixture(params=["in_memory", "moto", "strict"])
def store(request: pytest.FixtureRequest) -> Store:
    if request.param == "in_memory":
        registry = InMemoryRegistry()
        return Store(InMemorySetupLinks(registry), InMemoryHistory(registry))
    table: DynamoDBTable = double_of(request, "table")
    return Store(DynamoDBSetupLinks(table.client, table.name), DynamoDBHistory(table.client, table.name))


def ticket(number: int) -> str:
    return f"{number:043d}"


def a_link(number: int, created_at: datetime = NOON) -> SetupLink:
    return a_setup_link(ticket(number), created_at=created_at, label=f"link {number}")


def test_nothing_is_there(store: Store) -> None:
    assert store.links.get(setup_link_id(ticket(1))) is None
    assert store.links.page(limit=10, next_token=None).items == []


@pytest.mark.parametrize(
    "link",
    [
        a_setup_link(),
        a_setup_link(label=None),
        a_setup_link(
            purpose=Purpose.REPLACE_SECRET,
            integration_type=IntegrationType.WEB_APP,
            scopes=("offline_access", "openid"),
            client_id=CLIENT_ID,
            last_opened_at=NOON + timedelta(microseconds=1),
            used_at=NOON + timedelta(days=1),
            withdrawn_at=NOON + timedelta(days=2),
            refusals=4,
            refused_in_a_row=3,
        ).claimed("another", NOON),
        a_setup_link(
            last_try=a_try(
                TryProblem.SECRET_WRONG,
                client_id="what was typed <b>",
                integration_type=IntegrationType.CUSTOM_CONNECTION,
                redirect_uri=CheckResult.FAIL,
                scopes=CheckResult.UNKNOWN,
                again_at=NOON,
            )
        ),
        a_setup_link(last_try=a_try(TryProblem.MISSING_CLIENT_ID, client_id="")),
    ],
    ids=["new", "without a label", "with everything", "tried", "tried with nothing"],
)
def test_a_link_is_kept_as_it_is(store: Store, link: SetupLink) -> None:
    store.links.add(link)
    assert store.links.get(link.setup_link_id) == link


def test_a_link_is_never_overwritten_by_a_new_one(store: Store) -> None:
    store.links.add(a_setup_link())
    store.links.add(a_setup_link(label="another"))
    found = store.links.get(a_setup_link().setup_link_id)
    assert found == a_setup_link()


def test_a_write_counts_the_revision_and_refuses_what_saw_an_older_one(store: Store) -> None:
    store.links.add(a_setup_link())
    opened = store.links.save(a_setup_link().opened(NOON))
    assert opened == replace(a_setup_link().opened(NOON), revision=1)
    assert store.links.get(opened.setup_link_id) == opened
    with pytest.raises(RevisionConflict):
        store.links.save(a_setup_link().withdrawn(NOON))
    assert store.links.get(opened.setup_link_id) == opened


def test_a_link_that_is_not_there_cannot_be_changed(store: Store) -> None:
    with pytest.raises(RevisionConflict):
        store.links.save(a_setup_link())


def test_an_entry_goes_to_the_outbox_with_the_link_or_not_at_all(store: Store) -> None:
    store.links.add(a_setup_link())
    failing = a_setup_link(refusals=3, refused_in_a_row=3, last_try=a_try(TryProblem.SECRET_WRONG))
    entry = failing_entry(replace(failing, revision=1), NOON)
    store.links.save(failing, entry)
    with pytest.raises(RevisionConflict):
        store.links.save(failing, failing_entry(replace(failing, revision=1, label="late"), NOON))
    assert store.unpublished() == [entry]
    store.history.mark_published(entry)
    assert store.unpublished() == []


def test_the_entries_of_a_link_are_in_no_credential_s_trail(store: Store) -> None:
    link = a_setup_link(client_id=CLIENT_ID, refusals=3)
    store.links.add(link)
    store.links.save(link, failing_entry(replace(link, revision=1), NOON))
    assert store.history.page(CLIENT_ID, limit=10, next_token=None).items == []


def test_the_newest_links_come_first(store: Store) -> None:
    for number in range(5):
        store.links.add(a_link(number, NOON + timedelta(seconds=number)))
    page = store.links.page(limit=10, next_token=None)
    assert [link.label for link in page.items] == [f"link {number}" for number in (4, 3, 2, 1, 0)]
    assert page.next_token is None


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 6])
def test_pages_show_every_link_once(store: Store, limit: int) -> None:
    for number in range(6):
        # Some are made in the same millisecond.
        store.links.add(a_link(number, NOON + timedelta(seconds=number // 2)))
    seen: list[str | None] = []
    next_token = None
    for _ in range(8):
        page = store.links.page(limit=limit, next_token=next_token)
        assert len(page.items) <= limit
        seen += [link.label for link in page.items]
        next_token = page.next_token
        if next_token is None:
            break
    assert next_token is None
    assert sorted(map(str, seen)) == [f"link {number}" for number in range(6)]
    assert [str(label)[-1] > "3" for label in seen[:2]] == [True, True]


@pytest.mark.parametrize("next_token", ["", "x", "W10", "WyJhIl0", "WzFd", "é", "WyJBIiwgIkIiXQ"])
def test_a_token_that_is_none_is_refused(store: Store, next_token: str) -> None:
    with pytest.raises(MalformedRequest) as refused:
        store.links.page(limit=10, next_token=next_token)
    assert refused.value.code == "malformed_next_token"


def test_tries_of_an_address_are_counted_within_their_window(store: Store) -> None:
    def count(minutes: int, address: str = ADDRESS) -> tuple[int, int]:
        now = NOON + timedelta(minutes=minutes)
        tries, since = store.links.count_try(address, now=now, window=AN_HOUR)
        return tries, (since - NOON) // timedelta(minutes=1)

    assert [count(0), count(1), count(59)] == [(1, 0), (2, 0), (3, 0)]
    assert count(59, "e" * 64) == (1, 59)
    assert count(60) == (1, 60)
    assert [count(119), count(120)] == [(2, 60), (1, 120)]


# What only DynamoDB can do


@pytest.fixture
def dynamodb_links(dynamodb_table: DynamoDBTable) -> DynamoDBSetupLinks:
    return DynamoDBSetupLinks(dynamodb_table.client, dynamodb_table.name)


def test_a_count_that_another_writes_at_the_same_time_is_made_again(dynamodb_links: DynamoDBSetupLinks) -> None:
    def count() -> int:
        tries, _ = dynamodb_links.count_try(ADDRESS, now=NOON, window=AN_HOUR)
        return tries

    count()
    step_in(dynamodb_links.client, "get_item", after=count)
    assert count() == 3


def test_a_flood_of_one_address_is_no_endless_loop(
    dynamodb_links: DynamoDBSetupLinks, monkeypatch: pytest.MonkeyPatch
) -> None:
    get_item = dynamodb_links.client.get_item
    calls = iter(range(6))

    def meanwhile_others_count(**arguments: Any) -> Any:  # noqa: ANN401 - as boto3's
        answer = get_item(**arguments)
        if next(calls) < 5:
            monkeypatch.setattr(dynamodb_links.client, "get_item", get_item)
            dynamodb_links.count_try(ADDRESS, now=NOON, window=AN_HOUR)
            monkeypatch.setattr(dynamodb_links.client, "get_item", meanwhile_others_count)
        return answer

    monkeypatch.setattr(dynamodb_links.client, "get_item", meanwhile_others_count)
    with pytest.raises(StoreUnavailable):
        dynamodb_links.count_try(ADDRESS, now=NOON, window=AN_HOUR)


def test_a_link_goes_90_days_after_it_expired_and_a_count_after_its_window(
    dynamodb_links: DynamoDBSetupLinks,
) -> None:
    link = a_setup_link()
    dynamodb_links.add(link)
    dynamodb_links.count_try(ADDRESS, now=NOON, window=AN_HOUR)

    def ttl(key: str, sort_key: str) -> datetime:
        item = dynamodb_links.client.get_item(
            TableName=dynamodb_links.table_name, Key={"pk": {"S": key}, "sk": {"S": sort_key}}, ConsistentRead=True
        )["Item"]
        return datetime.fromtimestamp(int(item["ttl"]["N"]), tz=NOON.tzinfo)

    assert ttl(f"SETUP_LINK#{link.setup_link_id}", "SETUP_LINK") == link.expires_at + timedelta(days=90)
    assert ttl(f"ADDRESS#{ADDRESS}", "TRIES") == NOON + AN_HOUR


def test_no_item_holds_a_ticket(dynamodb_links: DynamoDBSetupLinks) -> None:
    link = a_setup_link(ticket(7))
    dynamodb_links.add(link)
    item = dynamodb_links.client.get_item(
        TableName=dynamodb_links.table_name,
        Key={"pk": {"S": f"SETUP_LINK#{link.setup_link_id}"}, "sk": {"S": "SETUP_LINK"}},
        ConsistentRead=True,
    )["Item"]
    assert ticket(7) not in str(item)
