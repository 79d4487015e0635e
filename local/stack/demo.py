"""The main job, unattended and checked step by step: `make demo`."""

import json
import re
import sys
from typing import Any
from urllib.parse import parse_qs, urljoin, urlsplit

import requests

from local.stack.domain_events import DomainEventSubscriber
from local.stack.journey import Journey, XeroApp
from local.stack.local_stack import LocalStack
from local.stack.processes import LocalStackError, end_with_parent
from local.stack.progress import Progress, print_progress

SCHEDULE_WITHIN_SECONDS = 130  # the schedule comes once a minute: the next tick, or the one after
EVENTS_WITHIN_SECONDS = 10
ORGANISATIONS = ("Demo Company (UK)", "Electro Land")
EVENTS = ["SetupLinkUsed", "CredentialValidated", "CredentialConnected"]
_SHOWN = 6
_SHOWN_OF_A_PATH = 20
_LEAST_SECRETS = 10
_SECRET_PROBLEM = re.compile(r'id="client_secret-problem"><strong>(.*?)</strong>')


class DemoError(Exception):
    """A step failed."""


class Demo:
    """Tells what happens, and stops at the first step that fails."""

    def __init__(self, stack: LocalStack, report: Progress) -> None:
        self._journey = Journey(stack)
        self._events = DomainEventSubscriber(stack)
        self._report = report
        self._step = 0
        self._browser = stack.browser()

    def run(self) -> None:
        setup_url = self._make_setup_link()
        app = self._create_app(setup_url)
        page = self._hand_over(setup_url, app)
        callback = self._consent(page)
        first = self._call_back(app, callback)
        self._look_again(setup_url, callback)
        self._refresh(app, first)
        self._who_did_what(app, setup_url)
        self._call_api(app)
        self._read_logs()

    def _make_setup_link(self) -> str:
        self._tell("An admin makes a setup link for a customer, and sends it")
        setup_url = self._journey.setup_url(label="Electro Land")
        self._show(f"{urljoin(setup_url, '.')}{_masked(setup_url.rpartition('/')[2])}")
        self._check(self._link(setup_url)["state"] == "open", "it is open, for seven days, and can be withdrawn")
        return setup_url

    def _create_app(self, setup_url: str) -> XeroApp:
        self._tell("The customer opens it: it shows how to create an app in Xero, and the customer does so")
        page = self._journey.open_setup(self._browser, setup_url)
        redirect_uri = self._journey.stack.description.callback_url
        self._check(
            page.status_code == 200 and redirect_uri in page.text, "the page shows each step and the redirect URI"
        )
        app = self._journey.create_app_in_portal("OneEnterprise")
        self._show(f"client ID {app.client_id}, client secret {_masked(app.client_secret or '')}")
        return app

    def _hand_over(self, setup_url: str, app: XeroApp) -> requests.Response:
        self._tell("A wrong client secret is refused at once, beside its field, and is not kept")
        wrong = "not-the-secret"
        refused = self._journey.hand_over(self._browser, setup_url, XeroApp(app.client_id, wrong))
        found = _SECRET_PROBLEM.search(refused.text)
        self._check(found is not None, f"Client Secret: {found[1] if found else refused.status_code}")
        self._check(
            f'value="{app.client_id}"' in refused.text and wrong not in refused.text,
            "the Client Identifier is still there, the secret is not",
        )
        kept = self._journey.admin.get(f"/credentials/{app.client_id}").status_code
        self._check(kept == 404, f"GET /credentials/{app.client_id}: {kept}")

        self._tell("The right pair is proven at Xero and stored, and the page leads on to consent")
        page = self._journey.hand_over(self._browser, setup_url, app)
        self._check(self._link(setup_url)["state"] == "used", "the setup link is used")
        checks = self._journey.credential(app)["checks"]
        for name, check in checks.items():
            self._show(f"check {name}: {check['detail']}")
        self._check(
            all(check["result"] == "pass" for check in checks.values()),
            "pair, redirect URI and scopes pass before any user is sent to Xero",
        )
        return page

    def _consent(self, page: requests.Response) -> str:
        self._tell("In the same sitting the customer goes on to Xero, and allows access to both organisations")
        callback = self._journey.consent(self._browser, self._journey.connect_url_of(page))
        redirect_uri = self._journey.stack.description.callback_url
        self._check(callback.startswith(redirect_uri), "Xero redirects to /oAuth2CallBack")
        return callback

    def _call_back(self, app: XeroApp, callback: str) -> dict[str, Any]:
        self._tell("The callback exchanges the code, verifies the ID token and stores the tokens")
        page = self._journey.call_back(self._browser, callback)
        self._check(
            page.status_code == 200 and all(name in page.text for name in ORGANISATIONS),
            f"the page names {' and '.join(ORGANISATIONS)}",
        )
        self._check(
            not {"code", "state"} & parse_qs(urlsplit(page.url).query).keys(),
            f"its address, {urlsplit(page.url).path[:_SHOWN_OF_A_PATH]}…, holds neither a code nor a state",
        )
        tokens = self._journey.tokens(app)
        name = self._journey.credential(app)["token_secret"]["name"]
        self._check(tokens["generation"] == 1, f"secret {name}:")
        self._show(json.dumps(_masked_tokens(tokens), indent=2, ensure_ascii=False))
        return tokens

    def _look_again(self, setup_url: str, callback: str) -> None:
        self._tell("Opening the callback or the setup link again shows the same, and exchanges nothing")
        before = len(self._journey.simulator("GET", "journal").json())
        pages = [
            self._journey.call_back(self._browser, callback),
            self._journey.open_setup(self._browser, setup_url),
        ]
        asked = len(self._journey.simulator("GET", "journal").json()) - before
        self._check(
            all(name in page.text for page in pages for name in ORGANISATIONS) and asked == 0,
            f"{asked} requests to Xero",
        )

    def _refresh(self, app: XeroApp, first: dict[str, Any]) -> None:
        self._tell("Twenty minutes later (the registry's clock is moved) the schedule refreshes the tokens")
        self._journey.make_due(app)
        second = self._journey.wait_for_generation(app, 2, seconds=SCHEDULE_WITHIN_SECONDS)
        self._check(
            second["token"]["access_token"] != first["token"]["access_token"], "generation 2, a new access token"
        )
        organisations = self._journey.organisations(second["token"]["access_token"])
        self._check(len(organisations) == 2, f"Xero accepts it for {' and '.join(organisations)}")

    def _who_did_what(self, app: XeroApp, setup_url: str) -> None:
        self._tell("The audit trail says who did what, and subscribers of the event bus received the events")
        trail = self._journey.history(app)
        for by, action in trail:
            self._show(f"{action} by {by}")
        by_link = f"setup_link:{self._journey.setup_link_ids[setup_url]}"
        self._check((by_link, "setup_link_used") in trail, "it names the setup link by which the pair came")
        self._events.wait_for(app.client_id, "CredentialConnected", seconds=EVENTS_WITHIN_SECONDS)
        received = [event.event_type for event in self._events.of(app.client_id)]
        self._check(received == EVENTS, f"events: {', '.join(received)}")

    def _call_api(self, app: XeroApp) -> None:
        self._tell("Programs use the admin API, with an IAM signature")
        path = f"/credentials/{app.client_id}"
        signed = self._journey.admin.get(path)
        self._check(signed.json().get("status") == "connected", f"GET {path}, signed: {signed.status_code}")
        body = {"client_id": app.client_id, "client_secret": app.client_secret}
        unsigned = self._journey.stack.admin_as(None).post("/credentials", body)
        self._check(unsigned.status_code == 403, f"POST /credentials, unsigned: {unsigned.status_code}")

    def _read_logs(self) -> None:
        self._tell("The logs of the functions contain no secret")
        lines = [event.message for event in self._journey.stack.read_logs()]
        secrets = self._journey.seen
        leaked = sum(secret in line for line in lines for secret in secrets)
        self._check(
            bool(lines) and len(secrets) > _LEAST_SECRETS and leaked == 0,
            f"{len(lines)} lines, {leaked} secrets; looked for {len(secrets)}: client secrets, tokens, tickets, …",
        )

    def _link(self, setup_url: str) -> dict[str, Any]:
        link_id = self._journey.setup_link_ids[setup_url]
        answer = self._journey.admin.get(f"/setup-links/{link_id}")
        answer.raise_for_status()
        link: dict[str, Any] = answer.json()
        return link

    def _tell(self, what: str) -> None:
        self._step += 1
        self._report(f"{self._step}. {what}")

    def _check(self, passed: bool, what: str) -> None:  # noqa: FBT001 - the condition of the check
        if not passed:
            raise DemoError(f"step {self._step}: {what}")
        self._show(f"✓ {what}")

    @staticmethod
    def _show(text: str) -> None:
        for line in text.splitlines():
            sys.stdout.write(f"              {line}\n")
        sys.stdout.flush()


def _masked(secret: str) -> str:
    return f"{secret[:_SHOWN]}… ({len(secret)} characters)"


def _masked_tokens(secret: dict[str, Any]) -> dict[str, Any]:
    token = secret["token"]
    masked = {name: _masked(token[name]) for name in ("access_token", "refresh_token")}
    return {**secret, "token": {**token, **masked}}


def main() -> int:
    end_with_parent()
    report = print_progress()
    try:
        with LocalStack(report=report) as stack:
            Demo(stack, report).run()
            report("cleaning up")
    except (LocalStackError, DemoError, TimeoutError) as error:
        sys.stderr.write(f"FAILED: {error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("stopped\n")
        return 130
    report("done: every step was checked")
    return 0


if __name__ == "__main__":
    sys.exit(main())
