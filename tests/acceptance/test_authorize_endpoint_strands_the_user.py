"""Authorize endpoint: what strands the user on Xero's own page, and the admin is told first."""

from http import HTTPStatus

import pytest

from local.xero_simulator.apps import DEFAULT_REDIRECT_URI
from local.xero_simulator.user import StrandedError
from tests.acceptance.actors import Admin, Browser
from tests.acceptance.apps import REDIRECT_URI_BAD, SIGN_IN, STRANDED, UNKNOWN_ID, Stranded, disable_apps
from tests.acceptance.stored import assert_kept, assert_never_connected, phases
from tests.fakes.simulated_world import SimulatedWorld
from xero_connector.domain.consent import RequestPhase


@pytest.mark.parametrize("row", STRANDED.values(), ids=STRANDED.keys())
def test_what_would_strand_a_user_is_told_to_the_admin_first(
    world: SimulatedWorld, admin: Admin, browser: Browser, row: Stranded
) -> None:
    pair = world.register(**row.options)
    told = admin.submit(pair, **({} if row.scopes is None else {"scopes": row.scopes}))
    assert told.outcome == (HTTPStatus.CREATED, "validated")
    for answer in (told, admin.look_up(pair.client_id), admin.validate(pair.client_id)):
        assert answer.results == row.results
        for words in row.words:
            assert words in answer.check(row.check)[1]
    with pytest.raises(StrandedError, match=row.page):
        browser.at_xero(browser.open(told.content["connect_url"]))
    # Xero never calls back.
    assert phases(world) == [RequestPhase.OPEN]
    assert_never_connected(world, pair.client_id)
    assert_kept(world, pair)
    assert {
        name: str(check.result) for name, check in world.credential(pair.client_id).checks.items()
    } == row.results
    assert world.event_bus.published[0].detail["checks"][row.check]["result"] == "fail"


def test_a_client_id_that_became_unknown_strands_the_user_and_is_found_by_a_validation(
    world: SimulatedWorld, admin: Admin, browser: Browser
) -> None:
    pair = world.register()
    link = admin.submit(pair).content["connect_url"]
    disable_apps(world)
    with pytest.raises(StrandedError, match="unauthorized_client : Unknown client or client not enabled"):
        browser.at_xero(browser.open(link))
    assert_never_connected(world, pair.client_id)
    told = admin.validate(pair.client_id)
    assert told.outcome == (HTTPStatus.OK, "client_rejected")
    assert UNKNOWN_ID[0] in told.check("pair")[1]
    assert told.results["pair"] == "fail"
    assert_kept(world, pair)


@pytest.mark.parametrize(
    "redirect_uri",
    [
        pytest.param(f"{DEFAULT_REDIRECT_URI}/", id="a slash"),
        pytest.param(DEFAULT_REDIRECT_URI.replace("https://", "http://localhost:80/?"), id="another scheme"),
        pytest.param(f"{DEFAULT_REDIRECT_URI}?region=eu", id="a query"),
    ],
)
def test_a_redirect_uri_that_differs_by_little_is_not_registered_either(
    world: SimulatedWorld, admin: Admin, redirect_uri: str
) -> None:
    told = admin.submit(world.register(redirect_uris=[redirect_uri]))
    assert told.results == REDIRECT_URI_BAD
    assert DEFAULT_REDIRECT_URI in told.check("redirect_uri")[1]


def test_a_redirect_uri_that_differs_in_case_only_is_named_by_a_validation(
    world: SimulatedWorld, admin: Admin, browser: Browser
) -> None:
    pair = world.register(redirect_uris=[DEFAULT_REDIRECT_URI.lower()], case_sensitive_redirect_uris=True)
    told = admin.submit(pair)
    assert told.outcome == (HTTPStatus.CREATED, "validated")
    assert told.results == REDIRECT_URI_BAD
    assert "capital and small letters matter" in told.check("redirect_uri")[1]
    with pytest.raises(StrandedError, match="Invalid redirect_uri"):
        browser.at_xero(browser.open(told.content["connect_url"]))
    told = admin.validate(pair.client_id)
    assert told.outcome == (HTTPStatus.OK, "validated")
    result, detail = told.check("redirect_uri")
    assert result == "fail"
    assert "differs only in capital and small letters" in detail
    assert DEFAULT_REDIRECT_URI in detail
    assert_never_connected(world, pair.client_id)


def test_a_redirect_uri_that_differs_in_case_only_is_good_where_xero_does_not_mind(
    world: SimulatedWorld, admin: Admin, browser: Browser
) -> None:
    told = admin.submit(world.register(redirect_uris=[DEFAULT_REDIRECT_URI.lower()]))
    assert told.results == {"pair": "pass", "redirect_uri": "pass", "scopes": "pass"}
    assert browser.go_through(told.content["connect_url"]).status == HTTPStatus.OK


def test_a_retired_scope_is_good_on_an_older_app_that_has_it(
    world: SimulatedWorld, admin: Admin, browser: Browser
) -> None:
    pair = world.register(granular_scopes=False, scopes=["accounting.transactions"])
    told = admin.submit(pair, scopes=[*SIGN_IN, "accounting.transactions"])
    assert told.results["scopes"] == "pass"
    assert browser.go_through(told.content["connect_url"]).status == HTTPStatus.OK
    assert "accounting.transactions" in world.credential(pair.client_id).granted_scopes
