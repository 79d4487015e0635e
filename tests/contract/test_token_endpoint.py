"""Xero's identity server through Authlib, over real HTTP: the simulator is as strict as Xero is known to be."""

import base64
import dataclasses
import json
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from urllib.parse import parse_qs, parse_qsl, urlsplit

import pytest
import requests

from local.xero_simulator.apps import DEFAULT_REDIRECT_URI, IntegrationType
from local.xero_simulator.faults import Endpoint, Fault, FaultKind
from local.xero_simulator.server import XeroSimulator
from local.xero_simulator.token_signer import IdTokenFault
from local.xero_simulator.user import XeroUser
from tests.fakes.builders import a_tokens_secret
from tests.fakes.canned_server import Answer, CannedServer
from xero_connector.adapters.authlib_authorize_endpoint import AuthlibAuthorizeEndpoint
from xero_connector.adapters.authlib_token_endpoint import AuthlibTokenEndpoint
from xero_connector.adapters.budget import Limits
from xero_connector.adapters.joserfc_id_tokens import JoserfcIdTokens
from xero_connector.domain.consent import BrowserBinding, new_token
from xero_connector.domain.credential import IntegrationType as SubmittedAs
from xero_connector.domain.errors import IdTokenRefused
from xero_connector.domain.ports import TokenEndpoint
from xero_connector.domain.proof import Verdict
from xero_connector.domain.token_endpoint import FailureKind, TokenEndpointFailure
from xero_connector.domain.tokens import LARGEST_VERSION, ClientPair, TokenAnswer, TokensSecret
from xero_connector.services.prove_pair import ProvePair

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])

SCOPES = ("offline_access", "openid", "accounting.contacts")
ODD_SECRET = "a+b%20c/d&e=f:g;h@i!j~k*l'm(n)o\"p<q>r#s?t[u]v{w}x|y\\z^`$,."


@dataclass
class App:
    """A registered app, and a user who consents to whatever it asks for."""

    simulator: XeroSimulator
    token_endpoint: AuthlibTokenEndpoint
    id_tokens: JoserfcIdTokens
    authorize: AuthlibAuthorizeEndpoint
    pair: ClientPair
    session: requests.Session

    def __post_init__(self) -> None:
        self.state = new_token()
        self.browser = BrowserBinding("ticket", new_token())

    @property
    def authorization_url(self) -> str:
        return self.authorize.authorization_url(
            client_id=self.pair.client_id,
            scopes=SCOPES,
            state=self.state,
            code_verifier=self.browser.code_verifier(self.state),
            nonce=self.browser.nonce(self.state),
        )

    def code(self) -> str:
        location = XeroUser(self.session).consent(self.authorization_url)
        answer = dict(parse_qsl(urlsplit(location).query))
        assert location.startswith(f"{DEFAULT_REDIRECT_URI}?")
        assert answer["state"] == self.state
        return answer["code"]

    def exchange(self, code: str | None = None, *, code_verifier: str | None = None) -> TokenAnswer:
        return self.token_endpoint.exchange_code(
            self.pair,
            code=code or self.code(),
            code_verifier=code_verifier or self.browser.code_verifier(self.state),
        )

    def refresh(self, refresh_token: str | None) -> TokenAnswer:
        assert refresh_token is not None
        return self.token_endpoint.refresh(self.pair, refresh_token=refresh_token)

    def with_secret(self, client_secret: str) -> "App":
        return dataclasses.replace(self, pair=ClientPair(self.pair.client_id, client_secret))


@pytest.fixture
def token_endpoint(simulator: XeroSimulator) -> AuthlibTokenEndpoint:
    return AuthlibTokenEndpoint(
        identity_url=simulator.url,
        redirect_uri=DEFAULT_REDIRECT_URI,
        pkce=True,
        clock=simulator.clock,
    )


def authorize_endpoint(simulator: XeroSimulator) -> AuthlibAuthorizeEndpoint:
    return AuthlibAuthorizeEndpoint(login_url=simulator.url, redirect_uri=DEFAULT_REDIRECT_URI, pkce=True)


def registered(simulator: XeroSimulator, *, secret: str | None = None) -> ClientPair:
    app = simulator.identity_server.register_app(client_secret=secret)
    assert app.client_secret is not None
    return ClientPair(app.client_id, app.client_secret)


@pytest.fixture
def app(simulator: XeroSimulator, token_endpoint: AuthlibTokenEndpoint) -> Iterator[App]:
    with requests.Session() as session:
        yield App(
            simulator,
            token_endpoint,
            JoserfcIdTokens(simulator.url, simulator.clock),
            authorize_endpoint(simulator),
            registered(simulator),
            session,
        )


@pytest.fixture
def canned_endpoint(canned: CannedServer, token_endpoint: AuthlibTokenEndpoint) -> AuthlibTokenEndpoint:
    return dataclasses.replace(token_endpoint, identity_url=canned.url)


SHORT = Limits(within=timedelta(seconds=0.3), largest=65_536)


def impatient(token_endpoint: AuthlibTokenEndpoint) -> AuthlibTokenEndpoint:
    return dataclasses.replace(token_endpoint, token_limits=SHORT, revocation_limits=SHORT)


