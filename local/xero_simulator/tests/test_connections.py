import re
from datetime import datetime

import requests

from local.xero_simulator.identity_server import IdentityServer
from local.xero_simulator.server import XeroSimulator
from local.xero_simulator.tests.conftest import Control, Register
from local.xero_simulator.tests.oauth_client import TIMEOUT, OAuthClient, refusal
from local.xero_simulator.user import XeroUser


def test_the_form_of_a_connection(web_app: OAuthClient, user: XeroUser) -> None:
    tokens = web_app.tokens(user, organisations=["Electro Land"])
    (connection,) = web_app.connections(tokens["access_token"]).json()
    assert connection.keys() == {
        "id",
        "authEventId",
        "tenantId",
        "tenantType",
        "tenantName",
        "createdDateUtc",
        "updatedDateUtc",
    }
    assert connection["tenantType"] == "ORGANISATION"
    for name in ("createdDateUtc", "updatedDateUtc"):
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{7}", connection[name])
        assert datetime.fromisoformat(connection[name]).tzinfo is None


def test_the_list_can_be_limited_to_one_consent(web_app: OAuthClient, user: XeroUser) -> None:
    web_app.tokens(user, organisations=["Electro Land"])
    tokens = web_app.tokens(user, organisations=["Demo Company (UK)"])
    everything = web_app.connections(tokens["access_token"]).json()
    assert len(everything) == 2
    (second,) = (one for one in everything if one["tenantName"] == "Demo Company (UK)")
    for auth_event_id in (second["authEventId"], second["authEventId"].upper()):
        assert web_app.connections(tokens["access_token"], authEventId=auth_event_id).json() == [second]
    assert web_app.connections(tokens["access_token"], authEventId="no-such-event").json() == []


def test_consenting_again_keeps_the_old_auth_event_id(
    web_app: OAuthClient, user: XeroUser, control: Control
) -> None:
    first = web_app.tokens(user, organisations=["Electro Land"])
    (before,) = web_app.connections(first["access_token"]).json()
    control("clock", {"advance_seconds": 60})
    second = web_app.tokens(user, organisations=["Electro Land"])
    (after,) = web_app.connections(second["access_token"]).json()
    for name in ("id", "tenantId", "authEventId", "createdDateUtc"):
        assert after[name] == before[name]
    assert after["updatedDateUtc"] > before["updatedDateUtc"]


def test_consenting_again_can_be_made_to_replace_the_auth_event_id() -> None:
    identity_server = IdentityServer(reconsent_keeps_auth_event_id=False)
    client_id, _ = identity_server.register_app(organisations=["Electro Land"])
    ids = set()
    for _ in range(2):
        (connection,) = identity_server.connections(identity_server.consent(client_id)["access_token"])
        ids.add(connection["authEventId"])
    assert len(ids) == 2


def test_an_organisation_is_the_same_for_every_app(register: Register, user: XeroUser) -> None:
    tenants = set()
    for client in (register(), register()):
        tokens = client.tokens(user, organisations=["Electro Land"])
        (connection,) = client.connections(tokens["access_token"]).json()
        tenants.add(connection["tenantId"])
    assert len(tenants) == 1


def test_a_connection_can_be_removed_once(web_app: OAuthClient, user: XeroUser) -> None:
    access_token = web_app.tokens(user)["access_token"]
    first, second = web_app.connections(access_token).json()
    assert web_app.disconnect(access_token, first["id"]).status_code == 204
    assert web_app.connections(access_token).json() == [second]
    assert web_app.disconnect(access_token, first["id"]).status_code == 404


def test_the_connection_of_another_app_is_not_found(register: Register, user: XeroUser) -> None:
    client, other = register(), register()
    theirs = other.connections(other.tokens(user)["access_token"]).json()[0]["id"]
    assert client.disconnect(client.tokens(user)["access_token"], theirs).status_code == 404


