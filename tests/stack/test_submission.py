"""Submitting pairs to the deployed stack."""

import json
from http import HTTPStatus
from typing import Any

import pytest
import requests

from local.stack.journey import Journey, XeroApp

pytestmark = pytest.mark.stack


def stored(journey: Journey) -> tuple[int, list[str]]:
    """What the registry and the vault hold: the number of items, and the names of the secrets."""
    items = journey.stack.aws("dynamodb").scan(TableName=journey.stack.description.table_name)["Items"]
    pages = journey.stack.aws("secretsmanager").get_paginator("list_secrets").paginate()
    return len(items), sorted(secret["Name"] for page in pages for secret in page["SecretList"])


def problem(answer: requests.Response) -> dict[str, Any]:
    assert answer.headers["Content-Type"] == "application/problem+json"
    found: dict[str, Any] = answer.json()
    assert found["status"] == answer.status_code
    for key in ("title", "detail", "code", "hint", "request_id"):
        assert found[key]
    assert "Traceback" not in answer.text
    return found


def test_a_good_pair_is_proven_and_stored(journey: Journey) -> None:
    app = journey.create_app()
    before = len(journey.simulator("GET", "journal").json())
    answer = journey.submit(app, label="Electro Land")
    assert answer.status_code == HTTPStatus.CREATED
    credential = answer.json()
    assert credential["status"] == "validated"
    assert credential["created_by"].endswith(":user/local-admin")
    assert (app.client_secret or "") not in answer.text
    base = journey.stack.description.callback_url.removesuffix("/oAuth2CallBack")
    assert credential["connect_url"].startswith(f"{base}/connect/")
    secret = journey.stack.aws("secretsmanager").get_secret_value(
        SecretId=f"oneenterprise/xero/{app.client_id}/client"
    )
    assert json.loads(secret["SecretString"]) == {
        "client_id": app.client_id,
        "client_secret": app.client_secret,
    }
    assert {check["result"] for check in credential["checks"].values()} == {"pass"}
    # The proof never asks for anything that could be a token.
    asked = journey.simulator("GET", "journal").json()[before:]
    assert [(call["path"], call.get("grant_type"), call["status"]) for call in asked] == [
        ("/connect/token", "authorization_code", 400),
        ("/connect/token", "authorization_code", 400),
        ("/identity/connect/authorize", None, 302),
    ]


def test_what_would_strand_the_user_is_told_at_once(journey: Journey) -> None:
    app = journey.create_app(redirect_uris=["https://elsewhere.test/oAuth2CallBack"])
    answer = journey.submit(app)
    assert answer.status_code == HTTPStatus.CREATED
    checks = answer.json()["checks"]
    assert (checks["pair"]["result"], checks["redirect_uri"]["result"]) == ("pass", "fail")
    assert journey.stack.description.callback_url in checks["redirect_uri"]["detail"]

    app = journey.create_app()
    answer = journey.submit(app, scopes=["offline_access", "openid", "accounting.transactions"])
    assert answer.status_code == HTTPStatus.CREATED
    checks = answer.json()["checks"]
    assert (checks["redirect_uri"]["result"], checks["scopes"]["result"]) == ("pass", "fail")
    assert "accounting.invoices" in checks["scopes"]["detail"]


def test_a_custom_connection_is_connected_without_a_consent(journey: Journey) -> None:
    app = journey.create_app("custom_connection", organisations=["Rapid Auto"])
    answer = journey.submit(app, integration_type="custom_connection")
    assert answer.status_code == HTTPStatus.CREATED
    credential = answer.json()
    assert (credential["status"], credential["connect_url"]) == ("connected", None)
    assert [tenant["tenant_name"] for tenant in credential["tenants"]] == ["Rapid Auto"]
    tokens = journey.tokens(app)
    assert journey.organisations(tokens["token"]["access_token"]) == ["Rapid Auto"]
    assert "refresh_token" not in tokens["token"]
    link = journey.admin.post(f"/credentials/{app.client_id}/connect-link")
    assert (link.status_code, problem(link)["code"]) == (HTTPStatus.CONFLICT, "no_consent_needed")
    refreshed = journey.admin.post(f"/credentials/{app.client_id}/refresh")
    assert (refreshed.status_code, refreshed.json()["generation"]) == (HTTPStatus.OK, 2)
    gone = journey.admin.delete(f"/credentials/{app.client_id}")
    assert (gone.status_code, gone.json()["status"]) == (HTTPStatus.OK, "disconnected")
    assert journey.organisations(tokens["token"]["access_token"]) == []


def test_a_known_client_id_is_a_conflict(journey: Journey) -> None:
    app = journey.create_app()
    journey.submit(app).raise_for_status()
    answer = journey.submit(app)
    assert (answer.status_code, problem(answer)["code"]) == (HTTPStatus.CONFLICT, "credential_exists")


