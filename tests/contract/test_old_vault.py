"""The vault of a deployment that finds what an earlier one left: secrets under a key that it may not use.

On the strict double, which enforces keys; moto does not.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import pytest

from tests.contract.conftest import Clock
from tests.doubles.faults import refusal
from tests.doubles.kms import Keys, KeyState
from tests.doubles.secrets_manager import AWS_MANAGED_KEY, StrictSecretsManager
from tests.fakes.builders import INCARNATION, a_tokens_secret
from tests.fakes.interruptions import step_in
from tests.fakes.world import CLIENT_ID
from xero_connector.adapters.secret_keys import VaultKeys
from xero_connector.adapters.secrets_manager_vault import SecretsManagerVault
from xero_connector.domain.errors import SecretUnderAnotherKey, StoreUnavailable
from xero_connector.domain.tokens import ClientPair, client_version_id, tokens_version_id

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager.client import SecretsManagerClient

OLD, NEW = (
    f"arn:aws:kms:eu-west-1:123456789012:key/{number}2345678-1234-1234-1234-123456789012" for number in (0, 1)
)
PAIR, NEW_PAIR = ClientPair(CLIENT_ID, "s3cr3t"), ClientPair(CLIENT_ID, "n3w")
FIRST, SECOND = (client_version_id(INCARNATION, number) for number in (1, 2))
TOKENS = {number: a_tokens_secret(generation=number) for number in (1, 2)}
IDS = {number: tokens_version_id(INCARNATION, number) for number in (1, 2)}
PREFIX = "oneenterprise/xero"
CLIENT, TOKENS_NAME = f"{PREFIX}/{CLIENT_ID}/client", f"{PREFIX}/{CLIENT_ID}/tokens"


@dataclass(frozen=True, slots=True)
class Deployment:
    """What one deployment's functions see of the account, and its vault."""

    aws: StrictSecretsManager
    vault: SecretsManagerVault

    @classmethod
    def of(
        cls, account: StrictSecretsManager, clock: Clock, stack: str, key: str, former: str | None
    ) -> "Deployment":
        assert account.keys is not None
        allowed = account.keys.of_a_function(*(arn for arn in (key, former) if arn))
        aws = StrictSecretsManager(clock, keys=allowed, secrets=account.secrets)
        client = cast("SecretsManagerClient", aws)
        return cls(aws, SecretsManagerVault(client, PREFIX, VaultKeys(key, former), stack, lambda _: None))


@pytest.fixture
def account(clock: Clock) -> StrictSecretsManager:
    return StrictSecretsManager(clock, keys=Keys({OLD: KeyState.ENABLED, NEW: KeyState.ENABLED}))


@pytest.fixture
def before(account: StrictSecretsManager, clock: Clock) -> SecretsManagerVault:
    """The vault of the deployment that is gone."""
    return Deployment.of(account, clock, "before", OLD, None).vault


@pytest.fixture
def now(account: StrictSecretsManager, clock: Clock) -> Deployment:
    return Deployment.of(account, clock, "now", NEW, None)


@pytest.fixture
def left(before: SecretsManagerVault) -> SecretsManagerVault:
    """Leave both secrets in their recovery window."""
    before.put_client_pair(PAIR, version_id=FIRST)
    before.put_tokens(TOKENS[1], version_id=IDS[1])
    before.delete_client_pair(CLIENT_ID)
    before.delete_tokens(CLIENT_ID)
    return before


def put_both(vault: SecretsManagerVault) -> None:
    vault.put_client_pair(NEW_PAIR, version_id=SECOND)
    vault.put_tokens(TOKENS[2], version_id=IDS[2])


def test_a_new_secret_carries_the_tags_that_costs_are_allocated_by(now: Deployment) -> None:
    put_both(now.vault)
    for secret in now.aws.secrets.values():
        assert secret.tags == {"application": "xero-connector", "stack": "now", "client_id": CLIENT_ID}


@pytest.mark.usefixtures("left")
def test_secrets_in_their_recovery_window_are_taken_over(now: Deployment) -> None:
    now.vault.refuse_secrets_of_others(CLIENT_ID)
    put_both(now.vault)
    assert now.vault.get_client_pair(CLIENT_ID, version_id=SECOND) == NEW_PAIR
    found = now.vault.get_tokens(CLIENT_ID, version_id=IDS[2])
    assert found is not None
    assert found.secret == TOKENS[2]
    for name in (CLIENT, TOKENS_NAME):
        secret = now.aws.secrets[name]
        assert (secret.kms_key_id, secret.deleted, secret.tags["stack"]) == (NEW, False, "now")


