from dataclasses import replace
from datetime import timedelta

import pytest

from tests.fakes.builders import a_credential
from tests.fakes.interruptions import ProcessDied, die, step_in
from tests.fakes.world import ADMIN, CLIENT_ID, NOON, World
from xero_connector.domain.credential import Credential
from xero_connector.domain.errors import Conflict, NotFound
from xero_connector.domain.status import Status
from xero_connector.domain.token_endpoint import INCONCLUSIVE, FailureKind, TokenEndpointFailure
from xero_connector.domain.tokens import ClientPair


def disconnect(world: World) -> Credential:
    credential = world.app.disconnect_credential(CLIENT_ID, by=ADMIN)
    assert credential == world.credential()
    return credential


def both_secrets(world: World) -> set[str]:
    return {world.vault.client_secret_name(CLIENT_ID), world.vault.tokens_secret_name(CLIENT_ID)}


def test_no_credential_to_disconnect(world: World) -> None:
    with pytest.raises(NotFound):
        world.app.disconnect_credential(CLIENT_ID, by=ADMIN)


def test_the_grant_is_revoked_and_both_secrets_deleted(world: World) -> None:
    world.connect()
    credential = disconnect(world)
    assert credential.status is Status.DISCONNECTED
    assert (credential.due_at, credential.lease, credential.attempt_started_at, credential.tenants) == (
        None,
        None,
        None,
        (),
    )
    assert world.xero.revoked == ["refresh-1"]
    assert world.vault.deleted == both_secrets(world)
    assert world.observer.counts["CredentialDisconnected"] == 1


def test_the_newest_grant_is_the_one_that_is_revoked(world: World) -> None:
    world.connect()
    world.sweep_when_due()
    world.sweep_when_due()
    disconnect(world)
    assert world.xero.revoked == ["refresh-3"]


def test_what_was_disconnected_is_never_due_again(world: World) -> None:
    world.connect()
    disconnect(world)
    world.xero.calls.clear()
    for _ in range(10):
        world.advance(86_400)
        assert world.sweep() == {}
    assert world.xero.calls == []


def test_a_pair_without_a_grant_has_nothing_to_revoke(world: World) -> None:
    world.submit()
    assert disconnect(world).status is Status.DISCONNECTED
    assert world.xero.revoked == []
    assert world.vault.deleted == {world.vault.client_secret_name(CLIENT_ID)}


def test_a_pending_pair_can_be_taken_back(world: World) -> None:
    world.xero.failures.append(FailureKind.UNANSWERED)
    world.submit()
    assert disconnect(world).status is Status.DISCONNECTED
    assert world.vault.deleted == {world.vault.client_secret_name(CLIENT_ID)}
    world.advance(86_400)
    assert world.sweep() == {}


@pytest.mark.parametrize(
    "status", [Status.CONNECTED, Status.DEGRADED, Status.REAUTHORIZATION_REQUIRED, Status.CLIENT_REJECTED]
)
def test_every_credential_with_a_grant_can_be_ended(world: World, status: Status) -> None:
    world.connect()
    world.registry.save(replace(world.credential(), status=status))
    assert disconnect(world).status is Status.DISCONNECTED
    assert world.xero.revoked == ["refresh-1"]
    assert world.vault.deleted == both_secrets(world)


def test_once_more_changes_nothing(world: World) -> None:
    before = world.registry.create(a_credential(status=Status.DISCONNECTED), replacing=None)
    assert disconnect(world) == before
    assert world.xero.calls == []


def test_a_rejected_pair_is_ended_with_its_secret(world: World) -> None:
    pair = ClientPair(CLIENT_ID, "wrong")
    credential = world.registry.create(a_credential(status=Status.REJECTED), replacing=None)
    world.vault.put_client_pair(pair, version_id=credential.client_version_id)
    credential = disconnect(world)
    assert (credential.status, credential.last_error, credential.due_at) == (Status.DISCONNECTED, None, None)
    assert world.vault.deleted == {world.vault.client_secret_name(CLIENT_ID)}
    assert world.xero.calls == []


@pytest.mark.parametrize("kind", sorted(INCONCLUSIVE))
def test_while_xero_is_away_the_secrets_are_kept(world: World, kind: FailureKind) -> None:
    world.connect()
    world.xero.failures.append(kind)
    credential = disconnect(world)
    assert credential.status is Status.DISCONNECTING
    assert credential.last_error is not None
    assert credential.last_error.code == kind
    assert credential.due_at == NOON + timedelta(minutes=1)
    assert credential.lease is None
    assert world.vault.deleted == set()


