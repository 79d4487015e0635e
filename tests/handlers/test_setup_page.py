"""The setup page over HTTP: what a browser sends, what it gets, and what another site cannot make it send."""

import base64
import re
from dataclasses import dataclass, field
from datetime import timedelta
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode, urljoin, urlsplit

import pytest

from tests.fakes.world import CLIENT_ID, CLIENT_SECRET, World
from tests.handlers.conftest import Event, Invoke, sample_event
from xero_connector.domain.errors import StoreUnavailable
from xero_connector.domain.setup_link import setup_link_id
from xero_connector.domain.token_endpoint import FailureKind
from xero_connector.use_cases.create_setup_link import SetupLinkWish
from xero_connector.web.setup_form import LARGEST_FORM

ORIGIN = "https://cloudmanager.oneenterprise.com"
A_WEEK = timedelta(days=7)
FORM = "application/x-www-form-urlencoded"


@dataclass
class Answer:
    status: int
    headers: dict[str, list[str]]
    body: str

    @property
    def location(self) -> str:
        return self.headers["Location"][0]


@dataclass
class Visitor:
    """A browser: it keeps its cookies and follows redirects only when told."""

    world: World
    invoke: Invoke
    url: str
    cookies: dict[str, str] = field(default_factory=dict)
    address: str = "203.0.113.7"

    @property
    def ticket(self) -> str:
        return urlsplit(self.url).path.rsplit("/", 1)[1]

    def gets(self, query: dict[str, str] | None = None, **headers: str) -> Answer:
        event = self._event("setup_page/show", headers)
        event["multiValueQueryStringParameters"] = {name: [value] for name, value in (query or {}).items()} or None
        event["queryStringParameters"] = query or None
        return self._ask(event)

    def posts(self, body: str | bytes, **headers: str) -> Answer:
        self.world.advance(0)
        event = self._event("setup_page/hand_over", {"Content-Type": FORM, **headers})
        encoded = isinstance(body, bytes)
        event["isBase64Encoded"] = encoded
        event["body"] = base64.b64encode(body).decode() if isinstance(body, bytes) else body
        return self._ask(event)

    def sends(self, *, token: str | None = None, headers: dict[str, str] | None = None, **typed: str) -> Answer:
        """Fill in the form that this browser got, and send it."""
        if token is None:
            found = re.search(r'name="token" value="([^"]+)"', self.gets().body)
            token = found[1] if found else ""
        fields = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET, "integration_type": "web_app", **typed}
        return self.posts(urlencode({**fields, "token": token}), **(headers or {}))

    def follows(self, answer: Answer) -> Answer:
        assert answer.status == HTTPStatus.SEE_OTHER
        to = urlsplit(urljoin(self.url, answer.location))
        assert to.path == urlsplit(self.url).path
        name, _, value = to.query.partition("=")
        return self.gets({name: value} if name else None)

    def _event(self, name: str, headers: dict[str, str]) -> Event:
        event = sample_event(name)
        event["path"] = f"/setup/{self.ticket}"
        event["pathParameters"] = {"ticket": self.ticket}
        sent = {"Accept": "text/html", **{key.replace("_", "-"): value for key, value in headers.items()}}
        if self.cookies:
            sent["Cookie"] = "; ".join(f"{key}={value}" for key, value in self.cookies.items())
        event["headers"] = sent
        event["multiValueHeaders"] = {key: [value] for key, value in sent.items()}
        event["requestContext"]["identity"]["sourceIp"] = self.address
        return event

    def _ask(self, event: Event) -> Answer:
        answer: dict[str, Any] = self.invoke("setup_page", event)
        for line in answer["multiValueHeaders"].get("Set-Cookie", []):
            name, _, value = line.partition(";")[0].partition("=")
            self.cookies[name] = value
        return Answer(answer["statusCode"], answer["multiValueHeaders"], answer["body"])


@pytest.fixture
def visitor(world: World, invoke: Invoke) -> Visitor:
    wish = SetupLinkWish(label="Electro Land", integration_type=None, scopes=None, lifetime=A_WEEK)
    return Visitor(world, invoke, world.app.create_setup_link(wish, by="admin").setup_url)


def good(world: World) -> None:
    world.xero.secrets[CLIENT_ID] = CLIENT_SECRET


def test_the_page_comes_with_a_cookie_of_this_link_alone(visitor: Visitor) -> None:
    answer = visitor.gets()
    assert answer.status == HTTPStatus.OK
    (cookie,) = answer.headers["Set-Cookie"]
    name = f"__Host-setup-{setup_link_id(visitor.ticket)[:16]}"
    assert cookie.startswith(f"{name}=")
    assert {part.strip() for part in cookie.split(";")[1:]} >= {"Path=/", "Secure", "HttpOnly", "SameSite=Lax"}
    assert answer.headers["Cache-Control"] == ["no-store"]
    assert answer.headers["Referrer-Policy"] == ["no-referrer"]
    assert "form-action 'self'" in answer.headers["Content-Security-Policy"][0]
    assert visitor.ticket not in answer.body


