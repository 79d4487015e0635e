"""The authorize endpoint asked without a user, over real HTTP: whatever is not understood is inconclusive."""

import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import override
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from urllib3 import HTTPResponse

from local.xero_simulator.apps import DEFAULT_REDIRECT_URI, IntegrationType
from local.xero_simulator.faults import Endpoint, Fault, FaultKind
from local.xero_simulator.server import XeroSimulator
from tests.fakes.canned_server import Answer, CannedServer
from tests.fakes.transport import an_answer, answering
from xero_connector.adapters.authlib_authorize_endpoint import LARGEST_PAGE, LIMITS, AuthlibAuthorizeEndpoint
from xero_connector.adapters.bounded_http import BoundedAdapter
from xero_connector.adapters.budget import Limits, Transport
from xero_connector.domain.checks import AuthorizeFinding
from xero_connector.domain.ports import AuthorizeEndpoint

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])

SCOPES = ("offline_access", "openid", "accounting.contacts")
AUTHORIZE = "/identity/connect/authorize"
ERROR = "/identity/error"
LOGIN = "/identity/user/login"
LOWER = DEFAULT_REDIRECT_URI.lower()
SENT_BACK = "error=access_denied&error_description=Requested%20wrong%20apps%20scopes"

type Asked = list[tuple[str, str]]


def a_probe(
    url: str,
    redirect_uri: str = DEFAULT_REDIRECT_URI,
    *,
    pkce: bool = True,
    transport: Transport = BoundedAdapter,
    limits: Limits = LIMITS,
) -> AuthlibAuthorizeEndpoint:
    return AuthlibAuthorizeEndpoint(
        login_url=url, redirect_uri=redirect_uri, pkce=pkce, transport=transport, limits=limits
    )


def finding(
    probe: AuthorizeEndpoint, client_id: str = "F" * 32, *scopes: str, try_other_case: bool = False
) -> AuthorizeFinding:
    return probe.probe(client_id, scopes=scopes or SCOPES, try_other_case=try_other_case)


@dataclass
class Xero:
    """The simulator with one Web app, the probe of it, and what was asked of it."""

    simulator: XeroSimulator
    client_id: str

    def ask(self, *scopes: str, redirect_uri: str = DEFAULT_REDIRECT_URI, again: bool = False) -> AuthorizeFinding:
        probe = a_probe(self.simulator.url, redirect_uri)
        return finding(probe, self.client_id, *scopes, try_other_case=again)

    @property
    def asked(self) -> Asked:
        return [(entry["method"], entry["path"]) for entry in self.simulator.journal.entries]


@pytest.fixture
def xero(simulator: XeroSimulator) -> Xero:
    return Xero(simulator, simulator.identity_server.register_app().client_id)


def app_with(simulator: XeroSimulator, *redirect_uris: str, to_the_letter: bool = True) -> Xero:
    app = simulator.identity_server.register_app(
        redirect_uris=redirect_uris, case_sensitive_redirect_uris=to_the_letter
    )
    return Xero(simulator, app.client_id)


class LoginHost(CannedServer):
    """Answers an authorization request with `first`, and anything else with `page`.

    `for_small_letters` is for a request whose redirect URI has no capitals, where that is to differ.
    """

    def __init__(self) -> None:
        self.first = Answer()
        self.for_small_letters: Answer | None = None
        self.page = Answer("nothing here")
        super().__init__()

    @property
    def answer(self) -> Answer:
        path, _, query = self.requests[-1].path.partition("?")
        if path != AUTHORIZE:
            return self.page
        small = parse_qs(query)["redirect_uri"] == [LOWER]
        return self.for_small_letters if small and self.for_small_letters else self.first

    @answer.setter
    @override
    def answer(self, answer: Answer) -> None:
        self.first = answer

    def redirect(self, location: str, status: int = 302) -> None:
        self.first = Answer("", status, {"Location": location})

    def show(self, page: str, status: int = 200) -> None:
        self.redirect(f"{ERROR}?errorId=e")
        self.page = Answer(page, status)

    @property
    def asked(self) -> list[str]:
        return [request.path.partition("?")[0] for request in self.requests]


