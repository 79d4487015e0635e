from dataclasses import replace
from datetime import timedelta

import pytest

from tests.fakes.builders import a_credential
from tests.fakes.interruptions import ProcessDied, die, step_in
from tests.fakes.world import ADMIN, CLIENT_ID, CLIENT_SECRET, NOON, World
from xero_connector.domain.checks import CheckResult
from xero_connector.domain.errors import Conflict, NotFound, PairRefused, StoreUnavailable, XeroUnavailable
from xero_connector.domain.status import Status
from xero_connector.domain.token_endpoint import INCONCLUSIVE, FailureKind
from xero_connector.domain.tokens import ClientPair
from xero_connector.domain.version_allowance import VersionAllowance

NEW = "a-new-secret"


def secret_in_force(world: World) -> str:
    pair = world.vault.get_client_pair(CLIENT_ID, version_id=world.credential().client_version_id)
    assert pair is not None
    return pair.client_secret


def new_secret_at_xero(world: World) -> None:
    world.xero.secrets[CLIENT_ID] = NEW


def test_no_credential_to_give_a_secret_to(world: World) -> None:
    with pytest.raises(NotFound):
        world.app.replace_client_secret(CLIENT_ID, NEW, by=ADMIN)


@pytest.mark.parametrize("status", [Status.DISCONNECTING, Status.DISCONNECTED, Status.REJECTED])
def test_a_credential_that_has_ended_takes_no_secret(world: World, status: Status) -> None:
    world.registry.create(a_credential(status=status), replacing=None)
    with pytest.raises(Conflict) as conflict:
        world.app.replace_client_secret(CLIENT_ID, NEW, by=ADMIN)
    assert conflict.value.code == "not_replaceable"
    assert world.xero.calls == []
    assert world.vault.versions == {}


def test_a_new_secret_is_swapped_in_and_proven_by_a_refresh(world: World) -> None:
    before = world.connect()
    new_secret_at_xero(world)
    world.advance(60)
    after = world.app.replace_client_secret(CLIENT_ID, NEW, by=ADMIN)
    assert secret_in_force(world) == NEW
    assert world.xero.refresh_tokens == ["refresh-1"]
    assert (after.status, after.generation, after.grant_began) == (Status.CONNECTED, 2, before.grant_began)
    assert after.tenants == before.tenants
    assert (after.checks["pair"].result, after.checks["pair"].checked_at) == (CheckResult.PASS, world.now)
    assert (after.lease, after.attempt_started_at) == (None, None)
    assert after == world.credential()
    assert world.sweep_when_due() == {"refreshed": 1}


def test_the_old_secret_can_be_recovered(world: World) -> None:
    before = world.connect()
    new_secret_at_xero(world)
    world.app.replace_client_secret(CLIENT_ID, NEW, by=ADMIN)
    assert world.vault.get_client_pair(CLIENT_ID, version_id=before.client_version_id) == ClientPair(
        CLIENT_ID, CLIENT_SECRET
    )


def test_a_swap_leaves_the_version_quota_alone(world: World) -> None:
    before = world.connect()
    world.registry.save(replace(before, allowance=VersionAllowance(0, world.now)))
    new_secret_at_xero(world)
    after = world.app.replace_client_secret(CLIENT_ID, NEW, by=ADMIN)
    assert secret_in_force(world) == NEW
    assert (after.generation, after.due_at) == (1, before.due_at)


@pytest.mark.parametrize("kind", [FailureKind.UNANSWERED, FailureKind.UNAVAILABLE, FailureKind.NOT_SENT])
def test_a_swap_is_done_even_if_the_refresh_gets_no_answer(world: World, kind: FailureKind) -> None:
    world.connect()
    new_secret_at_xero(world)
    good_proof = [FailureKind.INVALID_GRANT, FailureKind.INVALID_CLIENT]
    # What was certainly not sent is sent once more at once.
    world.xero.failures.extend([*good_proof, kind, *([kind] if kind is FailureKind.NOT_SENT else [])])
    assert world.app.replace_client_secret(CLIENT_ID, NEW, by=ADMIN).status is Status.DEGRADED
    assert secret_in_force(world) == NEW
    assert world.sweep_when_due() == {"refreshed": 1}


