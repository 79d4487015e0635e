"""What only the vault on Secrets Manager has to cope with: AWS's quotas, delays, races and messages."""

import json
import traceback
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from botocore import xform_name

from tests.contract.conftest import Clock
from tests.doubles.faults import MESSAGE, refusal
from tests.doubles.secrets_manager import MOST_VERSIONS, StrictSecretsManager
from tests.fakes.builders import INCARNATION, a_token, a_tokens_secret
from tests.fakes.interruptions import step_in
from tests.fakes.world import CLIENT_ID
from xero_connector.adapters.secret_memory import SecretMemory
from xero_connector.adapters.secrets_manager_vault import SecretsManagerVault
from xero_connector.domain.errors import StoreUnavailable, VersionTaken
from xero_connector.domain.tokens import ClientPair, TokensSecret, client_version_id, tokens_version_id

if TYPE_CHECKING:
    from collections.abc import Callable

    from mypy_boto3_secretsmanager.client import SecretsManagerClient

PAIR = ClientPair(CLIENT_ID, "s3cr3t")
FIRST, SECOND = (client_version_id(INCARNATION, number) for number in (1, 2))
TOKENS = a_tokens_secret(token=a_token(access_token="s3cr3t", refresh_token="s3cr3t"))
TOKENS_ID = tokens_version_id(INCARNATION, 1)


def put_generation(vault: SecretsManagerVault, generation: int) -> TokensSecret:
    secret = a_tokens_secret(generation=generation)
    vault.put_tokens(secret, version_id=tokens_version_id(INCARNATION, generation))
    return secret


def in_another_process(vault: SecretsManagerVault) -> SecretsManagerVault:
    """Return the same vault without what this one remembers."""
    return replace(vault, memory=SecretMemory())


def fail_once(client: "SecretsManagerClient", operation: str, code: str) -> None:
    """Have the next call of an operation fail before it has an effect."""

    def fail() -> None:
        raise refusal(operation, code)

    step_in(client, xform_name(operation), before=fail)


def test_what_a_consumer_of_the_standard_label_reads(
    secrets_manager_vault: SecretsManagerVault, secrets_manager: "SecretsManagerClient"
) -> None:
    for generation in (1, 2):
        secret = put_generation(secrets_manager_vault, generation)
    found = secrets_manager.get_secret_value(SecretId=secrets_manager_vault.tokens_secret_name(CLIENT_ID))
    assert TokensSecret.from_json(found["SecretString"]) == secret
    assert found["VersionId"] == tokens_version_id(INCARNATION, 2)


def test_how_a_pair_is_kept(
    secrets_manager_vault: SecretsManagerVault, secrets_manager: "SecretsManagerClient"
) -> None:
    secrets_manager_vault.put_client_pair(PAIR, version_id=FIRST)
    found = secrets_manager.get_secret_value(SecretId=f"{secrets_manager_vault.prefix}/{CLIENT_ID}/client")
    assert json.loads(found["SecretString"]) == {"client_id": CLIENT_ID, "client_secret": "s3cr3t"}


def test_both_secrets_have_the_deployment_s_own_key_and_say_what_they_are(
    secrets_manager_vault: SecretsManagerVault, secrets_manager: "SecretsManagerClient"
) -> None:
    secrets_manager_vault.put_client_pair(PAIR, version_id=FIRST)
    secrets_manager_vault.put_tokens(TOKENS, version_id=TOKENS_ID)
    for name in ("client", "tokens"):
        secret = secrets_manager.describe_secret(SecretId=f"{secrets_manager_vault.prefix}/{CLIENT_ID}/{name}")
        assert secret["KmsKeyId"] == secrets_manager_vault.keys.in_force
        assert secret["Description"]


def test_what_is_deleted_can_be_recovered_for_thirty_days(
    secrets_manager_vault: SecretsManagerVault, secrets_manager: "SecretsManagerClient"
) -> None:
    secrets_manager_vault.put_client_pair(PAIR, version_id=FIRST)
    secrets_manager_vault.delete_client_pair(CLIENT_ID)
    scheduled = secrets_manager.describe_secret(SecretId=f"{secrets_manager_vault.prefix}/{CLIENT_ID}/client")
    assert scheduled["DeletedDate"] - scheduled["LastChangedDate"] >= timedelta(days=29, hours=23)


