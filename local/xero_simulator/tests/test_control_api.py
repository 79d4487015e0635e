import re
from datetime import datetime, timedelta

import pytest
import requests

from local.xero_simulator.server import XeroSimulator
from local.xero_simulator.tests.conftest import Control, Register
from local.xero_simulator.tests.oauth_client import REDIRECT_URI, TIMEOUT, OAuthClient, refusal
from local.xero_simulator.user import XeroUser


@pytest.mark.parametrize("integration_type", ["web_app", "mobile_app", "custom_connection"])
def test_an_app_is_made(control: Control, integration_type: str) -> None:
    response = control("apps", {"integration_type": integration_type})
    assert response.status_code == 201
    app = response.json()
    assert app.keys() == {"client_id", "client_secret"}
    assert re.fullmatch(r"[0-9A-F]{32}", app["client_id"])
    assert (app["client_secret"] is None) == (integration_type == "mobile_app")


@pytest.mark.parametrize("scopes", ["accounting.budgets.read openid", ["accounting.budgets.read", "openid"]])
def test_scopes_are_a_list_or_a_text(register: Register, scopes: object) -> None:
    client = register(scopes=scopes)
    location = client.authorize(scope="openid accounting.budgets.read").headers["Location"]
    assert location.startswith("/identity/user/login?")
    assert client.authorize(scope="accounting.invoices").headers["Location"].startswith(REDIRECT_URI)


def test_redirect_uris_and_organisations_of_ones_own(register: Register, user: XeroUser) -> None:
    redirect_uri = "http://127.0.0.1:4566/oAuth2CallBack"
    client = register(redirect_uris=["https://client.example/", redirect_uri], organisations=["A & B <Ltd>"])
    code = client.code(user, redirect_uri=redirect_uri, organisations=["A & B <Ltd>"])
    access_token = client.exchange(code, redirect_uri=redirect_uri).json()["access_token"]
    assert [one["tenantName"] for one in client.connections(access_token).json()] == ["A & B <Ltd>"]


@pytest.mark.parametrize(
    ("path", "body", "complaint"),
    [
        ("apps", None, "JSON object"),
        ("apps", [], "JSON object"),
        ("apps", {}, "integration_type is missing"),
        ("apps", {"integration_type": "toaster"}, "web_app, mobile_app, custom_connection"),
        ("apps", {"integration_type": ["web_app"]}, "integration_type must be one of"),
        ("apps", {"integration_type": "web_app", "redirect_uri": REDIRECT_URI}, "redirect_uri"),
        ("apps", {"integration_type": "web_app", "redirect_uris": REDIRECT_URI}, "list of strings"),
        ("apps", {"integration_type": "web_app", "redirect_uris": []}, "1 to 50"),
        ("apps", {"integration_type": "web_app", "redirect_uris": [REDIRECT_URI] * 51}, "1 to 50"),
        ("apps", {"integration_type": "web_app", "redirect_uris": ["http://client.example/"]}, "https"),
        ("apps", {"integration_type": "web_app", "redirect_uris": ["http://10.0.0.1/"]}, "https"),
        ("apps", {"integration_type": "web_app", "redirect_uris": ["https://"]}, "https"),
        ("apps", {"integration_type": "web_app", "redirect_uris": ["https://[oops"]}, "not a URI"),
        ("apps", {"integration_type": "web_app", "redirect_uris": ["https://a.example/*"]}, "wildcard"),
        ("apps", {"integration_type": "web_app", "redirect_uris": ["https://a.example/#x"]}, "fragment"),
        ("apps", {"integration_type": "web_app", "scopes": "nonsense"}, "nonsense"),
        ("apps", {"integration_type": "web_app", "scopes": "accounting.transactions"}, "transactions"),
        ("apps", {"integration_type": "web_app", "scopes": "app.connections"}, "app.connections"),
        ("apps", {"integration_type": "web_app", "scopes": [1]}, "list of strings"),
        ("apps", {"integration_type": "web_app", "organisations": ["A", "A"]}, "organisations"),
        ("apps", {"integration_type": "web_app", "organisations": [" "]}, "organisations"),
        ("apps", {"integration_type": "custom_connection", "organisations": ["A", "B"]}, "exactly one"),
        ("apps", {"integration_type": "web_app", "granular_scopes": "yes"}, "true or false"),
        ("apps", {"integration_type": "web_app", "case_sensitive_redirect_uris": 1}, "true or false"),
        ("apps", {"integration_type": "custom_connection", "organisations": []}, "exactly one"),
        ("faults", {"kind": "status"}, "endpoint is missing"),
        ("faults", {"endpoint": "toaster", "kind": "status"}, "endpoint must be one of"),
        ("faults", {"endpoint": "token", "kind": "explode"}, "kind must be one of"),
        ("faults", {"endpoint": "token", "kind": "status"}, "status is missing"),
        ("faults", {"endpoint": "token", "kind": "status", "status": 99}, "from 200 to 599"),
        ("faults", {"endpoint": "token", "kind": "status", "status": "500"}, "whole number"),
        ("faults", {"endpoint": "token", "kind": "status", "status": 500, "headers": []}, "headers"),
        ("faults", {"endpoint": "token", "kind": "status", "status": 500, "headers": {"A": "b\nc"}}, "headers"),
        ("faults", {"endpoint": "token", "kind": "status", "status": 500, "error": ""}, "error"),
        ("faults", {"endpoint": "token", "kind": "status", "status": 500, "seconds": 1}, "seconds"),
        ("faults", {"endpoint": "token", "kind": "delay"}, "seconds is missing"),
        ("faults", {"endpoint": "token", "kind": "delay", "seconds": 61}, "from 0 to 60"),
        ("faults", {"endpoint": "token", "kind": "delay", "seconds": -1}, "from 0 to 60"),
        ("faults", {"endpoint": "token", "kind": "drop_after", "times": 0}, "times"),
        ("faults", {"endpoint": "token", "kind": "drop_after", "times": True}, "times"),
        ("faults", {"endpoint": "token", "kind": "drop_after", "times": None}, "times"),
        ("faults", {"endpoint": "token", "kind": "drop_after", "status": 500}, "status"),
        ("id_token", {"fault": "wrong_colour"}, "wrong_nonce"),
        ("id_token", {"fault": "expired", "times": 0}, "times"),
        ("clock", {}, "advance_seconds is missing"),
        ("clock", {"advance_seconds": -1}, "from 0"),
        ("clock", {"advance_seconds": "1"}, "a number"),
        ("clock", {"advance_seconds": True}, "a number"),
        ("clock", {"advance_seconds": 1e12}, "from 0"),
        ("grace", {}, "first_successor_survives is missing"),
        ("grace", {"first_successor_survives": 1}, "true or false"),
    ],
)
def test_what_makes_no_sense_is_refused(control: Control, path: str, body: object, complaint: str) -> None:
    response = control(path, body)
    assert response.status_code == 400
    assert complaint in response.json()["error"]


