"""The pages as people see them: a real browser, without JavaScript, on a phone."""

from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, ViewportSize, expect

from local.chromium import chromium
from local.stack.journey import Journey, XeroApp

__all__ = ["chromium"]  # a fixture

pytestmark = pytest.mark.browser

PHONE: ViewportSize = {"width": 360, "height": 740}


@pytest.fixture
def context(chromium: Browser) -> Iterator[BrowserContext]:
    context = chromium.new_context(java_script_enabled=False, viewport=PHONE)
    context.set_default_timeout(30_000)
    yield context
    context.close()


@pytest.fixture
def app(journey: Journey) -> XeroApp:
    app = journey.create_app(organisations=["Demo Company (UK)", "Électro & <b>Land</b>"])
    journey.submit(app).raise_for_status()
    return app


def log_in(page: Page, connect_url: str) -> None:
    page.goto(connect_url)
    page.get_by_role("button", name="Log in").click()


def assert_readable(page: Page) -> None:
    """One heading, a language, no sideways scrolling on a phone, nothing from elsewhere."""
    expect(page.get_by_role("heading", level=1)).to_have_count(1)
    expect(page.get_by_role("main")).to_be_visible()
    expect(page.locator("html")).to_have_attribute("lang", "en")
    box = page.locator("main").bounding_box()
    assert box is not None
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= PHONE["width"]
    for link in page.get_by_role("link").all():
        target = link.bounding_box()
        assert target is not None
        assert target["height"] >= 40, "too small to tap"


def test_a_person_connects_an_organisation(journey: Journey, app: XeroApp, context: BrowserContext) -> None:
    page = context.new_page()
    foreign: list[str] = []
    log_in(page, journey.connect_url(app))
    page.get_by_label("Demo Company (UK)").uncheck()
    page.on("request", lambda request: foreign.append(request.url))
    page.get_by_role("button", name="Allow").click()
    expect(page.get_by_role("heading", name="Xero is connected")).to_be_visible()
    expect(page.get_by_role("listitem")).to_have_text(["Électro & <b>Land</b>"])
    assert_readable(page)
    ours = journey.stack.description.callback_url.removesuffix("oAuth2CallBack")
    assert all(url.startswith((ours, journey.stack.description.xero_url)) for url in foreign)

    page.reload()
    expect(page.get_by_role("listitem")).to_have_text(["Électro & <b>Land</b>"])
    assert journey.tokens(app)["generation"] == 1
    cookies = [cookie for cookie in context.cookies() if cookie["name"].startswith("__Host-connect-")]
    assert cookies
    for cookie in cookies:
        assert cookie["httpOnly"]
        assert cookie["secure"]
        assert cookie["sameSite"] == "Lax"
        assert cookie["path"] == "/"


def addresses(page: Page) -> list[str]:
    """What the back and forward buttons of this tab lead to."""
    history = page.context.new_cdp_session(page).send("Page.getNavigationHistory")
    return [entry["url"] for entry in history["entries"]]


def assert_nothing_is_left_behind(page: Page, callback_url: str, code_and_state: dict[str, list[str]]) -> None:
    """Neither the address bar nor the history of this tab holds the callback, a code, or a state on our host."""
    host = urlsplit(callback_url).netloc
    ours = [address for address in addresses(page) if urlsplit(address).netloc == host]
    assert ours
    assert page.url == ours[-1]
    assert all(urlsplit(address).path.rpartition("/")[0].endswith("/consent") for address in ours), ours
    assert not [address for address in ours if "?" in address]
    for secret in (code_and_state["code"][0], code_and_state["state"][0]):
        assert not any(secret in address for address in ours)
    # At Xero's own pages the state is Xero's affair. The code is nowhere.
    assert not any(code_and_state["code"][0] in address for address in addresses(page))


