from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest

from tests.fakes.builders import a_credential
from tests.fakes.interruptions import step_in
from tests.fakes.stores import InMemoryRegistry
from tests.fakes.world import CLIENT_ID, NOON, World
from xero_connector.domain.credential import Credential
from xero_connector.domain.errors import LeaseUnavailable, RevisionConflict
from xero_connector.domain.refresh_policy import LEASE
from xero_connector.services.change_credential import ChangeCredential
from xero_connector.services.find_credential import FindCredential
from xero_connector.services.hold_lease import HoldLease


@pytest.fixture
def hold(world: World) -> HoldLease:
    world.registry.create(a_credential(), replacing=None)
    return HoldLease(world.registry, world.clock, world.advance, lambda: "me")


def relabelled(registry: InMemoryRegistry, label: str) -> Credential:
    row = registry.get(CLIENT_ID)
    assert row is not None
    return registry.save(replace(row, label=label))


def test_a_lease_makes_the_row_due_when_it_ends(world: World, hold: HoldLease) -> None:
    held = hold(world.row())
    row = world.row()
    assert row == held.row
    assert row.lease is not None
    assert (row.lease.owner, row.lease.until) == ("me", NOON + LEASE)
    assert row.due_at == NOON + LEASE
    assert row.attempt_started_at == NOON
    assert not held.unfinished


def test_nobody_takes_a_living_lease(world: World, hold: HoldLease) -> None:
    world.registry.save(world.row().leased("somebody", now=NOON, duration=LEASE))
    world.advance(LEASE.total_seconds() - 1)
    with pytest.raises(LeaseUnavailable):
        hold(world.row())
    world.advance(1)
    assert hold(world.row()).unfinished


def test_a_row_that_somebody_wrote_since_is_not_leased(world: World, hold: HoldLease) -> None:
    stale = world.row()
    relabelled(world.registry, "somebody was here")
    with pytest.raises(LeaseUnavailable):
        hold(stale)


def test_a_lease_that_is_long_enough_is_not_renewed(world: World, hold: HoldLease) -> None:
    held = hold(world.row())
    revision = held.row.revision
    held.ensure(LEASE)
    assert held.row.revision == revision
    world.advance(1)
    held.ensure(LEASE)
    assert held.row.lease is not None
    assert held.row.lease.until == NOON + timedelta(seconds=1) + LEASE


def test_a_lease_that_nobody_took_over_may_be_renewed_late(world: World, hold: HoldLease) -> None:
    held = hold(world.row())
    world.advance(600)
    held.ensure(timedelta(seconds=1))
    assert held.row.lease is not None
    assert held.row.lease.until == world.now + LEASE


@pytest.mark.parametrize("field", ["lease", "generation", "incarnation", "row"])
def test_a_holder_that_lost_its_place_writes_nothing(world: World, hold: HoldLease, field: str) -> None:
    held = hold(world.row())
    another_life = UUID(int=1)
    match field:
        case "lease":
            world.advance(60)
            changed = world.row().leased("somebody", now=world.now, duration=LEASE)
        case "generation":
            changed = replace(world.row(), generation=7)
        case _:
            changed = replace(world.row(), incarnation=another_life)
    world.registry.save(changed)
    if field == "row":
        world.registry.rows.clear()
    before = dict(world.registry.rows)
    with pytest.raises(LeaseUnavailable):
        held.save(lambda row, _: replace(row, label="overrun"))
    assert world.registry.rows == before


def test_a_row_that_never_stands_still_is_given_up(world: World, hold: HoldLease) -> None:
    held = hold(world.row())

    def disturb() -> None:
        step_in(world.registry, "save", before=disturb_and_write)

    def disturb_and_write() -> None:
        relabelled(world.registry, "again")
        disturb()

    disturb()
    with pytest.raises(RevisionConflict):
        held.save(lambda row, _: replace(row, label="mine"))


def test_waiting_ends_with_the_patience(world: World, hold: HoldLease) -> None:
    row = world.registry.save(world.row().leased("somebody", now=NOON, duration=LEASE))
    with pytest.raises(LeaseUnavailable):
        hold.waiting(row, patience=timedelta(seconds=6))
    assert timedelta(seconds=6) <= world.now - NOON <= timedelta(seconds=7)


def test_whoever_waits_for_one_life_does_not_get_another(world: World, hold: HoldLease) -> None:
    row = world.registry.save(world.row().leased("somebody", now=NOON, duration=LEASE))
    world.registry.rows[CLIENT_ID] = replace(row, incarnation=UUID(int=1), lease=None)
    with pytest.raises(LeaseUnavailable):
        hold.waiting(row, patience=timedelta(seconds=6))


def test_a_change_without_a_lease_is_made_on_the_newest_row(world: World, hold: HoldLease) -> None:
    del hold
    change = ChangeCredential(world.registry, FindCredential(world.registry))
    step_in(world.registry, "save", before=lambda: relabelled(world.registry, "somebody was here"))
    row = change(CLIENT_ID, lambda row: replace(row, failures=row.failures + 1))
    assert (row.label, row.failures) == ("somebody was here", 1)


def test_a_change_that_always_comes_late_is_given_up(world: World, hold: HoldLease) -> None:
    del hold
    change = ChangeCredential(world.registry, FindCredential(world.registry))
    with pytest.raises(RevisionConflict):
        change(CLIENT_ID, lambda _: replace(relabelled(world.registry, "again"), revision=0))
