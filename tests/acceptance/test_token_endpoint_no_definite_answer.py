"""Token endpoint: 403 with an HTML page; 408, 429, 5xx, timeout, HTML -> inconclusive, never "bad credentials"."""

from datetime import timedelta
from http import HTTPStatus

import pytest

from tests.acceptance.actors import Admin, Browser, Schedule
from tests.acceptance.outages import FAULTS, Impatience, Outage, each_outage
from tests.acceptance.stored import assert_kept, assert_never_connected, phases, published
from tests.fakes.simulated_world import SimulatedWorld
from xero_connector.domain.consent import RequestPhase
from xero_connector.domain.tokens import ClientPair


@pytest.mark.parametrize("after", [0, 1], ids=["the pair", "the negative control"])
@each_outage
def test_an_outage_at_a_submission_keeps_the_pair_safe_and_proves_it_later(
    world: SimulatedWorld, admin: Admin, tick: Schedule, impatience: Impatience, *, outage: Outage, after: int
) -> None:
    pair = world.register()
    impatience(outage)
    world.break_down("token", outage.document, after=after)
    told = admin.submit(pair)
    assert told.outcome == (HTTPStatus.ACCEPTED, "pending_validation")
    assert told.content["connect_url"] is None
    result, detail = told.check("pair")
    assert result == "unknown"
    assert outage.words in detail
    assert "has been stored and will be proven again" in detail
    assert_kept(world, pair)
    assert_never_connected(world, pair.client_id, status="pending_validation")
    assert admin.actions(pair.client_id) == ["submitted"]
    assert published(world) == []
    world.deploy()
    assert tick(pair.client_id) == {"validated": 1}
    told = admin.look_up(pair.client_id)
    assert told.outcome == (HTTPStatus.OK, "validated")
    assert told.results == {"pair": "pass", "redirect_uri": "pass", "scopes": "pass"}
    assert_kept(world, pair)
    assert published(world) == ["CredentialValidated"]


@each_outage
def test_an_outage_while_a_pair_is_pending_does_not_end_it(
    world: SimulatedWorld, admin: Admin, tick: Schedule, impatience: Impatience, outage: Outage
) -> None:
    pair = world.register()
    impatience(outage)
    world.break_down("token", FAULTS["500"].document)
    admin.submit(pair)
    world.break_down("token", outage.document)
    assert tick(pair.client_id) == {"pending_validation": 1}
    told = admin.look_up(pair.client_id)
    assert told.outcome == (HTTPStatus.OK, "pending_validation")
    assert outage.words in told.content["last_error"]["detail"]
    assert_kept(world, pair)
    world.deploy()
    assert tick(pair.client_id) == {"validated": 1}
    assert admin.look_up(pair.client_id).content["last_error"] is None


@each_outage
def test_an_outage_at_a_new_secret_leaves_everything_as_it_was(
    world: SimulatedWorld, admin: Admin, connected: ClientPair, impatience: Impatience, outage: Outage
) -> None:
    before = world.credential(connected.client_id)
    secret = world.control(f"apps/{connected.client_id}/secret")["client_secret"]
    impatience(outage)
    world.break_down("token", outage.document)
    told = admin.replace_secret(connected.client_id, secret)
    assert told.outcome == (HTTPStatus.SERVICE_UNAVAILABLE, "xero_unavailable")
    assert "the old one stays in force" in told.content["detail"]
    assert "send it again" in told.content["hint"]
    assert world.credential(connected.client_id) == before
    assert len(world.vault.versions[world.vault.client_secret_name(connected.client_id)]) == 1
    assert_kept(world, connected)


@each_outage
def test_an_outage_at_a_validation_changes_no_status(
    world: SimulatedWorld, admin: Admin, connected: ClientPair, impatience: Impatience, outage: Outage
) -> None:
    tokens = world.vault.current_tokens(connected.client_id)
    impatience(outage)
    world.break_down("token", outage.document)
    told = admin.validate(connected.client_id)
    assert told.outcome == (HTTPStatus.OK, "connected")
    assert told.content["last_error"] is None
    assert told.results == {"pair": "unknown", "redirect_uri": "pass", "scopes": "pass"}
    assert outage.words in told.check("pair")[1]
    assert_kept(world, connected)
    assert world.vault.current_tokens(connected.client_id) == tokens


