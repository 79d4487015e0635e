import json
from datetime import timedelta
from http import HTTPStatus
from typing import Any

import pytest

from tests.fakes.world import CLIENT_ID, World
from tests.handlers.conftest import Event, Invoke, sample_event
from xero_connector.domain.consent import AuthorizationRequest, ConnectTicket, RequestPhase, digest
from xero_connector.domain.errors import IllegalMove, StoreUnavailable
from xero_connector.domain.tenant import Tenant
from xero_connector.domain.token_endpoint import FailureKind
from xero_connector.web.consent_pages import REDIRECT_HEADERS as HEADERS

CONNECT = sample_event("oauth_callback/connect")
CALLBACK = sample_event("oauth_callback/callback")
CONSENT = sample_event("oauth_callback/consent")
TICKET: str = CONNECT["pathParameters"]["ticket"]
STATE: str = CALLBACK["queryStringParameters"]["state"]
CODE: str = CALLBACK["queryStringParameters"]["code"]
BINDING: str = CALLBACK["headers"]["Cookie"].split("=")[1].split(".")[0]


@pytest.fixture
def started(world: World) -> World:
    """A world in which the sample ticket was opened by the sample browser."""
    world.submit()
    world.consents.add_ticket(
        ConnectTicket(
            ticket_hash=digest(TICKET),
            client_id=CLIENT_ID,
            created_at=world.now,
            expires_at=world.now + timedelta(days=7),
        )
    )
    world.consents.add_request(
        AuthorizationRequest(
            state_hash=digest(STATE),
            client_id=CLIENT_ID,
            ticket_hash=digest(TICKET),
            binding_hash=digest(BINDING),
            created_at=world.now,
            expires_at=world.now + timedelta(hours=1),
        )
    )
    world.xero.codes.add(CODE)
    return world


def page(answer: dict[str, Any]) -> str:
    headers = answer["multiValueHeaders"]
    assert headers["Content-Type"] == ["text/html; charset=utf-8"]
    assert headers["Cache-Control"] == ["no-store"]
    assert headers["Referrer-Policy"] == ["no-referrer"]
    assert headers["Content-Security-Policy"][0].startswith("default-src 'none'; style-src 'sha256-")
    body: str = answer["body"]
    assert "<script" not in body
    assert "http://" not in body
    assert '<html lang="en">' in body
    for secret in (STATE, CODE, BINDING, "access-1", "refresh-1"):
        assert secret not in body
    return body


def follow(answer: dict[str, Any]) -> str:
    """Where a callback leads: its answer gives nothing away, and has every protection that a page has."""
    assert (answer["statusCode"], answer["body"]) == (HTTPStatus.SEE_OTHER, "")
    headers = answer["multiValueHeaders"]
    assert {name: headers[name] for name in HEADERS} == {name: [value] for name, value in HEADERS.items()}
    assert "Set-Cookie" not in headers
    for secret in (STATE, CODE, BINDING, TICKET):
        assert secret not in json.dumps(headers)
    (location,) = headers["Location"]
    return str(location)


def test_opening_the_link_sends_the_browser_to_xero_with_a_cookie(started: World, invoke: Invoke) -> None:
    answer = invoke("oauth_callback", CONNECT)
    assert answer["statusCode"] == HTTPStatus.FOUND
    headers = answer["multiValueHeaders"]
    assert headers["Location"][0].startswith("https://login.xero.test/authorize?")
    assert headers["Cache-Control"] == ["no-store"]
    (cookie,) = headers["Set-Cookie"]
    assert cookie.startswith("__Host-connect-")
    for attribute in ("Path=/", "HttpOnly", "Secure", "SameSite=Lax", "Max-Age=608400"):
        assert attribute in cookie.split("; ")
    assert len(started.consents.requests) == 2


