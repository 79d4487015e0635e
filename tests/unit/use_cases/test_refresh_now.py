from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

import pytest

from tests.fakes.builders import a_credential
from tests.fakes.interruptions import step_in
from tests.fakes.world import ADMIN, CLIENT_ID, World
from xero_connector.domain.checks import CheckResult
from xero_connector.domain.errors import Conflict, NotFound, QuotaReached, XeroUnavailable
from xero_connector.domain.status import Status
from xero_connector.domain.token_endpoint import FailureKind, TokenEndpointFailure
from xero_connector.domain.version_allowance import CAPACITY


def spend_allowance(world: World) -> QuotaReached:
    """Refresh by hand until the connector says no."""
    for _ in range(CAPACITY + 1):
        try:
            world.app.refresh_now(CLIENT_ID, by=ADMIN)
        except QuotaReached as reached:
            return reached
    pytest.fail("there is no end to it")


def conflict(world: World) -> Conflict:
    with pytest.raises(Conflict) as caught:
        world.app.refresh_now(CLIENT_ID, by=ADMIN)
    assert caught.value.hint
    return caught.value


def test_an_admin_refreshes_at_once(world: World) -> None:
    world.connect()
    world.advance(60)
    credential = world.app.refresh_now(CLIENT_ID, by=ADMIN)
    assert credential == world.credential()
    assert (credential.generation, credential.last_refreshed_at) == (2, world.now)


def test_no_credential_to_refresh(world: World) -> None:
    with pytest.raises(NotFound):
        world.app.refresh_now(CLIENT_ID, by=ADMIN)


@pytest.mark.parametrize("status", sorted({*Status} - {Status.CONNECTED, Status.DEGRADED, Status.CLIENT_REJECTED}))
def test_no_grant_to_refresh(world: World, status: Status) -> None:
    world.registry.create(a_credential(status=status), replacing=None)
    assert conflict(world).code == "not_connected"
    assert world.xero.calls == []


def test_another_holder_is_refreshing(world: World) -> None:
    world.connect()
    codes: list[str] = []
    step_in(world.xero, "refresh", before=lambda: codes.append(conflict(world).code))
    world.app.refresh_now(CLIENT_ID, by=ADMIN)
    assert codes == ["busy"]
    assert world.credential().generation == 2


@pytest.mark.parametrize(
    "kind", [FailureKind.NOT_SENT, FailureKind.UNANSWERED, FailureKind.UNAVAILABLE, FailureKind.INVALID_GRANT]
)
def test_xero_gives_no_token(world: World, kind: FailureKind) -> None:
    world.connect()
    # What was not sent is asked once more at once.
    world.xero.failures.extend([kind] * (2 if kind is FailureKind.NOT_SENT else 1))
    with pytest.raises(XeroUnavailable) as caught:
        world.app.refresh_now(CLIENT_ID, by=ADMIN)
    assert caught.value.code == kind
    assert world.credential().status is Status.DEGRADED


def test_xero_asks_for_a_pause(world: World) -> None:
    world.connect()
    world.xero.failures.append(TokenEndpointFailure(FailureKind.THROTTLED, retry_after=120))
    with pytest.raises(XeroUnavailable, match="pause"):
        world.app.refresh_now(CLIENT_ID, by=ADMIN)


def test_a_grant_that_turns_out_dead(world: World) -> None:
    world.connect()
    world.xero.failures.extend([FailureKind.INVALID_GRANT] * 2)
    with pytest.raises(XeroUnavailable):
        world.app.refresh_now(CLIENT_ID, by=ADMIN)
    refused = conflict(world)
    assert refused.code == "reauthorization_required"
    assert "connect link" in refused.hint


def test_a_pair_that_turns_out_refused(world: World) -> None:
    world.connect()
    world.xero.failures.append(FailureKind.INVALID_CLIENT)
    refused = conflict(world)
    assert refused.code == "client_rejected"
    assert "/secret" in refused.hint


def test_refreshing_by_hand_ends_before_the_version_quota_does(world: World) -> None:
    world.connect()
    reached = spend_allowance(world)
    assert reached.code == "version_quota"
    # The consent drew two versions, too.
    assert world.credential().generation == CAPACITY - 1
    assert reached.retry_after == 1080
    assert "1080 seconds" in reached.hint


def test_an_admin_who_waits_as_told_is_served(world: World) -> None:
    world.connect()
    reached = spend_allowance(world)
    world.advance(reached.retry_after - 1)
    with pytest.raises(QuotaReached) as again:
        world.app.refresh_now(CLIENT_ID, by=ADMIN)
    world.advance(again.value.retry_after)
    world.app.refresh_now(CLIENT_ID, by=ADMIN)


def test_a_refusal_costs_xero_nothing(world: World) -> None:
    world.connect()
    spend_allowance(world)
    world.xero.calls.clear()
    with pytest.raises(QuotaReached):
        world.app.refresh_now(CLIENT_ID, by=ADMIN)
    assert world.xero.calls == []


def test_the_schedule_goes_on_when_the_allowance_is_spent(world: World) -> None:
    world.connect()
    spend_allowance(world)
    for _ in range(100):
        assert world.sweep_when_due() == {"refreshed": 1}


def test_an_attempt_that_failed_draws_nothing(world: World) -> None:
    world.connect()
    level = world.credential().allowance.level
    world.xero.failures.append(FailureKind.UNANSWERED)
    with pytest.raises(XeroUnavailable):
        world.app.refresh_now(CLIENT_ID, by=ADMIN)
    assert world.credential().allowance.level == level


def test_a_day_of_asking_every_minute_stays_below_the_quota(world: World) -> None:
    world.connect()
    written = [world.now]
    for _ in range(36 * 60):
        world.advance(60)
        before = world.credential().generation
        world.sweep()
        with suppress(QuotaReached):
            world.app.refresh_now(CLIENT_ID, by=ADMIN)
        written += [world.now] * (world.credential().generation - before)
    a_day = timedelta(hours=24)
    assert max(sum(start <= moment <= start + a_day for moment in written) for start in written) < 100


def test_a_degraded_credential_is_healed_by_hand(world: World) -> None:
    world.connect()
    world.registry.save(replace(world.credential(), status=Status.DEGRADED))
    assert world.app.refresh_now(CLIENT_ID, by=ADMIN).status is Status.CONNECTED


def hint_of(world: World) -> str:
    with pytest.raises((Conflict, XeroUnavailable)) as refused:
        world.app.refresh_now(CLIENT_ID, by=ADMIN)
    return refused.value.hint


def test_a_grant_in_doubt_is_not_called_safe(world: World) -> None:
    world.connect()
    world.xero.failures.append(FailureKind.INVALID_GRANT)
    assert "two minutes" in hint_of(world)
    world.xero.failures.append(FailureKind.UNAVAILABLE)
    assert "safe" in hint_of(world)


def test_what_has_ended_is_to_be_submitted_again(world: World) -> None:
    world.connect()
    world.app.disconnect_credential(CLIENT_ID, by=ADMIN)
    assert "POST /credentials" in hint_of(world)


def test_a_refused_pair_shows_in_its_check_with_what_to_do(world: World) -> None:
    world.connect()
    world.xero.failures.append(FailureKind.INVALID_CLIENT)
    hint_of(world)
    check = world.credential().checks["pair"]
    assert (check.result, check.checked_at) == (CheckResult.FAIL, world.now)
    assert "press Save" in check.detail
