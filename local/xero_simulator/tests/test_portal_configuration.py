import pytest

from local.xero_simulator.portal_user import PortalUser
from local.xero_simulator.server import XeroSimulator
from local.xero_simulator.tests.conftest import Register
from local.xero_simulator.tests.oauth_client import REDIRECT_URI, OAuthClient
from local.xero_simulator.tests.portal import create, lookup_fails, status

OTHER = "https://client.example/cb"


def is_registered(simulator: XeroSimulator, client_id: str, redirect_uri: str) -> bool:
    location = OAuthClient(simulator.url, client_id, None).authorize(redirect_uri=redirect_uri).headers["Location"]
    return location.startswith("/identity/user/login")


def test_redirect_uris_are_added_and_removed_with_save(simulator: XeroSimulator, person: PortalUser) -> None:
    create(person)
    client_id = person.read("Client ID")
    person.press("Add another redirect URI")
    person.fill("Redirect URI 2", OTHER)
    assert not is_registered(simulator, client_id, OTHER)
    person.press("Save")
    assert is_registered(simulator, client_id, OTHER)
    assert is_registered(simulator, client_id, REDIRECT_URI)
    person.press("Remove redirect URI 1")
    assert person.read("Redirect URI") == OTHER
    assert is_registered(simulator, client_id, REDIRECT_URI)
    person.press("Save")
    assert not is_registered(simulator, client_id, REDIRECT_URI)
    assert is_registered(simulator, client_id, OTHER)


def test_the_last_redirect_uri_cannot_be_removed(person: PortalUser) -> None:
    create(person)
    lookup_fails(person, "Remove redirect URI 1")
    person.fill("Redirect URI", "")
    person.press("Save")
    assert status(person) == 400
    assert "Enter at least one redirect URI." in person.text
    person.follow("Configuration")
    assert person.read("Redirect URI") == REDIRECT_URI


@pytest.mark.parametrize(
    ("added", "complaint"),
    [
        ("http://client.example/cb", "redirect URIs are https, except on localhost"),
        (REDIRECT_URI, "This redirect URI is here twice."),
    ],
)
def test_a_refused_save_saves_nothing_and_keeps_what_was_typed(
    person: PortalUser, added: str, complaint: str
) -> None:
    create(person)
    person.press("Generate a secret")
    client_secret = person.read("Client secret 1")
    person.press("Add another redirect URI")
    assert person.read("Client secret 1") == client_secret
    person.fill("Redirect URI 2", added)
    person.press("Save")
    assert status(person) == 400
    assert person.text.count(complaint) == 2
    assert (person.read("Redirect URI 2"), person.read("Client secret 1")) == (added, client_secret)
    person.follow("Configuration")
    assert "Client secret 1" not in person.text
    lookup_fails(person, "Remove redirect URI 2")


def test_another_spelling_is_another_redirect_uri(simulator: XeroSimulator, person: PortalUser) -> None:
    create(person)
    client_id = person.read("Client ID")
    assert not is_registered(simulator, client_id, f"{REDIRECT_URI}/")
    person.press("Add another redirect URI")
    person.fill("Redirect URI 2", REDIRECT_URI.lower())
    person.press("Save")
    assert status(person) == 200
    assert (person.read("Redirect URI 1"), person.read("Redirect URI 2")) == (REDIRECT_URI, REDIRECT_URI.lower())


def test_an_app_has_50_redirect_uris_at_most(person: PortalUser, register: Register) -> None:
    client_id = register(redirect_uris=[f"{OTHER}/{number}" for number in range(1, 51)]).client_id
    person.open(f"/app/manage/app/{client_id}/configuration")
    person.press("Add another redirect URI")
    person.fill("Redirect URI 51", OTHER)
    person.press("Save")
    assert status(person) == 400
    assert "50 redirect URIs at most" in person.text
    person.press("Remove redirect URI 1")
    person.press("Save")
    assert person.read("Redirect URI 50") == OTHER


def test_an_empty_field_is_no_redirect_uri(person: PortalUser) -> None:
    create(person)
    person.press("Add another redirect URI")
    person.press("Save")
    assert (status(person), person.read("Redirect URI")) == (200, REDIRECT_URI)


@pytest.mark.parametrize(
    "action", ["", "explode", "remove-redirect-uri:", "remove-redirect-uri:-1", "remove-redirect-uri:²"]
)
def test_a_button_that_the_page_does_not_have(person: PortalUser, action: str) -> None:
    create(person)
    person.add_button(action)
    person.press(action)
    assert status(person) == 400
    assert person.heading == "This did not work"
