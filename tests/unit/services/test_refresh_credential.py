from dataclasses import replace
from datetime import timedelta

import pytest

from tests.fakes.builders import a_tokens_secret
from tests.fakes.interruptions import ProcessDied, die, step_in
from tests.fakes.world import ADMIN, CLIENT_ID, World
from xero_connector.domain.checks import CheckResult
from xero_connector.domain.credential import Credential
from xero_connector.domain.errors import LeaseUnavailable
from xero_connector.domain.status import Status
from xero_connector.domain.token_endpoint import INCONCLUSIVE, FailureKind, TokenEndpointFailure
from xero_connector.domain.tokens import consent_version_id
from xero_connector.services.refresh_turn import Outcome

A_LEASE = 60


def refresh(world: World) -> Outcome:
    return world.app.refresh_credential(world.credential(), only_if_due=False).outcome


def fail(world: World, *kinds: FailureKind) -> Credential:
    """Let the next refreshes fail, each when it falls due."""
    for kind in kinds:
        # What was not sent is asked once more at once.
        world.xero.failures.extend([kind] * (2 if kind is FailureKind.NOT_SENT else 1))
        assert world.sweep_when_due() == {"failed": 1}
    return world.credential()


def minutes_until_due(world: World) -> float:
    due_at = world.credential().due_at
    assert due_at is not None
    return (due_at - world.now) / timedelta(minutes=1)


def versions(world: World) -> int:
    return len(world.vault.versions[world.vault.tokens_secret_name(CLIENT_ID)])


def assert_consumers_read_what_the_registry_says(world: World) -> None:
    credential = world.credential()
    stored = world.vault.get_tokens(CLIENT_ID, version_id=credential.tokens_version_id(credential.generation))
    assert stored is not None
    assert stored.secret == world.vault.current_tokens(CLIENT_ID)
    assert stored.secret.generation == credential.generation
    assert stored.secret.token_expires_at == credential.access_token_expires_at


@pytest.fixture
def connected(world: World) -> Credential:
    credential = world.connect()
    world.xero.calls.clear()
    return credential


# All is well


@pytest.mark.usefixtures("connected")
def test_a_refresh_stores_the_successor(world: World) -> None:
    assert world.sweep_when_due() == {"refreshed": 1}
    credential = world.credential()
    assert (credential.status, credential.generation, credential.last_refreshed_at) == (
        Status.CONNECTED,
        2,
        world.now,
    )
    assert credential.refresh_token_expires_at == world.now + timedelta(days=60)
    assert (credential.lease, credential.attempt_started_at) == (None, None)
    assert 18 <= minutes_until_due(world) <= 20
    assert world.xero.refresh_tokens == ["refresh-1"]
    assert_consumers_read_what_the_registry_says(world)


@pytest.mark.usefixtures("connected")
def test_each_refresh_presents_the_token_of_the_one_before(world: World) -> None:
    for _ in range(5):
        world.sweep_when_due()
    assert world.xero.refresh_tokens == [f"refresh-{number}" for number in range(1, 6)]


@pytest.mark.usefixtures("connected")
def test_what_a_refresh_leaves_out_is_kept(world: World) -> None:
    scopes = world.credential().granted_scopes
    world.xero.terse = True
    world.sweep_when_due()
    assert world.vault.current_tokens(CLIENT_ID).token.refresh_token == "refresh-1"
    assert world.credential().granted_scopes == scopes
    assert world.sweep_when_due() == {"refreshed": 1}


@pytest.mark.usefixtures("connected")
def test_organisations_survive_a_refresh_without_another_call(world: World) -> None:
    tenants = world.credential().tenants
    world.sweep_when_due()
    assert world.credential().tenants == tenants
    assert world.vault.current_tokens(CLIENT_ID).tenants == tenants
    assert world.xero.calls == ["refresh"]


