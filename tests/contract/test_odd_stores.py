"""Answers of AWS without their members, and content that cannot be read, are failures of a store, told as such."""

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import pytest
from botocore.exceptions import ClientError
from botocore.parsers import ResponseParserError

from tests.doubles.dynamodb import StrictDynamoDB
from tests.fakes.builders import a_credential, a_request, a_ticket, a_token, a_tokens_secret, an_entry
from tests.fakes.former_form import put_in_former_form
from tests.fakes.world import CLIENT_ID, NOON
from tests.fakes.xero import DEMO_COMPANY
from xero_connector.adapters.dynamodb_consents import DynamoDBConsents
from xero_connector.adapters.dynamodb_credential_items import credential_from_item, credential_to_item
from xero_connector.adapters.dynamodb_credential_parts import parts_to_write
from xero_connector.adapters.dynamodb_history import DynamoDBHistory
from xero_connector.adapters.dynamodb_items import (
    credential_key,
    entry_from_item,
    entry_to_item,
    from_wire,
    readable,
    request_from_item,
    request_to_item,
    ticket_from_item,
    ticket_to_item,
    to_wire,
)
from xero_connector.adapters.dynamodb_registry import DynamoDBRegistry
from xero_connector.adapters.eventbridge_event_bus import EventBridgeEventBus
from xero_connector.adapters.kms_seal import KmsSeal
from xero_connector.adapters.secret_keys import VaultKeys
from xero_connector.adapters.secrets_manager_vault import SecretsManagerVault
from xero_connector.domain.checks import UNCHECKED
from xero_connector.domain.credential import Credential, LastError, Lease
from xero_connector.domain.ending import Ending, Leftover
from xero_connector.domain.errors import RowUnreadable, StoreUnavailable
from xero_connector.domain.events import entries_of
from xero_connector.domain.parked_grant import ParkedGrant
from xero_connector.domain.status import Status
from xero_connector.domain.tenant import LARGEST_LIST, Tenant, fitting
from xero_connector.domain.tokens import ClientPair, TokenSet, TokensSecret
from xero_connector.web.credential_resource import credential_resource, history_entry_resource

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient


class Client:
    """A boto3 client that answers everything with the same."""

    def __init__(self, answer: object) -> None:
        self._answer = answer

    def __getattr__(self, _: str) -> Callable[..., object]:
        def call(**_: object) -> object:
            if isinstance(self._answer, Exception):
                raise self._answer
            return self._answer

        return call


def vault(answer: object) -> SecretsManagerVault:
    keys = VaultKeys("key", None)
    return SecretsManagerVault(cast("Any", Client(answer)), "prefix", keys, "stack-1", lambda _: None)


def registry(answer: object, unreadable: Callable[[str], None] = lambda _: None) -> DynamoDBRegistry:
    return DynamoDBRegistry(cast("Any", Client(answer)), "table", 8, unreadable)


def items_of(row: Credential, **changed: Any) -> list[dict[str, Any]]:  # noqa: ANN401 - members of any type
    """Return the state and the details of a credential, with members of them changed."""
    parts = parts_to_write(replace(row, revision=1), seen=None, shards=8)
    details, _ = parts.others
    others = [details | {name: changed[name] for name in changed.keys() & details.keys()}]
    state = parts.state | {name: changed[name] for name in changed.keys() - details.keys()}
    return [to_wire(item) for item in (state, *others)]


def seal(answer: object) -> KmsSeal:
    return KmsSeal(lambda: cast("Any", Client(answer)), VaultKeys("key", None), lambda: NOON)


def reason(call: Callable[[], object]) -> str:
    with pytest.raises(StoreUnavailable) as unavailable:
        call()
    return unavailable.value.reason


CALLS: dict[str, Callable[[object], object]] = {
    "put the pair": lambda answer: vault(answer).put_client_pair(ClientPair("id", "s"), version_id="v"),
    "get the pair": lambda answer: vault(answer).get_client_pair("id", version_id="v"),
    "put tokens": lambda answer: vault(answer).put_tokens(a_tokens_secret(), version_id="v"),
    "get tokens": lambda answer: vault(answer).get_tokens("id", version_id="v"),
    "list": lambda answer: registry(answer).page(status=None, limit=10, next_token=None),
    "due": lambda answer: registry(answer).due(shard="0", now=NOON, limit=10),
    "history": lambda answer: DynamoDBHistory(cast("Any", Client(answer)), "table").page(
        CLIENT_ID, limit=10, next_token=None
    ),
    "unpublished": lambda answer: DynamoDBHistory(cast("Any", Client(answer)), "table").unpublished(
        shard="0", now=NOON, limit=10
    ),
    "publish": lambda answer: EventBridgeEventBus(lambda: cast("Any", Client(answer)), "bus").publish(
        "CredentialConnected", {}, at=NOON
    ),
    "data key": lambda answer: seal(answer).prepare(),
    "unseal": lambda answer: seal(answer).unseal('{"key": "AAAA", "sealed": "AAAA"}', context="c"),
}
each_call = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())


