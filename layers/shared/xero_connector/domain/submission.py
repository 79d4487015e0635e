"""What an admin submits, checked as far as possible without Xero."""

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass

from xero_connector.domain.credential import IntegrationType
from xero_connector.domain.errors import MalformedRequest
from xero_connector.domain.tokens import ClientPair

LONGEST_SECRET = 100
"""IdentityServer's default limit for a client secret."""
LONGEST_LABEL = 200


# The id becomes part of a secret's name, a table key and a URL path. Xero's ids look like 32 upper-case hex
# digits, but Xero does not promise it, so every harmless id is accepted.
_CLIENT_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_SECRET = re.compile(rf"[\x21-\x7e]{{1,{LONGEST_SECRET}}}")
# The categories of UAX #44: control characters, lone surrogates, unassigned characters, and line breaks.
_NOT_OF_A_LABEL = frozenset({"Cc", "Cs", "Cn", "Zl", "Zp"})
_PICTOGRAPHS = range(0x1F000, 0x1FB00)
"""UTS #51 reserves what is unassigned here for emoji, so an emoji newer than this Python is accepted."""
_ZERO_WIDTH_SPACES = "\u200b\u2060\ufeff"


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """A pair as an admin entered it, and what goes with it."""

    pair: ClientPair
    label: str | None
    integration_type: IntegrationType
    scopes: tuple[str, ...] | None


def parse_client_id(text: str) -> str:
    """Trim a client identifier and check that it can be one."""
    client_id = _trimmed(text, _is_unseen)
    if not _CLIENT_ID.fullmatch(client_id):
        raise MalformedRequest(
            "This client_id cannot be one of Xero's.",
            code="malformed_client_id",
            hint="Copy the client ID from the app's Configuration page at Xero. It has letters and digits only.",
        )
    return client_id


def parse_client_secret(text: str) -> str:
    """Trim a client secret and check that it can be one; the refusal never repeats it."""
    client_secret = _trimmed(text, _is_unseen)
    if not _SECRET.fullmatch(client_secret):
        raise MalformedRequest(
            "This client_secret cannot be one of Xero's.",
            code="malformed_client_secret",
            hint="Copy the whole secret from Xero right after you generated it, without spaces or line breaks.",
        )
    return client_secret


def parse_label(value: object) -> str | None:
    """Trim a label, or raise `MalformedRequest`; None if there is no label, or only invisible characters."""
    if value is None:
        return None
    if not isinstance(value, str) or not all(map(_may_be_in_a_label, value)):
        raise _malformed_label()
    label = _trimmed(value, _is_blank)
    if len(label) > LONGEST_LABEL:
        raise _malformed_label()
    # Invisible characters alone, such as a mark of the writing direction, are no label.
    return label if _trimmed(label, _is_unseen) else None


def _malformed_label() -> MalformedRequest:
    return MalformedRequest(
        "The label is not valid.",
        code="malformed_label",
        hint=f"Send one line of at most {LONGEST_LABEL} characters, or leave the label out.",
    )


def _may_be_in_a_label(character: str) -> bool:
    return unicodedata.category(character) not in _NOT_OF_A_LABEL or ord(character) in _PICTOGRAPHS


def _trimmed(text: str, is_trimmed: Callable[[str], bool]) -> str:
    # Text copied from a page or a document can have invisible characters around it: no-break and zero-width
    # spaces, a byte order mark, marks of the writing direction.
    text = text.strip()
    start, end = 0, len(text)
    while start < end and is_trimmed(text[start]):
        start += 1
    while start < end and is_trimmed(text[end - 1]):
        end -= 1
    return text[start:end]


def _is_blank(character: str) -> bool:
    return character.isspace() or character in _ZERO_WIDTH_SPACES


def _is_unseen(character: str) -> bool:
    return character.isspace() or unicodedata.category(character) == "Cf"
