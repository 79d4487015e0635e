"""Every page in a real browser: light and dark, phone and desktop, by keyboard, without JavaScript, with axe."""

import re
from collections.abc import Iterator
from http import HTTPStatus
from typing import Literal
from urllib.parse import parse_qs

import pytest
from aws_lambda_powertools.event_handler import Response
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Locator,
    Page,
    Request,
    ViewportSize,
    expect,
)

from tests.browser.conftest import PageServer
from tests.fakes.setup_views import ID, REDIRECT_URI, SCOPES, TICKET, a_try, a_view, checks, tenants
from xero_connector.domain import consent_refusals, setup_refusals
from xero_connector.domain.checks import CheckResult
from xero_connector.domain.consent_refusals import Refusal
from xero_connector.domain.credential import IntegrationType
from xero_connector.domain.setup_view import SetupView, Stage, TryProblem
from xero_connector.services.exchange_code import Connected
from xero_connector.web.consent_pages import ConsentPages
from xero_connector.web.setup_pages import SetupPages

pytestmark = pytest.mark.browser

type Scheme = Literal["light", "dark"]

CONSOLE = "https://console.oneenterprise.com/"
PHONE: ViewportSize = {"width": 320, "height": 640}
DESKTOP: ViewportSize = {"width": 1280, "height": 800}
LEAST_TARGET = 24
"""CSS pixels (WCAG 2.2, 2.5.8); links within a sentence are excepted."""
MOST_TABS = 80


def setup(view: SetupView, chosen: IntegrationType | None = None) -> Response[str]:
    return SetupPages(CONSOLE, "en").page(view, token="form-token", reference="request-1", chosen=chosen)


def connected(*names: str, pending: bool = False, stored: bool = True, replaced: bool = False) -> Connected:
    return Connected(tenants(*names), pending, repeated=False, stored=stored, replaced=replaced, ticket=TICKET)


def every_page() -> dict[str, Response[str]]:
    """Every page that there is, by name."""
    consent, pages = ConsentPages(CONSOLE, "en"), SetupPages(CONSOLE, "en")
    found = {
        "connected": consent.connected(connected("Electro Land", "x" * 255), reference="1"),
        "kept": consent.connected(connected(pending=True, stored=False), reference="1"),
        "unlisted": consent.connected(connected(pending=True), reference="1"),
        "no-organisation": consent.connected(connected(), reference="1"),
        "replaced": consent.connected(connected("Electro Land", replaced=True), reference="1"),
    }
    for name, row in vars(consent_refusals).items():
        if isinstance(row, Refusal):
            found[f"consent-{name}"] = consent.refused(row().offering(TICKET), reference="1")
    for name, row in vars(setup_refusals).items():
        if isinstance(row, setup_refusals.Refusal):
            found[f"refused-{name}"] = pages.refused(row(), reference="1")
    for stage in Stage:
        found[f"setup-{stage}"] = setup(a_view(stage))
    for problem in TryProblem:
        found[f"try-{problem}"] = setup(a_view(last_try=a_try(problem)))
    wrong = checks(redirect_uri=CheckResult.FAIL, scopes=CheckResult.FAIL)
    found["setup-custom_connection"] = setup(a_view(), IntegrationType.CUSTOM_CONNECTION)
    found["consent-wrong"] = setup(
        a_view(Stage.CONSENT, checks=wrong, scopes=(*SCOPES, "accounting.transactions"))
    )
    tried = a_try(TryProblem.PAIR_REFUSED, redirect_uri=CheckResult.FAIL, scopes=CheckResult.FAIL)
    found["try-everything"] = setup(a_view(last_try=tried, label="\u202e" + "y" * 10_000))
    found["secret-try"] = setup(a_view(Stage.SECRET, last_try=a_try(TryProblem.SECRET_WRONG)))
    return found


PAGES = every_page()


@pytest.fixture
def context(chromium: Browser) -> Iterator[BrowserContext]:
    context = chromium.new_context(viewport=DESKTOP, permissions=["clipboard-read", "clipboard-write"])
    context.set_default_timeout(20_000)
    yield context
    context.close()


@pytest.fixture
def plain(chromium: Browser) -> Iterator[Page]:
    """A phone without JavaScript."""
    context = chromium.new_context(java_script_enabled=False, viewport=PHONE)
    context.set_default_timeout(20_000)
    yield context.new_page()
    context.close()