def failure(call: Callable[[], object]) -> TokenEndpointFailure:
    with pytest.raises(TokenEndpointFailure) as caught:
        call()
    assert caught.value.__cause__ is None
    return caught.value


def verify(app: App, answer: TokenAnswer) -> str:
    return app.id_tokens.verify_id_token(
        answer.id_token, client_id=app.pair.client_id, nonce=app.browser.nonce(app.state)
    )


def verdict(
    token_endpoint: AuthlibTokenEndpoint, pair: ClientPair, submitted_as: SubmittedAs = SubmittedAs.WEB_APP
) -> Verdict:
    url, clock = token_endpoint.identity_url, token_endpoint.clock
    prove = ProvePair(
        token_endpoint,
        AuthlibAuthorizeEndpoint(login_url=url, redirect_uri=DEFAULT_REDIRECT_URI, pkce=True),
        clock,
        lambda: clock() + timedelta(seconds=25),
        DEFAULT_REDIRECT_URI,
    )
    return prove(pair, integration_type=submitted_as, scopes=SCOPES).verdict


def refresh(token_endpoint: TokenEndpoint) -> TokenAnswer:
    return token_endpoint.refresh(ClientPair("id", "s3cr3t"), refresh_token="r3fr3sh")


EVERY_CALL: list[tuple[Endpoint, Callable[[AuthlibTokenEndpoint, ClientPair], object]]] = [
    (
        Endpoint.TOKEN,
        lambda token_endpoint, pair: token_endpoint.exchange_code(pair, code="c", code_verifier="v" * 43),
    ),
    (Endpoint.TOKEN, lambda token_endpoint, pair: token_endpoint.refresh(pair, refresh_token="r")),
    (Endpoint.TOKEN, lambda token_endpoint, pair: token_endpoint.client_credentials(pair, scopes=())),
    (Endpoint.REVOCATION, lambda token_endpoint, pair: token_endpoint.revoke(pair, refresh_token="r")),
]
every_call = pytest.mark.parametrize(
    ("endpoint", "call"), EVERY_CALL, ids=["exchange", "refresh", "custom", "revoke"]
)


# The way to a grant


def test_a_code_becomes_tokens(app: App, simulator: XeroSimulator) -> None:
    asked_at = simulator.clock()
    answer = app.exchange()
    assert answer.token.token_type == "Bearer"
    assert answer.token.expires_in == 1800
    assert answer.token.refresh_token
    assert set(answer.token.scopes) >= set(SCOPES)
    assert timedelta() <= answer.obtained_at - asked_at < timedelta(seconds=30)
    assert answer.token.expires_at == int(answer.obtained_at.timestamp()) + 1800
    claims = simulator.identity_server.verify_access_token(answer.token.access_token)
    assert answer.auth_event_id == claims["authentication_event_id"]
    assert verify(app, answer) == claims["xero_userid"]


def test_the_life_of_a_token_is_counted_from_before_the_question(
    canned_endpoint: AuthlibTokenEndpoint, canned: CannedServer
) -> None:
    seen = [canned_endpoint.clock() + timedelta(seconds=30 * number) for number in range(10)]
    slow = dataclasses.replace(canned_endpoint, clock=iter(seen).__next__)
    canned.answer = Answer({"access_token": "a", "expires_in": 1800})
    answer = refresh(slow)
    assert answer.obtained_at == seen[0]
    assert answer.token.expires_at == int(seen[0].timestamp()) + 1800


def test_a_refresh_rotates(app: App) -> None:
    first = app.exchange().token
    second = app.refresh(first.refresh_token).token
    third = app.refresh(second.refresh_token).token
    assert len({first.refresh_token, second.refresh_token, third.refresh_token}) == 3
    assert len({first.access_token, second.access_token, third.access_token}) == 3


def test_the_old_token_is_good_for_half_an_hour(app: App, simulator: XeroSimulator) -> None:
    first = app.exchange().token
    app.refresh(first.refresh_token)
    simulator.clock.advance(timedelta(minutes=29))
    assert app.refresh(first.refresh_token).token.refresh_token
    simulator.clock.advance(timedelta(minutes=2))
    assert failure(lambda: app.refresh(first.refresh_token)).kind is FailureKind.INVALID_GRANT


def test_a_revoked_grant_is_dead(app: App) -> None:
    token = app.exchange().token
    assert token.refresh_token is not None
    app.token_endpoint.revoke(app.pair, refresh_token=token.refresh_token)
    assert failure(lambda: app.refresh(token.refresh_token)).kind is FailureKind.INVALID_GRANT
    # Once more, or a token that does not exist: as good as revoked.
    app.token_endpoint.revoke(app.pair, refresh_token=token.refresh_token)
    app.token_endpoint.revoke(app.pair, refresh_token="nobody's")


def test_without_pkce(app: App) -> None:
    app.token_endpoint = dataclasses.replace(app.token_endpoint, pkce=False)
    app.authorize = dataclasses.replace(app.authorize, pkce=False)
    assert "code_challenge" not in app.authorization_url
    # A verifier without a challenge would be refused.
    assert app.exchange().token.refresh_token


def test_with_pkce_another_verifier_is_refused(app: App) -> None:
    refused = failure(lambda: app.exchange(code_verifier=new_token()))
    assert refused.kind is FailureKind.INVALID_GRANT


