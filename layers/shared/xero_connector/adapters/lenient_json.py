"""Xero's JSON, read as far as it can be understood.

A strict reader throws a whole answer away for one odd member of it, and with it the tokens beside that member.
This one reads what it can: a byte order mark, raw control characters, what follows the document, and numbers that
no machine holds do no harm. Where a member, or an element of a list, cannot be read at all, the others are.
Nothing is ever taken from a deeper level than where it stands, nor from inside a text.
"""

import re
from json import JSONDecoder, detect_encoding
from math import isfinite
from typing import Any, Final, NamedTuple, override

_BLANK = "\ufeff \t\r\n"
_MOST_DIGITS = 1_000
_LEVELS = 4
"""How deep the odd one is looked for: a member of a key, in the list of keys, in the object around it."""
_TEXT = r'"[^"\\]*+(?:\\.[^"\\]*+)*+("?)'
_MARK = re.compile(rf"{_TEXT}|[\[\]{{}},]", re.DOTALL)
_NAME = re.compile(rf"\s*({_TEXT})\s*:", re.DOTALL)
_ENDS = {"{": "}", "[": "]"}


class _Unreadable:
    @override
    def __repr__(self) -> str:
        return "UNREADABLE"


UNREADABLE: Final = _Unreadable()
"""In place of a value that is there and cannot be read."""


class Document(NamedTuple):
    """What was read; `whole` if it is an object or a list that has its end."""

    content: object
    whole: bool


def read(body: bytes | bytearray) -> Document:
    """Read the JSON that a body begins with; the content is None where it begins with something else."""
    text = text_of(body)
    try:
        content, _ = _DECODER.raw_decode(text)
    except (RecursionError, ValueError):
        return _pieced_together(text, _LEVELS)
    return Document(content, isinstance(content, dict | list))


def members(body: bytes | bytearray) -> dict[str, Any]:
    """Return the members of the object that a body holds, none where it is not one, or is cut off."""
    content, whole = read(body)
    return content if whole and isinstance(content, dict) else {}


def text_of(body: bytes | bytearray) -> str:
    """Return a body as text, without what may stand before JSON; what is no text in it shows as U+FFFD."""
    return bytes(body).decode(detect_encoding(body), errors="replace").lstrip(_BLANK)


def _whole_number(digits: str) -> int | None:
    return int(digits) if len(digits) <= _MOST_DIGITS else None


def _fraction(digits: str) -> float | None:
    number = float(digits)
    return number if isfinite(number) else None


_DECODER = JSONDecoder(strict=False, parse_int=_whole_number, parse_float=_fraction, parse_constant=lambda _: None)


def _pieced_together(text: str, levels: int) -> Document:
    """Read each member or element of a document on its own."""
    if not text or text[0] not in _ENDS:
        return Document(None, whole=False)
    pieces, whole = _pieces(text)
    if text[0] == "[":
        return Document([_value(piece, levels) for piece in pieces if piece.strip()], whole)
    content: dict[str, Any] = {}
    for piece in pieces:
        named = _NAME.match(piece)
        name = _value(named[1], 0) if named else None
        if named and isinstance(name, str):
            content[name] = _value(piece[named.end() :], levels)
    return Document(content, whole)


def _value(text: str, levels: int) -> object:
    try:
        return _DECODER.decode(text)
    except (RecursionError, ValueError):
        content, whole = _pieced_together(text.strip(), levels - 1) if levels > 1 else (None, False)
        return content if whole else UNREADABLE


def _pieces(text: str) -> tuple[list[str], bool]:
    """Return what stands between the commas of the outermost level, and whether that level has its end.

    Where the document is cut off, its last piece may be the beginning of more: it counts if it is a text with both
    of its quotes.
    """
    open_ends: list[str] = []
    pieces: list[str] = []
    begin = 1
    for mark in _MARK.finditer(text):
        sign = mark[0][0]
        if sign == '"':
            if not mark[1]:
                return pieces, False
        elif sign in _ENDS:
            open_ends.append(_ENDS[sign])
        elif sign == ",":
            if len(open_ends) == 1:
                pieces.append(text[begin : mark.start()])
                begin = mark.end()
        elif sign != open_ends.pop():
            return pieces, False
        elif not open_ends:
            return [*pieces, text[begin : mark.start()]], True
    rest = text[begin:]
    return [*pieces, *([rest] if rest.rstrip().endswith('"') else [])], False
