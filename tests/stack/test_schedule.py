"""What the schedule of the deployed stack does unasked, and what admins can ask for meanwhile."""

import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any

import pytest

from local.stack.domain_events import DomainEventSubscriber
from local.stack.journey import Journey, XeroApp

pytestmark = pytest.mark.stack

TWO_TICKS = 130
"""Seconds: the schedule comes once a minute."""


def until(condition: Callable[[], bool]) -> None:
    give_up_at = time.monotonic() + TWO_TICKS
    while not condition():
        assert time.monotonic() < give_up_at, "the schedule did not do it"
        time.sleep(1)


def status(journey: Journey, app: XeroApp) -> str:
    found: str = journey.credential(app)["status"]
    return found


def test_the_schedule_refreshes_proves_and_disconnects_unasked(
    journey: Journey, domain_events: DomainEventSubscriber
) -> None:
    """One wait for everything that takes a tick: the two of the deployment would be too long otherwise."""
    connected, pending, wrong, leaving = (journey.create_app() for _ in range(4))
    custom = journey.create_app("custom_connection", organisations=["Rapid Auto"])
    assert journey.connect(connected).status_code == HTTPStatus.OK
    assert journey.connect(leaving).status_code == HTTPStatus.OK
    assert journey.submit(custom, integration_type="custom_connection").json()["status"] == "connected"

    for app in (pending, wrong):
        journey.simulator("POST", "faults", {"endpoint": "token", "kind": "status", "status": 503})
        assert journey.submit(app).status_code == HTTPStatus.ACCEPTED
    journey.simulator("DELETE", f"apps/{wrong.client_id}/secret")

    journey.simulator("POST", "faults", {"endpoint": "revocation", "kind": "status", "status": 503})
    answer = journey.admin.delete(f"/credentials/{leaving.client_id}")
    assert (answer.status_code, answer.json()["status"]) == (HTTPStatus.ACCEPTED, "disconnecting")

    first = journey.tokens(connected)
    assert first["generation"] == 1
    # Meanwhile a user removes one of the organisations on Xero's page "Connected apps", and connects another.
    journey.simulator(
        "PUT", f"apps/{connected.client_id}/connections", {"organisations": ["Electro Land", "New Branch"]}
    )
    journey.make_due(custom)
    journey.make_due(connected, organisations_seen_at=datetime.now(tz=UTC) - timedelta(hours=7))
    second = journey.wait_for_generation(connected, 2, seconds=TWO_TICKS)
    assert second["generation"] == 2
    assert second["token"]["access_token"] != first["token"]["access_token"]
    assert second["token"]["refresh_token"] != first["token"]["refresh_token"]
    assert journey.organisations(second["token"]["access_token"])
    credential = journey.credential(connected)
    assert (credential["status"], credential["generation"]) == ("connected", 2)
    reached = ["Electro Land", "New Branch"]
    assert sorted(tenant["tenant_name"] for tenant in credential["tenants"]) == reached
    assert sorted(tenant["tenant_name"] for tenant in second["tenants"]) == reached
    changed = domain_events.wait_for(connected.client_id, "TenantsChanged", seconds=TWO_TICKS)
    assert [tenant["tenant_name"] for tenant in changed["added"]] == ["New Branch"]
    assert [tenant["tenant_name"] for tenant in changed["removed"]] == ["Demo Company (UK)"]
    anew = journey.wait_for_generation(custom, 2, seconds=TWO_TICKS)
    assert journey.organisations(anew["token"]["access_token"]) == ["Rapid Auto"]

    until(lambda: status(journey, pending) == "validated")
    # One refusal decides nothing; so the registry's clock is turned by the time that it takes to be sure.
    until(lambda: (journey.credential(wrong)["last_error"] or {}).get("code") == "invalid_client")
    assert status(journey, wrong) == "pending_validation"
    journey.make_due(wrong, refused_since=datetime.now(tz=UTC) - timedelta(minutes=25))
    until(lambda: status(journey, wrong) == "rejected")
    until(lambda: status(journey, leaving) == "disconnected")
    for name in (
        f"oneenterprise/xero/{leaving.client_id}/client",
        f"oneenterprise/xero/{leaving.client_id}/tokens",
    ):
        assert "DeletedDate" in journey.stack.aws("secretsmanager").describe_secret(SecretId=name)
    domain_events.wait_for(pending.client_id, "CredentialValidated", seconds=TWO_TICKS)
    rejected = domain_events.wait_for(wrong.client_id, "CredentialRejected", seconds=TWO_TICKS)
    assert rejected["reason"]["code"] == "invalid_client"
    # Its secret stays for a week, and the right one heals it.
    kept = journey.stack.aws("secretsmanager").describe_secret(
        SecretId=f"oneenterprise/xero/{wrong.client_id}/client"
    )
    assert "DeletedDate" not in kept
    renewed = journey.simulator("POST", f"apps/{wrong.client_id}/secret").json()["client_secret"]
    journey.seen.add(renewed)
    answer = journey.admin.put(f"/credentials/{wrong.client_id}/secret", {"client_secret": renewed})
    assert (answer.status_code, answer.json()["status"]) == (HTTPStatus.OK, "validated")
    domain_events.wait_for(leaving.client_id, "CredentialDisconnected", seconds=TWO_TICKS)