@pytest.mark.usefixtures("left")
@pytest.mark.parametrize("state", [KeyState.DISABLED, KeyState.PENDING_DELETION, None])
def test_the_key_of_before_is_not_needed(
    account: StrictSecretsManager, now: Deployment, state: KeyState | None
) -> None:
    assert account.keys is not None
    if state is None:
        del account.keys.states[OLD]
    else:
        account.keys.states[OLD] = state
    put_both(now.vault)
    assert now.vault.get_client_pair(CLIENT_ID, version_id=SECOND) == NEW_PAIR


@pytest.mark.usefixtures("left")
def test_what_the_secret_held_before_stays_unreadable(now: Deployment) -> None:
    put_both(now.vault)
    with pytest.raises(StoreUnavailable) as unavailable:
        now.vault.get_client_pair(CLIENT_ID, version_id=FIRST)
    assert unavailable.value.reason == "AccessDeniedException"


def test_a_deployment_that_is_given_the_old_key_has_the_old_vault(
    left: SecretsManagerVault, account: StrictSecretsManager, clock: Clock
) -> None:
    left.restore_client_pair(CLIENT_ID)
    heir = Deployment.of(account, clock, "heir", OLD, None)
    heir.vault.refuse_secrets_of_others(CLIENT_ID)
    assert heir.vault.get_client_pair(CLIENT_ID, version_id=FIRST) == PAIR
    put_both(heir.vault)
    assert [secret.kms_key_id for secret in account.secrets.values()] == [OLD, OLD]


def test_a_former_key_serves_on(left: SecretsManagerVault, account: StrictSecretsManager, clock: Clock) -> None:
    left.restore_client_pair(CLIENT_ID)
    changed = Deployment.of(account, clock, "before", NEW, OLD)
    changed.vault.refuse_secrets_of_others(CLIENT_ID)
    assert changed.vault.get_client_pair(CLIENT_ID, version_id=FIRST) == PAIR
    put_both(changed.vault)
    assert changed.vault.get_client_pair(CLIENT_ID, version_id=SECOND) == NEW_PAIR
    assert account.secrets[CLIENT].kms_key_id == OLD


def test_a_key_s_id_alone_names_it_too(before: SecretsManagerVault, account: StrictSecretsManager) -> None:
    # As the console writes it.
    account.create_secret(Name=CLIENT, KmsKeyId=OLD)
    account.secrets[CLIENT].kms_key_id = OLD.rpartition("/")[2]
    before.refuse_secrets_of_others(CLIENT_ID)


@pytest.mark.parametrize("name", [CLIENT, TOKENS_NAME])
@pytest.mark.parametrize("key", [OLD, AWS_MANAGED_KEY])
def test_a_living_secret_under_another_key_is_refused_and_left_alone(
    account: StrictSecretsManager, now: Deployment, name: str, key: str
) -> None:
    account.create_secret(Name=name, KmsKeyId=key)
    account.put_secret_value(SecretId=name, ClientRequestToken=FIRST, SecretString="somebody's")
    was = repr(account.secrets)
    with pytest.raises(SecretUnderAnotherKey) as refused:
        now.vault.refuse_secrets_of_others(CLIENT_ID)
    assert repr(account.secrets) == was
    for told in (name, key, NEW):
        assert told in refused.value.detail
    assert "VaultKeyArn" in refused.value.hint


def test_a_put_that_is_denied_says_whose_key_it_is(before: SecretsManagerVault, now: Deployment) -> None:
    before.put_client_pair(PAIR, version_id=FIRST)
    before.put_tokens(TOKENS[1], version_id=IDS[1])
    for put in (
        lambda: now.vault.put_client_pair(NEW_PAIR, version_id=SECOND),
        lambda: now.vault.put_tokens(TOKENS[2], version_id=IDS[2]),
    ):
        with pytest.raises(SecretUnderAnotherKey, match=OLD):
            put()
    assert before.get_client_pair(CLIENT_ID, version_id=FIRST) == PAIR


def test_a_key_of_our_own_that_is_disabled_is_an_outage(
    account: StrictSecretsManager, before: SecretsManagerVault
) -> None:
    before.put_client_pair(PAIR, version_id=FIRST)
    assert account.keys is not None
    account.keys.states[OLD] = KeyState.DISABLED
    with pytest.raises(StoreUnavailable) as unavailable:
        before.put_client_pair(NEW_PAIR, version_id=SECOND)
    assert unavailable.value.reason == "EncryptionFailure"


ALL_TRIES = 4
"""Of a change of the key."""


def fail(aws: StrictSecretsManager, operation: str, code: str, *, times: int = 1) -> None:
    def failing() -> None:
        raise refusal(operation, code)

    method = {"UpdateSecret": "update_secret", "DeleteSecret": "delete_secret"}[operation]
    for _ in range(times):
        step_in(aws, method, before=failing)


