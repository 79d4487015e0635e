"""What Secrets Manager does, as far as the vault rests on it: on moto, and on the strict double.

The vault's suites and the experiments are worth no more than that the strict double refuses what AWS refuses.
"""

from datetime import timedelta
from itertools import count
from typing import TYPE_CHECKING, cast

import pytest
from botocore.exceptions import ClientError

from tests.contract.conftest import Clock
from tests.doubles.secrets_manager import LARGEST_VALUE, MOST_VERSIONS, StrictSecretsManager

if TYPE_CHECKING:
    from collections.abc import Callable

    from mypy_boto3_secretsmanager.client import SecretsManagerClient

SERIAL = count(1)
ID = "0000000{:04}-aaaa-bbbb-cccc-ddddddddd".format


@pytest.fixture
def client(secrets_manager: "SecretsManagerClient") -> "SecretsManagerClient":
    return secrets_manager


@pytest.fixture
def strict(strict_secrets_manager: StrictSecretsManager) -> "SecretsManagerClient":
    return cast("SecretsManagerClient", strict_secrets_manager)


@pytest.fixture
def name(client: "SecretsManagerClient") -> str:
    """Return the name of a secret without a version."""
    return create(client)


def refused(error: pytest.ExceptionInfo[ClientError]) -> str:
    return error.value.response["Error"]["Code"]


def create(client: "SecretsManagerClient", name: str | None = None) -> str:
    name = name or f"suite/{next(SERIAL)}"
    client.create_secret(Name=name, KmsKeyId="key", Description="A secret.")
    return name


def put(client: "SecretsManagerClient", name: str, number: int, content: str = "content") -> str:
    return client.put_secret_value(SecretId=name, ClientRequestToken=ID(number), SecretString=content)["ARN"]


def read(client: "SecretsManagerClient", name: str, number: int) -> str:
    return client.get_secret_value(SecretId=name, VersionId=ID(number))["SecretString"]


def test_it_stores_and_reads(client: "SecretsManagerClient", name: str) -> None:
    arn = put(client, name, 1, "one")
    assert put(client, name, 2, "two") == arn
    assert (read(client, name, 1), read(client, name, 2)) == ("one", "two")
    assert client.get_secret_value(SecretId=name)["SecretString"] == "two"


def test_a_name_is_created_once(client: "SecretsManagerClient", name: str) -> None:
    with pytest.raises(ClientError) as error:
        create(client, name)
    assert refused(error) == "ResourceExistsException"


def test_a_secret_without_a_version_has_nothing_to_read(client: "SecretsManagerClient", name: str) -> None:
    with pytest.raises(ClientError) as error:
        read(client, name, 1)
    assert refused(error) == "ResourceNotFoundException"


def test_what_was_not_created_is_not_found(client: "SecretsManagerClient") -> None:
    with pytest.raises(ClientError) as error:
        put(client, "strict/nobody", 1)
    assert refused(error) == "ResourceNotFoundException"
    with pytest.raises(ClientError) as error:
        read(client, "strict/nobody", 1)
    assert refused(error) == "ResourceNotFoundException"


def test_a_used_token_takes_no_other_content(client: "SecretsManagerClient", name: str) -> None:
    put(client, name, 1, "one")
    put(client, name, 2, "two")
    with pytest.raises(ClientError) as error:
        put(client, name, 1, "another")
    assert refused(error) == "ResourceExistsException"
    assert read(client, name, 1) == "one"


def test_a_used_token_takes_the_same_content_and_changes_nothing(
    client: "SecretsManagerClient", name: str
) -> None:
    put(client, name, 1, "one")
    put(client, name, 2, "two")
    put(client, name, 1, "one")
    assert client.get_secret_value(SecretId=name)["SecretString"] == "two"


@pytest.mark.moto_is_kinder("it keeps any number of versions")
def test_a_hundred_versions_in_a_day_are_the_most(client: "SecretsManagerClient", name: str) -> None:
    for number in range(MOST_VERSIONS):
        put(client, name, number)
    with pytest.raises(ClientError) as error:
        put(client, name, MOST_VERSIONS)
    assert refused(error) == "LimitExceededException"
    put(client, name, 7)  # a repetition is no new version


