"""A customer with a keyboard and two windows, the setup page and Xero's portal, who does what the page says."""

import re
from dataclasses import dataclass, field
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from playwright.sync_api import BrowserContext, ConsoleMessage, Locator, Page, expect

from local.stack.description import StackDescription
from tests.browser.test_page_design import tab_to
from xero_connector.web.pages.catalogue import SHIPPED
from xero_connector.web.pages.guide import Action, Route, Step, Verb, steps

ENGLISH = SHIPPED.open("en")
APP = "OneEnterprise"
AUTHORISING_USER = "authorising_user"
_WITHOUT_A_SECRET = {"generate_another": "generate", "another_client_secret": "client_secret"}


@dataclass
class Watched:
    """What a browser asks for, and what it complains about on our pages."""

    ours: str
    allowed: tuple[str, ...]
    foreign: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    callbacks: list[str] = field(default_factory=list)

    def watch(self, page: Page) -> Page:
        page.on("request", lambda request: self._note(request.url))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", self._hear)
        return page

    def _hear(self, message: ConsoleMessage) -> None:
        # The simulator's pages have no icon of their own, and that is its own affair.
        if message.type in {"error", "warning"} and message.location["url"].startswith(self.ours):
            self.complaints.append(message.text)

    def _note(self, url: str) -> None:
        if not url.startswith(self.allowed):
            self.foreign.append(url)
        if url.startswith(f"{self.ours}/oAuth2CallBack"):
            self.callbacks.append(url)