def open_page(context: BrowserContext, server: PageServer, response: Response[str]) -> tuple[Page, list[str]]:
    """Open a page; the list fills with what the browser complains about and what it asks other hosts for."""
    page, complaints = context.new_page(), []

    def complain(message: ConsoleMessage) -> None:
        # Chromium calls it an error that a page has a status of 4xx or 5xx, as it should here.
        expected = response.status_code >= HTTPStatus.BAD_REQUEST and "Failed to load resource" in message.text
        if message.type == "error" and not expected:
            complaints.append(message.text)

    def look_where(request: Request) -> None:
        if not request.url.startswith((server.url, "data:")):
            complaints.append(request.url)

    page.on("console", complain)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", look_where)
    page.goto(server.show(response))
    return page, complaints


def problems_of_axe(page: Page) -> list[str]:
    result = Axe().run(page)
    return [
        f"{one['id']}: {node['html'][:120]} {node['failureSummary'][:300]}"
        for one in result.response["violations"]
        for node in one["nodes"]
    ]


@pytest.mark.parametrize("name", PAGES)
def test_no_page_has_anything_that_axe_or_the_browser_complains_about(
    context: BrowserContext, server: PageServer, name: str
) -> None:
    page, complaints = open_page(context, server, PAGES[name])
    schemes: list[Scheme] = ["light", "dark"]
    for scheme in schemes:
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        assert problems_of_axe(page) == [], scheme
    assert complaints == []


def test_what_the_browser_complains_about_is_seen(context: BrowserContext, server: PageServer) -> None:
    foreign = str(PAGES["connected"].body).replace("</main>", '<img src="https://elsewhere.test/x.png"></main>')
    headers = dict(PAGES["connected"].headers)
    page, complaints = open_page(context, server, Response(200, "text/html", foreign, headers=headers))
    expect(page.get_by_role("main")).to_be_visible()
    assert any("elsewhere.test" in one for one in complaints)


def test_axe_sees_a_page_that_is_not_accessible(context: BrowserContext) -> None:
    page = context.new_page()
    page.set_content('<p style="color:#999;background:#fff">pale</p><input>')
    assert {one.partition(":")[0] for one in problems_of_axe(page)} >= {"color-contrast", "label"}


@pytest.mark.parametrize("name", PAGES)
def test_every_page_fits_a_narrow_phone_without_javascript(plain: Page, server: PageServer, name: str) -> None:
    plain.goto(server.show(PAGES[name]))
    expect(plain.get_by_role("heading", level=1)).to_have_count(1)
    for control in plain.locator("a, button, input, textarea, label, li, p, h1, h2, h3, svg").all():
        box = control.bounding_box()
        if box is None or not control.is_visible() or box["width"] <= 1:
            continue
        assert box["x"] >= 0, control
        assert box["x"] + box["width"] <= PHONE["width"], control
    for target in plain.locator("a:visible, button:visible, input:visible").all():
        box = target.bounding_box()
        in_a_sentence = target.evaluate("one => one.matches('p a, li > p a')") if target.count() else False
        assert box is not None
        assert in_a_sentence or min(box["width"], box["height"]) >= LEAST_TARGET, target


@pytest.mark.parametrize("name", ["setup-pair", "setup-consent", "try-secret_wrong", "connected"])
def test_text_can_be_twice_as_large(context: BrowserContext, server: PageServer, name: str) -> None:
    page, _ = open_page(context, server, PAGES[name])
    # Zoom to 400 % makes 320 CSS pixels of 1280 (WCAG 2.2, 1.4.10).
    page.set_viewport_size({"width": 320, "height": 256})
    wider = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wider == 0


# The extras


def test_a_value_is_copied_letter_by_letter(context: BrowserContext, server: PageServer) -> None:
    page, complaints = open_page(context, server, PAGES["setup-pair"])
    button = page.get_by_role("button", name="Copy Redirect URI")
    button.click()
    expect(page.get_by_role("button", name="Copied Redirect URI")).to_be_visible()
    expect(page.get_by_role("status")).to_have_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == REDIRECT_URI
    assert complaints == []


def test_the_address_of_the_page_can_be_copied_for_the_user_who_consents(
    context: BrowserContext, server: PageServer
) -> None:
    page, _ = open_page(context, server, PAGES["setup-consent"])
    page.get_by_role("button", name="Copy the address of this page").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == page.url