@pytest.mark.moto_is_kinder("it takes a value of any length")
def test_a_value_is_limited_in_bytes(client: "SecretsManagerClient", name: str) -> None:
    put(client, name, 1, "x" * LARGEST_VALUE)
    for number, content in ((2, "x" * (LARGEST_VALUE + 1)), (3, "é" * (LARGEST_VALUE // 2) + "x")):
        with pytest.raises(ClientError) as error:
            put(client, name, number, content)
        assert refused(error) == "ValidationException"


def test_a_version_id_is_of_at_most_64_characters(client: "SecretsManagerClient", name: str) -> None:
    with pytest.raises(ClientError) as error:
        client.put_secret_value(SecretId=name, ClientRequestToken="x" * 65, SecretString="content")
    assert refused(error) == "InvalidParameterException"


def test_a_secret_can_be_recovered_for_7_to_30_days(client: "SecretsManagerClient", name: str) -> None:
    for days in (6, 31):
        with pytest.raises(ClientError) as error:
            client.delete_secret(SecretId=name, RecoveryWindowInDays=days)
        assert refused(error) == "InvalidParameterException"
    client.delete_secret(SecretId=name, RecoveryWindowInDays=7)
    assert "DeletedDate" in client.describe_secret(SecretId=name)
    client.restore_secret(SecretId=name)
    client.restore_secret(SecretId=name)
    assert "DeletedDate" not in client.describe_secret(SecretId=name)


@pytest.mark.moto_is_kinder("it puts into a secret that is scheduled for deletion")
def test_a_secret_on_its_way_out_is_neither_read_nor_written(client: "SecretsManagerClient", name: str) -> None:
    put(client, name, 1)
    client.delete_secret(SecretId=name, RecoveryWindowInDays=30)
    calls: tuple[Callable[[], object], ...] = (
        lambda: put(client, name, 2),
        lambda: put(client, name, 1),
        lambda: read(client, name, 1),
        lambda: create(client, name),
        lambda: client.delete_secret(SecretId=name, RecoveryWindowInDays=30),
    )
    for call in calls:
        with pytest.raises(ClientError) as error:
            call()
        assert refused(error) == "InvalidRequestException"
    client.restore_secret(SecretId=name)
    assert read(client, name, 1) == "content"
    put(client, name, 2)


# Time, which moto has from the machine's clock


def test_a_day_later_there_is_room_for_as_many_versions_as_are_a_day_old(
    strict: "SecretsManagerClient", clock: Clock
) -> None:
    name = create(strict)
    for number in range(MOST_VERSIONS):
        put(strict, name, number)
        clock.now += timedelta(minutes=1)
    clock.now += timedelta(hours=24) - timedelta(minutes=MOST_VERSIONS)
    put(strict, name, MOST_VERSIONS)
    with pytest.raises(ClientError) as error:
        put(strict, name, MOST_VERSIONS + 1)
    assert refused(error) == "LimitExceededException"
    # The oldest one made room.
    with pytest.raises(ClientError) as error:
        read(strict, name, 0)
    assert refused(error) == "ResourceNotFoundException"


def test_what_was_written_a_moment_ago_is_not_seen(
    strict: "SecretsManagerClient", strict_secrets_manager: StrictSecretsManager, clock: Clock
) -> None:
    name = create(strict)
    put(strict, name, 1, "one")
    strict_secrets_manager.read_lag = lambda: timedelta(seconds=5)
    put(strict, name, 2, "two")
    clock.now += timedelta(seconds=4)
    put(strict, name, 2, "two")  # a repetition does not make it new
    with pytest.raises(ClientError) as error:
        read(strict, name, 2)
    assert refused(error) == "ResourceNotFoundException"
    assert strict.get_secret_value(SecretId=name)["SecretString"] == "one"
    clock.now += timedelta(seconds=1)
    assert read(strict, name, 2) == strict.get_secret_value(SecretId=name)["SecretString"] == "two"


def test_the_strict_double_s_repr_shows_no_content(
    strict: "SecretsManagerClient", strict_secrets_manager: StrictSecretsManager
) -> None:
    put(strict, create(strict), 1, "s3cr3t")
    assert "s3cr3t" not in repr(vars(strict_secrets_manager))
