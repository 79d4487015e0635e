"""DynamoDB's typed JSON, as boto3 writes and reads it.

boto3's own module for it imports all of boto3 beside it, and that takes a tenth of a cold start.
"""

from collections.abc import Callable, Mapping
from decimal import Clamped, Context, Decimal, Inexact, Overflow, Rounded, Underflow
from typing import Any

# What DynamoDB keeps of a number; another raises an ArithmeticError.
_NUMBERS = Context(prec=38, Emin=-128, Emax=126, traps=[Clamped, Overflow, Inexact, Rounded, Underflow])


def typed(value: object) -> dict[str, Any]:
    """Return a value in DynamoDB's typed JSON; raises `TypeError` or `ArithmeticError` if it has no form there."""
    match value:
        case None:
            wire: dict[str, Any] = {"NULL": True}
        case str():
            wire = {"S": value}
        case bool():
            wire = {"BOOL": value}
        case int() | Decimal():
            wire = {"N": str(_NUMBERS.create_decimal(value))}
        case bytes():
            wire = {"B": value}
        case Mapping():
            wire = {"M": {name: typed(member) for name, member in value.items()}}
        case list() | tuple():
            wire = {"L": [typed(member) for member in value]}
        case set() | frozenset():
            members = [typed(member) for member in value]
            (kind,) = {kind for member in members for kind in member}
            wire = {f"{kind}S": [member[kind] for member in members]}
        case _:
            raise TypeError(type(value).__name__)
    return wire


def untyped(wire: Mapping[str, Any]) -> Any:  # noqa: ANN401 - whatever was written
    """Read a value of DynamoDB's typed JSON; numbers are decimals."""
    ((kind, value),) = wire.items()
    return _READERS[kind](value)


def _unchanged(value: object) -> object:
    return value


_READERS: Mapping[str, Callable[[Any], Any]] = {
    "NULL": lambda _: None,
    "S": _unchanged,
    "BOOL": _unchanged,
    "N": _NUMBERS.create_decimal,
    "B": _unchanged,
    "M": lambda value: {name: untyped(member) for name, member in value.items()},
    "L": lambda value: [untyped(member) for member in value],
    "SS": set,
    "NS": lambda value: set(map(_NUMBERS.create_decimal, value)),
    "BS": set,
}
