"""What the contract suites run on: the doubles of AWS, a simulated Xero and a canned one.

There are two doubles of each service of AWS.
moto is independent of this project, and runs behind botocore.
The strict one of `tests/doubles` is the one that the experiments of `make prove` rest on.
Where moto accepts what AWS refuses, a test carries the mark `moto_is_kinder`.
It then has to fail on moto: the mark goes when moto becomes as strict.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import boto3
import pytest
from moto import mock_aws

from local.xero_simulator.server import XeroSimulator
from tests.doubles.dynamodb import StrictDynamoDB
from tests.doubles.kms import StrictKms
from tests.doubles.secrets_manager import StrictSecretsManager
from tests.fakes.canned_server import CannedServer
from tests.fakes.registry_table import create_registry_table
from tests.fakes.world import NOON
from xero_connector.adapters.secret_keys import VaultKeys
from xero_connector.adapters.secrets_manager_vault import SecretsManagerVault

if TYPE_CHECKING:
    from datetime import datetime

    from mypy_boto3_dynamodb.client import DynamoDBClient
    from mypy_boto3_events.client import EventBridgeClient
    from mypy_boto3_kms.client import KMSClient
    from mypy_boto3_secretsmanager.client import SecretsManagerClient
    from mypy_boto3_sqs.client import SQSClient

_serial = itertools.count(1)


class Clock:
    """Time that moves only when told."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> "datetime":
        return self.now


class ClientOfOneTest:
    """A client that is dear to make: whatever a test steps in on is gone with the test."""

    def __init__(self, client: object) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - as boto3's
        return getattr(self._client, name)


def double_of(request: pytest.FixtureRequest, service: str) -> Any:  # noqa: ANN401 - a client of any service
    """Return the double that a fixture's parameter names: the value of the fixture `moto_…` or `strict_…`."""
    if request.param == "moto":
        for mark in request.node.iter_markers("moto_is_kinder"):
            request.applymarker(pytest.mark.xfail(reason=f"moto is kinder than AWS: {mark.args[0]}", strict=True))
    return request.getfixturevalue(f"{request.param}_{service}")


def vault_on(client: "SecretsManagerClient") -> SecretsManagerVault:
    # A prefix of its own: every test finds an empty vault.
    keys = VaultKeys("arn:aws:kms:eu-west-1:123456789012:key/1", None)
    return SecretsManagerVault(client, f"tests/{next(_serial)}", keys, "stack-1", lambda _: None)


@pytest.fixture(scope="module")
def _cloud() -> Iterator[None]:
    # No longer than a module: moto changes the environment that other tests see.
    with mock_aws():
        yield


@pytest.fixture(scope="module")
def _moto_dynamodb(_cloud: None) -> "DynamoDBClient":
    return boto3.client("dynamodb")


@pytest.fixture(scope="module")
def events(_cloud: None) -> "EventBridgeClient":
    return boto3.client("events")


@pytest.fixture(scope="module")
def queues(_cloud: None) -> "SQSClient":
    return boto3.client("sqs")


@pytest.fixture(scope="module")
def _moto_secrets_manager(_cloud: None) -> "SecretsManagerClient":
    return boto3.client("secretsmanager")


@pytest.fixture
def moto_secrets_manager(_moto_secrets_manager: "SecretsManagerClient") -> "SecretsManagerClient":
    return cast("SecretsManagerClient", ClientOfOneTest(_moto_secrets_manager))


@pytest.fixture
def clock() -> Clock:
    return Clock()


@dataclass(frozen=True, slots=True)
class DynamoDBTable:
    """A new table of the template's shape."""

    client: "DynamoDBClient"
    name: str


@pytest.fixture
def moto_table(_moto_dynamodb: "DynamoDBClient") -> DynamoDBTable:
    name = f"registry-{next(_serial)}"
    create_registry_table(_moto_dynamodb, name)
    return DynamoDBTable(_moto_dynamodb, name)


@pytest.fixture
def strict_dynamodb(clock: Clock) -> StrictDynamoDB:
    return StrictDynamoDB(clock, table_name=f"registry-{next(_serial)}")


@pytest.fixture
def strict_table(strict_dynamodb: StrictDynamoDB) -> DynamoDBTable:
    return DynamoDBTable(cast("DynamoDBClient", strict_dynamodb), strict_dynamodb.table_name)


@pytest.fixture(params=["moto", "strict"])
def dynamodb_table(request: pytest.FixtureRequest) -> DynamoDBTable:
    table: DynamoDBTable = double_of(request, "table")
    return table


@pytest.fixture
def dynamodb(dynamodb_table: DynamoDBTable) -> "DynamoDBClient":
    return dynamodb_table.client


@pytest.fixture
def table(dynamodb_table: DynamoDBTable) -> str:
    return dynamodb_table.name


@pytest.fixture
def strict_secrets_manager(clock: Clock) -> StrictSecretsManager:
    return StrictSecretsManager(clock)


@pytest.fixture(params=["moto", "strict"])
def secrets_manager(request: pytest.FixtureRequest) -> "SecretsManagerClient":
    client: SecretsManagerClient = double_of(request, "secrets_manager")
    return client


@pytest.fixture
def secrets_manager_vault(secrets_manager: "SecretsManagerClient") -> SecretsManagerVault:
    return vault_on(secrets_manager)


@pytest.fixture
def strict_vault(strict_secrets_manager: StrictSecretsManager) -> SecretsManagerVault:
    return vault_on(cast("SecretsManagerClient", strict_secrets_manager))


@dataclass(frozen=True, slots=True)
class KmsKey:
    """A new symmetric key."""

    client: "KMSClient"
    arn: str


@pytest.fixture
def moto_kms_key(_cloud: None) -> KmsKey:
    client = boto3.client("kms")
    return KmsKey(client, client.create_key()["KeyMetadata"]["Arn"])


@pytest.fixture
def strict_kms_key() -> KmsKey:
    arn = "arn:aws:kms:eu-west-1:123456789012:key/1"
    return KmsKey(cast("KMSClient", StrictKms(arn)), arn)


@pytest.fixture(params=["moto", "strict"])
def kms_key(request: pytest.FixtureRequest) -> KmsKey:
    key: KmsKey = double_of(request, "kms_key")
    return key


@pytest.fixture(scope="session")
def _running_simulator() -> Iterator[XeroSimulator]:
    with XeroSimulator() as simulator:
        yield simulator


@pytest.fixture
def simulator(_running_simulator: XeroSimulator) -> Iterator[XeroSimulator]:
    yield _running_simulator
    _running_simulator.reset()


@pytest.fixture
def canned() -> Iterator[CannedServer]:
    with CannedServer() as server:
        yield server
