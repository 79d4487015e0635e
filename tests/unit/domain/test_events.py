"""The domain events, held against the schemas that subscribers rely on."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import pytest
from jsonschema import Draft202012Validator, FormatChecker

from tests.fakes.builders import a_credential, a_setup_link, a_token, a_tokens_secret, a_try
from tests.fakes.world import CLIENT_SECRET, NOON
from tests.fakes.xero import DEMO_COMPANY, ELECTRO_LAND
from xero_connector.domain.checks import Check, CheckResult
from xero_connector.domain.credential import ConsentGiven, Credential, IntegrationType
from xero_connector.domain.events import (
    MOST_LISTED,
    MOST_NOTES,
    SCHEMA_VERSION,
    SOURCE,
    WITH_SETUP_URL,
    entries_of,
    failing_entry,
)
from xero_connector.domain.history import EVENTS, Action, Note
from xero_connector.domain.holding_tokens import holding
from xero_connector.domain.setup_link import REFUSALS
from xero_connector.domain.setup_view import Purpose, TryProblem
from xero_connector.domain.status import Status
from xero_connector.domain.tenant import Tenant
from xero_connector.domain.tokens import StoredTokens

SCHEMAS = Path(__file__).parents[3] / "docs" / "events"
ARN = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:oneenterprise/xero/A/tokens-a1B2c3"
SECRETS = ["s3cr3t-access", "s3cr3t-refresh", CLIENT_SECRET]
TOKENS = a_tokens_secret(token=a_token(access_token=SECRETS[0], refresh_token=SECRETS[1]))
LINK = {
    "connect_url": "https://cloudmanager.oneenterprise.com/connect/4mG0vTqP",
    "connect_url_expires_at": "2026-11-30T12:00:00+00:00",
}
SETUP_LINK = {
    "schema_version": "1.1",
    "setup_url": "https://cloudmanager.oneenterprise.com/setup/4mG0vTqP",
    "setup_url_expires_at": "2026-11-30T12:00:00+00:00",
}
ADDED: dict[Action, dict[str, str]] = {
    Action.REAUTHORIZATION_REQUIRED: {**SETUP_LINK, **LINK},
    Action.CLIENT_REJECTED: SETUP_LINK,
}
"""What an event gets when it is published."""

formats = FormatChecker(formats=["uuid"])


@formats.checks("date-time", raises=ValueError)
def _is_date_time(text: object) -> bool:
    """RFC 3339 §5.6, which is narrower than what Python reads."""
    if not isinstance(text, str):
        return True
    datetime.fromisoformat(text)
    return bool(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", text))


@formats.checks("uri", raises=ValueError)
def _is_uri(text: object) -> bool:
    return not isinstance(text, str) or bool(urlsplit(text).scheme and urlsplit(text).netloc)


def schema_of(event_type: str) -> dict[str, Any]:
    schema: dict[str, Any] = json.loads((SCHEMAS / f"{event_type}.v1.json").read_text())
    return schema


def objections(event_type: str, detail: Mapping[str, Any]) -> list[str]:
    """What the published schema has against a detail, as it arrives."""
    arrived = json.loads(json.dumps(detail))
    found = Draft202012Validator(schema_of(event_type), format_checker=formats).iter_errors(arrived)
    return [error.message for error in found]


# A credential on its way to each event, by what the use cases do to it


def failed(credential: Credential, code: str = "invalid_grant") -> Credential:
    return credential.failed(code=code, detail="Xero said so.", now=NOON)


def pending() -> Credential:
    return a_credential(status=Status.PENDING_VALIDATION).noted(Action.SUBMITTED, by="admin")


def connected(*, consented: str | None = "user-1") -> Credential:
    credential = a_credential(label="Elektro-Land · Ünicode 株式会社")
    return holding(
        credential,
        StoredTokens(TOKENS, ARN),
        due_at=NOON + timedelta(minutes=18),
        now=NOON,
        consent=None if consented is None else ConsentGiven("b" * 64, consented),
    )


def many(count: int, kind: str) -> tuple[Tenant, ...]:
    return tuple(
        Tenant(
            tenant_id=f"{kind}-{n}", tenant_name=f"{kind} {n}", tenant_type="ORGANISATION", connection_id=f"c-{n}"
        )
        for n in range(count)
    )


MANY, OTHERS = many(400, "Branch"), many(450, "Other")

MADE: dict[Action, list[Callable[[], Credential]]] = {
    Action.VALIDATED: [
        lambda: pending().move_to(Status.VALIDATED),
        lambda: (
            pending()
            .checked(
                pair=Check(CheckResult.PASS, "Xero accepts it.", NOON),
                scopes=Check(CheckResult.FAIL, "Not these.", NOON),
            )
            .move_to(Status.VALIDATED)
        ),
        lambda: replace(pending(), integration_type=IntegrationType.CUSTOM_CONNECTION).move_to(Status.VALIDATED),
        lambda: failed(a_credential(status=Status.CLIENT_REJECTED), "invalid_client").move_to(Status.VALIDATED),
    ],
    Action.REJECTED: [
        lambda: failed(pending(), "invalid_client").move_to(Status.REJECTED),
        lambda: pending().move_to(Status.REJECTED),
    ],
    Action.CONNECTED: [
        lambda: replace(connected(), tenants=(DEMO_COMPANY, ELECTRO_LAND)),
        connected,
        lambda: connected(consented=None),
    ],
    Action.REAUTHORIZATION_REQUIRED: [
        lambda: failed(connected()).move_to(Status.REAUTHORIZATION_REQUIRED),
        lambda: connected().move_to(Status.REAUTHORIZATION_REQUIRED),
    ],
    Action.CLIENT_REJECTED: [
        lambda: failed(connected(), "invalid_client").move_to(Status.CLIENT_REJECTED),
        lambda: a_credential().move_to(Status.CLIENT_REJECTED),
    ],
    Action.TENANTS_CHANGED: [
        lambda: connected().reaching((DEMO_COMPANY,)),
        lambda: replace(connected(), tenants=MANY).reaching(MANY[:1] + OTHERS),
        lambda: connected().reaching((DEMO_COMPANY,)).reaching((ELECTRO_LAND, DEMO_COMPANY)).reaching(()),
    ],
    Action.SETUP_LINK_USED: [
        lambda: pending().noted(Action.SETUP_LINK_USED, by="setup_link:" + "a" * 32, detail="a" * 32),
    ],
    Action.DISCONNECTED: [
        lambda: connected().move_to(Status.DISCONNECTING, by="admin").move_to(Status.DISCONNECTED),
        lambda: failed(connected()).move_to(Status.DISCONNECTING).move_to(Status.DISCONNECTED),
    ],
}


FAILING = [
    a_setup_link(revision=4, refusals=3, refused_in_a_row=3, last_try=a_try(problem)) for problem in REFUSALS
] + [
    a_setup_link(
        revision=4,
        purpose=Purpose.REPLACE_SECRET,
        client_id="A",
        label="Elektro-Land · Ünicode 株式会社",
        refusals=3,
        last_try=a_try(TryProblem.SECRET_WRONG),
    )
]


def details(action: Action) -> Iterator[dict[str, Any]]:
    """Every detail that leads to an event of this kind, as it is published."""
    if action is Action.SETUP_LINK_FAILING:
        for link in FAILING:
            failing = failing_entry(link, NOON).event
            assert failing is not None
            yield dict(failing)
        return
    for make in MADE[action]:
        entries = entries_of(replace(make(), revision=7))
        found = [entry for entry in entries if entry.action is action]
        assert found
        for entry in found:
            assert entry.event is not None
            yield {**entry.event, **ADDED.get(action, {})}


@pytest.mark.parametrize("action", EVENTS)
def test_every_event_is_what_its_schema_says(action: Action) -> None:
    for detail in details(action):
        assert objections(EVENTS[action], detail) == []


@pytest.mark.parametrize("action", EVENTS)
def test_no_event_holds_a_secret(action: Action) -> None:
    told = json.dumps(list(details(action)))
    assert [secret for secret in SECRETS if secret in told] == []


@pytest.mark.parametrize("action", EVENTS)
def test_a_detail_that_lacks_a_field_or_has_one_too_many_is_none(action: Action) -> None:
    for detail in details(action):
        for name in detail:
            assert objections(EVENTS[action], {key: value for key, value in detail.items() if key != name})
        assert objections(EVENTS[action], {**detail, "client_secret": "x"})


@pytest.mark.parametrize("action", EVENTS)
@pytest.mark.parametrize(
    "change",
    [
        {"schema_version": "2.0"},
        {"event_id": "7"},
        {"event_id": None},
        {"sequence": "70"},
        {"sequence": 0},
        {"sequence": 1.5},
        {"occurred_at": "2026-11-23 12:00"},
        {"occurred_at": "2026-11-23T12:00:00"},
        {"occurred_at": 1},
        {"client_id": "a/b"},
        {"label": ""},
        {"integration_type": "mobile_app"},
        {"status": "connecting"},
    ],
    ids=str,
)
def test_a_value_of_the_wrong_kind_is_refused(action: Action, change: dict[str, Any]) -> None:
    for detail in details(action):
        if detail.keys().isdisjoint(change):
            continue
        assert objections(EVENTS[action], {**detail, **change})


@pytest.mark.parametrize(
    ("action", "change"),
    [
        (Action.VALIDATED, {"checks": {"pair": {"result": "pass", "detail": ""}}}),
        (Action.REJECTED, {"reason": {"code": "x", "detail": "x"}}),
        (Action.REJECTED, {"reason": {"code": "x", "detail": "x", "at": "soon"}}),
        (Action.CONNECTED, {"tenants": [{**DEMO_COMPANY.to_dict(), "access_token": "x"}]}),
        (Action.CONNECTED, {"scopes": "openid files"}),
        (Action.CONNECTED, {"token_secret_arn": None}),
        (Action.TENANTS_CHANGED, {"added": [{"tenant_id": "a"}]}),
        (Action.REAUTHORIZATION_REQUIRED, {"connect_url": "/connect/4mG0vTqP"}),
        (Action.REAUTHORIZATION_REQUIRED, {"connect_url_expires_at": "in a week"}),
    ],
    ids=str,
)
def test_what_belongs_to_one_event_is_looked_at_too(action: Action, change: dict[str, Any]) -> None:
    for detail in details(action):
        assert objections(EVENTS[action], {**detail, **change})


# The schemas themselves


def objects_of(schema: object) -> Iterator[dict[str, Any]]:
    if isinstance(schema, dict):
        if "properties" in schema and "type" in schema:
            yield schema
        for part in schema.values():
            yield from objects_of(part)


def test_there_is_a_schema_for_each_event_and_for_nothing_else() -> None:
    assert {path.name for path in SCHEMAS.iterdir()} == {f"{name}.v1.json" for name in EVENTS.values()}


@pytest.mark.parametrize("event_type", EVENTS.values())
def test_a_schema_is_one_and_is_strict(event_type: str) -> None:
    schema = schema_of(event_type)
    Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["title"] == event_type
    assert schema["$id"].endswith(f":{event_type}.v1")
    for part in objects_of(schema):
        assert part["additionalProperties"] is False
        assert part["required"] == list(part["properties"])
        assert all("description" in field or "$ref" in field for field in part["properties"].values())


@pytest.mark.parametrize("event_type", EVENTS.values())
def test_a_schema_knows_the_domain_s_words(event_type: str) -> None:
    properties = schema_of(event_type)["properties"]
    with_setup_url = "setup_url" in properties
    assert properties["schema_version"]["const"] == (WITH_SETUP_URL if with_setup_url else SCHEMA_VERSION)
    if event_type == "SetupLinkFailing":
        assert properties["purpose"]["enum"] == [str(purpose) for purpose in Purpose]
        assert set(properties["last_problem"]["enum"]) == {str(problem) for problem in REFUSALS}
        return
    assert properties["status"]["enum"] == [str(status) for status in Status]
    assert properties["integration_type"]["enum"] == [str(kind) for kind in IntegrationType]


def test_the_results_of_checks_are_the_domain_s() -> None:
    check = schema_of("CredentialValidated")["$defs"]["check"]
    assert check["properties"]["result"]["enum"] == [str(result) for result in CheckResult]


def test_the_documented_example_is_one() -> None:
    text = (SCHEMAS.parent / "events.md").read_text()
    example = json.loads(text.partition("```json\n")[2].partition("```")[0])
    assert example["source"] == SOURCE
    assert objections(example["detail-type"], example["detail"]) == []
    assert [name for name in EVENTS.values() if f"| `{name}` |" not in text] == []


# Identity and order


def test_an_event_s_id_is_the_entry_s_and_stays_the_same() -> None:
    credential = replace(connected(), revision=7)
    (first,), (again,) = entries_of(credential), entries_of(credential)
    assert first == again
    assert first.event is not None
    assert first.event["event_id"] == str(first.entry_id)
    others = [
        entries_of(replace(credential, revision=8))[0],
        entries_of(replace(credential, incarnation=UUID(int=1)))[0],
        entries_of(credential.noted(Action.CONNECTED))[1],
    ]
    assert len({first.entry_id, *(entry.entry_id for entry in others)}) == 4


def test_the_sequence_grows_from_event_to_event() -> None:
    credential = a_credential()
    sequence: list[int] = []
    for revision in range(1, 5):
        for entry in entries_of(
            replace(credential, revision=revision, notes=(Note(action=Action.VALIDATED),) * MOST_NOTES)
        ):
            assert entry.event is not None
            sequence.append(entry.event["sequence"])
    assert sequence == sorted(set(sequence))
    assert len(sequence) == 4 * MOST_NOTES


def test_one_write_has_room_for_ten_entries() -> None:
    credential = replace(a_credential(revision=1), notes=(Note(action=Action.DEGRADED),) * MOST_NOTES)
    assert len(entries_of(credential)) == MOST_NOTES
    with pytest.raises(AssertionError):
        entries_of(credential.noted(Action.DEGRADED))


def test_times_are_told_in_utc() -> None:
    (entry,) = entries_of(
        a_credential(revision=1, updated_at=NOON + timedelta(microseconds=999)).noted(Action.VALIDATED)
    )
    assert entry.event is not None
    assert entry.event["occurred_at"] == "2026-11-23T12:00:00.000Z"


def test_long_lists_are_cut_and_say_so() -> None:
    credential = replace(connected(), tenants=MANY).reaching(MANY[:1] + OTHERS)
    connection, change = entries_of(replace(credential, revision=7))
    assert connection.event is not None
    assert change.event is not None
    assert (connection.event["complete"], change.event["complete"]) == (False, False)
    assert [len(change.event[name]) for name in ("tenants", "added", "removed")] == [MOST_LISTED] * 3
    assert len(json.dumps(change.event)) < 256 * 1024
    assert change.detail is not None
    assert change.detail.startswith("+ Other 0, + Other 1, ")
    assert change.detail.endswith(", and 829 more")


def test_short_lists_are_complete() -> None:
    *_, entry = entries_of(replace(connected().reaching((DEMO_COMPANY,)), revision=7))
    assert entry.event is not None
    assert entry.event["complete"]
    assert entry.detail == "+ Demo Company (UK)"