@pytest.fixture
def login_host() -> Iterator[LoginHost]:
    with LoginHost() as host:
        yield host


# What Xero is known to answer


def test_all_is_well(xero: Xero) -> None:
    assert xero.ask() is AuthorizeFinding.ACCEPTED
    assert xero.asked == [("GET", AUTHORIZE)]


def test_a_client_id_that_xero_does_not_know(simulator: XeroSimulator) -> None:
    stranger = Xero(simulator, "F" * 32)
    assert stranger.ask() is AuthorizeFinding.CLIENT_UNKNOWN
    assert stranger.asked == [("GET", AUTHORIZE), ("GET", ERROR)]


@pytest.mark.parametrize(
    "redirect_uri",
    ["https://elsewhere.example/callback", f"{DEFAULT_REDIRECT_URI}/", f"{DEFAULT_REDIRECT_URI}?region=eu"],
)
def test_a_redirect_uri_that_is_not_registered(xero: Xero, redirect_uri: str) -> None:
    assert xero.ask(redirect_uri=redirect_uri) is AuthorizeFinding.REDIRECT_URI_REFUSED
    assert xero.asked == [("GET", AUTHORIZE), ("GET", ERROR)]


@pytest.mark.parametrize("scope", ["accounting.everything", "accounting.transactions", "accounting.reports.read"])
def test_a_scope_that_does_not_exist_or_is_retired(xero: Xero, scope: str) -> None:
    assert xero.ask("openid", scope) is AuthorizeFinding.SCOPE_UNKNOWN
    assert xero.asked == [("GET", AUTHORIZE), ("GET", ERROR)]


def test_a_scope_that_an_older_app_may_not_use(simulator: XeroSimulator) -> None:
    older = simulator.identity_server.register_app(granular_scopes=False, scopes=["accounting.transactions"])
    xero = Xero(simulator, older.client_id)
    assert xero.ask("accounting.invoices") is AuthorizeFinding.SCOPE_NOT_ALLOWED
    assert xero.asked == [("GET", AUTHORIZE), ("GET", ERROR)]


@pytest.mark.parametrize("scope", ["accounting.banktransactions", "app.connections"])
def test_a_scope_that_comes_straight_back(xero: Xero, scope: str) -> None:
    assert xero.ask("openid", scope) is AuthorizeFinding.SCOPE_NOT_ALLOWED
    # What came back was read, not opened.
    assert xero.asked == [("GET", AUTHORIZE)]


@pytest.mark.parametrize("integration_type", [IntegrationType.CUSTOM_CONNECTION, IntegrationType.MOBILE_APP])
def test_an_app_of_another_type_is_not_told_apart_here(
    simulator: XeroSimulator, integration_type: IntegrationType
) -> None:
    app = simulator.identity_server.register_app(integration_type)
    probe = a_probe(simulator.url, pkce=False)
    assert finding(probe, app.client_id) is AuthorizeFinding.INCONCLUSIVE


def test_xero_learns_which_app_is_asked_for_and_nothing_that_could_be_used_again(xero: Xero) -> None:
    xero.ask()
    xero.ask("openid", "accounting.everything")
    assert [entry["client_id"] for entry in xero.simulator.journal.entries] == [
        xero.client_id,
        xero.client_id,
        None,
    ]


# Capital letters


def test_a_redirect_uri_registered_in_small_letters(simulator: XeroSimulator) -> None:
    xero = app_with(simulator, LOWER)
    assert xero.ask() is AuthorizeFinding.REDIRECT_URI_REFUSED
    assert len(xero.asked) == 2
    assert xero.ask(again=True) is AuthorizeFinding.REDIRECT_URI_CASE
    assert xero.asked[2:] == [("GET", AUTHORIZE), ("GET", ERROR), ("GET", AUTHORIZE)]


