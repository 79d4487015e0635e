from datetime import timedelta

import pytest

from tests.fakes.interruptions import ProcessDied, die, step_in
from tests.fakes.world import ADMIN, CLIENT_ID, CLIENT_SECRET, World
from xero_connector.domain.checks import CheckResult
from xero_connector.domain.credential import Credential
from xero_connector.domain.errors import Conflict
from xero_connector.domain.status import Status
from xero_connector.domain.token_endpoint import FailureKind
from xero_connector.domain.tokens import ClientPair


def submit_unanswered(world: World, *, good: bool) -> Credential:
    world.xero.failures.append(FailureKind.UNANSWERED)
    credential = world.submit(known_to_xero=good)
    assert credential.status is Status.PENDING_VALIDATION
    return credential


def client_secret_name(world: World) -> str:
    return world.vault.client_secret_name(CLIENT_ID)


def test_a_good_pair_is_proven_later(world: World) -> None:
    submit_unanswered(world, good=True)
    assert world.sweep_when_due() == {"validated": 1}
    credential = world.credential()
    assert credential.checks["pair"].result is CheckResult.PASS
    assert (credential.failures, credential.last_error, credential.due_at, credential.lease) == (
        0,
        None,
        None,
        None,
    )
    assert credential.attempt_started_at is None
    assert world.consent().status is Status.CONNECTED


def test_a_wrong_pair_is_rejected_later(world: World) -> None:
    submit_unanswered(world, good=False)
    credential = world.reject()
    assert credential.last_error is not None
    assert credential.last_error.code == "invalid_client"
    assert credential.checks["pair"].result is CheckResult.FAIL
    assert credential.lease is None
    assert world.vault.deleted == set()


def test_one_refusal_decides_nothing(world: World) -> None:
    submit_unanswered(world, good=False)
    assert world.sweep_when_due() == {"pending_validation": 1}
    credential = world.credential()
    assert credential.last_error is not None
    assert (credential.last_error.code, credential.checks["pair"].result) == ("invalid_client", CheckResult.FAIL)
    assert world.vault.deleted == set()
    world.xero.secrets[CLIENT_ID] = CLIENT_SECRET
    assert world.sweep_when_due() == {"validated": 1}
    assert (world.credential().refusals, world.credential().refused_since, world.credential().last_error) == (
        0,
        None,
        None,
    )


def test_a_rejection_takes_several_refusals_and_twenty_minutes(world: World) -> None:
    submit_unanswered(world, good=False)
    world.sweep_when_due()
    began = world.now
    refusals = 1
    while world.credential().status is Status.PENDING_VALIDATION:
        world.sweep_when_due()
        refusals += 1
    assert refusals >= 3
    assert timedelta(minutes=20) <= world.now - began < timedelta(minutes=22)


def test_an_impatient_admin_does_not_hasten_a_rejection(world: World) -> None:
    submit_unanswered(world, good=False)
    for _ in range(10):
        world.advance(60)
        world.app.revalidate_credential(CLIENT_ID, by=ADMIN)
        assert world.sweep() == {"pending_validation": 1}


def test_refusals_a_long_time_apart_are_three_at_least(world: World) -> None:
    submit_unanswered(world, good=False)
    for _ in range(2):
        world.advance(3600)
        assert world.sweep() == {"pending_validation": 1}
    world.advance(3600)
    assert world.sweep() == {"rejected": 1}


def test_an_outage_between_refusals_neither_confirms_nor_takes_back(world: World) -> None:
    submit_unanswered(world, good=False)
    world.sweep_when_due()
    world.xero.failures.extend([FailureKind.UNAVAILABLE] * 3)
    for _ in range(3):
        assert world.sweep_when_due() == {"pending_validation": 1}
    assert world.credential().refusals == 1
    assert world.reject().refusals == 3


