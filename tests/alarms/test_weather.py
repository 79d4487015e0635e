"""What must not ring: ordinary weather, and what is one customer's own trouble."""

import pytest

from tests.alarms.cloudformation import Stack
from tests.alarms.fleet import Fleet
from tests.handlers.conftest import sample_event
from xero_connector.domain.token_endpoint import FailureKind

EVERY_KIND = list(FailureKind)


def test_in_ordinary_weather_nothing_rings(fleet: Fleet) -> None:
    for _ in range(4):
        fleet.run(30)
        fleet.request("credential_api", sample_event("credential_api/list"))
        fleet.request("oauth_callback", sample_event("oauth_callback/callback"))
        fleet.request("setup_page", sample_event("setup_page/show"))
    assert fleet.board.rang == []
    assert fleet.board.notices == []


def test_each_run_counts_the_fleet(fleet: Fleet) -> None:
    fleet.counted = None
    fleet.run(30)
    assert fleet.board.rang == []


def test_a_fleet_without_credentials_rings_nothing(deployed: Fleet) -> None:
    deployed.world.advance(300 - deployed.world.now.timestamp() % 300)
    deployed.run(20, look=False)
    deployed.run(20)
    assert deployed.board.rang == []


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_one_customers_broken_app_rings_nothing(fleet: Fleet, kind: FailureKind) -> None:
    broken = fleet.client_ids[0]
    fleet.refuse([broken], kind)
    fleet.run(2 * 60)
    assert fleet.world.credential(broken).status != "connected"
    assert fleet.board.rang == []


@pytest.mark.parametrize("kind", [FailureKind.UNAVAILABLE, FailureKind.INVALID_CLIENT])
def test_several_broken_apps_one_after_the_other_ring_nothing(fleet: Fleet, kind: FailureKind) -> None:
    for broken in fleet.client_ids[:2]:
        fleet.refuse([broken], kind)
        fleet.run(60)
    assert fleet.board.rang == []


def test_a_short_outage_of_xero_rings_nothing(fleet: Fleet) -> None:
    fleet.refuse(fleet.client_ids, FailureKind.UNAVAILABLE)
    fleet.run(4)
    fleet.refused.clear()
    fleet.run(30)
    assert fleet.board.rang == []


class TestWithOneCustomer:
    """The only customer's trouble is the fleet's: the deployer says so, and it rings once."""

    @pytest.fixture
    def stack(self) -> Stack:
        return Stack(AlarmEmail="ops@example.com", FleetAlarmThreshold="1")

    def test_it_rings_once_and_goes_on(self, deployed: Fleet) -> None:
        deployed.connect(1)
        deployed.run(20, look=False)
        deployed.refuse(deployed.client_ids, FailureKind.UNAVAILABLE)
        deployed.run(3 * 60)
        rang = [name for _, name in deployed.board.rang]
        assert rang.count("TokensRunningOut") == 1
        assert deployed.board.notices == ["RefreshSuffers"]


class TestWithoutGroups:
    """Each alarm sends its own notice, and there is neither a composite alarm nor metric math."""

    @pytest.fixture
    def stack(self) -> Stack:
        return Stack(AlarmEmail="ops@example.com", AlarmGroups="disabled")

    def test_each_alarm_sends_its_own(self, deployed: Fleet) -> None:
        assert deployed.board.composites == {}
        assert all(alarm["AlarmActions"] == ["AlarmTopic"] for alarm in deployed.board.alarms.values())
        assert not any("Metrics" in alarm for alarm in deployed.board.alarms.values())
