"""The portal as people see it: a real browser, by keyboard alone, without JavaScript, on a narrow phone."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Locator, Page, ViewportSize, expect

from local.chromium import chromium
from local.xero_simulator.server import XeroSimulator
from local.xero_simulator.tests.oauth_client import REDIRECT_URI
from local.xero_simulator.tests.portal import NAME, TERMS, works

__all__ = ["chromium"]  # a fixture

pytestmark = pytest.mark.browser

PHONE: ViewportSize = {"width": 320, "height": 640}
MOST_TABS = 60


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    context = chromium.new_context(java_script_enabled=False, viewport=PHONE)
    context.set_default_timeout(30_000)
    yield context.new_page()
    context.close()


def tab_to(page: Page, control: Locator) -> None:
    """Press Tab until the control has the focus."""
    expect(control).to_have_count(1)
    focused = control.and_(page.locator(":focus"))
    for _ in range(MOST_TABS):
        if focused.count():
            return
        page.keyboard.press("Tab")
    pytest.fail(f"the keyboard does not reach {control}")


def type_into(page: Page, label: str, text: str) -> None:
    tab_to(page, page.get_by_label(label, exact=True))
    page.keyboard.press("Control+A")
    page.keyboard.type(text)


def press(page: Page, words: str) -> None:
    tab_to(page, page.get_by_role("button", name=words, exact=True))
    page.keyboard.press("Enter")


def follow(page: Page, words: str) -> None:
    tab_to(page, page.get_by_role("link", name=words, exact=True))
    page.keyboard.press("Enter")


def assert_fits(page: Page, heading: str) -> None:
    """The page that is meant, with one heading, and nothing wider than the phone."""
    expect(page.get_by_role("heading", level=1)).to_have_text(heading)
    for control in page.locator("a, button, input, textarea, label, p, table").all():
        box = control.bounding_box()
        if box is not None and control.is_visible() and box["x"] > -PHONE["width"]:
            assert box["x"] >= 0
            assert box["x"] + box["width"] <= PHONE["width"]


def test_by_keyboard_from_nothing_to_a_pair_that_works(simulator: XeroSimulator, page: Page) -> None:
    requested: list[str] = []
    page.on("request", lambda request: requested.append(request.url))
    page.goto(f"{simulator.url}/app/manage")
    assert_fits(page, "Log in to your Xero developer account")
    press(page, "Log in")
    assert_fits(page, "My Apps")
    follow(page, "New app")
    assert_fits(page, "New app")
    press(page, "Create app")
    expect(page.get_by_role("alert")).to_contain_text("Enter the Redirect URI.")
    assert_fits(page, "New app")
    follow(page, "Enter the App name.")
    expect(page.get_by_label("App name")).to_be_focused()
    page.keyboard.type(NAME)
    expect(page.get_by_label("Web app")).to_be_checked()
    type_into(page, "Company or application URL", "https://electroland.example")
    type_into(page, "Redirect URI", REDIRECT_URI)
    tab_to(page, page.get_by_label(TERMS))
    page.keyboard.press("Space")
    press(page, "Create app")
    assert_fits(page, "App details")
    follow(page, "Configuration")
    assert_fits(page, "Configuration")
    client_id = page.get_by_label("Client ID", exact=True).input_value()
    press(page, "Generate a secret")
    assert_fits(page, "Configuration")
    client_secret = page.get_by_label("Client secret 1", exact=True).input_value()
    assert not works(simulator, client_id, client_secret)
    # Enter in a field saves, whatever buttons stand before Save.
    tab_to(page, page.get_by_label("Redirect URI", exact=True))
    page.keyboard.press("Enter")
    expect(page.get_by_role("status").get_by_text("Saved.")).to_be_visible()
    assert_fits(page, "Configuration")
    assert works(simulator, client_id, client_secret)
    press(page, "Delete client secret 1")
    expect(page.get_by_label("Client secret 1", exact=True)).to_have_count(0)
    assert not works(simulator, client_id, client_secret)
    assert requested
    assert all(url.startswith(simulator.url) for url in requested)


def test_with_javascript_the_copy_buttons_work(simulator: XeroSimulator, chromium: Browser) -> None:
    client_id, _ = simulator.identity_server.register_app()
    context = chromium.new_context(permissions=["clipboard-read", "clipboard-write"])
    try:
        page = context.new_page()
        complaints: list[str] = []
        page.on("console", lambda message: complaints.append(message.text))
        page.goto(f"{simulator.url}/app/manage/app/{client_id}/configuration")
        page.get_by_role("button", name="Log in").click()
        page.get_by_role("button", name="Copy Client ID").click()
        expect(page.get_by_text("Copied.")).to_be_visible()
        assert page.evaluate("navigator.clipboard.readText()") == client_id
        assert complaints == []
    finally:
        context.close()