def test_opening_it_again_keeps_the_cookie_of_the_first_tab(started: World, invoke: Invoke) -> None:
    first = invoke("oauth_callback", CONNECT)["multiValueHeaders"]["Set-Cookie"][0]
    again = CONNECT | {"multiValueHeaders": {"Cookie": [first.split(";")[0]]}, "headers": {}}
    second = invoke("oauth_callback", again)["multiValueHeaders"]["Set-Cookie"][0]
    assert first == second
    del started


def test_the_way_back_connects_and_names_the_organisations(started: World, invoke: Invoke) -> None:
    follow(invoke("oauth_callback", CALLBACK))
    body = page(invoke("oauth_callback", CONSENT))
    assert "Demo Company (UK)" in body
    assert "Electro Land" in body
    assert started.credential().status == "connected"


@pytest.mark.parametrize("trouble", ["none", "organisations", "vault"])
def test_the_way_back_leads_to_the_page_of_the_consent(
    started: World, invoke: Invoke, monkeypatch: pytest.MonkeyPatch, trouble: str
) -> None:
    def full(*_: object, **__: object) -> None:
        raise StoreUnavailable("PutSecretValue", "ThrottlingException")

    started.xero.connections_down = trouble == "organisations"
    if trouble == "vault":
        monkeypatch.setattr(started.vault, "put_tokens", full)
    assert follow(invoke("oauth_callback", CALLBACK)) == f"consent/{digest(STATE)}"


def test_a_code_that_brought_nothing_leads_to_the_page_that_says_why(started: World, invoke: Invoke) -> None:
    started.xero.failures.append(FailureKind.INVALID_GRANT)
    for _ in range(2):
        assert follow(invoke("oauth_callback", CALLBACK)) == f"consent/{digest(STATE)}"
        answer = invoke("oauth_callback", CONSENT)
        assert (answer["statusCode"], code_of(answer)) == (HTTPStatus.BAD_REQUEST, "code_refused")
        assert f'href="../connect/{TICKET}"' in page(answer)
        started.advance(20 * 3600)
    assert started.xero.calls.count("exchange_code") == 3  # two of the proof


@pytest.mark.parametrize("kind", [FailureKind.THROTTLED, FailureKind.INVALID_CLIENT])
def test_where_the_same_callback_can_be_opened_again_its_address_stays(
    started: World, invoke: Invoke, kind: FailureKind
) -> None:
    started.xero.failures.append(kind)
    assert "reload" in page(invoke("oauth_callback", CALLBACK)) or kind is FailureKind.INVALID_CLIENT
    assert is_open(started, exchanges=1)


def test_a_consent_that_ended_without_an_exchange_is_told_at_once(started: World, invoke: Invoke) -> None:
    invoke("oauth_callback", sample_event("oauth_callback/callback_denied"))
    answer = invoke("oauth_callback", CALLBACK)
    assert (answer["statusCode"], code_of(answer)) == (HTTPStatus.BAD_REQUEST, "state_used")
    del started


def test_the_way_back_twice_leads_to_the_same_page_and_exchanges_nothing(started: World, invoke: Invoke) -> None:
    first = invoke("oauth_callback", CALLBACK)
    calls = list(started.xero.calls)
    started.advance(20 * 3600)
    assert follow(invoke("oauth_callback", CALLBACK)) == follow(first)
    assert started.xero.calls == calls


def test_an_organisation_cannot_put_markup_on_the_page(started: World, invoke: Invoke) -> None:
    started.xero.organisations = (
        Tenant(
            tenant_id="t",
            tenant_name='<img src=x onerror="alert(1)">',
            tenant_type="ORGANISATION",
            connection_id="c",
        ),
    )
    invoke("oauth_callback", CALLBACK)
    body = page(invoke("oauth_callback", CONSENT))
    assert "<img" not in body
    assert "&lt;img src=x" in body


def test_another_browser_is_refused_and_spends_nothing(started: World, invoke: Invoke) -> None:
    answer = invoke("oauth_callback", sample_event("oauth_callback/callback_from_another_browser"))
    assert answer["statusCode"] == HTTPStatus.FORBIDDEN
    assert "another browser" in page(answer)
    assert "exchange_code" not in started.xero.calls[2:]
    assert invoke("oauth_callback", CALLBACK)["statusCode"] == HTTPStatus.SEE_OTHER