# Custom connections


@pytest.fixture
def custom(simulator: XeroSimulator) -> ClientPair:
    client_id, secret = simulator.identity_server.register_app(
        IntegrationType.CUSTOM_CONNECTION, scopes=["accounting.settings", "accounting.contacts"]
    )
    assert secret is not None
    return ClientPair(client_id, secret)


@pytest.mark.parametrize("scopes", [(), ("accounting.contacts",), ("accounting.contacts", "accounting.settings")])
def test_a_custom_connection_gets_tokens_without_a_user(
    simulator: XeroSimulator, token_endpoint: AuthlibTokenEndpoint, custom: ClientPair, scopes: tuple[str, ...]
) -> None:
    asked_at = simulator.clock()
    answer = token_endpoint.client_credentials(custom, scopes=scopes)
    assert answer.token.scopes == (scopes or ("accounting.contacts", "accounting.settings"))
    assert (answer.token.token_type, answer.token.refresh_token) == ("Bearer", None)
    assert (answer.id_token, answer.auth_event_id) == (None, None)
    assert timedelta() <= answer.obtained_at - asked_at < timedelta(seconds=30)
    assert answer.token.expires_at == int(answer.obtained_at.timestamp()) + 1800
    assert (
        simulator.identity_server.verify_access_token(answer.token.access_token)["client_id"] == custom.client_id
    )


def test_a_custom_connection_s_second_token_leaves_the_first_good(
    simulator: XeroSimulator, token_endpoint: AuthlibTokenEndpoint, custom: ClientPair
) -> None:
    tokens = [token_endpoint.client_credentials(custom, scopes=()).token.access_token for _ in range(2)]
    assert len(set(tokens)) == 2
    for token in tokens:
        simulator.identity_server.verify_access_token(token)


@pytest.mark.parametrize("scope", ["accounting.banktransactions", "nonsense", "openid", "offline_access"])
def test_a_custom_connection_cannot_ask_for_what_it_does_not_have(
    token_endpoint: AuthlibTokenEndpoint, custom: ClientPair, scope: str
) -> None:
    refused = failure(lambda: token_endpoint.client_credentials(custom, scopes=("accounting.contacts", scope)))
    assert refused.kind is FailureKind.INVALID_SCOPE


def test_a_web_app_gets_no_token_without_a_user(app: App) -> None:
    refused = failure(lambda: app.token_endpoint.client_credentials(app.pair, scopes=()))
    assert refused.kind is FailureKind.UNAUTHORIZED_CLIENT


@pytest.mark.parametrize(("scopes", "sent"), [((), {}), (("a", "b+c"), {"scope": ["a b+c"]})], ids=str)
def test_what_is_asked_for_a_custom_connection(
    canned_endpoint: AuthlibTokenEndpoint,
    canned: CannedServer,
    scopes: tuple[str, ...],
    sent: dict[str, list[str]],
) -> None:
    canned.answer = Answer({"access_token": "a", "expires_in": 1800})
    canned_endpoint.client_credentials(ClientPair("ID:1", "s+cr t/%"), scopes=scopes)
    (asked,) = canned.requests
    assert (asked.method, asked.path) == ("POST", "/connect/token")
    assert base64.b64decode(asked.headers["Authorization"].removeprefix("Basic ")) == b"ID%3A1:s%2Bcr+t%2F%25"
    assert parse_qs(asked.body, keep_blank_values=True) == {"grant_type": ["client_credentials"], **sent}


# The authorization URL


def test_the_authorization_url(app: App) -> None:
    url = urlsplit(app.authorization_url)
    assert f"{url.scheme}://{url.netloc}{url.path}" == f"{app.simulator.url}/identity/connect/authorize"
    query = parse_qs(url.query, strict_parsing=True)
    challenge = query.pop("code_challenge")
    assert query == {
        "response_type": ["code"],
        "client_id": [app.pair.client_id],
        "redirect_uri": [DEFAULT_REDIRECT_URI],
        "scope": [" ".join(SCOPES)],
        "state": [app.state],
        "nonce": [app.browser.nonce(app.state)],
        "code_challenge_method": ["S256"],
    }
    assert len(challenge[0]) == 43
    assert app.browser.code_verifier(app.state) not in app.authorization_url


def test_a_space_is_percent_encoded_and_a_plus_stays_one(app: App) -> None:
    odd = dataclasses.replace(app.authorize, redirect_uri="https://x.test/a+b?c=d e&f=g")
    url = odd.authorization_url(client_id="id", scopes=("a", "b+c"), state="s", code_verifier="v" * 43, nonce="n")
    assert "+" not in url
    assert "scope=a%20b%2Bc" in url
    assert parse_qs(urlsplit(url).query)["redirect_uri"] == ["https://x.test/a+b?c=d e&f=g"]


def test_the_redirect_uri_goes_byte_for_byte_into_both_calls(app: App, canned: CannedServer) -> None:
    canned.answer = Answer({"error": "invalid_grant"}, 400)
    redirect_uri = "https://CloudManager.test/oAuth2CallBack"
    odd = dataclasses.replace(app.token_endpoint, redirect_uri=redirect_uri, identity_url=canned.url)
    authorize = dataclasses.replace(app.authorize, redirect_uri=redirect_uri)
    url = authorize.authorization_url(client_id="id", scopes=SCOPES, state="s", code_verifier="v" * 43, nonce="n")
    failure(lambda: odd.exchange_code(app.pair, code="c", code_verifier="v" * 43))
    (asked,) = canned.requests
    sent = {parse_qs(urlsplit(url).query)["redirect_uri"][0], parse_qs(asked.body)["redirect_uri"][0]}
    assert sent == {redirect_uri}


