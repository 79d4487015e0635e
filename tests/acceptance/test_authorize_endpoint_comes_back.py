"""Authorize endpoint: what comes straight back, a cancelled consent, the login page, and an outage."""

from http import HTTPStatus

import pytest

from tests.acceptance.actors import Admin, Browser
from tests.acceptance.apps import NOT_REGISTERED, SCOPES_BAD, SIGN_IN
from tests.acceptance.outages import Impatience, Outage, each_outage
from tests.acceptance.stored import assert_kept, assert_never_connected, assert_nothing_is_kept, phases, published
from tests.fakes.simulated_world import SimulatedWorld
from tests.fakes.world import ADMIN
from xero_connector.domain.checks import AuthorizeFinding
from xero_connector.domain.consent import RequestPhase
from xero_connector.domain.history import EVENTS, Action
from xero_connector.domain.tokens import ClientPair

# A scope not registered on a granular-scope app, or app.connections -> straight back to us


def test_a_scope_not_registered_on_a_granular_app_comes_straight_back(
    world: SimulatedWorld, admin: Admin, browser: Browser
) -> None:
    pair = world.register()
    told = admin.submit(pair, scopes=[*SIGN_IN, "accounting.contacts", NOT_REGISTERED])
    assert told.outcome == (HTTPStatus.CREATED, "validated")
    assert told.results == SCOPES_BAD
    assert NOT_REGISTERED in told.check("scopes")[1]
    asked = len(world.simulator.journal.entries)
    page = browser.go_through(told.content["connect_url"])
    # Before any login.
    assert [entry["path"] for entry in world.simulator.journal.entries[asked:]] == ["/identity/connect/authorize"]
    assert page.outcome == (HTTPStatus.BAD_REQUEST, "scopes_refused")
    assert "permissions" in page.body
    assert "Tell your administrator" in page.body
    assert_never_connected(world, pair.client_id)
    assert_kept(world, pair)
    assert phases(world) == [RequestPhase.FAILED]
    result, detail = admin.look_up(pair.client_id).check("scopes")
    assert result == "fail"
    assert "Xero's portal" in detail
    # What the submission could name is not forgotten for a sentence that says less.
    assert NOT_REGISTERED in detail
    assert admin.actions(pair.client_id)[0] == "scopes_refused"


def test_app_connections_is_refused_by_our_api_before_xero_hears_of_it(
    world: SimulatedWorld, admin: Admin
) -> None:
    told = admin.submit(world.register(), scopes=[*SIGN_IN, "app.connections"])
    assert told.outcome == (HTTPStatus.BAD_REQUEST, "forbidden_scope")
    assert "app.connections" in told.content["detail"]
    assert "Leave app.connections out" in told.content["hint"]
    assert world.simulator.journal.entries == []
    assert_nothing_is_kept(world)


@pytest.mark.parametrize("granular_scopes", [True, False], ids=["granular app", "older app"])
def test_app_connections_comes_straight_back_where_a_deployment_asks_for_it(
    world: SimulatedWorld, admin: Admin, browser: Browser, *, granular_scopes: bool
) -> None:
    scopes = (*SIGN_IN, "accounting.contacts", "app.connections")
    pair = world.register(granular_scopes=granular_scopes)
    found = world.ports.authorize.probe(pair.client_id, scopes=scopes, try_other_case=False)
    assert found is AuthorizeFinding.SCOPE_NOT_ALLOWED
    world.deploy(scopes=scopes)
    told = admin.submit(pair)
    assert told.results == SCOPES_BAD
    assert "app.connections" in told.check("scopes")[1]
    page = browser.go_through(told.content["connect_url"])
    assert page.outcome == (HTTPStatus.BAD_REQUEST, "scopes_refused")
    assert_never_connected(world, pair.client_id)
    assert admin.actions(pair.client_id)[0] == "scopes_refused"


# The user presses Cancel -> error=access_denied