@each_call
@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"ResponseMetadata": {"HTTPStatusCode": 200}},
        {
            "ARN": None,
            "SecretString": None,
            "Items": None,
            "FailedEntryCount": None,
            "Plaintext": None,
            "CiphertextBlob": None,
        },
        {
            "ARN": 1,
            "SecretString": 2,
            "Items": {},
            "FailedEntryCount": "0",
            "Plaintext": "x",
            "CiphertextBlob": "x",
        },
    ],
    ids=["empty", "nothing but metadata", "null", "other types"],
)
def test_an_answer_without_its_members_is_a_failure_of_the_store(
    call: Callable[[object], object], answer: object
) -> None:
    assert reason(lambda: call(answer)) == "IncompleteAnswer"


@each_call
@pytest.mark.parametrize(
    "error",
    [ClientError({}, "Operation"), ClientError({"Error": {}}, "Operation"), ResponseParserError("<html>")],
    ids=["no error", "no code", "not to be parsed"],
)
def test_an_error_that_says_nothing_is_a_failure_of_the_store(
    call: Callable[[object], object], error: Exception
) -> None:
    assert reason(lambda: call(error)) in {"Unknown", "ResponseParserError"}


def test_an_event_that_the_bus_refuses_without_a_word_is_not_published() -> None:
    nothing: list[dict[str, str]] = []
    for entries in [nothing, [{}], [{}, {}]]:
        assert reason(partial(CALLS["publish"], {"FailedEntryCount": 1, "Entries": entries})) == "Unknown"


# What a version holds


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "null",
        "[]",
        "1",
        '"text"',
        "{}",
        '{"client_id": 1}',
        "[" * 100_000,
        '{"token": []}',
        '{"token": 1}',
    ],
    ids=range(11),
)
def test_a_version_that_cannot_be_read_is_told_as_such(content: str) -> None:
    answer = {"SecretString": content, "ARN": "arn"}
    assert reason(lambda: vault(answer).get_client_pair("id", version_id="v")) == "UnreadableVersion"
    assert reason(lambda: vault(answer).get_tokens("id", version_id="v")) == "UnreadableVersion"


def test_a_binary_version_is_not_one_of_ours() -> None:
    assert reason(lambda: CALLS["get tokens"]({"SecretBinary": b"x", "ARN": "arn"})) == "UnreadableVersion"


ODD_BESIDE_THE_TOKENS: dict[str, dict[str, Any]] = {
    "a list of scopes": {"scope": ["openid", "offline_access"]},
    "no scope": {"scope": None},
    "a life as text": {"expires_in": "1800", "expires_at": "1764072000"},
    "a life with a fraction": {"expires_in": 1800.5, "expires_at": 1764072000.5},
    "no life": {"expires_in": None, "expires_at": None},
    "a life without end": {"expires_in": 10**30, "expires_at": float("inf")},
    "no type": {"token_type": None},
    "more than is known": {"xero_next": {"a": 1}},
}


@pytest.mark.parametrize("odd", ODD_BESIDE_THE_TOKENS.values(), ids=ODD_BESIDE_THE_TOKENS.keys())
def test_what_is_odd_beside_the_tokens_does_not_cost_them(odd: dict[str, Any]) -> None:
    content = json.loads(a_tokens_secret().to_json())
    content["token"] |= odd
    read = TokensSecret.from_json(json.dumps(content))
    assert (read.token.access_token, read.token.refresh_token) == ("access-1", "refresh-1")
    assert read.token_expires_at.year < 9999
    assert read.token.scopes is not None
    assert TokensSecret.from_json(read.to_json()) == read


