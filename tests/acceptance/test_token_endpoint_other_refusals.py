"""Token endpoint: `unauthorized_client`, `unsupported_grant_type` and `invalid_scope`."""

from http import HTTPStatus

import pytest

from local.xero_simulator.apps import DEFAULT_REDIRECT_URI
from tests.acceptance.actors import Admin, Browser, Json, Schedule, code_of
from tests.acceptance.apps import NOT_REGISTERED
from tests.acceptance.stored import assert_kept, assert_never_connected, assert_nothing_is_kept, phases
from tests.fakes.simulated_world import SimulatedWorld
from xero_connector.domain.consent import RequestPhase
from xero_connector.domain.token_endpoint import INCONCLUSIVE, FailureKind, classify

# The redirect_uri differs from the authorize call -> unauthorized_client, and the code is burnt


def test_a_redirect_uri_that_differs_from_the_authorize_call_burns_the_code_and_is_noted(
    world: SimulatedWorld, admin: Admin, browser: Browser
) -> None:
    pair = world.register()
    link = admin.submit(pair).content["connect_url"]
    location = browser.at_xero(browser.open(link))
    # One string serves both calls: they can only differ where a deployment came in between.
    other = DEFAULT_REDIRECT_URI.replace("cloudmanager", "CloudManager")
    world.deploy(redirect_uri=other)
    page = browser.come_back(location)
    assert page.outcome == (HTTPStatus.BAD_REQUEST, "redirect_uri_refused")
    assert "the redirect URI of the Xero app differs" in page.body
    assert_never_connected(world, pair.client_id)
    assert_kept(world, pair)
    result, detail = admin.look_up(pair.client_id).check("redirect_uri")
    assert result == "fail"
    assert other in detail
    assert phases(world) == [RequestPhase.FAILED]
    with_the_right_one = {
        "grant_type": "authorization_code",
        "code": code_of(location),
        "redirect_uri": DEFAULT_REDIRECT_URI,
    }
    assert world.ask_xero(pair, data=with_the_right_one).json() == {"error": "invalid_grant"}
    world.deploy()
    assert browser.go_through(link).status == HTTPStatus.OK
    assert admin.look_up(pair.client_id).check("redirect_uri")[0] == "pass"


# No or unknown grant_type, or a JSON body -> unsupported_grant_type


@pytest.mark.parametrize(
    "request_body",
    [
        pytest.param({"data": {"code": "c"}}, id="no grant_type"),
        pytest.param({"data": {"grant_type": "implicit"}}, id="unknown grant_type"),
        pytest.param({"json": {"grant_type": "authorization_code", "code": "c"}}, id="JSON body"),
    ],
)
def test_unsupported_grant_type_says_nothing_about_a_pair(world: SimulatedWorld, request_body: Json) -> None:
    answer = world.ask_xero(world.register(), **request_body)
    assert (answer.status_code, answer.json()) == (HTTPStatus.BAD_REQUEST, {"error": "unsupported_grant_type"})
    kind = classify(answer.status_code, answer.json()["error"])
    assert kind is FailureKind.UNEXPECTED
    assert kind in INCONCLUSIVE


# A grant not allowed for the app -> unauthorized_client


def test_a_grant_not_allowed_for_a_custom_connection_submitted_as_a_web_app(
    world: SimulatedWorld, admin: Admin
) -> None:
    told = admin.submit(world.register("custom_connection"))
    assert told.outcome == (HTTPStatus.UNPROCESSABLE_ENTITY, "custom_connection")
    assert "cannot take a user through consent" in told.content["detail"]
    assert "integration_type custom_connection" in told.content["hint"]
    assert told.results["pair"] == "fail"
    assert_nothing_is_kept(world)


def test_a_grant_not_allowed_proves_a_custom_connection_that_says_so(world: SimulatedWorld, admin: Admin) -> None:
    pair = world.register("custom_connection")
    told = admin.submit(pair, integration_type="custom_connection")
    assert told.outcome == (HTTPStatus.CREATED, "connected")
    assert told.results == {"pair": "pass", "redirect_uri": "unknown", "scopes": "pass"}
    assert told.content["connect_url"] is None
    assert_kept(world, pair)
    assert world.vault.current_tokens(pair.client_id).token.refresh_token is None


def test_a_web_app_submitted_as_a_custom_connection_is_told_without_asking_for_its_grant(
    world: SimulatedWorld, admin: Admin
) -> None:
    pair = world.register()
    told = admin.submit(pair, integration_type="custom_connection")
    assert told.outcome == (HTTPStatus.UNPROCESSABLE_ENTITY, "web_app")
    assert "integration_type web_app" in told.content["hint"]
    assert_nothing_is_kept(world)
    answer = world.ask_xero(pair, data={"grant_type": "client_credentials"})
    kind = classify(answer.status_code, answer.json()["error"])
    assert kind is FailureKind.UNAUTHORIZED_CLIENT


@pytest.mark.parametrize("integration_type", ["web_app", "custom_connection"])
def test_a_mobile_app_whose_secret_is_not_checked_is_refused(
    world: SimulatedWorld, admin: Admin, integration_type: str
) -> None:
    told = admin.submit(world.register("mobile_app"), integration_type=integration_type)
    assert told.outcome == (HTTPStatus.UNPROCESSABLE_ENTITY, "mobile_app")
    assert "does not check its secret" in told.content["detail"]
    assert "Web app" in told.content["hint"]
    assert_nothing_is_kept(world)


# A client_credentials request with a scope not granted -> invalid_scope


@pytest.mark.parametrize("scope", [NOT_REGISTERED, "accounting.everything"])
def test_a_custom_connection_with_a_scope_not_granted_works_with_those_it_has(
    world: SimulatedWorld, admin: Admin, tick: Schedule, scope: str
) -> None:
    pair = world.register("custom_connection", scopes=["accounting.contacts", "accounting.settings"])
    told = admin.submit(pair, integration_type="custom_connection", scopes=["accounting.contacts", scope])
    assert told.outcome == (HTTPStatus.CREATED, "connected")
    result, detail = told.check("scopes")
    assert result == "fail"
    assert detail.startswith(f"Xero did not grant: {scope}. ")
    assert told.content["scopes"] == ["accounting.contacts", "accounting.settings"]
    assert_kept(world, pair)
    tokens = world.vault.current_tokens(pair.client_id)
    assert set(tokens.token.scopes) == {"accounting.contacts", "accounting.settings"}
    assert admin.actions(pair.client_id) == ["connected", "validated", "submitted"]
    assert tick(pair.client_id) == {"refreshed": 1}
    assert admin.look_up(pair.client_id).check("scopes")[0] == "fail"