def test_a_denied_consent_offers_another_try(started: World, invoke: Invoke) -> None:
    answer = invoke("oauth_callback", sample_event("oauth_callback/callback_denied"))
    assert answer["statusCode"] == HTTPStatus.BAD_REQUEST
    assert f'href="connect/{TICKET}"' in page(answer)
    assert started.credential().status == "validated"


def test_without_a_state_there_is_no_exchange(started: World, invoke: Invoke) -> None:
    answer = invoke("oauth_callback", sample_event("oauth_callback/callback_without_state"))
    assert answer["statusCode"] == HTTPStatus.BAD_REQUEST
    page(answer)
    assert "exchange_code" not in started.xero.calls[2:]


def test_a_parameter_given_twice_is_not_used(started: World, invoke: Invoke) -> None:
    twice = CALLBACK | {"multiValueQueryStringParameters": {"state": [STATE, "other"], "code": [CODE]}}
    assert invoke("oauth_callback", twice)["statusCode"] == HTTPStatus.BAD_REQUEST
    assert started.credential().status == "validated"


def test_an_expired_link_says_so(started: World, invoke: Invoke) -> None:
    started.advance(7 * 86_400)
    answer = invoke("oauth_callback", CONNECT)
    assert answer["statusCode"] == HTTPStatus.GONE
    assert "expired" in page(answer)


@pytest.mark.parametrize("ticket", ["x", "..", "A" * 43, "A" * 4_000, "é" * 43, "<script>"])
def test_a_made_up_link_is_not_known(world: World, invoke: Invoke, ticket: str) -> None:
    event = CONNECT | {"path": f"/connect/{ticket}", "pathParameters": {"ticket": ticket}}
    answer = invoke("oauth_callback", event)
    assert answer["statusCode"] == HTTPStatus.NOT_FOUND
    assert not world.consents.requests


@pytest.mark.parametrize("ticket", ["A" * 43 + '"', "A" * 43 + "”", "A\\B", "../.."])
def test_a_link_with_a_stray_character_is_not_known_either(invoke: Invoke, ticket: str) -> None:
    event = CONNECT | {"path": f"/connect/{ticket}", "pathParameters": {"ticket": ticket}}
    assert "does not exist" in page(invoke("oauth_callback", event))


