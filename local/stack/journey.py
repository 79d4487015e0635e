"""The main job, step by step, as people do it: what the demo narrates and the stack tests check."""

import json
import re
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs, urljoin, urlsplit

import requests

from local.stack.clients import AdminClient, LoopbackSession
from local.stack.local_stack import LocalStack
from local.xero_simulator.portal_user import PortalUser
from local.xero_simulator.user import XeroUser

_TIMEOUT_SECONDS = 35
_POLL_SECONDS = 1.0
_TERMS = "I have read and agree to the Xero Developer Platform Terms & Conditions"
_TOKEN = re.compile(r'name="token" value="([^"]+)"')
_CONNECT = re.compile(r'href="(\.\./connect/[A-Za-z0-9_-]+)"')


@dataclass(frozen=True)
class XeroApp:
    """An app in a customer's own Xero account."""

    client_id: str
    client_secret: str | None


@dataclass(frozen=True)
class Journey:
    """One stack, and the actions of the people who use it."""

    stack: LocalStack
    seen: set[str] = field(default_factory=set, repr=False)
    """Every secret value that was seen: none of them may be in a log."""
    setup_link_ids: dict[str, str] = field(default_factory=dict, repr=False)
    """By the address of the link."""

    @property
    def admin(self) -> AdminClient:
        return self.stack.admin

    def simulator(self, method: str, path: str, body: object = None) -> requests.Response:
        """Call the simulator's control API; anything but success is an error here."""
        with requests.Session() as session:
            session.trust_env = False
            answer = session.request(
                method, f"{self.stack.description.xero_url}/_simulator/{path}", json=body, timeout=_TIMEOUT_SECONDS
            )
        answer.raise_for_status()
        return answer

    def create_app(self, integration_type: str = "web_app", **settings: object) -> XeroApp:
        """Create an app at Xero, with our redirect URI unless told otherwise."""
        answer = self.simulator(
            "POST",
            "apps",
            {
                "integration_type": integration_type,
                "redirect_uris": [self.stack.description.callback_url],
                **settings,
            },
        ).json()
        self._see(answer["client_secret"])
        return XeroApp(answer["client_id"], answer["client_secret"])

    def create_app_in_portal(self, name: str) -> XeroApp:
        """Create a Web app in the developer portal, as a customer does; its secret is saved."""
        person = PortalUser(self.stack.browser(), self.stack.description.xero_url)
        person.log_in()
        person.follow("New app")
        person.fill("App name", name)
        person.tick("Web app")
        person.fill("Company or application URL", "https://electroland.example")
        person.fill("Redirect URI", self.stack.description.callback_url)
        person.tick(_TERMS)
        person.press("Create app")
        person.follow("Configuration")
        person.press("Generate a secret")
        app = XeroApp(person.read("Client ID"), person.read("Client secret 1"))
        person.press("Save")
        self._see(app.client_secret)
        return app

    def submit(self, app: XeroApp, **fields: object) -> requests.Response:
        """Submit an app's pair as the admin."""
        self._see(app.client_secret)
        answer = self.admin.post(
            "/credentials", {"client_id": app.client_id, "client_secret": app.client_secret, **fields}
        )
        self._see_ticket(answer.json().get("connect_url"))
        return answer

    def setup_url(self, **wish: object) -> str:
        """Make a setup link as the admin."""
        answer = self.admin.post("/setup-links", wish)
        answer.raise_for_status()
        url: str = answer.json()["setup_url"]
        self.setup_link_ids[url] = answer.json()["setup_link_id"]
        self._see_ticket(url)
        return url

    def open_setup(self, browser: LoopbackSession, setup_url: str) -> requests.Response:
        """Open a setup link."""
        page = browser.get(setup_url, allow_redirects=False, timeout=_TIMEOUT_SECONDS)
        for cookie in browser.cookies:
            self._see(*(cookie.value or "").split("."))
        return page

    def hand_over(
        self, browser: LoopbackSession, setup_url: str, app: XeroApp, *, integration_type: str = "web_app"
    ) -> requests.Response:
        """Fill in the form behind a setup link and send it, as a browser does; returns where it leads."""
        token = _TOKEN.search(self.open_setup(browser, setup_url).text)
        if token is None:
            raise LookupError("the page has no form")
        self._see(token[1], app.client_secret)
        typed = {
            "client_id": app.client_id,
            "client_secret": app.client_secret or "",
            "integration_type": integration_type,
            "token": token[1],
        }
        sent = browser.post(setup_url, data=typed, allow_redirects=False, timeout=_TIMEOUT_SECONDS)
        if sent.status_code != HTTPStatus.SEE_OTHER:
            return sent
        return self.open_setup(browser, urljoin(setup_url, sent.headers["Location"]))

    def connect_url_of(self, page: requests.Response) -> str:
        """Where the button of a setup page leads to consent."""
        link = _CONNECT.search(page.text)
        if link is None:
            raise LookupError("the page leads to no consent")
        url: str = urljoin(page.url, link[1])
        self._see_ticket(url)
        return url

    def connect_url(self, app: XeroApp) -> str:
        """Make a new connect link."""
        answer = self.admin.post(f"/credentials/{app.client_id}/connect-link")
        answer.raise_for_status()
        url: str = answer.json()["connect_url"]
        self._see_ticket(url)
        return url

    def open_link(self, browser: LoopbackSession, connect_url: str) -> requests.Response:
        """Open a connect link, without following it to Xero."""
        answer = browser.get(connect_url, allow_redirects=False, timeout=_TIMEOUT_SECONDS)
        self._see_query(answer.headers.get("Location", ""))
        for cookie in browser.cookies:
            self._see(*(cookie.value or "").split("."))
        return answer

    def consent(
        self,
        browser: LoopbackSession,
        connect_url: str,
        *,
        decision: str = "allow",
        organisations: list[str] | None = None,
    ) -> str:
        """Go from a connect link through Xero's pages; returns the callback's address, not yet opened."""
        opened = self.open_link(browser, connect_url)
        opened.raise_for_status()
        callback_url = XeroUser(browser).consent(
            opened.headers["Location"], decision=decision, organisations=organisations
        )
        self._see_query(callback_url)
        return callback_url

    def call_back(self, browser: LoopbackSession, callback_url: str) -> requests.Response:
        """Open the callback's address, and go on to the page of the consent if it leads there."""
        answer = self.answer_to_callback(browser, callback_url)
        if answer.status_code != HTTPStatus.SEE_OTHER:
            return answer
        page = urljoin(callback_url, answer.headers["Location"])
        return browser.get(page, allow_redirects=False, timeout=_TIMEOUT_SECONDS)

    @staticmethod
    def answer_to_callback(browser: LoopbackSession, callback_url: str) -> requests.Response:
        """Open the callback's address, and go no further."""
        return browser.get(callback_url, allow_redirects=False, timeout=_TIMEOUT_SECONDS)

    def connect(self, app: XeroApp) -> requests.Response:
        """Submit a pair and take a user through the whole consent; returns the last page."""
        submitted = self.submit(app)
        submitted.raise_for_status()
        browser = self.stack.browser()
        return self.call_back(browser, self.consent(browser, submitted.json()["connect_url"]))

    def credential(self, app: XeroApp) -> dict[str, Any]:
        """Look a credential up as the admin."""
        answer = self.admin.get(f"/credentials/{app.client_id}")
        answer.raise_for_status()
        credential: dict[str, Any] = answer.json()
        return credential

    def history(self, app: XeroApp) -> list[tuple[str, str]]:
        """Who did what to a credential, the oldest first."""
        entries: list[dict[str, Any]] = []
        parameters = {"limit": "5"}
        while True:
            page = self.admin.get(f"/credentials/{app.client_id}/history", parameters).json()
            entries += page["items"]
            if page["next_token"] is None:
                return [(entry["by"], entry["action"]) for entry in reversed(entries)]
            parameters["next_token"] = page["next_token"]

    def tokens(self, app: XeroApp) -> dict[str, Any]:
        """Read the tokens secret as OneEnterprise's integration does."""
        name = f"{self.stack.description.secret_prefix}/{app.client_id}/tokens"
        answer = self.stack.aws("secretsmanager").get_secret_value(SecretId=name)
        content: dict[str, Any] = json.loads(answer["SecretString"])
        # A Custom connection has no refresh token.
        self._see(content["token"]["access_token"], content["token"].get("refresh_token"))
        return content

    def make_due(
        self,
        app: XeroApp,
        *,
        organisations_seen_at: datetime | None = None,
        refused_since: datetime | None = None,
    ) -> None:
        """Move the registry's clock: what is due in twenty minutes is due now.

        `organisations_seen_at` moves the time of the last look at the organisations too, `refused_since` the time
        of the first refusal of a pending pair.
        """
        now = datetime.now(tz=UTC)
        also: dict[str, dict[str, str]] = {}
        and_also = ""
        if organisations_seen_at is not None:
            also |= {":seen_at": {"S": organisations_seen_at.isoformat()}}
            and_also += ", tenants_checked_at = :seen_at"
        if refused_since is not None:
            also |= {":refused": {"S": refused_since.isoformat()}, ":twice": {"N": "2"}}
            and_also += ", refused_since = :refused, refusals = :twice"
        self.stack.aws("dynamodb").update_item(
            TableName=self.stack.description.table_name,
            Key={"pk": {"S": f"CREDENTIAL#{app.client_id}"}, "sk": {"S": "CREDENTIAL"}},
            UpdateExpression=f"SET due_at = :epoch, due_exactly_at = :now{and_also} ADD revision :one",
            ConditionExpression="attribute_exists(due_at) AND attribute_not_exists(lease_owner)",
            ExpressionAttributeValues={
                ":epoch": {"N": str(int(now.timestamp()))},
                ":now": {"S": now.isoformat()},
                ":one": {"N": "1"},
                **also,
            },
        )

    def wait_for_generation(self, app: XeroApp, generation: int, *, seconds: float) -> dict[str, Any]:
        """Wait until a consumer reads this generation of tokens, or raise `TimeoutError`."""
        give_up_at = time.monotonic() + seconds
        while time.monotonic() < give_up_at:
            tokens = self.tokens(app)
            if tokens["generation"] >= generation:
                return tokens
            time.sleep(_POLL_SECONDS)
        raise TimeoutError(f"generation {generation} did not arrive within {seconds} seconds")

    def wait_for_status(self, app: XeroApp, status: str, *, seconds: float) -> None:
        """Wait until a credential has a status, or raise `TimeoutError`."""
        give_up_at = time.monotonic() + seconds
        while self.credential(app)["status"] != status:
            if time.monotonic() >= give_up_at:
                raise TimeoutError(f"the status {status} did not come within {seconds} seconds")
            time.sleep(_POLL_SECONDS)

    def organisations(self, access_token: str) -> list[str]:
        """Ask Xero with an access token which organisations it reaches."""
        with requests.Session() as session:
            session.trust_env = False
            answer = session.get(
                f"{self.stack.description.xero_url}/connections",
                headers={"Authorization": f"Bearer {access_token}"},
                timeout=_TIMEOUT_SECONDS,
            )
        answer.raise_for_status()
        return [connection["tenantName"] for connection in answer.json()]

    def _see(self, *values: str | None) -> None:
        self.seen.update(value for value in values if value)

    def _see_ticket(self, connect_url: str | None) -> None:
        if connect_url:
            self._see(connect_url.rsplit("/", 1)[1])

    def _see_query(self, url: str) -> None:
        query = parse_qs(urlsplit(url).query)
        for name in ("state", "nonce", "code"):
            self._see(*query.get(name, []))