@pytest.mark.parametrize("outcome", ["connected", "refused"])
def test_neither_address_bar_nor_history_holds_a_code_or_a_state(
    journey: Journey, app: XeroApp, context: BrowserContext, outcome: str
) -> None:
    page = context.new_page()
    callbacks: list[str] = []
    callback_url = journey.stack.description.callback_url
    page.on("request", lambda request: callbacks.append(request.url) if "code=" in request.url else None)
    log_in(page, journey.connect_url(app))
    if outcome == "refused":
        journey.simulator("POST", "id_token", {"fault": "wrong_nonce", "times": 1})
    page.get_by_role("button", name="Allow").click()
    title = "Xero is connected" if outcome == "connected" else "This consent was not completed"
    expect(page.get_by_role("heading", name=title)).to_be_visible()
    assert_readable(page)
    (callback,) = callbacks
    assert callback.startswith(callback_url)
    brought = parse_qs(urlsplit(callback).query)
    assert_nothing_is_left_behind(page, callback_url, brought)

    # Back to Xero's page, and forward again: the page is where it was, and nothing was exchanged once more.
    page.go_back()
    assert page.url.startswith(journey.stack.description.xero_url)
    page.go_forward()
    expect(page.get_by_role("heading", name=title)).to_be_visible()
    assert_nothing_is_left_behind(page, callback_url, brought)
    assert len(callbacks) == 1

    # Who kept the callback's address and opens it later comes to the same page.
    here = page.url
    page.goto(callback)
    expect(page.get_by_role("heading", name=title)).to_be_visible()
    assert page.url == here
    assert_nothing_is_left_behind(page, callback_url, brought)


def test_a_code_that_brought_nothing_leads_to_another_try(
    journey: Journey, app: XeroApp, context: BrowserContext
) -> None:
    page = context.new_page()
    log_in(page, journey.connect_url(app))
    journey.simulator("POST", "id_token", {"fault": "wrong_nonce", "times": 1})
    page.get_by_role("button", name="Allow").click()
    expect(page.get_by_role("heading", name="This consent was not completed")).to_be_visible()
    page.get_by_role("link", name="Try again").click()
    page.get_by_role("button", name="Allow").click()
    expect(page.get_by_role("heading", name="Xero is connected")).to_be_visible()


def test_a_person_cancels_and_tries_again(journey: Journey, app: XeroApp, context: BrowserContext) -> None:
    page = context.new_page()
    log_in(page, journey.connect_url(app))
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("heading", name="Xero was not connected")).to_be_visible()
    assert_readable(page)
    page.get_by_role("link", name="Try again").click()
    page.get_by_role("button", name="Allow").click()
    expect(page.get_by_role("heading", name="Xero is connected")).to_be_visible()


def test_two_tabs_with_the_same_link_both_work(journey: Journey, app: XeroApp, context: BrowserContext) -> None:
    connect_url = journey.connect_url(app)
    first, second = context.new_page(), context.new_page()
    log_in(first, connect_url)
    second.goto(connect_url)
    first.get_by_role("button", name="Allow").click()
    expect(first.get_by_role("heading", name="Xero is connected")).to_be_visible()
    second.get_by_role("button", name="Allow").click()
    expect(second.get_by_role("heading", name="Xero is connected")).to_be_visible()
    first.reload()
    expect(first.get_by_role("heading", name="Xero was connected")).to_be_visible()
    expect(first.get_by_text("A later consent has taken its place.")).to_be_visible()
    assert_readable(first)


def test_the_page_of_a_consent_in_another_browser_shows_nothing(
    journey: Journey, app: XeroApp, chromium: Browser, context: BrowserContext
) -> None:
    page = context.new_page()
    log_in(page, journey.connect_url(app))
    page.get_by_role("button", name="Allow").click()
    expect(page.get_by_role("heading", name="Xero is connected")).to_be_visible()
    stranger = chromium.new_context(java_script_enabled=False, viewport=PHONE)
    try:
        theirs = stranger.new_page()
        theirs.goto(page.url)
        expect(theirs.get_by_role("heading", name="This page belongs to another browser")).to_be_visible()
        expect(theirs.get_by_role("listitem")).to_have_count(0)
        assert_readable(theirs)
    finally:
        stranger.close()


def test_a_made_up_link_says_what_to_do(journey: Journey, context: BrowserContext) -> None:
    page = context.new_page()
    base = journey.stack.description.callback_url.removesuffix("/oAuth2CallBack")
    page.goto(f"{base}/connect/{'A' * 43}")
    expect(page.get_by_role("heading", name="What to do")).to_be_visible()
    assert_readable(page)
