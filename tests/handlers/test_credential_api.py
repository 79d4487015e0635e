import json
from http import HTTPStatus
from typing import Any

import pytest

from tests.fakes.world import CLIENT_ID, CLIENT_SECRET, World
from tests.handlers.conftest import Invoke, sample_event
from xero_connector.domain.token_endpoint import FailureKind

PROBLEM_KEYS = {"type", "title", "status", "detail", "code", "hint", "request_id"}
RESOURCE_KEYS = {
    "client_id",
    "label",
    "integration_type",
    "status",
    "checks",
    "tenants",
    "scopes",
    "generation",
    "access_token_expires_at",
    "refresh_token_expires_at",
    "last_refreshed_at",
    "next_refresh_at",
    "last_error",
    "token_secret",
    "created_at",
    "created_by",
    "updated_at",
}


def ask(invoke: Invoke, name: str) -> tuple[int, dict[str, Any]]:
    answer = invoke("credential_api", sample_event(f"credential_api/{name}"))
    assert answer["multiValueHeaders"]["Cache-Control"] == ["no-store"]
    return answer["statusCode"], json.loads(answer["body"])


def refused(invoke: Invoke, name: str) -> tuple[int, str]:
    answer = invoke("credential_api", sample_event(f"credential_api/{name}"))
    assert answer["multiValueHeaders"]["Content-Type"] == ["application/problem+json"]
    problem = json.loads(answer["body"])
    assert problem.keys() == PROBLEM_KEYS
    assert problem["status"] == answer["statusCode"]
    assert problem["hint"]
    assert problem["request_id"] == "11111111-2222-3333-4444-555555555555"
    return answer["statusCode"], problem["code"]


def test_a_good_pair_is_created_with_its_connect_link(world: World, invoke: Invoke) -> None:
    world.xero.secrets[CLIENT_ID] = CLIENT_SECRET
    status, credential = ask(invoke, "submit")
    assert status == HTTPStatus.CREATED
    assert credential.keys() == RESOURCE_KEYS | {"connect_url"}
    assert credential["status"] == "validated"
    assert credential["checks"]["pair"]["result"] == "pass"
    assert credential["created_by"] == "arn:aws:iam::123456789012:user/admin"
    assert credential["token_secret"] == {"name": f"oneenterprise/xero/{CLIENT_ID}/tokens", "arn": None}
    assert credential["connect_url"].startswith("https://cloudmanager.oneenterprise.com/connect/")
    assert CLIENT_SECRET not in json.dumps(credential)


def test_without_a_definite_answer_the_pair_is_accepted_and_kept(world: World, invoke: Invoke) -> None:
    world.xero.failures.append(FailureKind.UNANSWERED)
    status, credential = ask(invoke, "submit")
    assert status == HTTPStatus.ACCEPTED
    assert credential["status"] == "pending_validation"
    assert credential["connect_url"] is None


@pytest.mark.parametrize(
    ("event", "status", "code"),
    [
        ("submit", HTTPStatus.UNPROCESSABLE_ENTITY, "invalid_client"),
        ("submit_malformed_json", HTTPStatus.BAD_REQUEST, "malformed_json"),
        ("submit_missing_secret", HTTPStatus.BAD_REQUEST, "missing_field"),
        ("submit_control_characters", HTTPStatus.BAD_REQUEST, "malformed_client_id"),
        ("list_malformed_limit", HTTPStatus.BAD_REQUEST, "malformed_limit"),
        ("look_up", HTTPStatus.NOT_FOUND, "credential_not_found"),
        ("connect_link", HTTPStatus.NOT_FOUND, "credential_not_found"),
        ("validation", HTTPStatus.NOT_FOUND, "credential_not_found"),
        ("replace_secret", HTTPStatus.NOT_FOUND, "credential_not_found"),
        ("refresh", HTTPStatus.NOT_FOUND, "credential_not_found"),
        ("disconnect", HTTPStatus.NOT_FOUND, "credential_not_found"),
        ("unknown_route", HTTPStatus.NOT_FOUND, "route_not_found"),
    ],
)
def test_what_cannot_be_done_is_a_problem_and_stores_nothing(
    world: World, invoke: Invoke, event: str, status: int, code: str
) -> None:
    assert refused(invoke, event) == (status, code)
    assert not world.registry.rows
    assert not world.vault.versions


