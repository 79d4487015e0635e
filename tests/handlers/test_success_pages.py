"""What a Xero user meets when all goes well, and the button that leads back to the console."""

import re
from base64 import b64encode
from dataclasses import dataclass, field, replace
from hashlib import sha256
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from tests.fakes.world import CLIENT_ID, SETTINGS, World
from tests.fakes.xero import DEMO_COMPANY
from tests.handlers.conftest import Event, Invoke, sample_event
from xero_connector.application import Application
from xero_connector.domain.errors import StoreUnavailable
from xero_connector.web.consent_pages import REDIRECT_HEADERS

CONSOLE = "https://console.oneenterprise.com/connections?from=xero&tab=1"
BUTTON = re.compile(
    r'<a class="button(?: main)?" href="https://console\.oneenterprise\.com/connections\?from=xero&amp;tab=1">'
    "Back to OneEnterprise</a>"
)
CODE = "code-of-this-consent"


@dataclass
class Visitor:
    """A Xero user's browser at the pages of the product."""

    world: World
    invoke: Invoke
    cookies: list[str] = field(default_factory=list)
    state: str = ""

    def open(self, ticket: str | None = None) -> dict[str, Any]:
        """Open a connect link, a fresh one unless a ticket is given."""
        if ticket is None:
            ticket = self.world.app.create_connect_link(CLIENT_ID, by="admin").connect_url.rsplit("/", 1)[1]
        event = sample_event("oauth_callback/connect")
        event |= {"path": f"/connect/{ticket}", "pathParameters": {"ticket": ticket}}
        answer = self.invoke("oauth_callback", self._with_cookies(event))
        headers = answer["multiValueHeaders"]
        self.cookies = [cookie.partition(";")[0] for cookie in headers.get("Set-Cookie", [])]
        if "Location" in headers:
            self.state = dict(parse_qsl(urlsplit(headers["Location"][0]).query))["state"]
        return answer

    def come_back(self, **parameters: str) -> dict[str, Any]:
        """Come back from Xero, with a good code unless the parameters say otherwise."""
        query = {"state": self.state, **(parameters or {"code": CODE})}
        event = sample_event("oauth_callback/callback") | {
            "queryStringParameters": query,
            "multiValueQueryStringParameters": {name: [value] for name, value in query.items()},
        }
        answer = self.invoke("oauth_callback", self._with_cookies(event))
        if answer["statusCode"] != HTTPStatus.SEE_OTHER:
            return answer
        return self.look(answer["multiValueHeaders"]["Location"][0].removeprefix("consent/"))

    def look(self, consent_id: str) -> dict[str, Any]:
        """Open the page of a consent."""
        event = sample_event("oauth_callback/consent")
        event |= {"path": f"/consent/{consent_id}", "pathParameters": {"consent_id": consent_id}}
        return self.invoke("oauth_callback", self._with_cookies(event))

    def _with_cookies(self, event: Event) -> Event:
        return event | {"headers": {}, "multiValueHeaders": {"Cookie": self.cookies}}


@pytest.fixture
def visitor(world: World, invoke: Invoke) -> Visitor:
    world.submit()
    world.xero.codes.add(CODE)
    return Visitor(world, invoke)


@pytest.fixture
def console(world: World) -> None:
    """A deployment whose parameter ConsoleUrl is set."""
    world.app = Application(world.ports, replace(SETTINGS, console_url=CONSOLE))


def success(answer: dict[str, Any]) -> str:
    """The body of a page of success, which asks nothing more of its reader."""
    assert answer["statusCode"] == HTTPStatus.OK
    body: str = answer["body"]
    assert '<main id="main" class="bad"' not in body
    assert "You can close this page." in body
    assert "What to do" not in body
    assert "Try again" not in body
    return body


def title_of(body: str) -> str:
    (heading,) = re.findall(r"<h1>(.*)</h1>", body)
    assert f"<title>{heading} | OneEnterprise</title>" in body
    return str(heading)


