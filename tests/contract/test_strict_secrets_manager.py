"""The strict wrapper bites where moto does not: otherwise the vault's suites would prove little."""

from datetime import timedelta
from typing import TYPE_CHECKING, cast

import pytest
from botocore.exceptions import ClientError

from tests.contract.conftest import Clock
from tests.fakes.strict_secrets_manager import LARGEST_VALUE, MOST_VERSIONS, StrictSecretsManager

if TYPE_CHECKING:
    from collections.abc import Callable

    from mypy_boto3_secretsmanager.client import SecretsManagerClient

ID = "0000000{:04}-aaaa-bbbb-cccc-ddddddddd".format


@pytest.fixture
def client(secrets_manager: StrictSecretsManager) -> "SecretsManagerClient":
    return cast("SecretsManagerClient", secrets_manager)


@pytest.fixture
def name(client: "SecretsManagerClient", request: pytest.FixtureRequest) -> str:
    """Return the name of a secret without a version."""
    name = f"strict/{request.node.name}"
    client.create_secret(Name=name)
    return name


def refused(error: pytest.ExceptionInfo[ClientError]) -> str:
    return error.value.response["Error"]["Code"]


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
        client.create_secret(Name=name)
    assert refused(error) == "ResourceExistsException"


def test_a_secret_without_a_version_has_nothing_to_read(client: "SecretsManagerClient", name: str) -> None:
    with pytest.raises(ClientError) as error:
        read(client, name, 1)
    assert refused(error) == "ResourceNotFoundException"


def test_what_nobody_created_is_not_found(client: "SecretsManagerClient") -> None:
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


def test_the_hundredth_version_of_a_day_is_the_last(
    client: "SecretsManagerClient", name: str, clock: Clock
) -> None:
    for number in range(MOST_VERSIONS):
        put(client, name, number)
        clock.now += timedelta(minutes=1)
    with pytest.raises(ClientError) as error:
        put(client, name, MOST_VERSIONS)
    assert refused(error) == "LimitExceededException"
    put(client, name, 7)  # a repetition is no new version
    clock.now += timedelta(hours=24) - timedelta(minutes=MOST_VERSIONS)
    put(client, name, MOST_VERSIONS)
    with pytest.raises(ClientError):
        put(client, name, MOST_VERSIONS + 1)


def test_a_value_is_limited_in_bytes(client: "SecretsManagerClient", name: str) -> None:
    put(client, name, 1, "x" * LARGEST_VALUE)
    for number, content in ((2, "x" * (LARGEST_VALUE + 1)), (3, "é" * (LARGEST_VALUE // 2) + "x")):
        with pytest.raises(ClientError) as error:
            put(client, name, number, content)
        assert refused(error) == "ValidationException"


def test_what_was_written_a_moment_ago_is_not_seen(
    client: "SecretsManagerClient", name: str, secrets_manager: StrictSecretsManager, clock: Clock
) -> None:
    secrets_manager.lag = timedelta(seconds=5)
    put(client, name, 1)
    clock.now += timedelta(seconds=4)
    put(client, name, 1)  # a repetition does not make it new
    with pytest.raises(ClientError) as error:
        read(client, name, 1)
    assert refused(error) == "ResourceNotFoundException"
    clock.now += timedelta(seconds=1)
    assert read(client, name, 1) == "content"


def test_a_secret_on_its_way_out_is_neither_read_nor_written(client: "SecretsManagerClient", name: str) -> None:
    put(client, name, 1)
    client.delete_secret(SecretId=name, RecoveryWindowInDays=30)
    calls: tuple[Callable[[], object], ...] = (
        lambda: put(client, name, 2),
        lambda: put(client, name, 1),
        lambda: read(client, name, 1),
        lambda: client.create_secret(Name=name),
        lambda: client.delete_secret(SecretId=name, RecoveryWindowInDays=30),
    )
    for call in calls:
        with pytest.raises(ClientError) as error:
            call()
        assert refused(error) == "InvalidRequestException"
    client.restore_secret(SecretId=name)
    assert read(client, name, 1) == "content"
    put(client, name, 2)


def test_failures_on_demand_come_first_and_once(
    client: "SecretsManagerClient", name: str, secrets_manager: StrictSecretsManager
) -> None:
    secrets_manager.failures.extend(["ThrottlingException", "InternalServiceError"])
    for code in ("ThrottlingException", "InternalServiceError"):
        with pytest.raises(ClientError) as error:
            put(client, name, 1)
        assert refused(error) == code
    with pytest.raises(ClientError):
        read(client, name, 1)  # no effect
    put(client, name, 1)


def test_a_way_around_the_checks_is_closed(client: "SecretsManagerClient") -> None:
    with pytest.raises(NotImplementedError):
        client.create_secret(Name="strict/around", SecretString="x" * (LARGEST_VALUE + 1))


def test_its_repr_shows_no_content(
    client: "SecretsManagerClient", name: str, secrets_manager: StrictSecretsManager
) -> None:
    put(client, name, 1, "s3cr3t")
    assert "s3cr3t" not in repr(vars(secrets_manager))