def test_a_browser_keeps_its_cookie_and_its_form(visitor: Visitor) -> None:
    first = visitor.gets().body
    cookies = dict(visitor.cookies)
    second = visitor.gets().body
    assert visitor.cookies == cookies
    assert re.findall('name="token" value="[^"]+"', first) == re.findall('name="token" value="[^"]+"', second)


def test_a_good_pair_leads_back_to_the_page_and_on_to_consent(world: World, visitor: Visitor) -> None:
    good(world)
    sent = visitor.sends()
    assert (sent.status, sent.body) == (HTTPStatus.SEE_OTHER, "")
    page = visitor.follows(sent)
    assert page.status == HTTPStatus.OK
    assert re.search(r'href="\.\./connect/[A-Za-z0-9_-]{43}"', page.body)
    assert CLIENT_SECRET not in page.body


@pytest.mark.parametrize("as_bytes", [False, True])
def test_a_form_is_taken_as_api_gateway_passes_it_on(world: World, visitor: Visitor, *, as_bytes: bool) -> None:
    good(world)
    found = re.search(r'name="token" value="([^"]+)"', visitor.gets().body)
    assert found
    body = urlencode({"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET, "token": found[1]})
    visitor.follows(visitor.posts(body.encode() if as_bytes else body))
    assert CLIENT_ID in world.registry.rows


def test_what_was_typed_stays_and_the_secret_does_not(visitor: Visitor) -> None:
    page = visitor.follows(visitor.sends(client_secret="a-secret-that-xero-refuses"))
    assert f'value="{CLIENT_ID}"' in page.body
    assert "a-secret-that-xero-refuses" not in page.body


def test_while_xero_gives_no_answer_the_page_looks_again_without_a_script(world: World, visitor: Visitor) -> None:
    good(world)
    world.xero.failures.append(FailureKind.UNAVAILABLE)
    page = visitor.follows(visitor.sends())
    assert '<meta http-equiv="refresh"' in page.body


@pytest.mark.parametrize(
    "typed",
    [
        "<script>alert(1)</script>",
        '"><img src=x onerror=alert(1)>',
        "\u202eevil",
        "x" * 2_000,
        "a\x00b",
        "{{ 7 * 7 }}",
    ],
)
def test_anything_can_be_typed(visitor: Visitor, typed: str) -> None:
    page = visitor.follows(visitor.sends(client_id=typed))
    assert page.status == HTTPStatus.OK
    assert "<script>alert" not in page.body
    assert "<img" not in page.body
    assert ">49<" not in page.body


@pytest.mark.parametrize("label", ["<script>alert(1)</script>", "\u202eevil", "日本 ✓"])
def test_a_label_can_be_anything_too(world: World, invoke: Invoke, label: str) -> None:
    wish = SetupLinkWish(label=label, integration_type=None, scopes=None, lifetime=A_WEEK)
    page = Visitor(world, invoke, world.app.create_setup_link(wish, by="admin").setup_url).gets()
    assert page.status == HTTPStatus.OK
    assert "<script>alert" not in page.body


# What another site can make a browser send


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
        {"Origin": "https://elsewhere.example"},
        {"Origin": "https://oneenterprise.com"},
        {"Origin": "http://cloudmanager.oneenterprise.com"},
        {"Origin": "null", "Sec-Fetch-Site": "cross-site"},
    ],
    ids=str,
)
def test_a_form_of_another_site_is_refused(world: World, visitor: Visitor, headers: dict[str, str]) -> None:
    good(world)
    answer = visitor.sends(headers=headers)
    assert answer.status == HTTPStatus.FORBIDDEN
    assert "form_cross_site" in answer.body
    assert world.xero.calls == []
    assert visitor.sends().status == HTTPStatus.SEE_OTHER


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": ORIGIN, "Sec-Fetch-Site": "same-origin"},
        {"origin": "null", "sec-fetch-site": "same-origin"},
        {"Origin": "null"},
        {"Origin": ORIGIN.upper()},
    ],
    ids=str,
)
def test_a_form_of_this_page_is_taken(world: World, visitor: Visitor, headers: dict[str, str]) -> None:
    good(world)
    visitor.sends(headers=headers)
    assert CLIENT_ID in world.registry.rows


@pytest.mark.parametrize("token", ["", "x", "é", "a" * 43])
def test_a_form_without_this_browser_s_token_is_old(world: World, visitor: Visitor, token: str) -> None:
    good(world)
    visitor.gets()
    page = visitor.follows(visitor.sends(token=token))
    assert "out of date" in page.body
    assert f'value="{CLIENT_ID}"' in page.body
    assert world.xero.calls == []