@pytest.mark.parametrize(
    "odd",
    [
        {"tenants": None},
        {"tenants": [1, None, "x", {}, {"tenant_id": "t-1", "more": 1}]},
        {"tenants": [{"tenant_id": "t-1", "tenant_name": 12}]},
        {"obtained_at": "yesterday"},
        {"obtained_at": None},
        {"obtained_at": "2026-11-23T12:00:00"},
        {"more": 1},
    ],
    ids=str,
)
def test_what_is_odd_around_the_tokens_does_not_cost_them(odd: dict[str, Any]) -> None:
    content = json.loads(a_tokens_secret().to_json()) | odd
    read = TokensSecret.from_json(json.dumps(content))
    assert read.token == a_tokens_secret().token
    assert read.obtained_at.tzinfo is not None
    assert all(tenant.tenant_id for tenant in read.tenants)


def test_tokens_that_no_reader_would_understand_are_not_stored() -> None:
    odd = a_tokens_secret(token=replace(a_token(), scope=cast("Any", 7)))
    assert reason(lambda: vault({"ARN": "arn"}).put_tokens(odd, version_id="v")) == "UnreadableVersion"


def test_a_token_set_without_an_access_token_is_none() -> None:
    for token in ({}, {"access_token": 1}, {"access_token": None}):
        with pytest.raises((KeyError, TypeError)):
            TokenSet.from_dict(token)


# Rows

WITH_A_LABEL = a_credential(label="Demo", tokens_secret_arn="arn:aws:secretsmanager:x")

SPOILT: dict[str, dict[str, Any]] = {
    "an unknown status": {"status": "paused"},
    "a status of another type": {"status": 3},
    "no incarnation": {"incarnation": None},
    "a broken incarnation": {"incarnation": "x"},
    "a broken time": {"created_at": "yesterday"},
    "a number that is none": {"generation": "many"},
    "no checks": {"checks": None},
    "checks of another form": {"checks": ["pass"]},
    "a broken error": {"last_error": {"code": "x"}},
    "a broken grant": {"parked": {}},
    "a label that is a number": {"label": 5},
    "a name of a person that is a number": {"created_by": 7},
    "an ARN that is a number": {"tokens_secret_arn": 5},
    "a scope that is a number": {"requested_scopes": ["openid", 5]},
    "scopes that are one text": {"granted_scopes": "openid"},
    "an error whose code is a number": {"last_error": {"code": 5, "detail": "x", "at": NOON.isoformat()}},
    "an error whose detail is a number": {"last_error": {"code": "x", "detail": 6, "at": NOON.isoformat()}},
    "a check whose detail is a number": {"checks": {"pair": {"result": "pass", "detail": 5}}},
    "a flag that is a text": {"tenants_pending": "no"},
    "a number that is not whole": {"generation": Decimal("1.5")},
    "a number that is too large": {"revision": 10**20},
    "an allowance that is too large": {"allowance_level": 10**9},
    "a moment beyond all calendars": {"due_exactly_at": "9999-12-31T23:59:59-23:59"},
    "a lease without an end": {"lease_owner": "another"},
}
each_spoilt = pytest.mark.parametrize("spoilt", SPOILT.values(), ids=SPOILT.keys())


@each_spoilt
def test_a_credential_that_cannot_be_read_is_told_as_such(spoilt: dict[str, Any]) -> None:
    told: list[str] = []
    with pytest.raises(RowUnreadable) as unreadable:
        registry({"Items": items_of(WITH_A_LABEL, **spoilt)}, told.append).get(CLIENT_ID)
    assert unreadable.value.code == "row_unreadable"
    assert told == [CLIENT_ID]


@each_spoilt
@pytest.mark.parametrize("status", [None, Status.CONNECTED])
def test_a_row_that_cannot_be_read_voids_no_list(
    strict_dynamodb: StrictDynamoDB, spoilt: dict[str, Any], status: Status | None
) -> None:
    told: list[str] = []
    client = cast("DynamoDBClient", strict_dynamodb)
    on_strict = DynamoDBRegistry(client, strict_dynamodb.table_name, 8, told.append)
    for client_id in ("A" * 32, "B" * 32, "C" * 32):
        credential = replace(WITH_A_LABEL, client_id=client_id, status=Status.CONNECTED)
        on_strict.create(credential, replacing=None)
        if client_id == "B" * 32:
            for item in items_of(credential, **spoilt):
                strict_dynamodb.items[item["pk"]["S"], item["sk"]["S"]] = item
    page = on_strict.page(status=status, limit=10, next_token=None)
    assert [credential.client_id for credential in page.items] == ["A" * 32, "C" * 32]
    assert told == ["B" * 32]