def test_a_secret_that_cannot_be_deleted_is_not_taken_for_deleted(
    strict_vault: SecretsManagerVault, strict_secrets_manager: StrictSecretsManager
) -> None:
    strict_vault.put_client_pair(PAIR, version_id=FIRST)
    (secret,) = strict_secrets_manager.secrets.values()
    secret.replicated = True
    with pytest.raises(StoreUnavailable, match="DeleteSecret failed: InvalidRequestException"):
        strict_vault.delete_client_pair(CLIENT_ID)
    secret.replicated = False
    strict_vault.delete_client_pair(CLIENT_ID)
    strict_vault.delete_client_pair(CLIENT_ID)
    assert secret.deleted


def test_a_version_that_was_just_written_may_not_be_seen_yet(
    strict_vault: SecretsManagerVault, strict_secrets_manager: StrictSecretsManager, clock: Clock
) -> None:
    strict_secrets_manager.read_lag = lambda: timedelta(seconds=5)
    strict_vault.put_tokens(TOKENS, version_id=TOKENS_ID)
    another = in_another_process(strict_vault)
    assert another.get_tokens(CLIENT_ID, version_id=TOKENS_ID) is None
    clock.now += timedelta(seconds=5)
    assert another.get_tokens(CLIENT_ID, version_id=TOKENS_ID) is not None


def test_a_version_that_nobody_can_see_yet_is_taken_all_the_same(
    strict_vault: SecretsManagerVault, strict_secrets_manager: StrictSecretsManager
) -> None:
    strict_secrets_manager.read_lag = lambda: timedelta(seconds=5)
    strict_vault.put_tokens(TOKENS, version_id=TOKENS_ID)
    assert in_another_process(strict_vault).get_tokens(CLIENT_ID, version_id=TOKENS_ID) is None
    with pytest.raises(VersionTaken):
        strict_vault.put_tokens(a_tokens_secret(), version_id=TOKENS_ID)


def test_the_same_again_brings_a_deleted_secret_back_for_every_process(strict_vault: SecretsManagerVault) -> None:
    strict_vault.put_client_pair(PAIR, version_id=FIRST)
    strict_vault.delete_client_pair(CLIENT_ID)
    strict_vault.put_client_pair(PAIR, version_id=FIRST)
    assert in_another_process(strict_vault).get_client_pair(CLIENT_ID, version_id=FIRST) == PAIR


def test_the_hundred_and_first_version_of_a_day_is_an_outage_and_not_a_loss(
    strict_vault: SecretsManagerVault, clock: Clock
) -> None:
    for generation in range(1, MOST_VERSIONS + 1):
        put_generation(strict_vault, generation)
    with pytest.raises(StoreUnavailable) as unavailable:
        put_generation(strict_vault, MOST_VERSIONS + 1)
    assert unavailable.value.reason == "LimitExceededException"
    clock.now += timedelta(hours=24)
    put_generation(strict_vault, MOST_VERSIONS + 1)


@pytest.mark.moto_is_kinder("it takes a value of any length")
def test_an_answer_that_is_too_large_is_an_outage(secrets_manager_vault: SecretsManagerVault) -> None:
    large = replace(TOKENS, token=a_token(access_token="x" * 70_000))
    with pytest.raises(StoreUnavailable) as unavailable:
        secrets_manager_vault.put_tokens(large, version_id=TOKENS_ID)
    assert unavailable.value.reason == "ValidationException"


def test_somebody_who_creates_the_secret_meanwhile_does_no_harm(
    secrets_manager_vault: SecretsManagerVault, secrets_manager: "SecretsManagerClient"
) -> None:
    step_in(
        secrets_manager,
        "create_secret",
        before=lambda: secrets_manager_vault.put_client_pair(PAIR, version_id=FIRST),
    )
    other = ClientPair(CLIENT_ID, "another")
    secrets_manager_vault.put_client_pair(other, version_id=SECOND)
    assert secrets_manager_vault.get_client_pair(CLIENT_ID, version_id=FIRST) == PAIR
    assert secrets_manager_vault.get_client_pair(CLIENT_ID, version_id=SECOND) == other


def test_of_two_who_create_the_same_version_one_wins(
    secrets_manager_vault: SecretsManagerVault, secrets_manager: "SecretsManagerClient"
) -> None:
    step_in(
        secrets_manager,
        "create_secret",
        before=lambda: secrets_manager_vault.put_client_pair(PAIR, version_id=FIRST),
    )
    with pytest.raises(VersionTaken):
        secrets_manager_vault.put_client_pair(ClientPair(CLIENT_ID, "another"), version_id=FIRST)
    assert secrets_manager_vault.get_client_pair(CLIENT_ID, version_id=FIRST) == PAIR