@pytest.mark.parametrize(
    ("scope", "asked"),
    [("accounting.banktransactions", 3), ("app.connections", 3), ("accounting.transactions", 4)],
)
def test_the_case_is_known_even_where_the_scopes_are_wrong_too(
    simulator: XeroSimulator, scope: str, asked: int
) -> None:
    xero = app_with(simulator, LOWER)
    assert xero.ask("openid", scope, again=True) is AuthorizeFinding.REDIRECT_URI_CASE
    assert len(xero.asked) == asked


def test_a_redirect_uri_refused_in_either_case(simulator: XeroSimulator) -> None:
    xero = app_with(simulator, "https://elsewhere.example/")
    assert xero.ask(again=True) is AuthorizeFinding.REDIRECT_URI_REFUSED
    assert xero.asked == [("GET", AUTHORIZE), ("GET", ERROR)] * 2


def test_where_xero_compares_without_case_nothing_is_asked_twice(simulator: XeroSimulator) -> None:
    xero = app_with(simulator, LOWER, to_the_letter=False)
    assert xero.ask(again=True) is AuthorizeFinding.ACCEPTED
    assert len(xero.asked) == 1


@pytest.mark.parametrize("redirect_uri", [LOWER, "https://Cloud.example/callback?Region=EU"])
def test_without_a_capital_in_the_path_nothing_is_asked_twice(simulator: XeroSimulator, redirect_uri: str) -> None:
    xero = app_with(simulator, DEFAULT_REDIRECT_URI)
    assert xero.ask(redirect_uri=redirect_uri, again=True) is AuthorizeFinding.REDIRECT_URI_REFUSED
    assert len(xero.asked) == 2


@pytest.mark.parametrize("scope", ["accounting.transactions", "accounting.banktransactions"])
def test_only_a_refused_redirect_uri_is_tried_in_small_letters(xero: Xero, scope: str) -> None:
    assert xero.ask(scope, again=True) is not AuthorizeFinding.REDIRECT_URI_CASE
    assert len(xero.asked) <= 2


def test_a_second_question_without_an_answer_leaves_the_first_finding(simulator: XeroSimulator) -> None:
    xero = app_with(simulator, LOWER)
    simulator.faults.add(Fault(Endpoint.AUTHORIZE, FaultKind.DELAY))
    simulator.faults.add(Fault(Endpoint.AUTHORIZE, FaultKind.HTML_403))
    assert xero.ask(again=True) is AuthorizeFinding.REDIRECT_URI_REFUSED


def test_whatever_comes_straight_back_to_the_small_letters_proves_them(login_host: LoginHost) -> None:
    login_host.show("unauthorized_client : Invalid redirect_uri")
    login_host.for_small_letters = Answer("", 302, {"Location": f"{LOWER}?error=server_error"})
    assert finding(a_probe(login_host.url), try_other_case=True) is AuthorizeFinding.REDIRECT_URI_CASE
    assert login_host.asked == [AUTHORIZE, ERROR, AUTHORIZE]


# What goes over the wire


def test_what_is_asked_is_what_a_consent_asks(login_host: LoginHost) -> None:
    probe = a_probe(login_host.url)
    for _ in range(2):
        finding(probe, "THE-ID")
    first, second = (parse_qs(urlsplit(request.path).query) for request in login_host.requests)
    random = {"state", "nonce", "code_challenge"}
    assert first.keys() - random == {
        "response_type",
        "client_id",
        "redirect_uri",
        "scope",
        "code_challenge_method",
    }
    assert (first["client_id"], first["redirect_uri"]) == (["THE-ID"], [DEFAULT_REDIRECT_URI])
    assert first["scope"] == [" ".join(SCOPES)]
    assert "scope=offline_access%20openid%20" in login_host.requests[0].path
    for name in random:
        assert len(first[name][0]) == 43
        assert first[name] != second[name]