@each_outage
def test_an_outage_at_a_consent_says_so_and_the_link_stays_good(
    world: SimulatedWorld, admin: Admin, browser: Browser, impatience: Impatience, outage: Outage
) -> None:
    pair = world.register()
    link = admin.submit(pair).content["connect_url"]
    location = browser.at_xero(browser.open(link))
    impatience(outage)
    world.break_down("token", outage.document)
    page = browser.come_back(location)
    throttled = outage.document.get("status") == HTTPStatus.TOO_MANY_REQUESTS
    if throttled:
        # The code is certainly not used up: the same page may be loaded again.
        assert page.outcome == (HTTPStatus.SERVICE_UNAVAILABLE, "throttled")
        assert "reload this page" in page.body
    else:
        assert page.outcome == (HTTPStatus.SERVICE_UNAVAILABLE, "xero_unavailable")
        assert "gave no definite answer" in page.body
        assert "Start again in a few minutes." in page.body
        assert page.offers_another_try
    assert_never_connected(world, pair.client_id)
    assert_kept(world, pair)
    assert phases(world) == [RequestPhase.OPEN if throttled else RequestPhase.FAILED]
    world.deploy()
    assert browser.go_through(link).status == HTTPStatus.OK
    assert admin.look_up(pair.client_id).outcome == (HTTPStatus.OK, "connected")


@each_outage
def test_an_outage_at_a_refresh_degrades_and_passes(
    world: SimulatedWorld,
    admin: Admin,
    connected: ClientPair,
    tick: Schedule,
    impatience: Impatience,
    *,
    outage: Outage,
) -> None:
    client_id = connected.client_id
    tokens = world.vault.current_tokens(client_id)
    impatience(outage)
    world.break_down("token", outage.document)
    assert tick(client_id) == {"failed": 1}
    told = admin.look_up(client_id)
    assert told.outcome == (HTTPStatus.OK, "degraded")
    assert told.content["last_error"]["code"] == outage.code
    assert outage.words in told.content["last_error"]["detail"]
    assert tokens.token_expires_at > world.now
    world.break_down("token", outage.document)
    told = admin.refresh(client_id)
    assert told.outcome == (HTTPStatus.SERVICE_UNAVAILABLE, outage.code)
    assert outage.words in told.content["detail"]
    assert "The grant is safe" in told.content["hint"]
    assert world.vault.current_tokens(client_id) == tokens
    assert_kept(world, connected)
    world.deploy()
    # Once the weather is fine again, the refresh token that is stored is presented, and still good.
    assert tick(client_id) == {"refreshed": 1}
    told = admin.look_up(client_id)
    assert (told.outcome, told.content["last_error"]) == ((HTTPStatus.OK, "connected"), None)
    assert world.vault.current_tokens(client_id).generation == tokens.generation + 1
    assert admin.actions(client_id)[:3] == ["recovered", "refresh_requested", "degraded"]
    assert not {"ClientRejected", "ReauthorizationRequired"} & set(published(world))


@pytest.mark.parametrize("status", ["429", "503"])
def test_the_pause_that_xero_asks_for_is_kept(
    world: SimulatedWorld, connected: ClientPair, tick: Schedule, status: str
) -> None:
    world.break_down("token", FAULTS[status].document)
    tick(connected.client_id)
    due_at = world.credential(connected.client_id).due_at
    assert due_at is not None
    assert due_at - world.now >= timedelta(seconds=120)


@each_outage
def test_an_outage_at_a_custom_connection_s_first_tokens_keeps_the_pair(
    world: SimulatedWorld, admin: Admin, tick: Schedule, impatience: Impatience, outage: Outage
) -> None:
    pair = world.register("custom_connection")
    impatience(outage)
    world.break_down("token", outage.document, after=1)
    told = admin.submit(pair, integration_type="custom_connection")
    assert told.outcome == (HTTPStatus.CREATED, "validated")
    assert told.content["last_error"]["code"] == outage.code
    assert told.results["pair"] == "pass"
    assert_kept(world, pair)
    assert world.vault.tokens_secret_name(pair.client_id) not in world.vault.versions
    world.deploy()
    assert tick(pair.client_id) == {"refreshed": 1}
    assert admin.look_up(pair.client_id).outcome == (HTTPStatus.OK, "connected")
