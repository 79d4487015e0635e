"""From a setup link to connected, in a real browser, over TLS, at the address that customers register at Xero."""

from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, ViewportSize, expect

from local.chromium import started
from local.stack.journey import Journey, XeroApp
from local.stack.local_stack import LocalStack
from tests.browser.customer import Customer
from tests.browser.test_page_design import problems_of_axe, tab_to
from tests.browser.test_pages import addresses
from xero_connector.web.pages.guide import Route

pytestmark = pytest.mark.browser

HOST = "cloudmanager.oneenterprise.com"
REDIRECT_URI = f"https://{HOST}/oAuth2CallBack"
PHONE: ViewportSize = {"width": 320, "height": 640}
DESKTOP: ViewportSize = {"width": 1280, "height": 900}
PATIENCE_MS = 30_000
RUN_WITHIN_SECONDS = 130


@pytest.fixture(scope="module")
def tls_stack(request: pytest.FixtureRequest) -> Iterator[LocalStack]:
    """A stack of its own: the redirect URI is a choice of the deployment, and this one leaves it as it is."""
    terminal = request.config.get_terminal_writer()
    terminal.line()
    with LocalStack(
        report=lambda line: terminal.line(f"stack behind TLS: {line}", flush=True), tls_host=HOST
    ) as stack:
        yield stack


@pytest.fixture(scope="module")
def journey(tls_stack: LocalStack) -> Journey:
    return Journey(tls_stack)


@pytest.fixture(scope="module")
def browser(tls_stack: LocalStack) -> Iterator[Browser]:
    with started(*tls_stack.tls_front.chromium_arguments) as browser:
        yield browser


@pytest.fixture
def phone(browser: Browser) -> Iterator[BrowserContext]:
    """A phone without JavaScript."""
    context = browser.new_context(java_script_enabled=False, viewport=PHONE)
    context.set_default_timeout(PATIENCE_MS)
    yield context
    context.close()


