"""What a consent leaves at Xero that did not become the grant: a disconnect ends it, or says that it could not."""

from dataclasses import replace
from typing import Any

import pytest

from tests.fakes.interruptions import ProcessDied, die, step_in
from tests.fakes.world import ADMIN, CLIENT_ID, World
from xero_connector.domain.credential import Credential
from xero_connector.domain.ending import GRANT_NOT_CONFIRMED
from xero_connector.domain.errors import ConsentRefused
from xero_connector.domain.history import Action
from xero_connector.domain.status import Status
from xero_connector.domain.token_endpoint import FailureKind
from xero_connector.domain.tokens import TokenAnswer

REFUSED_ID_TOKENS = ["id_token_malformed", "invalid_claim", "keys_unavailable"]


@pytest.fixture
def world() -> World:
    world = World()
    world.submit()
    return world


def refused(world: World) -> ConsentRefused:
    browser, state = world.open_link()
    world.xero.codes.add("code")
    with pytest.raises(ConsentRefused) as caught:
        world.call_back(browser, state, code="code")
    return caught.value


def disconnected(world: World) -> Credential:
    credential = world.app.disconnect_credential(CLIENT_ID, by=ADMIN)
    for _ in range(60):
        if credential.status is not Status.DISCONNECTING:
            break
        world.sweep_when_due()
        credential = world.credential()
    assert credential.status is Status.DISCONNECTED
    return credential


@pytest.mark.parametrize("code", REFUSED_ID_TOKENS)
@pytest.mark.parametrize("connected", [False, True], ids=["first consent", "consent again"])
def test_a_grant_whose_id_token_is_refused_is_ended(world: World, code: str, *, connected: bool) -> None:
    if connected:
        world.consent()
    world.xero.id_token_code = code
    world.xero.user = "stranger"
    assert refused(world).code == "id_token_refused"
    strange = f"refresh-{2 if connected else 1}"
    credential = disconnected(world)
    assert strange in world.xero.dead
    assert credential.last_error is None
    assert strange not in str(world.registry.rows)


def test_a_grant_without_a_refresh_token_is_told(world: World) -> None:
    exchange = world.xero.exchange_code

    def exchanged(*args: Any, **kwargs: Any) -> TokenAnswer:  # noqa: ANN401 - handed on
        answer = exchange(*args, **kwargs)
        return replace(answer, token=replace(answer.token, refresh_token=None))

    world.xero.exchange_code = exchanged  # type: ignore[method-assign]
    assert refused(world).code == "refresh_token_missing"
    error = disconnected(world).last_error
    assert error is not None
    assert error.code == GRANT_NOT_CONFIRMED


@pytest.mark.parametrize(
    "kind", [FailureKind.UNANSWERED, FailureKind.UNAVAILABLE, FailureKind.UNEXPECTED, FailureKind.EDGE_REFUSED]
)
def test_a_lost_answer_is_told(world: World, kind: FailureKind) -> None:
    world.xero.failures.append(kind)
    refused(world)
    assert world.observer.counts["ClaimOverrun"] == 0
    error = disconnected(world).last_error
    assert error is not None
    assert error.code == GRANT_NOT_CONFIRMED


@pytest.mark.parametrize("kind", [FailureKind.INVALID_GRANT, FailureKind.UNAUTHORIZED_CLIENT])
def test_a_code_that_xero_refused_leaves_nothing(world: World, kind: FailureKind) -> None:
    world.xero.failures.append(kind)
    refused(world)
    assert disconnected(world).last_error is None


@pytest.mark.parametrize("minutes", [3, 20, 600])
def test_a_consent_that_was_cut_off_is_told_however_long_ago_it_was(world: World, minutes: int) -> None:
    browser, state = world.open_link()
    world.xero.codes.add("code")
    step_in(world.vault, "put_tokens", before=die)
    with pytest.raises(ProcessDied):
        world.call_back(browser, state, code="code")
    for _ in range(minutes):
        world.advance(60)
        world.sweep()
    error = disconnected(world).last_error
    assert error is not None
    assert error.code == GRANT_NOT_CONFIRMED


def test_a_cut_off_consent_that_is_completed_later_leaves_nothing(world: World) -> None:
    browser, state = world.open_link()
    world.xero.codes.add("code")
    step_in(world.vault, "put_tokens", after=die)
    with pytest.raises(ProcessDied):
        world.call_back(browser, state, code="code")
    world.advance(120)
    world.sweep()
    assert world.credential().status is Status.CONNECTED
    assert disconnected(world).last_error is None
    assert "refresh-1" in world.xero.dead


def test_the_first_of_many_users_is_not_forgotten(world: World) -> None:
    world.consent()
    world.xero.user = "user-2"
    for _ in range(21):
        world.advance(3600)
        world.consent()
    assert disconnected(world).last_error is None
    assert "refresh-1" in world.xero.dead


def test_more_users_than_are_kept_are_told(world: World) -> None:
    for number in range(30):
        world.xero.user = f"user-{number}"
        world.advance(3600)
        world.consent()
    assert len(world.credential().earlier_grants) == 20
    error = disconnected(world).last_error
    assert error is not None
    assert error.code == GRANT_NOT_CONFIRMED


def test_the_same_user_whose_id_is_not_known_is_not_told_as_another(world: World) -> None:
    world.consent()
    browser, state = world.open_link()
    world.xero.codes.add("code")
    step_in(world.vault, "put_tokens", after=die)
    with pytest.raises(ProcessDied):
        world.call_back(browser, state, code="code")
    world.advance(120)
    world.sweep()
    entries = world.app.read_history(CLIENT_ID, limit=50, next_token=None).items
    connected = [one for one in entries if one.action is Action.CONNECTED]
    assert len(connected) == 2
    assert all(one.detail is None for one in connected)


def test_a_code_that_came_with_a_refused_pair_is_still_good(world: World) -> None:
    browser, state = world.open_link()
    world.xero.codes.add("code")
    world.xero.failures.append(FailureKind.INVALID_CLIENT)
    with pytest.raises(ConsentRefused) as caught:
        world.call_back(browser, state, code="code")
    assert caught.value.code == "client_rejected"
    with pytest.raises(ConsentRefused) as caught:
        world.call_back(browser, state, code="code")
    assert caught.value.code == "not_connectable"
    world.xero.secrets[CLIENT_ID] = "new-horse-battery-staple"
    world.app.replace_client_secret(CLIENT_ID, "new-horse-battery-staple", by=ADMIN)
    assert world.call_back(browser, state, code="code").tenants


def test_keys_that_are_away_for_a_moment_cost_no_consent(world: World) -> None:
    browser, state = world.open_link()
    world.xero.codes.add("code")
    world.xero.id_token_code = "keys_unavailable"
    original = world.xero.verify_id_token

    def verify(*args: Any, **kwargs: Any) -> str:  # noqa: ANN401 - handed on
        try:
            return original(*args, **kwargs)
        finally:
            world.xero.id_token_code = None

    world.xero.verify_id_token = verify  # type: ignore[method-assign]
    assert world.call_back(browser, state, code="code").tenants
