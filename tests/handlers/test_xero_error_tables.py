"""Every way in which Xero's token and authorize endpoints are known to refuse, played in the simulator.

The handlers and adapters are real, the stores are in memory. Each section is a row of one of the two tables, and
asks two things: what are the admin and the Xero user told, and what is stored afterwards?
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from http import HTTPStatus
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
import requests
from requests.adapters import HTTPAdapter

from local.xero_simulator.apps import DEFAULT_API_SCOPES, DEFAULT_REDIRECT_URI
from local.xero_simulator.refresh_tokens import Grant
from local.xero_simulator.server import XeroSimulator
from local.xero_simulator.token_signer import TokenSigner
from local.xero_simulator.user import StrandedError, XeroUser
from tests.fakes.simulated_world import SimulatedWorld
from tests.fakes.world import ADMIN, CLIENT_ID, NOON
from tests.handlers.conftest import Event, Invoke, sample_event
from xero_connector.domain.checks import AuthorizeFinding
from xero_connector.domain.consent import RequestPhase
from xero_connector.domain.history import EVENTS, Action
from xero_connector.domain.token_endpoint import INCONCLUSIVE, FailureKind, classify
from xero_connector.domain.tokens import ClientPair

type Json = dict[str, Any]
type App = Callable[[SimulatedWorld], ClientPair]

SIGN_IN = ["offline_access", "openid"]
NOT_REGISTERED = "accounting.banktransactions"
REFUSED_SECRET = "a-secret-that-this-app-does-not-have"
NEW_SECRET = "a-secret-that-was-shown-but-not-saved-yet"
PATIENCE = 0.5
"""Seconds that the adapters wait for an answer that will not come in time."""


# What people see


class Told(NamedTuple):
    """An answer of the admin API."""

    status: int
    content: Json

    @property
    def outcome(self) -> tuple[int, str]:
        """The status with the code of a problem, or else with the status of the credential."""
        return self.status, self.content["code" if "code" in self.content else "status"]

    @property
    def words(self) -> str:
        return f"{self.content['detail']} {self.content['hint']}"

    def check(self, name: str) -> tuple[str, str]:
        found = self.content["checks"][name]
        return found["result"], found["detail"]

    @property
    def results(self) -> dict[str, str]:
        return {name: check["result"] for name, check in self.content["checks"].items()}


@dataclass(frozen=True)
class Admin:
    """Somebody at the admin API."""

    invoke: Invoke

    def submit(self, pair: ClientPair, **fields: object) -> Told:
        body = {"client_id": pair.client_id, "client_secret": pair.client_secret, **fields}
        return self._ask("submit", pair.client_id, body)

    def look_up(self, client_id: str) -> Told:
        return self._ask("look_up", client_id)

    def validate(self, client_id: str) -> Told:
        return self._ask("validation", client_id)

    def refresh(self, client_id: str) -> Told:
        return self._ask("refresh", client_id)

    def replace_secret(self, client_id: str, client_secret: str) -> Told:
        return self._ask("replace_secret", client_id, {"client_secret": client_secret})

    def connect_link(self, client_id: str) -> str:
        link: str = self._ask("connect_link", client_id).content["connect_url"]
        return link

    def history(self, client_id: str) -> list[Json]:
        entries: list[Json] = self._ask("history", client_id).content["items"]
        return entries

    def actions(self, client_id: str) -> list[str]:
        """What the audit trail names, the newest first."""
        return [entry["action"] for entry in self.history(client_id)]

    def _ask(self, name: str, client_id: str, body: Json | None = None) -> Told:
        event = sample_event(f"credential_api/{name}")
        event["path"] = event["path"].replace(CLIENT_ID, client_id)
        if event["pathParameters"]:
            event["pathParameters"] = {"client_id": client_id}
        if name == "history":
            event |= {"queryStringParameters": None, "multiValueQueryStringParameters": None}
        answer = self.invoke("credential_api", event | ({} if body is None else {"body": json.dumps(body)}))
        assert body is None or body["client_secret"] not in answer["body"]
        return Told(answer["statusCode"], json.loads(answer["body"]))


class Page(NamedTuple):
    """A page of ours, as a Xero user sees it."""

    status: int
    body: str

    @property
    def outcome(self) -> tuple[int, str]:
        reference = re.search(r"Reference: (\w+) / ", self.body)
        assert reference is not None, self.body
        return self.status, reference[1]

    @property
    def offers_another_try(self) -> bool:
        return ">Try again</a>" in self.body


@dataclass
class Browser:
    """A Xero user's browser, at our pages and at Xero's."""

    invoke: Invoke
    session: requests.Session
    cookies: list[str] = field(default_factory=list)

    def open(self, connect_url: str) -> str:
        """Open a connect link; return where at Xero it leads."""
        ticket = connect_url.rsplit("/", 1)[1]
        event = sample_event("oauth_callback/connect")
        event |= {"path": f"/connect/{ticket}", "pathParameters": {"ticket": ticket}}
        answer = self.invoke("oauth_callback", self._with_cookies(event))
        assert answer["statusCode"] == HTTPStatus.FOUND
        headers = answer["multiValueHeaders"]
        self.cookies = [cookie.partition(";")[0] for cookie in headers["Set-Cookie"]]
        location: str = headers["Location"][0]
        return location

    def at_xero(self, authorize_url: str, *, decision: str = "allow") -> str:
        """Decide at Xero's pages; return where Xero sends the browser."""
        return XeroUser(self.session).consent(authorize_url, decision=decision)

    def come_back(self, location: str) -> Page:
        parts = urlsplit(location)
        assert parts.path == urlsplit(DEFAULT_REDIRECT_URI).path
        parameters = dict(parse_qsl(parts.query))
        event = sample_event("oauth_callback/callback") | {
            "queryStringParameters": parameters,
            "multiValueQueryStringParameters": {name: [value] for name, value in parameters.items()},
        }
        answer = self.invoke("oauth_callback", self._with_cookies(event))
        return Page(answer["statusCode"], answer["body"])

    def go_through(self, connect_url: str, *, decision: str = "allow") -> Page:
        return self.come_back(self.at_xero(self.open(connect_url), decision=decision))

    def _with_cookies(self, event: Event) -> Event:
        return event | {"headers": {}, "multiValueHeaders": {"Cookie": self.cookies}}


@pytest.fixture(scope="module")
def running_simulator() -> Iterator[XeroSimulator]:
    with XeroSimulator(now=lambda: NOON) as simulator:
        yield simulator


@pytest.fixture
def simulator(running_simulator: XeroSimulator) -> XeroSimulator:
    running_simulator.reset()
    return running_simulator


@pytest.fixture
def world(simulator: XeroSimulator) -> SimulatedWorld:
    return SimulatedWorld(simulator)


@pytest.fixture
def admin(invoke: Invoke) -> Admin:
    return Admin(invoke)


@pytest.fixture
def browser(invoke: Invoke) -> Iterator[Browser]:
    with requests.Session() as session:
        yield Browser(invoke, session)


@dataclass(frozen=True)
class Schedule:
    """The schedule's invocation, once it is time."""

    world: SimulatedWorld
    invoke: Invoke

    def __call__(self, client_id: str) -> dict[str, Any]:
        """Wait until the credential is due, and tick."""
        due_at = self.world.row(client_id).due_at
        assert due_at is not None
        self.world.now = max(self.world.now, due_at)
        return self.invoke("token_refresh", sample_event("token_refresh/tick"))


@pytest.fixture
def tick(world: SimulatedWorld, invoke: Invoke) -> Schedule:
    return Schedule(world, invoke)


@pytest.fixture
def connected(world: SimulatedWorld, admin: Admin, browser: Browser) -> ClientPair:
    """The pair of a credential that a user has connected."""
    pair = world.register()
    page = browser.go_through(admin.submit(pair).content["connect_url"])
    assert page.status == HTTPStatus.OK
    return pair


# What is stored


