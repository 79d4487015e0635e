import base64
import json
from dataclasses import replace
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

import pytest

from tests.fakes.world import CLIENT_ID, CLIENT_SECRET, World
from tests.handlers.conftest import Event, Invoke, sample_event
from xero_connector.domain.credential import Credential, LastError
from xero_connector.domain.tenant import Tenant
from xero_connector.domain.token_endpoint import FailureKind
from xero_connector.web.rest_requests import LARGEST_BODY

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
    refuses_a_pair = problem["status"] == HTTPStatus.UNPROCESSABLE_ENTITY
    assert problem.keys() == PROBLEM_KEYS | ({"checks"} if refuses_a_pair else set())
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


def test_somebody_else_s_secret_refuses_a_submission_and_is_named(world: World, invoke: Invoke) -> None:
    name = world.vault.client_secret_name(CLIENT_ID)
    world.vault.of_others.add(name)
    status, problem = ask(invoke, "submit")
    assert (status, problem["code"]) == (HTTPStatus.CONFLICT, "secret_under_another_key")
    assert name in problem["detail"]
    assert "VaultKeyArn" in problem["hint"]


def test_a_custom_connection_has_its_tokens_at_once_and_needs_no_link(world: World, invoke: Invoke) -> None:
    world.xero.secrets[CLIENT_ID] = CLIENT_SECRET
    world.xero.custom_connections.add(CLIENT_ID)
    status, credential = ask(invoke, "submit_custom_connection")
    assert status == HTTPStatus.CREATED
    assert credential["status"] == "connected"
    assert credential["connect_url"] is None
    assert credential["refresh_token_expires_at"] is None
    assert refused(invoke, "connect_link") == (HTTPStatus.CONFLICT, "no_consent_needed")


def test_a_custom_connection_is_stored_even_if_it_gets_no_tokens_yet(world: World, invoke: Invoke) -> None:
    world.xero.secrets[CLIENT_ID] = CLIENT_SECRET
    world.xero.custom_connections.add(CLIENT_ID)
    # The pair proves by being refused a code; then the token endpoint goes away.
    world.xero.failures += [FailureKind.UNAUTHORIZED_CLIENT, FailureKind.UNAVAILABLE]
    status, credential = ask(invoke, "submit_custom_connection")
    assert (status, credential["status"]) == (HTTPStatus.CREATED, "validated")
    assert credential["last_error"]["code"] == "unavailable"


@pytest.mark.parametrize(
    ("event", "custom", "code"),
    [("submit", True, "custom_connection"), ("submit_custom_connection", False, "web_app")],
)
def test_the_wrong_integration_type_is_told_with_what_was_found(
    world: World, invoke: Invoke, event: str, code: str, *, custom: bool
) -> None:
    world.xero.secrets[CLIENT_ID] = CLIENT_SECRET
    if custom:
        world.xero.custom_connections.add(CLIENT_ID)
    assert refused(invoke, event) == (HTTPStatus.UNPROCESSABLE_ENTITY, code)
    problem = json.loads(invoke("credential_api", sample_event(f"credential_api/{event}"))["body"])
    assert problem["checks"]["pair"]["result"] == "fail"
    assert not world.registry.rows


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
        ("history", HTTPStatus.NOT_FOUND, "credential_not_found"),
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


@pytest.mark.parametrize(
    ("body", "is_base64"),
    [
        (base64.b64encode(b"\xff\xfe{}").decode(), True),
        (base64.b64encode(b'"\x00"').decode(), True),
        ("YWJj", True),
        ("YWJ", True),
        ("\x00", False),
        ('{"client_id": "\\ud800", "client_secret": "x"}', False),
        ('{"client_id": "A", "client_secret": "\\udfff"}', False),
        ('{"client_id": "A", "client_secret": "x", "label": "\\ud800"}', False),
        ('{"client_id": "A", "client_secret": "x", "\\ud800": 1}', False),
        ('{"client_id": "A\\u0000", "client_secret": "x"}', False),
        ('{"client_id": NaN, "client_secret": -Infinity}', False),
        ("1" * 16_000, False),
        ('{"client_id": "A", "client_secret": "x", "scopes": {"openid": 1}}', False),
        ('{"client_id": "A", "client_secret": "x", "integration_type": ["web_app"]}', False),
    ],
)
def test_a_body_of_odd_bytes_is_refused(world: World, invoke: Invoke, body: str, is_base64: bool) -> None:  # noqa: FBT001 - a test parameter
    for name in ("submit", "replace_secret"):
        event = sample_event(f"credential_api/{name}") | {"body": body, "isBase64Encoded": is_base64}
        if name == "submit" or "x" not in body:
            assert invoke("credential_api", event)["statusCode"] == HTTPStatus.BAD_REQUEST
    assert not world.registry.rows