@pytest.fixture
def desktop(browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context(viewport=DESKTOP)
    context.set_default_timeout(PATIENCE_MS)
    yield context
    context.close()


def open_link(customer: Customer, setup_url: str) -> None:
    customer.setup.goto(setup_url)
    expect(customer.setup.get_by_role("heading", level=1)).to_be_visible()


def heading(page: Page, words: str) -> None:
    expect(page.get_by_role("heading", level=1)).to_have_text(words)


def connected(journey: Journey, customer: Customer) -> XeroApp:
    """Go from a new link to connected, without a mistake."""
    open_link(customer, journey.setup_url())
    customer.follow(Route.WEB_APP)
    app = XeroApp(customer.noted["client_id"], customer.noted["client_secret"])
    customer.hand_over(app.client_id, str(app.client_secret))
    customer.press(customer.setup, "Go on to Xero")
    customer.allow()
    heading(customer.setup, "Xero is connected")
    return app


def assert_nothing_was_let_out(customer: Customer, *secrets: str) -> None:
    """No request to another host, no complaint of the browser, no code, state or secret in the history."""
    assert customer.watched.foreign == []
    assert customer.watched.complaints == []
    (callback,) = customer.watched.callbacks
    assert callback.startswith(f"{REDIRECT_URI}?")
    brought = parse_qs(urlsplit(callback).query)
    history = addresses(customer.setup)
    ours = [address for address in history if urlsplit(address).netloc == HOST]
    assert ours[-1] == customer.setup.url
    for address in ours:
        assert not urlsplit(address).query
        assert not any(one in address for one in (brought["code"][0], brought["state"][0], *secrets))
    assert not any(brought["code"][0] in address for address in history)


def test_the_way_is_found_by_keyboard_on_a_phone_without_javascript_through_every_mistake(
    journey: Journey, phone: BrowserContext
) -> None:
    customer = Customer(phone, journey.stack.description)
    page = customer.setup
    setup_url = journey.setup_url(label="Rapid Auto")
    assert setup_url.startswith(f"https://{HOST}/setup/")
    open_link(customer, setup_url)
    expect(page.get_by_text("Rapid Auto")).to_be_visible()
    expect(page.get_by_label("Redirect URI")).to_have_value(REDIRECT_URI)
    customer.enters["redirect_uri"] = "https://elsewhere.example/callback"
    customer.follow(Route.WEB_APP)
    client_id, secret = customer.noted["client_id"], customer.noted["client_secret"]

    customer.hand_over(client_id, "not-the-secret")
    expect(page.get_by_role("alert")).to_be_focused()
    expect(page.locator("#client_secret-problem")).to_contain_text("refuses")
    expect(page.get_by_label("Client Identifier")).to_have_value(client_id)
    expect(page.get_by_label("Client Secret", exact=True)).to_have_value("")

    customer.hand_over(None, secret, integration_type="Custom connection")
    expect(page.locator("#integration_type-problem")).to_contain_text("This app is a Web app")
    expect(page.get_by_role("radio", name="Web app")).to_be_checked()

    customer.hand_over(None, secret)
    heading(page, "Nearly there: correct this first")
    assert journey.admin.get(f"/credentials/{client_id}").json()["label"] == "Rapid Auto"
    del customer.enters["redirect_uri"]
    customer.follow(Route.REDIRECT_URI, within=page.locator("section.notice"))
    customer.press(page, "Go on to Xero anyway")
    customer.allow()
    heading(page, "Xero is connected")
    expect(page.get_by_role("listitem")).to_have_text(["Demo Company (UK)", "Electro Land"])
    assert_nothing_was_let_out(customer, secret, client_id)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


def test_back_and_forward_tell_nothing_untrue_and_exchange_nothing(
    journey: Journey, phone: BrowserContext
) -> None:
    customer = Customer(phone, journey.stack.description)
    page = customer.setup
    app = connected(journey, customer)
    here = page.url
    page.go_back()
    assert page.url.startswith(journey.stack.description.xero_url)
    while urlsplit(page.url).netloc != HOST:
        page.go_back()
    heading(page, "Xero is connected")
    page.go_back()
    heading(page, "Xero is connected")
    while page.url != here:
        page.go_forward()
    heading(page, "Xero is connected")
    assert journey.tokens(app)["generation"] == 1
    assert_nothing_was_let_out(customer, str(app.client_secret))


def test_no_page_of_the_way_has_anything_that_axe_or_the_browser_complains_about(
    journey: Journey, desktop: BrowserContext
) -> None:
    customer = Customer(desktop, journey.stack.description)
    page = customer.setup
    open_link(customer, journey.setup_url())
    assert problems_of_axe(page) == []
    customer.follow(Route.WEB_APP)
    client_id, secret = customer.noted["client_id"], customer.noted["client_secret"]
    customer.hand_over(client_id, "not-the-secret")
    assert problems_of_axe(page) == []
    customer.hand_over(None, secret)
    heading(page, "Xero accepts your app")
    assert problems_of_axe(page) == []
    customer.press(page, "Go on to Xero")
    customer.allow()
    heading(page, "Xero is connected")
    assert problems_of_axe(page) == []
    assert_nothing_was_let_out(customer, secret)


def test_a_custom_connection_is_connected_without_a_consent(journey: Journey, phone: BrowserContext) -> None:
    customer = Customer(phone, journey.stack.description)
    page = customer.setup
    open_link(customer, journey.setup_url())
    tab_to(page, page.get_by_role("link", name="Custom connection"))
    with page.expect_navigation():
        page.keyboard.press("Enter")
    customer.follow(Route.CUSTOM_CONNECTION)
    app = XeroApp(customer.noted["client_id"], customer.noted["client_secret"])
    customer.hand_over(app.client_id, str(app.client_secret))
    heading(page, "Almost there")
    journey.wait_for_status(app, "connected", seconds=RUN_WITHIN_SECONDS)
    page.reload()
    heading(page, "Xero is connected")
    expect(page.get_by_role("listitem")).to_have_text(["Electro Land"])
    assert (customer.watched.foreign, customer.watched.complaints) == ([], [])


# Links that heal


def healing_url(journey: Journey, app: XeroApp, purpose: str) -> str:
    answer = journey.admin.post(f"/credentials/{app.client_id}/setup-link")
    assert (answer.status_code, answer.json()["purpose"]) == (201, purpose)
    return str(answer.json()["setup_url"])


def test_a_link_asks_for_a_new_secret_alone_where_xero_refuses_the_old_one(
    journey: Journey, phone: BrowserContext
) -> None:
    customer = Customer(phone, journey.stack.description)
    page = customer.setup
    app = connected(journey, customer)
    customer.press(customer.portal, "Log out")
    journey.simulator("DELETE", f"apps/{app.client_id}/secret")
    journey.admin.post(f"/credentials/{app.client_id}/validation")
    assert journey.credential(app)["status"] == "client_rejected"

    open_link(customer, healing_url(journey, app, "replace_secret"))
    expect(page.get_by_text(app.client_id)).to_be_visible()
    expect(page.get_by_label("Client Identifier", exact=True)).to_have_count(0)
    customer.hand_over(None, str(app.client_secret))
    expect(page.locator("#client_secret-problem")).to_contain_text("refuses")
    customer.follow(Route.SECRET)
    customer.hand_over(None, customer.noted["another_client_secret"])
    heading(page, "Almost there")
    journey.wait_for_status(app, "connected", seconds=RUN_WITHIN_SECONDS)
    page.reload()
    heading(page, "Xero is connected")
    assert (customer.watched.foreign, customer.watched.complaints) == ([], [])


def test_a_link_leads_to_consent_where_the_grant_is_dead(journey: Journey, phone: BrowserContext) -> None:
    customer = Customer(phone, journey.stack.description)
    page = customer.setup
    app = connected(journey, customer)
    fault = {"endpoint": "token", "kind": "status", "status": 400, "error": "invalid_grant", "times": 4}
    journey.simulator("POST", "faults", fault)
    for _ in range(2):
        journey.admin.post(f"/credentials/{app.client_id}/refresh")
    journey.simulator("DELETE", "faults")
    assert journey.credential(app)["status"] == "reauthorization_required"

    open_link(customer, healing_url(journey, app, "reauthorize"))
    heading(page, "Allow access once more")
    customer.press(page, "Go on to Xero")
    customer.allow()
    heading(page, "Xero is connected")
    assert journey.credential(app)["status"] == "connected"
    assert (customer.watched.foreign, customer.watched.complaints) == ([], [])


# Pages on which the way ends


def test_who_cancels_at_xero_is_told_so_and_tries_again(journey: Journey, phone: BrowserContext) -> None:
    customer = Customer(phone, journey.stack.description)
    page = customer.setup
    open_link(customer, journey.setup_url())
    customer.follow(Route.WEB_APP)
    customer.hand_over(customer.noted["client_id"], customer.noted["client_secret"])
    customer.press(page, "Go on to Xero")
    customer.allow("Cancel")
    heading(page, "Xero was not connected")
    assert not [one for one in addresses(page) if "code=" in urlsplit(one).query and urlsplit(one).netloc == HOST]
    customer.press(page, "Try again")
    customer.allow()
    heading(page, "Xero is connected")
    assert customer.watched.foreign == []


@pytest.mark.parametrize("ends", ["withdrawn", "made up"])
def test_a_link_that_leads_nowhere_says_what_to_do(journey: Journey, phone: BrowserContext, ends: str) -> None:
    customer = Customer(phone, journey.stack.description)
    setup_url = journey.setup_url()
    if ends == "withdrawn":
        journey.admin.delete(f"/setup-links/{journey.setup_link_ids[setup_url]}")
    else:
        setup_url = f"https://{HOST}/setup/{uuid4().hex}{'A' * 11}"
    open_link(customer, setup_url)
    expect(customer.setup.get_by_role("heading", name="What to do")).to_be_visible()
    expect(customer.setup.get_by_role("main")).to_contain_text("administrator")
    assert customer.watched.foreign == []


def test_two_people_with_one_link_are_both_told_what_is_true(
    journey: Journey, phone: BrowserContext, desktop: BrowserContext
) -> None:
    first, second = (Customer(context, journey.stack.description) for context in (phone, desktop))
    setup_url = journey.setup_url()
    open_link(first, setup_url)
    open_link(second, setup_url)
    first.follow(Route.WEB_APP)
    first.hand_over(first.noted["client_id"], first.noted["client_secret"])
    heading(first.setup, "Xero accepts your app")
    second.hand_over("A" * 32, "whatever-it-is")
    heading(second.setup, "Xero accepts your app")
    assert journey.admin.get(f"/credentials/{'A' * 32}").status_code == 404
    second.press(second.setup, "Go on to Xero")
    second.allow()
    heading(second.setup, "Xero is connected")
    first.setup.reload()
    heading(first.setup, "Xero is connected")
