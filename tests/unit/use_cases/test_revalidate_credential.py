from dataclasses import replace
from datetime import timedelta

import pytest

from tests.fakes.builders import a_credential
from tests.fakes.interruptions import step_in
from tests.fakes.world import ADMIN, CLIENT_ID, World
from xero_connector.domain.checks import CheckResult
from xero_connector.domain.errors import Conflict, NotFound, StoreUnavailable
from xero_connector.domain.status import Status
from xero_connector.domain.token_endpoint import INCONCLUSIVE, FailureKind

IN_USE = [Status.VALIDATED, Status.CONNECTED, Status.DEGRADED, Status.REAUTHORIZATION_REQUIRED]


def in_status(world: World, status: Status) -> None:
    if status is Status.VALIDATED:
        world.submit()
    else:
        world.connect()
    world.registry.save(replace(world.credential(), status=status))


def test_no_credential_to_prove(world: World) -> None:
    with pytest.raises(NotFound):
        world.app.revalidate_credential(CLIENT_ID, by=ADMIN)


@pytest.mark.parametrize("status", [Status.DISCONNECTING, Status.DISCONNECTED, Status.REJECTED])
def test_nothing_left_to_prove(world: World, status: Status) -> None:
    world.registry.create(a_credential(status=status), replacing=None)
    with pytest.raises(Conflict) as conflict:
        world.app.revalidate_credential(CLIENT_ID, by=ADMIN)
    assert conflict.value.code == "nothing_to_prove"
    assert world.xero.calls == []


def test_a_secret_that_the_reader_cannot_see_yet(world: World) -> None:
    world.vault.unseen.add(world.submit().client_version_id)
    with pytest.raises(StoreUnavailable):
        world.app.revalidate_credential(CLIENT_ID, by=ADMIN)


@pytest.mark.parametrize("status", IN_USE)
def test_a_good_pair_changes_only_the_check(world: World, status: Status) -> None:
    in_status(world, status)
    before = world.credential()
    world.advance(60)
    after = world.app.revalidate_credential(CLIENT_ID, by=ADMIN)
    assert after.checks["pair"].checked_at == world.now
    assert after.checks["pair"].result is CheckResult.PASS
    assert (after.status, after.due_at, after.generation) == (status, before.due_at, before.generation)


@pytest.mark.parametrize("status", IN_USE)
def test_a_refused_pair_is_marked_and_asked_about_again(world: World, status: Status) -> None:
    in_status(world, status)
    world.xero.failures.append(FailureKind.INVALID_CLIENT)
    credential = world.app.revalidate_credential(CLIENT_ID, by=ADMIN)
    assert credential.status is Status.CLIENT_REJECTED
    assert credential.checks["pair"].result is CheckResult.FAIL
    assert credential.last_error is not None
    assert credential.last_error.code == "invalid_client"
    assert credential.due_at == world.now + timedelta(minutes=5)


@pytest.mark.parametrize("status", [*IN_USE, Status.CLIENT_REJECTED])
@pytest.mark.parametrize("kind", sorted(INCONCLUSIVE))
def test_without_a_definite_answer_the_status_stays(world: World, status: Status, kind: FailureKind) -> None:
    in_status(world, status)
    world.xero.failures.append(kind)
    credential = world.app.revalidate_credential(CLIENT_ID, by=ADMIN)
    assert credential.status is status
    assert credential.checks["pair"].result is CheckResult.UNKNOWN


@pytest.mark.parametrize("status", IN_USE)
def test_an_app_of_another_type_is_reported_but_goes_on(world: World, status: Status) -> None:
    in_status(world, status)
    world.xero.failures.append(FailureKind.UNAUTHORIZED_CLIENT)
    credential = world.app.revalidate_credential(CLIENT_ID, by=ADMIN)
    assert credential.status is status
    assert credential.checks["pair"].result is CheckResult.FAIL


def test_a_pair_that_was_refused_before_any_consent_heals(world: World) -> None:
    in_status(world, Status.VALIDATED)
    world.xero.failures.append(FailureKind.INVALID_CLIENT)
    world.app.revalidate_credential(CLIENT_ID, by=ADMIN)
    credential = world.app.revalidate_credential(CLIENT_ID, by=ADMIN)
    assert (credential.status, credential.due_at, credential.failures, credential.last_error) == (
        Status.VALIDATED,
        None,
        0,
        None,
    )


def test_a_pair_that_stays_refused_before_any_consent_is_asked_about_each_hour(world: World) -> None:
    in_status(world, Status.VALIDATED)
    world.xero.failures.extend([FailureKind.INVALID_CLIENT] * 3)
    world.app.revalidate_credential(CLIENT_ID, by=ADMIN)
    for _ in range(2):
        assert world.sweep_when_due() == {"client_rejected": 1}
        assert world.credential().due_at == world.now + timedelta(hours=1)
    assert world.sweep_when_due() == {"validated": 1}


def test_a_pair_that_was_refused_over_a_grant_heals_by_a_refresh(world: World) -> None:
    in_status(world, Status.CLIENT_REJECTED)
    assert world.app.revalidate_credential(CLIENT_ID, by=ADMIN).due_at == world.now
    assert world.sweep() == {"refreshed": 1}
    assert world.credential().status is Status.CONNECTED


def test_a_refresh_that_is_under_way_is_not_disturbed(world: World) -> None:
    world.connect()
    step_in(world.xero, "refresh", before=lambda: world.app.revalidate_credential(CLIENT_ID, by=ADMIN))
    assert world.sweep_when_due() == {"refreshed": 1}
    credential = world.credential()
    assert (credential.status, credential.generation) == (Status.CONNECTED, 2)
    assert credential.checks["pair"].checked_at == world.now


def test_what_the_tokens_lack_is_not_talked_away_by_advice(world: World) -> None:
    world.xero.granted = "offline_access openid"
    world.connect()
    check = world.credential().checks["scopes"]
    assert check.result is CheckResult.FAIL
    credential = world.app.revalidate_credential(CLIENT_ID, by=ADMIN)
    assert credential.checks["scopes"] == check
    assert credential.checks["redirect_uri"].result is CheckResult.PASS