def test_a_bad_token_is_unauthorized(simulator: XeroSimulator, web_app: OAuthClient, user: XeroUser) -> None:
    other_issuer = IdentityServer()
    client_id, _ = other_issuer.register_app()
    foreign = other_issuer.consent(client_id)["access_token"]
    id_token = web_app.tokens(user)["id_token"]
    for access_token in ("bogus", "a.b.c", "é", foreign, id_token):
        answer = web_app.connections(access_token.encode().decode("latin-1"))
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert web_app.disconnect("bogus", "id").status_code == 401
    assert requests.get(f"{simulator.url}/connections", timeout=TIMEOUT).status_code == 401


def test_an_access_token_lives_thirty_minutes(web_app: OAuthClient, user: XeroUser, control: Control) -> None:
    access_token = web_app.tokens(user)["access_token"]
    control("clock", {"advance_seconds": 1790})
    assert web_app.connections(access_token).status_code == 200
    control("clock", {"advance_seconds": 20})
    assert web_app.connections(access_token).status_code == 401


def test_a_token_from_before_a_reset_is_unauthorized(
    simulator: XeroSimulator, web_app: OAuthClient, user: XeroUser
) -> None:
    access_token = web_app.tokens(user)["access_token"]
    simulator.reset()
    assert web_app.connections(access_token).status_code == 401


# Xero's page "Connected apps"


def connect(control: Control, client: OAuthClient, *organisations: str) -> None:
    response = control(
        f"apps/{client.client_id}/connections", {"organisations": list(organisations)}, method="PUT"
    )
    assert (response.status_code, response.content) == (204, b"")


def connected(client: OAuthClient, access_token: str) -> dict[str, dict[str, str]]:
    return {one["tenantName"]: one for one in client.connections(access_token).json()}


def test_a_user_connects_and_disconnects_by_hand(web_app: OAuthClient, user: XeroUser, control: Control) -> None:
    access_token = web_app.tokens(user)["access_token"]
    before = connected(web_app, access_token)
    connect(control, web_app, "New Ltd", "Electro Land", "Newer Ltd")
    after = connected(web_app, access_token)
    assert after.keys() == {"New Ltd", "Electro Land", "Newer Ltd"}
    assert after["Electro Land"] == before["Electro Land"]
    assert after["New Ltd"]["authEventId"] == after["Newer Ltd"]["authEventId"]
    assert after["New Ltd"]["authEventId"] != before["Electro Land"]["authEventId"]
    assert len({one["id"] for one in (*before.values(), *after.values())}) == 4
    connect(control, web_app)
    assert connected(web_app, access_token) == {}
    connect(control, web_app, "Electro Land")
    assert connected(web_app, access_token)["Electro Land"]["id"] != before["Electro Land"]["id"]


def test_an_organisation_that_was_connected_by_hand_can_be_authorised_again(
    web_app: OAuthClient, user: XeroUser, control: Control
) -> None:
    web_app.tokens(user, organisations=[])
    connect(control, web_app, "Electro Land")
    tokens = web_app.tokens(user, organisations=["Demo Company (UK)"])
    assert connected(web_app, tokens["access_token"]).keys() == {"Electro Land", "Demo Company (UK)"}


def test_it_concerns_every_user_who_consented_to_this_app_and_no_other(
    register: Register, control: Control
) -> None:
    client, other = register(), register()
    tokens = {}
    for email in ("ann@example.com", "bob@example.com", "eve@example.com"):
        with requests.Session() as browser:
            person = XeroUser(browser, email=email)
            others = other.tokens(person)["access_token"]
            # Bob consented, to no organisation; Eve has revoked all that she gave.
            tokens[email] = client.tokens(person, organisations=[] if email.startswith("bob") else None)
    client.revoke(tokens["eve@example.com"]["refresh_token"])
    connect(control, client, "Electro Land")
    reached = [connected(client, each["access_token"]).keys() for each in tokens.values()]
    assert reached == [{"Electro Land"}, {"Electro Land"}, set()]
    assert len(connected(other, others)) == 2


def test_a_custom_connection_can_be_moved_and_ended_by_hand(register: Register, control: Control) -> None:
    custom = register("custom_connection", organisations=["Only Ltd"])
    access_token = custom.post_token(grant_type="client_credentials").json()["access_token"]
    connect(control, custom, "Other Ltd")
    assert connected(custom, access_token).keys() == {"Other Ltd"}
    connect(control, custom)
    assert connected(custom, access_token) == {}
    path = f"apps/{custom.client_id}/connections"
    assert control(path, {"organisations": ["A", "B"]}, method="PUT").status_code == 400