class Customer:
    """Reads the guide on the setup page, and does each action at the portal, by keyboard alone.

    What is to be entered is read from the page, as a customer copies it. A control that the guide names and the
    portal does not have fails the test.
    """

    def __init__(self, context: BrowserContext, description: StackDescription) -> None:
        self._portal_url = description.portal_url
        self.address = urlsplit(description.callback_url)
        ours = f"{self.address.scheme}://{self.address.netloc}"
        self.watched = Watched(ours, (ours, description.xero_url, "data:"))
        self.setup = self.watched.watch(context.new_page())
        self.portal = self.watched.watch(context.new_page())
        another = uuid4().hex[:8]
        self.email = f"alex-{another}@example.com"
        self.app_name = f"{APP} {another}"
        self.colleague = f"ann-{another}@example.com"
        self.enters: dict[str, str] = {}
        """Instead of what the guide says, by the key of the control: a mistake."""
        self.noted: dict[str, str] = {}

    # --- the guide ---

    def follow(self, route: Route, *, within: Locator | None = None) -> None:
        """Do every step of a route that the setup page shows, in its order."""
        shown = within if within is not None else self.setup.locator("ol.steps > li.step")
        told = steps(ENGLISH, route, redirect_uri="", scopes=())
        if within is None:
            expect(shown).to_have_count(len(told))
        for number, step in enumerate(told):
            self._do(step, shown.nth(number))

    def _do(self, step: Step, shown: Locator) -> None:
        if step.by == AUTHORISING_USER:
            self._have_it_allowed(step)
            return
        said = shown.locator("ol.doing > li")
        expect(said).to_have_count(len(step.actions))
        for action, sentence in zip(step.actions, said.all(), strict=True):
            named = sentence.locator("p").first.locator(".control, a[target=_blank]").last
            expect(named).to_have_text(action.control)
            self._act(action, sentence)

    def _act(self, action: Action, sentence: Locator) -> None:
        match action.verb:
            case Verb.VISIT:
                self.portal.goto(self._portal_url)
            case Verb.OPEN:
                self._open(action)
            case Verb.PRESS:
                self.press(self.portal, self._there(action))
            case Verb.FILL:
                self.type_into(self.portal, action.control, self._value(action, sentence))
            case Verb.CHOOSE | Verb.TICK:
                self.tick(self.portal, action.control)
            case Verb.TICK_EACH:
                for one in _copied(sentence).splitlines():
                    self.tick(self.portal, one)
            case Verb.READ:
                self.noted[action.key] = self.portal.get_by_label(_whole(self._there(action))).input_value()

    def _there(self, action: Action) -> str:
        """Return the name of a control; the guide says which other one is there if an app has no secret left."""
        instead = _WITHOUT_A_SECRET.get(action.key)
        if instead is None:
            return action.control
        name = _whole(action.control)
        there = self.portal.get_by_role("button", name=name).or_(self.portal.get_by_label(name))
        return action.control if there.count() else ENGLISH.text(f"controls.{instead}")

    def _value(self, action: Action, sentence: Locator) -> str:
        own = {"email_address": self.email, "authorising_user": self.colleague}
        if action.key in self.enters:
            return self.enters[action.key]
        if action.key in own:
            return own[action.key]
        if action.example is not None:
            return action.example
        # The name of an app is taken once there is one of this name at Xero.
        return self.app_name if action.key == "app_name" else _copied(sentence)

    def _open(self, action: Action) -> None:
        self.follow_link(self.portal, action.control)
        theirs = self.portal.get_by_role("link", name=_whole(self.app_name))
        if action.key == "my_apps" and theirs.count():
            self.follow_link(self.portal, self.app_name)

    def _have_it_allowed(self, step: Step) -> None:
        """Let the colleague do it, whose email it is."""
        self.press(self.portal, "Log out")
        self.portal.goto(self._portal_url)
        self.type_into(self.portal, "Email address", self.colleague)
        self.press(self.portal, "Log in")
        self.follow_link(self.portal, "Email")
        expect(self.portal.get_by_role("article")).to_contain_text(self.app_name)
        tab_to(self.portal, self.portal.get_by_role("link", name="Open the link in this email"))
        with self.portal.expect_navigation():
            self.portal.keyboard.press("Enter")
        self.tick(self.portal, "Electro Land")
        for action in step.actions:
            self.press(self.portal, action.control)
        self.press(self.portal, "Log out")
        self.portal.goto(self._portal_url)
        self.type_into(self.portal, "Email address", self.email)
        self.press(self.portal, "Log in")
        self.follow_link(self.portal, self.app_name)

    # --- the form ---

    def hand_over(self, client_id: str | None, client_secret: str, *, integration_type: str | None = None) -> None:
        """Fill in the form by keyboard and send it; None leaves a field as it is."""
        if integration_type is not None:
            self.tick(self.setup, integration_type)
        if client_id is not None:
            self.type_into(self.setup, "Client Identifier", client_id)
        self.type_into(self.setup, "Client Secret", client_secret)
        self.press(self.setup, "Check with Xero")

    def allow(self, decision: str = "Allow access") -> None:
        """Log in at Xero if asked, and decide there."""
        log_in = self.setup.get_by_role("button", name="Log in")
        expect(log_in.or_(self.setup.get_by_role("button", name=decision))).to_be_visible()
        if log_in.count():
            self.press(self.setup, "Log in")
        expect(self.setup.get_by_role("button", name=decision)).to_be_visible()
        self.press(self.setup, decision)

    # --- the keyboard ---

    def press(self, page: Page, words: str) -> None:
        """Press a button, or a link that looks like one."""
        name = _whole(words)
        button = page.get_by_role("button", name=name)
        tab_to(page, button if button.count() else page.get_by_role("link", name=name).first)
        with page.expect_navigation():
            page.keyboard.press("Enter")

    def follow_link(self, page: Page, words: str) -> None:
        tab_to(page, page.get_by_role("link", name=_whole(words)).first)
        with page.expect_navigation():
            page.keyboard.press("Enter")

    def type_into(self, page: Page, label: str, text: str) -> None:
        tab_to(page, page.get_by_label(_whole(label)))
        page.keyboard.press("Control+A")
        page.keyboard.type(text)

    def tick(self, page: Page, label: str) -> None:
        """Tick a box or choose a radio button: Tab reaches a group of these at the one that is chosen."""
        control = page.get_by_role("radio", name=_whole(label)).or_(
            page.get_by_role("checkbox", name=_whole(label))
        )
        expect(control).to_have_count(1)
        if control.is_checked():
            return
        if control.get_attribute("type") == "checkbox":
            tab_to(page, control)
            page.keyboard.press("Space")
        else:
            self._choose(page, control)
        expect(control).to_be_checked()

    @staticmethod
    def _choose(page: Page, control: Locator) -> None:
        group = page.locator(f'input[name="{control.get_attribute("name")}"]')
        chosen = group.and_(page.locator(":checked"))
        if not chosen.count():
            tab_to(page, group.first)
            page.keyboard.press("Space")
        else:
            tab_to(page, chosen)
        for _ in range(group.count()):
            if control.is_checked():
                return
            page.keyboard.press("ArrowDown")
        pytest.fail(f"the keyboard does not choose {control}")


def _copied(sentence: Locator) -> str:
    return sentence.locator(".copyable textarea").input_value()


def _whole(words: str) -> re.Pattern[str]:
    """Guides and pages differ in the case of letters."""
    return re.compile(rf"^\s*{re.escape(words)}\s*$", re.IGNORECASE)
