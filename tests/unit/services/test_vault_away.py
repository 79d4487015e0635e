"""Secrets Manager takes no writes for a while: no token is spent, and what was in flight is kept."""

import pytest

from tests.fakes.world import ADMIN, CLIENT_ID, World
from xero_connector.domain.consent import new_token
from xero_connector.domain.credential import Credential
from xero_connector.domain.errors import StoreUnavailable
from xero_connector.domain.status import Status
from xero_connector.domain.tokens import StoredTokens, TokensSecret

MANY = [f"{number:032d}" for number in range(12)]


class VaultSwitch:
    """Turns the writes of a world's vault off and on; `repetitions_only` lets the probe of a sweep pass."""

    def __init__(self, world: World, reason: str = "ThrottlingException") -> None:
        self._world = world
        self._put = world.vault.put_tokens
        self._reason = reason
        self.repetitions_only = False

    def off(self, *, repetitions_only: bool = False) -> None:
        self.repetitions_only = repetitions_only
        self._world.vault.put_tokens = self._refuse  # type: ignore[method-assign]

    def on(self) -> None:
        self._world.vault.put_tokens = self._put  # type: ignore[method-assign]

    def _refuse(self, secret: TokensSecret, *, version_id: str) -> StoredTokens:
        name = self._world.vault.tokens_secret_name(secret.client_id)
        if self.repetitions_only and version_id in self._world.vault.versions.get(name, {}):
            return self._put(secret, version_id=version_id)
        raise StoreUnavailable("PutSecretValue", self._reason)


@pytest.mark.parametrize("reason", ["ThrottlingException", "AccessDeniedException", "EncryptionFailure"])
def test_while_the_vault_takes_no_writes_no_token_is_presented(world: World, reason: str) -> None:
    for client_id in MANY:
        world.connect(client_id)
    switch = VaultSwitch(world, reason)
    switch.off()
    world.advance(20 * 60)
    for _ in range(40):
        world.sweep()
        world.advance(60)
    assert world.xero.refresh_tokens == []
    switch.on()
    assert world.sweep() == {"refreshed": len(MANY)}


def test_without_a_key_to_seal_with_no_token_is_presented(world: World) -> None:
    world.connect()
    world.seal.down = True
    world.sweep_when_due()
    assert world.xero.refresh_tokens == []
    assert (world.credential().lease, world.credential().attempt_started_at) == (None, None)
    world.seal.down = False
    assert world.sweep_when_due() == {"refreshed": 1}


def test_an_answer_that_the_vault_does_not_take_is_parked_and_stored_when_it_does(world: World) -> None:
    world.connect()
    switch = VaultSwitch(world)
    switch.off(repetitions_only=True)
    assert world.sweep_when_due() == {"parked": 1}
    credential = world.credential()
    assert (credential.status, credential.generation, credential.attempt_started_at) == (Status.DEGRADED, 1, None)
    assert credential.parked is not None
    assert "refresh-2" not in credential.parked.sealed
    switch.off()
    world.advance(86_400)
    world.sweep()
    assert world.xero.refresh_tokens == ["refresh-1"]
    switch.on()
    world.advance(60)
    assert world.sweep() == {"refreshed": 1}
    assert world.xero.refresh_tokens == ["refresh-1", "refresh-2"]
    assert (world.credential().status, world.credential().parked) == (Status.CONNECTED, None)


def test_an_answer_that_is_not_taken_closes_the_gate_for_the_others(world: World) -> None:
    for client_id in MANY:
        world.connect(client_id)
    VaultSwitch(world).off(repetitions_only=True)
    world.advance(20 * 60)
    outcomes = world.sweep()
    assert outcomes["parked"] >= 1
    assert outcomes["parked"] + outcomes["left_for_later"] == len(MANY)
    assert world.observer.counts["VaultClosed"] == 1


def test_what_a_code_brought_is_parked_and_the_consent_is_complete_later(world: World) -> None:
    world.submit()
    switch = VaultSwitch(world)
    switch.off()
    browser, state = world.open_link()
    code = new_token()
    world.xero.codes.add(code)
    assert not world.call_back(browser, state, code=code).stored
    world.advance(61)
    assert not world.call_back(browser, state, code=code).stored
    switch.on()
    assert world.sweep() == {"refreshed": 1}
    assert world.credential().status is Status.CONNECTED
    again = world.call_back(browser, state, code=code)
    assert (again.stored, again.repeated, again.tenants) == (True, True, world.xero.organisations)


@pytest.mark.parametrize("taken", [False, True], ids=["not taken", "taken, answer lost"])
@pytest.mark.parametrize("times", [1, 3])
def test_a_grant_is_parked_although_the_registry_refuses_at_first(
    world: World, times: int, *, taken: bool
) -> None:
    world.submit()
    VaultSwitch(world).off()
    browser, state = world.open_link()
    world.xero.codes.add("code")
    save = world.registry.save
    refused = 0

    def refusing(credential: Credential) -> Credential:
        nonlocal refused
        if credential.parked is None or refused == times:
            return save(credential)
        refused += 1
        if taken:
            save(credential)
        raise StoreUnavailable("PutItem", "InternalServerError")

    world.registry.save = refusing  # type: ignore[method-assign]
    assert not world.call_back(browser, state, code="code").stored
    assert refused > 0
    assert world.credential().parked is not None
    assert world.observer.counts["GrantsParked"] == 1


def test_a_version_limit_of_one_secret_stops_no_other(world: World) -> None:
    for client_id in MANY[:2]:
        world.connect(client_id)
    switch = VaultSwitch(world, "LimitExceededException")
    switch.off(repetitions_only=True)
    world.advance(20 * 60)
    assert world.sweep() == {"parked": 2}
    assert world.observer.counts["VaultClosed"] == 0
    switch.on()
    world.advance(60)
    # Nothing is presented before Secrets Manager takes another version.
    assert world.sweep() == {}


def test_a_disconnect_ends_the_grants_of_all_users_and_a_parked_one(world: World) -> None:
    world.connect()
    world.consent()
    VaultSwitch(world).off(repetitions_only=True)
    world.sweep_when_due()
    world.advance(1)
    world.app.disconnect_credential(CLIENT_ID, by=ADMIN)
    assert set(world.xero.revoked) == {"refresh-1", "refresh-2", "refresh-3"}
    credential = world.credential()
    assert (credential.status, credential.parked, credential.earlier_grants) == (Status.DISCONNECTED, None, ())
