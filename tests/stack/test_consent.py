"""The connect link and the callback of the deployed stack, as browsers and attackers meet them."""

import re
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from http import HTTPStatus
from urllib.parse import parse_qs, urljoin, urlsplit

import pytest
import requests

from local.stack import LoopbackSession
from local.stack.journey import Journey, XeroApp

pytestmark = pytest.mark.stack

TIMEOUT = 35


@pytest.fixture
def app(journey: Journey) -> XeroApp:
    app = journey.create_app(organisations=["Demo Company (UK)", "Electro Land"])
    journey.submit(app).raise_for_status()
    return app


@pytest.fixture
def browser(journey: Journey) -> LoopbackSession:
    return journey.stack.browser()


def exchanges(journey: Journey, app: XeroApp) -> int:
    """How many codes of this app were presented to Xero: the two of the proof, and more only by consents."""
    return sum(
        (call["client_id"], call.get("grant_type")) == (app.client_id, "authorization_code")
        for call in journey.simulator("GET", "journal").json()
    )


def assert_page(answer: requests.Response, status: int, words: str) -> None:
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"].startswith("text/html")
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert words in answer.text
    assert "Traceback" not in answer.text


def test_the_whole_consent_stores_the_tokens_in_the_form_of_the_contract(
    journey: Journey, app: XeroApp, browser: LoopbackSession
) -> None:
    callback_url = journey.consent(browser, journey.connect_url(app))
    page = journey.call_back(browser, callback_url)
    assert_page(page, HTTPStatus.OK, "Electro Land")
    assert "Demo Company (UK)" in page.text

    credential = journey.credential(app)
    assert credential["status"] == "connected"
    assert {check["result"] for check in credential["checks"].values()} == {"pass"}
    assert {tenant["tenant_name"] for tenant in credential["tenants"]} == {"Demo Company (UK)", "Electro Land"}

    tokens = journey.tokens(app)
    assert tokens.keys() == {"client_id", "generation", "obtained_at", "token", "tenants"}
    assert tokens["token"].keys() == {
        "access_token",
        "token_type",
        "refresh_token",
        "expires_in",
        "expires_at",
        "scope",
    }
    assert (tokens["client_id"], tokens["generation"]) == (app.client_id, 1)
    assert tokens["tenants"] == credential["tenants"]
    assert tokens["token"]["expires_in"] == 1800
    obtained_at = datetime.fromisoformat(tokens["obtained_at"])
    assert abs(tokens["token"]["expires_at"] - obtained_at.timestamp() - 1800) <= 1
    assert set(journey.organisations(tokens["token"]["access_token"])) == {"Demo Company (UK)", "Electro Land"}
    arn = journey.stack.aws("secretsmanager").describe_secret(SecretId=credential["token_secret"]["name"])["ARN"]
    assert credential["token_secret"]["arn"] == arn


def test_only_the_organisations_that_the_user_ticked_are_connected(
    journey: Journey, app: XeroApp, browser: LoopbackSession
) -> None:
    callback_url = journey.consent(browser, journey.connect_url(app), organisations=["Electro Land"])
    page = journey.call_back(browser, callback_url)
    assert_page(page, HTTPStatus.OK, "Electro Land")
    assert "Demo Company" not in page.text
    assert [tenant["tenant_name"] for tenant in journey.tokens(app)["tenants"]] == ["Electro Land"]


def test_the_request_to_xero_carries_what_it_must(
    journey: Journey, app: XeroApp, browser: LoopbackSession
) -> None:
    location = journey.open_link(browser, journey.connect_url(app)).headers["Location"]
    assert "+" not in urlsplit(location).query
    query = {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}
    assert query["redirect_uri"] == journey.stack.description.callback_url
    assert query["response_type"] == "code"
    assert query["code_challenge_method"] == "S256"
    for name, length in (("state", 43), ("nonce", 43), ("code_challenge", 43)):
        assert len(query[name]) == length
    assert "offline_access" in query["scope"].split()


def test_the_callback_leads_to_an_address_without_a_code_and_a_state(
    journey: Journey, app: XeroApp, browser: LoopbackSession
) -> None:
    callback_url = journey.consent(browser, journey.connect_url(app))
    answer = journey.answer_to_callback(browser, callback_url)
    state = parse_qs(urlsplit(callback_url).query)["state"][0]
    assert (answer.status_code, answer.text) == (HTTPStatus.SEE_OTHER, "")
    assert answer.headers["Location"] == f"consent/{sha256(state.encode()).hexdigest()}"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    page = journey.call_back(browser, callback_url)
    assert_page(page, HTTPStatus.OK, "Electro Land")
    assert page.url == urljoin(callback_url, answer.headers["Location"])
    assert "?" not in page.url


