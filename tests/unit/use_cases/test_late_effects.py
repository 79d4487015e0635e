"""An effect on the vault that comes after the credential has ended is made good."""

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.fakes.interruptions import step_in
from tests.fakes.world import ADMIN, CLIENT_ID, World
from xero_connector.domain.ending import Ending
from xero_connector.domain.errors import ConnectorError
from xero_connector.domain.status import Status

A_LEASE = 61
NEW_SECRET = "another-horse-battery-staple"


def disconnect(world: World) -> None:
    credential = world.app.disconnect_credential(CLIENT_ID, by=ADMIN)
    while credential.status is not Status.DISCONNECTED:
        world.advance(60)
        world.sweep()
        credential = world.credential()


def nothing_is_left(world: World) -> bool:
    names = {world.vault.client_secret_name(CLIENT_ID), world.vault.tokens_secret_name(CLIENT_ID)}
    return names <= world.vault.deleted


def overrun_by_a_disconnect(world: World) -> None:
    world.advance(A_LEASE)
    disconnect(world)


@pytest.mark.parametrize("moment", ["before", "after"])
def test_tokens_that_a_refresh_puts_after_the_end_are_deleted(world: World, moment: str) -> None:
    world.connect()
    world.advance(21 * 60)
    if moment == "before":
        step_in(world.xero, "refresh", after=lambda: overrun_by_a_disconnect(world))
    else:
        step_in(world.vault, "put_tokens", before=lambda: overrun_by_a_disconnect(world), skip=1)
    world.sweep()
    assert world.credential().status is Status.DISCONNECTED
    assert nothing_is_left(world)


def test_tokens_that_come_between_the_deletion_and_its_last_word_are_deleted(world: World) -> None:
    world.connect()
    world.advance(21 * 60)

    def disconnects_meanwhile() -> None:
        world.advance(A_LEASE)
        # The disconnect has deleted both secrets; before it says so, the refresh goes on.
        world.app.disconnect_credential(CLIENT_ID, by=ADMIN)
        ended = world.credential()
        assert ended.status is Status.DISCONNECTED
        world.registry.rows[CLIENT_ID] = replace(
            ended,
            status=Status.DISCONNECTING,
            ending=Ending(since=world.now, grants_done=True),
            due_at=world.now + timedelta(seconds=60),
        )

    step_in(world.vault, "put_tokens", before=disconnects_meanwhile, skip=1)
    world.sweep()
    assert nothing_is_left(world)


def test_a_code_s_answer_that_comes_after_the_end_leaves_no_secret(world: World) -> None:
    world.submit()
    browser, state = world.open_link()
    world.xero.codes.add("code")
    step_in(world.xero, "exchange_code", after=lambda: overrun_by_a_disconnect(world))
    with pytest.raises(ConnectorError):
        world.call_back(browser, state, code="code")
    assert world.credential().status is Status.DISCONNECTED
    assert nothing_is_left(world)


def test_a_new_secret_that_is_put_after_the_end_is_deleted(world: World) -> None:
    world.connect()
    world.xero.secrets[CLIENT_ID] = NEW_SECRET

    def disconnects_meanwhile() -> None:
        world.xero.secrets[CLIENT_ID] = "correct-horse-battery-staple"
        overrun_by_a_disconnect(world)

    step_in(world.vault, "put_client_pair", before=disconnects_meanwhile)
    with pytest.raises(ConnectorError):
        world.app.replace_client_secret(CLIENT_ID, NEW_SECRET, by=ADMIN)
    assert world.credential().status is Status.DISCONNECTED
    assert nothing_is_left(world)


@pytest.mark.parametrize("secret", ["client_pair", "tokens"])
def test_a_secret_that_is_brought_back_in_the_moment_of_the_end_is_deleted(world: World, secret: str) -> None:
    world.connect()
    world.advance(21 * 60)
    getattr(world.vault, f"delete_{secret}")(CLIENT_ID)
    step_in(world.vault, f"restore_{secret}", before=lambda: overrun_by_a_disconnect(world))
    world.sweep()
    assert world.credential().status is Status.DISCONNECTED
    assert nothing_is_left(world)