def test_an_outage_of_our_own_is_a_page_too(
    started: World, invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    def down(_: str) -> None:
        raise StoreUnavailable("GetItem", "ServiceUnavailable")

    monkeypatch.setattr(started.registry, "get", down)
    answer = invoke("oauth_callback", CONNECT)
    assert answer["statusCode"] == HTTPStatus.SERVICE_UNAVAILABLE
    assert "at the moment" in page(answer)
    told = [fields for message, fields in started.observer.events if message == "request_refused"]
    assert any(fields["detail"] == "GetItem failed: ServiceUnavailable." for fields in told)


def test_a_defect_ends_the_invocation(started: World, invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: str) -> None:
        raise IllegalMove("A credential cannot do that.", code="illegal_move")

    monkeypatch.setattr(started.registry, "get", broken)
    with pytest.raises(IllegalMove):
        invoke("oauth_callback", CONNECT)


# Cookies


def with_cookies(*lines: str, header: str = "Cookie") -> Event:
    headers = {header: lines[-1]} if lines else {}
    return CALLBACK | {"headers": headers, "multiValueHeaders": {header: list(lines)} if lines else {}}


NAME, VALUE = CALLBACK["headers"]["Cookie"].split("=")
OF_OTHERS = [
    f"{NAME}=",
    f"{NAME}=x.y",
    f"{NAME}={'B' * 43}.{'A' * 43}",
    f"{NAME}={VALUE}x",
    f"{NAME}={VALUE[:-1]}",
]


def test_the_cookie_is_found_among_several_lines(started: World, invoke: Invoke) -> None:
    answer = invoke("oauth_callback", sample_event("oauth_callback/callback_with_cookies_in_several_lines"))
    assert answer["statusCode"] == HTTPStatus.SEE_OTHER
    assert started.credential().status == "connected"


@pytest.mark.parametrize(
    "lines",
    [
        [f"{NAME}={VALUE}", "last=1"],
        ["first=1", f"a=b; {NAME}={VALUE};c=d"],
        [f"{NAME}={VALUE};"],
        [f";;=; = ;,;a;{NAME}={VALUE}"],
        [f'{NAME}="{VALUE}"'],
        [f"\t{NAME} = {VALUE} "],
        [f'odd="never closed; {NAME}={VALUE}'],
        [f"ü\x00\x1f={{}}; {NAME}={VALUE}; \ud800=\udfff"],
        *[[f"{other}; {NAME}={VALUE}"] for other in OF_OTHERS],
        *[[f"{NAME}={VALUE}", other] for other in OF_OTHERS],
    ],
)
@pytest.mark.parametrize("header", ["Cookie", "cookie", "COOKIE"])
def test_no_neighbour_hides_the_cookie(started: World, invoke: Invoke, lines: list[str], header: str) -> None:
    assert invoke("oauth_callback", with_cookies(*lines, header=header))["statusCode"] == HTTPStatus.SEE_OTHER
    del started


@pytest.mark.parametrize("many", [None, {}, {"Cookie": []}, {"Cookie": None}])
def test_the_single_header_is_enough(started: World, invoke: Invoke, many: dict[str, Any] | None) -> None:
    event = with_cookies(f"a=b; {NAME}={VALUE}", header="cookie") | {"multiValueHeaders": many}
    assert invoke("oauth_callback", event)["statusCode"] == HTTPStatus.SEE_OTHER
    del started


@pytest.mark.parametrize(
    "lines",
    [
        [],
        *[[other] for other in OF_OTHERS],
        [f"{NAME.upper()}={VALUE}"],
        # In the value of a cookie that any neighbouring host may set.
        [f"a=1, {NAME}={VALUE}"],
        [f"a={NAME}={VALUE}"],
        [f'a="{NAME}={VALUE}"'],
        [NAME, VALUE],
    ],
)
def test_what_only_looks_like_the_cookie_is_none(started: World, invoke: Invoke, lines: list[str]) -> None:
    assert invoke("oauth_callback", with_cookies(*lines))["statusCode"] == HTTPStatus.FORBIDDEN
    assert started.credential().status == "validated"


def open_with(invoke: Invoke, cookies: list[str]) -> list[str]:
    event = CONNECT | {"headers": {}, "multiValueHeaders": {"Cookie": ["; ".join(cookies)]}}
    cookies_set: list[str] = invoke("oauth_callback", event)["multiValueHeaders"]["Set-Cookie"]
    assert cookies_set[0].startswith(f"{NAME}=")
    return cookies_set[1:]


OF_OTHER_CONSENTS = [f"__Host-connect-{number:016x}={VALUE}" for number in range(25)]


def test_a_browser_of_many_consents_loses_its_oldest_cookies(started: World, invoke: Invoke) -> None:
    removed = open_with(invoke, ["a=1", *OF_OTHER_CONSENTS[:10], f"{NAME}={VALUE}", *OF_OTHER_CONSENTS[10:]])
    assert [cookie.partition("=")[0] for cookie in removed] == [
        cookie.partition("=")[0] for cookie in OF_OTHER_CONSENTS[:6]
    ]
    for cookie in removed:
        attributes = cookie.split("; ")
        assert attributes[0].endswith("=")
        assert {"Path=/", "Secure", "HttpOnly", "Max-Age=0"} <= set(attributes)
    del started


def test_a_browser_of_few_consents_keeps_its_cookies(started: World, invoke: Invoke) -> None:
    odd = [f"__Host-connect-{name}=1" for name in ("", "\ud800", "é" * 16, "0" * 15, "0" * 17, "A" * 16)]
    others = [*OF_OTHER_CONSENTS[:19], "a=1", "session=2", "__Host-other=3", *odd]
    assert open_with(invoke, others) == []
    assert open_with(invoke, [*others, f"{NAME}={VALUE}"]) == []
    assert len(open_with(invoke, [*others, OF_OTHER_CONSENTS[20]])) == 1
    del started


# The query


def with_query(**values: list[str]) -> Event:
    return CALLBACK | {
        "queryStringParameters": {name: found[-1] for name, found in values.items()},
        "multiValueQueryStringParameters": values,
    }


def code_of(answer: dict[str, Any]) -> str:
    return page(answer).partition("Reference: ")[2].partition(" / ")[0]


def is_open(world: World, *, exchanges: int = 0) -> bool:
    (request,) = world.consents.requests.values()
    return request.phase is RequestPhase.OPEN and world.xero.calls[2:].count("exchange_code") == exchanges


def test_an_error_given_twice_exchanges_nothing(started: World, invoke: Invoke) -> None:
    answer = invoke("oauth_callback", sample_event("oauth_callback/callback_with_an_error_twice"))
    assert (answer["statusCode"], code_of(answer)) == (HTTPStatus.BAD_REQUEST, "callback_malformed")
    assert is_open(started)
    assert invoke("oauth_callback", CALLBACK)["statusCode"] == HTTPStatus.SEE_OTHER


@pytest.mark.parametrize(
    "twice",
    [
        {"state": [STATE, STATE]},
        {"state": ["", STATE]},
        {"code": [CODE, CODE]},
        {"code": [CODE, ""]},
        {"error": ["", ""]},
        {"error": ["access_denied", "server_error"]},
        {"error": ["access_denied"], "error_description": ["x", "x"]},
        {"iss": ["https://identity.xero.test", "https://identity.xero.test"]},
    ],
)
def test_whatever_is_given_twice_exchanges_nothing(
    started: World, invoke: Invoke, twice: dict[str, list[str]]
) -> None:
    answer = invoke("oauth_callback", with_query(**{"state": [STATE], "code": [CODE], **twice}))
    assert code_of(answer) == "callback_malformed"
    assert is_open(started)


@pytest.mark.parametrize("code", ["x" * 2049, "x" * 8_000, "a\x00b", "a\nb", "é", "\u202e", "\ud800", "a\x7f"])
def test_a_code_that_can_be_none_is_not_presented(started: World, invoke: Invoke, code: str) -> None:
    answer = invoke("oauth_callback", with_query(state=[STATE], code=[code]))
    assert code_of(answer) == "callback_malformed"
    assert is_open(started)


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"state": [STATE]}, "code_missing"),
        ({"state": [STATE], "code": [""]}, "code_missing"),
        ({"state": [""], "code": [CODE]}, "state_unknown"),
        ({"state": [], "code": [CODE]}, "state_unknown"),
        ({}, "state_unknown"),
    ],
)
def test_an_empty_parameter_is_one_left_out(
    started: World, invoke: Invoke, query: dict[str, list[str]], code: str
) -> None:
    event = CALLBACK | {"queryStringParameters": None, "multiValueQueryStringParameters": query or None}
    assert code_of(invoke("oauth_callback", event)) == code
    assert is_open(started)