def test_the_page_of_a_consent_is_this_browser_s_and_can_be_loaded_again(
    journey: Journey, app: XeroApp, browser: LoopbackSession
) -> None:
    page = journey.call_back(browser, journey.consent(browser, journey.connect_url(app)))
    before = journey.credential(app)
    for _ in range(2):
        assert_page(browser.get(page.url, timeout=TIMEOUT), HTTPStatus.OK, "Electro Land")
        stranger = journey.stack.browser().get(page.url, timeout=TIMEOUT)
        assert_page(stranger, HTTPStatus.FORBIDDEN, "another browser")
        assert "Electro Land" not in stranger.text
    # API Gateway has no such method: a scanner that asks for the headers reaches nothing.
    assert browser.head(page.url, timeout=TIMEOUT).status_code == HTTPStatus.FORBIDDEN
    assert journey.credential(app) == before


def test_the_page_of_a_consent_says_when_the_credential_was_disconnected_since(
    journey: Journey, app: XeroApp, browser: LoopbackSession
) -> None:
    page = journey.call_back(browser, journey.consent(browser, journey.connect_url(app)))
    journey.admin.delete(f"/credentials/{app.client_id}").raise_for_status()
    assert_page(browser.get(page.url, timeout=TIMEOUT), HTTPStatus.GONE, "disconnected since")


def test_a_callback_twice_shows_the_same_and_exchanges_nothing(
    journey: Journey, app: XeroApp, browser: LoopbackSession
) -> None:
    callback_url = journey.consent(browser, journey.connect_url(app))
    assert_page(journey.call_back(browser, callback_url), HTTPStatus.OK, "Electro Land")
    before = exchanges(journey, app)
    assert_page(journey.call_back(browser, callback_url), HTTPStatus.OK, "Electro Land")
    assert exchanges(journey, app) == before
    assert journey.tokens(app)["generation"] == 1


def test_a_forged_state_is_refused(journey: Journey, app: XeroApp, browser: LoopbackSession) -> None:
    callback_url = journey.consent(browser, journey.connect_url(app))
    state = parse_qs(urlsplit(callback_url).query)["state"][0]
    before = exchanges(journey, app)
    for forged in (state[:-2] + "AA", state.lower(), "", "x" * 5_000):
        answer = journey.call_back(browser, callback_url.replace(state, forged))
        assert_page(answer, HTTPStatus.BAD_REQUEST, "no consent to complete")
    assert exchanges(journey, app) == before


def test_another_browser_is_refused_and_the_first_one_can_still_go_on(
    journey: Journey, app: XeroApp, browser: LoopbackSession
) -> None:
    callback_url = journey.consent(browser, journey.connect_url(app))
    before = exchanges(journey, app)
    stranger = journey.stack.browser()
    assert_page(journey.call_back(stranger, callback_url), HTTPStatus.FORBIDDEN, "another browser")
    # Nor does it help to have opened the same link oneself.
    journey.open_link(stranger, journey.connect_url(app))
    assert_page(journey.call_back(stranger, callback_url), HTTPStatus.FORBIDDEN, "another browser")
    assert exchanges(journey, app) == before
    assert_page(journey.call_back(browser, callback_url), HTTPStatus.OK, "Electro Land")


def test_a_code_cannot_be_slipped_into_another_consent(
    journey: Journey, app: XeroApp, browser: LoopbackSession
) -> None:
    attacker = journey.stack.browser()
    theirs = parse_qs(urlsplit(journey.consent(attacker, journey.connect_url(app))).query)["code"][0]
    ours = journey.consent(browser, journey.connect_url(app))
    code = parse_qs(urlsplit(ours).query)["code"][0]
    answer = journey.call_back(browser, ours.replace(code, theirs))
    assert_page(answer, HTTPStatus.BAD_REQUEST, "no longer accepts")
    assert journey.credential(app)["status"] == "validated"


def test_an_expired_state_is_refused(journey: Journey, app: XeroApp, browser: LoopbackSession) -> None:
    callback_url = journey.consent(browser, journey.connect_url(app))
    state = parse_qs(urlsplit(callback_url).query)["state"][0]
    _expire(journey, f"REQUEST#{sha256(state.encode()).hexdigest()}", "REQUEST")
    before = exchanges(journey, app)
    assert_page(journey.call_back(browser, callback_url), HTTPStatus.GONE, "Try again")
    assert exchanges(journey, app) == before