def test_without_pkce_there_is_no_challenge(login_host: LoginHost) -> None:
    finding(a_probe(login_host.url, pkce=False))
    assert "code_challenge" not in login_host.requests[0].path


def test_no_cookie_is_sent_even_where_one_was_set(login_host: LoginHost) -> None:
    login_host.redirect(f"{ERROR}?errorId=e")
    login_host.first.headers["Set-Cookie"] = "bot=1; Path=/"
    login_host.page = Answer("Invalid redirect_uri", 200, {"Set-Cookie": "bot=2; Path=/"})
    finding(a_probe(login_host.url), try_other_case=True)
    assert login_host.asked == [AUTHORIZE, ERROR] * 2
    for request in login_host.requests:
        assert request.method == "GET"
        assert not {"cookie", "authorization"} & {name.lower() for name in request.headers}


def test_nothing_of_the_environment_is_used(xero: Xero, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert xero.ask() is AuthorizeFinding.ACCEPTED
    assert xero.ask("accounting.everything") is AuthorizeFinding.SCOPE_UNKNOWN


# Where a redirect leads


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize(
    "location", [LOGIN, f"{LOGIN}?ReturnUrl=%2Fx", f"{LOGIN}/two-step", f"{{url}}{LOGIN}?a=b"]
)
def test_the_login_page_however_it_is_named(login_host: LoginHost, status: int, location: str) -> None:
    login_host.redirect(location.format(url=login_host.url), status)
    assert finding(a_probe(login_host.url)) is AuthorizeFinding.ACCEPTED
    assert login_host.asked == [AUTHORIZE]


@pytest.mark.parametrize(
    ("origin", "expected"),
    [
        ("https://login.xero.test", AuthorizeFinding.ACCEPTED),
        ("https://LOGIN.xero.test:443", AuthorizeFinding.ACCEPTED),
        ("http://login.xero.test", AuthorizeFinding.INCONCLUSIVE),
        ("https://login.xero.test:80", AuthorizeFinding.INCONCLUSIVE),
        ("https://login.xero.test:8443", AuthorizeFinding.INCONCLUSIVE),
    ],
)
def test_the_usual_port_can_be_written_out(origin: str, expected: AuthorizeFinding) -> None:
    # Nothing here listens on port 443.
    transport = answering(lambda _: an_answer(302, {"Location": f"{origin}{LOGIN}"}))
    assert finding(a_probe("https://login.xero.test", transport=transport)) is expected


@pytest.mark.parametrize(
    "location",
    [
        "/",
        "/identity/user/consent?ReturnUrl=x",
        "/identity/user/loginx",
        "/identity/errors?errorId=e",
        "/challenge?next=/identity/user/login",
        "#",
        "?",
        "//",
        "http://[oops",
        "http://127.0.0.1:port/identity/user/login",
        "javascript:alert(1)",
        "xero://identity/user/login",
        "\xff\xfe",
        "/" + "x" * 10_000,
    ],
)
@pytest.mark.parametrize("again", [False, True])
def test_a_redirect_elsewhere_says_nothing(login_host: LoginHost, location: str, *, again: bool) -> None:
    login_host.redirect(location)
    assert finding(a_probe(login_host.url), try_other_case=again) is AuthorizeFinding.INCONCLUSIVE
    assert login_host.asked == [AUTHORIZE]


def test_a_redirect_without_an_address_says_nothing(login_host: LoginHost) -> None:
    login_host.first = Answer("", 302)
    assert finding(a_probe(login_host.url)) is AuthorizeFinding.INCONCLUSIVE


@pytest.mark.parametrize(
    "dressed_up",
    [
        "{other}",
        "//{other_host}",
        "http://{host}@{other_host}",
        "http://{other_host}\\@{host}",
        "http://{host}\\@{other_host}",
        "http://user:password@{host}",
        "https://{host}",
    ],
)
@pytest.mark.parametrize("path", [LOGIN, f"{ERROR}?errorId=e"])
def test_no_other_host_is_believed_or_asked(
    login_host: LoginHost, canned: CannedServer, dressed_up: str, path: str
) -> None:
    canned.answer = Answer("unauthorized_client : Unknown client or client not enabled")
    login_host.page = canned.answer
    login_host.redirect(
        dressed_up.format(
            other=canned.url, other_host=urlsplit(canned.url).netloc, host=urlsplit(login_host.url).netloc
        )
        + path
    )
    assert finding(a_probe(login_host.url)) is AuthorizeFinding.INCONCLUSIVE
    assert login_host.asked == [AUTHORIZE]
    assert canned.requests == []


# Straight back


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        (f"{DEFAULT_REDIRECT_URI}?{SENT_BACK}", AuthorizeFinding.SCOPE_NOT_ALLOWED),
        (f"{DEFAULT_REDIRECT_URI}?{SENT_BACK}&state=s#_=_", AuthorizeFinding.SCOPE_NOT_ALLOWED),
        (f"{LOWER}?{SENT_BACK.replace('%20', '+').swapcase().lower()}", AuthorizeFinding.SCOPE_NOT_ALLOWED),
        (f"{DEFAULT_REDIRECT_URI}?error=access_denied&state=s", AuthorizeFinding.INCONCLUSIVE),
        (f"{DEFAULT_REDIRECT_URI}?error=access_denied&error_description=Else", AuthorizeFinding.INCONCLUSIVE),
        (
            f"{DEFAULT_REDIRECT_URI}?error=server_error&error_description=Requested%20wrong%20apps%20scopes",
            AuthorizeFinding.INCONCLUSIVE,
        ),
        (f"{DEFAULT_REDIRECT_URI}?code=c&state=s", AuthorizeFinding.INCONCLUSIVE),
        (DEFAULT_REDIRECT_URI, AuthorizeFinding.INCONCLUSIVE),
        (f"{DEFAULT_REDIRECT_URI}/more?{SENT_BACK}", AuthorizeFinding.INCONCLUSIVE),
        (f"https://elsewhere.example/oAuth2CallBack?{SENT_BACK}", AuthorizeFinding.INCONCLUSIVE),
    ],
)
def test_what_comes_straight_back(login_host: LoginHost, location: str, expected: AuthorizeFinding) -> None:
    login_host.redirect(location)
    assert finding(a_probe(login_host.url)) is expected
    assert login_host.asked == [AUTHORIZE]


