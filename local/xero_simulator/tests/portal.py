"""Steps at the portal that many tests begin with."""

import pytest

from local.xero_simulator.portal_user import PortalUser
from local.xero_simulator.server import XeroSimulator
from local.xero_simulator.tests.oauth_client import REDIRECT_URI, OAuthClient, refusal

TERMS = "I have read and agree to the Xero Developer Platform Terms & Conditions"
NAME = "Rapid auto"


def fill_in(
    person: PortalUser, *, name: str = NAME, kind: str = "Web app", redirect_uri: str = REDIRECT_URI
) -> None:
    """Fill in the form "New app", as the customer guide says."""
    person.open()
    person.follow("New app")
    person.fill("App name", name)
    person.tick(kind)
    person.fill("Company or application URL", "https://electroland.example")
    person.fill("Redirect URI", redirect_uri)
    person.tick(TERMS)


def create(person: PortalUser, **fields: str) -> None:
    """Create an app and open its Configuration."""
    fill_in(person, **fields)
    person.press("Create app")
    assert person.heading == "App details", person.text
    person.follow("Configuration")


def status(person: PortalUser) -> int:
    assert person.response is not None
    return person.response.status_code


def works(simulator: XeroSimulator, client_id: str, client_secret: str) -> bool:
    """Tell whether the token endpoint knows a Web app's pair."""
    error = refusal(OAuthClient(simulator.url, client_id, client_secret).exchange("bogus"))
    assert error in {"invalid_grant", "invalid_client"}
    return error == "invalid_grant"


def lookup_fails(person: PortalUser, button: str) -> None:
    with pytest.raises(LookupError, match="0 buttons"):
        person.press(button)
