from datetime import timedelta
from http import HTTPStatus
from typing import Any

import pytest

from tests.fakes.world import CLIENT_ID, World
from tests.handlers.conftest import Invoke, sample_event
from xero_connector.domain.consent import AuthorizationRequest, ConnectTicket, digest
from xero_connector.domain.errors import IllegalMove, StoreUnavailable
from xero_connector.domain.tenant import Tenant

CONNECT = sample_event("oauth_callback/connect")
CALLBACK = sample_event("oauth_callback/callback")
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


def test_opening_the_link_sends_the_browser_to_xero_with_a_cookie(started: World, invoke: Invoke) -> None:
    answer = invoke("oauth_callback", CONNECT)
    assert answer["statusCode"] == HTTPStatus.FOUND
    headers = answer["multiValueHeaders"]
    assert headers["Location"][0].startswith("https://login.xero.test/authorize?")
    assert headers["Cache-Control"] == ["no-store"]
    (cookie,) = headers["Set-Cookie"]
    assert cookie.startswith("__Host-connect-")
    for attribute in ("Path=/", "HttpOnly", "Secure", "SameSite=Lax", "Max-Age=3600"):
        assert attribute in cookie.split("; ")
    assert len(started.consents.requests) == 2


def test_opening_it_again_keeps_the_cookie_of_the_first_tab(started: World, invoke: Invoke) -> None:
    first = invoke("oauth_callback", CONNECT)["multiValueHeaders"]["Set-Cookie"][0]
    again = CONNECT | {"multiValueHeaders": {"Cookie": [first.split(";")[0]]}, "headers": {}}
    second = invoke("oauth_callback", again)["multiValueHeaders"]["Set-Cookie"][0]
    assert first == second
    del started


def test_the_way_back_connects_and_names_the_organisations(started: World, invoke: Invoke) -> None:
    answer = invoke("oauth_callback", CALLBACK)
    assert answer["statusCode"] == HTTPStatus.OK
    body = page(answer)
    assert "Demo Company (UK)" in body
    assert "Electro Land" in body
    assert started.row().status == "connected"


def test_the_way_back_twice_shows_the_same_and_exchanges_nothing(started: World, invoke: Invoke) -> None:
    first = page(invoke("oauth_callback", CALLBACK))
    calls = list(started.xero.calls)
    assert page(invoke("oauth_callback", CALLBACK)) == first
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
    body = page(invoke("oauth_callback", CALLBACK))
    assert "<img" not in body
    assert "&lt;img src=x" in body


def test_another_browser_is_refused_and_spends_nothing(started: World, invoke: Invoke) -> None:
    answer = invoke("oauth_callback", sample_event("oauth_callback/callback_from_another_browser"))
    assert answer["statusCode"] == HTTPStatus.FORBIDDEN
    assert "another browser" in page(answer)
    assert "exchange_code" not in started.xero.calls[2:]
    assert invoke("oauth_callback", CALLBACK)["statusCode"] == HTTPStatus.OK


def test_a_denied_consent_offers_another_try(started: World, invoke: Invoke) -> None:
    answer = invoke("oauth_callback", sample_event("oauth_callback/callback_denied"))
    assert answer["statusCode"] == HTTPStatus.BAD_REQUEST
    assert f'href="connect/{TICKET}"' in page(answer)
    assert started.row().status == "validated"


def test_without_a_state_there_is_no_exchange(started: World, invoke: Invoke) -> None:
    answer = invoke("oauth_callback", sample_event("oauth_callback/callback_without_state"))
    assert answer["statusCode"] == HTTPStatus.BAD_REQUEST
    page(answer)
    assert "exchange_code" not in started.xero.calls[2:]


def test_a_parameter_given_twice_is_not_used(started: World, invoke: Invoke) -> None:
    twice = CALLBACK | {"multiValueQueryStringParameters": {"state": [STATE, "other"], "code": [CODE]}}
    assert invoke("oauth_callback", twice)["statusCode"] == HTTPStatus.BAD_REQUEST
    assert started.row().status == "validated"


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
    assert "not known" in page(invoke("oauth_callback", event))


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
