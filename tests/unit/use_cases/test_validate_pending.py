from datetime import timedelta

import pytest

from tests.fakes.interruptions import ProcessDied, die, step_in
from tests.fakes.world import ADMIN, CLIENT_ID, World
from xero_connector.domain.checks import CheckResult
from xero_connector.domain.credential import Credential
from xero_connector.domain.status import Status
from xero_connector.domain.token_endpoint import FailureKind
from xero_connector.domain.tokens import ClientPair


def submit_unanswered(world: World, *, good: bool) -> Credential:
    world.xero.failures.append(FailureKind.UNANSWERED)
    row = world.submit(known_to_xero=good)
    assert row.status is Status.PENDING_VALIDATION
    return row


def client_secret_name(world: World) -> str:
    return world.vault.client_secret_name(CLIENT_ID)


def test_a_good_pair_is_proven_later(world: World) -> None:
    submit_unanswered(world, good=True)
    assert world.sweep_when_due() == {"validated": 1}
    row = world.row()
    assert row.checks["pair"].result is CheckResult.PASS
    assert (row.failures, row.last_error, row.due_at, row.lease) == (0, None, None, None)
    assert row.attempt_started_at is None
    assert world.consent().status is Status.CONNECTED


def test_a_wrong_pair_is_rejected_later_and_its_secret_deleted(world: World) -> None:
    submit_unanswered(world, good=False)
    assert world.sweep_when_due() == {"rejected": 1}
    row = world.row()
    assert row.last_error is not None
    assert row.last_error.code == "invalid_client"
    assert row.checks["pair"].result is CheckResult.FAIL
    assert (row.due_at, row.lease) == (None, None)
    assert world.vault.deleted == {client_secret_name(world)}


def test_the_reason_of_a_rejection_stays_to_be_read(world: World) -> None:
    submit_unanswered(world, good=False)
    world.sweep_when_due()
    world.advance(30 * 86_400)
    assert world.sweep() == {}
    error = world.app.find_credential(CLIENT_ID).last_error
    assert error is not None
    assert "Save" in error.detail


@pytest.mark.parametrize("control", [FailureKind.INVALID_GRANT, FailureKind.UNAUTHORIZED_CLIENT])
def test_an_app_without_a_checked_secret_is_rejected_too(world: World, control: FailureKind) -> None:
    submit_unanswered(world, good=True)
    world.xero.failures.extend([FailureKind.INVALID_GRANT, control])
    assert world.sweep_when_due() == {"rejected": 1}
    error = world.row().last_error
    assert error is not None
    assert error.code == "mobile_app"


def test_while_xero_is_away_it_is_asked_less_and_less_often(world: World) -> None:
    submit_unanswered(world, good=True)
    world.xero.failures.extend([FailureKind.UNAVAILABLE] * 7)
    pauses = []
    for _ in range(7):
        world.sweep_when_due()
        due_at = world.row().due_at
        assert due_at is not None
        pauses.append((due_at - world.now) / timedelta(minutes=1))
    assert pauses == [1, 2, 4, 8, 15, 15, 15]
    assert world.row().status is Status.PENDING_VALIDATION
    assert world.vault.deleted == set()
    assert world.sweep_when_due() == {"validated": 1}


def test_a_process_that_died_before_deleting_the_secret_is_followed_by_another(world: World) -> None:
    submit_unanswered(world, good=False)
    step_in(world.vault, "delete_client_pair", before=die)
    with pytest.raises(ProcessDied):
        world.sweep_when_due()
    assert world.row().status is Status.REJECTED
    assert world.vault.deleted == set()
    assert world.sweep_when_due() == {"rejected": 1}
    assert world.vault.deleted == {client_secret_name(world)}
    assert world.row().due_at is None


def test_a_process_that_died_while_proving_is_followed_by_another(world: World) -> None:
    submit_unanswered(world, good=True)
    step_in(world.xero, "exchange_code", before=die)
    with pytest.raises(ProcessDied):
        world.sweep_when_due()
    assert world.sweep() == {}
    assert world.sweep_when_due() == {"validated": 1}


def test_a_pair_that_the_reader_cannot_see_yet_is_not_judged(world: World) -> None:
    row = submit_unanswered(world, good=True)
    world.vault.unseen.add(row.client_version_id)
    assert world.sweep_when_due() == {"store_unavailable": 1}
    assert world.row().status is Status.PENDING_VALIDATION
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
    stored = world.vault.get_client_pair(CLIENT_ID, version_id=world.row().client_version_id)
    assert stored == ClientPair(CLIENT_ID, "the right one")
    world.advance(3600)
    assert world.sweep() == {}