@pytest.mark.parametrize(
    ("integration_type", "submitted_as", "code"),
    [
        ("custom_connection", "web_app", "custom_connection"),
        ("web_app", "custom_connection", "web_app"),
        ("mobile_app", "web_app", "mobile_app"),
        ("mobile_app", "custom_connection", "mobile_app"),
    ],
)
def test_the_wrong_kind_of_app_is_told_apart_and_not_kept(
    journey: Journey, integration_type: str, submitted_as: str, code: str
) -> None:
    one = {"organisations": ["Rapid Auto"]} if integration_type == "custom_connection" else {}
    app = journey.create_app(integration_type, **one)
    before = stored(journey)
    answer = journey.submit(
        XeroApp(app.client_id, app.client_secret or "a-made-up-secret"), integration_type=submitted_as
    )
    assert (answer.status_code, problem(answer)["code"]) == (HTTPStatus.UNPROCESSABLE_ENTITY, code)
    assert stored(journey) == before


def test_a_wrong_pair_is_refused_and_not_kept(journey: Journey) -> None:
    app = journey.create_app()
    before = stored(journey)
    for wrong in (XeroApp(app.client_id, "wrong-secret"), XeroApp("F" * 32, app.client_secret)):
        answer = journey.submit(wrong)
        assert (answer.status_code, problem(answer)["code"]) == (
            HTTPStatus.UNPROCESSABLE_ENTITY,
            "invalid_client",
        )
        assert journey.admin.get(f"/credentials/{wrong.client_id}").status_code == HTTPStatus.NOT_FOUND
    assert stored(journey) == before


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ('{"client_id": ', HTTPStatus.BAD_REQUEST, "malformed_json"),
        ("", HTTPStatus.BAD_REQUEST, "malformed_json"),
        ("[]", HTTPStatus.BAD_REQUEST, "malformed_request"),
        ("{}", HTTPStatus.BAD_REQUEST, "missing_field"),
        ({"client_id": "A" * 32}, HTTPStatus.BAD_REQUEST, "missing_field"),
        ({"client_secret": "x"}, HTTPStatus.BAD_REQUEST, "missing_field"),
        ({"client_id": 7, "client_secret": "x"}, HTTPStatus.BAD_REQUEST, "malformed_request"),
        ({"client_id": "A\r\n\x00B", "client_secret": "x"}, HTTPStatus.BAD_REQUEST, "malformed_client_id"),
        ({"client_id": "../../x", "client_secret": "x"}, HTTPStatus.BAD_REQUEST, "malformed_client_id"),
        ({"client_id": "A", "client_secret": "x\ny"}, HTTPStatus.BAD_REQUEST, "malformed_client_secret"),
        (
            {"client_id": "A", "client_secret": "x", "scopes": ["openid"]},
            HTTPStatus.BAD_REQUEST,
            "missing_scope",
        ),
        ({"client_id": "A", "client_secret": "x", "colour": 1}, HTTPStatus.BAD_REQUEST, "unknown_field"),
        (
            {"client_id": "A" * 1_000_000, "client_secret": "x"},
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            "body_too_large",
        ),
    ],
)
def test_a_malformed_submission_is_a_clear_problem_and_stores_nothing(
    journey: Journey, body: object, status: int, code: str
) -> None:
    before = stored(journey)
    answer = journey.admin.post("/credentials", body)
    assert (answer.status_code, problem(answer)["code"]) == (status, code)
    assert stored(journey) == before


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "drop_before"},
        {"kind": "drop_after"},
        {"kind": "status", "status": 503},
        {"kind": "status", "status": 429, "headers": {"Retry-After": "60"}},
        {"kind": "html_403"},
        {"kind": "delay", "seconds": 12},
    ],
    ids=["down", "lost answer", "503", "429", "firewall", "slow"],
)
def test_without_a_definite_answer_the_pair_is_kept_safe(journey: Journey, fault: dict[str, Any]) -> None:
    app = journey.create_app()
    journey.simulator("POST", "faults", {"endpoint": "token", **fault})
    answer = journey.submit(app)
    journey.simulator("DELETE", "faults")
    assert answer.status_code == HTTPStatus.ACCEPTED
    assert answer.json()["status"] == "pending_validation"
    assert answer.json()["checks"]["pair"]["result"] == "unknown"
    secret = journey.stack.aws("secretsmanager").get_secret_value(
        SecretId=f"oneenterprise/xero/{app.client_id}/client"
    )
    assert json.loads(secret["SecretString"])["client_secret"] == app.client_secret


def test_the_list_pages_through_everything(journey: Journey) -> None:
    apps = [journey.create_app() for _ in range(3)]
    for app in apps:
        journey.submit(app).raise_for_status()
    found: list[str] = []
    parameters = {"limit": "2", "status": "validated"}
    while True:
        page = journey.admin.get("/credentials", parameters).json()
        found += [item["client_id"] for item in page["items"]]
        if page["next_token"] is None:
            break
        parameters = {**parameters, "next_token": page["next_token"]}
    assert len(found) == len(set(found))
    assert {app.client_id for app in apps} <= set(found)
    malformed = journey.admin.get("/credentials", {"next_token": "what?"})
    assert problem(malformed)["code"] == "malformed_next_token"