@each_spoilt
def test_a_row_in_its_former_form_that_cannot_be_read_voids_no_list(
    strict_dynamodb: StrictDynamoDB, spoilt: dict[str, Any]
) -> None:
    told: list[str] = []
    client = cast("DynamoDBClient", strict_dynamodb)
    on_strict = DynamoDBRegistry(client, strict_dynamodb.table_name, 8, told.append)
    for client_id in ("A" * 32, "B" * 32, "C" * 32):
        put_in_former_form(
            strict_dynamodb,
            replace(WITH_A_LABEL, client_id=client_id, revision=1),
            **(spoilt if client_id == "B" * 32 else {}),
        )
    page = on_strict.page(status=None, limit=10, next_token=None)
    assert [credential.client_id for credential in page.items] == ["A" * 32, "C" * 32]
    assert told == ["B" * 32]


MOMENTS = ["access_token_expires_at", "due_exactly_at", "created_at", "updated_at", "allowance_at"]


@pytest.mark.parametrize("text", ["2026-11-23T12:05:00", "2026-11-23 12:05", "2026-11-23T14:05:00+02:00"])
def test_a_moment_without_an_offset_is_in_utc(text: str) -> None:
    credential = registry({"Items": items_of(a_credential(), **dict.fromkeys(MOMENTS, text))}).get(CLIENT_ID)
    assert credential is not None
    found = [
        credential.access_token_expires_at,
        credential.due_at,
        credential.created_at,
        credential.updated_at,
        credential.allowance.at,
    ]
    assert found == [datetime(2026, 11, 23, 12, 5, tzinfo=UTC)] * 5
    assert credential.is_due(datetime(2026, 11, 23, 12, 5, tzinfo=UTC))


def test_a_check_that_is_missing_was_not_made() -> None:
    credential = registry({"Items": items_of(a_credential(), checks={})}).get(CLIENT_ID)
    assert credential is not None
    assert credential.checks == UNCHECKED


ODD_MEMBERS: list[Any] = [
    None, True, 0, -1, 10**37, Decimal("1.5"), "", "x", "2026-11-23T12:05:00", "0001-01-01", "9999-12-31",
    b"x", [], [1], ["x"], [[]], [{}], {}, {"a": 1}, {"code": 1}, {"x"}, {1},
]  # fmt: skip
WITH_EVERYTHING = a_credential(
    label="Demo",
    requested_scopes=("openid",),
    lease=Lease("another", NOON),
    parked=ParkedGrant(sealed="x", obtained_at=NOON, consent="c", xero_user_id="u", scopes=("openid",)),
    earlier_grants=(ParkedGrant(sealed="x", obtained_at=NOON),),
    ending=Ending(since=NOON, leftovers=(Leftover("a", "b"),)),
    last_error=LastError("a", "b", NOON),
    tenants=(DEMO_COMPANY,),
    due_at=NOON,
)