@pytest.mark.usefixtures("connected")
def test_what_is_not_due_is_left_alone(world: World) -> None:
    world.advance(18 * 60)
    assert world.sweep() == {}
    skipped = world.app.refresh_credential(world.credential(), only_if_due=True)
    assert skipped.outcome is Outcome.SKIPPED
    assert world.xero.calls == []


@pytest.mark.parametrize("status", sorted({*Status} - {Status.CONNECTED, Status.DEGRADED, Status.CLIENT_REJECTED}))
def test_a_status_without_a_living_grant_is_not_refreshed(world: World, status: Status) -> None:
    world.connect()
    before = world.registry.save(replace(world.credential(), status=status))
    assert refresh(world) is Outcome.SKIPPED
    assert world.credential() == before


def test_a_day_of_ticks_leaves_a_reader_five_minutes_at_least(world: World) -> None:
    world.connect()
    shortest = timedelta.max
    for _ in range(24 * 60):
        world.advance(60)
        shortest = min(shortest, world.vault.current_tokens(CLIENT_ID).token_expires_at - world.now)
        world.sweep()
    assert shortest >= timedelta(minutes=5)
    assert 70 <= world.credential().generation <= 74
    assert set(world.observer.counts) >= {"Refreshed"}
    assert "RefreshFailed" not in world.observer.counts


# Two at once


@pytest.mark.usefixtures("connected")
def test_while_one_holds_the_lease_no_other_asks_xero(world: World) -> None:
    outcomes: list[Outcome] = []
    step_in(world.xero, "refresh", before=lambda: outcomes.append(refresh(world)))
    assert refresh(world) is Outcome.REFRESHED
    assert outcomes == [Outcome.BUSY]
    assert world.xero.calls == ["refresh"]


@pytest.mark.usefixtures("connected")
def test_two_ticks_that_read_the_same_credential_refresh_once(world: World) -> None:
    outcomes: list[Outcome] = []
    step_in(world.registry, "save", before=lambda: outcomes.append(refresh(world)))
    assert refresh(world) is Outcome.BUSY
    assert outcomes == [Outcome.REFRESHED]
    assert world.credential().generation == 2
    # The consent wrote two: its answer at once, and again with the organisations.
    assert versions(world) == 3


@pytest.mark.usefixtures("connected")
def test_a_holder_that_overran_before_storing_gives_way(world: World) -> None:
    outcomes: list[Outcome] = []

    def overrun() -> None:
        world.advance(A_LEASE)
        outcomes.append(refresh(world))

    step_in(world.xero, "refresh", after=overrun)
    with pytest.raises(LeaseUnavailable):
        refresh(world)
    assert outcomes == [Outcome.REFRESHED]
    assert (world.credential().generation, versions(world)) == (2, 3)
    # Both presented the same token, the second inside the grace: Xero's newest answer is the stored one.
    assert world.xero.refresh_tokens == ["refresh-1", "refresh-1"]
    assert_consumers_read_what_the_registry_says(world)


@pytest.mark.usefixtures("connected")
def test_a_holder_that_overran_after_storing_has_its_version_adopted(world: World) -> None:
    outcomes: list[Outcome] = []

    def overrun() -> None:
        world.advance(A_LEASE)
        outcomes.append(refresh(world))

    step_in(world.vault, "put_tokens", after=overrun, skip=1)
    assert refresh(world) is Outcome.REFRESHED
    assert outcomes == [Outcome.ROLLED_FORWARD]
    assert (world.credential().generation, versions(world)) == (2, 3)
    assert world.xero.calls == ["refresh"]
    assert_consumers_read_what_the_registry_says(world)


@pytest.mark.usefixtures("connected")
def test_no_post_is_started_that_could_outlive_the_lease(world: World) -> None:
    def slow_read() -> None:
        world.advance(A_LEASE - 19)

    step_in(world.vault, "get_tokens", after=slow_read)
    lease_left: list[timedelta] = []

    def look() -> None:
        lease = world.credential().lease
        assert lease is not None
        lease_left.append(lease.until - world.now)

    step_in(world.xero, "refresh", before=look)
    assert refresh(world) is Outcome.REFRESHED
    assert lease_left[0] >= timedelta(seconds=20)


