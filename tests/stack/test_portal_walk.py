"""From nothing to connected: the pair comes out of the simulator's developer portal, as a customer's does."""

from uuid import uuid4

import pytest

from local.stack.journey import Journey, XeroApp
from local.xero_simulator.portal_user import PortalUser

pytestmark = pytest.mark.stack

TERMS = "I have read and agree to the Xero Developer Platform Terms & Conditions"


@pytest.fixture
def customer(journey: Journey) -> PortalUser:
    """A customer who has generated a secret for a new Web app, and not saved it yet."""
    description = journey.stack.description
    person = PortalUser(journey.stack.browser(), description.xero_url)
    person.open(description.portal_url)
    person.press("Log in")
    person.follow("New app")
    person.fill("App name", f"Rapid auto {uuid4()}")
    person.fill("Company or application URL", "https://electroland.example")
    person.fill("Redirect URI", description.callback_url)
    person.tick(TERMS)
    person.press("Create app")
    person.follow("Configuration")
    person.press("Generate a secret")
    return person


def pair(person: PortalUser) -> XeroApp:
    return XeroApp(person.read("Client ID"), person.read("Client secret 1"))


def test_a_pair_that_was_not_saved_is_refused(journey: Journey, customer: PortalUser) -> None:
    answer = journey.submit(pair(customer))
    assert answer.status_code == 422
    assert answer.json()["code"] == "invalid_client"


def test_a_saved_pair_leads_to_connected(journey: Journey, customer: PortalUser) -> None:
    app = pair(customer)
    customer.press("Save")
    assert "Xero is connected" in journey.connect(app).text
    assert journey.credential(app)["status"] == "connected"
