"""The admin API's routes for setup links."""

import json
from http import HTTPStatus
from typing import Any

import pytest

from tests.fakes.builders import a_credential, a_setup_link
from tests.fakes.world import CLIENT_ID, World
from tests.handlers.conftest import Event, Invoke, sample_event
from xero_connector.domain.setup_link import LinkState
from xero_connector.domain.setup_view import Purpose
from xero_connector.domain.status import Status

# As the contract names them.
FIELDS = {
    "setup_link_id",
    "purpose",
    "state",
    "label",
    "integration_type",
    "scopes",
    "client_id",
    "refusals",
    "created_at",
    "created_by",
    "expires_at",
    "last_opened_at",
}
SAMPLE_TICKET = "sample-setup-ticket-000000000000000000000_D"


def ask(invoke: Invoke, event: Event | str) -> tuple[int, dict[str, Any]]:
    event = sample_event(f"credential_api/{event}") if isinstance(event, str) else event
    answer = invoke("credential_api", event)
    assert answer["multiValueHeaders"]["Cache-Control"] == ["no-store"]
    return answer["statusCode"], json.loads(answer["body"])


def create(invoke: Invoke, body: object) -> tuple[int, dict[str, Any]]:
    event = sample_event("credential_api/setup_link")
    event["body"] = body if body is None or isinstance(body, str) else json.dumps(body)
    return ask(invoke, event)


def listed(invoke: Invoke, **query: str) -> tuple[int, dict[str, Any]]:
    event = sample_event("credential_api/setup_links")
    event["queryStringParameters"] = query or None
    event["multiValueQueryStringParameters"] = {name: [value] for name, value in query.items()} or None
    return ask(invoke, event)


def test_a_link_is_made_and_its_address_told_once(world: World, invoke: Invoke) -> None:
    status, link = ask(invoke, "setup_link")
    assert status == HTTPStatus.CREATED
    assert link.keys() == FIELDS | {"setup_url"}
    assert link["setup_url"].startswith("https://cloudmanager.oneenterprise.com/setup/")
    assert (link["label"], link["purpose"], link["state"]) == ("Electro Land", "new_credential", "open")
    assert link["expires_at"] == "2026-12-07T12:00:00.000Z"
    assert link["created_by"] == "arn:aws:iam::123456789012:user/admin"
    _, page = listed(invoke)
    assert page["next_token"] is None
    assert page["items"] == [{name: value for name, value in link.items() if name != "setup_url"}]
    assert link["setup_url"].rsplit("/", 1)[1] not in repr(world.setup_links.links)


@pytest.mark.parametrize("body", [None, "", "{}", {"label": None}, {"integration_type": None, "scopes": None}])
def test_everything_can_be_left_out(invoke: Invoke, body: object) -> None:
    status, link = create(invoke, body)
    assert status == HTTPStatus.CREATED
    assert (link["label"], link["integration_type"], link["scopes"]) == (None, None, None)
    assert link["expires_at"] == "2026-11-30T12:00:00.000Z"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("[]", "malformed_request"),
        ("{", "malformed_json"),
        ({"more": 1}, "unknown_field"),
        ({"client_secret": "x"}, "unknown_field"),
        ({"label": "a\nb"}, "malformed_label"),
        ({"label": "x" * 201}, "malformed_label"),
        ({"integration_type": "mobile_app"}, "malformed_integration_type"),
        ({"scopes": []}, "malformed_scopes"),
        ({"scopes": ["openid"]}, "missing_scope"),
        ({"integration_type": "custom_connection", "scopes": ["openid"]}, "forbidden_scope"),
        ({"expires_in_days": 0}, "malformed_expires_in_days"),
        ({"expires_in_days": 31}, "malformed_expires_in_days"),
        ({"expires_in_days": 1.5}, "malformed_expires_in_days"),
        ({"expires_in_days": True}, "malformed_expires_in_days"),
        ({"expires_in_days": "7"}, "malformed_expires_in_days"),
    ],
    ids=str,
)
def test_a_request_that_is_not_of_the_documented_form(
    world: World, invoke: Invoke, body: object, code: str
) -> None:
    status, problem = create(invoke, body)
    assert (status, problem["code"]) == (HTTPStatus.BAD_REQUEST, code)
    assert world.setup_links.links == {}


