from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest

from tests.fakes.builders import a_credential
from tests.fakes.interruptions import ProcessDied, die, step_in
from tests.fakes.stores import InMemoryRegistry
from tests.fakes.world import CLIENT_ID, NOON, World
from xero_connector.domain.credential import Credential
from xero_connector.domain.errors import LeaseUnavailable, RevisionConflict, StoreUnavailable
from xero_connector.domain.refresh_policy import LEASE
from xero_connector.services.change_credential import ChangeCredential
from xero_connector.services.find_credential import FindCredential
from xero_connector.services.hold_lease import HeldLease, HoldLease, unchanged


@pytest.fixture
def hold(world: World) -> HoldLease:
    world.registry.create(a_credential(), replacing=None)
    return HoldLease(world.registry, world.clock, world.deadline, world.advance, lambda: "me")


def relabelled(registry: InMemoryRegistry, label: str) -> Credential:
    credential = registry.get(CLIENT_ID)
    assert credential is not None
    return registry.save(replace(credential, label=label))


def test_a_lease_makes_the_credential_due_when_it_ends(world: World, hold: HoldLease) -> None:
    lease = hold(world.credential())
    credential = world.credential()
    assert credential == lease.credential
    assert credential.lease is not None
    assert (credential.lease.owner, credential.lease.until) == ("me", NOON + LEASE)
    assert credential.due_at == NOON + LEASE
    assert credential.attempt_started_at == NOON
    assert not lease.unfinished


def test_a_living_lease_is_not_taken(world: World, hold: HoldLease) -> None:
    world.registry.save(world.credential().leased("another", now=NOON, duration=LEASE))
    world.advance(LEASE.total_seconds() - 1)
    with pytest.raises(LeaseUnavailable):
        hold(world.credential())
    world.advance(1)
    assert hold(world.credential()).unfinished


def test_a_credential_that_was_written_since_is_not_leased(world: World, hold: HoldLease) -> None:
    stale = world.credential()
    relabelled(world.registry, "another label")
    with pytest.raises(LeaseUnavailable):
        hold(stale)


def test_a_lease_that_is_long_enough_is_not_renewed(world: World, hold: HoldLease) -> None:
    lease = hold(world.credential())
    revision = lease.credential.revision
    lease.ensure(LEASE)
    assert lease.credential.revision == revision
    world.advance(1)
    lease.ensure(LEASE)
    assert lease.credential.lease is not None
    assert lease.credential.lease.until == NOON + timedelta(seconds=1) + LEASE


def test_a_lease_that_was_not_taken_over_may_be_renewed_late(world: World, hold: HoldLease) -> None:
    lease = hold(world.credential())
    world.advance(600)
    lease.ensure(timedelta(seconds=1))
    assert lease.credential.lease is not None
    assert lease.credential.lease.until == world.now + LEASE


@pytest.mark.parametrize("field", ["lease", "generation", "incarnation", "credential"])
def test_a_holder_that_lost_its_place_writes_nothing(world: World, hold: HoldLease, field: str) -> None:
    lease = hold(world.credential())
    another_life = UUID(int=1)
    match field:
        case "lease":
            world.advance(60)
            changed = world.credential().leased("another", now=world.now, duration=LEASE)
        case "generation":
            changed = replace(world.credential(), generation=7)
        case _:
            changed = replace(world.credential(), incarnation=another_life)
    world.registry.save(changed)
    if field == "credential":
        world.registry.rows.clear()
    before = dict(world.registry.rows)
    with pytest.raises(LeaseUnavailable):
        lease.save(lambda credential, _: replace(credential, label="overrun"))
    assert world.registry.rows == before


def test_a_credential_that_never_stands_still_is_given_up(world: World, hold: HoldLease) -> None:
    lease = hold(world.credential())

    def disturb() -> None:
        step_in(world.registry, "save", before=disturb_and_write)

    def disturb_and_write() -> None:
        relabelled(world.registry, "again")
        disturb()

    disturb()
    with pytest.raises(RevisionConflict):
        lease.save(lambda credential, _: replace(credential, label="mine"))


def test_waiting_ends_with_the_patience(world: World, hold: HoldLease) -> None:
    credential = world.registry.save(world.credential().leased("another", now=NOON, duration=LEASE))
    with pytest.raises(LeaseUnavailable):
        hold.waiting(credential, patience=timedelta(seconds=6))
    assert timedelta(seconds=6) <= world.now - NOON <= timedelta(seconds=7)


def test_waiting_for_one_incarnation_does_not_get_another(world: World, hold: HoldLease) -> None:
    credential = world.registry.save(world.credential().leased("another", now=NOON, duration=LEASE))
    world.registry.rows[CLIENT_ID] = replace(credential, incarnation=UUID(int=1), lease=None)
    with pytest.raises(LeaseUnavailable):
        hold.waiting(credential, patience=timedelta(seconds=6))