def assert_nothing_is_kept(world: SimulatedWorld) -> None:
    assert not world.registry.rows
    assert not world.registry.entries
    assert not world.registry.reservations
    assert not world.vault.versions
    assert not world.consents.tickets
    assert not world.event_bus.published


def assert_kept(world: SimulatedWorld, pair: ClientPair) -> None:
    """The pair is in force, and so safe that it is nowhere but in the vault."""
    row = world.row(pair.client_id)
    assert world.vault.get_client_pair(pair.client_id, version_id=row.client_version_id) == pair
    assert world.vault.client_secret_name(pair.client_id) not in world.vault.deleted
    assert pair.client_secret not in repr([row, world.registry.entries, world.event_bus.published])


def assert_never_connected(world: SimulatedWorld, client_id: str, *, status: str = "validated") -> None:
    """There are no tokens, and no work that looks unfinished."""
    row = world.row(client_id)
    assert (row.status, row.generation, row.tenants) == (status, 0, ())
    assert (row.lease, row.attempt_started_at) == (None, None)
    assert world.vault.tokens_secret_name(client_id) not in world.vault.versions


def phases(world: SimulatedWorld) -> list[RequestPhase]:
    return [request.phase for request in world.consents.requests.values()]


def published(world: SimulatedWorld) -> list[str]:
    return [event.event_type for event in world.event_bus.published]


def changed(location: str, **parameters: str) -> str:
    """A redirect with some of its parameters replaced."""
    parts = urlsplit(location)
    return parts._replace(query=urlencode({**dict(parse_qsl(parts.query)), **parameters})).geturl()


def code_of(location: str) -> str:
    return dict(parse_qsl(urlsplit(location).query))["code"]


# Token endpoint: unknown id, wrong / deleted / not yet saved secret, disabled app -> invalid_client


def stranger(_: SimulatedWorld) -> ClientPair:
    return ClientPair("F" * 32, REFUSED_SECRET)


def with_wrong_secret(world: SimulatedWorld) -> ClientPair:
    return ClientPair(world.register().client_id, REFUSED_SECRET)


def with_deleted_secret(world: SimulatedWorld) -> ClientPair:
    pair = world.register()
    delete_secret(world, pair)
    return pair


def disabled(world: SimulatedWorld) -> ClientPair:
    pair = world.register()
    disable_apps(world)
    return pair


def delete_secret(world: SimulatedWorld, pair: ClientPair) -> None:
    world.control(f"apps/{pair.client_id}/secret", method="DELETE")


def disable_apps(world: SimulatedWorld) -> None:
    # Xero tells nobody a disabled app from one that never was.
    world.simulator.identity_server.reset()


UNKNOWN_ID = ("does not know this client ID, or the app is disabled", "Copy the client ID again")
WRONG_SECRET = ("knows this client ID, but refuses the client secret", "press Save")


@pytest.mark.parametrize(
    ("app", "words", "redirect_uri"),
    [
        pytest.param(stranger, UNKNOWN_ID, "unknown", id="unknown id"),
        pytest.param(with_wrong_secret, WRONG_SECRET, "pass", id="wrong secret"),
        pytest.param(with_deleted_secret, WRONG_SECRET, "pass", id="deleted secret"),
        pytest.param(disabled, UNKNOWN_ID, "unknown", id="disabled app"),
    ],
)
def test_invalid_client_at_a_submission_keeps_nothing_and_tells_id_from_secret(
    world: SimulatedWorld, admin: Admin, app: App, words: tuple[str, str], redirect_uri: str
) -> None:
    told = admin.submit(app(world))
    assert told.outcome == (HTTPStatus.UNPROCESSABLE_ENTITY, "invalid_client")
    assert words[0] in told.content["detail"]
    assert words[1] in told.content["hint"]
    assert told.results == {"pair": "fail", "redirect_uri": redirect_uri, "scopes": redirect_uri}
    assert words[0] in told.check("pair")[1]
    assert_nothing_is_kept(world)


def test_invalid_client_for_a_secret_not_yet_saved_ends_when_it_is_saved(
    world: SimulatedWorld, admin: Admin
) -> None:
    pair = ClientPair(world.register().client_id, NEW_SECRET)
    told = admin.submit(pair)
    assert told.outcome == (HTTPStatus.UNPROCESSABLE_ENTITY, "invalid_client")
    assert "press Save" in told.words
    assert "a few minutes" in told.words
    assert_nothing_is_kept(world)
    world.simulator.identity_server.add_secret(*_fields(pair))
    assert admin.submit(pair).outcome == (HTTPStatus.CREATED, "validated")
    assert_kept(world, pair)


def _fields(pair: ClientPair) -> tuple[str, str]:
    return pair.client_id, pair.client_secret


def test_invalid_client_for_a_new_secret_leaves_the_old_one_in_force(
    world: SimulatedWorld, admin: Admin, connected: ClientPair
) -> None:
    before = world.row(connected.client_id)
    told = admin.replace_secret(connected.client_id, REFUSED_SECRET)
    assert told.outcome == (HTTPStatus.UNPROCESSABLE_ENTITY, "invalid_client")
    assert "refuses the client secret" in told.words
    assert world.row(connected.client_id) == before
    assert len(world.vault.versions[world.vault.client_secret_name(connected.client_id)]) == 1
    assert_kept(world, connected)


@pytest.mark.parametrize(
    ("app", "words"),
    [
        pytest.param(stranger, UNKNOWN_ID, id="unknown id"),
        pytest.param(with_wrong_secret, WRONG_SECRET, id="wrong secret"),
    ],
)
def test_invalid_client_for_a_pending_pair_rejects_it_once_that_is_sure(
    world: SimulatedWorld, admin: Admin, tick: Schedule, app: App, words: tuple[str, str]
) -> None:
    pair = app(world)
    world.break_down("token", FAULTS["500"].document)
    assert admin.submit(pair).outcome == (HTTPStatus.ACCEPTED, "pending_validation")
    assert_kept(world, pair)
    assert tick(pair.client_id) == {"pending_validation": 1}
    told = admin.look_up(pair.client_id)
    assert told.check("pair")[0] == "fail"
    while told.content["status"] == "pending_validation":
        tick(pair.client_id)
        told = admin.look_up(pair.client_id)
    assert told.outcome == (HTTPStatus.OK, "rejected")
    assert told.check("pair")[0] == "fail"
    assert told.content["last_error"]["code"] == "invalid_client"
    for sentence in words:
        assert sentence in told.content["last_error"]["detail"]
    assert world.vault.deleted == set()
    assert words[0] in admin.history(pair.client_id)[0]["detail"]
    assert admin.actions(pair.client_id) == ["rejected", "submitted"]
    assert published(world) == ["CredentialRejected"]


@pytest.mark.parametrize(
    ("end", "words"),
    [
        pytest.param(delete_secret, WRONG_SECRET[0], id="deleted secret"),
        pytest.param(lambda world, _: disable_apps(world), UNKNOWN_ID[0], id="disabled app"),
    ],
)
def test_invalid_client_at_a_validation_keeps_pair_and_tokens(
    world: SimulatedWorld,
    admin: Admin,
    connected: ClientPair,
    end: Callable[[SimulatedWorld, ClientPair], None],
    words: str,
) -> None:
    tokens = world.vault.current_tokens(connected.client_id)
    end(world, connected)
    told = admin.validate(connected.client_id)
    assert told.outcome == (HTTPStatus.OK, "client_rejected")
    assert told.check("pair")[0] == "fail"
    assert words in told.check("pair")[1]
    assert told.content["last_error"]["code"] == "invalid_client"
    assert_kept(world, connected)
    assert world.vault.current_tokens(connected.client_id) == tokens
    assert admin.actions(connected.client_id)[:2] == ["client_rejected", "validation_requested"]
    assert published(world)[-1] == "ClientRejected"


