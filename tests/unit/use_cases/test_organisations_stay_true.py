from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from tests.fakes.world import CLIENT_ID, World
from tests.fakes.xero import DEMO_COMPANY, ELECTRO_LAND
from xero_connector.domain.refresh_policy import TENANTS_RECHECK
from xero_connector.domain.status import Status
from xero_connector.domain.tenant import MOST_TENANTS, Tenant
from xero_connector.domain.token_endpoint import FailureKind

NEW_BRANCH = Tenant(tenant_id="t-3", tenant_name="New Branch", tenant_type="ORGANISATION", connection_id="c-3")


def refresh_for(world: World, duration: timedelta) -> None:
    end = world.now + duration
    while world.now < end:
        assert world.sweep_when_due() == {"refreshed": 1}


def changes(world: World) -> list[Mapping[str, Any]]:
    return [event.detail for event in world.event_bus.published if event.event_type == "TenantsChanged"]


def names(tenants: list[dict[str, str]]) -> list[str]:
    return [tenant["tenant_name"] for tenant in tenants]


@pytest.fixture
def world(world: World) -> World:
    world.connect()
    world.xero.calls.clear()
    return world


def test_the_list_is_looked_at_on_a_slow_schedule(world: World) -> None:
    refresh_for(world, timedelta(hours=24))
    assert 3 <= world.xero.calls.count("tenants") <= 4
    assert changes(world) == []


@pytest.mark.parametrize(
    ("organisations", "added", "removed"),
    [
        ((DEMO_COMPANY, ELECTRO_LAND, NEW_BRANCH), ["New Branch"], []),
        ((ELECTRO_LAND,), [], ["Demo Company (UK)"]),
        ((NEW_BRANCH,), ["New Branch"], ["Demo Company (UK)", "Electro Land"]),
        ((), [], ["Demo Company (UK)", "Electro Land"]),
    ],
    ids=["added", "removed", "replaced", "none left"],
)
def test_a_change_is_recorded_stored_and_published_once(
    world: World, organisations: tuple[Tenant, ...], added: list[str], removed: list[str]
) -> None:
    world.xero.organisations = organisations
    refresh_for(world, 2 * TENANTS_RECHECK)
    assert world.credential().tenants == organisations
    assert world.credential().status is Status.CONNECTED
    assert world.vault.current_tokens(CLIENT_ID).tenants == organisations
    (change,) = changes(world)
    assert (names(change["added"]), names(change["removed"])) == (added, removed)
    assert names(change["tenants"]) == [tenant.tenant_name for tenant in organisations]


def test_a_new_name_is_taken_over_without_an_event(world: World) -> None:
    renamed = Tenant(tenant_id="t-1", tenant_name="Demo Ltd", tenant_type="ORGANISATION", connection_id="c-1")
    world.xero.organisations = (renamed, ELECTRO_LAND)
    refresh_for(world, TENANTS_RECHECK + timedelta(hours=1))
    assert world.credential().tenants == (renamed, ELECTRO_LAND)
    assert changes(world) == []


def test_a_list_that_does_not_come_changes_nothing_and_is_asked_for_again(world: World) -> None:
    before = world.credential().tenants
    world.xero.connections_down = True
    refresh_for(world, TENANTS_RECHECK + timedelta(hours=1))
    assert world.credential().tenants == before
    world.xero.connections_down = False
    world.xero.organisations = ()
    world.sweep_when_due()
    assert world.credential().tenants == ()


def test_the_list_is_read_before_the_token_is_spent(world: World) -> None:
    world.advance(TENANTS_RECHECK.total_seconds())
    # The token that is stored is too old to read with: nothing is asked with it.
    world.sweep()
    assert world.xero.calls == ["refresh"]
    world.sweep_when_due()
    assert world.xero.calls == ["refresh", "tenants", "refresh"]


def test_what_was_read_is_not_lost_with_a_refresh_that_fails(world: World) -> None:
    refresh_for(world, TENANTS_RECHECK - timedelta(minutes=40))
    world.xero.organisations = (ELECTRO_LAND,)
    world.advance(3600)
    world.sweep()
    world.xero.failures.append(FailureKind.UNAVAILABLE)
    world.sweep_when_due()
    world.sweep_when_due()
    assert world.credential().tenants == (ELECTRO_LAND,)
    assert len(changes(world)) == 1


def test_another_consent_takes_nothing_away_that_the_grant_still_reaches(world: World) -> None:
    before = world.xero.organisations
    world.xero.organisations = (NEW_BRANCH,)  # all that the list says about this consent
    world.consent()
    connected = [event for event in world.event_bus.published if event.event_type == "CredentialConnected"]
    assert names(connected[-1].detail["tenants"]) == ["New Branch"]
    assert changes(world) == []
    world.xero.organisations = (*before, NEW_BRANCH)
    world.sweep_when_due()
    (change,) = changes(world)
    assert (names(change["added"]), change["removed"]) == (["Demo Company (UK)", "Electro Land"], [])
    assert len(change["tenants"]) == 3


def test_more_organisations_than_a_credential_holds_cost_no_grant(world: World) -> None:
    world.xero.organisations = tuple(
        Tenant(tenant_id=f"t-{n}", tenant_name=f"Client {n}", tenant_type="ORGANISATION", connection_id=f"c-{n}")
        for n in range(2_000)
    )
    refresh_for(world, TENANTS_RECHECK + timedelta(hours=1))
    assert world.credential().tenants == world.xero.organisations[:MOST_TENANTS]
    assert world.observer.counts["TenantsLeftOut"] == 1_500
    assert world.credential().status is Status.CONNECTED