@pytest.mark.parametrize("days", [1, 30])
def test_a_link_lives_from_a_day_to_thirty(invoke: Invoke, days: int) -> None:
    status, link = create(invoke, {"expires_in_days": days, "integration_type": "custom_connection"})
    assert (status, link["integration_type"]) == (HTTPStatus.CREATED, "custom_connection")


def test_a_link_is_shown_and_withdrawn(world: World, invoke: Invoke) -> None:
    world.setup_links.add(a_setup_link(SAMPLE_TICKET))
    status, link = ask(invoke, "look_up_setup_link")
    assert (status, link["state"]) == (HTTPStatus.OK, "open")
    assert link.keys() == FIELDS
    for _ in range(2):
        status, link = ask(invoke, "withdraw_setup_link")
        assert (status, link["state"]) == (HTTPStatus.OK, "withdrawn")


@pytest.mark.parametrize("event", ["look_up_setup_link", "withdraw_setup_link"])
def test_a_link_that_is_not_there(invoke: Invoke, event: str) -> None:
    status, problem = ask(invoke, event)
    assert (status, problem["code"]) == (HTTPStatus.NOT_FOUND, "setup_link_not_found")


@pytest.mark.parametrize("state", LinkState)
def test_links_are_listed_by_state(world: World, invoke: Invoke, state: LinkState) -> None:
    links = {
        LinkState.OPEN: a_setup_link("o" * 43),
        LinkState.OPENED: a_setup_link("p" * 43).opened(world.now),
        LinkState.FAILING: a_setup_link("f" * 43, refused_in_a_row=3),
        LinkState.USED: a_setup_link("u" * 43).used(CLIENT_ID, world.now),
        LinkState.WITHDRAWN: a_setup_link("w" * 43).withdrawn(world.now),
        LinkState.EXPIRED: a_setup_link("e" * 43, expires_at=world.now),
    }
    for link in links.values():
        world.setup_links.add(link)
    status, page = listed(invoke, state=state)
    assert status == HTTPStatus.OK
    assert [(one["state"], one["setup_link_id"]) for one in page["items"]] == [(state, links[state].setup_link_id)]


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"state": "gone"}, "malformed_state"),
        ({"limit": "0"}, "malformed_limit"),
        ({"next_token": "x"}, "malformed_next_token"),
    ],
    ids=str,
)
def test_a_list_that_cannot_be_asked_for(invoke: Invoke, query: dict[str, str], code: str) -> None:
    status, problem = listed(invoke, **query)
    assert (status, problem["code"]) == (HTTPStatus.BAD_REQUEST, code)


@pytest.mark.parametrize(
    ("status", "purpose"),
    [
        (Status.CLIENT_REJECTED, Purpose.REPLACE_SECRET),
        (Status.REAUTHORIZATION_REQUIRED, Purpose.REAUTHORIZE),
    ],
)
def test_a_link_that_heals(world: World, invoke: Invoke, status: Status, purpose: Purpose) -> None:
    world.registry.rows[CLIENT_ID] = a_credential(status=status, revision=1, label="Electro Land")
    answered, link = ask(invoke, "healing_link")
    assert (answered, link["purpose"], link["client_id"]) == (HTTPStatus.CREATED, purpose, CLIENT_ID)
    assert (link["label"], link["expires_at"]) == ("Electro Land", "2026-11-26T12:00:00.000Z")


def test_what_is_well_needs_no_link(world: World, invoke: Invoke) -> None:
    assert ask(invoke, "healing_link")[1]["code"] == "credential_not_found"
    world.connect()
    status, problem = ask(invoke, "healing_link")
    assert (status, problem["code"]) == (HTTPStatus.CONFLICT, "nothing_to_heal")
