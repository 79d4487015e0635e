"""What a turn tells the sweep's brake: whether Xero answered, did not answer, or was not asked."""

import pytest

from tests.fakes.world import ADMIN, CLIENT_ID, World
from xero_connector.domain.credential import Credential
from xero_connector.domain.status import Status
from xero_connector.domain.token_endpoint import FailureKind
from xero_connector.services.turn_done import TurnDone


def pending(world: World) -> Credential:
    world.xero.failures.append(FailureKind.UNANSWERED)
    return world.submit()


def proof(world: World) -> TurnDone:
    return world.app.sweep_due_credentials.validate_pending(world.credential())


def disconnecting(world: World) -> Credential:
    world.connect()
    world.xero.failures.append(FailureKind.UNAVAILABLE)
    return world.app.disconnect_credential(CLIENT_ID, by=ADMIN)


def test_a_proof_that_is_answered(world: World) -> None:
    pending(world)
    done = proof(world)
    assert (done.outcome, done.answered) == (Status.VALIDATED, True)


def test_a_proof_without_a_definite_answer(world: World) -> None:
    pending(world)
    world.xero.failures.append(FailureKind.UNANSWERED)
    done = proof(world)
    assert (done.outcome, done.answered) == (Status.PENDING_VALIDATION, False)


def test_a_proof_whose_pair_cannot_be_read_asks_nothing(world: World) -> None:
    credential = pending(world)
    world.vault.versions[world.vault.client_secret_name(CLIENT_ID)].pop(credential.client_version_id)
    assert proof(world).answered is None


def test_the_deletion_of_a_rejected_pair_asks_nothing(world: World) -> None:
    pending(world)
    world.xero.secrets[CLIENT_ID] = "another"
    rejected = world.reject()
    assert rejected.due_at is not None
    world.now = rejected.due_at
    done = proof(world)
    assert (done.outcome, done.answered) == (Status.REJECTED, None)


def test_a_pair_that_is_looked_at_again_by_the_schedule(world: World) -> None:
    world.submit()
    assert world.app.revalidate_credential.scheduled(CLIENT_ID).answered
    world.xero.failures.append(FailureKind.UNANSWERED)
    assert world.app.revalidate_credential.scheduled(CLIENT_ID).answered is False


def test_a_disconnect_that_is_answered(world: World) -> None:
    done = world.app.disconnect_credential.resume(disconnecting(world))
    assert (done.outcome, done.answered) == (Status.DISCONNECTED, True)


@pytest.mark.parametrize(
    ("failure", "answered"), [(FailureKind.UNAVAILABLE, False), (FailureKind.THROTTLED, True)]
)
def test_a_disconnect_that_is_postponed(world: World, failure: FailureKind, *, answered: bool) -> None:
    credential = disconnecting(world)
    world.xero.failures.append(failure)
    done = world.app.disconnect_credential.resume(credential)
    assert (done.outcome, done.answered) == (Status.DISCONNECTING, answered)


def test_a_disconnect_that_finds_no_grant_asks_nothing(world: World) -> None:
    credential = world.submit()
    done = world.app.disconnect_credential.resume(credential)
    assert (done.outcome, done.answered) == (Status.DISCONNECTED, None)
