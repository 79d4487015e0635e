"""A deployment is gone and another comes after it: the client IDs, their secrets and the keys meet again.

The vault is the real one, on the double of Secrets Manager that enforces keys as KMS does.
"""

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, cast, override

import pytest

from tests.doubles.kms import Keys, KeyState
from tests.doubles.secrets_manager import StrictSecretsManager
from tests.fakes.interruptions import ProcessDied, die, step_in
from tests.fakes.world import ADMIN, CLIENT_ID, SETTINGS, RecordingObserver, World
from xero_connector.adapters.secret_keys import VaultKeys
from xero_connector.adapters.secrets_manager_vault import SecretsManagerVault
from xero_connector.application import Application
from xero_connector.domain.credential import IntegrationType
from xero_connector.domain.errors import SecretUnderAnotherKey
from xero_connector.domain.status import Status
from xero_connector.domain.tokens import TokensSecret

if TYPE_CHECKING:
    from datetime import datetime

    from mypy_boto3_secretsmanager.client import SecretsManagerClient

OLD, NEW = (
    f"arn:aws:kms:eu-west-1:123456789012:key/{number}2345678-1234-1234-1234-123456789012" for number in (0, 1)
)
CLIENT, TOKENS = (f"{SETTINGS.secret_prefix}/{CLIENT_ID}/{name}" for name in ("client", "tokens"))
ANOTHER_ID = CLIENT_ID[::-1]
A_REFRESH_LATER = timedelta(minutes=20).total_seconds()


class Account:
    """An AWS account with two keys, and what was ever deployed in it, one deployment at a time."""

    def __init__(self) -> None:
        self._worlds: list[World] = []
        self.states = {OLD: KeyState.ENABLED, NEW: KeyState.ENABLED}
        self.administrator = StrictSecretsManager(self.now, keys=Keys(self.states))
        self.aws = self.administrator
        """As the functions of the latest deployment call it."""

    def now(self) -> "datetime":
        return self._worlds[-1].now

    def deploy(self, stack: str, key: str, *, former: str | None = None, over: World | None = None) -> World:
        """Deploy a stack, anew or `over` the registry and the Xero of one that is there."""
        world = over or World()
        if self._worlds:
            world.now = self.now()
        self._worlds.append(world)
        keys = Keys(self.states).of_a_function(*(arn for arn in (key, former) if arn))
        self.aws = aws = StrictSecretsManager(self.now, keys=keys, secrets=self.administrator.secrets)
        vault = SecretsManagerVault(
            cast("SecretsManagerClient", aws), SETTINGS.secret_prefix, VaultKeys(key, former), stack, world.pause
        )
        world.ports = replace(world.ports, vault=vault)
        world.app = Application(world.ports, SETTINGS)
        return world

    def keys(self) -> set[str]:
        return {secret.kms_key_id for secret in self.administrator.secrets.values() if not secret.deleted}

    def current_tokens(self) -> TokensSecret:
        """What the reader of the deployment with the new key sees."""
        reader = StrictSecretsManager(
            self.now, keys=Keys(self.states).of_a_function(NEW), secrets=self.administrator.secrets
        )
        return TokensSecret.from_json(reader.get_secret_value(SecretId=TOKENS)["SecretString"])


@dataclass(frozen=True)
class Customer:
    """A customer of one type of app, who submits and connects it."""

    integration_type: IntegrationType

    def connect(self, world: World) -> None:
        if self.integration_type is IntegrationType.CUSTOM_CONNECTION:
            world.xero.custom_connections.add(CLIENT_ID)
        world.submit(integration_type=self.integration_type)
        if self.integration_type is IntegrationType.WEB_APP:
            world.consent()
        assert world.credential().status is Status.CONNECTED


@pytest.fixture
def account() -> Account:
    return Account()


@pytest.fixture(params=list(IntegrationType))
def customer(request: pytest.FixtureRequest) -> Customer:
    return Customer(request.param)


def disconnect(world: World) -> None:
    world.app.disconnect_credential(CLIENT_ID, by=ADMIN)
    assert world.credential().status is Status.DISCONNECTED


def uninstalled(account: Account, customer: Customer) -> None:
    """Deploy, connect, disconnect as the guide says, and forget the registry."""
    before = account.deploy("before", OLD)
    customer.connect(before)
    disconnect(before)


def test_a_client_id_is_connected_again_by_the_next_deployment(account: Account, customer: Customer) -> None:
    uninstalled(account, customer)
    after = account.deploy("after", NEW)
    customer.connect(after)
    assert account.keys() == {NEW}
    assert account.current_tokens().generation == after.credential().generation
    after.advance(A_REFRESH_LATER)
    assert after.sweep() == {"refreshed": 1}
    assert account.current_tokens().generation == after.credential().generation


def test_and_again_after_it_was_disconnected_there(account: Account, customer: Customer) -> None:
    uninstalled(account, customer)
    after = account.deploy("after", NEW)
    customer.connect(after)
    disconnect(after)
    assert account.keys() == set()
    customer.connect(after)
    assert account.keys() == {NEW}
    assert {secret.tags["stack"] for secret in account.administrator.secrets.values()} == {"after"}