def test_the_sweep_finishes_what_xero_kept_from_ending(world: World) -> None:
    world.connect()
    world.xero.failures.extend([FailureKind.THROTTLED] * 7)
    disconnect(world)
    pauses = []
    for _ in range(6):
        assert world.sweep_when_due() == {"disconnecting": 1}
        due_at = world.credential().due_at
        assert due_at is not None
        pauses.append((due_at - world.now) / timedelta(minutes=1))
    assert pauses == [2, 4, 8, 15, 15, 15]
    assert world.sweep_when_due() == {"disconnected": 1}
    # The access token ran out meanwhile, so the refresh token was exchanged first.
    assert world.xero.revoked == ["refresh-2"]
    assert world.vault.deleted == both_secrets(world)
    assert (world.credential().due_at, world.credential().last_error) == (None, None)


def test_an_admin_may_try_again_at_once(world: World) -> None:
    world.connect()
    world.xero.failures.append(FailureKind.UNAVAILABLE)
    assert disconnect(world).status is Status.DISCONNECTING
    assert disconnect(world).status is Status.DISCONNECTED


def test_trouble_from_before_is_not_told_as_the_reason_why_a_grant_was_not_revoked(world: World) -> None:
    world.connect()
    world.xero.failures.append(FailureKind.INVALID_CLIENT)
    world.sweep_when_due()
    assert world.credential().status is Status.CLIENT_REJECTED
    credential = disconnect(world)
    assert (credential.status, credential.last_error) == (Status.DISCONNECTED, None)
    assert world.xero.revoked == ["refresh-1"]


def test_what_is_being_disconnected_is_not_refreshed(world: World) -> None:
    world.connect()
    world.xero.failures.append(FailureKind.UNAVAILABLE)
    disconnect(world)
    world.xero.calls.clear()
    world.app.refresh_credential(world.credential(), only_if_due=False)
    assert world.xero.calls == []


@pytest.mark.parametrize("kind", [FailureKind.INVALID_CLIENT, FailureKind.UNAUTHORIZED_CLIENT])
def test_a_pair_that_cannot_revoke_any_more_is_ended_and_says_what_is_left_to_do(
    world: World, kind: FailureKind
) -> None:
    world.connect()
    world.xero.failures.extend([kind] * 10)
    disconnect(world)
    while world.credential().status is Status.DISCONNECTING:
        assert world.vault.deleted == set()
        world.sweep_when_due()
    credential = world.credential()
    assert credential.status is Status.DISCONNECTED
    assert credential.last_error is not None
    assert "Connected apps" in credential.last_error.detail
    assert world.vault.deleted == both_secrets(world)
    assert world.now - NOON >= timedelta(minutes=20)


@pytest.mark.parametrize("kind", [FailureKind.INVALID_CLIENT, FailureKind.UNAUTHORIZED_CLIENT])
def test_a_pair_that_xero_refuses_for_minutes_still_revokes(world: World, kind: FailureKind) -> None:
    world.connect()
    world.xero.failures.extend([kind] * 3)
    assert disconnect(world).status is Status.DISCONNECTING
    while world.credential().status is Status.DISCONNECTING:
        world.sweep_when_due()
    assert (world.credential().status, world.credential().last_error) == (Status.DISCONNECTED, None)
    assert "refresh-1" in world.xero.dead


def test_a_pair_that_was_refused_again_and_again_before_is_ended_at_once(world: World) -> None:
    world.connect()
    world.xero.secrets[CLIENT_ID] = "another"
    for _ in range(4):
        world.sweep_when_due()
    assert world.credential().status is Status.CLIENT_REJECTED
    credential = disconnect(world)
    assert credential.status is Status.DISCONNECTED
    assert credential.last_error is not None
    assert credential.last_error.code == FailureKind.INVALID_CLIENT


@pytest.mark.parametrize(
    "kind", [FailureKind.UNANSWERED, FailureKind.UNAVAILABLE, FailureKind.UNEXPECTED, FailureKind.EDGE_REFUSED]
)
def test_after_a_lost_exchange_there_are_several_tries_within_the_grace(world: World, kind: FailureKind) -> None:
    world.connect()
    world.advance(31 * 60)
    world.xero.failures.append(kind)
    disconnect(world)
    lost_at = world.now
    pause = TokenEndpointFailure(FailureKind.THROTTLED, retry_after=900)
    world.xero.failures.extend([pause] * 3)
    for _ in range(3):
        assert world.sweep_when_due() == {"disconnecting": 1}
    assert world.sweep_when_due() == {"disconnected": 1}
    assert world.now - lost_at < timedelta(minutes=25)
    assert world.credential().last_error is None