def test_a_redirect_uri_with_a_query_of_its_own(login_host: LoginHost) -> None:
    redirect_uri = "https://client.example/callback?region=eu"
    login_host.redirect(f"{redirect_uri}&{SENT_BACK}")
    assert finding(a_probe(login_host.url, redirect_uri)) is AuthorizeFinding.SCOPE_NOT_ALLOWED


# The error page


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        ("unauthorized_client : Unknown client or client not enabled", AuthorizeFinding.CLIENT_UNKNOWN),
        ("<p>UNKNOWN CLIENT OR CLIENT NOT ENABLED</p>", AuthorizeFinding.CLIENT_UNKNOWN),
        (
            "<b>Unknown</b>\n<i class='a'>client or\tclient</i>&nbsp;not<br/>enabled",
            AuthorizeFinding.CLIENT_UNKNOWN,
        ),
        (
            "Error: unauthorized_client&#32;: Invalid&#x20;redirect&lowbar;uri",
            AuthorizeFinding.REDIRECT_URI_REFUSED,
        ),
        ("invalid redirect<wbr>_uri", AuthorizeFinding.REDIRECT_URI_REFUSED),
        ("unauthorized_client : Invalid scope <em>for client</em>", AuthorizeFinding.SCOPE_NOT_ALLOWED),
        ("invalid_scope", AuthorizeFinding.SCOPE_UNKNOWN),
        ("<p>Error: invalid_scope : Invalid scope</p>", AuthorizeFinding.SCOPE_UNKNOWN),
        ("", AuthorizeFinding.INCONCLUSIVE),
        ("unauthorized_client", AuthorizeFinding.INCONCLUSIVE),
        ("unauthorized_client : Invalid grant type for client", AuthorizeFinding.INCONCLUSIVE),
        ("<p title='invalid_scope'>Sorry</p>", AuthorizeFinding.INCONCLUSIVE),
        ("invalid_scope, or Invalid redirect_uri, or something", AuthorizeFinding.INCONCLUSIVE),
        ("<" * 1000, AuthorizeFinding.INCONCLUSIVE),
        ("<![CDATA[<!--&#xFFFFFFFF;&", AuthorizeFinding.INCONCLUSIVE),
    ],
)
def test_a_reason_in_whatever_dress(login_host: LoginHost, page: str, expected: AuthorizeFinding) -> None:
    login_host.show(page)
    assert finding(a_probe(login_host.url)) is expected
    assert login_host.asked == [AUTHORIZE, ERROR]


