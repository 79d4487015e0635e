"""Token endpoint: a code, a PKCE verifier or a refresh token that Xero does not take -> `invalid_grant`."""

from collections.abc import Callable
from datetime import timedelta
from http import HTTPStatus

import pytest

from tests.acceptance.actors import Admin, Browser, Page, Schedule, changed, code_of
from tests.acceptance.stored import assert_kept, assert_never_connected, phases, published
from tests.fakes.simulated_world import SimulatedWorld
from xero_connector.domain.consent import RequestPhase
from xero_connector.domain.tokens import ClientPair

# Bogus, expired, reused, wrong-case code -> invalid_grant


def bogus(_: SimulatedWorld, location: str) -> str:
    return changed(location, code="nobody-gave-out-this-code")


def expired(world: SimulatedWorld, location: str) -> str:
    world.advance(5 * 60 + 1)
    return location


def in_wrong_case(_: SimulatedWorld, location: str) -> str:
    return changed(location, code=code_of(location).swapcase())


def assert_code_refused(page: Page) -> None:
    assert page.outcome == (HTTPStatus.BAD_REQUEST, "code_refused")
    assert "no longer accepts this consent" in page.body
    assert "Start again." in page.body
    assert page.offers_another_try


@pytest.mark.parametrize(
    "spoiled",
    [
        pytest.param(bogus, id="bogus code"),
        pytest.param(expired, id="expired code"),
        pytest.param(in_wrong_case, id="wrong-case code"),
    ],
)
def test_invalid_grant_for_a_code_stores_nothing_and_the_link_stays_good(
    world: SimulatedWorld, admin: Admin, browser: Browser, spoiled: Callable[[SimulatedWorld, str], str]
) -> None:
    pair = world.register()
    link = admin.submit(pair).content["connect_url"]
    history = admin.history(pair.client_id)
    location = spoiled(world, browser.at_xero(browser.open(link)))
    assert_code_refused(browser.come_back(location))
    assert_never_connected(world, pair.client_id)
    assert_kept(world, pair)
    assert world.credential(pair.client_id).last_error is None
    assert phases(world) == [RequestPhase.FAILED]
    assert admin.history(pair.client_id) == history
    assert published(world) == ["CredentialValidated"]
    assert_code_refused(browser.come_back(location))
    assert browser.go_through(link).status == HTTPStatus.OK
    assert admin.look_up(pair.client_id).outcome == (HTTPStatus.OK, "connected")


def test_a_code_of_exactly_five_minutes_is_still_good(
    world: SimulatedWorld, admin: Admin, browser: Browser
) -> None:
    location = browser.at_xero(browser.open(admin.submit(world.register()).content["connect_url"]))
    world.advance(5 * 60)
    assert browser.come_back(location).status == HTTPStatus.OK


def test_invalid_grant_for_a_reused_code_leaves_the_grant_of_its_first_use(
    world: SimulatedWorld, admin: Admin, browser: Browser
) -> None:
    pair = world.register()
    link = admin.submit(pair).content["connect_url"]
    first = browser.at_xero(browser.open(link))
    second = browser.at_xero(browser.open(link))
    assert browser.come_back(first).status == HTTPStatus.OK
    before = world.credential(pair.client_id)
    tokens = world.vault.current_tokens(pair.client_id)
    assert_code_refused(browser.come_back(changed(second, code=code_of(first))))
    after = world.credential(pair.client_id)
    assert (after.status, after.generation, after.due_at) == ("connected", before.generation, before.due_at)
    assert (after.lease, after.attempt_started_at, after.last_error) == (None, None, None)
    assert world.vault.current_tokens(pair.client_id) == tokens
    assert sorted(phases(world)) == [RequestPhase.COMPLETED, RequestPhase.FAILED]
    assert admin.refresh(pair.client_id).outcome == (HTTPStatus.OK, "connected")


# PKCE verifier missing or wrong -> invalid_grant


def test_a_wrong_pkce_verifier_stores_nothing(world: SimulatedWorld, admin: Admin, browser: Browser) -> None:
    pair = world.register()
    link = admin.submit(pair).content["connect_url"]
    # Two tabs of one browser: each state has a verifier of its own.
    one, other = (browser.at_xero(browser.open(link)) for _ in range(2))
    assert_code_refused(browser.come_back(changed(one, code=code_of(other))))
    assert_never_connected(world, pair.client_id)
    # The code went to Xero with the wrong verifier, and is burnt.
    assert_code_refused(browser.come_back(other))
    assert_never_connected(world, pair.client_id)
    assert_kept(world, pair)
    assert browser.go_through(link).status == HTTPStatus.OK