def test_invalid_client_at_a_consent_is_the_admin_s_to_heal_and_the_link_stays_good(
    world: SimulatedWorld, admin: Admin, browser: Browser
) -> None:
    pair = world.register()
    link = admin.submit(pair).content["connect_url"]
    location = browser.at_xero(browser.open(link))
    delete_secret(world, pair)
    page = browser.come_back(location)
    assert page.outcome == (HTTPStatus.BAD_REQUEST, "client_rejected")
    assert "administrator to enter a new client secret" in page.body
    assert_never_connected(world, pair.client_id, status="client_rejected")
    assert_kept(world, pair)
    told = admin.look_up(pair.client_id)
    assert told.content["last_error"]["code"] == "invalid_client"
    assert admin.actions(pair.client_id)[0] == "client_rejected"
    assert published(world) == ["CredentialValidated", "ClientRejected"]
    secret = world.control(f"apps/{pair.client_id}/secret")["client_secret"]
    assert admin.replace_secret(pair.client_id, secret).outcome == (HTTPStatus.OK, "validated")
    assert browser.go_through(link).status == HTTPStatus.OK


def test_invalid_client_at_a_refresh_keeps_the_grant_until_a_new_secret_comes(
    world: SimulatedWorld, admin: Admin, connected: ClientPair, tick: Schedule
) -> None:
    tokens = world.vault.current_tokens(connected.client_id)
    delete_secret(world, connected)
    assert tick(connected.client_id) == {"failed": 1}
    assert admin.look_up(connected.client_id).outcome == (HTTPStatus.OK, "client_rejected")
    told = admin.refresh(connected.client_id)
    assert told.outcome == (HTTPStatus.CONFLICT, "client_rejected")
    assert "refuses this client ID and client secret" in told.content["detail"]
    assert "Generate a client secret at Xero" in told.content["hint"]
    assert world.vault.current_tokens(connected.client_id) == tokens
    assert_kept(world, connected)
    secret = world.control(f"apps/{connected.client_id}/secret")["client_secret"]
    assert admin.replace_secret(connected.client_id, secret).outcome == (HTTPStatus.OK, "connected")
    assert_kept(world, ClientPair(connected.client_id, secret))
    assert world.vault.current_tokens(connected.client_id).generation == tokens.generation + 1
    assert published(world).count("ClientRejected") == 1


def test_invalid_client_for_a_custom_connection_keeps_its_pair(
    world: SimulatedWorld, admin: Admin, tick: Schedule
) -> None:
    pair = world.register("custom_connection")
    assert admin.submit(pair, integration_type="custom_connection").outcome == (HTTPStatus.CREATED, "connected")
    delete_secret(world, pair)
    assert tick(pair.client_id) == {"failed": 1}
    told = admin.look_up(pair.client_id)
    assert told.outcome == (HTTPStatus.OK, "client_rejected")
    assert told.content["last_error"]["code"] == "invalid_client"
    assert_kept(world, pair)


# Token endpoint: bogus, expired, reused, wrong-case code -> invalid_grant


def bogus(_: SimulatedWorld, location: str) -> str:
    return changed(location, code="nobody-gave-out-this-code")


def expired(world: SimulatedWorld, location: str) -> str:
    world.advance(5 * 60 + 1)
    return location


def in_wrong_case(_: SimulatedWorld, location: str) -> str:
    return changed(location, code=code_of(location).swapcase())


def assert_code_refused(page: Page) -> None:
    assert page.outcome == (HTTPStatus.BAD_REQUEST, "code_refused")
    assert "no longer accepts this consent" in page.body
    assert "Start again." in page.body
    assert page.offers_another_try


@pytest.mark.parametrize(
    "spoiled",
    [
        pytest.param(bogus, id="bogus code"),
        pytest.param(expired, id="expired code"),
        pytest.param(in_wrong_case, id="wrong-case code"),
    ],
)
def test_invalid_grant_for_a_code_stores_nothing_and_the_link_stays_good(
    world: SimulatedWorld, admin: Admin, browser: Browser, spoiled: Callable[[SimulatedWorld, str], str]
) -> None:
    pair = world.register()
    link = admin.submit(pair).content["connect_url"]
    history = admin.history(pair.client_id)
    location = spoiled(world, browser.at_xero(browser.open(link)))
    assert_code_refused(browser.come_back(location))
    assert_never_connected(world, pair.client_id)
    assert_kept(world, pair)
    assert world.row(pair.client_id).last_error is None
    assert phases(world) == [RequestPhase.FAILED]
    assert admin.history(pair.client_id) == history
    assert published(world) == ["CredentialValidated"]
    assert browser.come_back(location).outcome == (HTTPStatus.BAD_REQUEST, "state_used")
    assert browser.go_through(link).status == HTTPStatus.OK
    assert admin.look_up(pair.client_id).outcome == (HTTPStatus.OK, "connected")


def test_a_code_of_exactly_five_minutes_is_still_good(
    world: SimulatedWorld, admin: Admin, browser: Browser
) -> None:
    location = browser.at_xero(browser.open(admin.submit(world.register()).content["connect_url"]))
    world.advance(5 * 60)
    assert browser.come_back(location).status == HTTPStatus.OK


def test_invalid_grant_for_a_reused_code_leaves_the_grant_of_its_first_use(
    world: SimulatedWorld, admin: Admin, browser: Browser
) -> None:
    pair = world.register()
    link = admin.submit(pair).content["connect_url"]
    first = browser.at_xero(browser.open(link))
    second = browser.at_xero(browser.open(link))
    assert browser.come_back(first).status == HTTPStatus.OK
    before = world.row(pair.client_id)
    tokens = world.vault.current_tokens(pair.client_id)
    assert_code_refused(browser.come_back(changed(second, code=code_of(first))))
    after = world.row(pair.client_id)
    assert (after.status, after.generation, after.due_at) == ("connected", before.generation, before.due_at)
    assert (after.lease, after.attempt_started_at, after.last_error) == (None, None, None)
    assert world.vault.current_tokens(pair.client_id) == tokens
    assert sorted(phases(world)) == [RequestPhase.COMPLETED, RequestPhase.FAILED]
    assert admin.refresh(pair.client_id).outcome == (HTTPStatus.OK, "connected")


# Token endpoint: redirect_uri differs from the authorize call -> unauthorized_client, and the code is burnt


def test_a_redirect_uri_that_differs_from_the_authorize_call_burns_the_code_and_is_noted(
    world: SimulatedWorld, admin: Admin, browser: Browser
) -> None:
    pair = world.register()
    link = admin.submit(pair).content["connect_url"]
    location = browser.at_xero(browser.open(link))
    # One string serves both calls: they can only differ where a deployment came in between.
    other = DEFAULT_REDIRECT_URI.replace("cloudmanager", "CloudManager")
    world.deploy(redirect_uri=other)
    page = browser.come_back(location)
    assert page.outcome == (HTTPStatus.BAD_REQUEST, "redirect_uri_refused")
    assert "the redirect URI of the Xero app differs" in page.body
    assert_never_connected(world, pair.client_id)
    assert_kept(world, pair)
    result, detail = admin.look_up(pair.client_id).check("redirect_uri")
    assert result == "fail"
    assert other in detail
    assert phases(world) == [RequestPhase.FAILED]
    with_the_right_one = {
        "grant_type": "authorization_code",
        "code": code_of(location),
        "redirect_uri": DEFAULT_REDIRECT_URI,
    }
    assert world.ask_xero(pair, data=with_the_right_one).json() == {"error": "invalid_grant"}
    world.deploy()
    assert browser.go_through(link).status == HTTPStatus.OK
    assert admin.look_up(pair.client_id).check("redirect_uri")[0] == "pass"


# Token endpoint: no or unknown grant_type, or a JSON body -> unsupported_grant_type


@pytest.mark.parametrize(
    "request_body",
    [
        pytest.param({"data": {"code": "c"}}, id="no grant_type"),
        pytest.param({"data": {"grant_type": "implicit"}}, id="unknown grant_type"),
        pytest.param({"json": {"grant_type": "authorization_code", "code": "c"}}, id="JSON body"),
    ],
)
def test_unsupported_grant_type_says_nothing_about_a_pair(world: SimulatedWorld, request_body: Json) -> None:
    answer = world.ask_xero(world.register(), **request_body)
    assert (answer.status_code, answer.json()) == (HTTPStatus.BAD_REQUEST, {"error": "unsupported_grant_type"})
    kind = classify(answer.status_code, answer.json()["error"])
    assert kind is FailureKind.UNEXPECTED
    assert kind in INCONCLUSIVE