@pytest.mark.usefixtures("connected")
def test_no_put_is_started_that_could_outlive_the_lease(world: World) -> None:
    lease_left: list[timedelta] = []

    def look() -> None:
        lease = world.credential().lease
        assert lease is not None
        lease_left.append(lease.until - world.now)

    step_in(world.xero, "refresh", after=lambda: world.advance(A_LEASE - 9))
    step_in(world.vault, "put_tokens", before=look, skip=1)
    assert refresh(world) is Outcome.REFRESHED
    assert lease_left[0] >= timedelta(seconds=10)


@pytest.mark.usefixtures("connected")
def test_a_holder_that_lost_its_lease_before_the_post_does_not_ask_xero(world: World) -> None:
    outcomes: list[Outcome] = []

    def overrun() -> None:
        world.advance(A_LEASE)
        outcomes.append(refresh(world))

    step_in(world.vault, "get_tokens", after=overrun)
    with pytest.raises(LeaseUnavailable):
        refresh(world)
    assert outcomes == [Outcome.REFRESHED]
    assert world.xero.calls == ["refresh"]


@pytest.mark.usefixtures("connected")
def test_a_note_that_another_writes_meanwhile_is_not_lost(world: World) -> None:
    def relabel() -> None:
        world.registry.save(replace(world.credential(), label="renamed"))

    step_in(world.xero, "refresh", after=relabel)
    assert refresh(world) is Outcome.REFRESHED
    assert (world.credential().label, world.credential().generation) == ("renamed", 2)


# Cut off in the middle


@pytest.mark.usefixtures("connected")
def test_what_was_stored_but_not_committed_is_rolled_forward_without_asking_xero(world: World) -> None:
    step_in(world.vault, "put_tokens", after=die, skip=1)
    with pytest.raises(ProcessDied):
        world.sweep_when_due()
    assert world.credential().generation == 1
    world.advance(A_LEASE - 1)
    assert world.sweep() == {}
    world.advance(1)
    assert world.sweep() == {"rolled_forward": 1}
    assert (world.credential().generation, world.credential().attempt_started_at) == (2, None)
    assert world.xero.calls == ["refresh"]
    assert_consumers_read_what_the_registry_says(world)


@pytest.mark.usefixtures("connected")
def test_what_was_answered_but_not_stored_is_asked_for_again_with_the_old_token(world: World) -> None:
    step_in(world.xero, "refresh", after=die)
    with pytest.raises(ProcessDied):
        world.sweep_when_due()
    assert world.sweep_when_due() == {"refreshed": 1}
    assert world.xero.refresh_tokens == ["refresh-1", "refresh-1"]
    assert world.credential().attempt_started_at is None
    assert_consumers_read_what_the_registry_says(world)


@pytest.mark.parametrize("method", ["get_client_pair", "get_tokens", "put_tokens"])
@pytest.mark.usefixtures("connected")
def test_dying_anywhere_costs_no_more_than_a_lease(world: World, method: str) -> None:
    step_in(world.vault, method, before=die)
    with pytest.raises(ProcessDied):
        world.sweep_when_due()
    died_at = world.now
    assert world.sweep_when_due() == {"refreshed": 1}
    assert world.now - died_at <= timedelta(seconds=A_LEASE)
    assert_consumers_read_what_the_registry_says(world)


@pytest.mark.usefixtures("connected")
def test_the_start_of_an_attempt_is_remembered_over_its_repetitions(world: World) -> None:
    started = None
    for _ in range(4):
        credential = fail(world, FailureKind.UNANSWERED)
        started = started or credential.attempt_started_at
        assert credential.attempt_started_at == started
    assert started is not None
    world.sweep_when_due()
    assert world.credential().attempt_started_at is None