@pytest.mark.parametrize(
    ("asked_with", "exchanged_with"),
    [
        pytest.param(True, False, id="PKCE verifier missing"),
        pytest.param(False, True, id="a verifier without a challenge"),
    ],
)
def test_a_pkce_switch_in_the_middle_of_a_consent_costs_that_consent_only(
    world: SimulatedWorld, admin: Admin, browser: Browser, *, asked_with: bool, exchanged_with: bool
) -> None:
    pair = world.register()
    world.deploy(pkce=asked_with)
    link = admin.submit(pair).content["connect_url"]
    location = browser.at_xero(browser.open(link))
    world.deploy(pkce=exchanged_with)
    assert_code_refused(browser.come_back(location))
    assert_never_connected(world, pair.client_id)
    assert_kept(world, pair)
    assert browser.go_through(link).status == HTTPStatus.OK


# Reused past the grace, expired or revoked refresh token -> invalid_grant


def present_elsewhere(world: SimulatedWorld, pair: ClientPair) -> None:
    """Another program with the same tokens refreshes them."""
    form = {"grant_type": "refresh_token", "refresh_token": world.refresh_token(pair.client_id)}
    assert world.ask_xero(pair, data=form).ok


def reused_past_the_grace(world: SimulatedWorld, pair: ClientPair) -> None:
    present_elsewhere(world, pair)
    world.advance(30 * 60 + 1)


def expired_after_60_days(world: SimulatedWorld, _: ClientPair) -> None:
    world.advance(timedelta(days=60).total_seconds() + 1)


def revoked(world: SimulatedWorld, pair: ClientPair) -> None:
    assert world.ask_xero(pair, "revocation", data={"token": world.refresh_token(pair.client_id)}).ok


@pytest.mark.parametrize(
    "end",
    [
        pytest.param(reused_past_the_grace, id="reused past the grace"),
        pytest.param(expired_after_60_days, id="expired"),
        pytest.param(revoked, id="revoked"),
    ],
)
def test_invalid_grant_for_a_refresh_token_asks_for_a_new_consent_the_second_time(
    world: SimulatedWorld,
    admin: Admin,
    browser: Browser,
    tick: Schedule,
    connected: ClientPair,
    *,
    end: Callable[[SimulatedWorld, ClientPair], None],
) -> None:
    client_id = connected.client_id
    tokens = world.vault.current_tokens(client_id)
    end(world, connected)
    assert tick(client_id) == {"failed": 1}
    told = admin.look_up(client_id)
    assert told.outcome == (HTTPStatus.OK, "degraded")
    assert told.content["last_error"]["code"] == "invalid_grant"
    assert "ReauthorizationRequired" not in published(world)
    told = admin.refresh(client_id)
    assert told.outcome == (HTTPStatus.CONFLICT, "reauthorization_required")
    assert "no longer accepts this grant" in told.content["detail"]
    assert "connect link" in told.content["hint"]
    told = admin.look_up(client_id)
    assert told.outcome == (HTTPStatus.OK, "reauthorization_required")
    assert (told.content["last_error"]["code"], told.content["next_refresh_at"]) == ("invalid_grant", None)
    assert_kept(world, connected)
    assert world.vault.current_tokens(client_id) == tokens
    assert world.vault.tokens_secret_name(client_id) not in world.vault.deleted
    trail = admin.history(client_id)
    assert [entry["action"] for entry in trail[:3]] == [
        "reauthorization_required",
        "refresh_requested",
        "degraded",
    ]
    assert trail[0]["detail"] == "Xero no longer accepts this grant."
    event = world.event_bus.published[-1]
    assert event.event_type == "ReauthorizationRequired"
    # Only a new consent helps, and the event brings the link to it.
    assert browser.go_through(event.detail["connect_url"]).status == HTTPStatus.OK
    assert admin.look_up(client_id).outcome == (HTTPStatus.OK, "connected")
    assert world.vault.current_tokens(client_id).generation == tokens.generation + 1


def test_the_first_invalid_grant_an_admin_meets_is_no_verdict(
    world: SimulatedWorld, admin: Admin, connected: ClientPair, tick: Schedule
) -> None:
    revoked(world, connected)
    told = admin.refresh(connected.client_id)
    assert told.outcome == (HTTPStatus.SERVICE_UNAVAILABLE, "invalid_grant")
    assert admin.look_up(connected.client_id).outcome == (HTTPStatus.OK, "degraded")
    assert tick(connected.client_id) == {"failed": 1}
    assert admin.look_up(connected.client_id).outcome == (HTTPStatus.OK, "reauthorization_required")


def test_a_refresh_token_reused_within_the_grace_goes_on(
    world: SimulatedWorld, admin: Admin, connected: ClientPair
) -> None:
    present_elsewhere(world, connected)
    world.advance(30 * 60)
    assert admin.refresh(connected.client_id).outcome == (HTTPStatus.OK, "connected")
