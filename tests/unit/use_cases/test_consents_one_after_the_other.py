"""Several consents of one credential, cut off at the worst moments: none is forgotten or taken for another."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

import pytest

from tests.fakes.interruptions import ProcessDied, die, step_in
from tests.fakes.world import ADMIN, CLIENT_ID, World
from xero_connector.domain.credential import Credential
from xero_connector.domain.ending import GRANT_NOT_CONFIRMED
from xero_connector.domain.errors import ConnectorError, ConsentRefused, StoreUnavailable
from xero_connector.domain.status import Status
from xero_connector.domain.token_endpoint import FailureKind, TokenEndpointFailure
from xero_connector.domain.tokens import ClientPair


@pytest.fixture
def world() -> World:
    world = World()
    world.submit()
    return world


def cut_off(world: World, user: str, *, stored: bool) -> None:
    world.xero.user = user
    browser, state = world.open_link()
    world.xero.codes.add(f"code-{user}")
    step_in(
        world.vault, "put_tokens", after=die if stored else lambda: None, before=lambda: None if stored else die()
    )
    with pytest.raises(ProcessDied):
        world.call_back(browser, state, code=f"code-{user}")
    world.advance(61)


def consent(world: World, user: str) -> None:
    world.xero.user = user
    world.consent()


def an_hour_of_sweeps(world: World) -> None:
    for _ in range(60):
        world.advance(61)
        world.sweep()


def disconnected(world: World) -> Credential:
    world.app.disconnect_credential(CLIENT_ID, by=ADMIN)
    for _ in range(60):
        if world.credential().status is Status.DISCONNECTED:
            break
        world.sweep_when_due()
    assert world.credential().status is Status.DISCONNECTED
    return world.credential()


def refuse_puts(world: World) -> Callable[[], None]:
    put = world.vault.put_tokens

    def refuse(*_: object, **__: object) -> None:
        raise StoreUnavailable("PutSecretValue", "ThrottlingException")

    world.vault.put_tokens = refuse  # type: ignore[assignment, method-assign]

    def accept() -> None:
        world.vault.put_tokens = put  # type: ignore[method-assign]

    return accept


def alive(world: World) -> set[str]:
    return {token for token in world.xero.owner_of if token.startswith("refresh-")} - world.xero.dead


def untold(world: World) -> set[str]:
    """Refresh tokens that are alive after a disconnect, unless it says that something could not be ended."""
    error = disconnected(world).last_error
    return set() if error is not None and error.code == GRANT_NOT_CONFIRMED else alive(world)


@pytest.mark.parametrize("parked", [False, True], ids=["stored", "parked"])
def test_a_cut_off_consent_is_told_although_another_came_after_it(world: World, *, parked: bool) -> None:
    cut_off(world, "user-1", stored=False)
    accept = refuse_puts(world) if parked else lambda: None
    consent(world, "user-2")
    accept()
    an_hour_of_sweeps(world)
    assert world.credential().status is Status.CONNECTED
    assert untold(world) == set()


def test_each_of_two_cut_off_consents_is_noted(world: World) -> None:
    cut_off(world, "user-1", stored=False)
    cut_off(world, "user-2", stored=False)
    an_hour_of_sweeps(world)
    assert len(world.credential().earlier_grants) == 2
    consent(world, "user-3")
    assert untold(world) == set()


def test_what_a_cut_off_consent_stored_is_ended_although_it_lagged(world: World) -> None:
    cut_off(world, "user-2", stored=True)
    versions = world.vault.versions[world.vault.tokens_secret_name(CLIENT_ID)]
    world.vault.unseen |= set(versions)
    consent(world, "user-3")
    world.vault.unseen.clear()
    an_hour_of_sweeps(world)
    assert disconnected(world).last_error is None
    assert "refresh-1" in world.xero.dead


@pytest.mark.parametrize("parked", [True, False], ids=["parked consent", "after a lost refresh"])
def test_a_consent_that_dies_before_its_commit_is_not_taken_for_a_refresh(world: World, *, parked: bool) -> None:
    consent(world, "user-1")
    if parked:
        accept = refuse_puts(world)
        consent(world, "user-2")
        accept()
        world.advance(70)
        # The answer, and the answer with its organisations.
        step_in(world.vault, "put_tokens", after=die, skip=2)
        with pytest.raises(ProcessDied):
            world.sweep()
    else:
        world.xero.failures.append(FailureKind.UNANSWERED)
        world.sweep_when_due()
        world.xero.user = "user-2"
        step_in(world.vault, "put_tokens", after=die, skip=1)
        with pytest.raises(ProcessDied):
            world.consent()
    an_hour_of_sweeps(world)
    credential = world.credential()
    assert credential.status is Status.CONNECTED
    current = world.vault.current_tokens(CLIENT_ID).token.refresh_token
    assert world.xero.owner_of[current or ""] == (CLIENT_ID, "user-2")
    assert credential.xero_user_id in {None, "user-2"}
    assert disconnected(world).last_error is None
    assert {token for token in alive(world) if world.xero.owner_of[token][1] == "user-1"} == set()


@pytest.mark.parametrize("ahead", [50, 61, 300])
def test_what_a_code_brought_is_kept_although_the_lease_was_overtaken(world: World, ahead: int) -> None:
    browser, state = world.open_link()
    world.xero.codes.add("code")
    accept = refuse_puts(world)

    def another_host() -> None:
        now, paused = world.now, world._paused  # noqa: SLF001 - its invocation goes on
        world.now += timedelta(seconds=ahead)
        world.sweep()
        world.now, world._paused = now, paused  # noqa: SLF001

    step_in(world.vault, "put_tokens", before=another_host, skip=5)
    with suppress(ConnectorError):
        world.call_back(browser, state, code="code")
    accept()
    an_hour_of_sweeps(world)
    credential = world.credential()
    kept = credential.status is Status.CONNECTED or any(grant.sealed for grant in credential.earlier_grants)
    assert kept
    assert untold(world) == set()


def test_an_adopted_consent_is_adopted_once(world: World) -> None:
    cut_off(world, "user-1", stored=True)
    world.xero.user = "user-2"
    browser, state = world.open_link()
    world.xero.key_failures.append(FailureKind.UNAVAILABLE)
    with pytest.raises(ConsentRefused):
        world.call_back(browser, state, code="code")
    generation = world.credential().generation
    for _ in range(5):
        world.advance(61)
        world.sweep()
    assert world.credential().generation == generation == 1
    connected = [event for event in world.event_bus.published if event.event_type == "CredentialConnected"]
    assert len(connected) == 1
    assert disconnected(world).last_error is None


def test_a_first_grant_is_not_presented_each_minute_while_the_vault_takes_no_writes(world: World) -> None:
    accept = refuse_puts(world)
    consent(world, "user-1")
    an_hour_of_sweeps(world)
    assert len(world.xero.refresh_tokens) < 10
    assert world.credential().earlier_grants == ()
    accept()
    an_hour_of_sweeps(world)
    assert world.credential().status is Status.CONNECTED


@pytest.mark.parametrize("kind", list(FailureKind))
def test_a_parked_second_consent_after_a_dead_first_one_moves_legally(world: World, kind: FailureKind) -> None:
    accept = refuse_puts(world)
    consent(world, "user-1")
    world.xero.dead.add("refresh-1")
    for _ in range(10):
        world.advance(61)
        world.sweep()
    accept()
    an_hour_of_sweeps(world)
    assert world.credential().status is Status.REAUTHORIZATION_REQUIRED
    accept = refuse_puts(world)
    consent(world, "user-2")
    accept()
    world.xero.failures.extend([kind] * 2)
    for _ in range(5):
        world.advance(61)
        assert "illegal_move" not in world.sweep()
    for _ in range(3):
        an_hour_of_sweeps(world)
    assert world.credential().status in {Status.CONNECTED, Status.REAUTHORIZATION_REQUIRED}


def test_a_callback_that_waited_while_the_pair_was_refused_can_be_opened_again(world: World) -> None:
    consent(world, "user-1")
    browser, state = world.open_link()
    world.xero.codes.add("code")
    world.xero.secrets[CLIENT_ID] = "new-horse-battery-staple"
    step_in(world.registry, "get", after=world.sweep_when_due)
    with pytest.raises(ConsentRefused) as caught:
        world.call_back(browser, state, code="code")
    assert caught.value.code in {"not_connectable", "client_rejected"}
    world.app.replace_client_secret(CLIENT_ID, "new-horse-battery-staple", by=ADMIN)
    assert world.call_back(browser, state, code="code").tenants


def test_timeouts_do_not_count_as_refusals_of_the_pair(world: World) -> None:
    consent(world, "user-1")
    world.xero.failures.extend([FailureKind.UNANSWERED] * 2)
    world.sweep_when_due()
    world.sweep_when_due()
    world.xero.failures.append(FailureKind.INVALID_CLIENT)
    world.sweep_when_due()
    assert (world.credential().status, world.credential().failures) == (Status.CLIENT_REJECTED, 3)
    world.advance(1800)
    world.xero.failures.append(FailureKind.INVALID_CLIENT)
    assert world.app.disconnect_credential(CLIENT_ID, by=ADMIN).status is Status.DISCONNECTING


def test_refusals_within_seconds_end_no_grant(world: World) -> None:
    consent(world, "user-1")
    world.xero.failures.extend([FailureKind.INVALID_CLIENT] * 5)
    for _ in range(3):
        world.advance(5)
        with pytest.raises(ConnectorError):
            world.app.refresh_now(CLIENT_ID, by=ADMIN)
    assert world.app.disconnect_credential(CLIENT_ID, by=ADMIN).status is Status.DISCONNECTING
    world.xero.failures.clear()
    while world.credential().status is Status.DISCONNECTING:
        world.sweep_when_due()
    assert alive(world) == set()


@pytest.mark.parametrize("stored", [True, False], ids=["stored, lagging", "not stored"])
def test_a_consent_cut_off_while_an_older_one_is_parked_is_not_forgotten(world: World, *, stored: bool) -> None:
    accept = refuse_puts(world)
    consent(world, "user-1")
    accept()
    world.xero.user = "user-2"
    browser, state = world.open_link()
    world.xero.codes.add("code-2")
    step_in(
        world.vault, "put_tokens", after=die if stored else lambda: None, before=lambda: None if stored else die()
    )
    with pytest.raises(ProcessDied):
        world.call_back(browser, state, code="code-2")
    world.vault.unseen |= set(world.vault.versions.get(world.vault.tokens_secret_name(CLIENT_ID), {}))
    world.advance(61)
    world.sweep()
    world.vault.unseen.clear()
    an_hour_of_sweeps(world)
    assert world.credential().status is Status.CONNECTED
    assert untold(world) == set()


def test_a_proof_does_not_keep_the_schedule_from_a_cut_off_consent(world: World) -> None:
    credential = world.credential()
    unreadable = credential.failed(
        code="secret_unreadable", detail="The client secret cannot be read.", now=world.now
    )
    world.registry.save(replace(unreadable, unreadable_since=world.now, due_at=world.now))
    world.xero.user = "user-1"
    browser, state = world.open_link()
    world.xero.codes.add("code")
    step_in(
        world.vault, "put_tokens", after=die, before=lambda: world.app.revalidate_credential(CLIENT_ID, by=ADMIN)
    )
    with pytest.raises(ProcessDied):
        world.call_back(browser, state, code="code")
    an_hour_of_sweeps(world)
    assert world.credential().status is Status.CONNECTED


def test_an_overtaken_consent_is_not_told_as_connected(world: World) -> None:
    browser, state = world.open_link()
    world.xero.codes.add("code-a")
    world.xero.user = "user-a"

    def another() -> None:
        now, paused = world.now, world._paused  # noqa: SLF001 - its invocation goes on
        world.now += timedelta(seconds=61)
        consent(world, "user-b")
        world.now, world._paused = now, paused  # noqa: SLF001

    step_in(world.vault, "put_tokens", before=another)
    with pytest.raises(ConnectorError):
        world.call_back(browser, state, code="code-a")
    assert world.credential().xero_user_id == "user-b"
    connected = [event for event in world.event_bus.published if event.event_type == "CredentialConnected"]
    assert len(connected) == 1
    world.advance(120)
    world.sweep()
    current = world.vault.current_tokens(CLIENT_ID).token.refresh_token
    assert world.xero.owner_of[current or ""] == (CLIENT_ID, "user-b")
    assert untold(world) == set()


def test_a_look_that_fails_in_the_next_callback_costs_no_stored_consent(world: World) -> None:
    cut_off(world, "user-1", stored=True)
    world.xero.user = "user-2"
    browser, state = world.open_link()
    get = world.vault.get_tokens

    def throttled(*_: object, **__: object) -> None:
        world.vault.get_tokens = get  # type: ignore[method-assign]
        raise StoreUnavailable("GetSecretValue", "ThrottlingException")

    world.vault.get_tokens = throttled  # type: ignore[method-assign]
    with pytest.raises(ConsentRefused) as caught:
        world.call_back(browser, state, code="code-2")
    assert caught.value.code == "store_unavailable"
    an_hour_of_sweeps(world)
    assert world.credential().status is Status.CONNECTED
    assert disconnected(world).last_error is None


def test_a_refused_consent_that_is_kept_is_not_told_as_lost_too(world: World) -> None:
    browser, state = world.open_link()
    step_in(world.ports.id_tokens, "load_keys", before=die)
    with pytest.raises(ProcessDied):
        world.call_back(browser, state, code="code")
    world.advance(61)
    world.xero.codes.add("code")
    world.xero.id_token_code = "id_token_malformed"
    with pytest.raises(ConsentRefused):
        world.call_back(browser, state, code="code")
    an_hour_of_sweeps(world)
    assert disconnected(world).last_error is None
    assert "refresh-1" in world.xero.dead


def test_an_accepted_pair_takes_earlier_refusals_back_in_a_disconnect(world: World) -> None:
    consent(world, "user-1")
    consent(world, "user-2")
    world.advance(1900)
    world.xero.failures.append(FailureKind.INVALID_CLIENT)
    world.app.disconnect_credential(CLIENT_ID, by=ADMIN)
    world.advance(300)
    world.xero.failures.append(FailureKind.INVALID_CLIENT)
    world.sweep()
    world.advance(1500)
    revoke = world.xero.revoke
    refused = iter([False, True, True])

    def once_more(pair: ClientPair, *, refresh_token: str) -> None:
        if world.xero.owner_of[refresh_token][1] == "user-2" and next(refused, False):
            raise TokenEndpointFailure(FailureKind.INVALID_CLIENT)
        revoke(pair, refresh_token=refresh_token)

    world.xero.revoke = once_more  # type: ignore[method-assign]
    assert disconnected(world).last_error is None
    assert alive(world) == set()