@pytest.mark.usefixtures("connected")
def test_of_several_generations_ahead_the_newest_is_adopted(world: World) -> None:
    credential = world.credential()
    for generation in (2, 3, 4):
        world.vault.put_tokens(
            a_tokens_secret(generation=generation), version_id=credential.tokens_version_id(generation)
        )
    step_in(world.vault, "get_client_pair", before=die)
    with pytest.raises(ProcessDied):
        refresh(world)
    assert world.sweep_when_due() == {"rolled_forward": 1}
    assert world.credential().generation == 4
    assert world.xero.calls == []
    assert_consumers_read_what_the_registry_says(world)


@pytest.mark.usefixtures("connected")
def test_an_answer_whose_version_id_is_taken_goes_under_the_next_generation(world: World) -> None:
    step_in(world.vault, "put_tokens", after=die, skip=1)
    with pytest.raises(ProcessDied):
        world.sweep_when_due()
    world.vault.unseen.add(world.credential().tokens_version_id(2))
    assert world.sweep_when_due() == {"refreshed": 1}
    credential = world.credential()
    assert credential.generation == 3
    assert world.xero.refresh_tokens == ["refresh-1", "refresh-1"]
    assert world.vault.current_tokens(CLIENT_ID).token.refresh_token == "refresh-3"
    assert_consumers_read_what_the_registry_says(world)


@pytest.mark.usefixtures("connected")
def test_a_reader_that_cannot_see_the_current_version_waits(world: World) -> None:
    world.vault.unseen.add(world.credential().tokens_version_id(1))
    assert world.sweep_when_due() == {"failed": 1}
    assert world.xero.calls == []
    error = world.credential().last_error
    assert error is not None
    assert (error.code, world.credential().status) == ("secret_unreadable", Status.DEGRADED)
    world.vault.unseen.clear()
    assert world.sweep_when_due() == {"refreshed": 1}


@pytest.mark.usefixtures("connected")
def test_an_adopted_answer_without_organisations_has_them_looked_up(world: World) -> None:
    credential = world.credential()
    world.vault.put_tokens(a_tokens_secret(generation=2, tenants=()), version_id=credential.tokens_version_id(2))
    fail(world, FailureKind.UNANSWERED)
    assert world.sweep_when_due() == {"rolled_forward": 1}
    assert not world.credential().tenants_pending
    assert world.credential().tenants == world.xero.organisations


def test_after_a_consent_that_was_cut_off_no_organisation_of_the_grant_before_is_left(world: World) -> None:
    credential = world.connect()
    stored = a_tokens_secret(generation=2, tenants=())
    world.vault.put_tokens(stored, version_id=consent_version_id(credential.incarnation, "b" * 64))
    world.xero.connections_down = True
    cut_off = credential.leased("consent", now=world.now, duration=timedelta(seconds=60), consenting="b" * 64)
    world.registry.save(cut_off)
    assert world.sweep_when_due() == {"rolled_forward": 1}
    assert (world.credential().tenants, world.credential().tenants_pending) == ((), True)
    world.xero.connections_down = False
    world.sweep_when_due()
    assert world.credential().tenants == world.xero.organisations


# Xero does not give a token


@pytest.mark.parametrize("kind", sorted(INCONCLUSIVE))
@pytest.mark.usefixtures("connected")
def test_without_a_definite_answer_the_old_token_is_presented_again(world: World, kind: FailureKind) -> None:
    credential = fail(world, kind)
    assert credential.status is Status.DEGRADED
    assert (credential.failures, credential.lease) == (1, None)
    assert credential.last_error is not None
    assert (credential.last_error.code, credential.last_error.at) == (kind, world.now)
    assert world.sweep_when_due() == {"refreshed": 1}
    assert set(world.xero.refresh_tokens) == {"refresh-1"}
    credential = world.credential()
    assert (credential.status, credential.generation, credential.failures, credential.last_error) == (
        Status.CONNECTED,
        2,
        0,
        None,
    )


