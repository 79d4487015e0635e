from collections.abc import Iterator

import pytest
import requests

from local.xero_simulator.portal_user import PortalUser
from local.xero_simulator.server import XeroSimulator
from local.xero_simulator.tests.oauth_client import OAuthClient, refusal
from local.xero_simulator.tests.portal import create, lookup_fails, status

SCOPES = ("accounting.invoices", "accounting.contacts")
OWNER = "ann@example.com"


@pytest.fixture
def ann(simulator: XeroSimulator) -> Iterator[PortalUser]:
    """Who may connect apps to the organisation."""
    with requests.Session() as session:
        person = PortalUser(session, simulator.url)
        person.log_in(OWNER)
        yield person


def ask_for(person: PortalUser, *scopes: str) -> None:
    for scope in scopes:
        person.tick(scope)
    person.fill("Authorising user", "Ann@Example.com ")
    person.press("Save and connect")


def allow(ann: PortalUser, organisation: str = "Electro Land") -> None:
    ann.open("/app/email")
    ann.follow("Open the link in this email: Rapid auto")
    ann.tick(organisation)
    ann.press("Allow access")


def connected(person: PortalUser, ann: PortalUser) -> OAuthClient:
    """Go the whole way to a Custom connection with a saved secret."""
    create(person, kind="Custom connection")
    ask_for(person, *SCOPES)
    allow(ann)
    person.follow("Configuration")
    client_id = person.read("Client ID")
    person.press("Generate a secret")
    client_secret = person.read("Client secret 1")
    person.press("Save")
    return OAuthClient(person.url, client_id, client_secret)


def test_from_nothing_to_a_token(person: PortalUser, ann: PortalUser) -> None:
    create(person, kind="Custom connection")
    lookup_fails(person, "Generate a secret")
    ask_for(person, *SCOPES)
    assert "Not connected: waits for ann@example.com" in person.text
    lookup_fails(person, "Generate a secret")
    ann.open("/app/email")
    ann.follow("Open the link in this email: Rapid auto")
    assert "accounting.contacts accounting.invoices" in ann.text
    assert "alex@example.com" in ann.text
    ann.tick("Electro Land")
    ann.press("Allow access")
    assert "There is no email." in ann.text
    person.follow("Configuration")
    assert "Connected to Electro Land, authorised by ann@example.com." in person.text
    client_id = person.read("Client ID")
    person.press("Generate a secret")
    client_secret = person.read("Client secret 1")
    person.press("Save")
    client = OAuthClient(person.url, client_id, client_secret)
    token = client.post_token(grant_type="client_credentials").json()
    assert token["scope"].split() == sorted(SCOPES)
    (connection,) = client.connections(token["access_token"]).json()
    assert connection["tenantName"] == "Electro Land"


def test_saving_a_secret_leaves_the_connection_active(person: PortalUser, ann: PortalUser) -> None:
    client = connected(person, ann)
    person.press("Save")
    assert client.post_token(grant_type="client_credentials").status_code == 200


def test_after_a_change_of_scopes_it_is_inactive_until_authorised_again(
    person: PortalUser, ann: PortalUser
) -> None:
    client = connected(person, ann)
    person.tick("accounting.payments")
    person.press("Save")
    assert refusal(client.post_token(grant_type="client_credentials")) == "invalid_client"
    assert "Not connected" in person.text
    allow(ann, "Demo Company (UK)")
    token = client.post_token(grant_type="client_credentials").json()
    assert "accounting.payments" in token["scope"]
    (connection,) = client.connections(token["access_token"]).json()
    assert connection["tenantName"] == "Demo Company (UK)"


def test_an_invitation_is_for_the_user_whom_it_names(person: PortalUser, ann: PortalUser) -> None:
    create(person, kind="Custom connection")
    ask_for(person, *SCOPES)
    ann.open("/app/email")
    ann.follow("Open the link in this email: Rapid auto")
    assert ann.response is not None
    link = ann.response.url
    person.open(link)
    assert status(person) == 404
    person.open("/app/email")
    assert "There is no email." in person.text


def test_cancel_leaves_the_invitation_open(person: PortalUser, ann: PortalUser) -> None:
    create(person, kind="Custom connection")
    ask_for(person, *SCOPES)
    ann.open("/app/email")
    ann.follow("Open the link in this email: Rapid auto")
    ann.press("Cancel")
    allow(ann)
    person.follow("Configuration")
    assert "Connected to Electro Land" in person.text


def test_an_invitation_can_be_used_once(person: PortalUser, ann: PortalUser) -> None:
    create(person, kind="Custom connection")
    ask_for(person, *SCOPES)
    ann.open("/app/email")
    ann.follow("Open the link in this email: Rapid auto")
    assert ann.response is not None
    page = ann.response
    allow(ann)
    ann.see(page)
    ann.tick("Demo Company (UK)")
    ann.press("Allow access")
    assert status(ann) == 404
    person.follow("Configuration")
    assert "Connected to Electro Land" in person.text


def test_an_organisation_has_to_be_chosen(person: PortalUser, ann: PortalUser) -> None:
    create(person, kind="Custom connection")
    ask_for(person, *SCOPES)
    ann.open("/app/email")
    ann.follow("Open the link in this email: Rapid auto")
    ann.press("Allow access")
    assert status(ann) == 400
    assert ann.text.count("Choose an organisation.") == 2


def test_scopes_and_a_user_are_needed(person: PortalUser) -> None:
    create(person, kind="Custom connection")
    person.fill("Authorising user", "nobody")
    person.press("Save and connect")
    assert status(person) == 400
    assert person.text.count("Choose at least one scope from the list.") == 2
    assert person.text.count("Enter an email address") == 2
    assert person.read("Authorising user") == "nobody"


def test_a_redirect_uri_is_ignored(person: PortalUser) -> None:
    create(person, kind="Custom connection", redirect_uri="nonsense")
    assert "Redirect URI" not in person.text


def test_no_secret_before_the_authorisation_from_a_made_up_form(person: PortalUser) -> None:
    create(person, kind="Custom connection")
    person.add_button("generate-secret")
    person.press("generate-secret")
    assert status(person) == 400
    assert "The authorising user has to authorise the app first." in person.text