def test_an_empty_error_is_none(started: World, invoke: Invoke) -> None:
    answer = invoke("oauth_callback", with_query(state=[STATE], code=[CODE], error=[""], iss=[""]))
    assert answer["statusCode"] == HTTPStatus.SEE_OTHER
    assert started.credential().status == "connected"


def test_a_query_in_its_single_form_is_read_whole(started: World, invoke: Invoke) -> None:
    code = "one,code,with commas"
    started.xero.codes.add(code)
    event = CALLBACK | {
        "queryStringParameters": {"state": STATE, "code": code, "scope": None},
        "multiValueQueryStringParameters": None,
    }
    assert invoke("oauth_callback", event)["statusCode"] == HTTPStatus.SEE_OTHER


def test_another_issuer_s_answer_is_not_used(started: World, invoke: Invoke) -> None:
    answer = invoke("oauth_callback", sample_event("oauth_callback/callback_of_another_issuer"))
    assert (answer["statusCode"], code_of(answer)) == (HTTPStatus.BAD_REQUEST, "wrong_issuer")
    assert is_open(started)
    assert invoke("oauth_callback", CALLBACK)["statusCode"] == HTTPStatus.SEE_OTHER


@pytest.mark.parametrize(
    "issuer",
    [
        "https://identity.xero.test/",
        "https://IDENTITY.xero.test",
        "http://identity.xero.test",
        "https://identity.xero.test:443",
        " https://identity.xero.test",
        "null",
    ],
)
@pytest.mark.parametrize("rest", [{"code": [CODE]}, {"error": ["access_denied"]}])
def test_an_issuer_is_compared_letter_by_letter(
    started: World, invoke: Invoke, issuer: str, rest: dict[str, list[str]]
) -> None:
    assert code_of(invoke("oauth_callback", with_query(state=[STATE], iss=[issuer], **rest))) == "wrong_issuer"
    assert is_open(started)


