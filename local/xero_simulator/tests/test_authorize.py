from urllib.parse import quote

import pytest
import requests

from local.xero_simulator.server import XeroSimulator
from local.xero_simulator.tests.conftest import Register
from local.xero_simulator.tests.oauth_client import REDIRECT_URI, TIMEOUT, OAuthClient, query_of


def reason_on_error_page(response: requests.Response) -> str:
    assert response.status_code == 302
    assert response.headers["Location"].startswith("/identity/error?errorId=")
    page = requests.get(f"{simulator_of(response)}{response.headers['Location']}", timeout=TIMEOUT)
    assert page.status_code == 200
    assert page.headers["Content-Type"].startswith("text/html")
    return page.text


def simulator_of(response: requests.Response) -> str:
    return response.url.partition("/identity")[0]


def test_without_a_login_the_login_page_comes_first(web_app: OAuthClient) -> None:
    response = web_app.authorize()
    assert response.status_code == 302
    path, _, query = response.headers["Location"].partition("?")
    assert path == "/identity/user/login"
    return_url = query_of(f"?{query}")["ReturnUrl"]
    assert return_url.startswith("/identity/connect/authorize/callback?")
    assert query_of(return_url)["state"] == "the state"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"client_id": None}, "invalid_request : Invalid client_id"),
        ({"client_id": "F" * 32}, "unauthorized_client : Unknown client or client not enabled"),
        ({"redirect_uri": None}, "invalid_request : Invalid redirect_uri"),
        ({"redirect_uri": "no-uri"}, "invalid_request : Invalid redirect_uri"),
        ({"redirect_uri": "http://[oops"}, "invalid_request : Invalid redirect_uri"),
        ({"redirect_uri": "https://elsewhere.example/"}, "unauthorized_client : Invalid redirect_uri"),
        ({"redirect_uri": f"{REDIRECT_URI}/"}, "unauthorized_client : Invalid redirect_uri"),
        ({"redirect_uri": f"{REDIRECT_URI}?a=b"}, "unauthorized_client : Invalid redirect_uri"),
        ({"response_type": None}, "unsupported_response_type : Missing response_type"),
        ({"response_type": "token"}, "unsupported_response_type : Response type not supported"),
        ({"response_mode": "fragment"}, "unsupported_response_type : Invalid response_mode"),
        ({"scope": None}, "invalid_request : Invalid scope"),
        ({"scope": "openid accounting.everything"}, "invalid_scope : Invalid scope"),
        ({"scope": "openid accounting.transactions"}, "invalid_scope : Invalid scope"),
        ({"scope": "accounting.reports.read"}, "invalid_scope : Invalid scope"),
        ({"code_challenge": "short", "code_challenge_method": "S256"}, "invalid_request : Invalid code_challenge"),
        ({"code_challenge": "c" * 43}, "invalid_request : Transform algorithm not supported"),
        (
            {"code_challenge": "c" * 43, "code_challenge_method": "plain"},
            "invalid_request : Transform algorithm not supported",
        ),
    ],
)
def test_refusals_strand_the_browser_on_the_error_page(
    web_app: OAuthClient, changes: dict[str, str | None], reason: str
) -> None:
    assert reason in reason_on_error_page(web_app.authorize(**changes))


def test_the_client_is_checked_before_the_redirect_uri_and_that_before_the_scope(web_app: OAuthClient) -> None:
    wrong_everywhere = {"client_id": "F" * 32, "redirect_uri": "https://elsewhere.example/", "scope": "nonsense"}
    assert "Unknown client" in reason_on_error_page(web_app.authorize(**wrong_everywhere))
    del wrong_everywhere["client_id"]
    assert "Invalid redirect_uri" in reason_on_error_page(web_app.authorize(**wrong_everywhere))


def test_the_redirect_uri_is_compared_without_case(web_app: OAuthClient) -> None:
    response = web_app.authorize(redirect_uri=REDIRECT_URI.lower())
    assert response.headers["Location"].startswith("/identity/user/login?")


def test_the_redirect_uri_can_be_compared_letter_by_letter(register: Register) -> None:
    exact = register(case_sensitive_redirect_uris=True)
    assert exact.authorize().headers["Location"].startswith("/identity/user/login?")
    reason = reason_on_error_page(exact.authorize(redirect_uri=REDIRECT_URI.lower()))
    assert "unauthorized_client : Invalid redirect_uri" in reason


@pytest.mark.parametrize("scope", ["openid accounting.banktransactions", "openid app.connections"])
def test_a_scope_that_is_not_registered_goes_straight_back(web_app: OAuthClient, scope: str) -> None:
    response = web_app.authorize(scope=scope)
    assert response.status_code == 302
    assert response.headers["Location"] == (
        f"{REDIRECT_URI}?error=access_denied&error_description=Requested%20wrong%20apps%20scopes&state=the%20state"
    )


def test_an_app_from_before_granular_scopes_gets_the_error_page_instead(register: Register) -> None:
    older = register(granular_scopes=False, scopes="accounting.transactions")
    assert older.authorize(scope="accounting.transactions").headers["Location"].startswith("/identity/user/login")
    reason = reason_on_error_page(older.authorize(scope="accounting.invoices"))
    assert "unauthorized_client : Invalid scope for client" in reason
    assert older.authorize(scope="app.connections").headers["Location"].startswith(REDIRECT_URI)


def test_a_mobile_app_must_send_a_challenge(register: Register) -> None:
    mobile_app = register("mobile_app")
    assert mobile_app.client_secret is None
    assert "invalid_request : code challenge required" in reason_on_error_page(mobile_app.authorize())
    response = mobile_app.authorize(code_challenge="c" * 43, code_challenge_method="S256")
    assert response.headers["Location"].startswith("/identity/user/login?")


def test_a_custom_connection_has_no_consent(register: Register) -> None:
    reason = reason_on_error_page(register("custom_connection").authorize())
    assert "unauthorized_client : Invalid grant type for client" in reason


def test_a_repeated_parameter_is_its_values_joined(web_app: OAuthClient) -> None:
    twice = f"{web_app.authorize_url()}&client_id={web_app.client_id}"
    response = requests.get(twice, allow_redirects=False, timeout=TIMEOUT)
    assert "Unknown client" in reason_on_error_page(response)


def test_an_unknown_error_id_has_a_page_too(simulator: XeroSimulator) -> None:
    page = requests.get(f"{simulator.url}/identity/error?errorId=none", timeout=TIMEOUT)
    assert "unknown error" in page.text


def test_what_the_client_sends_is_escaped_on_pages(web_app: OAuthClient) -> None:
    state = '"><script>alert(1)</script>'
    login_page = requests.get(web_app.authorize_url(state=state), timeout=TIMEOUT)
    assert "<script>" not in login_page.text


@pytest.mark.parametrize(
    "return_url", ["", "https://elsewhere.example/", "//elsewhere.example/identity/connect/authorize/callback?"]
)
@pytest.mark.parametrize("page", ["login", "consent"])
def test_a_return_url_leads_nowhere_else(simulator: XeroSimulator, page: str, return_url: str) -> None:
    address = f"{simulator.url}/identity/user/{page}"
    shown = requests.get(f"{address}?ReturnUrl={quote(return_url, safe='')}", timeout=TIMEOUT)
    sent = requests.post(address, data={"ReturnUrl": return_url, "email": "a@b.c"}, timeout=TIMEOUT)
    assert (shown.status_code, sent.status_code) == (400, 400)