def test_cancel_stores_nothing_and_the_link_stays_good(
    world: SimulatedWorld, admin: Admin, browser: Browser
) -> None:
    pair = world.register()
    link = admin.submit(pair).content["connect_url"]
    before, history = world.credential(pair.client_id), admin.history(pair.client_id)
    page = browser.go_through(link, decision="deny")
    assert page.outcome == (HTTPStatus.BAD_REQUEST, "consent_denied")
    assert "nothing was connected" in page.body
    assert "Allow access" in page.body
    assert page.offers_another_try
    assert_never_connected(world, pair.client_id)
    assert_kept(world, pair)
    assert world.credential(pair.client_id) == before
    assert admin.history(pair.client_id) == history
    assert phases(world) == [RequestPhase.FAILED]
    assert published(world) == ["CredentialValidated"]
    assert browser.go_through(link).status == HTTPStatus.OK


def test_cancel_at_a_further_consent_leaves_the_connection_as_it_was(
    world: SimulatedWorld, admin: Admin, browser: Browser, connected: ClientPair
) -> None:
    tokens = world.vault.current_tokens(connected.client_id)
    link = admin.connect_link(connected.client_id)
    before = world.credential(connected.client_id)
    page = browser.go_through(link, decision="deny")
    assert page.outcome == (HTTPStatus.BAD_REQUEST, "consent_denied")
    assert world.credential(connected.client_id) == before
    assert world.vault.current_tokens(connected.client_id) == tokens
    assert admin.refresh(connected.client_id).outcome == (HTTPStatus.OK, "connected")


# All is well and no user is logged in -> the login page


def test_the_login_page_proves_redirect_uri_and_scopes_and_leads_to_a_connection(
    world: SimulatedWorld, admin: Admin, browser: Browser
) -> None:
    pair = world.register()
    told = admin.submit(pair)
    assert told.outcome == (HTTPStatus.CREATED, "validated")
    assert told.results == {"pair": "pass", "redirect_uri": "pass", "scopes": "pass"}
    assert_kept(world, pair)
    page = browser.go_through(told.content["connect_url"])
    assert page.status == HTTPStatus.OK
    assert "/identity/user/login" in [entry["path"] for entry in world.simulator.journal.entries]
    for organisation in ("Demo Company (UK)", "Electro Land"):
        assert organisation in page.body
    assert admin.look_up(pair.client_id).outcome == (HTTPStatus.OK, "connected")
    tokens = world.vault.current_tokens(pair.client_id)
    assert tokens.token.refresh_token
    assert {tenant.tenant_name for tenant in tokens.tenants} == {"Demo Company (UK)", "Electro Land"}
    for secret in (tokens.token.access_token, world.refresh_token(pair.client_id)):
        assert secret not in page.body
    assert admin.actions(pair.client_id) == ["connected", "connect_link_created", "validated", "submitted"]
    assert published(world) == [EVENTS[Action.VALIDATED], EVENTS[Action.CONNECTED]]
    assert world.credential(pair.client_id).created_by == ADMIN


# Anything else -> inconclusive


@each_outage
def test_an_outage_of_the_authorize_endpoint_takes_no_pair_away(
    world: SimulatedWorld, admin: Admin, browser: Browser, impatience: Impatience, outage: Outage
) -> None:
    pair = world.register()
    impatience(outage)
    world.break_down("authorize", outage.document)
    told = admin.submit(pair)
    assert told.outcome == (HTTPStatus.CREATED, "validated")
    assert told.results == {"pair": "pass", "redirect_uri": "unknown", "scopes": "unknown"}
    assert "no definite answer" in told.check("redirect_uri")[1]
    assert_kept(world, pair)
    world.deploy()
    assert browser.go_through(told.content["connect_url"]).status == HTTPStatus.OK
    assert set(admin.look_up(pair.client_id).results.values()) == {"pass"}
