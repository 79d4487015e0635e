"""Who gets into the portal, and what hostile input does there."""

from urllib.parse import quote, urlsplit

import pytest
import requests

from local.xero_simulator.portal_user import PortalUser
from local.xero_simulator.server import XeroSimulator
from local.xero_simulator.tests.conftest import Control
from local.xero_simulator.tests.oauth_client import REDIRECT_URI, TIMEOUT, OAuthClient, query_of
from local.xero_simulator.tests.portal import create, fill_in, status
from local.xero_simulator.user import StrandedError, XeroUser

FORM = "application/x-www-form-urlencoded"
HOSTILE_NAMES = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</title></textarea><script>alert(1)</script>",
    "{{ 7 * 7 }}{% raise %}",
    "\N{RIGHT-TO-LEFT OVERRIDE}drow\N{RIGHT-TO-LEFT MARK}",
    "\N{ARABIC LETTER ALEF}\N{ARABIC LETTER BEH}",
    "&amp;&lt;b&gt;",
]


def location(response: requests.Response) -> str:
    return response.headers["Location"]


@pytest.mark.parametrize("path", ["manage", "manage/new", "manage/app/X", "manage/app/X/configuration", "email"])
def test_without_a_login_every_page_leads_to_it_and_back(simulator: XeroSimulator, path: str) -> None:
    with requests.Session() as session:
        answer = session.get(f"{simulator.url}/app/{path}", allow_redirects=False, timeout=TIMEOUT)
        assert location(answer) == f"/app/login?next=/app/{path}"
        person = PortalUser(session, simulator.url)
        person.open(f"/app/{path}")
        person.fill("Email address", "alex@example.com")
        person.press("Log in")
        assert person.response is not None
        assert urlsplit(person.response.url).path == f"/app/{path}"


@pytest.mark.parametrize(
    "address",
    [
        "https://evil.example/",
        "//evil.example/",
        "/app//evil.example",
        "/app/\\evil",
        "/identity/error",
        "/app/a?b",
    ],
)
def test_a_login_leads_nowhere_else(simulator: XeroSimulator, address: str) -> None:
    with requests.Session() as session:
        person = PortalUser(session, simulator.url)
        person.open(f"/app/login?next={quote(address, safe='')}")
        person.press("Log in")
        assert person.heading == "My Apps"


@pytest.mark.parametrize(
    "email", ["", "alex", "a@b@c", "a b@example.com", "a\0@example.com", f"{'a' * 300}@example.com"]
)
def test_a_login_needs_an_email_address(simulator: XeroSimulator, email: str) -> None:
    with requests.Session() as session:
        person = PortalUser(session, simulator.url)
        person.open()
        person.fill("Email address", email)
        person.press("Log in")
        assert (status(person), person.read("Email address")) == (400, email)


def test_a_logout_ends_the_session(simulator: XeroSimulator, person: PortalUser) -> None:
    cookies = person.session.cookies.get_dict()
    person.press("Log out")
    assert "You are logged out." in person.text
    answer = requests.get(f"{simulator.url}/app/manage", cookies=cookies, allow_redirects=False, timeout=TIMEOUT)
    assert location(answer).startswith("/app/login")


def test_a_login_changes_the_cookie(simulator: XeroSimulator) -> None:
    with requests.Session() as session:
        person = PortalUser(session, simulator.url)
        person.open()
        before = session.cookies.get_dict()
        person.press("Log in")
        assert session.cookies.get_dict().keys() == before.keys()
        assert session.cookies.get_dict() != before


def test_nobody_sees_another_users_apps(simulator: XeroSimulator, person: PortalUser) -> None:
    create(person)
    assert person.response is not None
    page = person.response
    with requests.Session() as session:
        other = PortalUser(session, simulator.url)
        other.log_in("bob@example.com")
        assert "You have no apps yet." in other.text
        other.open(page.url)
        assert status(other) == 404
        assert "Rapid auto" not in other.text
        answer = session.post(page.url, data={"action": "generate-secret"}, timeout=TIMEOUT)
        assert answer.status_code == 403


@pytest.mark.parametrize("token", [None, "", "0" * 64, "\N{SNOWMAN}"])
def test_a_form_without_its_token_changes_nothing(person: PortalUser, token: str | None) -> None:
    create(person)
    assert person.response is not None
    form = {"action": "save", "redirect_uri": "https://evil.example/", "csrf_token": token}
    answer = person.session.post(person.response.url, data=form, timeout=TIMEOUT)
    assert answer.status_code == 403
    assert "Nothing was changed." in answer.text
    person.follow("Configuration")
    assert person.read("Redirect URI") == REDIRECT_URI