def test_the_reason_of_a_rejection_stays_to_be_read(world: World) -> None:
    submit_unanswered(world, good=False)
    world.reject()
    world.advance(30 * 86_400)
    assert world.sweep() == {"rejected": 1}
    assert world.sweep() == {}
    error = world.app.find_credential(CLIENT_ID).last_error
    assert error is not None
    assert "Save" in error.detail


@pytest.mark.parametrize("control", [FailureKind.INVALID_GRANT, FailureKind.UNAUTHORIZED_CLIENT])
def test_an_app_without_a_checked_secret_is_rejected_too(world: World, control: FailureKind) -> None:
    submit_unanswered(world, good=True)
    for _ in range(6):
        world.xero.failures.extend([FailureKind.INVALID_GRANT, control])
    world.reject()
    error = world.credential().last_error
    assert error is not None
    assert error.code == "mobile_app"


# A rejected pair


@pytest.fixture
def rejected(world: World) -> Credential:
    submit_unanswered(world, good=False)
    return world.reject()


def test_the_secret_of_a_rejected_pair_is_kept_for_a_week(world: World, rejected: Credential) -> None:
    assert rejected.due_at == world.now + timedelta(days=7)
    world.advance(6 * 86_400)
    assert world.sweep() == {}
    assert world.vault.deleted == set()
    assert world.sweep_when_due() == {"rejected": 1}
    assert world.vault.deleted == {client_secret_name(world)}
    assert (world.credential().due_at, world.credential().lease) == (None, None)


@pytest.mark.usefixtures("rejected")
@pytest.mark.parametrize("days", [0, 6])
def test_a_new_secret_heals_a_rejected_pair(world: World, days: int) -> None:
    world.advance(days * 86_400)
    world.xero.secrets[CLIENT_ID] = "the right one"
    credential = world.app.replace_client_secret(CLIENT_ID, "the right one", by=ADMIN)
    assert (credential.status, credential.refusals, credential.last_error, credential.due_at) == (
        Status.VALIDATED,
        0,
        None,
        None,
    )
    world.advance(8 * 86_400)
    assert world.sweep() == {}
    assert world.vault.deleted == set()
    assert world.consent().status is Status.CONNECTED


@pytest.mark.usefixtures("rejected")
def test_a_rejected_pair_that_xero_accepts_after_all_is_proven_again(world: World) -> None:
    world.xero.secrets[CLIENT_ID] = CLIENT_SECRET
    credential = world.app.revalidate_credential(CLIENT_ID, by=ADMIN)
    assert (credential.status, credential.refusals, credential.last_error, credential.due_at) == (
        Status.VALIDATED,
        0,
        None,
        None,
    )
    assert world.consent().status is Status.CONNECTED


def test_a_rejected_pair_that_is_still_refused_stays_rejected(world: World, rejected: Credential) -> None:
    credential = world.app.revalidate_credential(CLIENT_ID, by=ADMIN)
    assert (credential.status, credential.due_at) == (Status.REJECTED, rejected.due_at)


@pytest.mark.usefixtures("rejected")
def test_once_its_secret_is_gone_a_rejected_pair_is_submitted_anew(world: World) -> None:
    world.sweep_when_due()
    with pytest.raises(Conflict):
        world.app.revalidate_credential(CLIENT_ID, by=ADMIN)
    with pytest.raises(Conflict):
        world.app.replace_client_secret(CLIENT_ID, "another", by=ADMIN)
    assert world.submit().status is Status.VALIDATED
    assert world.vault.deleted == set()


@pytest.mark.usefixtures("rejected")
def test_a_rejected_pair_can_be_submitted_again_at_once(world: World) -> None:
    credential = world.submit()
    assert credential.status is Status.VALIDATED
    world.advance(8 * 86_400)
    assert world.sweep() == {}
    assert world.vault.get_client_pair(CLIENT_ID, version_id=credential.client_version_id)


