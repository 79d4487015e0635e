"""The doubles refuse what AWS refuses; the experiments are worth no more than that."""

from datetime import timedelta
from typing import Any, cast
from uuid import uuid4

import pytest
from botocore.exceptions import ClientError

from tests.fakes.builders import a_credential
from tests.prove.doubles import AwsFault, StrictDynamoDB, StrictSecretsManager
from tests.prove.world import HandClock
from xero_connector.adapters.aws_errors import error_code
from xero_connector.adapters.dynamodb_items import shard_of
from xero_connector.adapters.dynamodb_registry import DynamoDBRegistry
from xero_connector.domain.errors import RevisionConflict, StoreUnavailable


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def secrets(clock: HandClock) -> StrictSecretsManager:
    double = StrictSecretsManager(clock)
    double.create_secret(Name="s", KmsKeyId="k", Description="")
    return double


def put(secrets: StrictSecretsManager, content: str = "one", token: str | None = None) -> None:
    secrets.put_secret_value(SecretId="s", ClientRequestToken=token or str(uuid4()), SecretString=content)


def refused(call: Any, *arguments: Any, **named: Any) -> str:  # noqa: ANN401 - any call
    with pytest.raises(ClientError) as error:
        call(*arguments, **named)
    return error_code(error.value)


def test_a_request_token_holds_one_content_only(secrets: StrictSecretsManager) -> None:
    token = str(uuid4())
    put(secrets, "one", token)
    put(secrets, "two")
    put(secrets, "one", token)
    assert secrets.secrets["s"].current is not None
    assert secrets.secrets["s"].current.content == "two"
    assert refused(put, secrets, "other", token) == "ResourceExistsException"


def test_a_hundred_versions_in_a_day_are_the_most(secrets: StrictSecretsManager, clock: HandClock) -> None:
    for _ in range(100):
        put(secrets)
    assert refused(put, secrets) == "LimitExceededException"
    clock.advance(86_401)
    put(secrets)
    assert len(secrets.secrets["s"].versions) == 100


def test_a_secret_has_a_largest_size(secrets: StrictSecretsManager) -> None:
    assert refused(put, secrets, "x" * 65_537) == "InvalidParameterException"


def test_a_version_is_not_seen_at_once(secrets: StrictSecretsManager, clock: HandClock) -> None:
    secrets.read_lag = lambda: timedelta(seconds=5)
    token = str(uuid4())
    put(secrets, "one", token)
    assert refused(secrets.get_secret_value, SecretId="s", VersionId=token) == "ResourceNotFoundException"
    clock.advance(5)
    assert secrets.get_secret_value(SecretId="s", VersionId=token)["SecretString"] == "one"


def test_a_deleted_secret_answers_nobody_until_it_is_restored(secrets: StrictSecretsManager) -> None:
    secrets.delete_secret(SecretId="s", RecoveryWindowInDays=30)
    assert refused(put, secrets) == "InvalidRequestException"
    create = {"Name": "s", "KmsKeyId": "k", "Description": ""}
    assert refused(secrets.create_secret, **create) == "InvalidRequestException"
    secrets.restore_secret(SecretId="s")
    put(secrets)
    assert refused(secrets.create_secret, **create) == "ResourceExistsException"


def test_the_registry_recognises_its_own_write_after_a_lost_answer(clock: HandClock) -> None:
    dynamodb = StrictDynamoDB(clock)
    registry = DynamoDBRegistry(cast("Any", dynamodb), "registry", 8)
    dynamodb.faults = lambda _: AwsFault.ANSWER_LOST
    row = registry.create(a_credential(), replacing=None)
    assert registry.save(row).revision == 2
    with pytest.raises(RevisionConflict):
        registry.save(row)


def test_a_throttled_call_has_no_effect_and_a_failed_one_may_have(clock: HandClock) -> None:
    dynamodb = StrictDynamoDB(clock)
    registry = DynamoDBRegistry(cast("Any", dynamodb), "registry", 8)
    dynamodb.faults = lambda _: AwsFault.THROTTLED
    with pytest.raises(StoreUnavailable):
        registry.create(a_credential(), replacing=None)
    assert dynamodb.items == {}
    dynamodb.faults = lambda _: AwsFault.FAILED_AFTER
    with pytest.raises(StoreUnavailable):
        registry.create(a_credential(), replacing=None)
    assert len(dynamodb.items) == 1


def test_the_due_index_lags_behind_the_table(clock: HandClock) -> None:
    dynamodb = StrictDynamoDB(clock, index_lag=timedelta(seconds=2))
    registry = DynamoDBRegistry(cast("Any", dynamodb), "registry", 8)
    row = registry.create(a_credential(due_at=clock()), replacing=None)
    shard = shard_of(row.client_id, 8)
    assert registry.due(shard=shard, now=clock(), limit=10) == []
    clock.advance(2)
    assert registry.due(shard=shard, now=clock(), limit=10) == [row.client_id]