def variants(item: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Put each odd value in the place of each member, however deep it stands."""
    for name, value in item.items():
        yield from ({**item, name: odd} for odd in ODD_MEMBERS)
        if isinstance(value, dict):
            yield from ({**item, name: inner} for inner in variants(value))
        if isinstance(value, list) and value and isinstance(value[0], dict):
            yield from ({**item, name: [inner]} for inner in variants(value[0]))


def test_a_credential_is_shown_or_unreadable_whatever_is_in_any_of_its_members() -> None:
    shown = 0
    for item in variants(from_wire(to_wire(credential_to_item(WITH_EVERYTHING, shards=8)))):
        with suppress(RowUnreadable):
            credential = readable(credential_from_item, from_wire(to_wire(item)), "GetItem")
            json.dumps(credential_resource(credential, tokens_secret_name="x"))
            credential.is_due(NOON)
            credential.leased("another", now=NOON, duration=timedelta(minutes=1)).released(
                due_at=NOON, attempt_finished=True, now=NOON
            )
            credential.allowance.wait_for(1, NOON)
            to_wire(credential_to_item(credential, shards=8))
            shown += 1
    assert shown > 100


def test_an_entry_is_shown_or_unreadable_whatever_is_in_any_of_its_members() -> None:
    entry = an_entry(detail="x", event={"a": 1}, unpublished=True)
    for item in variants(from_wire(to_wire(entry_to_item(entry)))):
        with suppress(RowUnreadable):
            read = readable(entry_from_item, from_wire(to_wire(item)), "Query")
            json.dumps(history_entry_resource(read))
            to_wire(entry_to_item(read))


def test_a_ticket_and_a_request_are_good_or_unreadable_whatever_is_in_any_of_their_members() -> None:
    for item in variants(from_wire(to_wire(ticket_to_item(a_ticket())))):
        with suppress(RowUnreadable):
            ticket_to_item(readable(ticket_from_item, from_wire(to_wire(item)), "GetItem"))
    for item in variants(from_wire(to_wire(request_to_item(a_request(claimed_at=NOON))))):
        with suppress(RowUnreadable):
            request = readable(request_from_item, from_wire(to_wire(item)), "GetItem")
            assert request.is_claimed(NOON) in {True, False}
            assert not request.is_bound_to("x")
            request_to_item(request)


@pytest.mark.parametrize("odd", [[1, None], [{"tenant_id": "t-1", "more": 1}], "none", None], ids=str)
def test_odd_organisations_do_not_cost_a_row(odd: object) -> None:
    credential = registry({"Items": items_of(a_credential(), tenants=odd)}).get(CLIENT_ID)
    assert credential is not None
    assert {tenant.tenant_id for tenant in credential.tenants} <= {"t-1"}


def test_an_entry_that_cannot_be_read_voids_no_history() -> None:
    told: list[str] = []
    entries = [entry_to_item(an_entry(position=position)) for position in range(3)]
    entries[1]["action"] = "forgotten"
    history = DynamoDBHistory(
        cast("Any", Client({"Items": [to_wire(entry) for entry in entries]})), "table", told.append
    )
    assert [entry.position for entry in history.page(CLIENT_ID, limit=10, next_token=None).items] == [0, 2]
    assert told == [CLIENT_ID]


def test_a_ticket_and_a_request_that_cannot_be_read_are_told_as_such() -> None:
    ticket = to_wire(ticket_to_item(a_ticket()) | {"expires_at": "soon"})
    with pytest.raises(RowUnreadable):
        DynamoDBConsents(cast("Any", Client({"Item": ticket})), "table").get_ticket("a" * 64)
    request = to_wire(request_to_item(a_request()) | {"phase": "lost"})
    with pytest.raises(RowUnreadable):
        DynamoDBConsents(cast("Any", Client({"Item": request})), "table").get_request("b" * 64)


# Sizes

LARGEST_ITEM = 400 * 1024
LARGEST_EVENT = 256 * 1024
NAMES = {"plain": "x" * 255, "emoji": "\N{GRINNING FACE}" * 255, "cyrillic": "я" * 255}


def size(item: dict[str, Any]) -> int:
    """An upper bound of how DynamoDB counts (AWS, "DynamoDB item sizes and formats")."""
    return len(json.dumps(item, ensure_ascii=False, default=str).encode())


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES.keys())
def test_as_many_organisations_are_kept_as_there_is_room_for_everywhere(name: str) -> None:
    tenants = fitting(
        [
            Tenant(tenant_id=f"{n:036}", tenant_name=name, tenant_type="ORGANISATION", connection_id=f"{n:036}")
            for n in range(3000)
        ]
    )
    assert 100 < len(tenants) <= 500
    before = replace(a_credential(), revision=1, tenants=tuple(replace(one, tenant_id="b") for one in tenants))
    credential = replace(before.reaching(tenants), revision=2)
    assert size(from_wire(to_wire(credential_to_item(credential, shards=8)))) < LARGEST_ITEM
    assert size(from_wire(to_wire(request_to_item(a_request(tenants=tenants))))) < LARGEST_ITEM
    (entry,) = entries_of(credential)
    assert entry.event is not None
    assert len(json.dumps(dict(entry.event), ensure_ascii=False).encode()) < LARGEST_EVENT
    assert entry.event["complete"] is False
    assert size(entry_to_item(entry)) < LARGEST_ITEM
    assert len(a_tokens_secret(tenants=tenants).within_limit().to_json().encode()) <= 65_536


def test_a_short_list_is_not_cut() -> None:
    assert fitting([DEMO_COMPANY] * 3) == (DEMO_COMPANY,) * 3
    assert LARGEST_LIST < LARGEST_ITEM / 2
    assert credential_key(CLIENT_ID)