@pytest.mark.usefixtures("rejected")
def test_a_deletion_that_comes_late_does_not_cost_the_next_life_its_secret(world: World) -> None:
    world.now += timedelta(days=7)

    def stalls() -> None:
        # Its lease runs out meanwhile.
        world.advance(120)
        world.submit()

    step_in(world.vault, "delete_client_pair", before=stalls)
    assert world.sweep() == {"busy": 1}
    credential = world.credential()
    assert credential.status is Status.VALIDATED
    assert world.vault.get_client_pair(CLIENT_ID, version_id=credential.client_version_id)
    assert world.observer.counts["SecretRestored"] == 1


@pytest.mark.usefixtures("rejected")
def test_a_pair_that_is_proven_again_during_its_deletion_is_brought_back(world: World) -> None:
    world.now += timedelta(days=7)
    world.xero.secrets[CLIENT_ID] = CLIENT_SECRET
    step_in(
        world.vault,
        "delete_client_pair",
        before=lambda: world.app.revalidate_credential(CLIENT_ID, by=ADMIN),
    )
    world.sweep()
    credential = world.credential()
    assert (credential.status, credential.lease) == (Status.VALIDATED, None)
    assert world.vault.get_client_pair(CLIENT_ID, version_id=credential.client_version_id)


def test_while_xero_is_away_it_is_asked_less_and_less_often(world: World) -> None:
    submit_unanswered(world, good=True)
    world.xero.failures.extend([FailureKind.UNAVAILABLE] * 7)
    pauses = []
    for _ in range(7):
        world.sweep_when_due()
        due_at = world.credential().due_at
        assert due_at is not None
        pauses.append((due_at - world.now) / timedelta(minutes=1))
    assert pauses == [1, 2, 4, 8, 15, 15, 15]
    assert world.credential().status is Status.PENDING_VALIDATION
    assert world.vault.deleted == set()
    assert world.sweep_when_due() == {"validated": 1}


@pytest.mark.usefixtures("rejected")
def test_a_process_that_died_before_deleting_the_secret_is_followed_by_another(world: World) -> None:
    step_in(world.vault, "delete_client_pair", before=die)
    with pytest.raises(ProcessDied):
        world.sweep_when_due()
    assert world.credential().status is Status.REJECTED
    assert world.vault.deleted == set()
    assert world.sweep_when_due() == {"rejected": 1}
    assert world.vault.deleted == {client_secret_name(world)}
    assert world.credential().due_at is None


def test_a_process_that_died_while_proving_is_followed_by_another(world: World) -> None:
    submit_unanswered(world, good=True)
    step_in(world.xero, "exchange_code", before=die)
    with pytest.raises(ProcessDied):
        world.sweep_when_due()
    assert world.sweep() == {}
    assert world.sweep_when_due() == {"validated": 1}


def test_a_pair_that_the_reader_cannot_see_yet_is_not_judged(world: World) -> None:
    credential = submit_unanswered(world, good=True)
    world.vault.unseen.add(credential.client_version_id)
    assert world.sweep_when_due() == {"pending_validation": 1}
    assert world.credential().status is Status.PENDING_VALIDATION
    world.vault.unseen.clear()
    assert world.sweep_when_due() == {"validated": 1}


def test_an_admin_who_asks_meanwhile_has_it_decided_at_once(world: World) -> None:
    submit_unanswered(world, good=True)
    assert world.app.revalidate_credential(CLIENT_ID, by=ADMIN).due_at == world.now
    assert world.sweep() == {"validated": 1}


def test_a_new_secret_replaces_one_of_unknown_worth(world: World) -> None:
    submit_unanswered(world, good=False)
    world.xero.secrets[CLIENT_ID] = "the right one"
    assert world.app.replace_client_secret(CLIENT_ID, "the right one", by=ADMIN).status is Status.VALIDATED
    stored = world.vault.get_client_pair(CLIENT_ID, version_id=world.credential().client_version_id)
    assert stored == ClientPair(CLIENT_ID, "the right one")
    world.advance(3600)
    assert world.sweep() == {}
