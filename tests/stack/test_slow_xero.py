"""On the deployment: a Xero that drips or never ends costs no request, and no grant."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus

import pytest

from local.stack.journey import Journey

pytestmark = pytest.mark.stack

_API_GATEWAY = 29
"""Seconds that API Gateway waits."""


@contextmanager
def answered_in_time() -> Iterator[None]:
    began = time.monotonic()
    yield
    assert time.monotonic() - began < _API_GATEWAY


@pytest.mark.parametrize(
    "fault", [{"kind": "drip", "seconds": 2}, {"kind": "endless"}], ids=["drips", "never ends"]
)
def test_every_endpoint_of_xero_may_be_slow(journey: Journey, fault: dict[str, object]) -> None:
    app = journey.create_app()
    connect_url = journey.submit(app).json()["connect_url"]

    # The organisations come after the tokens are stored: the page says that they are still pending.
    browser = journey.stack.browser()
    callback = journey.consent(browser, connect_url)
    journey.simulator("POST", "faults", {"endpoint": "connections", "times": 2, **fault})
    with answered_in_time():
        page = journey.call_back(browser, callback)
    assert page.status_code == HTTPStatus.OK
    assert journey.credential(app)["status"] == "connected"
    first = journey.tokens(app)
    assert first["token"]["refresh_token"]

    # The answer of a refresh that drips is lost; within the grace the old token brings another.
    journey.simulator("DELETE", "faults")
    journey.simulator("POST", "faults", {"endpoint": "token", **fault})
    with answered_in_time():
        answer = journey.admin.post(f"/credentials/{app.client_id}/refresh")
    assert answer.status_code == HTTPStatus.SERVICE_UNAVAILABLE
    assert answer.json()["code"] == "unanswered"
    answer = journey.admin.post(f"/credentials/{app.client_id}/refresh")
    assert (answer.status_code, answer.json()["status"]) == (HTTPStatus.OK, "connected")
    assert journey.organisations(journey.tokens(app)["token"]["access_token"])

    # A revocation that drips is none yet: the schedule goes on, or another request does.
    journey.simulator("POST", "faults", {"endpoint": "revocation", **fault})
    with answered_in_time():
        answer = journey.admin.delete(f"/credentials/{app.client_id}")
    assert answer.status_code in {HTTPStatus.OK, HTTPStatus.ACCEPTED}
    answer = journey.admin.delete(f"/credentials/{app.client_id}")
    assert answer.json()["status"] == "disconnected"
    assert answer.json()["last_error"] is None