def test_a_body_in_base64_is_read(world: World, invoke: Invoke) -> None:
    world.xero.secrets[CLIENT_ID] = CLIENT_SECRET
    event = sample_event("credential_api/submit")
    event |= {"body": base64.b64encode(event["body"].encode()).decode(), "isBase64Encoded": True}
    assert invoke("credential_api", event)["statusCode"] == HTTPStatus.CREATED


@pytest.mark.parametrize(
    ("client_id", "status", "code"),
    [
        ("%00", HTTPStatus.BAD_REQUEST, "malformed_client_id"),
        ("A%2FB", HTTPStatus.BAD_REQUEST, "malformed_client_id"),
        ("..", HTTPStatus.BAD_REQUEST, "malformed_client_id"),
        ("A" * 65, HTTPStatus.BAD_REQUEST, "malformed_client_id"),
        ("ключ", HTTPStatus.BAD_REQUEST, "malformed_client_id"),
        (" ", HTTPStatus.BAD_REQUEST, "malformed_client_id"),
        # What Powertools takes for no path at all.
        ("\x00", HTTPStatus.NOT_FOUND, "route_not_found"),
        ('A"', HTTPStatus.NOT_FOUND, "route_not_found"),
    ],
)
@pytest.mark.parametrize(
    "name", ["look_up", "history", "connect_link", "validation", "replace_secret", "refresh", "disconnect"]
)
def test_a_path_that_names_no_client_id_is_refused(
    invoke: Invoke, name: str, client_id: str, status: int, code: str
) -> None:
    event = sample_event(f"credential_api/{name}")
    event["path"] = event["path"].replace(CLIENT_ID, client_id)
    event["pathParameters"] = {"client_id": client_id}
    answer = invoke("credential_api", event)
    assert (answer["statusCode"], json.loads(answer["body"])["code"]) == (status, code)


@pytest.mark.parametrize("method", ["PATCH", "PUT", "HEAD", "OPTIONS", "TRACE", "COLOUR"])
def test_a_method_that_a_path_does_not_have_is_no_route(invoke: Invoke, method: str) -> None:
    event = sample_event("credential_api/look_up") | {"httpMethod": method}
    answer = invoke("credential_api", event)
    assert (answer["statusCode"], json.loads(answer["body"])["code"]) == (HTTPStatus.NOT_FOUND, "route_not_found")


@pytest.mark.parametrize(
    "headers", [None, {}, {"Content-Type": "text/plain"}, {"content-type": ""}, {"X": "\x00"}]
)
def test_headers_do_not_matter(world: World, invoke: Invoke, headers: dict[str, str] | None) -> None:
    world.xero.secrets[CLIENT_ID] = CLIENT_SECRET
    many = None if headers is None else {name: [value] for name, value in headers.items()}
    event = sample_event("credential_api/submit") | {"headers": headers, "multiValueHeaders": many}
    assert invoke("credential_api", event)["statusCode"] == HTTPStatus.CREATED


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


def odd_rows(credential: Credential) -> list[Credential]:
    organisation = Tenant(tenant_id="", tenant_name="\ud800" + "x" * 5_000, tenant_type="", connection_id="")
    long_ago, far_off = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)
    error = LastError(code="odd", detail="\x00\ud800", at=long_ago)
    return [
        replace(credential, tenants=(organisation,) * 500),
        replace(credential, label="\ud800", created_by="x"),
        replace(credential, granted_scopes=(), requested_scopes=()),
        replace(credential, access_token_expires_at=far_off, last_refreshed_at=long_ago, due_at=far_off),
        replace(credential, last_error=error),
    ]


