import base64
from urllib.parse import quote_plus

import pytest
import requests

from local.xero_simulator.server import XeroSimulator
from local.xero_simulator.tests.conftest import Control, Register
from local.xero_simulator.tests.oauth_client import (
    REDIRECT_URI,
    SCOPE,
    TIMEOUT,
    OAuthClient,
    challenge_of,
    refusal,
)
from local.xero_simulator.user import XeroUser

VERIFIER = "a-verifier-of-at-least-forty-three-characters"
CHALLENGE = challenge_of(VERIFIER)


def test_a_code_is_exchanged_for_tokens(web_app: OAuthClient, user: XeroUser) -> None:
    response = web_app.exchange(web_app.code(user))
    assert response.status_code == 200
    assert "no-store" in response.headers["Cache-Control"]
    tokens = response.json()
    assert tokens.keys() == {"id_token", "access_token", "expires_in", "token_type", "refresh_token", "scope"}
    assert tokens["expires_in"] == 1800
    assert tokens["token_type"] == "Bearer"
    assert tokens["scope"] == SCOPE


def test_no_refresh_token_without_offline_access_and_no_id_token_without_openid(
    web_app: OAuthClient, user: XeroUser
) -> None:
    tokens = web_app.exchange(web_app.code(user, scope="accounting.invoices")).json()
    assert tokens.keys() == {"access_token", "expires_in", "token_type", "scope"}


def test_scopes_of_earlier_consents_are_granted_too(web_app: OAuthClient, user: XeroUser) -> None:
    web_app.tokens(user)
    tokens = web_app.exchange(web_app.code(user, scope="accounting.settings")).json()
    assert tokens["scope"].split() == ["accounting.settings", "accounting.contacts", "accounting.invoices"]


# Client authentication


def test_an_unknown_client_and_a_wrong_secret_look_the_same(web_app: OAuthClient) -> None:
    stranger = OAuthClient(web_app.url, "F" * 32, web_app.client_secret)
    impostor = OAuthClient(web_app.url, web_app.client_id, "wrong")
    answers = [client.exchange("code") for client in (stranger, impostor)]
    assert [refusal(answer) for answer in answers] == ["invalid_client", "invalid_client"]


def test_a_deleted_secret_is_refused_and_a_new_one_is_not(web_app: OAuthClient, control: Control) -> None:
    second = control(f"apps/{web_app.client_id}/secret").json()["client_secret"]
    for secret in (web_app.client_secret, second):
        assert refusal(OAuthClient(web_app.url, web_app.client_id, secret).exchange("code")) == "invalid_grant"
    assert control(f"apps/{web_app.client_id}/secret", method="DELETE").status_code == 204
    for secret in (web_app.client_secret, second):
        assert refusal(OAuthClient(web_app.url, web_app.client_id, secret).exchange("code")) == "invalid_client"
    third = control(f"apps/{web_app.client_id}/secret").json()["client_secret"]
    assert refusal(OAuthClient(web_app.url, web_app.client_id, third).exchange("code")) == "invalid_grant"


@pytest.mark.parametrize(
    "authorization",
    ["", "Basic", "Basic !!!", "Basic //8=", f"Basic {base64.b64encode(b'no-colon').decode()}", "Bearer token"],
)
def test_no_credentials_are_invalid_client(simulator: XeroSimulator, authorization: str) -> None:
    response = requests.post(
        f"{simulator.url}/connect/token",
        data={"grant_type": "authorization_code"},
        headers={"Authorization": authorization},
        timeout=TIMEOUT,
    )
    assert refusal(response) == "invalid_client"


def test_credentials_may_come_in_the_body(web_app: OAuthClient) -> None:
    form = {"grant_type": "authorization_code", "client_id": web_app.client_id}
    for secret, error in ((web_app.client_secret, "invalid_grant"), ("wrong", "invalid_client")):
        response = requests.post(
            f"{web_app.url}/connect/token", data={**form, "client_secret": secret}, timeout=TIMEOUT
        )
        assert refusal(response) == error


def test_both_halves_of_basic_are_form_decoded(simulator: XeroSimulator) -> None:
    secret = "a+b c%2F:/é"
    client_id, _ = simulator.identity_server.register_app(client_secret=secret)
    for sent, error in ((quote_plus(secret), "invalid_grant"), (secret, "invalid_client")):
        pair = base64.b64encode(f"{client_id}:{sent}".encode()).decode()
        response = requests.post(
            f"{simulator.url}/connect/token",
            data={"grant_type": "authorization_code"},
            headers={"Authorization": f"Basic {pair}"},
            timeout=TIMEOUT,
        )
        assert refusal(response) == error


