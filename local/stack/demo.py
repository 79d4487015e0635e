"""The main job, unattended and checked step by step: `make demo`."""

import json
import sys
from typing import Any
from urllib.parse import parse_qs, urlsplit

from local.stack.domain_events import DomainEventSubscriber
from local.stack.journey import Journey, XeroApp
from local.stack.local_stack import LocalStack
from local.stack.processes import LocalStackError, end_with_parent
from local.stack.progress import Progress, print_progress

SCHEDULE_WITHIN_SECONDS = 130  # the schedule comes once a minute: the next tick, or the one after
EVENTS_WITHIN_SECONDS = 10
_SHOWN = 6
_SHOWN_OF_A_PATH = 20


class DemoError(Exception):
    """A step failed."""


class Demo:
    """Tells what happens, and stops at the first step that fails."""

    def __init__(self, stack: LocalStack, report: Progress) -> None:
        self._journey = Journey(stack)
        self._events = DomainEventSubscriber(stack)
        self._report = report
        self._step = 0

    def run(self) -> None:
        journey = self._journey
        self._tell("A customer creates a Web app in their own Xero account and generates a client secret")
        app = journey.create_app(organisations=["Demo Company (UK)", "Electro Land"])
        self._show(f"client ID {app.client_id}, client secret {_masked(app.client_secret or '')}")

        self._tell("A pair cannot be submitted without an IAM signature")
        unsigned = journey.stack.admin_as(None).post(
            "/credentials", {"client_id": app.client_id, "client_secret": app.client_secret}
        )
        self._check(unsigned.status_code == 403, f"unsigned: {unsigned.status_code}")

        self._tell("A wrong client secret is noticed at once and is not stored")
        refused = journey.submit(XeroApp(app.client_id, "not-the-secret"))
        self._check(refused.status_code == 422, f"{refused.status_code} {refused.json()['code']}")
        self._show(f"hint: {refused.json()['hint']}")
        kept = journey.admin.get(f"/credentials/{app.client_id}").status_code
        self._check(kept == 404, f"GET /credentials/{app.client_id}: {kept}")

        self._tell("The admin submits the right pair: it is proven at Xero, then stored")
        submitted = journey.submit(app, label="Electro Land")
        self._check(
            submitted.status_code == 201,
            f"{submitted.status_code} {submitted.json().get('status', submitted.json().get('code'))}",
        )
        for name, check in submitted.json()["checks"].items():
            self._show(f"check {name}: {check['detail']}")
        self._check(
            all(check["result"] == "pass" for check in submitted.json()["checks"].values()),
            "pair, redirect URI and scopes pass before any user is sent to Xero",
        )

        self._tell("A Xero user opens the connect link, logs in and allows access to both organisations")
        browser = journey.stack.browser()
        callback = journey.consent(browser, submitted.json()["connect_url"])
        self._check(
            callback.startswith(journey.stack.description.callback_url), "Xero redirects to /oAuth2CallBack"
        )

        self._tell("The callback exchanges the code, verifies the ID token and stores the tokens")
        page = journey.call_back(browser, callback)
        self._check(
            page.status_code == 200 and "Demo Company (UK)" in page.text and "Electro Land" in page.text,
            "the page names Demo Company (UK) and Electro Land",
        )
        self._check(
            not {"code", "state"} & parse_qs(urlsplit(page.url).query).keys(),
            f"its address, {urlsplit(page.url).path[:_SHOWN_OF_A_PATH]}…, holds neither a code nor a state",
        )
        first = journey.tokens(app)
        self._check(first["generation"] == 1, f"secret {journey.credential(app)['token_secret']['name']}:")
        self._show(json.dumps(_masked_tokens(first), indent=2, ensure_ascii=False))

        self._tell("Opening the callback again leads to the same page and exchanges nothing")
        before = len(journey.simulator("GET", "journal").json())
        again = journey.call_back(browser, callback)
        asked = len(journey.simulator("GET", "journal").json()) - before
        self._check(
            again.url == page.url and "Electro Land" in again.text and asked == 0, f"{asked} requests to Xero"
        )

        self._tell("Twenty minutes later (the registry's clock is moved) the schedule refreshes the tokens")
        journey.make_due(app)
        second = journey.wait_for_generation(app, 2, seconds=SCHEDULE_WITHIN_SECONDS)
        self._check(
            second["token"]["access_token"] != first["token"]["access_token"], "generation 2, a new access token"
        )
        organisations = journey.organisations(second["token"]["access_token"])
        self._check(len(organisations) == 2, f"Xero accepts it for {' and '.join(organisations)}")

        self._who_did_what(app)

        self._tell("The logs of the functions contain no secret")
        lines = [event.message for event in journey.stack.read_logs()]
        secrets = [app.client_secret or "", "not-the-secret", callback.partition("code=")[2].partition("&")[0]]
        secrets += [first["token"][name] for name in ("access_token", "refresh_token")]
        secrets += [second["token"][name] for name in ("access_token", "refresh_token")]
        leaked = sum(secret in line for line in lines for secret in secrets)
        self._check(bool(lines) and leaked == 0, f"{len(lines)} lines, {leaked} secrets")

    def _who_did_what(self, app: XeroApp) -> None:
        self._tell("The audit trail says who did what, and subscribers of the event bus received the events")
        for by, action in self._journey.history(app):
            self._show(f"{action} by {by}")
        self._events.wait_for(app.client_id, "CredentialConnected", seconds=EVENTS_WITHIN_SECONDS)
        received = [event.event_type for event in self._events.of(app.client_id)]
        self._check(received == ["CredentialValidated", "CredentialConnected"], f"events: {', '.join(received)}")

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