# Token endpoint: reused past the grace, expired or revoked refresh token -> invalid_grant


def present_elsewhere(world: SimulatedWorld, pair: ClientPair) -> None:
    """Another program with the same tokens refreshes them."""
    form = {"grant_type": "refresh_token", "refresh_token": world.refresh_token(pair.client_id)}
    assert world.ask_xero(pair, data=form).ok


def reused_past_the_grace(world: SimulatedWorld, pair: ClientPair) -> None:
    present_elsewhere(world, pair)
    world.advance(30 * 60 + 1)


def expired_after_60_days(world: SimulatedWorld, _: ClientPair) -> None:
    world.advance(timedelta(days=60).total_seconds() + 1)


def revoked(world: SimulatedWorld, pair: ClientPair) -> None:
    assert world.ask_xero(pair, "revocation", data={"token": world.refresh_token(pair.client_id)}).ok


@pytest.mark.parametrize(
    "end",
    [
        pytest.param(reused_past_the_grace, id="reused past the grace"),
        pytest.param(expired_after_60_days, id="expired"),
        pytest.param(revoked, id="revoked"),
    ],
)
def test_invalid_grant_for_a_refresh_token_asks_for_a_new_consent_the_second_time(
    world: SimulatedWorld,
    admin: Admin,
    browser: Browser,
    tick: Schedule,
    connected: ClientPair,
    *,
    end: Callable[[SimulatedWorld, ClientPair], None],
) -> None:
    client_id = connected.client_id
    tokens = world.vault.current_tokens(client_id)
    end(world, connected)
    assert tick(client_id) == {"failed": 1}
    told = admin.look_up(client_id)
    assert told.outcome == (HTTPStatus.OK, "degraded")
    assert told.content["last_error"]["code"] == "invalid_grant"
    assert "ReauthorizationRequired" not in published(world)
    told = admin.refresh(client_id)
    assert told.outcome == (HTTPStatus.CONFLICT, "reauthorization_required")
    assert "no longer accepts this grant" in told.content["detail"]
    assert "connect link" in told.content["hint"]
    told = admin.look_up(client_id)
    assert told.outcome == (HTTPStatus.OK, "reauthorization_required")
    assert (told.content["last_error"]["code"], told.content["next_refresh_at"]) == ("invalid_grant", None)
    assert_kept(world, connected)
    assert world.vault.current_tokens(client_id) == tokens
    assert world.vault.tokens_secret_name(client_id) not in world.vault.deleted
    trail = admin.history(client_id)
    assert [entry["action"] for entry in trail[:3]] == [
        "reauthorization_required",
        "refresh_requested",
        "degraded",
    ]
    assert trail[0]["detail"] == "Xero no longer accepts this grant."
    event = world.event_bus.published[-1]
    assert event.event_type == "ReauthorizationRequired"
    # Only a new consent helps, and the event brings the link to it.
    assert browser.go_through(event.detail["connect_url"]).status == HTTPStatus.OK
    assert admin.look_up(client_id).outcome == (HTTPStatus.OK, "connected")
    assert world.vault.current_tokens(client_id).generation == tokens.generation + 1


def test_the_first_invalid_grant_an_admin_meets_is_no_verdict(
    world: SimulatedWorld, admin: Admin, connected: ClientPair, tick: Schedule
) -> None:
    revoked(world, connected)
    told = admin.refresh(connected.client_id)
    assert told.outcome == (HTTPStatus.SERVICE_UNAVAILABLE, "invalid_grant")
    assert admin.look_up(connected.client_id).outcome == (HTTPStatus.OK, "degraded")
    assert tick(connected.client_id) == {"failed": 1}
    assert admin.look_up(connected.client_id).outcome == (HTTPStatus.OK, "reauthorization_required")


def test_a_refresh_token_reused_within_the_grace_goes_on(
    world: SimulatedWorld, admin: Admin, connected: ClientPair
) -> None:
    present_elsewhere(world, connected)
    world.advance(30 * 60)
    assert admin.refresh(connected.client_id).outcome == (HTTPStatus.OK, "connected")


# Token endpoint: grant not allowed for the app -> unauthorized_client


def test_a_grant_not_allowed_for_a_custom_connection_submitted_as_a_web_app(
    world: SimulatedWorld, admin: Admin
) -> None:
    told = admin.submit(world.register("custom_connection"))
    assert told.outcome == (HTTPStatus.UNPROCESSABLE_ENTITY, "custom_connection")
    assert "cannot take a user through consent" in told.content["detail"]
    assert "integration_type custom_connection" in told.content["hint"]
    assert told.results["pair"] == "fail"
    assert_nothing_is_kept(world)


def test_a_grant_not_allowed_proves_a_custom_connection_that_says_so(world: SimulatedWorld, admin: Admin) -> None:
    pair = world.register("custom_connection")
    told = admin.submit(pair, integration_type="custom_connection")
    assert told.outcome == (HTTPStatus.CREATED, "connected")
    assert told.results == {"pair": "pass", "redirect_uri": "unknown", "scopes": "pass"}
    assert told.content["connect_url"] is None
    assert_kept(world, pair)
    assert world.vault.current_tokens(pair.client_id).token.refresh_token is None


def test_a_web_app_submitted_as_a_custom_connection_is_told_without_asking_for_its_grant(
    world: SimulatedWorld, admin: Admin
) -> None:
    pair = world.register()
    told = admin.submit(pair, integration_type="custom_connection")
    assert told.outcome == (HTTPStatus.UNPROCESSABLE_ENTITY, "web_app")
    assert "integration_type web_app" in told.content["hint"]
    assert_nothing_is_kept(world)
    answer = world.ask_xero(pair, data={"grant_type": "client_credentials"})
    kind = classify(answer.status_code, answer.json()["error"])
    assert kind is FailureKind.UNAUTHORIZED_CLIENT


@pytest.mark.parametrize("integration_type", ["web_app", "custom_connection"])
def test_a_mobile_app_whose_secret_nobody_checks_is_refused(
    world: SimulatedWorld, admin: Admin, integration_type: str
) -> None:
    told = admin.submit(world.register("mobile_app"), integration_type=integration_type)
    assert told.outcome == (HTTPStatus.UNPROCESSABLE_ENTITY, "mobile_app")
    assert "does not check its secret" in told.content["detail"]
    assert "Web app" in told.content["hint"]
    assert_nothing_is_kept(world)


# Token endpoint: client_credentials with a scope not granted -> invalid_scope


@pytest.mark.parametrize("scope", [NOT_REGISTERED, "accounting.everything"])
def test_a_custom_connection_with_a_scope_not_granted_works_with_those_it_has(
    world: SimulatedWorld, admin: Admin, tick: Schedule, scope: str
) -> None:
    pair = world.register("custom_connection", scopes=["accounting.contacts", "accounting.settings"])
    told = admin.submit(pair, integration_type="custom_connection", scopes=["accounting.contacts", scope])
    assert told.outcome == (HTTPStatus.CREATED, "connected")
    result, detail = told.check("scopes")
    assert result == "fail"
    assert detail.startswith(f"Xero did not grant: {scope}. ")
    assert told.content["scopes"] == ["accounting.contacts", "accounting.settings"]
    assert_kept(world, pair)
    tokens = world.vault.current_tokens(pair.client_id)
    assert set(tokens.token.scopes) == {"accounting.contacts", "accounting.settings"}
    assert admin.actions(pair.client_id) == ["connected", "validated", "submitted"]
    assert tick(pair.client_id) == {"refreshed": 1}
    assert admin.look_up(pair.client_id).check("scopes")[0] == "fail"