def test_the_page_s_status_does_not_matter(login_host: LoginHost) -> None:
    login_host.show("unauthorized_client : Invalid redirect_uri", 400)
    assert finding(a_probe(login_host.url)) is AuthorizeFinding.REDIRECT_URI_REFUSED


def test_the_error_id_goes_along(login_host: LoginHost) -> None:
    login_host.redirect(f"{ERROR}?errorId=CfDJ8%2Bx-_y&a=b#top")
    finding(a_probe(login_host.url))
    assert login_host.requests[-1].path == f"{ERROR}?errorId=CfDJ8%2Bx-_y&a=b"


def test_an_error_page_that_leads_on_is_not_followed(login_host: LoginHost) -> None:
    login_host.redirect(f"{ERROR}?errorId=e")
    login_host.page = Answer("", 302, {"Location": "/identity/user/login"})
    assert finding(a_probe(login_host.url)) is AuthorizeFinding.INCONCLUSIVE
    assert login_host.asked == [AUTHORIZE, ERROR]


def test_of_a_large_page_only_the_beginning_is_read(login_host: LoginHost) -> None:
    reason = "invalid_scope"
    login_host.show("x" * (LARGEST_PAGE - len(reason)) + reason + "x" * LARGEST_PAGE)
    assert finding(a_probe(login_host.url)) is AuthorizeFinding.SCOPE_UNKNOWN
    login_host.show("x" * (LARGEST_PAGE - len(reason) + 1) + reason)
    assert finding(a_probe(login_host.url)) is AuthorizeFinding.INCONCLUSIVE


@pytest.mark.parametrize(
    "headers", [{"Content-Length": "1000", "Connection": "close"}, {"Content-Encoding": "gzip"}], ids=str
)
def test_a_page_that_cannot_be_read(login_host: LoginHost, headers: dict[str, str]) -> None:
    login_host.redirect(f"{ERROR}?errorId=e")
    login_host.page = Answer("invalid_scope", 200, headers)
    assert finding(a_probe(login_host.url)) is AuthorizeFinding.INCONCLUSIVE


# What goes wrong


SHORT = LIMITS.at_most(timedelta(seconds=0.3))