def test_a_change_without_a_lease_is_made_on_the_newest_credential(world: World, hold: HoldLease) -> None:
    del hold
    change = ChangeCredential(world.registry, FindCredential(world.registry))
    step_in(world.registry, "save", before=lambda: relabelled(world.registry, "another label"))
    credential = change(CLIENT_ID, lambda credential: replace(credential, failures=credential.failures + 1))
    assert (credential.label, credential.failures) == ("another label", 1)


def test_a_change_that_always_comes_late_is_given_up(world: World, hold: HoldLease) -> None:
    del hold
    change = ChangeCredential(world.registry, FindCredential(world.registry))
    with pytest.raises(RevisionConflict):
        change(CLIENT_ID, lambda _: replace(relabelled(world.registry, "again"), revision=0))


class RefusedError(Exception):
    pass


def away() -> None:
    raise StoreUnavailable("PutItem", "InternalServerError")


def fail(lease: HeldLease) -> None:
    with lease:
        raise RefusedError


def test_a_block_that_ends_nothing_gives_the_lease_back_as_it_was(world: World, hold: HoldLease) -> None:
    before = world.credential()
    with hold(before, consenting="request"):
        world.advance(1)
    after = world.credential()
    assert (after.lease, after.due_at, after.attempt_started_at, after.consenting) == (
        None,
        before.due_at,
        None,
        None,
    )


def test_an_error_gives_the_lease_back(world: World, hold: HoldLease) -> None:
    with pytest.raises(RefusedError):
        fail(hold(world.credential()))
    assert world.credential().lease is None


def test_while_something_is_unsettled_the_lease_is_left_to_expire(world: World, hold: HoldLease) -> None:
    lease = hold(world.credential())
    lease.unsettled = True
    with pytest.raises(RefusedError):
        fail(lease)
    after = world.credential()
    assert after.lease is not None
    assert (after.due_at, after.attempt_started_at) == (NOON + LEASE, NOON)


def test_a_process_that_dies_leaves_its_lease_behind(world: World, hold: HoldLease) -> None:
    with pytest.raises(ProcessDied), hold(world.credential()):
        die()
    assert world.credential().lease is not None
    assert world.credential().due_at == NOON + LEASE


def test_a_lease_that_was_taken_over_is_not_given_back(world: World, hold: HoldLease) -> None:
    lease = hold(world.credential())
    world.advance(60)
    overtaken = world.registry.save(world.credential().leased("another", now=world.now, duration=LEASE))
    with pytest.raises(RefusedError):
        fail(lease)
    assert world.credential() == overtaken


def test_a_lease_that_the_registry_does_not_take_back_expires(world: World, hold: HoldLease) -> None:
    lease = hold(world.credential())
    step_in(world.registry, "save", before=away)
    with pytest.raises(RefusedError):
        fail(lease)
    assert world.credential() == lease.credential


def test_with_no_time_left_a_lease_is_left_to_expire(world: World, hold: HoldLease) -> None:
    lease = hold(world.credential())
    world.pause(25)
    with pytest.raises(RefusedError):
        fail(lease)
    assert world.credential().lease is not None


def test_the_end_of_a_turn_is_its_last_write(world: World, hold: HoldLease) -> None:
    with hold(world.credential()) as lease:
        ended = lease.end(lambda credential, now: credential.released(due_at=now, attempt_finished=True, now=now))
    assert world.credential() == ended
    assert ended.due_at == NOON


def test_a_failed_end_is_followed_by_no_other_write(world: World, hold: HoldLease) -> None:
    lease = hold(world.credential())
    step_in(world.registry, "save", before=away)
    with pytest.raises(StoreUnavailable), lease:
        lease.give_back()
    assert world.credential() == lease.credential


def test_an_end_has_to_give_the_lease_back(world: World, hold: HoldLease) -> None:
    lease = hold(world.credential())
    with pytest.raises(AssertionError):
        lease.end(unchanged)
    assert world.credential() == lease.credential


def test_what_is_kept_is_what_the_lease_goes_back_to(world: World, hold: HoldLease) -> None:
    later = NOON + timedelta(hours=1)
    cut_off = replace(world.credential(), attempt_started_at=NOON - timedelta(minutes=5))
    with hold(world.registry.save(cut_off)) as lease:
        kept = lease.keep(
            lambda credential, now: credential.released(due_at=later, attempt_finished=True, now=now)
        )
        assert kept.lease is not None
        assert lease.before.attempt_started_at is None
    after = world.credential()
    assert (after.lease, after.due_at, after.attempt_started_at) == (None, later, None)
