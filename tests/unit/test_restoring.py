"""The script of `docs/operations.md` that copies a restored table back, run as it stands there."""

import re
import sys
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import boto3
import pytest
from moto import mock_aws

from tests.fakes.builders import a_credential, a_tokens_secret
from tests.fakes.due import due_in
from tests.fakes.former_form import put_in_former_form
from tests.fakes.registry_table import create_registry_table
from tests.fakes.world import CLIENT_ID, NOON
from tests.fakes.xero import DEMO_COMPANY
from xero_connector.adapters.dynamodb_history import DynamoDBHistory
from xero_connector.adapters.dynamodb_registry import DynamoDBRegistry
from xero_connector.domain.credential import Credential
from xero_connector.domain.history import Action
from xero_connector.domain.status import Status
from xero_connector.domain.tokens import tokens_version_id

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient

OPERATIONS = Path(__file__).parents[2] / "docs" / "operations.md"
CONNECTED = a_credential(status=Status.CONNECTED, generation=3, label="Demo", tenants=(DEMO_COMPANY,), due_at=NOON)


@pytest.fixture
def dynamodb() -> Iterator["DynamoDBClient"]:
    with mock_aws():
        client = boto3.client("dynamodb")
        for name in ("restored", "registry"):
            create_registry_table(client, name)
        yield client


@pytest.fixture
def restored(dynamodb: "DynamoDBClient") -> DynamoDBRegistry:
    return DynamoDBRegistry(dynamodb, "restored", shards=1)


@pytest.fixture
def registry(dynamodb: "DynamoDBClient") -> DynamoDBRegistry:
    return DynamoDBRegistry(dynamodb, "registry", shards=1)


@pytest.fixture
def copy_back(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Return what runs the script."""
    (script,) = re.findall(r"```python\n(\s*\"\"\"python restore\.py.*?)```", OPERATIONS.read_text(), re.DOTALL)

    def run() -> None:
        monkeypatch.setattr(sys, "argv", ["restore.py", "restored", "registry", "prefix"])
        program = compile(textwrap.dedent(script), "restore.py", "exec")
        names: dict[str, Any] = {}
        exec(program, names)  # noqa: S102 - the script of this repository

    return run


def store_tokens(generation: int, *, version_id: str | None = None) -> None:
    boto3.client("secretsmanager").create_secret(
        Name=f"prefix/{CLIENT_ID}/tokens",
        ClientRequestToken=version_id or tokens_version_id(CONNECTED.incarnation, generation),
        SecretString=a_tokens_secret(generation=generation).to_json(),
    )


def another_life(present: Credential) -> Credential:
    return replace(present, incarnation=UUID(int=7))


def listed(registry: DynamoDBRegistry, status: Status | None = None) -> list[str]:
    return [row.client_id for row in registry.page(status=status, limit=10, next_token=None).items]


def test_a_credential_comes_back_whole_with_the_newest_generation(
    restored: DynamoDBRegistry, registry: DynamoDBRegistry, copy_back: Callable[[], None]
) -> None:
    restored.create(CONNECTED.noted(Action.SUBMITTED, by="me"), replacing=None)
    store_tokens(5)
    copy_back()
    found = registry.get(CLIENT_ID)
    assert found is not None
    assert (found.generation, found.revision) == (5, 1_000_001)
    assert (found.label, found.tenants, found.due_at) == ("Demo", (DEMO_COMPANY,), NOON)
    assert listed(registry) == listed(registry, Status.CONNECTED) == [CLIENT_ID]
    assert due_in(registry, now=NOON) == [CLIENT_ID]
    history = DynamoDBHistory(registry.client, "registry")
    assert [entry.by for entry in history.page(CLIENT_ID, limit=10, next_token=None).items] == ["me"]
    # The next write goes on from there.
    assert registry.save(found).revision == 1_000_002


def test_what_is_there_is_replaced_with_its_details(
    restored: DynamoDBRegistry, registry: DynamoDBRegistry, copy_back: Callable[[], None]
) -> None:
    restored.create(CONNECTED, replacing=None)
    registry.create(a_credential(status=Status.DEGRADED, label="newer"), replacing=None)
    store_tokens(5)
    copy_back()
    found = registry.get(CLIENT_ID)
    assert found is not None
    assert (found.label, found.status) == ("Demo", Status.CONNECTED)
    assert listed(registry, Status.CONNECTED) == [CLIENT_ID]
    assert listed(registry, Status.DEGRADED) == []


def test_a_row_in_its_former_form_comes_back(
    dynamodb: "DynamoDBClient", registry: DynamoDBRegistry, copy_back: Callable[[], None]
) -> None:
    put_in_former_form(dynamodb, CONNECTED, table="restored")
    store_tokens(5)
    copy_back()
    assert registry.get(CLIENT_ID) is not None
    assert listed(registry) == listed(registry, Status.CONNECTED) == [CLIENT_ID]


def test_a_life_that_came_after_is_left_as_it_is(
    restored: DynamoDBRegistry,
    registry: DynamoDBRegistry,
    copy_back: Callable[[], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    restored.create(CONNECTED, replacing=None)
    present = registry.create(a_credential(label="after"), replacing=None)
    store_tokens(1, version_id="0" * 36)
    copy_back()
    assert registry.get(CLIENT_ID) == present
    assert capsys.readouterr().out == f"left out, look at it by hand: {CLIENT_ID}\n"


@pytest.mark.parametrize("status", [Status.VALIDATED, Status.DISCONNECTED])
def test_a_life_that_came_after_is_left_even_where_the_earlier_had_no_tokens(
    restored: DynamoDBRegistry, registry: DynamoDBRegistry, copy_back: Callable[[], None], status: Status
) -> None:
    restored.create(a_credential(status=status), replacing=None)
    present = registry.create(another_life(CONNECTED), replacing=None)
    store_tokens(3, version_id=tokens_version_id(present.incarnation, 3))
    copy_back()
    assert registry.get(CLIENT_ID) == present


@pytest.mark.parametrize("gone_for_good", [False, True])
def test_a_credential_without_its_secret_is_left_out_and_the_others_come_back(
    restored: DynamoDBRegistry,
    registry: DynamoDBRegistry,
    copy_back: Callable[[], None],
    capsys: pytest.CaptureFixture[str],
    *,
    gone_for_good: bool,
) -> None:
    others = ["A" * 32, "F" * 32]
    restored.create(CONNECTED, replacing=None)
    for client_id in others:
        restored.create(a_credential(client_id=client_id), replacing=None)
    store_tokens(5)
    boto3.client("secretsmanager").delete_secret(
        SecretId=f"prefix/{CLIENT_ID}/tokens", ForceDeleteWithoutRecovery=gone_for_good
    )
    copy_back()
    assert listed(registry) == others
    assert f"left out, look at it by hand: {CLIENT_ID}\n" in capsys.readouterr().out
