"""Token endpoint: unknown id, wrong / deleted / not yet saved secret, disabled app -> `invalid_client`."""

from collections.abc import Callable
from http import HTTPStatus

import pytest

from tests.acceptance.actors import Admin, Browser, Schedule
from tests.acceptance.apps import (
    NEW_SECRET,
    REFUSED_SECRET,
    UNKNOWN_ID,
    WRONG_SECRET,
    App,
    delete_secret,
    disable_apps,
    disabled,
    stranger,
    with_deleted_secret,
    with_wrong_secret,
)
from tests.acceptance.outages import FAULTS
from tests.acceptance.stored import assert_kept, assert_never_connected, assert_nothing_is_kept, published
from tests.fakes.simulated_world import SimulatedWorld
from xero_connector.domain.tokens import ClientPair


@pytest.mark.parametrize(
    ("app", "words", "redirect_uri"),
    [
        pytest.param(stranger, UNKNOWN_ID, "unknown", id="unknown id"),
        pytest.param(with_wrong_secret, WRONG_SECRET, "pass", id="wrong secret"),
        pytest.param(with_deleted_secret, WRONG_SECRET, "pass", id="deleted secret"),
        pytest.param(disabled, UNKNOWN_ID, "unknown", id="disabled app"),
    ],
)
def test_invalid_client_at_a_submission_keeps_nothing_and_tells_id_from_secret(
    world: SimulatedWorld, admin: Admin, app: App, words: tuple[str, str], redirect_uri: str
) -> None:
    told = admin.submit(app(world))
    assert told.outcome == (HTTPStatus.UNPROCESSABLE_ENTITY, "invalid_client")
    assert words[0] in told.content["detail"]
    assert words[1] in told.content["hint"]
    assert told.results == {"pair": "fail", "redirect_uri": redirect_uri, "scopes": redirect_uri}
    assert words[0] in told.check("pair")[1]
    assert_nothing_is_kept(world)


def test_invalid_client_for_a_secret_not_yet_saved_ends_when_it_is_saved(
    world: SimulatedWorld, admin: Admin
) -> None:
    pair = ClientPair(world.register().client_id, NEW_SECRET)
    told = admin.submit(pair)
    assert told.outcome == (HTTPStatus.UNPROCESSABLE_ENTITY, "invalid_client")
    assert "press Save" in told.words
    assert "a few minutes" in told.words
    assert_nothing_is_kept(world)
    world.simulator.identity_server.add_secret(*_fields(pair))
    assert admin.submit(pair).outcome == (HTTPStatus.CREATED, "validated")
    assert_kept(world, pair)


def _fields(pair: ClientPair) -> tuple[str, str]:
    return pair.client_id, pair.client_secret


def test_invalid_client_for_a_new_secret_leaves_the_old_one_in_force(
    world: SimulatedWorld, admin: Admin, connected: ClientPair
) -> None:
    before = world.credential(connected.client_id)
    told = admin.replace_secret(connected.client_id, REFUSED_SECRET)
    assert told.outcome == (HTTPStatus.UNPROCESSABLE_ENTITY, "invalid_client")
    assert "refuses the client secret" in told.words
    assert world.credential(connected.client_id) == before
    assert len(world.vault.versions[world.vault.client_secret_name(connected.client_id)]) == 1
    assert_kept(world, connected)


@pytest.mark.parametrize(
    ("app", "words"),
    [
        pytest.param(stranger, UNKNOWN_ID, id="unknown id"),
        pytest.param(with_wrong_secret, WRONG_SECRET, id="wrong secret"),
    ],
)
def test_invalid_client_for_a_pending_pair_rejects_it_once_that_is_sure(
    world: SimulatedWorld, admin: Admin, tick: Schedule, app: App, words: tuple[str, str]
) -> None:
    pair = app(world)
    world.break_down("token", FAULTS["500"].document)
    assert admin.submit(pair).outcome == (HTTPStatus.ACCEPTED, "pending_validation")
    assert_kept(world, pair)
    assert tick(pair.client_id) == {"pending_validation": 1}
    told = admin.look_up(pair.client_id)
    assert told.check("pair")[0] == "fail"
    while told.content["status"] == "pending_validation":
        tick(pair.client_id)
        told = admin.look_up(pair.client_id)
    assert told.outcome == (HTTPStatus.OK, "rejected")
    assert told.check("pair")[0] == "fail"
    assert told.content["last_error"]["code"] == "invalid_client"
    for sentence in words:
        assert sentence in told.content["last_error"]["detail"]
    assert world.vault.deleted == set()
    assert words[0] in admin.history(pair.client_id)[0]["detail"]
    assert admin.actions(pair.client_id) == ["rejected", "submitted"]
    assert published(world) == ["CredentialRejected"]