def test_a_secret_that_is_too_long_is_invalid_client(web_app: OAuthClient) -> None:
    assert refusal(OAuthClient(web_app.url, web_app.client_id, "s" * 101).exchange("code")) == "invalid_client"
    assert refusal(OAuthClient(web_app.url, "F" * 101, "secret").exchange("code")) == "invalid_client"


@pytest.mark.parametrize("secret", [None, "any secret"])
def test_a_mobile_app_passes_with_any_secret(register: Register, secret: str | None) -> None:
    mobile_app = register("mobile_app")
    form = {"grant_type": "authorization_code", "client_id": mobile_app.client_id, "code": "bogus"}
    if secret is not None:
        form["client_secret"] = secret
    response = requests.post(f"{mobile_app.url}/connect/token", data=form, timeout=TIMEOUT)
    assert refusal(response) == "invalid_grant"


# Grant types


def test_a_json_body_is_an_unsupported_grant_type_even_from_a_stranger(web_app: OAuthClient) -> None:
    for auth in (web_app.basic, ("F" * 32, "wrong")):
        response = requests.post(
            f"{web_app.url}/connect/token",
            json={"grant_type": "authorization_code"},
            auth=auth,
            timeout=TIMEOUT,
        )
        assert refusal(response) == "unsupported_grant_type"


def test_a_get_is_an_invalid_request(simulator: XeroSimulator) -> None:
    assert refusal(requests.get(f"{simulator.url}/connect/token", timeout=TIMEOUT)) == "invalid_request"


@pytest.mark.parametrize("form", [{}, {"grant_type": ""}, {"grant_type": "barter"}, {"grant_type": "g" * 101}])
def test_no_or_unknown_grant_type_is_unsupported(web_app: OAuthClient, form: dict[str, str]) -> None:
    response = requests.post(
        f"{web_app.url}/connect/token", data={"x": "y", **form}, auth=web_app.basic, timeout=TIMEOUT
    )
    assert refusal(response) == "unsupported_grant_type"


def test_the_client_is_checked_before_the_grant_type_and_that_before_the_code(register: Register) -> None:
    custom = register("custom_connection")
    impostor = OAuthClient(custom.url, custom.client_id, "wrong")
    assert refusal(impostor.post_token(grant_type="barter")) == "invalid_client"
    assert refusal(custom.exchange("bogus")) == "unauthorized_client"


@pytest.mark.parametrize(
    ("integration_type", "grant_type"),
    [
        ("web_app", "client_credentials"),
        ("web_app", "password"),
        ("web_app", "urn:ietf:params:oauth:grant-type:device_code"),
        ("mobile_app", "client_credentials"),
        ("custom_connection", "authorization_code"),
        ("custom_connection", "refresh_token"),
    ],
)
def test_a_grant_that_the_app_may_not_use(register: Register, integration_type: str, grant_type: str) -> None:
    assert refusal(register(integration_type).post_token(grant_type=grant_type)) == "unauthorized_client"


# Authorization codes


def test_a_code_is_good_once(web_app: OAuthClient, user: XeroUser) -> None:
    code = web_app.code(user)
    assert web_app.exchange(code).status_code == 200
    assert refusal(web_app.exchange(code)) == "invalid_grant"


def test_a_bogus_missing_or_wrong_case_code(web_app: OAuthClient, user: XeroUser) -> None:
    code = web_app.code(user)
    assert refusal(web_app.exchange("bogus")) == "invalid_grant"
    assert refusal(web_app.post_token(grant_type="authorization_code")) == "invalid_grant"
    assert refusal(web_app.exchange(code.swapcase())) == "invalid_grant"
    assert web_app.exchange(code).status_code == 200


def test_a_code_lives_five_minutes(web_app: OAuthClient, user: XeroUser, control: Control) -> None:
    early, late = web_app.code(user), web_app.code(user)
    control("clock", {"advance_seconds": 295})
    assert web_app.exchange(early).status_code == 200
    control("clock", {"advance_seconds": 10})
    assert refusal(web_app.exchange(late)) == "invalid_grant"


def test_the_code_of_another_app_is_refused_and_burnt(register: Register, user: XeroUser) -> None:
    client, thief = register(), register()
    code = client.code(user)
    assert refusal(thief.exchange(code)) == "invalid_grant"
    assert refusal(client.exchange(code)) == "invalid_grant"


@pytest.mark.parametrize("redirect_uri", ["", REDIRECT_URI.lower(), f"{REDIRECT_URI}/"])
def test_another_redirect_uri_burns_the_code(web_app: OAuthClient, user: XeroUser, redirect_uri: str) -> None:
    code = web_app.code(user)
    assert refusal(web_app.exchange(code, redirect_uri=redirect_uri)) == "unauthorized_client"
    assert refusal(web_app.exchange(code)) == "invalid_grant"