@pytest.mark.usefixtures("connected")
def test_what_was_not_sent_is_asked_once_more_at_once(world: World) -> None:
    world.xero.failures.append(FailureKind.NOT_SENT)
    assert world.sweep_when_due() == {"refreshed": 1}
    assert world.xero.refresh_tokens == ["refresh-1", "refresh-1"]
    assert world.credential().failures == 0


@pytest.mark.parametrize("kind", [kind for kind in FailureKind if kind is not FailureKind.NOT_SENT])
@pytest.mark.usefixtures("connected")
def test_what_may_have_arrived_is_not_asked_again_at_once(world: World, kind: FailureKind) -> None:
    fail(world, kind)
    assert world.xero.refresh_tokens == ["refresh-1"]


@pytest.mark.usefixtures("connected")
def test_the_second_answer_counts(world: World) -> None:
    world.xero.failures.extend([FailureKind.NOT_SENT, FailureKind.UNANSWERED])
    world.sweep_when_due()
    credential = world.credential()
    assert credential.failures == 1
    assert credential.last_error is not None
    assert credential.last_error.code == "unanswered"
    assert credential.attempt_started_at is not None


@pytest.mark.usefixtures("connected")
def test_an_unanswered_refresh_is_repeated_each_minute_of_the_grace(world: World) -> None:
    for _ in range(5):
        fail(world, FailureKind.UNANSWERED)
        assert minutes_until_due(world) == 1


@pytest.mark.usefixtures("connected")
def test_a_pause_that_xero_asks_for_is_kept(world: World) -> None:
    world.xero.failures.append(TokenEndpointFailure(FailureKind.THROTTLED, retry_after=400))
    world.sweep_when_due()
    assert minutes_until_due(world) == pytest.approx(400 / 60)
    world.advance(399)
    assert world.sweep() == {}
    assert world.xero.calls == ["refresh"]


@pytest.mark.usefixtures("connected")
def test_an_hour_without_xero_ends_no_grant(world: World) -> None:
    stops_at = world.now + timedelta(hours=3)
    while world.now < stops_at:
        fail(world, FailureKind.UNAVAILABLE)
    assert world.credential().status is Status.DEGRADED
    assert world.sweep_when_due() == {"refreshed": 1}


# A grant that is dead


@pytest.mark.usefixtures("connected")
def test_one_refused_grant_is_a_suspicion(world: World) -> None:
    credential = fail(world, FailureKind.INVALID_GRANT)
    assert credential.status is Status.DEGRADED
    assert minutes_until_due(world) == 1
    assert world.sweep_when_due() == {"refreshed": 1}
    assert world.credential().status is Status.CONNECTED
    assert world.observer.counts["ReauthorizationRequired"] == 0


@pytest.mark.usefixtures("connected")
def test_a_grant_that_is_refused_twice_is_dead_once(world: World) -> None:
    credential = fail(world, FailureKind.INVALID_GRANT, FailureKind.INVALID_GRANT)
    assert credential.status is Status.REAUTHORIZATION_REQUIRED
    assert (credential.due_at, credential.lease, credential.attempt_started_at) == (None, None, None)
    assert credential.last_error is not None
    assert credential.last_error.code == "invalid_grant"
    world.xero.calls.clear()
    for _ in range(100):
        world.advance(60)
        assert world.sweep() == {}
    assert world.observer.counts["ReauthorizationRequired"] == 1
    assert world.xero.calls == []


@pytest.mark.usefixtures("connected")
def test_two_refusals_with_an_outage_between_them_are_not_two_in_a_credential(world: World) -> None:
    credential = fail(world, FailureKind.INVALID_GRANT, FailureKind.UNANSWERED, FailureKind.INVALID_GRANT)
    assert credential.status is Status.DEGRADED
    assert fail(world, FailureKind.INVALID_GRANT).status is Status.REAUTHORIZATION_REQUIRED