@pytest.mark.usefixtures("left")
@pytest.mark.parametrize("code", ["AccessDeniedException", "DecryptionFailure", "EncryptionFailure"])
def test_what_cannot_be_taken_over_goes_back_to_its_recovery_window(now: Deployment, code: str) -> None:
    fail(now.aws, "UpdateSecret", code)
    with pytest.raises(SecretUnderAnotherKey, match=OLD):
        now.vault.put_client_pair(NEW_PAIR, version_id=SECOND)
    assert now.aws.secrets[CLIENT].deleted
    assert now.aws.secrets[CLIENT].kms_key_id == OLD
    # Once what stood in the way is gone, the same works.
    now.vault.put_client_pair(NEW_PAIR, version_id=SECOND)
    assert now.vault.get_client_pair(CLIENT_ID, version_id=SECOND) == NEW_PAIR


@pytest.mark.usefixtures("left")
def test_an_outage_while_it_is_taken_over_costs_nothing_either(now: Deployment) -> None:
    fail(now.aws, "UpdateSecret", "ThrottlingException", times=ALL_TRIES)
    with pytest.raises(StoreUnavailable, match="UpdateSecret failed: ThrottlingException"):
        now.vault.put_client_pair(NEW_PAIR, version_id=SECOND)
    assert now.aws.secrets[CLIENT].deleted


@pytest.mark.usefixtures("left")
@pytest.mark.parametrize("times", [1, ALL_TRIES - 1])
def test_a_change_of_the_key_that_is_throttled_is_insisted_on(now: Deployment, times: int) -> None:
    fail(now.aws, "UpdateSecret", "ThrottlingException", times=times)
    # The callback's role may not delete, so that a secret with the wrong key would stay.
    fail(now.aws, "DeleteSecret", "AccessDeniedException")
    now.vault.put_client_pair(NEW_PAIR, version_id=SECOND)
    assert now.vault.get_client_pair(CLIENT_ID, version_id=SECOND) == NEW_PAIR
    assert now.aws.secrets[CLIENT].kms_key_id == NEW


@pytest.mark.usefixtures("left")
def test_where_even_that_fails_the_next_submission_is_told(now: Deployment) -> None:
    fail(now.aws, "UpdateSecret", "ThrottlingException", times=ALL_TRIES)
    fail(now.aws, "DeleteSecret", "ThrottlingException")
    with pytest.raises(StoreUnavailable, match="UpdateSecret failed"):
        now.vault.put_client_pair(NEW_PAIR, version_id=SECOND)
    with pytest.raises(SecretUnderAnotherKey):
        now.vault.refuse_secrets_of_others(CLIENT_ID)


@pytest.mark.usefixtures("left")
def test_that_the_key_was_changed_takes_a_moment_to_be_seen(now: Deployment) -> None:
    def not_yet() -> None:
        def denied() -> None:
            raise refusal("PutSecretValue", "AccessDeniedException")

        step_in(now.aws, "put_secret_value", before=denied)

    step_in(now.aws, "update_secret", after=not_yet)
    now.vault.put_client_pair(NEW_PAIR, version_id=SECOND)
    assert now.vault.get_client_pair(CLIENT_ID, version_id=SECOND) == NEW_PAIR


def test_a_secret_of_our_own_that_comes_back_keeps_key_and_tags(before: SecretsManagerVault) -> None:
    before.put_client_pair(PAIR, version_id=FIRST)
    before.delete_client_pair(CLIENT_ID)

    def never() -> None:
        raise AssertionError

    step_in(before.client, "update_secret", before=never)
    before.put_client_pair(NEW_PAIR, version_id=SECOND)
    assert before.get_client_pair(CLIENT_ID, version_id=FIRST) == PAIR


def test_a_secret_made_by_hand_and_deleted_gets_the_vault_s_key(
    account: StrictSecretsManager, now: Deployment
) -> None:
    account.create_secret(Name=CLIENT)
    account.delete_secret(SecretId=CLIENT, RecoveryWindowInDays=7)
    now.vault.refuse_secrets_of_others(CLIENT_ID)
    now.vault.put_client_pair(NEW_PAIR, version_id=SECOND)
    assert account.secrets[CLIENT].kms_key_id == NEW


@pytest.mark.usefixtures("left")
def test_a_secret_that_comes_back_under_the_former_key_outlives_that_key(
    account: StrictSecretsManager, clock: Clock
) -> None:
    both = Deployment.of(account, clock, "now", NEW, OLD)
    put_both(both.vault)
    # What it held before stays readable as long as the former key is given.
    assert both.vault.get_client_pair(CLIENT_ID, version_id=FIRST) == PAIR
    without = Deployment.of(account, clock, "now", NEW, None).vault
    assert without.get_client_pair(CLIENT_ID, version_id=SECOND) == NEW_PAIR
    found = without.get_tokens(CLIENT_ID, version_id=IDS[2])
    assert found is not None
    assert found.secret == TOKENS[2]
