import base64
import json
from typing import Any

import pytest
import requests
from joserfc import jwt
from joserfc.errors import BadSignatureError
from joserfc.jwk import KeySet

from local.xero_simulator.server import XeroSimulator
from local.xero_simulator.tests.conftest import Control, Register
from local.xero_simulator.tests.oauth_client import TIMEOUT, OAuthClient
from local.xero_simulator.user import XeroUser


def published_keys(simulator: XeroSimulator) -> KeySet:
    configuration = requests.get(f"{simulator.url}/.well-known/openid-configuration", timeout=TIMEOUT).json()
    return KeySet.import_key_set(requests.get(configuration["jwks_uri"], timeout=TIMEOUT).json())


def claims_of(simulator: XeroSimulator, token: str) -> dict[str, Any]:
    return dict(jwt.decode(token, published_keys(simulator), algorithms=["RS256"]).claims)


def unverified(token: str, part: int) -> dict[str, Any]:
    encoded = token.split(".")[part]
    return dict(json.loads(base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4))))


def id_token(client: OAuthClient, user: XeroUser) -> str:
    return str(client.exchange(client.code(user, nonce="the nonce")).json()["id_token"])


def test_discovery_names_this_simulator_everywhere(simulator: XeroSimulator) -> None:
    response = requests.get(f"{simulator.url}/.well-known/openid-configuration", timeout=TIMEOUT)
    configuration = response.json()
    assert configuration["issuer"] == simulator.url
    assert configuration["authorization_endpoint"] == f"{simulator.url}/identity/connect/authorize"
    assert configuration["token_endpoint"] == f"{simulator.url}/connect/token"
    assert configuration["revocation_endpoint"] == f"{simulator.url}/connect/revocation"
    assert configuration["jwks_uri"] == f"{simulator.url}/.well-known/openid-configuration/jwks"


def test_only_the_public_half_of_the_key_is_published(simulator: XeroSimulator) -> None:
    document = requests.get(f"{simulator.url}/.well-known/openid-configuration/jwks", timeout=TIMEOUT).json()
    (key,) = document["keys"]
    assert key.keys() == {"kty", "use", "kid", "alg", "n", "e"}
    assert (key["kty"], key["use"], key["alg"]) == ("RSA", "sig", "RS256")


def test_access_token_claims(simulator: XeroSimulator, web_app: OAuthClient, user: XeroUser) -> None:
    tokens = web_app.tokens(user)
    claims = claims_of(simulator, tokens["access_token"])
    assert claims["iss"] == simulator.url
    assert claims["aud"] == f"{simulator.url}/resources"
    assert claims["client_id"] == web_app.client_id
    assert claims["scope"] == tokens["scope"].split()
    assert claims["exp"] - claims["nbf"] == 1800
    assert claims["auth_time"] <= claims["nbf"]
    assert claims["sub"]
    assert claims["xero_userid"]
    assert claims["sub"] != claims["xero_userid"]
    assert claims["jti"]
    connections = web_app.connections(tokens["access_token"]).json()
    assert {one["authEventId"] for one in connections} == {claims["authentication_event_id"]}


def test_a_refreshed_access_token_tells_of_the_same_consent(
    simulator: XeroSimulator, web_app: OAuthClient, user: XeroUser
) -> None:
    first = web_app.tokens(user)
    second = web_app.refresh(first["refresh_token"]).json()
    before, after = (claims_of(simulator, tokens["access_token"]) for tokens in (first, second))
    assert before["jti"] != after["jti"]
    for name in ("authentication_event_id", "sub", "xero_userid", "auth_time"):
        assert before[name] == after[name]


def test_a_custom_connections_token_tells_of_no_person(simulator: XeroSimulator, register: Register) -> None:
    token = register("custom_connection").post_token(grant_type="client_credentials").json()
    claims = claims_of(simulator, token["access_token"])
    assert not {"sub", "xero_userid", "authentication_event_id", "auth_time"} & claims.keys()


def test_id_token_claims(simulator: XeroSimulator, web_app: OAuthClient, user: XeroUser) -> None:
    claims = claims_of(simulator, id_token(web_app, user))
    assert claims["iss"] == simulator.url
    assert claims["aud"] == web_app.client_id
    assert claims["nonce"] == "the nonce"
    assert claims["nbf"] <= claims["iat"] < claims["exp"]
    assert claims["sub"]
    assert claims["xero_userid"] not in {"", claims["sub"]}
    assert claims["email"] == claims["preferred_username"] == "alex@example.com"


def test_an_id_token_has_no_nonce_that_was_not_asked_for_nor_after_a_refresh(
    simulator: XeroSimulator, web_app: OAuthClient, user: XeroUser
) -> None:
    tokens = web_app.exchange(web_app.code(user, nonce="the nonce")).json()
    refreshed = web_app.refresh(tokens["refresh_token"]).json()
    without = web_app.tokens(user)
    for token in (refreshed["id_token"], without["id_token"]):
        assert "nonce" not in claims_of(simulator, token)


def test_profile_and_email_are_told_only_when_asked_for(
    simulator: XeroSimulator, web_app: OAuthClient, user: XeroUser
) -> None:
    token = web_app.exchange(web_app.code(user, scope="openid")).json()["id_token"]
    assert not {"email", "name", "preferred_username"} & claims_of(simulator, token).keys()


@pytest.mark.parametrize(
    ("fault", "claim"),
    [
        ("wrong_nonce", "nonce"),
        ("wrong_audience", "aud"),
        ("wrong_issuer", "iss"),
        ("expired", "exp"),
    ],
)
def test_an_id_token_can_be_wrong_in_one_claim(
    simulator: XeroSimulator, web_app: OAuthClient, user: XeroUser, control: Control, *, fault: str, claim: str
) -> None:
    assert control("id_token", {"fault": fault}).status_code == 200
    wrong = claims_of(simulator, id_token(web_app, user))
    right = claims_of(simulator, id_token(web_app, user))
    assert wrong[claim] != right[claim]
    if claim == "exp":
        assert wrong["exp"] < right["iat"] - 3600
    else:
        for name in {"nonce", "aud", "iss"} - {claim}:
            assert wrong[name] == right[name]


def test_an_id_token_can_be_signed_by_a_stranger(
    simulator: XeroSimulator, web_app: OAuthClient, user: XeroUser, control: Control
) -> None:
    control("id_token", {"fault": "wrong_key", "times": 2})
    for _ in range(2):
        with pytest.raises(BadSignatureError):
            claims_of(simulator, id_token(web_app, user))
    claims_of(simulator, id_token(web_app, user))


def test_an_id_token_can_be_unsigned(web_app: OAuthClient, user: XeroUser, control: Control) -> None:
    control("id_token", {"fault": "unsigned"})
    token = id_token(web_app, user)
    assert unverified(token, 0)["alg"] == "none"
    assert unverified(token, 1)["nonce"] == "the nonce"
    assert token.endswith(".")


def test_id_token_faults_can_be_called_off(
    simulator: XeroSimulator, web_app: OAuthClient, user: XeroUser, control: Control
) -> None:
    control("id_token", {"fault": "wrong_key", "times": 5})
    control("id_token", {"fault": "none"})
    assert claims_of(simulator, id_token(web_app, user))["nonce"] == "the nonce"