@pytest.mark.usefixtures("connected")
def test_before_a_grant_is_given_up_the_vault_is_asked_once_more(world: World) -> None:
    # An earlier attempt stored the successor, and no reader could see it until now.
    step_in(world.vault, "put_tokens", after=die, skip=1)
    with pytest.raises(ProcessDied):
        world.sweep_when_due()
    world.vault.unseen.add(world.credential().tokens_version_id(2))
    fail(world, FailureKind.INVALID_GRANT)
    world.xero.failures.append(FailureKind.INVALID_GRANT)
    step_in(world.xero, "refresh", before=world.vault.unseen.clear)
    assert world.sweep_when_due() == {"rolled_forward": 1}
    assert (world.credential().status, world.credential().generation) == (Status.CONNECTED, 2)
    assert world.observer.counts["ReauthorizationRequired"] == 0


@pytest.mark.usefixtures("connected")
def test_a_consent_heals_a_dead_grant(world: World) -> None:
    fail(world, FailureKind.INVALID_GRANT, FailureKind.INVALID_GRANT)
    assert world.consent().status is Status.CONNECTED
    assert world.sweep_when_due() == {"refreshed": 1}


# A pair that is refused


@pytest.mark.usefixtures("connected")
def test_a_refused_pair_is_asked_about_less_and_less_often(world: World) -> None:
    pauses = []
    for _ in range(6):
        credential = fail(world, FailureKind.INVALID_CLIENT)
        assert credential.status is Status.CLIENT_REJECTED
        assert credential.attempt_started_at is None
        pauses.append(minutes_until_due(world))
    assert pauses == [5, 10, 20, 40, 60, 60]


@pytest.mark.usefixtures("connected")
def test_a_pair_that_is_accepted_again_heals_without_an_admin(world: World) -> None:
    fail(world, FailureKind.INVALID_CLIENT)
    assert world.sweep_when_due() == {"refreshed": 1}
    assert world.credential().status is Status.CONNECTED
    assert world.xero.refresh_tokens == ["refresh-1", "refresh-1"]


@pytest.mark.parametrize("kind", sorted(INCONCLUSIVE))
@pytest.mark.usefixtures("connected")
def test_an_outage_does_not_acquit_a_refused_pair(world: World, kind: FailureKind) -> None:
    assert fail(world, FailureKind.INVALID_CLIENT, kind).status is Status.CLIENT_REJECTED


@pytest.mark.usefixtures("connected")
def test_a_pair_that_is_good_again_over_a_grant_that_is_dead(world: World) -> None:
    fail(world, FailureKind.INVALID_CLIENT, FailureKind.INVALID_GRANT)
    assert world.credential().status is Status.DEGRADED
    assert fail(world, FailureKind.INVALID_GRANT).status is Status.REAUTHORIZATION_REQUIRED


@pytest.mark.usefixtures("connected")
def test_an_app_that_may_not_refresh_is_asked_about_slowly(world: World) -> None:
    assert fail(world, FailureKind.UNAUTHORIZED_CLIENT).status is Status.DEGRADED
    assert minutes_until_due(world) == 5


# What operators see


@pytest.mark.usefixtures("connected")
def test_a_failure_is_logged_with_xero_s_own_id(world: World) -> None:
    world.xero.failures.append(TokenEndpointFailure(FailureKind.UNAVAILABLE, correlation_id="xero-1"))
    world.sweep_when_due()
    (fields,) = [fields for message, fields in world.observer.events if message == "refresh_failed"]
    assert fields["correlation_id"] == "xero-1"
    assert fields["failure"] == "unavailable"
    assert fields["client_id"] == CLIENT_ID
    assert world.observer.counts["RefreshFailed"] == 1


@pytest.mark.usefixtures("connected")
def test_tokens_prove_a_pair_that_was_in_doubt(world: World) -> None:
    world.xero.failures.append(FailureKind.INVALID_CLIENT)
    credential = world.app.revalidate_credential(CLIENT_ID, by=ADMIN)
    assert (credential.status, credential.checks["pair"].result) == (Status.CLIENT_REJECTED, CheckResult.FAIL)
    assert world.sweep_when_due() == {"refreshed": 1}
    assert world.credential().checks["pair"].result is CheckResult.PASS