@pytest.mark.parametrize(
    "body",
    ["x" * 1_000_000, json.dumps({"client_id": "A" * 1_000_000, "client_secret": "x"})],
    ids=["noise", "json"],
)
def test_a_body_of_a_megabyte_is_refused_unread(world: World, invoke: Invoke, body: str) -> None:
    event = sample_event("credential_api/submit") | {"body": body}
    answer = invoke("credential_api", event)
    assert answer["statusCode"] == HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    assert json.loads(answer["body"])["code"] == "body_too_large"
    assert not world.registry.rows


@pytest.mark.parametrize("body", [None, "", "[" * 16_000, "null", '"text"', "1e999"])
def test_a_body_that_is_no_object_is_refused(invoke: Invoke, body: str | None) -> None:
    event = sample_event("credential_api/submit") | {"body": body}
    assert invoke("credential_api", event)["statusCode"] == HTTPStatus.BAD_REQUEST


def test_a_body_that_is_not_base64_though_it_says_so_is_refused(invoke: Invoke) -> None:
    event = sample_event("credential_api/submit") | {"body": "%%%", "isBase64Encoded": True}
    assert invoke("credential_api", event)["statusCode"] == HTTPStatus.BAD_REQUEST


def test_a_known_client_id_is_a_conflict(world: World, invoke: Invoke) -> None:
    world.submit()
    assert refused(invoke, "submit") == (HTTPStatus.CONFLICT, "credential_exists")


def test_lists_and_shows_what_was_submitted(world: World, invoke: Invoke) -> None:
    world.submit()
    world.submit("ZZZ")
    status, first = ask(invoke, "list")
    assert status == HTTPStatus.OK
    assert [item["client_id"] for item in first["items"]] == [CLIENT_ID]
    assert first["next_token"] is not None
    status, credential = ask(invoke, "look_up")
    assert status == HTTPStatus.OK
    assert credential == first["items"][0]
    assert credential["label"] == "Electro Land"


def test_makes_a_connect_link(world: World, invoke: Invoke) -> None:
    world.submit()
    status, link = ask(invoke, "connect_link")
    assert status == HTTPStatus.CREATED
    assert link.keys() == {"connect_url", "expires_at"}
    assert link["expires_at"] == "2026-11-30T12:00:00.000Z"


def test_validates_again(world: World, invoke: Invoke) -> None:
    world.submit()
    world.advance(60)
    status, credential = ask(invoke, "validation")
    assert status == HTTPStatus.OK
    assert credential["checks"]["pair"]["checked_at"] == "2026-11-23T12:01:00.000Z"


def test_replaces_the_secret_and_says_nothing_of_it(world: World, invoke: Invoke) -> None:
    world.connect()
    world.xero.secrets[CLIENT_ID] = "another-horse-another-battery"
    status, credential = ask(invoke, "replace_secret")
    assert status == HTTPStatus.OK
    assert credential["status"] == "connected"
    assert "another-horse" not in json.dumps(credential)


def test_refreshes_now(world: World, invoke: Invoke) -> None:
    world.connect()
    status, credential = ask(invoke, "refresh")
    assert status == HTTPStatus.OK
    assert credential["generation"] == 2


def test_a_refresh_too_many_says_when_to_come_back(world: World, invoke: Invoke) -> None:
    world.connect()
    while (answer := invoke("credential_api", sample_event("credential_api/refresh")))["statusCode"] == 200:
        pass
    assert answer["statusCode"] == HTTPStatus.TOO_MANY_REQUESTS
    assert int(answer["multiValueHeaders"]["Retry-After"][0]) > 0


def test_a_refresh_that_xero_does_not_answer_is_no_loss(world: World, invoke: Invoke) -> None:
    world.connect()
    world.xero.failures.append(FailureKind.UNAVAILABLE)
    assert refused(invoke, "refresh") == (HTTPStatus.SERVICE_UNAVAILABLE, "unavailable")
    assert world.row().status == "degraded"


def test_disconnects_at_once_or_later(world: World, invoke: Invoke) -> None:
    world.connect()
    world.xero.failures.append(FailureKind.NOT_SENT)
    status, credential = ask(invoke, "disconnect")
    assert (status, credential["status"]) == (HTTPStatus.ACCEPTED, "disconnecting")
    status, credential = ask(invoke, "disconnect")
    assert (status, credential["status"]) == (HTTPStatus.OK, "disconnected")
