"""Secrets that are scheduled for deletion: brought back while their credential lives, and only then."""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest

from tests.fakes.world import ADMIN, CLIENT_ID, World
from xero_connector.domain.errors import SecretDeleted
from xero_connector.domain.refresh_policy import VISIBLE_WITHIN
from xero_connector.domain.status import Status
from xero_connector.services.read_secrets import ReadSecrets


@pytest.mark.parametrize("which", ["tokens", "client_pair"])
def test_a_secret_that_was_deleted_by_hand_is_brought_back(world: World, which: str) -> None:
    world.connect()
    getattr(world.vault, f"delete_{which}")(CLIENT_ID)
    assert world.sweep_when_due() == {"refreshed": 1}
    assert world.vault.deleted == set()
    assert world.observer.counts["SecretRestored"] >= 1


def test_a_reader_that_was_overtaken_by_a_disconnect_brings_nothing_back(world: World) -> None:
    stale = world.connect()
    world.app.disconnect_credential(CLIENT_ID, by=ADMIN)
    deleted = set(world.vault.deleted)
    read = ReadSecrets(world.registry, world.vault, world.observer)
    for secret in (read.pair, read.tokens):
        with pytest.raises(SecretDeleted):
            secret(stale)
    assert world.vault.deleted == deleted


def test_a_reader_of_an_earlier_life_brings_nothing_back(world: World) -> None:
    credential = world.connect()
    world.vault.delete_tokens(CLIENT_ID)
    with pytest.raises(SecretDeleted):
        ReadSecrets(world.registry, world.vault, world.observer).tokens(
            replace(credential, incarnation=UUID(int=1))
        )
    assert world.vault.deleted != set()


@pytest.mark.parametrize(
    ("which", "status", "code"),
    [
        ("tokens", Status.REAUTHORIZATION_REQUIRED, "tokens_missing"),
        ("client", Status.CLIENT_REJECTED, "client_secret_missing"),
    ],
)
def test_a_secret_that_is_gone_for_good_is_told_after_a_while(
    world: World, which: str, status: Status, code: str
) -> None:
    world.connect()
    del world.vault.versions[f"{world.vault.prefix}/{CLIENT_ID}/{which}"]
    world.sweep_when_due()
    assert world.credential().status is Status.DEGRADED
    until = world.now + VISIBLE_WITHIN + timedelta(minutes=2)
    while world.now < until:
        world.advance(60)
        world.sweep()
    error = world.credential().last_error
    assert error is not None
    assert (world.credential().status, error.code) == (status, code)
    assert world.xero.refresh_tokens == []