# Token endpoint: PKCE verifier missing or wrong -> invalid_grant


def test_a_wrong_pkce_verifier_stores_nothing(world: SimulatedWorld, admin: Admin, browser: Browser) -> None:
    pair = world.register()
    link = admin.submit(pair).content["connect_url"]
    # Two tabs of one browser: each state has a verifier of its own.
    one, other = (browser.at_xero(browser.open(link)) for _ in range(2))
    assert_code_refused(browser.come_back(changed(one, code=code_of(other))))
    assert_never_connected(world, pair.client_id)
    # The code went to Xero with the wrong verifier, and is burnt.
    assert_code_refused(browser.come_back(other))
    assert_never_connected(world, pair.client_id)
    assert_kept(world, pair)
    assert browser.go_through(link).status == HTTPStatus.OK


@pytest.mark.parametrize(
    ("asked_with", "exchanged_with"),
    [
        pytest.param(True, False, id="PKCE verifier missing"),
        pytest.param(False, True, id="a verifier without a challenge"),
    ],
)
def test_a_pkce_switch_in_the_middle_of_a_consent_costs_that_consent_only(
    world: SimulatedWorld, admin: Admin, browser: Browser, *, asked_with: bool, exchanged_with: bool
) -> None:
    pair = world.register()
    world.deploy(pkce=asked_with)
    link = admin.submit(pair).content["connect_url"]
    location = browser.at_xero(browser.open(link))
    world.deploy(pkce=exchanged_with)
    assert_code_refused(browser.come_back(location))
    assert_never_connected(world, pair.client_id)
    assert_kept(world, pair)
    assert browser.go_through(link).status == HTTPStatus.OK


# Token endpoint: 403 with an HTML page; 408, 429, 5xx, timeout, HTML -> inconclusive, never "bad credentials"


class Outage(NamedTuple):
    """A fault as the control API takes it, what it is to be called, and what is to be said about it."""

    document: Json
    code: str
    words: str


def _answers(status: int, **more: object) -> Json:
    return {"kind": "status", "status": status, **more}


LATE = {"kind": "delay", "seconds": PATIENCE * 2}
FAULTS: Mapping[str, Outage] = {
    "403 with an HTML page": Outage({"kind": "html_403"}, "edge_refused", "firewall"),
    "408": Outage(_answers(408), "unavailable", "not available"),
    "429": Outage(_answers(429, headers={"Retry-After": "120"}), "throttled", "asks for a pause"),
    "500": Outage(_answers(500), "unavailable", "not available"),
    "503": Outage(_answers(503, headers={"Retry-After": "120"}), "unavailable", "not available"),
    "500 that looks like OAuth": Outage(_answers(500, error="invalid_client"), "unavailable", "not available"),
    "timeout": Outage(LATE, "unanswered", "did not answer in time"),
    "hung up": Outage({"kind": "drop_before"}, "unanswered", "did not answer in time"),
    "answer lost": Outage({"kind": "drop_after"}, "unanswered", "did not answer in time"),
    "HTML": Outage(_answers(200), "edge_refused", "firewall"),
}
each_outage = pytest.mark.parametrize("outage", FAULTS.values(), ids=FAULTS.keys())


@pytest.fixture
def impatience(world: SimulatedWorld) -> Callable[[Outage], None]:
    """Have an outage that is about waiting not take long; `world.deploy()` brings the usual patience back."""

    def shorten(outage: Outage) -> None:
        if outage.document is LATE:
            world.deploy(within=timedelta(seconds=PATIENCE))

    return shorten


type Impatience = Callable[[Outage], None]


@pytest.mark.parametrize("after", [0, 1], ids=["the pair", "the negative control"])
@each_outage
def test_an_outage_at_a_submission_keeps_the_pair_safe_and_proves_it_later(
    world: SimulatedWorld, admin: Admin, tick: Schedule, impatience: Impatience, *, outage: Outage, after: int
) -> None:
    pair = world.register()
    impatience(outage)
    world.break_down("token", outage.document, after=after)
    told = admin.submit(pair)
    assert told.outcome == (HTTPStatus.ACCEPTED, "pending_validation")
    assert told.content["connect_url"] is None
    result, detail = told.check("pair")
    assert result == "unknown"
    assert outage.words in detail
    assert "nothing against the pair, which is kept safe" in detail
    assert_kept(world, pair)
    assert_never_connected(world, pair.client_id, status="pending_validation")
    assert admin.actions(pair.client_id) == ["submitted"]
    assert published(world) == []
    world.deploy()
    assert tick(pair.client_id) == {"validated": 1}
    told = admin.look_up(pair.client_id)
    assert told.outcome == (HTTPStatus.OK, "validated")
    assert told.results == {"pair": "pass", "redirect_uri": "pass", "scopes": "pass"}
    assert_kept(world, pair)
    assert published(world) == ["CredentialValidated"]


@each_outage
def test_an_outage_while_a_pair_is_pending_does_not_end_it(
    world: SimulatedWorld, admin: Admin, tick: Schedule, impatience: Impatience, outage: Outage
) -> None:
    pair = world.register()
    impatience(outage)
    world.break_down("token", FAULTS["500"].document)
    admin.submit(pair)
    world.break_down("token", outage.document)
    assert tick(pair.client_id) == {"pending_validation": 1}
    told = admin.look_up(pair.client_id)
    assert told.outcome == (HTTPStatus.OK, "pending_validation")
    assert outage.words in told.content["last_error"]["detail"]
    assert_kept(world, pair)
    world.deploy()
    assert tick(pair.client_id) == {"validated": 1}
    assert admin.look_up(pair.client_id).content["last_error"] is None


@each_outage
def test_an_outage_at_a_new_secret_leaves_everything_as_it_was(
    world: SimulatedWorld, admin: Admin, connected: ClientPair, impatience: Impatience, outage: Outage
) -> None:
    before = world.row(connected.client_id)
    secret = world.control(f"apps/{connected.client_id}/secret")["client_secret"]
    impatience(outage)
    world.break_down("token", outage.document)
    told = admin.replace_secret(connected.client_id, secret)
    assert told.outcome == (HTTPStatus.SERVICE_UNAVAILABLE, "xero_unavailable")
    assert "the old one stays in force" in told.content["detail"]
    assert "send it again" in told.content["hint"]
    assert world.row(connected.client_id) == before
    assert len(world.vault.versions[world.vault.client_secret_name(connected.client_id)]) == 1
    assert_kept(world, connected)


@each_outage
def test_an_outage_at_a_validation_changes_no_status(
    world: SimulatedWorld, admin: Admin, connected: ClientPair, impatience: Impatience, outage: Outage
) -> None:
    tokens = world.vault.current_tokens(connected.client_id)
    impatience(outage)
    world.break_down("token", outage.document)
    told = admin.validate(connected.client_id)
    assert told.outcome == (HTTPStatus.OK, "connected")
    assert told.content["last_error"] is None
    assert told.results == {"pair": "unknown", "redirect_uri": "pass", "scopes": "pass"}
    assert outage.words in told.check("pair")[1]
    assert_kept(world, connected)
    assert world.vault.current_tokens(connected.client_id) == tokens


@each_outage
def test_an_outage_at_a_consent_says_so_and_the_link_stays_good(
    world: SimulatedWorld, admin: Admin, browser: Browser, impatience: Impatience, outage: Outage
) -> None:
    pair = world.register()
    link = admin.submit(pair).content["connect_url"]
    location = browser.at_xero(browser.open(link))
    impatience(outage)
    world.break_down("token", outage.document)
    page = browser.come_back(location)
    throttled = outage.document.get("status") == HTTPStatus.TOO_MANY_REQUESTS
    if throttled:
        # The code is certainly not used up: the same page may be loaded again.
        assert page.outcome == (HTTPStatus.SERVICE_UNAVAILABLE, "throttled")
        assert "reload this page" in page.body
    else:
        assert page.outcome == (HTTPStatus.SERVICE_UNAVAILABLE, "xero_unavailable")
        assert "could not be reached" in page.body
        assert "Start again in a few minutes." in page.body
        assert page.offers_another_try
    assert_never_connected(world, pair.client_id)
    assert_kept(world, pair)
    assert phases(world) == [RequestPhase.OPEN if throttled else RequestPhase.FAILED]
    world.deploy()
    assert browser.go_through(link).status == HTTPStatus.OK
    assert admin.look_up(pair.client_id).outcome == (HTTPStatus.OK, "connected")