@pytest.mark.parametrize(
    "fault",
    [
        Fault(Endpoint.AUTHORIZE, FaultKind.HTML_403),
        Fault(Endpoint.AUTHORIZE, FaultKind.STATUS, status=200),
        Fault(Endpoint.AUTHORIZE, FaultKind.STATUS, status=400, error="invalid_request"),
        Fault(Endpoint.AUTHORIZE, FaultKind.STATUS, status=429, headers={"Retry-After": "7"}),
        Fault(Endpoint.AUTHORIZE, FaultKind.STATUS, status=500),
        Fault(Endpoint.AUTHORIZE, FaultKind.STATUS, status=503, headers={"Location": LOGIN}),
        Fault(Endpoint.AUTHORIZE, FaultKind.DROP_BEFORE),
        Fault(Endpoint.AUTHORIZE, FaultKind.DROP_AFTER),
    ],
    ids=lambda fault: f"{fault.kind} {fault.status}",
)
@pytest.mark.parametrize("again", [False, True])
def test_a_fault_is_no_finding(xero: Xero, fault: Fault, *, again: bool) -> None:
    xero.simulator.faults.add(fault)
    assert xero.ask(again=again) is AuthorizeFinding.INCONCLUSIVE
    assert len(xero.asked) == 1
    assert xero.ask(again=again) is AuthorizeFinding.ACCEPTED


def test_an_answer_that_takes_too_long(xero: Xero) -> None:
    xero.simulator.faults.add(Fault(Endpoint.AUTHORIZE, FaultKind.DELAY, delay=timedelta(seconds=0.6)))
    assert finding(a_probe(xero.simulator.url, limits=SHORT), xero.client_id) is AuthorizeFinding.INCONCLUSIVE


@pytest.fixture
def serving_raw() -> Iterator[Callable[[bytes], str]]:
    """Serve these octets to each client, and say nothing more."""
    listener = socket.create_server(("127.0.0.1", 0))
    talks: list[socket.socket] = []

    def serve(octets: bytes) -> str:
        def answer() -> None:
            talk, _ = listener.accept()
            talks.append(talk)
            talk.recv(65_536)
            talk.sendall(octets)

        threading.Thread(target=answer, daemon=True).start()
        return f"http://127.0.0.1:{listener.getsockname()[1]}"

    yield serve
    for talk in talks:
        talk.close()
    listener.close()


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"HTTP/1.1 302 Found\r\nLoc",
        b"HTTP/1.1 999999 Found\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: " + b"x" * 100_000,
        b"HTTP/1.1 302 Found\r\n" + b"A: b\r\n" * 1000,
    ],
    ids=range(6),
)
def test_what_is_no_answer_at_all(serving_raw: Callable[[bytes], str], octets: bytes) -> None:
    assert finding(a_probe(serving_raw(octets), limits=SHORT)) is AuthorizeFinding.INCONCLUSIVE


def test_the_body_of_a_redirect_is_not_waited_for(serving_raw: Callable[[bytes], str]) -> None:
    head = f"HTTP/1.1 302 Found\r\nLocation: {LOGIN}\r\nContent-Length: 99999999\r\n\r\n<html>"
    assert finding(a_probe(serving_raw(head.encode()), limits=SHORT)) is AuthorizeFinding.ACCEPTED


def test_a_host_that_does_not_answer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert finding(a_probe(f"http://127.0.0.1:{port}")) is AuthorizeFinding.INCONCLUSIVE


def test_a_name_that_does_not_resolve(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    assert finding(a_probe("http://login.invalid")) is AuthorizeFinding.INCONCLUSIVE


@pytest.fixture
def dripping() -> Iterator[str]:
    """A server that sends a byte of its answer every 50 ms, so that no read of it ever times out."""
    stop = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def drip() -> None:
            connection, _ = server.accept()
            with connection:
                connection.sendall(b"HTTP/1.1 302 Found\r\nX-Slow: ")
                while not stop.wait(0.05):
                    connection.sendall(b"x")

        dripper = threading.Thread(target=drip, daemon=True)
        dripper.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        stop.set()
        dripper.join(timeout=5)


def test_an_answer_that_never_ends_is_not_waited_for(dripping: str) -> None:
    assert finding(a_probe(dripping, limits=SHORT)) is AuthorizeFinding.INCONCLUSIVE


def test_a_defect_of_ours_is_not_taken_for_xero_s_answer() -> None:
    def defect(_: requests.PreparedRequest) -> HTTPResponse:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        finding(a_probe("http://127.0.0.1:1", transport=answering(defect)))
