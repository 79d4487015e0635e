import pytest
import requests

from local.xero_simulator.tests.conftest import Register
from local.xero_simulator.tests.oauth_client import REDIRECT_URI, TIMEOUT, OAuthClient, query_of
from local.xero_simulator.user import StrandedError, XeroUser


def names(client: OAuthClient, access_token: str) -> set[str]:
    return {connection["tenantName"] for connection in client.connections(access_token).json()}


def test_allow_returns_a_code_and_the_state(web_app: OAuthClient, user: XeroUser) -> None:
    location = user.consent(web_app.authorize_url())
    assert location.startswith(f"{REDIRECT_URI}?")
    answer = query_of(location)
    assert answer["state"] == "the state"
    assert answer["code"]
    assert "error" not in answer


def test_cancel_returns_access_denied_and_the_state(web_app: OAuthClient, user: XeroUser) -> None:
    location = user.consent(web_app.authorize_url(), decision="deny")
    assert location == f"{REDIRECT_URI}?error=access_denied&state=the%20state"


def test_no_state_comes_back_where_none_was_sent(web_app: OAuthClient, user: XeroUser) -> None:
    assert "state" not in query_of(user.consent(web_app.authorize_url(state=None)))


def test_a_redirect_uri_with_a_query_keeps_it(register: Register, user: XeroUser) -> None:
    redirect_uri = "https://client.example/callback?region=eu"
    client = register(redirect_uris=[redirect_uri])
    location = user.consent(client.authorize_url(redirect_uri=redirect_uri))
    assert location.startswith(f"{redirect_uri}&code=")


def test_all_organisations_are_ticked_at_first(web_app: OAuthClient, user: XeroUser) -> None:
    tokens = web_app.tokens(user)
    assert names(web_app, tokens["access_token"]) == {"Demo Company (UK)", "Electro Land"}


def test_only_ticked_organisations_are_connected(web_app: OAuthClient, user: XeroUser) -> None:
    tokens = web_app.tokens(user, organisations=["Electro Land"])
    assert names(web_app, tokens["access_token"]) == {"Electro Land"}


def test_nothing_ticked_gives_a_token_that_reaches_nothing(web_app: OAuthClient, user: XeroUser) -> None:
    tokens = web_app.tokens(user, organisations=[])
    response = web_app.connections(tokens["access_token"])
    assert (response.status_code, response.json()) == (200, [])


def test_a_login_lasts(web_app: OAuthClient) -> None:
    with requests.Session() as browser:
        XeroUser(browser).consent(web_app.authorize_url())
        again = browser.get(web_app.authorize_url(), allow_redirects=False, timeout=TIMEOUT)
    assert again.headers["Location"].startswith("/identity/user/consent?ReturnUrl=")


def test_two_people_have_connections_of_their_own(web_app: OAuthClient) -> None:
    tokens = []
    for email, organisation in (("ann@example.com", "Electro Land"), ("bob@example.com", "Demo Company (UK)")):
        with requests.Session() as browser:
            tokens.append(web_app.tokens(XeroUser(browser, email=email), organisations=[organisation]))
    reached = [names(web_app, token["access_token"]) for token in tokens]
    assert reached == [{"Electro Land"}, {"Demo Company (UK)"}]


def test_pages_are_accessible_forms(web_app: OAuthClient) -> None:
    with requests.Session() as browser:
        login = browser.get(web_app.authorize_url(), timeout=TIMEOUT)
        XeroUser(browser).consent(web_app.authorize_url(), decision="deny")
        consent = browser.get(web_app.authorize_url(), timeout=TIMEOUT)
    for page in (login, consent):
        assert '<html lang="en">' in page.text
        assert 'name="viewport"' in page.text
        assert "<script" not in page.text
    assert consent.text.count('type="checkbox"') == 2
    assert '<label for="organisation-1">Demo Company (UK)</label>' in consent.text
    assert 'name="decision" value="allow"' in consent.text
    assert 'name="decision" value="deny"' in consent.text


@pytest.mark.parametrize("form", [{"decision": "maybe"}, {}, {"decision": "allow", "tenant_id": "none of ours"}])
def test_a_form_that_is_not_the_pages_own_is_refused(web_app: OAuthClient, form: dict[str, str]) -> None:
    with requests.Session() as browser:
        XeroUser(browser).consent(web_app.authorize_url(), decision="deny")
        page = browser.get(web_app.authorize_url(), timeout=TIMEOUT)
        return_url = query_of(page.url)["ReturnUrl"]
        address = page.url.partition("?")[0]
        response = browser.post(address, data={"ReturnUrl": return_url, **form}, timeout=TIMEOUT)
    assert response.status_code == 400


def test_without_a_login_there_is_no_consent(web_app: OAuthClient) -> None:
    return_url = query_of(web_app.authorize().headers["Location"])["ReturnUrl"]
    form = {"ReturnUrl": return_url, "decision": "allow"}
    address = f"{web_app.url}/identity/user/consent"
    sent = requests.post(address, data=form, allow_redirects=False, timeout=TIMEOUT)
    shown = requests.get(address, params=form, allow_redirects=False, timeout=TIMEOUT)
    assert [one.headers["Location"] for one in (sent, shown)] == [return_url, return_url]


def test_a_login_needs_an_address(web_app: OAuthClient) -> None:
    return_url = query_of(web_app.authorize().headers["Location"])["ReturnUrl"]
    form = {"ReturnUrl": return_url, "email": " "}
    response = requests.post(f"{web_app.url}/identity/user/login", data=form, timeout=TIMEOUT)
    assert response.status_code == 400


def test_the_scripted_user_tells_where_it_was_stranded(web_app: OAuthClient, user: XeroUser) -> None:
    with pytest.raises(StrandedError, match="unauthorized_client : Invalid redirect_uri"):
        user.consent(web_app.authorize_url(redirect_uri="https://elsewhere.example/"))


def test_the_scripted_user_cannot_choose_what_is_not_there(web_app: OAuthClient, user: XeroUser) -> None:
    with pytest.raises(LookupError, match="Nobody Ltd"):
        user.consent(web_app.authorize_url(), organisations=["Nobody Ltd"])
    with pytest.raises(LookupError, match="maybe"):
        user.consent(web_app.authorize_url(), decision="maybe")


def test_the_scripted_user_stops_at_a_refusal_that_goes_straight_back(
    web_app: OAuthClient, user: XeroUser
) -> None:
    location = user.consent(web_app.authorize_url(scope="app.connections"))
    assert query_of(location)["error_description"] == "Requested wrong apps scopes"
