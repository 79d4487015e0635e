"""Who acts in these tests, and what they are told: an admin, a Xero user at a browser, the schedule."""

import json
import re
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlencode, urlsplit

import requests

from local.xero_simulator.apps import DEFAULT_REDIRECT_URI
from local.xero_simulator.user import XeroUser
from tests.fakes.simulated_world import SimulatedWorld
from tests.fakes.world import CLIENT_ID
from tests.handlers.conftest import Event, Invoke, sample_event
from xero_connector.domain.tokens import ClientPair

type Json = dict[str, Any]


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
    """An admin at the API."""

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
        if answer["statusCode"] == HTTPStatus.SEE_OTHER:
            consent_id = answer["multiValueHeaders"]["Location"][0].removeprefix("consent/")
            event = sample_event("oauth_callback/consent")
            event |= {"path": f"/consent/{consent_id}", "pathParameters": {"consent_id": consent_id}}
            answer = self.invoke("oauth_callback", self._with_cookies(event))
        return Page(answer["statusCode"], answer["body"])

    def go_through(self, connect_url: str, *, decision: str = "allow") -> Page:
        return self.come_back(self.at_xero(self.open(connect_url), decision=decision))

    def _with_cookies(self, event: Event) -> Event:
        return event | {"headers": {}, "multiValueHeaders": {"Cookie": self.cookies}}


@dataclass(frozen=True)
class Schedule:
    """The schedule's invocation, once it is time."""

    world: SimulatedWorld
    invoke: Invoke

    def __call__(self, client_id: str) -> dict[str, Any]:
        """Wait until the credential is due, and tick."""
        due_at = self.world.credential(client_id).due_at
        assert due_at is not None
        self.world.now = max(self.world.now, due_at)
        return self.invoke("token_refresh", sample_event("token_refresh/tick"))


def changed(location: str, **parameters: str) -> str:
    """A redirect with some of its parameters replaced."""
    parts = urlsplit(location)
    return parts._replace(query=urlencode({**dict(parse_qsl(parts.query)), **parameters})).geturl()


def code_of(location: str) -> str:
    return dict(parse_qsl(urlsplit(location).query))["code"]