# What goes over the wire


@pytest.mark.parametrize("secret", [ODD_SECRET, "".join(map(chr, range(0x21, 0x7F))), "%", "+", ":", "%2B"])
def test_a_secret_of_odd_characters_is_accepted(
    simulator: XeroSimulator, token_endpoint: AuthlibTokenEndpoint, secret: str
) -> None:
    pair = registered(simulator, secret=secret)
    assert verdict(token_endpoint, pair) is Verdict.GOOD


def test_the_pair_goes_into_the_header_and_nowhere_else(
    canned_endpoint: AuthlibTokenEndpoint, canned: CannedServer
) -> None:
    canned.answer = Answer({"access_token": "a", "expires_in": 1800})
    pair = ClientPair("ID:1", "s+cr t/%")
    canned_endpoint.refresh(pair, refresh_token="r3fr3sh")
    (asked,) = canned.requests
    scheme, _, encoded = asked.headers["Authorization"].partition(" ")
    assert scheme == "Basic"
    assert base64.b64decode(encoded) == b"ID%3A1:s%2Bcr+t%2F%25"
    assert parse_qs(asked.body) == {"grant_type": ["refresh_token"], "refresh_token": ["r3fr3sh"]}
    assert asked.path == "/connect/token"


def test_a_netrc_or_a_proxy_of_the_environment_is_not_used(
    app: App, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = app.code()
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    answer = app.exchange(code)
    app.id_tokens.load_keys()
    assert answer.token.refresh_token is not None
    app.token_endpoint.revoke(app.pair, refresh_token=answer.token.refresh_token)


@pytest.mark.parametrize("location", ["/elsewhere", "http://[", "/\xff"])
@every_call
def test_a_redirect_is_not_followed(
    token_endpoint: AuthlibTokenEndpoint,
    canned: CannedServer,
    endpoint: Endpoint,
    call: Callable[[AuthlibTokenEndpoint, ClientPair], object],
    location: str,
) -> None:
    del endpoint
    canned.answer = Answer("", 302, {"Location": location})
    there = dataclasses.replace(token_endpoint, identity_url=canned.url)
    assert failure(lambda: call(there, ClientPair("id", "s3cr3t"))).kind is FailureKind.EDGE_REFUSED
    assert len(canned.requests) == 1


# Refusals


def test_a_wrong_secret(app: App) -> None:
    refresh_token = app.exchange().token.refresh_token
    wrong = app.with_secret("wrong")
    assert failure(lambda: wrong.exchange("any")).kind is FailureKind.INVALID_CLIENT
    assert failure(lambda: wrong.refresh(refresh_token)).kind is FailureKind.INVALID_CLIENT
    assert (
        failure(lambda: app.token_endpoint.revoke(wrong.pair, refresh_token="r")).kind
        is FailureKind.INVALID_CLIENT
    )
    app.refresh(refresh_token)


def test_an_unknown_client(app: App) -> None:
    unreachable = ClientPair("F" * 32, "s3cr3t")
    refused = failure(lambda: app.token_endpoint.exchange_code(unreachable, code="c", code_verifier="v" * 43))
    assert refused.kind is FailureKind.INVALID_CLIENT


def test_a_code_that_is_none_used_or_old(app: App, simulator: XeroSimulator) -> None:
    assert failure(lambda: app.exchange("nonsense")).kind is FailureKind.INVALID_GRANT
    used = app.code()
    app.exchange(used)
    assert failure(lambda: app.exchange(used)).kind is FailureKind.INVALID_GRANT
    old = app.code()
    simulator.clock.advance(timedelta(minutes=6))
    assert failure(lambda: app.exchange(old)).kind is FailureKind.INVALID_GRANT


def test_a_refresh_token_that_is_none(app: App) -> None:
    assert failure(lambda: app.refresh("nonsense")).kind is FailureKind.INVALID_GRANT


@pytest.mark.parametrize(
    ("integration_type", "submitted_as", "expected"),
    [
        (IntegrationType.WEB_APP, SubmittedAs.WEB_APP, Verdict.GOOD),
        (IntegrationType.CUSTOM_CONNECTION, SubmittedAs.WEB_APP, Verdict.CUSTOM_CONNECTION),
        (IntegrationType.MOBILE_APP, SubmittedAs.WEB_APP, Verdict.MOBILE_APP),
        (IntegrationType.CUSTOM_CONNECTION, SubmittedAs.CUSTOM_CONNECTION, Verdict.GOOD),
        (IntegrationType.WEB_APP, SubmittedAs.CUSTOM_CONNECTION, Verdict.WEB_APP),
        (IntegrationType.MOBILE_APP, SubmittedAs.CUSTOM_CONNECTION, Verdict.MOBILE_APP),
    ],
)
def test_the_proof_recognises_each_type_of_app(
    simulator: XeroSimulator,
    token_endpoint: AuthlibTokenEndpoint,
    integration_type: IntegrationType,
    submitted_as: SubmittedAs,
    expected: Verdict,
) -> None:
    app = simulator.identity_server.register_app(integration_type)
    assert verdict(token_endpoint, ClientPair(app.client_id, app.client_secret or "any"), submitted_as) is expected


def test_a_deleted_secret_is_recognised(app: App, simulator: XeroSimulator) -> None:
    simulator.identity_server.delete_secrets(app.pair.client_id)
    assert verdict(app.token_endpoint, app.pair) is Verdict.INVALID_CLIENT


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ((400, "invalid_client"), FailureKind.INVALID_CLIENT),
        ((401, "invalid_client"), FailureKind.INVALID_CLIENT),
        ((401, "invalid_grant"), FailureKind.INVALID_GRANT),
        ((400, "unsupported_grant_type"), FailureKind.UNEXPECTED),
        ((403, "invalid_client"), FailureKind.UNEXPECTED),
        ((400, None), FailureKind.EDGE_REFUSED),
        ((404, None), FailureKind.EDGE_REFUSED),
        ((408, None), FailureKind.UNAVAILABLE),
        ((429, None), FailureKind.THROTTLED),
        ((500, None), FailureKind.UNAVAILABLE),
        ((500, "invalid_grant"), FailureKind.UNAVAILABLE),
        ((503, None), FailureKind.UNAVAILABLE),
    ],
)
@every_call
def test_an_answer_is_classified(
    app: App,
    endpoint: Endpoint,
    call: Callable[[AuthlibTokenEndpoint, ClientPair], object],
    answer: tuple[int, str | None],
    kind: FailureKind,
) -> None:
    status, error = answer
    app.simulator.faults.add(Fault(endpoint, FaultKind.STATUS, status=status, error=error))
    refused = failure(lambda: call(app.token_endpoint, app.pair))
    assert refused.kind is kind
    assert refused.correlation_id
    assert refused.retry_after is None