def test_a_browser_without_cookies_is_told_so(world: World, visitor: Visitor) -> None:
    good(world)
    found = re.search(r'name="token" value="([^"]+)"', visitor.gets().body)
    assert found
    visitor.cookies.clear()
    sent = visitor.sends(token=found[1])
    visitor.cookies.clear()
    page = visitor.follows(sent)
    assert "Allow cookies" in page.body
    assert world.xero.calls == []


def test_the_cookie_of_another_link_is_none_of_this_one(world: World, invoke: Invoke, visitor: Visitor) -> None:
    wish = SetupLinkWish(label=None, integration_type=None, scopes=None, lifetime=A_WEEK)
    other = Visitor(world, invoke, world.app.create_setup_link(wish, by="admin").setup_url)
    found = re.search(r'name="token" value="([^"]+)"', other.gets().body)
    assert found
    visitor.gets()
    visitor.cookies |= other.cookies
    assert "out of date" in visitor.follows(visitor.sends(token=found[1])).body


# What is no form


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        ("client_id", {}, HTTPStatus.BAD_REQUEST),
        ("client_id=a&client_id=b", {}, HTTPStatus.BAD_REQUEST),
        ("client_id=a&more=b", {}, HTTPStatus.BAD_REQUEST),
        ("&".join(f"a{n}=1" for n in range(100)), {}, HTTPStatus.BAD_REQUEST),
        ("client_id=%ff", {}, HTTPStatus.BAD_REQUEST),
        (b"\xff=\xff", {}, HTTPStatus.BAD_REQUEST),
        ('{"client_id": "a"}', {"Content-Type": "application/json"}, HTTPStatus.BAD_REQUEST),
        ("client_id=a", {"Content-Type": "multipart/form-data; boundary=x"}, HTTPStatus.BAD_REQUEST),
        ("client_id=" + "x" * LARGEST_FORM, {}, HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
        (b"client_id=" + b"x" * LARGEST_FORM, {}, HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
    ],
)
def test_what_is_no_form_is_refused(
    world: World, visitor: Visitor, body: str | bytes, headers: dict[str, str], status: HTTPStatus
) -> None:
    visitor.gets()
    assert visitor.posts(body, **headers).status == status
    assert world.xero.calls == []


def test_a_damaged_body_is_refused(visitor: Visitor) -> None:
    event = visitor._event("setup_page/hand_over", {"Content-Type": FORM})  # noqa: SLF001 - for this alone
    event |= {"isBase64Encoded": True, "body": "!"}
    assert visitor._ask(event).status == HTTPStatus.BAD_REQUEST  # noqa: SLF001


# Links that do not work


@pytest.mark.parametrize("ticket", ["x", "a" * 43, "%00", "%E2%80%AE", "a" * 5_000])
def test_a_link_that_was_never_made(world: World, invoke: Invoke, ticket: str) -> None:
    stranger = Visitor(world, invoke, f"{ORIGIN}/setup/{ticket}")
    answer = stranger.gets()
    assert answer.status == HTTPStatus.NOT_FOUND
    assert "setup_link_unknown" in answer.body


def test_a_link_that_was_withdrawn_or_expired(world: World, visitor: Visitor) -> None:
    world.advance(8 * 86_400)
    expired = visitor.gets()
    assert (expired.status, "setup_link_expired" in expired.body) == (HTTPStatus.GONE, True)
    world.app.withdraw_setup_link(setup_link_id(visitor.ticket))
    withdrawn = visitor.gets()
    assert (withdrawn.status, "setup_link_withdrawn" in withdrawn.body) == (HTTPStatus.GONE, True)


def test_a_store_that_is_away_is_a_page_that_names_nothing_of_ours(
    world: World, visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(_: str) -> None:
        raise StoreUnavailable("GetItem", "InternalServerError", detail="arn:aws:kms:eu-west-1:123456789012:key/1")

    monkeypatch.setattr(world.setup_links, "get", away)
    answer = visitor.gets()
    assert answer.status == HTTPStatus.SERVICE_UNAVAILABLE
    assert "arn:" not in answer.body


def test_every_address_of_a_household_counts_as_one(world: World, visitor: Visitor) -> None:
    for address in ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", "2001:db8:1:3::1", "203.0.113.7", "unknown"):
        visitor.address = address
        visitor.sends()
    assert sorted(tries for tries, _ in world.setup_links.tries.values()) == [1, 1, 1, 2]
    assert "203.0.113.7" not in repr(world.setup_links.tries)


def test_nothing_of_the_form_is_in_a_log_line(
    world: World, visitor: Visitor, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    visitor.follows(visitor.sends(client_secret="a-secret-that-xero-refuses"))
    printed = capsys.readouterr()
    told = f"{caplog.text}{printed.out}{printed.err}{world.observer.events}"
    assert "a-secret-that-xero-refuses" not in told
    assert visitor.ticket not in told
    assert not any(value in told for value in visitor.cookies.values())