@pytest.mark.parametrize("text", ["", "{", '{"advance_seconds": NaN}'])
def test_what_is_not_json_is_refused(simulator: XeroSimulator, text: str) -> None:
    response = requests.post(f"{simulator.url}/_simulator/clock", data=text, timeout=TIMEOUT)
    assert response.status_code == 400


def test_secrets_of_no_app(control: Control, register: Register) -> None:
    for method in ("POST", "DELETE"):
        assert control(f"apps/{'F' * 32}/secret", method=method).status_code == 404
    assert control(f"apps/{register('mobile_app').client_id}/secret").status_code == 404


def test_the_clock_moves_ahead_and_adds_up(control: Control) -> None:
    first = datetime.fromisoformat(control("clock", {"advance_seconds": 0}).json()["now"])
    control("clock", {"advance_seconds": 3600})
    second = datetime.fromisoformat(control("clock", {"advance_seconds": 0.5}).json()["now"])
    assert timedelta(0) <= second - first - timedelta(seconds=3600.5) < timedelta(minutes=1)


@pytest.mark.parametrize("survives", [True, False])
def test_the_world_can_be_chosen(
    web_app: OAuthClient, user: XeroUser, control: Control, *, survives: bool
) -> None:
    assert control("grace", {"first_successor_survives": survives}).status_code == 200
    refresh_token = web_app.tokens(user)["refresh_token"]
    first = web_app.refresh(refresh_token).json()["refresh_token"]
    web_app.refresh(refresh_token)
    assert (web_app.refresh(first).status_code == 200) == survives


def test_a_reset_forgets_everything(
    simulator: XeroSimulator, web_app: OAuthClient, user: XeroUser, control: Control
) -> None:
    web_app.tokens(user)
    control("grace", {"first_successor_survives": False})
    control("clock", {"advance_seconds": 86400})
    control("faults", {"endpoint": "token", "kind": "status", "status": 500})
    control("id_token", {"fault": "unsigned"})
    jwks_before = simulator.identity_server.jwks
    assert control("reset").status_code == 204
    assert control("journal", method="GET").json() == []
    assert refusal(web_app.exchange("bogus")) == "invalid_client"
    assert simulator.identity_server.first_successor_survives
    assert simulator.clock() - datetime.now(simulator.clock().tzinfo) < timedelta(minutes=1)
    assert simulator.identity_server.jwks == jwks_before