def test_the_next_deployment_can_be_given_the_old_key(account: Account, customer: Customer) -> None:
    uninstalled(account, customer)
    heir = account.deploy("heir", OLD)
    customer.connect(heir)
    heir.advance(A_REFRESH_LATER)
    assert heir.sweep() == {"refreshed": 1}
    assert account.keys() == {OLD}


def test_a_deployment_with_the_old_key_and_the_old_rows_goes_on(account: Account, customer: Customer) -> None:
    before = account.deploy("before", OLD)
    customer.connect(before)
    # Gone without a single DELETE; the rows were copied.
    heir = account.deploy("heir", OLD, over=before)
    heir.advance(A_REFRESH_LATER)
    assert heir.sweep() == {"refreshed": 1}


@pytest.mark.parametrize("call", ["restore_secret", "update_secret", "tag_resource", "put_secret_value"])
def test_a_submission_that_dies_while_it_takes_over_can_be_made_again(account: Account, call: str) -> None:
    uninstalled(account, Customer(IntegrationType.WEB_APP))
    world = account.deploy("after", NEW)
    # The first put finds the secret scheduled for deletion.
    step_in(account.aws, call, after=die, skip=int(call == "put_secret_value"))
    with pytest.raises(ProcessDied):
        world.submit()
    world.advance(61)
    if call == "restore_secret":
        # Nothing tells it from another deployment's any more, so a person decides.
        with pytest.raises(SecretUnderAnotherKey):
            world.submit()
        account.administrator.delete_secret(SecretId=CLIENT, RecoveryWindowInDays=30)
    world.connect()
    assert account.keys() == {NEW}


@pytest.mark.parametrize("living", [CLIENT, TOKENS])
def test_a_living_secret_of_another_deployment_refuses_the_submission(account: Account, living: str) -> None:
    other = account.deploy("other", OLD)
    other.connect()
    for name in {CLIENT, TOKENS} - {living}:
        account.administrator.delete_secret(SecretId=name, RecoveryWindowInDays=30)
    was = repr(account.administrator.secrets)
    world = account.deploy("by-mistake", NEW)
    asked: list[object] = []
    world.ports = replace(world.ports, observer=_Asked(asked))
    world.app = Application(world.ports, SETTINGS)
    with pytest.raises(SecretUnderAnotherKey, match=OLD):
        world.submit()
    # Neither asked Xero, nor touched a secret, nor left anything that blocks the next try.
    assert asked == []
    assert repr(account.administrator.secrets) == was
    assert world.registry.rows == {}
    assert world.registry.reservations == {}
    account.administrator.delete_secret(SecretId=living, RecoveryWindowInDays=30)
    world.connect()
    assert account.keys() == {NEW}


class _Asked(RecordingObserver):
    """Notes that a pair was proven."""

    def __init__(self, asked: list[object]) -> None:
        super().__init__()
        self._asked = asked

    @override
    def event(self, message: str, **fields: str | int | None) -> None:
        self._asked.append((message, fields))


def test_a_consent_that_meets_somebody_s_tokens_secret_is_kept_until_it_can_be_stored(account: Account) -> None:
    world = account.deploy("now", NEW)
    world.submit()
    # After the submission looked: by hand, or by a deployment with the same prefix.
    account.administrator.create_secret(Name=TOKENS, KmsKeyId=OLD)
    row = world.consent()
    assert row.parked is not None
    assert world.observer.counts["TokensNotStored"] == 1  # trying again would not help
    world.connect(ANOTHER_ID)
    world.advance(A_REFRESH_LATER)
    assert world.sweep()["refreshed"] == 1  # the other one: the vault is not closed for it
    account.administrator.update_secret(SecretId=TOKENS, KmsKeyId=NEW)
    world.sweep_when_due()
    assert world.credential().status is Status.CONNECTED
    assert world.credential().parked is None
    assert account.current_tokens().generation == world.credential().generation


@pytest.mark.parametrize("former", [None, OLD])
def test_a_living_deployment_that_changes_its_key(
    account: Account, customer: Customer, former: str | None
) -> None:
    world = account.deploy("one", OLD)
    customer.connect(world)
    account.deploy("one", NEW, former=former, over=world)
    world.advance(A_REFRESH_LATER)
    if former is None:
        presented = list(world.xero.refresh_tokens)
        for _ in range(60):
            assert "refreshed" not in world.sweep()
            world.advance(60)
        # Nothing is spent while nothing can be read, and the way back is the old parameter.
        assert world.xero.refresh_tokens == presented
        account.deploy("one", OLD, over=world)
    assert world.sweep_when_due() == {"refreshed": 1}
    assert world.credential().status is Status.CONNECTED


def test_secrets_that_an_administrator_moves_need_the_former_key_no_more(
    account: Account, customer: Customer
) -> None:
    world = account.deploy("one", OLD)
    customer.connect(world)
    account.deploy("one", NEW, former=OLD, over=world)
    for name in (CLIENT, TOKENS):
        account.administrator.update_secret(SecretId=name, KmsKeyId=NEW)
    account.deploy("one", NEW, over=world)
    world.advance(A_REFRESH_LATER)
    assert world.sweep() == {"refreshed": 1}
