"""The members of a DynamoDB item, each of the type that it must have.

A write by hand can leave a member of another type: a number for a text, a moment without its
offset. Were it let through, it would fail far from here, and for everybody who reads a list with that row in it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

_LARGEST = 10**15
_YEARS = range(1970, 9000)
"""Within these a moment can be moved by any of our pauses, and to any place on earth."""


@dataclass(frozen=True, slots=True)
class Members:
    """Reads members; raises `ArithmeticError`, `KeyError`, `TypeError` or `ValueError` for what is none.

    A member that is null counts as left out.
    """

    item: Mapping[str, Any]

    def __post_init__(self) -> None:
        if not isinstance(self.item, Mapping):
            raise TypeError

    def __contains__(self, name: str) -> bool:
        return self.item.get(name) is not None

    def text(self, name: str) -> str:
        """Read a text."""
        return _text(self.item[name])

    def text_or_none(self, name: str) -> str | None:
        """Read a text that may be left out."""
        return self.text(name) if name in self else None

    def texts(self, name: str) -> tuple[str, ...]:
        """Read a list of texts."""
        return tuple(_text(one) for one in _list(self.item[name]))

    def whole(self, name: str) -> int:
        """Read a whole number."""
        number = self.number(name)
        if number % 1:
            raise TypeError
        return int(number)

    def number(self, name: str) -> Decimal:
        """Read a number that is no larger than any of ours."""
        number = self.item[name]
        if isinstance(number, bool) or not isinstance(number, Decimal | int):
            raise TypeError
        if not -_LARGEST < number < _LARGEST:
            raise ValueError
        return Decimal(number)

    def flag(self, name: str) -> bool:
        """Read a truth value."""
        flag = self.item[name]
        if not isinstance(flag, bool):
            raise TypeError
        return flag

    def moment(self, name: str) -> datetime:
        """Read a moment; without an offset it is in UTC."""
        moment = datetime.fromisoformat(self.text(name))
        if moment.year not in _YEARS:
            raise ValueError
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)

    def moment_or_none(self, name: str) -> datetime | None:
        """Read a moment that may be left out."""
        return self.moment(name) if name in self else None

    def inner(self, name: str) -> "Members":
        """Read a map."""
        return Members(self.item[name])

    def inner_or_none(self, name: str) -> "Members | None":
        """Read a map that may be left out."""
        return self.inner(name) if name in self else None

    def inner_list(self, name: str) -> tuple["Members", ...]:
        """Read a list of maps; one that is left out is empty."""
        return tuple(Members(one) for one in _list(self.item[name])) if name in self else ()


def _list(value: object) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value
