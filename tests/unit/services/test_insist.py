"""A client secret is shown once: what a store does not take at first is tried again while there is time."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from tests.fakes.interruptions import step_in
from tests.fakes.world import ADMIN, CLIENT_ID, CLIENT_SECRET, NOON, World
from xero_connector.domain.errors import Conflict, SecretUnderAnotherKey, StoreUnavailable
from xero_connector.domain.status import Status
from xero_connector.domain.tokens import ClientPair

NEW_SECRET = "another-horse-battery-staple"


def throttled() -> None:
    raise StoreUnavailable("PutItem", "ThrottlingException")


def fail(world: World, part: str, method: str, *, times: int, after: bool = False) -> None:
    """Let so many calls fail: before they take effect, or after."""
    fake = getattr(world, part)
    for _ in range(times):
        if after:
            step_in(fake, method, after=throttled)
        else:
            step_in(fake, method, before=throttled)


def stored(world: World) -> ClientPair | None:
    return world.vault.get_client_pair(CLIENT_ID, version_id=world.credential().client_version_id)


each_store = pytest.mark.parametrize(("part", "method"), [("vault", "put_client_pair"), ("registry", "create")])


@each_store
@pytest.mark.parametrize("after", [False, True], ids=["not taken", "taken, answer lost"])
@pytest.mark.parametrize("times", [1, 3])
def test_a_submission_goes_on_until_its_pair_is_stored(
    world: World, part: str, method: str, times: int, *, after: bool
) -> None:
    fail(world, part, method, times=times, after=after)
    assert world.submit().status is Status.VALIDATED
    assert stored(world) == ClientPair(CLIENT_ID, CLIENT_SECRET)
    assert len(world.vault.versions[world.vault.client_secret_name(CLIENT_ID)]) == 1
    assert world.consent().status is Status.CONNECTED


@each_store
def test_a_submission_that_cannot_be_stored_says_so_in_time_and_what_to_keep(
    world: World, part: str, method: str
) -> None:
    fail(world, part, method, times=100)
    began = world.now
    with pytest.raises(StoreUnavailable) as unavailable:
        world.submit()
    assert "keep the client secret" in unavailable.value.hint
    assert timedelta(seconds=10) < world.now - began < timedelta(seconds=27)
    assert world.registry.get(CLIENT_ID) is None


def test_another_submission_that_was_first_is_not_taken_for_one_s_own(world: World) -> None:
    def the_other() -> None:
        # Its reservation has run out, and so has this one's.
        world.registry.reservations.clear()
        world.submit()

    step_in(world.registry, "create", before=the_other)
    with pytest.raises(Conflict) as conflict:
        world.submit()
    assert conflict.value.code == "credential_exists"


def test_a_link_that_cannot_be_made_costs_no_submission(world: World) -> None:
    fail(world, "consents", "add_ticket", times=1)
    assert world.submit().status is Status.VALIDATED
    assert world.app.create_connect_link(CLIENT_ID, by=ADMIN).connect_url


@pytest.mark.parametrize(
    "failing",
    [
        lambda world: fail(world, "vault", "put_client_pair", times=3),
        lambda world: fail(world, "vault", "put_client_pair", times=3, after=True),
    ],
    ids=["not taken", "taken, answer lost"],
)
def test_a_swap_goes_on_until_its_secret_is_stored(world: World, failing: Callable[[World], None]) -> None:
    world.connect()
    world.xero.secrets[CLIENT_ID] = NEW_SECRET
    failing(world)
    credential = world.app.replace_client_secret(CLIENT_ID, NEW_SECRET, by=ADMIN)
    assert stored(world) == ClientPair(CLIENT_ID, NEW_SECRET)
    assert credential.client_secret_number == 2


@pytest.mark.parametrize("after", [False, True], ids=["not taken", "taken, answer lost"])
@pytest.mark.parametrize("times", [1, 3])
def test_a_swap_goes_on_until_its_credential_is_written(world: World, times: int, *, after: bool) -> None:
    world.connect()
    world.xero.secrets[CLIENT_ID] = NEW_SECRET
    step_in(
        world.vault,
        "put_client_pair",
        after=lambda: fail(world, "registry", "save", times=times, after=after),
    )
    credential = world.app.replace_client_secret(CLIENT_ID, NEW_SECRET, by=ADMIN)
    assert (credential.client_secret_number, stored(world)) == (2, ClientPair(CLIENT_ID, NEW_SECRET))
    assert world.sweep_when_due() == {"refreshed": 1}


def test_what_only_a_person_can_settle_is_told_at_once(world: World) -> None:
    # Somebody makes the secret between the look at it and the write.
    step_in(
        world.vault,
        "refuse_secrets_of_others",
        after=lambda: world.vault.of_others.add(world.vault.client_secret_name(CLIENT_ID)),
    )
    with pytest.raises(SecretUnderAnotherKey, match="another") as refused:
        world.submit()
    assert world.now == NOON
    assert "SecretPrefix" in refused.value.hint
    assert world.registry.rows == {}