@each_outage
def test_an_outage_at_a_refresh_degrades_and_passes(
    world: SimulatedWorld,
    admin: Admin,
    connected: ClientPair,
    tick: Schedule,
    impatience: Impatience,
    *,
    outage: Outage,
) -> None:
    client_id = connected.client_id
    tokens = world.vault.current_tokens(client_id)
    impatience(outage)
    world.break_down("token", outage.document)
    assert tick(client_id) == {"failed": 1}
    told = admin.look_up(client_id)
    assert told.outcome == (HTTPStatus.OK, "degraded")
    assert told.content["last_error"]["code"] == outage.code
    assert outage.words in told.content["last_error"]["detail"]
    assert tokens.token_expires_at > world.now
    world.break_down("token", outage.document)
    told = admin.refresh(client_id)
    assert told.outcome == (HTTPStatus.SERVICE_UNAVAILABLE, outage.code)
    assert outage.words in told.content["detail"]
    assert "The grant is safe" in told.content["hint"]
    assert world.vault.current_tokens(client_id) == tokens
    assert_kept(world, connected)
    world.deploy()
    # Once the weather is fine again, the refresh token that is stored is presented, and still good.
    assert tick(client_id) == {"refreshed": 1}
    told = admin.look_up(client_id)
    assert (told.outcome, told.content["last_error"]) == ((HTTPStatus.OK, "connected"), None)
    assert world.vault.current_tokens(client_id).generation == tokens.generation + 1
    assert admin.actions(client_id)[:3] == ["recovered", "refresh_requested", "degraded"]
    assert not {"ClientRejected", "ReauthorizationRequired"} & set(published(world))


@pytest.mark.parametrize("status", ["429", "503"])
def test_the_pause_that_xero_asks_for_is_kept(
    world: SimulatedWorld, connected: ClientPair, tick: Schedule, status: str
) -> None:
    world.break_down("token", FAULTS[status].document)
    tick(connected.client_id)
    due_at = world.row(connected.client_id).due_at
    assert due_at is not None
    assert due_at - world.now >= timedelta(seconds=120)


@each_outage
def test_an_outage_at_a_custom_connection_s_first_tokens_keeps_the_pair(
    world: SimulatedWorld, admin: Admin, tick: Schedule, impatience: Impatience, outage: Outage
) -> None:
    pair = world.register("custom_connection")
    impatience(outage)
    world.break_down("token", outage.document, after=1)
    told = admin.submit(pair, integration_type="custom_connection")
    assert told.outcome == (HTTPStatus.CREATED, "validated")
    assert told.content["last_error"]["code"] == outage.code
    assert told.results["pair"] == "pass"
    assert_kept(world, pair)
    assert world.vault.tokens_secret_name(pair.client_id) not in world.vault.versions
    world.deploy()
    assert tick(pair.client_id) == {"refreshed": 1}
    assert admin.look_up(pair.client_id).outcome == (HTTPStatus.OK, "connected")


# Authorize endpoint: what strands the user on Xero's own page


class Stranded(NamedTuple):
    """How an app is registered, what its pair is submitted with, and what comes of that."""

    page: str
    options: Json
    scopes: list[str] | None
    results: Json
    check: str
    words: tuple[str, ...]


_REDIRECT_URI_BAD = {"pair": "pass", "redirect_uri": "fail", "scopes": "unknown"}
_SCOPES_BAD = {"pair": "pass", "redirect_uri": "pass", "scopes": "fail"}
STRANDED: Mapping[str, Stranded] = {
    "unregistered redirect URI": Stranded(
        "unauthorized_client : Invalid redirect_uri",
        {"redirect_uris": ["https://elsewhere.example/oAuth2CallBack"]},
        None,
        _REDIRECT_URI_BAD,
        "redirect_uri",
        ("not registered", "exactly this redirect URI", DEFAULT_REDIRECT_URI),
    ),
    "unknown scope": Stranded(
        "invalid_scope",
        {},
        [*SIGN_IN, "accounting.contacts", "accounting.everything"],
        _SCOPES_BAD,
        "scopes",
        ("at least one of these scopes", "accounting.everything"),
    ),
    "retired scope on a granular app": Stranded(
        "invalid_scope",
        {},
        [*SIGN_IN, "accounting.transactions", "accounting.reports.read"],
        _SCOPES_BAD,
        "scopes",
        (
            "not enabled: accounting.transactions accounting.reports.read",
            "2 March 2026",
            "accounting.invoices accounting.payments accounting.banktransactions",
            "accounting.reports.profitandloss.read",
        ),
    ),
    "scope exists, app not allowed": Stranded(
        "unauthorized_client : Invalid scope for client",
        {"granular_scopes": False},
        [*SIGN_IN, "accounting.contacts", NOT_REGISTERED],
        _SCOPES_BAD,
        "scopes",
        ("at least one of these scopes", NOT_REGISTERED, "Xero's portal"),
    ),
    "retired scope not registered on an older app": Stranded(
        "unauthorized_client : Invalid scope for client",
        {"granular_scopes": False},
        [*SIGN_IN, "accounting.transactions"],
        _SCOPES_BAD,
        "scopes",
        ("not enabled: accounting.transactions", "accounting.invoices"),
    ),
}


@pytest.mark.parametrize("row", STRANDED.values(), ids=STRANDED.keys())
def test_what_would_strand_a_user_is_told_to_the_admin_first(
    world: SimulatedWorld, admin: Admin, browser: Browser, row: Stranded
) -> None:
    pair = world.register(**row.options)
    told = admin.submit(pair, **({} if row.scopes is None else {"scopes": row.scopes}))
    assert told.outcome == (HTTPStatus.CREATED, "validated")
    for answer in (told, admin.look_up(pair.client_id), admin.validate(pair.client_id)):
        assert answer.results == row.results
        for words in row.words:
            assert words in answer.check(row.check)[1]
    with pytest.raises(StrandedError, match=row.page):
        browser.at_xero(browser.open(told.content["connect_url"]))
    # Xero never calls back.
    assert phases(world) == [RequestPhase.OPEN]
    assert_never_connected(world, pair.client_id)
    assert_kept(world, pair)
    assert {name: str(check.result) for name, check in world.row(pair.client_id).checks.items()} == row.results
    assert world.event_bus.published[0].detail["checks"][row.check]["result"] == "fail"


def test_a_client_id_that_became_unknown_strands_the_user_and_is_found_by_a_validation(
    world: SimulatedWorld, admin: Admin, browser: Browser
) -> None:
    pair = world.register()
    link = admin.submit(pair).content["connect_url"]
    disable_apps(world)
    with pytest.raises(StrandedError, match="unauthorized_client : Unknown client or client not enabled"):
        browser.at_xero(browser.open(link))
    assert_never_connected(world, pair.client_id)
    told = admin.validate(pair.client_id)
    assert told.outcome == (HTTPStatus.OK, "client_rejected")
    assert UNKNOWN_ID[0] in told.check("pair")[1]
    assert told.results["pair"] == "fail"
    assert_kept(world, pair)


@pytest.mark.parametrize(
    "redirect_uri",
    [
        pytest.param(f"{DEFAULT_REDIRECT_URI}/", id="a slash"),
        pytest.param(DEFAULT_REDIRECT_URI.replace("https://", "http://localhost:80/?"), id="another scheme"),
        pytest.param(f"{DEFAULT_REDIRECT_URI}?region=eu", id="a query"),
    ],
)
def test_a_redirect_uri_that_differs_by_little_is_not_registered_either(
    world: SimulatedWorld, admin: Admin, redirect_uri: str
) -> None:
    told = admin.submit(world.register(redirect_uris=[redirect_uri]))
    assert told.results == _REDIRECT_URI_BAD
    assert DEFAULT_REDIRECT_URI in told.check("redirect_uri")[1]


