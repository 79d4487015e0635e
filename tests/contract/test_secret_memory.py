"""What a process remembers of the vault is never anything but the version that was asked for."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any, cast

import pytest

from tests.contract.conftest import Clock
from tests.doubles.faults import refusal
from tests.doubles.secrets_manager import StrictSecretsManager
from tests.fakes.builders import INCARNATION, a_tokens_secret
from tests.fakes.interruptions import ProcessDied, die, step_in
from tests.fakes.world import CLIENT_ID
from tests.prove.world import World
from tests.prove.xero import InProcessXero
from xero_connector.adapters.secret_memory import SecretMemory, Version
from xero_connector.adapters.secrets_manager_vault import SecretsManagerVault
from xero_connector.application import Application
from xero_connector.domain.errors import SecretDeleted, StoreUnavailable
from xero_connector.domain.status import Status
from xero_connector.domain.tokens import ClientPair, client_version_id, tokens_version_id

PAIR, SWAPPED = ClientPair(CLIENT_ID, "s3cr3t"), ClientPair(CLIENT_ID, "n3w")
FIRST, SECOND = (client_version_id(INCARNATION, number) for number in (1, 2))
TOKENS_ID = tokens_version_id(INCARNATION, 1)


@pytest.fixture
def other(strict_vault: SecretsManagerVault) -> SecretsManagerVault:
    """The vault as another process has it."""
    return replace(strict_vault, memory=SecretMemory())


@pytest.fixture
def reads(strict_secrets_manager: StrictSecretsManager) -> list[str]:
    """The version ids that are asked for at AWS."""
    asked: list[str] = []
    read = strict_secrets_manager.get_secret_value

    def noting(**arguments: Any) -> Any:  # noqa: ANN401 - as boto3's
        asked.append(arguments["VersionId"])
        return read(**arguments)

    cast("Any", strict_secrets_manager).get_secret_value = noting
    return asked


def test_what_was_read_is_not_read_again(
    strict_vault: SecretsManagerVault, other: SecretsManagerVault, reads: list[str]
) -> None:
    other.put_client_pair(PAIR, version_id=FIRST)
    assert [strict_vault.get_client_pair(CLIENT_ID, version_id=FIRST) for _ in range(3)] == [PAIR] * 3
    assert reads == [FIRST]


def test_what_was_put_is_not_read(strict_vault: SecretsManagerVault, reads: list[str]) -> None:
    stored = strict_vault.put_tokens(a_tokens_secret(), version_id=TOKENS_ID)
    assert strict_vault.get_tokens(CLIENT_ID, version_id=TOKENS_ID) == stored
    assert reads == []


def test_a_swapped_pair_is_read_by_whoever_asks_for_it(
    strict_vault: SecretsManagerVault, other: SecretsManagerVault, reads: list[str]
) -> None:
    strict_vault.put_client_pair(PAIR, version_id=FIRST)
    other.put_client_pair(SWAPPED, version_id=SECOND)
    assert strict_vault.get_client_pair(CLIENT_ID, version_id=SECOND) == SWAPPED
    assert strict_vault.get_client_pair(CLIENT_ID, version_id=FIRST) == PAIR
    assert reads == [SECOND, FIRST]


def test_what_a_put_did_not_answer_for_is_not_remembered(
    strict_vault: SecretsManagerVault, strict_secrets_manager: StrictSecretsManager, reads: list[str]
) -> None:
    strict_vault.put_tokens(a_tokens_secret(), version_id=TOKENS_ID)

    def unanswered() -> None:
        raise refusal("PutSecretValue", "InternalServiceError")

    second = tokens_version_id(INCARNATION, 2)
    step_in(strict_secrets_manager, "put_secret_value", after=unanswered)
    with pytest.raises(StoreUnavailable):
        strict_vault.put_tokens(a_tokens_secret(generation=2), version_id=second)
    assert strict_vault.get_tokens(CLIENT_ID, version_id=second) is not None
    assert reads == [second]


def test_a_version_that_was_not_seen_is_asked_for_again(
    strict_vault: SecretsManagerVault,
    other: SecretsManagerVault,
    strict_secrets_manager: StrictSecretsManager,
    clock: Clock,
) -> None:
    strict_secrets_manager.read_lag = lambda: timedelta(seconds=5)
    other.put_client_pair(PAIR, version_id=FIRST)
    assert strict_vault.get_client_pair(CLIENT_ID, version_id=FIRST) is None
    clock.now += timedelta(seconds=5)
    assert strict_vault.get_client_pair(CLIENT_ID, version_id=FIRST) == PAIR


def test_what_this_process_deleted_is_forgotten(strict_vault: SecretsManagerVault) -> None:
    strict_vault.put_client_pair(PAIR, version_id=FIRST)
    strict_vault.delete_client_pair(CLIENT_ID)
    with pytest.raises(SecretDeleted):
        strict_vault.get_client_pair(CLIENT_ID, version_id=FIRST)


def test_the_memory_has_an_end() -> None:
    memory = SecretMemory(most_characters=10)
    for number, content in enumerate(("aaaa", "bbbb", "cccc")):
        memory.remember(f"secret-{number}", Version("1", content, "arn"))
    assert [memory.recall(f"secret-{number}", "1") is not None for number in range(3)] == [True, True, False]
    memory.remember("secret-0", Version("2", "a", "arn"))
    memory.remember("secret-2", Version("1", "cccc", "arn"))
    assert memory.recall("secret-2", "1") is not None


def test_what_is_remembered_does_not_show() -> None:
    memory = SecretMemory()
    memory.remember("secret", Version("1", "s3cr3t", "arn"))
    assert "s3cr3t" not in f"{memory!r} {memory.recall('secret', '1')!r}"


def passing(_: str, effect: Callable[[], Any]) -> Any:  # noqa: ANN401 - a gate that lets everything through
    return effect()


def refresh(world: World, app: Application) -> int:
    world.clock.next_tick(not_before=world.credential.due_at)
    world.sweep(app)
    return world.credential.generation


def test_processes_that_take_turns_present_the_newest_token_each_time() -> None:
    world = World(InProcessXero(), first_successor_survives=False)
    one, two = world.application(passing), world.application(passing)
    world.connect(one)
    assert [refresh(world, app) for app in (one, two, two, one, two, one, one)] == [2, 3, 4, 5, 6, 7, 8]
    # Long after every grace: what the registry vouches for is the grant.
    world.clock.advance(3600)
    assert world.still_refreshes()


def test_a_process_that_slept_through_a_swap_presents_the_new_secret() -> None:
    world = World(InProcessXero(), first_successor_survives=False)
    asleep, admin = world.application(passing), world.application(passing)
    world.connect(asleep)
    refresh(world, asleep)
    secret = world.xero.server.add_secret(world.client_id)
    admin.replace_client_secret(world.client_id, secret, by="arn:aws:iam::123456789012:user/admin")
    world.xero.server.delete_secrets(world.client_id)
    world.xero.server.add_secret(world.client_id, secret)
    generation = world.credential.generation
    assert refresh(world, asleep) == generation + 1
    assert world.credential.status is Status.CONNECTED


def test_a_process_that_died_between_put_and_commit_leaves_nothing_that_another_remembers_wrongly() -> None:
    world = World(InProcessXero(), first_successor_survives=False)
    survivor = world.application(passing)
    world.connect(survivor)
    refresh(world, survivor)

    dying = world.application(passing)
    step_in(world.secrets, "put_secret_value", after=die, skip=1)
    with pytest.raises(ProcessDied):
        refresh(world, dying)
    assert refresh(world, survivor) == 3
    assert world.registry_tokens() == world.current_tokens()
    assert refresh(world, survivor) == 4
    assert world.still_refreshes()
