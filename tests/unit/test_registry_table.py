"""The registry's table: an update of a deployed stack can make it, and tests have one of the same shape."""

from typing import Any

import boto3
from moto import mock_aws

from tests.doubles.capacity import INDEXES, TABLE_KEYS
from tests.fakes.registry_table import create_registry_table
from tests.unit.test_documentation import template

type Index = tuple[str, tuple[tuple[str, str], ...], str]

OF_0_1_0: set[Index] = {
    ("due", (("due_shard", "HASH"), ("due_at", "RANGE")), "KEYS_ONLY"),
    ("credentials", (("listing", "HASH"), ("client_id", "RANGE")), "ALL"),
}
"""What the stacks that are deployed have: an update begins with it."""
MOST_OF_ONE_UPDATE = 1
"""CloudFormation adds or removes one index with an update (User Guide, "AWS::DynamoDB::Table")."""


def indexes_of(described: list[Any]) -> set[Index]:
    return {
        (
            index["IndexName"],
            tuple((key["AttributeName"], key["KeyType"]) for key in index["KeySchema"]),
            index["Projection"]["ProjectionType"],
        )
        for index in described
    }


def table_of_the_template() -> dict[str, Any]:
    properties: dict[str, Any] = template()["Resources"]["Registry"]["Properties"]
    return properties


def test_one_update_of_a_deployed_stack_makes_the_indexes() -> None:
    present = indexes_of(table_of_the_template()["GlobalSecondaryIndexes"])
    assert len(present ^ OF_0_1_0) <= MOST_OF_ONE_UPDATE
    # An index that stays keeps its key and its projection: CloudFormation changes neither in place.
    names = [name for name, *_ in present | OF_0_1_0]
    assert len(names) == len(set(names))


def test_the_tests_have_a_table_of_the_template_s_shape() -> None:
    with mock_aws():
        client = boto3.client("dynamodb")
        create_registry_table(client, "registry")
        made: Any = client.describe_table(TableName="registry")["Table"]
    described = table_of_the_template()
    assert indexes_of(made["GlobalSecondaryIndexes"]) == indexes_of(described["GlobalSecondaryIndexes"])
    assert made["KeySchema"] == described["KeySchema"]
    assert {definition["AttributeName"] for definition in described["AttributeDefinitions"]} == {
        *TABLE_KEYS,
        *(name for keys in INDEXES.values() for name in keys),
    }