def test_a_swap_is_done_even_if_the_vault_fails_afterwards(world: World) -> None:
    world.connect()
    new_secret_at_xero(world)

    def unavailable() -> None:
        raise StoreUnavailable("GetSecretValue", "InternalServiceError")

    step_in(world.vault, "get_tokens", before=unavailable)
    credential = world.app.replace_client_secret(CLIENT_ID, NEW, by=ADMIN)
    assert secret_in_force(world) == NEW
    assert credential == world.credential()
    world.advance(60)
    assert world.sweep() == {"refreshed": 1}


def test_after_a_slow_proof_the_schedule_puts_the_new_secret_to_use(world: World) -> None:
    world.connect()
    new_secret_at_xero(world)
    step_in(world.xero, "exchange_code", before=lambda: world.pause(11))
    credential = world.app.replace_client_secret(CLIENT_ID, NEW, by=ADMIN)
    assert (credential.client_secret_number, credential.generation) == (2, 1)
    assert world.sweep() == {"refreshed": 1}


@pytest.mark.parametrize(
    ("answers", "code"),
    [
        ([FailureKind.INVALID_CLIENT], "invalid_client"),
        ([FailureKind.UNAUTHORIZED_CLIENT], "custom_connection"),
        ([FailureKind.INVALID_GRANT, FailureKind.INVALID_GRANT], "mobile_app"),
    ],
)
def test_a_refused_secret_leaves_the_old_one_in_force(world: World, answers: list[FailureKind], code: str) -> None:
    before = world.connect()
    world.xero.failures.extend(answers)
    with pytest.raises(PairRefused) as refused:
        world.app.replace_client_secret(CLIENT_ID, NEW, by=ADMIN)
    assert refused.value.code == code
    assert secret_in_force(world) == CLIENT_SECRET
    assert world.credential() == before
    assert NEW not in refused.value.detail + refused.value.hint
    assert (
        ClientPair(CLIENT_ID, NEW) not in world.vault.versions[world.vault.client_secret_name(CLIENT_ID)].values()
    )


@pytest.mark.parametrize("kind", sorted(INCONCLUSIVE))
@pytest.mark.parametrize("answers_before", [0, 1])
def test_without_a_definite_answer_the_old_one_stays(world: World, kind: FailureKind, answers_before: int) -> None:
    before = world.connect()
    world.xero.failures.extend([FailureKind.INVALID_GRANT] * answers_before + [kind])
    with pytest.raises(XeroUnavailable) as unavailable:
        world.app.replace_client_secret(CLIENT_ID, NEW, by=ADMIN)
    assert unavailable.value.code == "xero_unavailable"
    assert secret_in_force(world) == CLIENT_SECRET
    assert world.credential() == before


def test_the_old_secret_is_in_force_until_the_credential_names_the_new(world: World) -> None:
    world.connect()
    new_secret_at_xero(world)
    step_in(world.vault, "put_client_pair", after=die)
    with pytest.raises(ProcessDied):
        world.app.replace_client_secret(CLIENT_ID, NEW, by=ADMIN)
    assert secret_in_force(world) == CLIENT_SECRET


def test_a_version_that_a_crash_left_behind_is_stepped_over(world: World) -> None:
    world.connect()
    world.xero.secrets[CLIENT_ID] = "one-that-came-to-nothing"
    step_in(world.vault, "put_client_pair", after=die)
    with pytest.raises(ProcessDied):
        world.app.replace_client_secret(CLIENT_ID, "one-that-came-to-nothing", by=ADMIN)
    world.advance(60)
    new_secret_at_xero(world)
    assert world.app.replace_client_secret(CLIENT_ID, NEW, by=ADMIN).client_secret_number == 3
    assert secret_in_force(world) == NEW


