"""The guide of the setup page, followed word by word at the simulator's developer portal.

The portal is modelled on Xero's. A step whose control is not there is a `LookupError`.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest
import requests

from local.xero_simulator.portal_user import PortalUser
from local.xero_simulator.server import XeroSimulator
from xero_connector.web.pages.catalogue import SHIPPED
from xero_connector.web.pages.guide import Action, Route, Verb, steps

REDIRECT_URI = "https://cloudmanager.oneenterprise.com/oAuth2CallBack"
SCOPES = ("accounting.invoices", "accounting.contacts")
APP = "OneEnterprise"
AUTHORISING_USER = "authorising_user"


@pytest.fixture
def simulator() -> Iterator[XeroSimulator]:
    with XeroSimulator() as running:
        yield running


@pytest.fixture
def reader(simulator: XeroSimulator) -> Iterator["Reader"]:
    with requests.Session() as session, requests.Session() as another:
        yield Reader(PortalUser(session, simulator.url), PortalUser(another, simulator.url))


@dataclass
class Reader:
    """Somebody who does what the guide says; the user whom they name is another person."""

    person: PortalUser
    colleague: PortalUser
    noted: dict[str, str] = field(default_factory=dict)

    def follow(self, route: Route) -> None:
        """Do every action of a route in its order."""
        for step in steps(SHIPPED.open("en"), route, redirect_uri=REDIRECT_URI, scopes=SCOPES):
            if step.by == AUTHORISING_USER:
                self._have_it_allowed(step.actions)
                continue
            for action in step.actions:
                self._do(action)

    def _do(self, action: Action) -> None:
        person, control = self.person, action.control
        match action.verb:
            case Verb.VISIT:
                person.open()
            case Verb.OPEN:
                person.follow(control)
                self._open_the_app_if_told(action)
            case Verb.PRESS:
                press(person, control)
            case Verb.FILL:
                person.fill(control, action.values[0] if action.values else str(action.example))
            case Verb.CHOOSE | Verb.TICK:
                person.tick(control)
            case Verb.TICK_EACH:
                for one in action.values:
                    person.tick(one)
            case Verb.READ:
                self.noted[action.key] = person.read(control)

    def _open_the_app_if_told(self, action: Action) -> None:
        """My Apps shows all of them: whoever has an app is told to open it there."""
        if action.key == "my_apps" and APP in self.person.text:
            self.person.follow(APP)

    def _have_it_allowed(self, actions: tuple[Action, ...]) -> None:
        self.colleague.log_in("ann@example.com")
        self.colleague.open("/app/email")
        self.colleague.follow(f"Open the link in this email: {APP}")
        self.colleague.tick("Electro Land")
        for action in actions:
            press(self.colleague, action.control)


def press(person: PortalUser, control: str) -> None:
    """Press a button, or a link that looks like one."""
    doing: Callable[[str], None] = person.press if control in person.buttons else person.follow
    doing(control)


def accepted(simulator: XeroSimulator, client_id: str, client_secret: str, **asked: str) -> str:
    """What Xero's token endpoint says about a pair."""
    answer = requests.post(
        f"{simulator.url}/connect/token", data=asked, auth=(client_id, client_secret), timeout=10
    ).json()
    return str(answer.get("error", "token"))


def test_the_guide_leads_from_nothing_to_a_pair_that_works(simulator: XeroSimulator, reader: Reader) -> None:
    reader.follow(Route.WEB_APP)
    asked = {"grant_type": "authorization_code", "code": "x", "redirect_uri": REDIRECT_URI}
    pair = (reader.noted["client_id"], reader.noted["client_secret"])
    assert accepted(simulator, *pair, **asked) == "invalid_grant"
    assert accepted(simulator, pair[0], "another", **asked) == "invalid_client"


def test_the_guide_of_a_custom_connection_leads_to_a_token(simulator: XeroSimulator, reader: Reader) -> None:
    reader.follow(Route.CUSTOM_CONNECTION)
    pair = (reader.noted["client_id"], reader.noted["client_secret"])
    assert accepted(simulator, *pair, grant_type="client_credentials") == "token"


def test_the_guide_to_a_new_secret_leads_to_one_that_works(simulator: XeroSimulator, reader: Reader) -> None:
    reader.follow(Route.WEB_APP)
    reader.person.press("Log out")
    reader.follow(Route.SECRET)
    asked = {"grant_type": "authorization_code", "code": "x", "redirect_uri": REDIRECT_URI}
    pair = (reader.noted["client_id"], reader.noted["another_client_secret"])
    assert accepted(simulator, *pair, **asked) == "invalid_grant"


def test_the_guide_corrects_a_redirect_uri(reader: Reader) -> None:
    reader.follow(Route.WEB_APP)
    reader.person.fill("Redirect URI", "https://elsewhere.example/callback")
    reader.person.press("Save")
    reader.follow(Route.REDIRECT_URI)
    assert reader.person.read("Redirect URI") == REDIRECT_URI