def test_the_issuer_that_was_asked_may_name_itself(started: World, invoke: Invoke) -> None:
    event = with_query(state=[STATE], code=[CODE], iss=["https://identity.xero.test"])
    assert invoke("oauth_callback", event)["statusCode"] == HTTPStatus.SEE_OTHER
    del started


def test_refused_scopes_and_a_user_s_no_are_distinguished(started: World, invoke: Invoke) -> None:
    answer = invoke("oauth_callback", sample_event("oauth_callback/callback_with_refused_scopes"))
    assert (answer["statusCode"], code_of(answer)) == (HTTPStatus.BAD_REQUEST, "scopes_refused")
    assert started.credential().checks["scopes"].result == "fail"


@pytest.mark.parametrize(
    ("error", "status", "code", "advice"),
    [
        ("invalid_scope", HTTPStatus.BAD_REQUEST, "scopes_refused", "administrator"),
        ("access_denied", HTTPStatus.BAD_REQUEST, "consent_denied", "start again"),
        ("server_error", HTTPStatus.SERVICE_UNAVAILABLE, "xero_unavailable", "few minutes"),
        ("temporarily_unavailable", HTTPStatus.SERVICE_UNAVAILABLE, "xero_unavailable", "few minutes"),
        ("unauthorized_client", HTTPStatus.BAD_REQUEST, "authorization_failed", "administrator"),
        ("invalid_request", HTTPStatus.BAD_REQUEST, "authorization_failed", "administrator"),
        ("unsupported_response_type", HTTPStatus.BAD_REQUEST, "authorization_failed", "administrator"),
        ("login_required", HTTPStatus.BAD_REQUEST, "authorization_failed", "Log in"),
        ("<img src=x onerror=alert(1)>", HTTPStatus.BAD_REQUEST, "authorization_failed", "Start again"),
        ("\x00\ud800" + "x" * 5_000, HTTPStatus.BAD_REQUEST, "authorization_failed", "Start again"),
    ],
)
def test_each_error_of_xero_has_its_advice_and_is_not_repeated(  # noqa: PLR0917 - one table
    started: World, invoke: Invoke, error: str, status: HTTPStatus, code: str, advice: str
) -> None:
    event = with_query(state=[STATE], code=[CODE], error=[error], error_description=[f"<b>{error}</b>"])
    answer = invoke("oauth_callback", event)
    assert (answer["statusCode"], code_of(answer)) == (status, code)
    assert advice in page(answer)
    assert error not in page(answer)
    assert started.credential().status == "validated"