def break_the_vault(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise StoreUnavailable("PutSecretValue", "ThrottlingException")

    monkeypatch.setattr(world.vault, "put_tokens", refuse)


# The connect link


def test_a_connect_link_leads_to_xero_at_once_and_shows_no_page(visitor: Visitor) -> None:
    answer = visitor.open()
    assert (answer["statusCode"], answer["body"]) == (HTTPStatus.FOUND, "")
    assert answer["multiValueHeaders"]["Location"][0].startswith("https://login.xero.test/authorize?")


def test_the_way_to_xero_has_every_protection_that_a_page_has(visitor: Visitor) -> None:
    headers = visitor.open()["multiValueHeaders"]
    assert {name: headers[name] for name in REDIRECT_HEADERS} == {
        name: [value] for name, value in REDIRECT_HEADERS.items()
    }


def test_a_connect_link_can_be_opened_again_after_a_cancelled_consent(visitor: Visitor) -> None:
    visitor.open()
    refusal = visitor.come_back(error="access_denied")
    (ticket,) = re.findall(r'href="connect/([^"]+)">Try again', refusal["body"])
    visitor.open(ticket)
    assert title_of(success(visitor.come_back())) == "Xero is connected"


# After a consent


def test_a_consent_ends_on_a_page_that_names_the_organisations_in_xero_s_order(visitor: Visitor) -> None:
    visitor.open()
    body = success(visitor.come_back())
    assert title_of(body) == "Xero is connected"
    assert "OneEnterprise can now work with:" in body
    assert re.findall(r"<li>.*?<bdi>(.*?)</bdi></li>", body) == ["Demo Company (UK)", "Electro Land"]


def test_one_organisation_is_named_too(world: World, visitor: Visitor) -> None:
    world.xero.organisations = (DEMO_COMPANY,)
    visitor.open()
    assert re.findall(r"<li>.*?<bdi>(.*?)</bdi></li>", success(visitor.come_back())) == ["Demo Company (UK)"]


def test_a_consent_without_an_organisation_says_how_to_add_one(world: World, visitor: Visitor) -> None:
    world.xero.organisations = ()
    visitor.open()
    answer = visitor.come_back()
    body = answer["body"]
    assert answer["statusCode"] == HTTPStatus.OK
    assert title_of(body) == "No organisation was chosen"
    assert "Xero allowed the connection" in body
    assert "Open the connect link again" in body
    assert "<li>" not in body


def test_organisations_that_xero_did_not_list_are_announced(world: World, visitor: Visitor) -> None:
    world.xero.connections_down = True
    visitor.open()
    body = success(visitor.come_back())
    assert title_of(body) == "Xero is connected"
    assert "has not listed your organisations yet" in body
    assert "within half an hour" in body
    assert "no organisation was chosen" not in body


def test_tokens_that_the_vault_does_not_take_yet_are_a_consent_that_has_arrived(
    world: World, visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_the_vault(world, monkeypatch)
    visitor.open()
    body = success(visitor.come_back())
    assert title_of(body) == "Your consent has arrived"
    assert "complete within a few minutes" in body
    assert "OneEnterprise can now work with" not in body
    assert "<li>" not in body
    assert world.credential().parked is not None


def test_a_page_that_is_loaded_again_says_what_has_become_of_the_consent(
    world: World, visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as outage:
        break_the_vault(world, outage)
        visitor.open()
        assert title_of(success(visitor.come_back())) == "Your consent has arrived"
    world.sweep_when_due()
    body = success(visitor.come_back())
    assert title_of(body) == "Xero is connected"
    assert "Electro Land" in body


def test_a_page_of_success_gives_the_request_s_id_as_its_reference(visitor: Visitor) -> None:
    visitor.open()
    body = success(visitor.come_back())
    request_id = sample_event("oauth_callback/callback")["requestContext"]["requestId"]
    assert f"<p>Reference: {request_id}</p>" in body


def test_the_only_style_that_a_page_allows_is_its_own(visitor: Visitor) -> None:
    visitor.open()
    answer = visitor.come_back()
    (style,) = re.findall(r"<style>(.*)</style>", answer["body"], re.DOTALL)
    digest = b64encode(sha256(style.encode()).digest()).decode()
    (policy,) = answer["multiValueHeaders"]["Content-Security-Policy"]
    assert f"style-src 'sha256-{digest}';" in policy


# The way back to the console


@pytest.mark.usefixtures("console")
def test_a_page_of_success_leads_back_to_the_console(visitor: Visitor) -> None:
    visitor.open()
    assert len(BUTTON.findall(success(visitor.come_back()))) == 1


@pytest.mark.usefixtures("console")
def test_a_page_of_success_leads_back_to_the_console_whatever_it_says(
    world: World, visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.xero.connections_down = True
    visitor.open()
    assert BUTTON.search(success(visitor.come_back()))
    break_the_vault(world, monkeypatch)
    world.xero.codes.add(CODE)
    visitor.open()
    assert BUTTON.search(success(visitor.come_back()))


@pytest.mark.usefixtures("console")
def test_a_refusal_offers_another_try_first_and_the_console_second(visitor: Visitor) -> None:
    visitor.open()
    body = visitor.come_back(error="access_denied")["body"]
    (button,) = BUTTON.finditer(body)
    assert 0 < body.index("Try again") < button.start()


@pytest.mark.usefixtures("console")
@pytest.mark.parametrize("ticket", ["A" * 43, "A" * 43 + '"'], ids=["unknown", "mangled"])
def test_a_link_that_cannot_be_used_leads_back_to_the_console(visitor: Visitor, ticket: str) -> None:
    answer = visitor.open(ticket)
    assert answer["statusCode"] == HTTPStatus.NOT_FOUND
    assert BUTTON.search(answer["body"])


@pytest.mark.usefixtures("console")
def test_an_outage_leads_back_to_the_console(
    world: World, visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def down(_: str) -> None:
        raise StoreUnavailable("GetItem", "ServiceUnavailable")

    visitor.open()
    monkeypatch.setattr(world.registry, "get", down)
    answer = visitor.come_back()
    assert answer["statusCode"] == HTTPStatus.SERVICE_UNAVAILABLE
    assert BUTTON.search(answer["body"])


def test_without_a_console_no_page_has_a_button_for_it(visitor: Visitor) -> None:
    visitor.open()
    pages = [visitor.come_back(error="access_denied")["body"]]
    visitor.open()
    pages.append(success(visitor.come_back()))
    for body in pages:
        assert "Back to OneEnterprise" not in body
        assert "None" not in body


@pytest.mark.usefixtures("console")
def test_no_request_chooses_where_the_button_leads(visitor: Visitor) -> None:
    visitor.open()
    body = success(
        visitor.come_back(code=CODE, console_url="https://elsewhere.test/", return_to="https://elsewhere.test/")
    )
    assert BUTTON.search(body)
    assert "elsewhere.test" not in body