def test_a_redirect_uri_that_differs_in_case_only_is_named_by_a_validation(
    world: SimulatedWorld, admin: Admin, browser: Browser
) -> None:
    pair = world.register(redirect_uris=[DEFAULT_REDIRECT_URI.lower()], case_sensitive_redirect_uris=True)
    told = admin.submit(pair)
    assert told.outcome == (HTTPStatus.CREATED, "validated")
    assert told.results == _REDIRECT_URI_BAD
    assert "capital letters count" in told.check("redirect_uri")[1]
    with pytest.raises(StrandedError, match="Invalid redirect_uri"):
        browser.at_xero(browser.open(told.content["connect_url"]))
    told = admin.validate(pair.client_id)
    assert told.outcome == (HTTPStatus.OK, "validated")
    result, detail = told.check("redirect_uri")
    assert result == "fail"
    assert "other capital or small letters; nothing else differs" in detail
    assert DEFAULT_REDIRECT_URI in detail
    assert_never_connected(world, pair.client_id)


def test_a_redirect_uri_that_differs_in_case_only_is_good_where_xero_does_not_mind(
    world: SimulatedWorld, admin: Admin, browser: Browser
) -> None:
    told = admin.submit(world.register(redirect_uris=[DEFAULT_REDIRECT_URI.lower()]))
    assert told.results == {"pair": "pass", "redirect_uri": "pass", "scopes": "pass"}
    assert browser.go_through(told.content["connect_url"]).status == HTTPStatus.OK


def test_a_retired_scope_is_good_on_an_older_app_that_has_it(
    world: SimulatedWorld, admin: Admin, browser: Browser
) -> None:
    pair = world.register(granular_scopes=False, scopes=["accounting.transactions"])
    told = admin.submit(pair, scopes=[*SIGN_IN, "accounting.transactions"])
    assert told.results["scopes"] == "pass"
    assert browser.go_through(told.content["connect_url"]).status == HTTPStatus.OK
    assert "accounting.transactions" in world.row(pair.client_id).granted_scopes


# Authorize endpoint: scope not registered on a granular-scope app, or app.connections -> straight back to us


def test_a_scope_not_registered_on_a_granular_app_comes_straight_back(
    world: SimulatedWorld, admin: Admin, browser: Browser
) -> None:
    pair = world.register()
    told = admin.submit(pair, scopes=[*SIGN_IN, "accounting.contacts", NOT_REGISTERED])
    assert told.outcome == (HTTPStatus.CREATED, "validated")
    assert told.results == _SCOPES_BAD
    assert NOT_REGISTERED in told.check("scopes")[1]
    asked = len(world.simulator.journal.entries)
    page = browser.go_through(told.content["connect_url"])
    # Before any login.
    assert [entry["path"] for entry in world.simulator.journal.entries[asked:]] == ["/identity/connect/authorize"]
    assert page.outcome == (HTTPStatus.BAD_REQUEST, "scopes_refused")
    assert "permissions" in page.body
    assert "Tell your administrator" in page.body
    assert_never_connected(world, pair.client_id)
    assert_kept(world, pair)
    assert phases(world) == [RequestPhase.FAILED]
    result, detail = admin.look_up(pair.client_id).check("scopes")
    assert result == "fail"
    assert "Xero's portal" in detail
    # What the submission could name is not forgotten for a sentence that says less.
    assert NOT_REGISTERED in detail
    assert admin.actions(pair.client_id)[0] == "scopes_refused"


def test_app_connections_is_refused_by_our_api_before_xero_hears_of_it(
    world: SimulatedWorld, admin: Admin
) -> None:
    told = admin.submit(world.register(), scopes=[*SIGN_IN, "app.connections"])
    assert told.outcome == (HTTPStatus.BAD_REQUEST, "forbidden_scope")
    assert "app.connections" in told.content["detail"]
    assert "Leave app.connections out" in told.content["hint"]
    assert world.simulator.journal.entries == []
    assert_nothing_is_kept(world)


@pytest.mark.parametrize("granular_scopes", [True, False], ids=["granular app", "older app"])
def test_app_connections_comes_straight_back_where_a_deployment_asks_for_it(
    world: SimulatedWorld, admin: Admin, browser: Browser, *, granular_scopes: bool
) -> None:
    scopes = (*SIGN_IN, "accounting.contacts", "app.connections")
    pair = world.register(granular_scopes=granular_scopes)
    found = world.ports.authorize.probe(pair.client_id, scopes=scopes, try_other_case=False)
    assert found is AuthorizeFinding.SCOPE_NOT_ALLOWED
    world.deploy(scopes=scopes)
    told = admin.submit(pair)
    assert told.results == _SCOPES_BAD
    assert "app.connections" in told.check("scopes")[1]
    page = browser.go_through(told.content["connect_url"])
    assert page.outcome == (HTTPStatus.BAD_REQUEST, "scopes_refused")
    assert_never_connected(world, pair.client_id)
    assert admin.actions(pair.client_id)[0] == "scopes_refused"


# Authorize endpoint: the user presses Cancel -> error=access_denied


def test_cancel_stores_nothing_and_the_link_stays_good(
    world: SimulatedWorld, admin: Admin, browser: Browser
) -> None:
    pair = world.register()
    link = admin.submit(pair).content["connect_url"]
    before, history = world.row(pair.client_id), admin.history(pair.client_id)
    page = browser.go_through(link, decision="deny")
    assert page.outcome == (HTTPStatus.BAD_REQUEST, "consent_denied")
    assert "nothing was connected" in page.body
    assert "choose Allow access" in page.body
    assert page.offers_another_try
    assert_never_connected(world, pair.client_id)
    assert_kept(world, pair)
    assert world.row(pair.client_id) == before
    assert admin.history(pair.client_id) == history
    assert phases(world) == [RequestPhase.FAILED]
    assert published(world) == ["CredentialValidated"]
    assert browser.go_through(link).status == HTTPStatus.OK


def test_cancel_at_a_further_consent_leaves_the_connection_as_it_was(
    world: SimulatedWorld, admin: Admin, browser: Browser, connected: ClientPair
) -> None:
    tokens = world.vault.current_tokens(connected.client_id)
    link = admin.connect_link(connected.client_id)
    before = world.row(connected.client_id)
    page = browser.go_through(link, decision="deny")
    assert page.outcome == (HTTPStatus.BAD_REQUEST, "consent_denied")
    assert world.row(connected.client_id) == before
    assert world.vault.current_tokens(connected.client_id) == tokens
    assert admin.refresh(connected.client_id).outcome == (HTTPStatus.OK, "connected")


# Authorize endpoint: all is well and nobody is logged in -> the login page


def test_the_login_page_proves_redirect_uri_and_scopes_and_leads_to_a_connection(
    world: SimulatedWorld, admin: Admin, browser: Browser
) -> None:
    pair = world.register()
    told = admin.submit(pair)
    assert told.outcome == (HTTPStatus.CREATED, "validated")
    assert told.results == {"pair": "pass", "redirect_uri": "pass", "scopes": "pass"}
    assert_kept(world, pair)
    page = browser.go_through(told.content["connect_url"])
    assert page.status == HTTPStatus.OK
    assert "/identity/user/login" in [entry["path"] for entry in world.simulator.journal.entries]
    for organisation in ("Demo Company (UK)", "Electro Land"):
        assert organisation in page.body
    assert admin.look_up(pair.client_id).outcome == (HTTPStatus.OK, "connected")
    tokens = world.vault.current_tokens(pair.client_id)
    assert tokens.token.refresh_token
    assert {tenant.tenant_name for tenant in tokens.tenants} == {"Demo Company (UK)", "Electro Land"}
    for secret in (tokens.token.access_token, world.refresh_token(pair.client_id)):
        assert secret not in page.body
    assert admin.actions(pair.client_id) == ["connected", "connect_link_created", "validated", "submitted"]
    assert published(world) == [EVENTS[Action.VALIDATED], EVENTS[Action.CONNECTED]]
    assert world.row(pair.client_id).created_by == ADMIN