def test_the_secret_can_be_shown_and_is_sent_as_a_secret(context: BrowserContext, server: PageServer) -> None:
    page, _ = open_page(context, server, PAGES["setup-pair"])
    field = page.get_by_label("Client Secret", exact=True)
    field.fill("hunter2")
    page.get_by_role("button", name="Show the secret").click()
    expect(field).to_have_attribute("type", "text")
    page.get_by_role("button", name="Hide the secret").click()
    expect(field).to_have_attribute("type", "password")


def test_the_form_is_sent_once_and_to_its_own_address(context: BrowserContext, server: PageServer) -> None:
    page, complaints = open_page(context, server, PAGES["setup-pair"])
    page.get_by_label("Client Identifier").fill(ID)
    page.get_by_label("Client Secret", exact=True).fill("hunter2")
    with page.expect_navigation():
        page.get_by_role("button", name="Check with Xero").dblclick()
    posted = [one for one in server.requests if one.method == "POST"]
    assert [one.path for one in posted] == ["/setup/ticket"]
    assert parse_qs(posted[0].body) == {
        "client_id": [ID],
        "client_secret": ["hunter2"],
        "integration_type": ["web_app"],
        "token": ["form-token"],
    }
    assert complaints == []


def test_ticks_are_shown_in_the_progress_and_outlive_a_reload(context: BrowserContext, server: PageServer) -> None:
    page, _ = open_page(context, server, PAGES["setup-pair"])
    bar = page.locator(".progress li").nth(2).locator("span[aria-hidden]")
    assert shown_beside(bar) == "none"
    page.get_by_label("Done: Step 3").check()
    assert "✓" in shown_beside(bar)
    page.reload()
    expect(page.get_by_label("Done: Step 3")).to_be_checked()
    assert "✓" in shown_beside(bar)


def test_ticks_are_shown_in_the_progress_without_javascript(plain: Page, server: PageServer) -> None:
    plain.goto(server.show(PAGES["setup-pair"]))
    plain.get_by_label("Done: Step 3").check()
    assert "✓" in shown_beside(plain.locator(".progress li").nth(2).locator("span[aria-hidden]"))


def shown_beside(element: Locator) -> str:
    return str(element.evaluate("one => getComputedStyle(one, '::after').content"))


# Looking again


def test_a_waiting_page_looks_again_and_goes_on_by_itself(context: BrowserContext, server: PageServer) -> None:
    page = context.new_page()
    page.clock.install()
    page.goto(server.show(PAGES["setup-waiting"]))
    page.clock.run_for(61_000)
    expect(page.get_by_text("Last looked at")).to_be_visible()
    expect(page.get_by_role("heading", level=1)).to_have_text("Waiting for Xero")
    server.show(PAGES["setup-consent"])
    page.clock.run_for(61_000)
    expect(page.get_by_role("heading", level=1)).to_have_text("Xero accepts your app")


@pytest.mark.parametrize(
    "trouble",
    [
        PAGES["refused-store_unavailable"],
        Response(429, "application/problem+json", '{"code":"throttled"}', headers={}),
    ],
    ids=["503", "429"],
)
def test_a_waiting_page_outlives_a_look_that_says_nothing(
    context: BrowserContext, server: PageServer, trouble: Response[str]
) -> None:
    page = context.new_page()
    page.clock.install()
    page.goto(server.show(PAGES["setup-waiting"]))
    server.show(trouble)
    page.clock.run_for(61_000)
    expect(page.get_by_role("heading", level=1)).to_have_text("Waiting for Xero")
    server.show(PAGES["setup-consent"])
    page.clock.run_for(61_000)
    expect(page.get_by_role("heading", level=1)).to_have_text("Xero accepts your app")


def test_a_consent_that_is_being_completed_is_looked_at_again(context: BrowserContext, server: PageServer) -> None:
    page = context.new_page()
    page.clock.install()
    page.goto(server.show(PAGES["consent-busy"], "/oAuth2CallBack?code=x&state=y"))
    server.show(PAGES["connected"])
    page.clock.run_for(6_000)
    expect(page.get_by_role("heading", level=1)).to_have_text("Xero is connected")
    assert {one.path for one in server.requests} == {"/oAuth2CallBack?code=x&state=y"}