def test_the_same_again_after_a_crash_takes_the_version_that_is_there(world: World) -> None:
    world.connect()
    new_secret_at_xero(world)
    step_in(world.vault, "put_client_pair", after=die)
    with pytest.raises(ProcessDied):
        world.app.replace_client_secret(CLIENT_ID, NEW, by=ADMIN)
    world.advance(60)
    assert world.app.replace_client_secret(CLIENT_ID, NEW, by=ADMIN).client_secret_number == 2
    assert secret_in_force(world) == NEW


def test_a_refused_pair_with_a_grant_is_healed(world: World) -> None:
    world.connect()
    new_secret_at_xero(world)
    world.sweep_when_due()
    assert world.credential().status is Status.CLIENT_REJECTED
    credential = world.app.replace_client_secret(CLIENT_ID, NEW, by=ADMIN)
    assert (credential.status, credential.generation, credential.last_error) == (Status.CONNECTED, 2, None)


def test_a_refused_pair_without_a_grant_is_healed_at_once(world: World) -> None:
    world.submit()
    new_secret_at_xero(world)
    assert world.app.revalidate_credential(CLIENT_ID, by=ADMIN).status is Status.CLIENT_REJECTED
    credential = world.app.replace_client_secret(CLIENT_ID, NEW, by=ADMIN)
    assert (credential.status, credential.due_at, credential.failures, credential.last_error) == (
        Status.VALIDATED,
        None,
        0,
        None,
    )
    assert world.consent().status is Status.CONNECTED


def test_a_refresh_that_was_cut_off_is_finished_after_the_swap(world: World) -> None:
    world.connect()
    step_in(world.vault, "put_tokens", after=die)
    with pytest.raises(ProcessDied):
        world.sweep_when_due()
    world.advance(60)
    new_secret_at_xero(world)
    world.app.replace_client_secret(CLIENT_ID, NEW, by=ADMIN)
    assert (world.credential().generation, world.credential().attempt_started_at) == (2, None)
    assert world.xero.refresh_tokens == ["refresh-1"]


def hold_lease(world: World, *, seconds: int) -> None:
    """Another holder works on the credential."""
    world.registry.save(world.credential().leased("another", now=world.now, duration=timedelta(seconds=seconds)))


def test_a_swap_waits_for_a_refresh_that_is_under_way(world: World) -> None:
    world.connect()
    new_secret_at_xero(world)
    hold_lease(world, seconds=3)
    world.app.replace_client_secret(CLIENT_ID, NEW, by=ADMIN)
    assert secret_in_force(world) == NEW
    assert world.now == NOON + timedelta(seconds=3)


def test_a_swap_does_not_wait_for_ever(world: World) -> None:
    world.connect()
    new_secret_at_xero(world)
    hold_lease(world, seconds=60)
    with pytest.raises(Conflict) as conflict:
        world.app.replace_client_secret(CLIENT_ID, NEW, by=ADMIN)
    assert conflict.value.code == "busy"
    assert secret_in_force(world) == CLIENT_SECRET
    assert world.now - NOON < timedelta(seconds=10)


def test_tokens_that_were_deleted_by_hand_do_not_undo_the_swap(world: World) -> None:
    world.connect()
    new_secret_at_xero(world)
    world.vault.delete_tokens(CLIENT_ID)
    credential = world.app.replace_client_secret(CLIENT_ID, NEW, by=ADMIN)
    assert credential == world.credential()
    assert secret_in_force(world) == NEW


def test_sending_the_same_secret_again_writes_no_version(world: World) -> None:
    before = world.connect()
    new_secret_at_xero(world)
    for _ in range(3):
        credential = world.app.replace_client_secret(CLIENT_ID, NEW, by=ADMIN)
    assert credential.client_secret_number == before.client_secret_number + 1
    assert secret_in_force(world) == NEW


def test_a_secret_that_was_deleted_by_hand_is_put_back(world: World) -> None:
    world.connect()
    world.vault.delete_client_pair(CLIENT_ID)
    credential = world.app.replace_client_secret(CLIENT_ID, CLIENT_SECRET, by=ADMIN)
    assert (credential.client_secret_number, secret_in_force(world)) == (2, CLIENT_SECRET)
