"""The in-memory stores and the real adapters, for suites that run on both."""

import itertools
from collections.abc import Iterator
from typing import TYPE_CHECKING, cast

import boto3
import pytest
from moto import mock_aws

from local.xero_simulator.server import XeroSimulator
from tests.fakes.canned_server import CannedServer
from tests.fakes.registry_table import create_registry_table
from tests.fakes.strict_secrets_manager import StrictSecretsManager
from tests.fakes.world import NOON
from xero_connector.adapters.secrets_manager_vault import SecretsManagerVault

if TYPE_CHECKING:
    from datetime import datetime

    from mypy_boto3_dynamodb.client import DynamoDBClient
    from mypy_boto3_events.client import EventBridgeClient
    from mypy_boto3_secretsmanager.client import SecretsManagerClient
    from mypy_boto3_sqs.client import SQSClient

_serial = itertools.count(1)


class Clock:
    """Time that moves only when told."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> "datetime":
        return self.now


@pytest.fixture(scope="module")
def _cloud() -> Iterator[None]:
    # No longer than a module: moto changes the environment that other tests see.
    with mock_aws():
        yield


@pytest.fixture(scope="module")
def dynamodb(_cloud: None) -> "DynamoDBClient":
    return boto3.client("dynamodb")


@pytest.fixture(scope="module")
def events(_cloud: None) -> "EventBridgeClient":
    return boto3.client("events")


@pytest.fixture(scope="module")
def queues(_cloud: None) -> "SQSClient":
    return boto3.client("sqs")


@pytest.fixture(scope="module")
def moto_secrets_manager(_cloud: None) -> "SecretsManagerClient":
    return boto3.client("secretsmanager")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def table(dynamodb: "DynamoDBClient") -> str:
    """Return the name of a new table of the template's shape."""
    name = f"registry-{next(_serial)}"
    create_registry_table(dynamodb, name)
    return name


@pytest.fixture
def secrets_manager(moto_secrets_manager: "SecretsManagerClient", clock: Clock) -> StrictSecretsManager:
    return StrictSecretsManager(moto_secrets_manager, clock)


@pytest.fixture
def strict_vault(secrets_manager: StrictSecretsManager) -> SecretsManagerVault:
    # A prefix of its own: every test finds an empty vault.
    client = cast("SecretsManagerClient", secrets_manager)
    key_arn = "arn:aws:kms:eu-west-1:123456789012:key/1"
    return SecretsManagerVault(client, f"tests/{next(_serial)}", key_arn, lambda _: None)


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