def test_a_waiting_page_looks_again_without_javascript(plain: Page, server: PageServer) -> None:
    slow = str(PAGES["setup-waiting"].body)
    quick = slow.replace('content="60"', 'content="0.2"')
    assert quick != slow
    plain.goto(server.show(Response(200, "text/html", quick, headers=dict(PAGES["setup-waiting"].headers))))
    server.show(PAGES["setup-connected"])
    expect(plain.get_by_role("heading", level=1)).to_have_text("Xero is connected")


# By keyboard


def tab_to(page: Page, control: Locator) -> None:
    """Press Tab until the control has the focus."""
    expect(control).to_have_count(1)
    focused = control.and_(page.locator(":focus"))
    for _ in range(MOST_TABS):
        if focused.count():
            return
        page.keyboard.press("Tab")
    pytest.fail(f"the keyboard does not reach {control}")


def test_a_pair_is_handed_over_by_keyboard_without_javascript(plain: Page, server: PageServer) -> None:
    plain.goto(server.show(PAGES["setup-pair"]))
    plain.keyboard.press("Tab")
    expect(plain.get_by_role("link", name="Skip to the form")).to_be_focused()
    plain.keyboard.press("Enter")
    tab_to(plain, plain.get_by_label("Client Identifier"))
    plain.keyboard.type(ID)
    tab_to(plain, plain.get_by_label("Client Secret", exact=True))
    plain.keyboard.type("hunter2")
    with plain.expect_navigation():
        plain.keyboard.press("Enter")
    (posted,) = [one for one in server.requests if one.method == "POST"]
    assert parse_qs(posted.body)["client_secret"] == ["hunter2"]


def test_what_has_the_focus_can_be_seen(context: BrowserContext, server: PageServer) -> None:
    page, _ = open_page(context, server, PAGES["setup-pair"])
    for _ in range(25):
        page.keyboard.press("Tab")
        width = page.evaluate("parseFloat(getComputedStyle(document.activeElement).outlineWidth)")
        assert width >= 2, page.evaluate("document.activeElement.outerHTML")


@pytest.mark.parametrize("javascript", [True, False])
def test_the_summary_of_what_went_wrong_has_the_focus_and_leads_to_the_field(
    chromium: Browser, server: PageServer, *, javascript: bool
) -> None:
    context = chromium.new_context(java_script_enabled=javascript, viewport=PHONE)
    page = context.new_page()
    page.goto(server.show(PAGES["try-secret_wrong"]))
    summary = page.get_by_role("alert")
    expect(summary).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    field = page.get_by_label("Client Secret", exact=True)
    expect(field).to_be_focused()
    expect(field).to_have_accessible_description(re.compile("Xero knows this Client Identifier"))
    context.close()


# Everything else that people do


def test_the_other_type_of_app_is_a_link(plain: Page, server: PageServer) -> None:
    plain.goto(server.show(PAGES["setup-pair"]))
    plain.get_by_role("link", name="Custom connection").click()
    assert plain.url.endswith("/setup/ticket?integration_type=custom_connection")


def test_a_proven_pair_leads_on_to_the_connect_link(plain: Page, server: PageServer) -> None:
    plain.goto(server.show(PAGES["setup-consent"], "/Prod/setup/ticket"))
    plain.get_by_role("link", name="Go on to Xero").click()
    assert plain.url.endswith(f"/Prod/connect/{TICKET}")


def test_a_hostile_page_runs_nothing(context: BrowserContext, server: PageServer) -> None:
    hostile = '</title></style></script><script>document.title = "hacked"</script><img src=x onerror="alert(1)">'
    tried = a_try(TryProblem.SECRET_WRONG, client_id=hostile)
    page, complaints = open_page(context, server, setup(a_view(label=hostile, last_try=tried)))
    assert "hacked" not in page.title()
    assert page.locator("img").count() == 0
    assert page.get_by_label("Client Identifier").input_value() == hostile
    assert complaints == []


def test_the_guide_can_be_printed(context: BrowserContext, server: PageServer) -> None:
    page, _ = open_page(context, server, PAGES["setup-pair"])
    page.emulate_media(media="print")
    expect(page.get_by_role("heading", name="Fill in the form")).to_be_visible()
    expect(page.get_by_label("Client Secret", exact=True)).to_be_hidden()
    expect(page.locator(".progress")).to_be_hidden()