@every_call
def test_the_firewall_s_page(
    app: App, endpoint: Endpoint, call: Callable[[AuthlibTokenEndpoint, ClientPair], object]
) -> None:
    app.simulator.faults.add(Fault(endpoint, FaultKind.HTML_403))
    assert failure(lambda: call(app.token_endpoint, app.pair)).kind is FailureKind.EDGE_REFUSED


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7),
        ("0", 0),
        ("120, 120", 120),
        ("60,120", 120),
        ("9" * 400, 999_999_999),
        ("Wed, 21 Oct 2020 07:28:00 GMT", 0),
        ("Mon, 01 Jan 0001 00:00:00 +2359", 0),
        ("Mon, 01 Jan 99999999999999999999 00:00:00 GMT", None),
        ("Mon, 01 Jan 2026 00:00:00 +99999999999999999999", None),
        ("Fri, 99999999999999999999 Jan 2026 10:00:00 GMT", None),
        ("-1", None),
        ("1.5", None),
        ("120, soon", None),
        (",", None),
        ("", None),
    ],
)
@every_call
def test_a_pause_that_xero_asks_for(
    app: App,
    endpoint: Endpoint,
    call: Callable[[AuthlibTokenEndpoint, ClientPair], object],
    header: str,
    seconds: int | None,
) -> None:
    app.simulator.faults.add(Fault(endpoint, FaultKind.STATUS, status=429, headers={"Retry-After": header}))
    refused = failure(lambda: call(app.token_endpoint, app.pair))
    assert (refused.kind, refused.retry_after) == (FailureKind.THROTTLED, seconds)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ("", FailureKind.EDGE_REFUSED),
        ("<html>maintenance</html>", FailureKind.EDGE_REFUSED),
        ([], FailureKind.EDGE_REFUSED),
        ("null", FailureKind.EDGE_REFUSED),
        ({}, FailureKind.EDGE_REFUSED),
        ({"error": "invalid_grant"}, FailureKind.UNEXPECTED),
        ({"token_type": "Bearer"}, FailureKind.UNEXPECTED),
        ({"access_token": None, "expires_in": 1800}, FailureKind.UNEXPECTED),
        ({"access_token": 1, "expires_in": 1800}, FailureKind.UNEXPECTED),
        ({"access_token": "", "expires_in": 1800}, FailureKind.UNEXPECTED),
        ({"access_token": "\ud800", "expires_in": 1800}, FailureKind.UNEXPECTED),
        ('{"access_token": ' + "[" * 100_000, FailureKind.EDGE_REFUSED),
    ],
)
def test_a_success_without_a_token_is_none(
    canned_endpoint: AuthlibTokenEndpoint, canned: CannedServer, body: object, kind: FailureKind
) -> None:
    canned.answer = Answer(body, 200, {"Xero-Correlation-Id": "c-1"})
    refused = failure(lambda: refresh(canned_endpoint))
    assert (refused.kind, refused.correlation_id) == (kind, "c-1")