def test_an_admin_refreshes_now(journey: Journey) -> None:
    app = journey.create_app()
    journey.connect(app)
    answer = journey.admin.post(f"/credentials/{app.client_id}/refresh")
    assert (answer.status_code, answer.json()["generation"]) == (HTTPStatus.OK, 2)
    assert journey.tokens(app)["generation"] == 2


@pytest.mark.parametrize(
    "fault",
    [{"kind": "drop_before"}, {"kind": "drop_after"}, {"kind": "status", "status": 500}],
    ids=["not taken", "taken, answer lost", "500"],
)
def test_a_refresh_without_an_answer_costs_nothing(journey: Journey, fault: dict[str, Any]) -> None:
    app = journey.create_app()
    journey.connect(app)
    journey.simulator("POST", "faults", {"endpoint": "token", **fault})
    answer = journey.admin.post(f"/credentials/{app.client_id}/refresh")
    assert answer.status_code == HTTPStatus.SERVICE_UNAVAILABLE
    assert status(journey, app) == "degraded"
    answer = journey.admin.post(f"/credentials/{app.client_id}/refresh")
    assert (answer.status_code, answer.json()["status"]) == (HTTPStatus.OK, "connected")
    assert journey.organisations(journey.tokens(app)["token"]["access_token"])


def test_a_new_secret_heals_a_refused_pair_and_keeps_the_consent(journey: Journey) -> None:
    app = journey.create_app()
    journey.connect(app)
    journey.simulator("DELETE", f"apps/{app.client_id}/secret")
    answer = journey.admin.post(f"/credentials/{app.client_id}/refresh")
    assert (answer.status_code, answer.json()["code"]) == (HTTPStatus.CONFLICT, "client_rejected")

    refused = journey.admin.put(f"/credentials/{app.client_id}/secret", {"client_secret": "wrong"})
    assert refused.status_code == HTTPStatus.UNPROCESSABLE_ENTITY
    renewed = journey.simulator("POST", f"apps/{app.client_id}/secret").json()["client_secret"]
    journey.seen.add(renewed)
    answer = journey.admin.put(f"/credentials/{app.client_id}/secret", {"client_secret": renewed})
    assert (answer.status_code, answer.json()["status"]) == (HTTPStatus.OK, "connected")
    assert answer.json()["generation"] == journey.tokens(app)["generation"] == 2
    name = f"oneenterprise/xero/{app.client_id}/client"
    before = journey.stack.aws("secretsmanager").get_secret_value(SecretId=name, VersionStage="AWSPREVIOUS")
    assert json.loads(before["SecretString"])["client_secret"] == app.client_secret


def test_several_who_disconnect_at_once_end_it_once(
    journey: Journey, domain_events: DomainEventSubscriber
) -> None:
    app = journey.create_app()
    journey.connect(app)
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: journey.admin.delete(f"/credentials/{app.client_id}"), range(4)))
    assert {answer.status_code for answer in answers} <= {HTTPStatus.OK, HTTPStatus.CONFLICT}
    assert status(journey, app) == "disconnected"
    domain_events.wait_for(app.client_id, "CredentialDisconnected", seconds=10)
    told = [event.event_type for event in domain_events.of(app.client_id)]
    assert told.count("CredentialDisconnected") == 1


def test_a_deleted_credential_can_come_back(journey: Journey) -> None:
    app = journey.create_app()
    journey.connect(app)
    earlier = journey.connect_url(app)
    answer = journey.admin.delete(f"/credentials/{app.client_id}")
    assert (answer.status_code, answer.json()["status"]) == (HTTPStatus.OK, "disconnected")
    link = journey.open_link(journey.stack.browser(), earlier)
    assert link.status_code == HTTPStatus.CONFLICT
    assert journey.connect(app).status_code == HTTPStatus.OK
    assert journey.open_link(journey.stack.browser(), earlier).status_code == HTTPStatus.GONE
    assert journey.tokens(app)["generation"] == 1
    assert status(journey, app) == "connected"


def test_validates_again(journey: Journey) -> None:
    app = journey.create_app()
    journey.submit(app)
    journey.simulator("DELETE", f"apps/{app.client_id}/secret")
    answer = journey.admin.post(f"/credentials/{app.client_id}/validation")
    assert answer.status_code == HTTPStatus.OK
    assert answer.json()["checks"]["pair"]["result"] == "fail"
    assert answer.json()["status"] == "client_rejected"
