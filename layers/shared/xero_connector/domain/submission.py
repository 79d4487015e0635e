"""What an admin submits, and what can be said of it without asking Xero."""

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


# The id becomes part of a secret's name, a table key and a URL path. Xero's own look like 32 upper-case hex
# digits, but nothing promises it: anything harmless is accepted.
_CLIENT_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_SECRET = re.compile(rf"[\x21-\x7e]{{1,{LONGEST_SECRET}}}")
# In UAX #44's terms: control characters, lone surrogates, what is no character, and what breaks a line.
_NOT_OF_A_LABEL = frozenset({"Cc", "Cs", "Cn", "Zl", "Zp"})
_PICTOGRAPHS = range(0x1F000, 0x1FB00)
"""UTS #51 reserves what is not assigned here for emoji: one that is newer than this Python is no mistake."""
_BLANKS_OF_NO_WIDTH = "\u200b\u2060\ufeff"


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
            "The client_id is not one that Xero gives out.",
            code="malformed_client_id",
            hint="Copy the client ID from the app's Configuration page at Xero: letters and digits only.",
        )
    return client_id


def parse_client_secret(text: str) -> str:
    """Trim a client secret and check that it can be one; the refusal never repeats it."""
    client_secret = _trimmed(text, _is_unseen)
    if not _SECRET.fullmatch(client_secret):
        raise MalformedRequest(
            "The client_secret is not one that Xero gives out.",
            code="malformed_client_secret",
            hint="Copy the whole secret from Xero right after it was generated, without spaces or line breaks.",
        )
    return client_secret


def parse_label(value: object) -> str | None:
    """Trim a label, or raise `MalformedRequest`; None where there is none, or nothing of it shows."""
    if value is None:
        return None
    if not isinstance(value, str) or not all(map(_may_be_in_a_label, value)):
        raise _malformed_label()
    label = _trimmed(value, _is_blank)
    if len(label) > LONGEST_LABEL:
        raise _malformed_label()
    # What shows nothing is no label, such as a lone mark of the writing direction.
    return label if _trimmed(label, _is_unseen) else None


def _malformed_label() -> MalformedRequest:
    return MalformedRequest(
        "The label is not usable.",
        code="malformed_label",
        hint=f"Send one line of at most {LONGEST_LABEL} characters, or leave it out.",
    )


def _may_be_in_a_label(character: str) -> bool:
    return unicodedata.category(character) not in _NOT_OF_A_LABEL or ord(character) in _PICTOGRAPHS


def _trimmed(text: str, is_cut_off: Callable[[str], bool]) -> str:
    # A copy from a page or a document brings blanks along that nobody sees: no-break and zero-width ones, a byte
    # order mark, marks of the writing direction.
    text = text.strip()
    start, end = 0, len(text)
    while start < end and is_cut_off(text[start]):
        start += 1
    while start < end and is_cut_off(text[end - 1]):
        end -= 1
    return text[start:end]


def _is_blank(character: str) -> bool:
    return character.isspace() or character in _BLANKS_OF_NO_WIDTH


def _is_unseen(character: str) -> bool:
    return character.isspace() or unicodedata.category(character) == "Cf"
