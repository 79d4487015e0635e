from dataclasses import replace
from datetime import timedelta

import pytest

from tests.fakes.builders import a_credential
from tests.fakes.world import ADMIN, CLIENT_ID, World
from xero_connector.domain.consent import BrowserBinding, digest, is_token
from xero_connector.domain.errors import Conflict, ConsentRefused, NotFound
from xero_connector.domain.status import CONSENTABLE, Status
from xero_connector.use_cases.start_consent import StartedConsent


def a_ticket_of(world: World) -> str:
    return world.app.create_connect_link(CLIENT_ID, by=ADMIN).connect_url.rsplit("/", 1)[1]


def start(world: World, ticket: str, browser: BrowserBinding | None = None) -> StartedConsent:
    return world.app.start_consent(ticket, binding=browser.binding if browser else None)


def refusal(world: World, ticket: str) -> ConsentRefused:
    with pytest.raises(ConsentRefused) as refused:
        start(world, ticket)
    assert refused.value.key
    assert not refused.value.can_retry
    return refused.value


def state_of(started: StartedConsent) -> str:
    return started.authorization_url.rsplit("state=", 1)[1]


def test_a_link_without_a_credential(world: World) -> None:
    with pytest.raises(NotFound) as missing:
        world.app.create_connect_link(CLIENT_ID, by=ADMIN)
    assert missing.value.code == "credential_not_found"


@pytest.mark.parametrize("status", sorted(CONSENTABLE))
def test_a_link_and_a_consent_where_a_user_can_help(world: World, status: Status) -> None:
    world.registry.create(a_credential(status=status), replacing=None)
    started = start(world, a_ticket_of(world))
    assert f"client_id={CLIENT_ID}" in started.authorization_url


@pytest.mark.parametrize("status", sorted(set(Status) - CONSENTABLE))
def test_no_link_where_a_user_cannot_help(world: World, status: Status) -> None:
    world.registry.create(a_credential(status=status), replacing=None)
    with pytest.raises(Conflict) as conflict:
        world.app.create_connect_link(CLIENT_ID, by=ADMIN)
    assert conflict.value.code == "not_connectable"
    assert world.consents.tickets == {}


def test_only_the_hash_of_a_ticket_is_kept(world: World) -> None:
    world.submit()
    ticket = a_ticket_of(world)
    assert is_token(ticket)
    assert digest(ticket) in world.consents.tickets
    assert ticket not in repr(world.consents.tickets)


def test_an_earlier_link_stays_good(world: World) -> None:
    world.submit()
    first, second = a_ticket_of(world), a_ticket_of(world)
    assert first != second
    assert start(world, first).browser.ticket == first
    assert start(world, second).browser.ticket == second


@pytest.mark.parametrize("ticket", ["", "x", "x" * 10_000, "../etc/passwd", "\ud800" * 43, "\x00" * 43, "A" * 43])
def test_a_ticket_that_is_not_known(world: World, ticket: str) -> None:
    world.submit()
    assert refusal(world, ticket).code == "ticket_unknown"
    assert world.consents.requests == {}


def test_a_ticket_lives_for_seven_days(world: World) -> None:
    world.submit()
    ticket = a_ticket_of(world)
    world.now += timedelta(days=7, seconds=-1)
    start(world, ticket)
    world.advance(1)
    assert refusal(world, ticket).code == "ticket_expired"


@pytest.mark.parametrize("status", sorted(set(Status) - CONSENTABLE))
def test_a_credential_that_changed_since_the_link_was_made(world: World, status: Status) -> None:
    world.submit()
    ticket = a_ticket_of(world)
    world.registry.save(replace(world.credential(), status=status))
    assert refusal(world, ticket).code == "not_connectable"
    assert world.consents.requests == {}


def test_opening_a_link_consumes_nothing(world: World) -> None:
    world.submit()
    ticket = a_ticket_of(world)
    for _ in range(20):  # scanners and previews
        start(world, ticket)
    started = start(world, ticket)
    world.xero.codes.add("code")
    assert world.call_back(started.browser, state_of(started), code="code").tenants
    assert world.credential().status is Status.CONNECTED


def test_each_opening_has_a_state_of_its_own_and_only_its_hash_is_kept(world: World) -> None:
    world.submit()
    ticket = a_ticket_of(world)
    states = {state_of(start(world, ticket)) for _ in range(20)}
    assert len(states) == 20
    assert set(world.consents.requests) == {digest(state) for state in states}


def test_each_browser_has_a_binding_of_its_own(world: World) -> None:
    world.submit()
    ticket = a_ticket_of(world)
    one, two = start(world, ticket).browser, start(world, ticket).browser
    assert is_token(one.binding)
    assert one.binding != two.binding
    assert one.binding not in repr(world.consents.requests)


def test_a_second_tab_leaves_the_first_one_usable(world: World) -> None:
    world.submit()
    ticket = a_ticket_of(world)
    first = start(world, ticket)
    second = start(world, ticket, first.browser)
    assert second.browser == first.browser
    world.xero.codes.add("code")
    # The cookie was set again by the second tab: it still fits the first tab's request.
    assert world.call_back(second.browser, state_of(first), code="code").tenants


@pytest.mark.parametrize("binding", ["", "short", "x" * 1000, "\ud800" * 43])
def test_a_binding_that_is_not_one_of_ours_is_replaced(world: World, binding: str) -> None:
    world.submit()
    started = world.app.start_consent(a_ticket_of(world), binding=binding)
    assert is_token(started.browser.binding)


def test_xero_is_asked_for_the_credential_s_own_scopes(world: World) -> None:
    world.registry.create(a_credential(requested_scopes=("offline_access", "openid", "files")), replacing=None)
    assert "scope=offline_access%20openid%20files&" in start(world, a_ticket_of(world)).authorization_url


def test_a_link_of_an_earlier_life_stays_dead(world: World) -> None:
    world.submit()
    ticket = a_ticket_of(world)
    world.app.disconnect_credential(CLIENT_ID, by=ADMIN)
    assert refusal(world, ticket).code == "not_connectable"
    world.advance(60)
    world.submit()
    assert refusal(world, ticket).code == "ticket_expired"
    assert start(world, a_ticket_of(world)).authorization_url


def test_a_consent_that_was_begun_in_an_earlier_life_connects_nothing(world: World) -> None:
    world.submit()
    browser, state = world.open_link()
    world.app.disconnect_credential(CLIENT_ID, by=ADMIN)
    world.advance(60)
    world.submit()
    world.xero.codes.add("code")
    with pytest.raises(ConsentRefused) as refused:
        world.call_back(browser, state, code="code")
    assert refused.value.code == "not_connectable"
    assert world.xero.codes == {"code"}
