"""The customer guide, step by step: from nothing to a pair that works."""

import requests

from local.xero_simulator.portal_user import PortalUser
from local.xero_simulator.server import XeroSimulator
from local.xero_simulator.tests.oauth_client import REDIRECT_URI, OAuthClient
from local.xero_simulator.tests.portal import NAME, TERMS, create, status, works
from local.xero_simulator.user import XeroUser


def test_from_nothing_to_tokens(simulator: XeroSimulator, person: PortalUser) -> None:
    person.press("Log out")
    person.open()
    assert person.heading == "Log in to your Xero developer account"
    person.fill("Email address", "alex@example.com")
    person.press("Log in")
    assert person.heading == "My Apps"
    person.follow("New app")
    person.fill("App Name", NAME)
    assert person.is_ticked("Web App")
    person.fill("Company or application URL", "https://electroland.example")
    person.fill("Privacy policy URL", "https://electroland.example/privacy")
    person.fill("Terms & Conditions URL", "https://electroland.example/terms")
    person.fill("Redirect URI", REDIRECT_URI)
    person.tick(TERMS)
    person.press("Create app")
    assert person.heading == "App details"
    assert person.read("App Name") == NAME

    person.follow("Configuration")
    assert "OAuth 2.0 credentials" in person.text
    client_id = person.read("Client ID")
    person.press("Generate a secret")
    client_secret = person.read("Client secret 1")
    assert not works(simulator, client_id, client_secret)
    person.press("Save")
    assert person.read("Client secret 1").startswith("Created ")
    assert works(simulator, client_id, client_secret)

    client = OAuthClient(simulator.url, client_id, client_secret)
    with requests.Session() as browser:
        tokens = client.tokens(XeroUser(browser))
    names = [one["tenantName"] for one in client.connections(tokens["access_token"]).json()]
    assert names == ["Demo Company (UK)", "Electro Land"]


def test_a_secret_is_shown_once(person: PortalUser) -> None:
    create(person)
    person.press("Generate a secret")
    client_secret = person.read("Client secret 1")
    person.press("Save")
    assert person.response is not None
    assert client_secret not in person.response.text
    person.follow("Configuration")
    assert client_secret not in person.response.text


def test_a_secret_is_lost_without_save(simulator: XeroSimulator, person: PortalUser) -> None:
    create(person)
    client_id = person.read("Client ID")
    person.press("Generate a secret")
    client_secret = person.read("Client secret 1")
    person.follow("Configuration")
    person.press("Save")
    assert "Client secret 1" not in person.text
    assert "Generate a secret" in person.buttons
    assert not works(simulator, client_id, client_secret)


def test_another_secret_works_beside_the_first_and_a_deleted_one_is_refused_at_once(
    simulator: XeroSimulator, person: PortalUser
) -> None:
    create(person)
    client_id = person.read("Client ID")
    person.press("Generate a secret")
    first = person.read("Client secret 1")
    person.press("Save")
    person.press("Generate another secret")
    second = person.read("Client secret 2")
    person.press("Save")
    assert works(simulator, client_id, first)
    assert works(simulator, client_id, second)
    person.press("Delete client secret 1")
    assert not works(simulator, client_id, first)
    assert works(simulator, client_id, second)
    person.press("Delete client secret 1")
    assert not works(simulator, client_id, second)
    assert "Generate a secret" in person.buttons


def test_deleting_keeps_a_fresh_secret_on_the_page(simulator: XeroSimulator, person: PortalUser) -> None:
    create(person)
    client_id = person.read("Client ID")
    person.press("Generate a secret")
    person.press("Save")
    person.press("Generate another secret")
    fresh = person.read("Client secret 2")
    person.press("Delete client secret 1")
    assert person.read("Client secret 1") == fresh
    person.press("Save")
    assert works(simulator, client_id, fresh)


def test_one_fresh_secret_at_a_time(person: PortalUser) -> None:
    create(person)
    person.press("Generate a secret")
    assert not [button for button in person.buttons if button.startswith("Generate")]


def test_save_sent_twice_saves_the_secret_once(person: PortalUser) -> None:
    create(person)
    person.press("Generate a secret")
    assert person.response is not None
    page = person.response
    person.press("Save")
    again = PortalUser(person.session, person.url)
    again.see(page)
    again.press("Save")
    assert status(again) == 400
    assert "saved already, or it is lost" in again.text
    again.follow("Configuration")
    assert "Client secret 2" not in again.text