@pytest.mark.parametrize(
    ("odd", "expires_in", "scope"),
    [
        ({}, 1800, ""),
        ({"expires_in": "1200"}, 1200, ""),
        ({"expires_in": 1200.9}, 1200, ""),
        ({"expires_in": None}, 1800, ""),
        ({"expires_in": True}, 1800, ""),
        ({"expires_in": -5}, 1800, ""),
        ({"expires_in": 10**30}, 86_400, ""),
        ({"expires_in": {"a": 1}}, 1800, ""),
        ({"scope": ["openid", 7, "email"]}, 1800, "openid email"),
        ({"scope": {"a": 1}}, 1800, ""),
        ({"token_type": 5}, 1800, ""),
        ({"id_token": {"a": [1]}}, 1800, ""),
        ({"error": "odd"}, 1800, ""),
    ],
    ids=str,
)
def test_whatever_is_odd_beside_the_tokens_costs_no_grant(
    canned_endpoint: AuthlibTokenEndpoint,
    canned: CannedServer,
    odd: dict[str, object],
    expires_in: int,
    scope: str,
) -> None:
    canned.answer = Answer({"access_token": "a", "refresh_token": "r", **odd}, 200, {})
    token = refresh(canned_endpoint).token
    assert (token.access_token, token.refresh_token) == ("a", "r")
    assert (token.expires_in, token.scope, token.token_type) == (expires_in, scope, "Bearer")
    secret = a_tokens_secret(token=token)
    assert TokensSecret.from_json(secret.to_json()) == secret


BOTH = '"access_token": "a.b.c", "refresh_token": "r2", "expires_in": 1800'
DEEP = "[" * 10_000 + "]" * 10_000
ODD_SPELLINGS = {
    "byte order mark": f"\ufeff{{{BOTH}}}",
    "raw tab in a text": f'{{{BOTH}, "scope": "a\tb"}}',
    "comment after the end": f"{{{BOTH}}}\n<!-- t -->{{",
    "zero byte after the end": f"{{{BOTH}}}\0",
    "number of 5,000 digits": f'{{{BOTH}, "x": {"1" * 5_000}}}',
    "number that is none": f'{{{BOTH}, "x": NaN}}',
    "deep sibling": f'{{"x": {DEEP}, {BOTH}}}',
    "deep in a sibling": f'{{"x": {{"y": {DEEP}}}, {BOTH}}}',
    "sibling that is no JSON": f'{{"x": oops, {BOTH}}}',
    "cut off after the tokens": f'{{{BOTH}, "scope": "a',
}


@pytest.mark.parametrize("content_type", ["application/json", "application/json; charset=utf-8", "text/plain"])
@pytest.mark.parametrize("body", ODD_SPELLINGS.values(), ids=ODD_SPELLINGS.keys())
def test_however_oddly_an_answer_is_spelt_its_tokens_are_kept(
    canned_endpoint: AuthlibTokenEndpoint, canned: CannedServer, body: str, content_type: str
) -> None:
    canned.answer = Answer(body, 200, {"Content-Type": content_type})
    token = refresh(canned_endpoint).token
    assert (token.access_token, token.refresh_token, token.expires_in) == ("a.b.c", "r2", 1800)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        # Without its refresh token it would seem that the old one stays good.
        ('{"access_token": "a", "expires_in": 1800, "refresh_tok', FailureKind.EDGE_REFUSED),
        ('{"access_token": "a", "refresh_token": "r', FailureKind.EDGE_REFUSED),
        ('{"access_token": "a", "refresh_token": "r\\"', FailureKind.EDGE_REFUSED),
        # It is there, and it cannot be kept: within the grace Xero is asked again.
        ('{"access_token": "a", "refresh_token": r}', FailureKind.UNEXPECTED),
        ('{"access_token": "a", "refresh_token": "r\\u0007"}', FailureKind.UNEXPECTED),
        ('{"access_token": "a", "refresh_token": "\ufffd"}', FailureKind.UNEXPECTED),
        ({"access_token": "a", "refresh_token": "r" * 20_000}, FailureKind.UNEXPECTED),
        ({"access_token": "a" * 50_000, "refresh_token": "r"}, FailureKind.UNEXPECTED),
        # Tokens in another place are not used.
        (f'{{"x": {{"access_token": "a", "refresh_token": "r"}}, "y": {DEEP}}}', FailureKind.UNEXPECTED),
    ],
)
def test_tokens_that_are_not_whole_are_not_taken(
    canned_endpoint: AuthlibTokenEndpoint, canned: CannedServer, body: object, kind: FailureKind
) -> None:
    canned.answer = Answer(body, 200, {"Content-Type": "application/json"})
    assert failure(lambda: refresh(canned_endpoint)).kind is kind


@pytest.mark.parametrize("left_out", [None, "", " ", False, [], {}], ids=repr)
def test_a_refresh_token_may_be_left_out_in_any_form(
    canned_endpoint: AuthlibTokenEndpoint, canned: CannedServer, left_out: object
) -> None:
    canned.answer = Answer({"access_token": "a", "refresh_token": left_out})
    assert refresh(canned_endpoint).token.refresh_token == "r3fr3sh"


