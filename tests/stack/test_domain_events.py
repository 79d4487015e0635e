"""What a subscriber of the deployed stack's bus receives, and what the audit trail says about the same."""

import json
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator, FormatChecker

from local.stack.domain_events import DomainEventSubscriber
from local.stack.journey import Journey, XeroApp

pytestmark = pytest.mark.stack

SCHEMAS = Path(__file__).parents[2] / "docs" / "events"
SOON = 10.0
ADMIN = "arn:aws:iam::000000000000:user/local-admin"


def received(domain_events: DomainEventSubscriber, app: XeroApp, *types: str) -> list[dict[str, Any]]:
    """Wait for these events of a credential, in this order and no others, each as its schema says."""
    domain_events.wait_for(app.client_id, types[-1], seconds=SOON)
    events = domain_events.of(app.client_id)
    assert [event.event_type for event in events] == list(types)
    for event in events:
        schema = json.loads((SCHEMAS / f"{event.event_type}.v1.json").read_text())
        Draft202012Validator(schema, format_checker=FormatChecker()).validate(event.detail)
    assert len({event.detail["event_id"] for event in events}) == len(events)
    return [event.detail for event in events]


def test_a_whole_life_is_told(journey: Journey, domain_events: DomainEventSubscriber) -> None:
    app = journey.create_app()
    assert journey.connect(app).status_code == HTTPStatus.OK
    journey.admin.post(f"/credentials/{app.client_id}/refresh").raise_for_status()
    journey.admin.delete(f"/credentials/{app.client_id}").raise_for_status()
    _, connected, disconnected = received(
        domain_events, app, "CredentialValidated", "CredentialConnected", "CredentialDisconnected"
    )
    assert sorted(tenant["tenant_name"] for tenant in connected["tenants"]) == [
        "Demo Company (UK)",
        "Electro Land",
    ]
    assert disconnected["reason"] is None
    trail = journey.history(app)
    user = next(by for by, action in trail if action == "connected")
    assert user.startswith("xero_user:")
    assert trail == [
        (ADMIN, "submitted"),
        ("connector", "validated"),
        (ADMIN, "connect_link_created"),
        (user, "connected"),
        (ADMIN, "refresh_requested"),
        (ADMIN, "disconnect_requested"),
        ("connector", "disconnected"),
    ]


def test_a_dead_grant_comes_with_a_link_that_heals_it(
    journey: Journey, domain_events: DomainEventSubscriber
) -> None:
    app = journey.create_app()
    journey.connect(app)
    # Past the grace and the 60 days of a refresh token that was not used: the user has to consent again.
    journey.simulator(
        "POST",
        "faults",
        {"endpoint": "token", "kind": "status", "status": 400, "error": "invalid_grant", "times": 4},
    )
    for _ in range(2):
        journey.admin.post(f"/credentials/{app.client_id}/refresh")
    journey.simulator("DELETE", "faults")
    assert journey.credential(app)["status"] == "reauthorization_required"
    *_, required = received(
        domain_events, app, "CredentialValidated", "CredentialConnected", "ReauthorizationRequired"
    )
    journey.seen.add(required["connect_url"].rsplit("/", 1)[1])
    browser = journey.stack.browser()
    page = journey.call_back(browser, journey.consent(browser, required["connect_url"]))
    assert page.status_code == HTTPStatus.OK
    assert journey.credential(app)["status"] == "connected"
    received(
        domain_events,
        app,
        "CredentialValidated",
        "CredentialConnected",
        "ReauthorizationRequired",
        "CredentialConnected",
    )


def test_a_refused_pair_is_told_once(journey: Journey, domain_events: DomainEventSubscriber) -> None:
    app = journey.create_app()
    journey.connect(app)
    journey.simulator("DELETE", f"apps/{app.client_id}/secret")
    for _ in range(3):
        journey.admin.post(f"/credentials/{app.client_id}/refresh")
    *_, rejected = received(domain_events, app, "CredentialValidated", "CredentialConnected", "ClientRejected")
    assert rejected["reason"]["code"] == "invalid_client"
