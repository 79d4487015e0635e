"""What a run asks the due index, with the real adapters on the strict double."""

from dataclasses import replace
from datetime import timedelta
from typing import Any, cast

import pytest

from tests.fakes.world import SETTINGS
from tests.prove.world import Life, World
from tests.prove.xero import InProcessXero
from xero_connector.adapters import dynamodb_items as items
from xero_connector.adapters.dynamodb_history import DynamoDBHistory
from xero_connector.adapters.dynamodb_registry import DynamoDBRegistry
from xero_connector.domain.history import Action

A_MINUTE = timedelta(minutes=1)
FORMER = {"4", "5", "6", "7"}


@pytest.fixture(scope="module")
def xero() -> InProcessXero:
    return InProcessXero()


@pytest.fixture
def world(xero: InProcessXero) -> World:
    return World(xero)


def test_a_run_that_finds_nothing_makes_eight_queries_at_most(world: World) -> None:
    life = Life(world.clock)
    app = world.process(life)
    made = []
    for _ in range(40):
        world.clock.advance(60)
        before = len(life.calls)
        world.sweep(app)
        made.append(life.calls[before:].count("dynamodb.query"))
    # One more where a run counts a part of the fleet.
    assert set(made) == {7, 8}


def shard_of(world: World) -> str:
    return str(world.dynamodb.items[f"CREDENTIAL#{world.client_id}", "CREDENTIAL"]["due_shard"]["S"])


def put_into_a_former_shard(world: World) -> None:
    """Write the credential as a release with more shards does."""
    number = next(number for number in range(5, 200) if items.shard_of(world.client_id, number) in FORMER)
    registry = DynamoDBRegistry(cast("Any", world.dynamodb), SETTINGS.table_name, number)
    registry.save(world.credential)
    assert shard_of(world) in FORMER


def test_a_credential_in_a_former_shard_is_refreshed_within_three_runs_and_moves(world: World) -> None:
    app = world.process(Life(world.clock))
    world.connect(app)
    put_into_a_former_shard(world)
    world.clock.next_tick(not_before=world.credential.due_at)
    for _ in range(3):
        world.sweep(app)
        world.clock.advance(60)
    assert world.credential.generation == 2
    assert shard_of(world) not in FORMER


@pytest.mark.parametrize("shard", ["1", "4", "7"])
def test_an_event_in_a_former_shard_is_published(world: World, shard: str) -> None:
    app = world.process(Life(world.clock))
    world.connect(app)
    world.registry.save(replace(world.credential.noted(Action.TENANTS_CHANGED), due_at=None))
    (key,) = [key for key, item in world.dynamodb.items.items() if "due_shard" in item]
    item = {**world.dynamodb.items[key], "due_shard": {"S": f"EVENTS#{shard}"}}
    world.dynamodb.put_item(
        TableName=SETTINGS.table_name,
        Item=item,
        ConditionExpression="attribute_exists(pk)",
        ReturnValuesOnConditionCheckFailure="ALL_OLD",
    )
    history = DynamoDBHistory(cast("Any", world.dynamodb), SETTINGS.table_name)
    world.clock.advance(60)
    assert len(history.unpublished(shard=shard, now=world.clock(), limit=10)) == 1
    for _ in range(35):
        world.sweep(app)
        world.clock.advance(60)
    assert history.unpublished(shard=shard, now=world.clock(), limit=10) == []