@each_outage
def test_an_outage_of_the_authorize_endpoint_takes_no_pair_away(
    world: SimulatedWorld, admin: Admin, browser: Browser, impatience: Impatience, outage: Outage
) -> None:
    pair = world.register()
    impatience(outage)
    world.break_down("authorize", outage.document)
    told = admin.submit(pair)
    assert told.outcome == (HTTPStatus.CREATED, "validated")
    assert told.results == {"pair": "pass", "redirect_uri": "unknown", "scopes": "unknown"}
    assert "no definite answer" in told.check("redirect_uri")[1]
    assert_kept(world, pair)
    world.deploy()
    assert browser.go_through(told.content["connect_url"]).status == HTTPStatus.OK
    assert set(admin.look_up(pair.client_id).results.values()) == {"pass"}


# What a submission may cost


class Submission(NamedTuple):
    """A pair to submit, what goes with it, and the outage to submit it in: endpoint, fault, requests before."""

    app: App
    fields: Json
    weather: tuple[tuple[str, Outage, int], ...] = ()

    @property
    def custom(self) -> bool:
        return "integration_type" in self.fields


def _app(integration_type: str = "web_app", **options: object) -> App:
    return lambda world: world.register(integration_type, **options)


_AS_CUSTOM = {"integration_type": "custom_connection"}
_TWO_WRONGS: Json = {"redirect_uris": ["https://elsewhere.example/"], "case_sensitive_redirect_uris": True}
SUBMISSIONS: Mapping[str, Submission] = {
    "good web app": Submission(_app(), {}),
    "wrong secret": Submission(with_wrong_secret, {}),
    "deleted secret": Submission(with_deleted_secret, {}),
    "unknown id": Submission(stranger, {}),
    "wrong secret and bad redirect URI": Submission(
        lambda world: ClientPair(world.register(**_TWO_WRONGS).client_id, REFUSED_SECRET), {}
    ),
    "web app as a custom connection": Submission(_app(), _AS_CUSTOM),
    "custom connection": Submission(_app("custom_connection"), _AS_CUSTOM),
    "custom connection with a scope not granted": Submission(
        _app("custom_connection"), {**_AS_CUSTOM, "scopes": ["accounting.contacts", NOT_REGISTERED]}
    ),
    "custom connection with a wrong secret": Submission(
        lambda world: ClientPair(world.register("custom_connection").client_id, REFUSED_SECRET), _AS_CUSTOM
    ),
    "custom connection as a web app": Submission(_app("custom_connection"), {}),
    "mobile app": Submission(_app("mobile_app"), {}),
    "mobile app as a custom connection": Submission(_app("mobile_app"), _AS_CUSTOM),
    "case of the redirect URI": Submission(
        _app(redirect_uris=[DEFAULT_REDIRECT_URI.lower()], case_sensitive_redirect_uris=True), {}
    ),
    "app.connections": Submission(_app(), {"scopes": [*SIGN_IN, "app.connections"]}),
    "scope not registered on a granular app": Submission(_app(), {"scopes": [*SIGN_IN, NOT_REGISTERED]}),
    **{
        name: Submission(_app(**row.options), {} if row.scopes is None else {"scopes": row.scopes})
        for name, row in STRANDED.items()
    },
    **{
        f"{name} at the {place}": Submission(_app(), {}, ((endpoint, outage, after),))
        for name, outage in FAULTS.items()
        for place, endpoint, after in (
            ("pair", "token", 0),
            ("negative control", "token", 1),
            ("authorize endpoint", "authorize", 0),
        )
    },
    **{
        f"{name} at a custom connection's {place}": Submission(
            _app("custom_connection"),
            {**_AS_CUSTOM, "scopes": ["accounting.contacts", NOT_REGISTERED]},
            ((endpoint, FAULTS[name], after),),
        )
        for name in ("500", "429", "hung up", "answer lost", "403 with an HTML page")
        for place, endpoint, after in (
            ("pair", "token", 0),
            ("tokens", "token", 1),
            ("second try", "token", 2),
            ("organisations", "connections", 0),
        )
    },
}
OF_A_SUBMISSION = {"/identity/connect/authorize", "/identity/error", "/connect/token", "/connections"}


@pytest.fixture
def minted(monkeypatch: pytest.MonkeyPatch) -> list[Grant]:
    """The grant of each access token that Xero has issued."""
    grants: list[Grant] = []
    mint = TokenSigner.access_token

    def noting(signer: TokenSigner, grant: Grant, now: Any) -> str:  # noqa: ANN401 - handed on as it is
        grants.append(grant)
        return mint(signer, grant, now)

    monkeypatch.setattr(TokenSigner, "access_token", noting)
    return grants


@pytest.fixture
def sent(world: SimulatedWorld, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What went over the wire to Xero, also where the simulator's journal does not have it yet."""
    urls: list[str] = []
    send = HTTPAdapter.send

    def noting(adapter: HTTPAdapter, request: requests.PreparedRequest, **how: Any) -> requests.Response:  # noqa: ANN401 - handed on as it is
        if request.url and not request.url.startswith(f"{world.simulator.url}/_simulator/"):
            urls.append(request.url)
        return send(adapter, request, **how)

    monkeypatch.setattr(HTTPAdapter, "send", noting)
    return urls


@pytest.mark.parametrize("submission", SUBMISSIONS.values(), ids=SUBMISSIONS.keys())
def test_a_submission_asks_xero_at_most_four_times_and_mints_no_token_for_a_user_s_app(
    world: SimulatedWorld,
    admin: Admin,
    impatience: Impatience,
    minted: list[Grant],
    *,
    sent: list[str],
    submission: Submission,
) -> None:
    pair = submission.app(world)
    for endpoint, outage, after in submission.weather:
        impatience(outage)
        world.break_down(endpoint, outage.document, after=after)
    admin.submit(pair, **submission.fields)
    asked = world.simulator.journal.entries
    assert len(asked) <= len(sent) <= 4, sent
    assert {urlsplit(url).path for url in sent} <= OF_A_SUBMISSION
    assert {entry["path"] for entry in asked} <= OF_A_SUBMISSION
    assert not world.simulator.faults.pending
    if submission.custom and submission.app is not SUBMISSIONS["web app as a custom connection"].app:
        # Its own tokens are what a Custom connection is submitted for; nobody's consent is in them.
        assert all(grant.session is None and grant.client_id == pair.client_id for grant in minted)
        return
    assert minted == []
    by_the_weather = [outage.document.get("status") for _, outage, _ in submission.weather]
    by_the_weather += [HTTPStatus.FORBIDDEN, None] if submission.weather else []
    for entry in asked:
        if entry["path"] == "/connect/token":
            assert entry.get("grant_type") == "authorization_code"
            assert entry["status"] in {HTTPStatus.BAD_REQUEST, *by_the_weather}


@pytest.mark.parametrize("integration_type", ["web_app", "mobile_app"])
def test_no_probe_of_a_stored_pair_mints_a_token_either(
    world: SimulatedWorld, admin: Admin, minted: list[Grant], integration_type: str
) -> None:
    pair = world.register()
    admin.submit(pair)
    admin.validate(pair.client_id)
    admin.replace_secret(pair.client_id, REFUSED_SECRET)
    secret = world.control(f"apps/{pair.client_id}/secret")["client_secret"]
    admin.replace_secret(pair.client_id, secret)
    other = world.register(integration_type, scopes=DEFAULT_API_SCOPES)
    admin.submit(other)
    asked = [entry for entry in world.simulator.journal.entries if entry["path"] == "/connect/token"]
    assert {(entry.get("grant_type"), entry["status"]) for entry in asked} == {("authorization_code", 400)}
    assert minted == []