def test_connections_by_hand_that_make_no_sense(web_app: OAuthClient, control: Control) -> None:
    path = f"apps/{web_app.client_id}/connections"
    bodies: list[object] = [
        None,
        {},
        {"organisations": "A"},
        {"organisations": [1]},
        {"organisations": ["A", "A"]},
        {"organisations": [" "]},
        {"organisations": ["A"], "users": []},
    ]
    assert {control(path, body, method="PUT").status_code for body in bodies} == {400}
    unknown = control(f"apps/{'F' * 32}/connections", {"organisations": ["A"]}, method="PUT")
    assert unknown.status_code == 404


# Revocation


def test_revoking_ends_all_that_the_user_gave_the_app(register: Register, user: XeroUser) -> None:
    client, other = register(), register()
    first, second, others = client.tokens(user), client.tokens(user), other.tokens(user)
    response = client.revoke(first["refresh_token"])
    assert (response.status_code, response.content) == (200, b"")
    assert client.connections(first["access_token"]).json() == []
    assert refusal(client.refresh(first["refresh_token"])) == "invalid_grant"
    assert refusal(client.refresh(second["refresh_token"])) == "invalid_grant"
    assert len(other.connections(others["access_token"]).json()) == 2
    assert other.refresh(others["refresh_token"]).status_code == 200


def test_revoking_spares_other_users(web_app: OAuthClient) -> None:
    tokens = []
    for email in ("ann@example.com", "bob@example.com"):
        with requests.Session() as browser:
            tokens.append(web_app.tokens(XeroUser(browser, email=email)))
    web_app.revoke(tokens[0]["refresh_token"])
    assert len(web_app.connections(tokens[1]["access_token"]).json()) == 2
    assert web_app.refresh(tokens[1]["refresh_token"]).status_code == 200


def test_scopes_do_not_outlive_a_revocation(web_app: OAuthClient, user: XeroUser) -> None:
    web_app.revoke(web_app.tokens(user)["refresh_token"])
    tokens = web_app.exchange(web_app.code(user, scope="accounting.settings")).json()
    assert tokens["scope"] == "accounting.settings"


def test_a_used_refresh_token_can_be_revoked_in_its_grace(web_app: OAuthClient, user: XeroUser) -> None:
    used = web_app.tokens(user)["refresh_token"]
    successor = web_app.refresh(used).json()["refresh_token"]
    web_app.revoke(used, token_type_hint="refresh_token")
    assert refusal(web_app.refresh(successor)) == "invalid_grant"


def test_revoking_something_else_changes_nothing(register: Register, user: XeroUser) -> None:
    client, other = register(), register()
    tokens = client.tokens(user)
    assert client.revoke("unknown").status_code == 200
    assert client.revoke(tokens["access_token"]).status_code == 200
    assert other.revoke(tokens["refresh_token"]).status_code == 200
    assert client.refresh(tokens["refresh_token"]).status_code == 200


def test_revocation_refusals(web_app: OAuthClient) -> None:
    impostor = OAuthClient(web_app.url, web_app.client_id, "wrong")
    address = f"{web_app.url}/connect/revocation"
    assert refusal(impostor.revoke("token")) == "invalid_client"
    assert refusal(web_app.revoke("")) == "invalid_request"
    assert refusal(web_app.revoke("token", token_type_hint="id_token")) == "unsupported_token_type"
    as_json = requests.post(address, json={"token": "token"}, auth=web_app.basic, timeout=TIMEOUT)
    assert as_json.status_code == 415
    assert requests.get(address, timeout=TIMEOUT).status_code == 405


def test_paths_are_not_case_sensitive_as_xero_s_own_sdk_needs(
    simulator: XeroSimulator, web_app: OAuthClient, user: XeroUser
) -> None:
    tokens = web_app.tokens(user, organisations=["Electro Land"])
    headers = {"Authorization": f"Bearer {tokens['access_token']}"}
    answer = requests.get(f"{simulator.url}/Connections", headers=headers, timeout=TIMEOUT)
    assert answer.json() == web_app.connections(tokens["access_token"]).json()
