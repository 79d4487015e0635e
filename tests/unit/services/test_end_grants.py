"""What a disconnect ends at Xero, how it proves that, and what it says where it cannot."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from tests.fakes.interruptions import ProcessDied, die, step_in
from tests.fakes.world import ADMIN, CLIENT_ID, NOON, World
from tests.fakes.xero import DEMO_COMPANY, ELECTRO_LAND
from xero_connector.domain.credential import Credential
from xero_connector.domain.errors import StoreUnavailable
from xero_connector.domain.status import Status
from xero_connector.domain.token_endpoint import FailureKind, TokenEndpointFailure
from xero_connector.domain.tokens import ClientPair


def disconnect(world: World) -> Credential:
    world.app.disconnect_credential(CLIENT_ID, by=ADMIN)
    return world.credential()


def in_the_end(world: World, *, within: timedelta) -> Credential:
    """Let the schedule go on until the credential has ended."""
    until = world.now + within
    while world.credential().status is Status.DISCONNECTING:
        assert world.now < until
        world.sweep_when_due()
        world._paused = timedelta()  # noqa: SLF001 - each sweep is an invocation
    assert world.credential().status is Status.DISCONNECTED
    return world.credential()


def leftover(credential: Credential) -> str | None:
    return None if credential.last_error is None else credential.last_error.code


def two_users(world: World) -> None:
    world.xero.organisations_of = {"first": (DEMO_COMPANY,), "second": (ELECTRO_LAND,)}
    world.xero.user = "first"
    world.connect()
    world.xero.user = "second"
    world.consent()


def nothing_is_connected(world: World, *users: str) -> bool:
    return all((CLIENT_ID, user) in world.xero.disconnected for user in users)


def test_in_good_weather_xero_is_asked_three_times(world: World) -> None:
    world.connect()
    world.xero.calls.clear()
    assert leftover(disconnect(world)) is None
    assert world.xero.calls == ["tenants", "revoke", "tenants"]


def test_the_grants_of_all_users_are_ended(world: World) -> None:
    two_users(world)
    credential = disconnect(world)
    assert (credential.status, leftover(credential)) == (Status.DISCONNECTED, None)
    assert nothing_is_connected(world, "first", "second")
    # The first user's token was exchanged for one that is surely alive.
    assert world.xero.revoked == ["refresh-3", "refresh-2"]
    assert (credential.parked, credential.earlier_grants, credential.ending) == (None, (), None)


def test_two_consents_of_one_user_are_ended_together(world: World) -> None:
    world.connect()
    world.consent()
    assert leftover(disconnect(world)) is None
    assert world.xero.revoked == ["refresh-1", "refresh-2"]
    assert world.xero.refresh_tokens == []


def test_an_earlier_grant_that_is_dead_is_told_once_that_is_sure(world: World) -> None:
    two_users(world)
    world.xero.dead.add("refresh-1")
    credential = disconnect(world)
    assert (credential.status, leftover(credential)) == (Status.DISCONNECTING, "invalid_grant")
    credential = in_the_end(world, within=timedelta(minutes=2))
    assert leftover(credential) == "grant_not_confirmed"
    (told,) = [one for one in world.event_bus.published if one.event_type == "CredentialDisconnected"]
    assert told.detail["reason"]["code"] == "grant_not_confirmed"
    assert "Connected apps" in told.detail["reason"]["detail"]
    assert nothing_is_connected(world, "second")


def test_one_stray_refusal_does_not_leave_a_grant_behind(world: World) -> None:
    two_users(world)
    world.xero.failures.append(FailureKind.INVALID_GRANT)
    disconnect(world)
    assert leftover(in_the_end(world, within=timedelta(minutes=2))) is None
    assert nothing_is_connected(world, "first", "second")


def test_a_revocation_that_did_nothing_is_made_good_connection_by_connection(world: World) -> None:
    world.connect()
    world.xero.revocation_does_nothing = True
    credential = disconnect(world)
    assert (credential.status, leftover(credential)) == (Status.DISCONNECTED, None)
    assert world.xero.organisations == ()


def test_what_xero_still_lists_is_named(world: World) -> None:
    world.connect()
    world.xero.revocation_does_nothing = world.xero.keeps_connections = True
    credential = disconnect(world)
    assert credential.last_error is not None
    assert (credential.status, credential.last_error.code) == (Status.DISCONNECTED, "grant_remains")
    for words in ("Demo Company (UK)", "Electro Land", "Settings, Connected apps"):
        assert words in credential.last_error.detail


def test_an_access_token_that_is_refused_after_the_revocation_is_proof(world: World) -> None:
    world.connect()
    world.xero.revocation_ends_access = True
    assert leftover(disconnect(world)) is None


@pytest.mark.parametrize("ends_access", [False, True])
@pytest.mark.parametrize(
    ("call", "skip", "how"),
    [
        ("refresh", 0, "before"),
        ("refresh", 0, "after"),
        ("revoke", 0, "before"),
        ("revoke", 0, "after"),
        ("revoke", 1, "before"),
        ("revoke", 1, "after"),
        ("tenants", 0, "before"),
        ("tenants", 1, "before"),
        ("tenants", 1, "after"),
        ("tenants", 2, "before"),
    ],
)
def test_dying_at_a_call_of_xero_is_followed_by_the_sweep(
    world: World, call: str, skip: int, how: str, *, ends_access: bool
) -> None:
    two_users(world)
    world.xero.revocation_ends_access = ends_access
    if how == "before":
        step_in(world.xero, call, skip=skip, before=die)
    else:
        step_in(world.xero, call, skip=skip, after=die)
    with pytest.raises(ProcessDied):
        disconnect(world)
    assert leftover(in_the_end(world, within=timedelta(minutes=3))) is None
    assert nothing_is_connected(world, "first", "second")


def cut_off_at_xero(world: World) -> None:
    """Lose the answer to a refresh: the successor is alive, and was never seen."""
    step_in(world.xero, "refresh", after=die)
    with pytest.raises(ProcessDied):
        world.sweep_when_due()
    world.advance(61)


def test_within_the_grace_the_successor_of_a_lost_answer_is_ended(world: World) -> None:
    world.connect()
    cut_off_at_xero(world)
    assert leftover(disconnect(world)) is None
    assert world.xero.refresh_tokens == ["refresh-1", "refresh-1"]
    assert world.xero.revoked == ["refresh-3"]


def test_after_the_grace_the_access_token_still_removes_what_is_connected(world: World) -> None:
    world.connect()
    cut_off_at_xero(world)
    world.xero.dead.add("refresh-1")
    disconnect(world)
    assert leftover(in_the_end(world, within=timedelta(minutes=3))) is None
    assert world.xero.organisations == ()


def test_while_an_answer_is_lost_no_pause_outlasts_the_grace(world: World) -> None:
    world.connect()
    cut_off_at_xero(world)
    began = world.credential().attempt_started_at
    assert began is not None
    tries = 0
    world.xero.failures.extend([TokenEndpointFailure(FailureKind.THROTTLED, retry_after=900)] * 200)
    disconnect(world)
    while world.now < began + timedelta(minutes=28):
        world.sweep_when_due()
        tries += 1
    assert tries >= 5


def test_a_living_successor_outlasts_an_outage_that_is_longer_than_the_grace(world: World) -> None:
    world.connect()
    world.advance(3600)
    step_in(world.xero, "revoke", before=lambda: world.xero.failures.extend([FailureKind.UNAVAILABLE] * 8))
    assert disconnect(world).status is Status.DISCONNECTING
    world.xero.dead.add("refresh-1")
    assert leftover(in_the_end(world, within=timedelta(hours=3))) is None
    assert world.xero.revoked[-1] == "refresh-2"
    # Presented again only to see that it is dead.
    assert world.xero.refresh_tokens == ["refresh-1", "refresh-2"]


def test_a_list_that_cannot_be_had_is_asked_for_again_and_nothing_else(world: World) -> None:
    world.connect()
    world.xero.connections_down = True
    credential = disconnect(world)
    assert (credential.status, leftover(credential)) == (Status.DISCONNECTING, "connections_unavailable")
    world.xero.connections_down = False
    assert leftover(in_the_end(world, within=timedelta(minutes=2))) is None
    assert world.xero.revoked == ["refresh-1"]


def test_a_list_that_no_token_can_ask_for_is_told(world: World) -> None:
    world.connect()
    world.xero.connections_down = True
    disconnect(world)
    assert leftover(in_the_end(world, within=timedelta(hours=1))) == "grant_not_confirmed"
    assert world.xero.revoked == ["refresh-1"]


def test_a_grant_that_died_of_age_needs_no_word(world: World) -> None:
    world.connect()
    world.advance(61 * 86_400)
    world.xero.calls.clear()
    credential = disconnect(world)
    assert (credential.status, leftover(credential)) == (Status.DISCONNECTED, None)
    assert world.xero.calls == []


def test_a_grant_that_xero_called_dead_before_ends_at_once_with_a_word(world: World) -> None:
    world.connect()
    world.xero.dead |= {"refresh-1"}
    for _ in range(3):
        world.sweep_when_due()
        if world.credential().status is Status.REAUTHORIZATION_REQUIRED:
            break
    world.advance(3600)
    credential = disconnect(world)
    assert (credential.status, leftover(credential)) == (Status.DISCONNECTED, "grant_not_confirmed")


def test_a_consent_that_was_cut_off_with_its_answer_is_told(world: World) -> None:
    world.submit()
    step_in(world.xero, "exchange_code", after=die)
    with pytest.raises(ProcessDied):
        world.consent()
    world.advance(61)
    assert leftover(disconnect(world)) == "grant_not_confirmed"


# Nothing goes on for ever


def both_away(world: World) -> None:
    world.vault.unseen.add(world.credential().client_version_id)
    world.vault.unseen.add(world.credential().tokens_version_id(1))


@pytest.mark.parametrize(
    "lose",
    [
        lambda world: world.vault.unseen.add(world.credential().client_version_id),
        lambda world: world.vault.unseen.add(world.credential().tokens_version_id(1)),
        both_away,
    ],
    ids=["pair", "tokens", "both"],
)
def test_a_secret_that_is_gone_is_waited_for_as_long_as_it_may_lag(
    world: World, lose: Callable[[World], None]
) -> None:
    world.connect()
    lose(world)
    disconnect(world)
    credential = in_the_end(world, within=timedelta(minutes=17))
    assert world.now >= NOON + timedelta(minutes=15)
    assert leftover(credential) == "secret_missing"
    assert len(world.vault.deleted) == 2


def test_a_secret_that_was_deleted_by_hand_is_brought_back_to_end_the_grant(world: World) -> None:
    world.connect()
    world.vault.delete_tokens(CLIENT_ID)
    assert leftover(disconnect(world)) is None
    assert world.xero.revoked == ["refresh-1"]
    assert world.vault.tokens_secret_name(CLIENT_ID) in world.vault.deleted


def test_a_seal_that_opens_no_more_holds_up_no_disconnect(world: World) -> None:
    two_users(world)
    (earlier,) = world.credential().earlier_grants
    spoilt = replace(earlier, sealed=earlier.sealed.replace(CLIENT_ID, "another"))
    world.registry.save(replace(world.credential(), earlier_grants=(spoilt,)))
    disconnect(world)
    assert leftover(in_the_end(world, within=timedelta(minutes=17))) == "secret_missing"
    assert nothing_is_connected(world, "second")


def test_a_key_that_is_away_is_waited_for(world: World) -> None:
    two_users(world)
    world.seal.down = True
    assert disconnect(world).status is Status.DISCONNECTING
    for _ in range(20):
        world.sweep_when_due()
    world.seal.down = False
    assert leftover(in_the_end(world, within=timedelta(minutes=16))) is None
    assert nothing_is_connected(world, "first", "second")


def test_an_outage_of_a_day_leaves_nothing_behind(world: World) -> None:
    world.connect()
    refuse_until(world, NOON + timedelta(days=1))
    disconnect(world)
    assert leftover(in_the_end(world, within=timedelta(days=2))) is None


def test_after_three_days_of_answers_that_say_nothing_it_ends_with_a_word(world: World) -> None:
    world.connect()
    refuse_until(world, NOON + timedelta(days=365))
    disconnect(world)
    credential = in_the_end(world, within=timedelta(days=3, minutes=16))
    assert world.now >= NOON + timedelta(days=3)
    assert leftover(credential) == "grant_not_confirmed"


def refuse_until(world: World, moment: object) -> None:
    refresh, revoke = world.xero.refresh, world.xero.revoke

    def away() -> None:
        if world.now < moment:  # type: ignore[operator]
            raise TokenEndpointFailure(FailureKind.UNEXPECTED)

    def refresh_if_there(pair: ClientPair, *, refresh_token: str) -> object:
        away()
        return refresh(pair, refresh_token=refresh_token)

    def revoke_if_there(pair: ClientPair, *, refresh_token: str) -> None:
        away()
        revoke(pair, refresh_token=refresh_token)

    world.xero.refresh = refresh_if_there  # type: ignore[method-assign,assignment]
    world.xero.revoke = revoke_if_there  # type: ignore[method-assign]


def test_secrets_that_are_never_taken_for_deletion_are_told(world: World) -> None:
    world.connect()

    def refuse(_: str) -> None:
        raise StoreUnavailable("DeleteSecret", "AccessDeniedException")

    world.vault.delete_tokens = refuse  # type: ignore[method-assign,assignment]
    credential = disconnect(world)
    assert (credential.status, leftover(credential)) == (Status.DISCONNECTING, "store_unavailable")
    assert leftover(in_the_end(world, within=timedelta(days=3, minutes=16))) == "secrets_not_deleted"
    assert world.xero.revoked == ["refresh-1"]
    assert world.vault.client_secret_name(CLIENT_ID) in world.vault.deleted