def test_a_ticket_that_was_encoded_on_its_way_is_read(started: World, invoke: Invoke) -> None:
    event = CONNECT | {"path": f"/connect/{TICKET.replace('-', '%2D').replace('_', '%5f')}"}
    assert invoke("oauth_callback", event)["statusCode"] == HTTPStatus.FOUND
    del started


# The page of a consent


def test_the_page_of_a_consent_names_its_organisations_in_its_browser(started: World, invoke: Invoke) -> None:
    invoke("oauth_callback", CALLBACK)
    answer = invoke("oauth_callback", CONSENT)
    assert answer["statusCode"] == HTTPStatus.OK
    assert "Demo Company (UK)" in page(answer)
    assert "Electro Land" in page(answer)
    del started


def test_the_page_of_a_consent_names_nothing_in_another_browser(started: World, invoke: Invoke) -> None:
    invoke("oauth_callback", CALLBACK)
    answer = invoke("oauth_callback", sample_event("oauth_callback/consent_in_another_browser"))
    assert (answer["statusCode"], code_of(answer)) == (HTTPStatus.FORBIDDEN, "wrong_browser")
    assert "Demo Company" not in page(answer)
    assert TICKET not in page(answer)
    assert "not connected" not in page(answer)
    del started


def test_the_page_of_a_consent_can_be_loaded_again_and_again(started: World, invoke: Invoke) -> None:
    invoke("oauth_callback", CALLBACK)
    calls, requests = list(started.xero.calls), dict(started.consents.requests)
    first = page(invoke("oauth_callback", CONSENT))
    started.advance(20 * 3600)
    assert page(invoke("oauth_callback", CONSENT)) == first
    assert (started.xero.calls, started.consents.requests) == (calls, requests)


def test_another_try_is_offered_from_where_the_page_of_a_consent_is(started: World, invoke: Invoke) -> None:
    answer = invoke("oauth_callback", CONSENT)
    assert (answer["statusCode"], code_of(answer)) == (HTTPStatus.CONFLICT, "consent_unfinished")
    assert f'href="../connect/{TICKET}"' in page(answer)
    del started


@pytest.mark.parametrize(
    "consent_id", ["x", "..", "0" * 64, "A" * 64, "A" * 4_000, 'A"', "A\\B", "<script>", "é”"]
)
def test_a_made_up_consent_is_not_known(started: World, invoke: Invoke, consent_id: str) -> None:
    event = CONSENT | {"path": f"/consent/{consent_id}", "pathParameters": {"consent_id": consent_id}}
    answer = invoke("oauth_callback", event)
    assert (answer["statusCode"], code_of(answer)) == (HTTPStatus.NOT_FOUND, "consent_unknown")
    assert "Try again" not in page(answer)
    del started


def test_a_consent_s_id_that_was_encoded_on_its_way_is_read(started: World, invoke: Invoke) -> None:
    invoke("oauth_callback", CALLBACK)
    consent_id: str = CONSENT["pathParameters"]["consent_id"]
    event = CONSENT | {"path": f"/consent/%{ord(consent_id[0]):02x}{consent_id[1:]}"}
    assert invoke("oauth_callback", event)["statusCode"] == HTTPStatus.OK
    del started


@pytest.mark.parametrize("part", ["registry", "consents"])
def test_an_outage_of_our_own_asks_nobody_to_start_again(
    started: World, invoke: Invoke, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    def down(_: str) -> None:
        raise StoreUnavailable("GetItem", "ServiceUnavailable")

    invoke("oauth_callback", CALLBACK)
    monkeypatch.setattr(getattr(started, part), "get" if part == "registry" else "get_request", down)
    answer = invoke("oauth_callback", CONSENT)
    assert (answer["statusCode"], code_of(answer)) == (HTTPStatus.SERVICE_UNAVAILABLE, "store_unavailable")
    assert "reload this page" in page(answer)
    assert "tart again" not in page(answer)


def test_the_sample_page_is_that_of_the_sample_callback() -> None:
    assert CONSENT["pathParameters"] == {"consent_id": digest(STATE)}