def test_a_used_state_is_refused(journey: Journey, app: XeroApp, browser: LoopbackSession) -> None:
    denied = journey.consent(browser, journey.connect_url(app), decision="deny")
    assert_page(journey.call_back(browser, denied), HTTPStatus.BAD_REQUEST, "not allowed")
    state = parse_qs(urlsplit(denied).query)["state"][0]
    answer = journey.call_back(browser, f"{journey.stack.description.callback_url}?code=any&state={state}")
    assert_page(answer, HTTPStatus.BAD_REQUEST, "already ended")


def test_after_a_denied_consent_the_page_leads_to_another_try(
    journey: Journey, app: XeroApp, browser: LoopbackSession
) -> None:
    connect_url = journey.connect_url(app)
    page = journey.call_back(browser, journey.consent(browser, connect_url, decision="deny"))
    assert_page(page, HTTPStatus.BAD_REQUEST, "not allowed")
    ticket = connect_url.rsplit("/", 1)[1]
    assert f'href="connect/{ticket}"' in page.text
    assert_page(journey.call_back(browser, journey.consent(browser, connect_url)), HTTPStatus.OK, "Electro Land")


def test_an_expired_link_and_a_made_up_one_say_so(
    journey: Journey, app: XeroApp, browser: LoopbackSession
) -> None:
    connect_url = journey.connect_url(app)
    base, ticket = connect_url.rsplit("/", 1)
    _expire(journey, f"TICKET#{sha256(ticket.encode()).hexdigest()}", "TICKET")
    assert_page(journey.open_link(browser, connect_url), HTTPStatus.GONE, "expired")
    assert_page(journey.open_link(browser, f"{base}/{'A' * 43}"), HTTPStatus.NOT_FOUND, "does not exist")


@pytest.mark.parametrize(
    "fault", ["wrong_nonce", "wrong_audience", "wrong_issuer", "expired", "wrong_key", "unsigned"]
)
def test_a_bad_id_token_is_refused_and_nothing_of_the_answer_is_kept(
    journey: Journey, app: XeroApp, browser: LoopbackSession, fault: str
) -> None:
    callback_url = journey.consent(browser, journey.connect_url(app))
    journey.simulator("POST", "id_token", {"fault": fault, "times": 1})
    page = journey.call_back(browser, callback_url)
    assert_page(page, HTTPStatus.BAD_REQUEST, "could not be verified")
    credential = journey.credential(app)
    assert (credential["status"], credential["generation"]) == ("validated", 0)
    assert credential["token_secret"]["arn"] is None


def test_while_xero_is_down_the_user_is_told_to_start_again_and_can(
    journey: Journey, app: XeroApp, browser: LoopbackSession
) -> None:
    connect_url = journey.connect_url(app)
    callback_url = journey.consent(browser, connect_url)
    journey.simulator("POST", "faults", {"endpoint": "token", "kind": "status", "status": 503})
    page = journey.call_back(browser, callback_url)
    assert_page(page, HTTPStatus.SERVICE_UNAVAILABLE, "Try again")
    # From the page of the consent, the button leads to the same link.
    (link,) = re.findall(r'href="([^"]+)">Try again', page.text)
    assert urljoin(page.url, link) == connect_url
    page = journey.call_back(browser, journey.consent(browser, connect_url))
    assert_page(page, HTTPStatus.OK, "Electro Land")


def test_a_pair_that_xero_revoked_meanwhile_is_told_to_the_user_and_shown_to_the_admin(
    journey: Journey, app: XeroApp, browser: LoopbackSession
) -> None:
    callback_url = journey.consent(browser, journey.connect_url(app))
    journey.simulator("DELETE", f"apps/{app.client_id}/secret")
    page = journey.call_back(browser, callback_url)
    assert_page(page, HTTPStatus.BAD_REQUEST, "administrator")
    credential = journey.credential(app)
    assert credential["status"] == "client_rejected"
    assert credential["last_error"]["code"] == "invalid_client"


def test_a_second_consent_replaces_the_grant(journey: Journey, app: XeroApp) -> None:
    for generation in (1, 2):
        browser = journey.stack.browser()
        journey.call_back(browser, journey.consent(browser, journey.connect_url(app)))
        tokens = journey.tokens(app)
        assert tokens["generation"] == generation
        assert {tenant["tenant_name"] for tenant in tokens["tenants"]} == {"Demo Company (UK)", "Electro Land"}


def _expire(journey: Journey, pk: str, sk: str) -> None:
    past = (datetime.now(tz=UTC) - timedelta(seconds=1)).isoformat()
    journey.stack.aws("dynamodb").update_item(
        TableName=journey.stack.description.table_name,
        Key={"pk": {"S": pk}, "sk": {"S": sk}},
        UpdateExpression="SET expires_at = :past",
        ConditionExpression="attribute_exists(pk)",
        ExpressionAttributeValues={":past": {"S": past}},
    )