@pytest.mark.parametrize(
    "odd",
    [
        {"scope": "s" * 70_000},
        {"scope": "scope " * 100_000},
        {"scope": ["scope"] * 100_000},
        {"scope": "é" * 250 + " " + "ü " * 50_000},
        {"token_type": "B" * 70_000},
    ],
    ids=["long scope", "many scopes", "list of scopes", "scopes of any language", "type"],
)
def test_the_largest_tokens_fit_into_a_secret_whatever_is_beside_them(
    canned_endpoint: AuthlibTokenEndpoint, canned: CannedServer, odd: dict[str, object]
) -> None:
    canned.answer = Answer({"access_token": "a" * 39_998, "refresh_token": "r" * 15_998, **odd})
    token = refresh(canned_endpoint).token
    assert (len(token.access_token), len(token.refresh_token or "")) == (39_998, 15_998)
    assert len(a_tokens_secret(token=token).to_json().encode()) <= LARGEST_VERSION


def test_of_many_scopes_the_first_are_kept(canned_endpoint: AuthlibTokenEndpoint, canned: CannedServer) -> None:
    scopes = ["openid", "x" * 5_000, *(f"scope.{number}" for number in range(1_000))]
    canned.answer = Answer({"access_token": "a", "scope": " ".join(scopes)})
    kept = refresh(canned_endpoint).token.scopes
    assert kept[:3] == ("openid", "scope.0", "scope.1")
    assert 500 < len(kept) < 1_000


@pytest.mark.parametrize(
    "body",
    [
        '\ufeff{"error": "invalid_grant"}',
        '{"error": "invalid_grant", "error_description": "a\tb"}',
        f'{{"error": "invalid_grant", "x": {DEEP}}}',
        '{"error": "invalid_grant"}\n<!-- t -->',
    ],
    ids=["byte order mark", "raw tab", "deep sibling", "comment"],
)
@every_call
def test_however_oddly_an_error_is_spelt_it_is_understood(
    canned_endpoint: AuthlibTokenEndpoint,
    canned: CannedServer,
    endpoint: Endpoint,
    call: Callable[[AuthlibTokenEndpoint, ClientPair], object],
    body: str,
) -> None:
    del endpoint
    canned.answer = Answer(body, 400, {"Content-Type": "application/json"})
    assert failure(lambda: call(canned_endpoint, ClientPair("id", "s"))).kind is FailureKind.INVALID_GRANT


def test_a_life_that_the_answer_leaves_out_is_read_from_the_token(
    canned_endpoint: AuthlibTokenEndpoint, canned: CannedServer
) -> None:
    canned.answer = Answer(
        {"access_token": f"head.{_payload(nbf=1000, exp=1900)}.signature", "refresh_token": "r"}, 200, {}
    )
    assert refresh(canned_endpoint).token.expires_in == 900