def test_the_redirect_uri_must_match_the_authorize_call_not_the_registration(
    web_app: OAuthClient, user: XeroUser
) -> None:
    lower = REDIRECT_URI.lower()
    code = web_app.code(user, redirect_uri=lower)
    assert web_app.exchange(code, redirect_uri=lower).status_code == 200


# PKCE


def test_a_proven_challenge(web_app: OAuthClient, user: XeroUser) -> None:
    code = web_app.code(user, code_challenge=CHALLENGE, code_challenge_method="S256")
    assert web_app.exchange(code, code_verifier=VERIFIER).status_code == 200


@pytest.mark.parametrize("verifier", ["", "too-short", VERIFIER + "x", "v" * 129])
def test_a_missing_or_wrong_verifier(web_app: OAuthClient, user: XeroUser, verifier: str) -> None:
    code = web_app.code(user, code_challenge=CHALLENGE, code_challenge_method="S256")
    assert refusal(web_app.exchange(code, code_verifier=verifier)) == "invalid_grant"


def test_a_verifier_without_a_challenge(web_app: OAuthClient, user: XeroUser) -> None:
    assert refusal(web_app.exchange(web_app.code(user), code_verifier=VERIFIER)) == "invalid_grant"


def test_a_mobile_app_needs_no_secret_but_a_verifier(register: Register, user: XeroUser) -> None:
    mobile_app = register("mobile_app")
    form = {
        "grant_type": "authorization_code",
        "client_id": mobile_app.client_id,
        "code": mobile_app.code(user, code_challenge=CHALLENGE, code_challenge_method="S256"),
        "redirect_uri": REDIRECT_URI,
        "code_verifier": VERIFIER,
    }
    response = requests.post(f"{mobile_app.url}/connect/token", data=form, timeout=TIMEOUT)
    assert response.status_code == 200


# Refreshing over HTTP; the rules of rotation are tested in process


def test_a_refresh_returns_new_tokens(web_app: OAuthClient, user: XeroUser) -> None:
    before = web_app.tokens(user)
    response = web_app.refresh(before["refresh_token"])
    assert response.status_code == 200
    after = response.json()
    assert after["refresh_token"] != before["refresh_token"]
    assert after["access_token"] != before["access_token"]
    assert after["scope"] == before["scope"]


def test_a_missing_or_bogus_refresh_token(web_app: OAuthClient) -> None:
    assert refusal(web_app.post_token(grant_type="refresh_token")) == "invalid_request"
    assert refusal(web_app.refresh("bogus")) == "invalid_grant"


def test_the_refresh_token_of_another_app_stays_good(register: Register, user: XeroUser) -> None:
    client, thief = register(), register()
    refresh_token = client.tokens(user)["refresh_token"]
    assert refusal(thief.refresh(refresh_token)) == "invalid_grant"
    assert client.refresh(refresh_token).status_code == 200


# Custom connections


def test_a_custom_connection_gets_a_token_for_one_organisation(register: Register) -> None:
    custom = register("custom_connection", organisations=["Only Ltd"])
    response = custom.post_token(grant_type="client_credentials", scope="accounting.invoices accounting.contacts")
    assert response.status_code == 200
    token = response.json()
    assert token.keys() == {"access_token", "expires_in", "token_type", "scope"}
    assert token["scope"] == "accounting.invoices accounting.contacts"
    assert [one["tenantName"] for one in custom.connections(token["access_token"]).json()] == ["Only Ltd"]


def test_a_custom_connection_that_names_no_scope_gets_all_of_its_own(register: Register) -> None:
    custom = register("custom_connection", scopes=["accounting.settings", "accounting.contacts"])
    token = custom.post_token(grant_type="client_credentials").json()
    assert token["scope"] == "accounting.contacts accounting.settings"


@pytest.mark.parametrize("scope", ["accounting.banktransactions", "nonsense", "openid", "offline_access"])
def test_a_custom_connection_cannot_ask_for_more(register: Register, scope: str) -> None:
    custom = register("custom_connection")
    assert refusal(custom.post_token(grant_type="client_credentials", scope=scope)) == "invalid_scope"


def test_a_custom_connection_ends_like_any_other(register: Register) -> None:
    custom = register("custom_connection")
    access_token = custom.post_token(grant_type="client_credentials").json()["access_token"]
    (connection,) = custom.connections(access_token).json()
    assert custom.disconnect(access_token, connection["id"]).status_code == 204
    assert custom.disconnect(access_token, connection["id"]).status_code == 404
    # A valid token that reaches nothing is a real state.
    later = custom.post_token(grant_type="client_credentials").json()["access_token"]
    assert (custom.connections(access_token).json(), custom.connections(later).json()) == ([], [])