@pytest.mark.parametrize("origin", ["https://evil.example", "null"])
def test_a_form_of_another_site_changes_nothing(person: PortalUser, origin: str) -> None:
    create(person)
    own, person.url = person.url, origin
    person.fill("Redirect URI", "https://evil.example/")
    person.press("Save")
    assert status(person) == 403
    person.open(f"{own}/app/manage")
    person.follow("Rapid auto")
    person.follow("Configuration")
    assert person.read("Redirect URI") == REDIRECT_URI


def test_the_token_of_one_browser_is_no_good_in_another(simulator: XeroSimulator, person: PortalUser) -> None:
    fill_in(person)
    with requests.Session() as session:
        PortalUser(session, simulator.url).log_in()
        person.session = session
        person.press("Create app")
    assert status(person) == 403


def test_every_page_has_its_headers(person: PortalUser) -> None:
    for path in (
        "/app/manage",
        "/app/login",
        "/app/manage/new",
        "/app/email",
        "/app/static/portal.css",
        "/app/manage/app/X",
    ):
        person.open(path)
        assert person.response is not None
        headers = person.response.headers
        policy = dict(part.strip().split(" ", 1) for part in headers["Content-Security-Policy"].split(";"))
        assert policy["default-src"] == "'none'"
        assert {*policy.values()} == {"'none'", "'self'"}
        assert headers["Cache-Control"] == "no-store"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert " style=" not in person.response.text


def test_the_cookies_are_for_the_portal_alone(simulator: XeroSimulator) -> None:
    answer = requests.get(f"{simulator.url}/app/login", timeout=TIMEOUT)
    assert answer.headers["Set-Cookie"].endswith("; HttpOnly; Path=/app; SameSite=Lax")


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_a_hostile_name_is_shown_as_what_it_is(simulator: XeroSimulator, person: PortalUser, name: str) -> None:
    create(person, name=name)
    assert person.text.count(name) == 1
    client_id = person.read("Client ID")
    for path in ("/app/manage", f"/app/manage/app/{client_id}", f"/app/manage/app/{client_id}/configuration"):
        person.open(path)
        assert person.response is not None
        assert "<script>alert" not in person.response.text
        assert "<img" not in person.response.text
    person.follow("App details")
    assert person.read("App name") == name
    with requests.Session() as browser:
        client = OAuthClient(simulator.url, client_id, None)
        XeroUser(browser).consent(client.authorize_url(), decision="deny")
        page = browser.get(client.authorize_url(), timeout=TIMEOUT)
    assert "<script>alert" not in page.text
    assert "<bdi>" in page.text


def test_bytes_that_are_no_text_do_no_harm(person: PortalUser) -> None:
    fill_in(person)
    assert person.response is not None
    token = person.response.text.partition('name="csrf_token" value="')[2][:64]
    # A lone surrogate, an overlong slash and a byte that begins nothing.
    body = f"csrf_token={token}&name=%ED%A0%80%C0%AF%FF&integration_type=web_app&company_url=https://a.example&terms=on"
    body += f"&redirect_uri={quote(REDIRECT_URI)}"
    answer = person.session.post(person.response.url, data=body, headers={"Content-Type": FORM}, timeout=TIMEOUT)
    assert answer.status_code == 200
    assert "The app was created." in answer.text
    assert "<bdi>%ED%A0%80%C0%AF%FF</bdi>" in answer.text


def test_the_portal_forgets_with_the_simulator(person: PortalUser, control: Control) -> None:
    create(person)
    assert control("reset").status_code == 204
    person.open()
    assert person.heading.startswith("Log in")
    person.press("Log in")
    assert "You have no apps yet." in person.text


def test_a_secret_is_in_no_journal(person: PortalUser, control: Control) -> None:
    create(person)
    person.press("Generate a secret")
    client_secret = person.read("Client secret 1")
    person.press("Save")
    assert client_secret not in control("journal", method="GET").text


def test_an_app_of_the_portal_strands_nobody_at_consent(simulator: XeroSimulator, person: PortalUser) -> None:
    create(person)
    client = OAuthClient(simulator.url, person.read("Client ID"), None)
    with requests.Session() as browser:
        assert query_of(XeroUser(browser).consent(client.authorize_url()))["code"]
        with pytest.raises(StrandedError, match="Invalid redirect_uri"):
            XeroUser(browser).consent(client.authorize_url(redirect_uri="https://elsewhere.example/"))