@pytest.mark.parametrize("number", range(5))
def test_an_odd_credential_does_not_hide_the_others(world: World, invoke: Invoke, number: int) -> None:
    world.submit()
    world.submit("ZZZ")
    world.registry.rows[CLIENT_ID] = odd_rows(world.credential())[number]
    event = sample_event("credential_api/list")
    event |= {"queryStringParameters": None, "multiValueQueryStringParameters": None}
    answer = invoke("credential_api", event)
    assert [item["client_id"] for item in json.loads(answer["body"])["items"]] == [CLIENT_ID, "ZZZ"]


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"limit": ["1", "2"]}, "malformed_limit"),
        ({"limit": [""]}, "malformed_limit"),
        ({"limit": ["0"]}, "malformed_limit"),
        ({"limit": ["101"]}, "malformed_limit"),
        ({"limit": ["1.0"]}, "malformed_limit"),
        ({"limit": ["٣"]}, "malformed_limit"),
        ({"status": ["validated", "connected"]}, "malformed_status"),
        ({"status": [""]}, "malformed_status"),
        ({"status": ["VALIDATED"]}, "malformed_status"),
        ({"next_token": ["x", "x"]}, "malformed_next_token"),
    ],
)
def test_a_query_without_a_clear_meaning_is_refused(
    invoke: Invoke, query: dict[str, list[str]], code: str
) -> None:
    event = sample_event("credential_api/list") | {
        "queryStringParameters": {name: values[-1] for name, values in query.items()},
        "multiValueQueryStringParameters": query,
    }
    answer = invoke("credential_api", event)
    assert (answer["statusCode"], json.loads(answer["body"])["code"]) == (HTTPStatus.BAD_REQUEST, code)


def test_a_query_parameter_that_is_not_known_is_left_alone(world: World, invoke: Invoke) -> None:
    world.submit()
    event = sample_event("credential_api/list") | {
        "queryStringParameters": {"colour": "red"},
        "multiValueQueryStringParameters": {"colour": ["red", "blue"]},
    }
    assert invoke("credential_api", event)["statusCode"] == HTTPStatus.OK


def test_the_history_says_who_did_what_the_newest_first(world: World, invoke: Invoke) -> None:
    world.connect()
    ask(invoke, "refresh")
    status, page = ask(invoke, "history")
    assert status == HTTPStatus.OK
    assert page.keys() == {"items", "next_token"}
    newest = page["items"][0]
    assert newest["action"] == "refresh_requested"
    assert newest["by"] == "arn:aws:iam::123456789012:user/admin"
    entries = [*page["items"]]
    event = sample_event("credential_api/history")
    while page["next_token"] is not None:
        event["multiValueQueryStringParameters"]["next_token"] = [page["next_token"]]
        page = json.loads(invoke("credential_api", event)["body"])
        entries += page["items"]
    assert [entry["action"] for entry in entries][-2:] == ["validated", "submitted"]
    assert len({entry["id"] for entry in entries}) == len(entries)


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
    assert world.credential().status == "degraded"


def test_disconnects_at_once_or_later(world: World, invoke: Invoke) -> None:
    world.connect()
    world.xero.failures.append(FailureKind.NOT_SENT)
    status, credential = ask(invoke, "disconnect")
    assert (status, credential["status"]) == (HTTPStatus.ACCEPTED, "disconnecting")
    status, credential = ask(invoke, "disconnect")
    assert (status, credential["status"]) == (HTTPStatus.OK, "disconnected")


# How a body, a path and a query may be written


def with_body(body: bytes, name: str = "submit") -> Event:
    return sample_event(f"credential_api/{name}") | {
        "body": base64.b64encode(body).decode(),
        "isBase64Encoded": True,
    }


def test_a_body_with_a_byte_order_mark_is_read(world: World, invoke: Invoke) -> None:
    world.xero.secrets[CLIENT_ID] = CLIENT_SECRET
    status, credential = ask(invoke, "submit_with_byte_order_mark")
    assert (status, credential["label"]) == (HTTPStatus.CREATED, "Electro Land")


def test_a_byte_order_mark_in_a_plain_body_is_no_part_of_it(world: World, invoke: Invoke) -> None:
    world.xero.secrets[CLIENT_ID] = CLIENT_SECRET
    event = sample_event("credential_api/submit")
    event["body"] = f"\ufeff{event['body']}"
    assert invoke("credential_api", event)["statusCode"] == HTTPStatus.CREATED


@pytest.mark.parametrize(
    "body",
    [
        b'{"client_id": "A", "client_id": "B", "client_secret": "x"}',
        b'{"client_id": "A", "client_secret": "x", "client_secret": "y"}',
        b'{"client_id": "A", "client_secret": "x", "label": {"a": 1, "a": 1}}',
        b'{"client_id": "A", "client_secret": "x", "label": NaN}',
        b'{"client_id": "A", "client_secret": "x", "label": -Infinity}',
        b'{"client_id": "A", "client_secret": "x", "label": 1e999}',
        b'{"client_id": "A", "client_secret": "x", "label": "\\ud800"}',
        b'{"client_id": "A", "client_secret": "x", "\\udc00": "label"}',
        b'{"client_id": "A", "client_secret": "x", "label": "\xff"}',
        b'{"client_id": "A", "client_secret": "x", "label": "\xed\xa0\x80"}',
        b'{"client_id": "A", "client_secret": "x"} {}',
        b"\xef\xbb\xbf\xef\xbb\xbf{}",
        '{"client_id": "A", "client_secret": "x"}'.encode("utf-16"),
        b"",
    ],
)
@pytest.mark.parametrize("name", ["submit", "replace_secret"])
def test_json_that_means_nothing_for_certain_is_refused_without_repeating_it(
    world: World, invoke: Invoke, name: str, body: bytes
) -> None:
    answer = invoke("credential_api", with_body(body, name))
    assert answer["statusCode"] == HTTPStatus.BAD_REQUEST
    problem = json.loads(answer["body"])
    assert problem["code"] == "malformed_json"
    assert not {"A", "x", "y"} & set(problem["detail"].split() + problem["hint"].split())
    assert not world.registry.rows


