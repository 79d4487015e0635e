import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
import requests

from local.xero_simulator.faults import Endpoint, Fault, FaultKind
from local.xero_simulator.journal import JournalEntry
from local.xero_simulator.server import XeroSimulator
from local.xero_simulator.tests.conftest import Control, wait_until
from local.xero_simulator.tests.oauth_client import TIMEOUT, OAuthClient
from local.xero_simulator.user import XeroUser


def entries(control: Control) -> list[JournalEntry]:
    return list(control("journal", method="GET").json())


def test_a_whole_connection_is_on_record(web_app: OAuthClient, user: XeroUser, control: Control) -> None:
    tokens = web_app.tokens(user)
    web_app.connections(tokens["access_token"])
    web_app.refresh(tokens["refresh_token"])
    web_app.revoke(tokens["refresh_token"])
    journal = entries(control)
    assert [(entry["method"], entry["path"], entry["status"]) for entry in journal] == [
        ("GET", "/identity/connect/authorize", 302),
        ("GET", "/identity/user/login", 200),
        ("POST", "/identity/user/login", 302),
        ("GET", "/identity/connect/authorize/callback", 302),
        ("GET", "/identity/user/consent", 200),
        ("POST", "/identity/user/consent", 302),
        ("POST", "/connect/token", 200),
        ("GET", "/connections", 200),
        ("POST", "/connect/token", 200),
        ("POST", "/connect/revocation", 200),
    ]
    grant_types = [entry["grant_type"] for entry in journal if "grant_type" in entry]
    assert grant_types == ["authorization_code", "refresh_token"]
    named = {entry["path"] for entry in journal if entry["client_id"] == web_app.client_id}
    assert {"/identity/connect/authorize", "/connect/token", "/connections", "/connect/revocation"} <= named


def test_the_journal_holds_no_secret(web_app: OAuthClient, user: XeroUser, control: Control) -> None:
    location = user.consent(web_app.authorize_url(state="confidential-state", nonce="confidential-nonce"))
    code = location.partition("code=")[2].partition("&")[0]
    tokens = web_app.exchange(code).json()
    web_app.refresh(tokens["refresh_token"])
    web_app.connections(tokens["access_token"], authEventId="confidential-event")
    web_app.revoke(tokens["refresh_token"])
    # A confused client: the secret where the id belongs, and an odd grant type.
    confused = OAuthClient(web_app.url, web_app.client_secret or "", web_app.client_id)
    confused.post_token(grant_type="confidential-grant")
    confused.authorize()
    written = json.dumps(entries(control))
    secrets = [web_app.client_secret, code, tokens["access_token"], tokens["refresh_token"], tokens["id_token"]]
    for secret in (*secrets, "confidential", "?"):
        assert secret is not None
        assert secret not in written


def test_dropped_requests_have_no_status(web_app: OAuthClient, control: Control) -> None:
    for kind in ("drop_before", "drop_after"):
        control("faults", {"endpoint": "token", "kind": kind})
        with pytest.raises(requests.ConnectionError):
            web_app.exchange("bogus")
    web_app.exchange("bogus")
    assert [entry["status"] for entry in entries(control)] == [None, None, 400]
    assert {entry["client_id"] for entry in entries(control)} == {web_app.client_id}


def test_refusals_and_faults_are_on_record(web_app: OAuthClient, control: Control) -> None:
    control("faults", {"endpoint": "token", "kind": "status", "status": 503})
    web_app.exchange("bogus")
    web_app.connections("bogus")
    requests.get(f"{web_app.url}/no/such/path", timeout=TIMEOUT)
    journal = [(entry["path"], entry["status"], entry["client_id"]) for entry in entries(control)]
    assert journal == [
        ("/connect/token", 503, web_app.client_id),
        ("/connections", 401, None),
        ("/no/such/path", 404, None),
    ]


def test_what_a_stranded_browser_reads_is_on_record(web_app: OAuthClient, control: Control) -> None:
    requests.get(web_app.authorize_url(scope="nonsense"), timeout=TIMEOUT)
    journal = [(entry["path"], entry["status"], entry["client_id"]) for entry in entries(control)]
    assert journal == [
        ("/identity/connect/authorize", 302, web_app.client_id),
        ("/identity/error", 200, None),
    ]


def test_a_late_answer_from_before_a_reset_is_not_on_record(
    simulator: XeroSimulator, web_app: OAuthClient
) -> None:
    simulator.faults.add(Fault(Endpoint.TOKEN, FaultKind.DELAY, delay=timedelta(seconds=0.2)))
    with ThreadPoolExecutor(1) as pool:
        late = pool.submit(web_app.exchange, "bogus")
        wait_until(lambda: not simulator.faults.pending)
        simulator.reset()
        assert late.result().status_code == 400
    assert simulator.journal.entries == []


def test_times_are_the_simulators_own(web_app: OAuthClient, control: Control) -> None:
    control("clock", {"advance_seconds": 86400})
    web_app.exchange("bogus")
    (entry,) = entries(control)
    at = datetime.fromisoformat(entry["at"])
    assert at.utcoffset() == timedelta(0)
    assert abs(at - datetime.now(UTC) - timedelta(days=1)) < timedelta(minutes=1)


def test_every_answer_has_a_correlation_id_of_its_own(simulator: XeroSimulator, web_app: OAuthClient) -> None:
    answers = [
        web_app.exchange("bogus"),
        web_app.authorize(),
        web_app.connections("bogus"),
        requests.get(f"{simulator.url}/no/such/path", timeout=TIMEOUT),
    ]
    assert len({UUID(answer.headers["Xero-Correlation-Id"]) for answer in answers}) == len(answers)