def _payload(**claims: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")


def test_what_a_terse_answer_leaves_out(canned_endpoint: AuthlibTokenEndpoint, canned: CannedServer) -> None:
    canned.answer = Answer({"access_token": "opaque", "expires_in": 60})
    answer = refresh(canned_endpoint)
    assert (answer.token.token_type, answer.token.refresh_token, answer.token.scope) == ("Bearer", "r3fr3sh", "")
    assert (answer.id_token, answer.auth_event_id) == (None, None)


@pytest.mark.parametrize("payload", ["", "!!!", "e30", "bnVsbA", "WzFd", _payload(authentication_event_id=1)])
def test_an_access_token_without_the_name_of_its_consent(
    canned_endpoint: AuthlibTokenEndpoint, canned: CannedServer, payload: str
) -> None:
    canned.answer = Answer({"access_token": f"e30.{payload}.x", "expires_in": 1800})
    assert refresh(canned_endpoint).auth_event_id is None


# No answer at all


@every_call
@pytest.mark.parametrize("kind", [FaultKind.DROP_BEFORE, FaultKind.DROP_AFTER])
def test_an_answer_that_got_lost(
    app: App, endpoint: Endpoint, call: Callable[[AuthlibTokenEndpoint, ClientPair], object], kind: FaultKind
) -> None:
    app.simulator.faults.add(Fault(endpoint, kind))
    assert failure(lambda: call(app.token_endpoint, app.pair)).kind is FailureKind.UNANSWERED
    # It was sent once: a retry beneath us would present a token twice.
    assert len(app.simulator.journal.entries) == 1


@pytest.mark.parametrize("refresh_token", ["\ud800", "é", "a\r\nb"])
def test_a_token_that_no_request_can_carry_is_a_failure_like_any_other(
    canned_endpoint: AuthlibTokenEndpoint, canned: CannedServer, refresh_token: str
) -> None:
    canned.answer = Answer({"error": "invalid_grant"}, 400)
    for call in (canned_endpoint.refresh, canned_endpoint.revoke):
        refused = failure(lambda call=call: call(ClientPair("id", "s"), refresh_token=refresh_token))  # type: ignore[misc]
        assert refused.kind in {FailureKind.INVALID_GRANT, FailureKind.NOT_SENT}


@every_call
def test_an_answer_that_takes_too_long(
    app: App, endpoint: Endpoint, call: Callable[[AuthlibTokenEndpoint, ClientPair], object]
) -> None:
    app.simulator.faults.add(Fault(endpoint, FaultKind.DELAY, delay=timedelta(seconds=0.6)))
    assert failure(lambda: call(impatient(app.token_endpoint), app.pair)).kind is FailureKind.UNANSWERED


def test_a_refresh_whose_answer_got_lost_can_be_repeated(app: App) -> None:
    token = app.exchange().token
    app.simulator.faults.add(Fault(Endpoint.TOKEN, FaultKind.DROP_AFTER))
    assert failure(lambda: app.refresh(token.refresh_token)).kind is FailureKind.UNANSWERED
    assert app.refresh(token.refresh_token).token.refresh_token != token.refresh_token


def test_an_answer_that_breaks_off(canned_endpoint: AuthlibTokenEndpoint, canned: CannedServer) -> None:
    canned.answer = Answer('{"access_token": "a', 200, {"Content-Length": "1000", "Connection": "close"})
    assert failure(lambda: refresh(canned_endpoint)).kind is FailureKind.UNANSWERED


def test_an_answer_in_a_broken_encoding(canned_endpoint: AuthlibTokenEndpoint, canned: CannedServer) -> None:
    canned.answer = Answer("not gzip", 200, {"Content-Encoding": "gzip"})
    assert failure(lambda: refresh(canned_endpoint)).kind is FailureKind.UNANSWERED


@pytest.fixture
def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


@every_call
def test_a_connection_that_is_refused(
    token_endpoint: AuthlibTokenEndpoint,
    closed_port: int,
    endpoint: Endpoint,
    call: Callable[[AuthlibTokenEndpoint, ClientPair], object],
) -> None:
    del endpoint
    unreachable = dataclasses.replace(token_endpoint, identity_url=f"http://127.0.0.1:{closed_port}")
    assert failure(lambda: call(unreachable, ClientPair("id", "s3cr3t"))).kind is FailureKind.NOT_SENT


def test_a_name_that_does_not_resolve(
    token_endpoint: AuthlibTokenEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    unreachable = dataclasses.replace(token_endpoint, identity_url="http://endpoint.invalid")
    assert failure(lambda: refresh(unreachable)).kind is FailureKind.NOT_SENT


def test_a_connection_that_is_not_accepted(token_endpoint: AuthlibTokenEndpoint) -> None:
    # A full backlog: further connections hang until they time out.
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        crowd = [socket.socket() for _ in range(4)]
        try:
            for one in crowd:
                one.setblocking(False)
                one.connect_ex(listener.getsockname())
            unreachable = dataclasses.replace(
                impatient(token_endpoint), identity_url=f"http://127.0.0.1:{listener.getsockname()[1]}"
            )
            assert failure(lambda: refresh(unreachable)).kind is FailureKind.NOT_SENT
        finally:
            for one in crowd:
                one.close()


def test_a_failure_shows_no_secret(app: App) -> None:
    for kind in (FaultKind.DROP_AFTER, FaultKind.HTML_403):
        app.simulator.faults.add(Fault(Endpoint.TOKEN, kind))
        refused = failure(lambda: app.refresh("r3fr3sh"))
        told = f"{refused!r} {refused.detail} {refused.hint} {refused.__cause__!r}"
        assert app.pair.client_secret not in told
        assert "r3fr3sh" not in told


@pytest.mark.parametrize("page", ["<!doctype html><html>Checking</html>", "  <html>", "OK", "[]", "1"])
def test_a_page_with_200_revokes_nothing(
    canned_endpoint: AuthlibTokenEndpoint, canned: CannedServer, page: str
) -> None:
    canned.answer = Answer(page, 200)
    revoke = lambda: canned_endpoint.revoke(ClientPair("id", "s3cr3t"), refresh_token="r")  # noqa: E731
    assert failure(revoke).kind is FailureKind.EDGE_REFUSED


@pytest.mark.parametrize("content", ["", " \n", "{}", '{"ok": true}', "\ufeff", "\ufeff{}"])
def test_an_empty_answer_with_200_is_a_revocation(
    canned_endpoint: AuthlibTokenEndpoint, canned: CannedServer, content: str
) -> None:
    canned.answer = Answer(content, 200)
    canned_endpoint.revoke(ClientPair("id", "s3cr3t"), refresh_token="r")


# ID tokens


@pytest.mark.parametrize("fault", IdTokenFault)
def test_an_id_token_with_any_fault_is_refused(app: App, fault: IdTokenFault) -> None:
    app.simulator.identity_server.break_id_tokens(fault)
    answer = app.exchange()
    with pytest.raises(IdTokenRefused):
        verify(app, answer)


def test_an_id_token_of_another_trip_is_refused(app: App) -> None:
    stolen = app.exchange()
    app.state = new_token()
    with pytest.raises(IdTokenRefused):
        verify(app, stolen)


# Keys


def test_keys_that_cannot_be_had_are_a_failure_like_any_other(app: App) -> None:
    app.simulator.faults.add(Fault(Endpoint.JWKS, FaultKind.DROP_BEFORE))
    assert failure(app.id_tokens.load_keys).kind is FailureKind.UNANSWERED
    app.simulator.faults.add(Fault(Endpoint.JWKS, FaultKind.STATUS, status=503))
    assert failure(app.id_tokens.load_keys).kind in {FailureKind.UNANSWERED, FailureKind.UNAVAILABLE}
    app.id_tokens.load_keys()


def test_keys_from_a_closed_port(simulator: XeroSimulator, closed_port: int) -> None:
    unreachable = JoserfcIdTokens(f"http://127.0.0.1:{closed_port}", simulator.clock)
    assert failure(unreachable.load_keys).kind is FailureKind.NOT_SENT