@pytest.mark.moto_is_kinder("it puts into a secret that is scheduled for deletion")
def test_a_secret_that_is_deleted_again_and_again_is_given_up_in_the_end(
    secrets_manager_vault: SecretsManagerVault, secrets_manager: "SecretsManagerClient"
) -> None:
    secrets_manager_vault.put_client_pair(PAIR, version_id=FIRST)
    secrets_manager_vault.delete_client_pair(CLIENT_ID)

    def spite() -> None:
        secrets_manager.delete_secret(
            SecretId=f"{secrets_manager_vault.prefix}/{CLIENT_ID}/client", RecoveryWindowInDays=7
        )
        step_in(secrets_manager, "restore_secret", after=spite)

    step_in(secrets_manager, "restore_secret", after=spite)
    with pytest.raises(StoreUnavailable) as unavailable:
        secrets_manager_vault.put_client_pair(PAIR, version_id=SECOND)
    assert unavailable.value.reason == "InvalidRequestException"


def test_a_creation_that_was_cut_off_is_completed(
    secrets_manager_vault: SecretsManagerVault, secrets_manager: "SecretsManagerClient"
) -> None:
    # The secret is there, without a version: the second put did not get through.
    step_in(
        secrets_manager,
        "create_secret",
        after=lambda: fail_once(secrets_manager, "PutSecretValue", "InternalServiceError"),
    )
    with pytest.raises(StoreUnavailable):
        secrets_manager_vault.put_client_pair(PAIR, version_id=FIRST)
    assert secrets_manager_vault.get_client_pair(CLIENT_ID, version_id=FIRST) is None
    secrets_manager_vault.put_client_pair(PAIR, version_id=FIRST)
    assert secrets_manager_vault.get_client_pair(CLIENT_ID, version_id=FIRST) == PAIR


@pytest.mark.parametrize(
    "code", ["ThrottlingException", "InternalServiceError", "DecryptionFailure", "AccessDenied"]
)
@pytest.mark.parametrize(
    ("operation", "call"),
    [
        ("PutSecretValue", lambda vault: vault.put_client_pair(PAIR, version_id=FIRST)),
        ("PutSecretValue", lambda vault: vault.put_tokens(TOKENS, version_id=TOKENS_ID)),
        ("GetSecretValue", lambda vault: vault.get_client_pair(CLIENT_ID, version_id=FIRST)),
        ("GetSecretValue", lambda vault: vault.get_tokens(CLIENT_ID, version_id=TOKENS_ID)),
        ("DeleteSecret", lambda vault: vault.delete_client_pair(CLIENT_ID)),
        ("DeleteSecret", lambda vault: vault.delete_tokens(CLIENT_ID)),
    ],
)
def test_trouble_at_aws_is_told_by_its_code_alone(
    secrets_manager_vault: SecretsManagerVault,
    secrets_manager: "SecretsManagerClient",
    code: str,
    operation: str,
    call: "Callable[[SecretsManagerVault], object]",
) -> None:
    fail_once(secrets_manager, operation, code)
    with pytest.raises(StoreUnavailable) as unavailable:
        call(secrets_manager_vault)
    error = unavailable.value
    assert (error.operation, error.reason) == (operation, code)
    told = error.detail + error.hint + "".join(traceback.TracebackException.from_exception(error).format())
    assert "s3cr3t" not in told
    assert MESSAGE not in told


def test_trouble_while_creating_or_restoring(
    secrets_manager_vault: SecretsManagerVault, secrets_manager: "SecretsManagerClient"
) -> None:
    fail_once(secrets_manager, "PutSecretValue", "ResourceNotFoundException")
    fail_once(secrets_manager, "CreateSecret", "ThrottlingException")
    with pytest.raises(StoreUnavailable, match="CreateSecret failed: ThrottlingException"):
        secrets_manager_vault.put_client_pair(PAIR, version_id=FIRST)
    fail_once(secrets_manager, "PutSecretValue", "InvalidRequestException")
    fail_once(secrets_manager, "RestoreSecret", "ThrottlingException")
    with pytest.raises(StoreUnavailable, match="RestoreSecret failed: ThrottlingException"):
        secrets_manager_vault.put_client_pair(PAIR, version_id=FIRST)