@pytest.mark.parametrize(
    "body",
    [
        b'{"a":' * 2_700 + b"1" + b"}" * 2_700,
        b"[" * 8_000 + b"]" * 8_000,
        b'{"client_id": "A", "client_secret": "x", "label": ' + b"[" * 8_000 + b"]" * 8_000 + b"}",
    ],
)
def test_json_that_is_nested_deeply_is_refused(world: World, invoke: Invoke, body: bytes) -> None:
    assert invoke("credential_api", with_body(body))["statusCode"] == HTTPStatus.BAD_REQUEST
    assert not world.registry.rows


@pytest.mark.parametrize("body", ["%%%", "YWJj=", "é", "e30\n=", "\ud800"])
def test_base64_that_is_none_is_no_json_either(invoke: Invoke, body: str) -> None:
    event = sample_event("credential_api/submit") | {"body": body, "isBase64Encoded": True}
    answer = invoke("credential_api", event)
    assert (answer["statusCode"], json.loads(answer["body"])["code"]) == (HTTPStatus.BAD_REQUEST, "malformed_json")


@pytest.mark.parametrize("encoded", [True, False])
def test_a_body_is_measured_in_bytes(world: World, invoke: Invoke, *, encoded: bool) -> None:
    world.xero.secrets[CLIENT_ID] = CLIENT_SECRET

    def answer(size: int) -> int:
        content = sample_event("credential_api/submit")["body"].encode()
        text = content[:-1] + b" " * (size - len(content)) + b"}"
        plain = sample_event("credential_api/submit") | {"body": text.decode()}
        status: int = invoke("credential_api", with_body(text) if encoded else plain)["statusCode"]
        return status

    assert answer(LARGEST_BODY + 1) == HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    assert answer(LARGEST_BODY) == HTTPStatus.CREATED


def test_a_letter_of_two_bytes_counts_as_two(invoke: Invoke) -> None:
    event = sample_event("credential_api/submit") | {"body": "é" * (LARGEST_BODY // 2 + 1)}
    assert invoke("credential_api", event)["statusCode"] == HTTPStatus.REQUEST_ENTITY_TOO_LARGE


@pytest.mark.parametrize("content_type", ["Application/JSON; Charset=UTF-8", "application/json;charset=utf8", "*"])
@pytest.mark.parametrize("header", ["Content-Type", "content-type", "CONTENT-TYPE"])
def test_how_the_content_type_is_spelled_does_not_matter(
    world: World, invoke: Invoke, header: str, content_type: str
) -> None:
    world.xero.secrets[CLIENT_ID] = CLIENT_SECRET
    event = sample_event("credential_api/submit")
    event |= {"headers": {header: content_type}, "multiValueHeaders": {header: [content_type]}}
    assert invoke("credential_api", event)["statusCode"] == HTTPStatus.CREATED


@pytest.mark.parametrize("name", ["look_up", "history", "connect_link", "validation", "refresh", "disconnect"])
def test_a_client_id_may_be_encoded_in_the_path(world: World, invoke: Invoke, name: str) -> None:
    world.connect()
    event = sample_event(f"credential_api/{name}")
    event["path"] = event["path"].replace(CLIENT_ID, f"%30{CLIENT_ID[1:]}")
    assert HTTPStatus(invoke("credential_api", event)["statusCode"]).is_success


def test_a_next_token_in_the_single_form_of_the_query_is_read_whole(world: World, invoke: Invoke) -> None:
    world.submit()
    world.submit("ZZZ")
    _, first = ask(invoke, "list")
    event = sample_event("credential_api/list") | {
        "queryStringParameters": {"limit": "1", "next_token": first["next_token"], "x": None},
        "multiValueQueryStringParameters": None,
    }
    answer = json.loads(invoke("credential_api", event)["body"])
    assert [item["client_id"] for item in answer["items"]] == ["ZZZ"]
