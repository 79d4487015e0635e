import pytest

from local.xero_simulator.portal_user import PortalUser
from local.xero_simulator.tests.conftest import Control
from local.xero_simulator.tests.oauth_client import REDIRECT_URI
from local.xero_simulator.tests.portal import NAME, TERMS, create, fill_in, lookup_fails, status

TYPES = ("Web app", "Mobile or desktop app", "Custom connection")


def test_a_mobile_app_cannot_have_a_secret(person: PortalUser) -> None:
    create(person, kind="Mobile or desktop app")
    assert person.read("Client ID")
    assert "cannot have a client secret" in person.text
    lookup_fails(person, "Generate a secret")


def test_a_mobile_app_gets_no_secret_from_a_made_up_form(person: PortalUser) -> None:
    create(person, kind="Mobile or desktop app")
    person.add_button("generate-secret")
    person.press("generate-secret")
    assert status(person) == 400
    lookup_fails(person, "Generate a secret")


def test_web_app_is_the_default_type(person: PortalUser) -> None:
    person.open("/app/manage/new")
    assert [person.is_ticked(kind) for kind in TYPES] == [True, False, False]


@pytest.mark.parametrize(
    ("label", "value", "complaint"),
    [
        ("App name", " ", "Enter the App name."),
        ("App name", "My Xero link", "The App name cannot contain the word Xero"),
        ("App name", "a" * 10_000, "100 characters at most; this one has 10000"),
        ("App name", "a\0b", "character that cannot be shown"),
        ("App name", "TAKEN", "There is an app with this name"),
        ("Company or application URL", "", "Enter the Company or application URL."),
        ("Company or application URL", "electroland.example", "begins with https:// or http://"),
        ("Company or application URL", "javascript:alert(1)", "begins with https:// or http://"),
        ("Company or application URL", "https://[oops", "begins with https:// or http://"),
        ("Privacy policy URL", "none", "The Privacy policy URL is an address"),
        ("Terms & Conditions URL", "none", "The Terms & Conditions URL is an address"),
        ("Redirect URI", "", "Enter the Redirect URI."),
        ("Redirect URI", "http://client.example/", "redirect URIs are https, except on localhost"),
        ("Redirect URI", "https://client.example/*", "no fragment and no wildcard"),
        ("Redirect URI", "https://client.example/#", "no fragment and no wildcard"),
        ("Redirect URI", "https://client.example/a b", "not a URI"),
        ("Redirect URI", "https://client.example:port/", "not a URI"),
        ("Redirect URI", "https://client.example/\N{CYRILLIC SMALL LETTER A}", "not a URI"),
        ("Redirect URI", "oAuth2CallBack", "redirect URIs are https"),
        ("Redirect URI", "https://client.example/" + "a" * 400, "400 characters at most"),
    ],
)
def test_what_the_portal_refuses(person: PortalUser, label: str, value: str, complaint: str) -> None:
    create(person, name="Taken")
    fill_in(person)
    person.fill(label, value)
    person.press("Create app")
    assert status(person) == 400
    assert person.text.count(complaint) == 2, "in the summary and at the field"
    assert person.read(label) == value
    assert person.read("Company or application URL") == (value if label.startswith("Company") else COMPANY)
    assert person.is_ticked(TERMS)
    person.open()
    assert NAME not in person.text


COMPANY = "https://electroland.example"


def test_without_the_terms_there_is_no_app(person: PortalUser) -> None:
    fill_in(person)
    person.tick(TERMS, on=False)
    person.press("Create app")
    assert (status(person), person.is_ticked(TERMS)) == (400, False)
    person.open()
    assert "You have no apps yet." in person.text


def test_an_unknown_integration_type_is_refused(person: PortalUser) -> None:
    fill_in(person)
    for kind in TYPES:
        person.tick(kind, on=False)
    person.press("Create app")
    assert status(person) == 400
    assert "Choose an Integration Type." in person.text


def test_everything_that_is_wrong_is_said_at_once(person: PortalUser) -> None:
    person.open("/app/manage/new")
    person.press("Create app")
    assert person.text.count("Enter the") == 6
    assert "Read the Terms & Conditions" in person.text


@pytest.mark.parametrize("redirect_uri", ["http://localhost:8080/cb", "http://127.0.0.1/cb", f" {REDIRECT_URI} "])
def test_redirect_uris_that_are_accepted(person: PortalUser, redirect_uri: str) -> None:
    create(person, redirect_uri=redirect_uri)
    assert person.read("Redirect URI") == redirect_uri.strip()


def test_details_can_be_changed(person: PortalUser) -> None:
    create(person)
    person.follow("App details")
    person.fill("App name", "Rapid auto 2")
    person.fill("Privacy policy URL", "https://electroland.example/privacy")
    person.press("Save")
    assert (person.read("App name"), status(person)) == ("Rapid auto 2", 200)
    assert "Saved." in person.text
    person.fill("App name", "")
    person.press("Save")
    assert (person.read("App name"), status(person)) == ("", 400)
    person.open()
    person.follow("Rapid auto 2")
    assert person.read("Privacy policy URL") == "https://electroland.example/privacy"


def test_a_notice_is_shown_once(person: PortalUser) -> None:
    create(person)
    person.press("Save")
    assert "Saved." in person.text
    person.follow("Configuration")
    assert "Saved." not in person.text


def test_apps_of_the_control_api_are_under_my_apps_too(person: PortalUser, control: Control) -> None:
    client_id = control("apps", {"integration_type": "web_app"}).json()["client_id"]
    person.open()
    person.follow(f"App {client_id[:8]}")
    person.follow("Configuration")
    assert person.read("Client ID") == client_id
    assert "Generate another secret" in person.buttons