@pytest.mark.parametrize(
    ("end", "words"),
    [
        pytest.param(delete_secret, WRONG_SECRET[0], id="deleted secret"),
        pytest.param(lambda world, _: disable_apps(world), UNKNOWN_ID[0], id="disabled app"),
    ],
)
def test_invalid_client_at_a_validation_keeps_pair_and_tokens(
    world: SimulatedWorld,
    admin: Admin,
    connected: ClientPair,
    end: Callable[[SimulatedWorld, ClientPair], None],
    words: str,
) -> None:
    tokens = world.vault.current_tokens(connected.client_id)
    end(world, connected)
    told = admin.validate(connected.client_id)
    assert told.outcome == (HTTPStatus.OK, "client_rejected")
    assert told.check("pair")[0] == "fail"
    assert words in told.check("pair")[1]
    assert told.content["last_error"]["code"] == "invalid_client"
    assert_kept(world, connected)
    assert world.vault.current_tokens(connected.client_id) == tokens
    assert admin.actions(connected.client_id)[:2] == ["client_rejected", "validation_requested"]
    assert published(world)[-1] == "ClientRejected"


def test_invalid_client_at_a_consent_is_the_admin_s_to_heal_and_the_link_stays_good(
    world: SimulatedWorld, admin: Admin, browser: Browser
) -> None:
    pair = world.register()
    link = admin.submit(pair).content["connect_url"]
    location = browser.at_xero(browser.open(link))
    delete_secret(world, pair)
    page = browser.come_back(location)
    assert page.outcome == (HTTPStatus.BAD_REQUEST, "client_rejected")
    assert "administrator to enter a new client secret" in page.body
    assert_never_connected(world, pair.client_id, status="client_rejected")
    assert_kept(world, pair)
    told = admin.look_up(pair.client_id)
    assert told.content["last_error"]["code"] == "invalid_client"
    assert admin.actions(pair.client_id)[0] == "client_rejected"
    assert published(world) == ["CredentialValidated", "ClientRejected"]
    secret = world.control(f"apps/{pair.client_id}/secret")["client_secret"]
    assert admin.replace_secret(pair.client_id, secret).outcome == (HTTPStatus.OK, "validated")
    assert browser.go_through(link).status == HTTPStatus.OK


def test_invalid_client_at_a_refresh_keeps_the_grant_until_a_new_secret_comes(
    world: SimulatedWorld, admin: Admin, connected: ClientPair, tick: Schedule
) -> None:
    tokens = world.vault.current_tokens(connected.client_id)
    delete_secret(world, connected)
    assert tick(connected.client_id) == {"failed": 1}
    assert admin.look_up(connected.client_id).outcome == (HTTPStatus.OK, "client_rejected")
    told = admin.refresh(connected.client_id)
    assert told.outcome == (HTTPStatus.CONFLICT, "client_rejected")
    assert "refuses this client ID and client secret" in told.content["detail"]
    assert "Generate a client secret at Xero" in told.content["hint"]
    assert world.vault.current_tokens(connected.client_id) == tokens
    assert_kept(world, connected)
    secret = world.control(f"apps/{connected.client_id}/secret")["client_secret"]
    assert admin.replace_secret(connected.client_id, secret).outcome == (HTTPStatus.OK, "connected")
    assert_kept(world, ClientPair(connected.client_id, secret))
    assert world.vault.current_tokens(connected.client_id).generation == tokens.generation + 1
    assert published(world).count("ClientRejected") == 1


def test_invalid_client_for_a_custom_connection_keeps_its_pair(
    world: SimulatedWorld, admin: Admin, tick: Schedule
) -> None:
    pair = world.register("custom_connection")
    assert admin.submit(pair, integration_type="custom_connection").outcome == (HTTPStatus.CREATED, "connected")
    delete_secret(world, pair)
    assert tick(pair.client_id) == {"failed": 1}
    told = admin.look_up(pair.client_id)
    assert told.outcome == (HTTPStatus.OK, "client_rejected")
    assert told.content["last_error"]["code"] == "invalid_client"
    assert_kept(world, pair)
