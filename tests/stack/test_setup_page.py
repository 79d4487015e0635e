"""A setup link on the deployed stack: from an admin's call to a connected organisation."""

import pytest

from local.stack.domain_events import DomainEventSubscriber
from local.stack.journey import Journey, XeroApp

pytestmark = pytest.mark.stack


def state(journey: Journey, setup_url: str) -> str:
    (found,) = [
        link
        for link in journey.admin.get("/setup-links", {"limit": "100"}).json()["items"]
        if journey.setup_link_ids[setup_url] == link["setup_link_id"]
    ]
    return str(found["state"])


def test_a_customer_goes_from_the_link_to_connected(
    journey: Journey, domain_events: DomainEventSubscriber
) -> None:
    app = journey.create_app(organisations=["Demo Company (UK)"])
    setup_url = journey.setup_url(label="Rapid Auto")
    assert state(journey, setup_url) == "open"
    browser = journey.stack.browser()

    page = journey.open_setup(browser, setup_url)
    assert page.status_code == 200
    assert "Rapid Auto" in page.text
    assert journey.stack.description.callback_url in page.text
    assert state(journey, setup_url) == "opened"

    refused = journey.hand_over(browser, setup_url, XeroApp(app.client_id, "not-the-secret"))
    assert app.client_id in refused.text
    assert "not-the-secret" not in refused.text
    assert journey.admin.get(f"/credentials/{app.client_id}").status_code == 404

    proven = journey.hand_over(browser, setup_url, app)
    assert state(journey, setup_url) == "used"
    assert journey.credential(app)["label"] == "Rapid Auto"
    last = journey.call_back(browser, journey.consent(browser, journey.connect_url_of(proven)))
    assert "Demo Company (UK)" in last.text
    assert "Demo Company (UK)" in journey.open_setup(browser, setup_url).text
    domain_events.wait_for(app.client_id, "SetupLinkUsed", seconds=10)


def test_a_custom_connection_is_connected_by_the_next_run(journey: Journey) -> None:
    app = journey.create_app("custom_connection", organisations=["Electro Land"])
    setup_url = journey.setup_url(integration_type="custom_connection")
    journey.hand_over(journey.stack.browser(), setup_url, app, integration_type="custom_connection")
    journey.wait_for_status(app, "connected", seconds=130)
    assert "Electro Land" in journey.open_setup(journey.stack.browser(), setup_url).text


def test_a_link_that_was_withdrawn_is_gone(journey: Journey) -> None:
    setup_url = journey.setup_url()
    link_id = journey.setup_link_ids[setup_url]
    assert journey.admin.delete(f"/setup-links/{link_id}").json()["state"] == "withdrawn"
    assert journey.open_setup(journey.stack.browser(), setup_url).status_code == 410


def test_a_form_from_another_site_is_refused(journey: Journey) -> None:
    setup_url = journey.setup_url()
    answer = journey.stack.browser().post(
        setup_url,
        data={"client_id": "A" * 32, "client_secret": "x"},
        headers={"Origin": "https://elsewhere.example", "Sec-Fetch-Site": "cross-site"},
        allow_redirects=False,
        timeout=35,
    )
    assert answer.status_code == 403


def test_a_refused_secret_is_healed_by_a_link(journey: Journey) -> None:
    app = journey.create_app(organisations=["Demo Company (UK)"])
    journey.connect(app)
    journey.simulator("DELETE", f"apps/{app.client_id}/secret")
    journey.admin.post(f"/credentials/{app.client_id}/validation")
    assert journey.credential(app)["status"] == "client_rejected"
    answer = journey.admin.post(f"/credentials/{app.client_id}/setup-link")
    assert (answer.status_code, answer.json()["purpose"]) == (201, "replace_secret")
    page = journey.open_setup(journey.stack.browser(), answer.json()["setup_url"])
    assert app.client_id in page.text
    assert 'name="client_id"' not in page.text
