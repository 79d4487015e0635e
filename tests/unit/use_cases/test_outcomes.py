"""Operators see how many submissions and callbacks came to which end."""

import pytest

from tests.fakes.interruptions import step_in
from tests.fakes.world import CLIENT_ID, World
from xero_connector.domain.errors import Conflict, ConsentRefused, PairRefused, StoreUnavailable
from xero_connector.domain.token_endpoint import FailureKind


@pytest.fixture
def world() -> World:
    return World()


def outcomes(world: World, of: str) -> dict[str, int]:
    return {name: many for name, many in world.observer.counts.items() if name.startswith(f"{of}.")}


def unavailable() -> None:
    raise StoreUnavailable("GetItem", "InternalServerError")


def test_a_pair_that_is_proven(world: World) -> None:
    world.submit()
    assert outcomes(world, "Submissions") == {"Submissions.proven": 1}


def test_a_pair_that_is_proven_later(world: World) -> None:
    world.xero.failures.extend([FailureKind.UNAVAILABLE] * 2)
    world.submit()
    assert outcomes(world, "Submissions") == {"Submissions.pending": 1}


def test_a_pair_that_xero_refuses(world: World) -> None:
    with pytest.raises(PairRefused):
        world.submit(known_to_xero=False)
    assert outcomes(world, "Submissions") == {"Submissions.refused": 1}


def test_a_pair_that_is_there_already(world: World) -> None:
    world.submit()
    with pytest.raises(Conflict):
        world.submit()
    assert outcomes(world, "Submissions") == {"Submissions.proven": 1, "Submissions.conflict": 1}


def test_a_submission_that_fails_on_our_side(world: World) -> None:
    step_in(world.registry, "get", before=unavailable)
    with pytest.raises(StoreUnavailable):
        world.submit()
    assert outcomes(world, "Submissions") == {"Submissions.failed": 1}


def test_a_callback_that_connects_and_its_reload(world: World) -> None:
    world.submit()
    browser, state = world.open_link()
    world.xero.codes.add("code")
    world.call_back(browser, state, code="code")
    world.call_back(browser, state, code="code")
    assert outcomes(world, "Callbacks") == {"Callbacks.connected": 1, "Callbacks.repeated": 1}


def test_a_callback_of_a_user_who_declined(world: World) -> None:
    world.submit()
    browser, state = world.open_link()
    with pytest.raises(ConsentRefused):
        world.call_back(browser, state, error="access_denied")
    assert outcomes(world, "Callbacks") == {"Callbacks.refused": 1}


@pytest.mark.parametrize("kind", [FailureKind.UNAVAILABLE, FailureKind.THROTTLED])
def test_a_callback_that_xero_does_not_answer(world: World, kind: FailureKind) -> None:
    world.submit()
    browser, state = world.open_link()
    world.xero.codes.add("code")
    world.xero.failures.append(kind)
    with pytest.raises(ConsentRefused):
        world.call_back(browser, state, code="code")
    assert outcomes(world, "Callbacks") == {"Callbacks.failed": 1}


def test_a_callback_that_fails_on_our_side(world: World) -> None:
    world.submit()
    browser, state = world.open_link()
    step_in(world.consents, "get_request", before=unavailable)
    with pytest.raises(StoreUnavailable):
        world.call_back(browser, state, code="code")
    assert outcomes(world, "Callbacks") == {"Callbacks.failed": 1}


@pytest.mark.parametrize(
    "kind",
    [
        FailureKind.INVALID_CLIENT,
        FailureKind.INVALID_GRANT,
        FailureKind.UNAUTHORIZED_CLIENT,
        FailureKind.INVALID_SCOPE,
    ],
)
def test_a_credential_that_needs_its_customer_is_counted_once(world: World, kind: FailureKind) -> None:
    world.connect()
    for _ in range(4):
        world.xero.failures.clear()
        world.xero.failures.extend([kind] * 2)
        if world.credential(CLIENT_ID).due_at is not None:
            world.sweep_when_due()
    assert world.observer.counts["CustomerNeeded"] == 1


@pytest.mark.parametrize("kind", [FailureKind.UNAVAILABLE, FailureKind.UNANSWERED, FailureKind.THROTTLED])
def test_a_credential_that_waits_for_xero_needs_no_customer(world: World, kind: FailureKind) -> None:
    world.connect()
    world.xero.failures.extend([kind] * 3)
    for _ in range(3):
        world.sweep_when_due()
    assert world.observer.counts["CustomerNeeded"] == 0
