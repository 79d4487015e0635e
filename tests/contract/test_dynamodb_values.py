"""DynamoDB's typed JSON is what boto3 makes of it."""

from decimal import Decimal

import pytest
from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from hypothesis import given
from hypothesis import strategies as some

from xero_connector.adapters.dynamodb_values import typed, untyped

NUMBERS = some.integers(-(10**37), 10**37) | some.decimals(-1000, 1000, places=6)
SCALARS = some.none() | some.booleans() | some.text() | NUMBERS
SETS = some.sets(some.text(), min_size=1) | some.sets(NUMBERS, min_size=1)
VALUES = some.recursive(
    SCALARS | SETS, lambda inner: some.lists(inner) | some.dictionaries(some.text(), inner), max_leaves=10
)


@given(VALUES)
def test_values_are_written_and_read_as_by_boto3(value: object) -> None:
    wire = TypeSerializer().serialize(value)
    assert typed(value) == wire
    assert untyped(wire) == TypeDeserializer().deserialize(wire)


def test_bytes_are_read_too() -> None:
    assert untyped(typed({"member": b"x"})) == {"member": b"x"}
    assert untyped({"BS": [b"x"]}) == {b"x"}


@pytest.mark.parametrize("value", [1.5, object(), Decimal("1e200"), Decimal("0." + "1" * 39)])
def test_what_dynamodb_cannot_hold_is_refused(value: object) -> None:
    with pytest.raises((TypeError, ArithmeticError)):
        typed(value)