def test_after_the_grace_a_lost_exchange_is_no_reason_to_hurry(world: World) -> None:
    world.connect()
    world.advance(31 * 60)
    world.xero.failures.extend([FailureKind.UNANSWERED] * 30)
    disconnect(world)
    while world.now < NOON + timedelta(hours=4):
        world.sweep_when_due()
    assert len(world.xero.refresh_tokens) < 30


def test_a_refresh_that_was_cut_off_has_its_newer_grant_revoked(world: World) -> None:
    world.connect()
    step_in(world.vault, "put_tokens", after=die, skip=1)
    with pytest.raises(ProcessDied):
        world.sweep_when_due()
    world.advance(60)
    assert disconnect(world).status is Status.DISCONNECTED
    assert world.xero.revoked == ["refresh-2"]


def test_a_consent_that_was_cut_off_has_its_grant_revoked(world: World) -> None:
    world.submit()
    step_in(world.vault, "put_tokens", after=die)
    with pytest.raises(ProcessDied):
        world.consent()
    world.advance(60)
    disconnect(world)
    assert world.xero.revoked == ["refresh-1"]
    assert world.vault.deleted == both_secrets(world)


@pytest.mark.parametrize("step", ["delete_tokens", "delete_client_pair"])
@pytest.mark.parametrize("how", ["before", "after"])
def test_dying_between_the_steps_is_followed_by_the_sweep(world: World, step: str, how: str) -> None:
    world.connect()
    if how == "before":
        step_in(world.vault, step, before=die)
    else:
        step_in(world.vault, step, after=die)
    with pytest.raises(ProcessDied):
        world.app.disconnect_credential(CLIENT_ID, by=ADMIN)
    assert world.credential().status is Status.DISCONNECTING
    assert world.sweep_when_due() == {"disconnected": 1}
    assert world.vault.deleted == both_secrets(world)


def test_dying_before_the_grant_is_revoked_is_followed_by_the_sweep(world: World) -> None:
    world.connect()
    step_in(world.xero, "revoke", before=die)
    with pytest.raises(ProcessDied):
        world.app.disconnect_credential(CLIENT_ID, by=ADMIN)
    assert world.sweep_when_due() == {"disconnected": 1}
    assert world.xero.revoked == ["refresh-1"]


def test_secrets_that_the_reader_cannot_see_yet_are_waited_for(world: World) -> None:
    world.vault.unseen.add(world.connect().tokens_version_id(1))
    credential = disconnect(world)
    assert credential.last_error is not None
    assert (credential.status, credential.last_error.code) == (Status.DISCONNECTING, "secret_unreadable")
    for _ in range(14):
        assert world.sweep_when_due() == {"disconnecting": 1}
    assert world.vault.deleted == set()
    world.vault.unseen.clear()
    assert world.sweep_when_due() == {"disconnected": 1}
    assert (world.xero.revoked, world.credential().last_error) == (["refresh-1"], None)


def test_a_refresh_that_is_under_way_is_waited_for(world: World) -> None:
    world.connect()
    world.registry.save(world.credential().leased("another", now=world.now, duration=timedelta(seconds=3)))
    assert disconnect(world).status is Status.DISCONNECTED
    assert world.now == NOON + timedelta(seconds=3)


def test_a_refresh_that_takes_long_is_a_conflict(world: World) -> None:
    world.connect()
    world.registry.save(world.credential().leased("another", now=world.now, duration=timedelta(seconds=60)))
    with pytest.raises(Conflict) as conflict:
        world.app.disconnect_credential(CLIENT_ID, by=ADMIN)
    assert conflict.value.code == "busy"
    assert world.credential().status is Status.CONNECTED
    assert world.xero.revoked == []


def test_two_at_once_end_it_once(world: World) -> None:
    world.connect()
    # Both have read the credential; the other takes the lease first, and ends it.
    step_in(world.registry, "get", after=lambda: disconnect(world))
    credential = disconnect(world)
    assert credential.status is Status.DISCONNECTED
    assert (credential.lease, credential.due_at, credential.attempt_started_at) == (None, None, None)
    told = [event.event_type for event in world.event_bus.published]
    assert told.count("CredentialDisconnected") == 1
    assert len(world.xero.revoked) == 1


def test_a_tombstone_promises_no_tokens(world: World) -> None:
    world.connect()
    credential = disconnect(world)
    assert (credential.access_token_expires_at, credential.refresh_token_expires_at) == (None, None)
