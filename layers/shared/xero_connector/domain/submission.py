"""What an admin submits, and the checks that need no network."""

import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from xero_connector.domain.credential import IntegrationType
from xero_connector.domain.errors import MalformedRequest
from xero_connector.domain.tokens import ClientPair

LONGEST_SECRET = 100
"""IdentityServer's default limit for a client secret."""
LONGEST_LABEL = 200
MOST_SCOPES = 60

# The id becomes part of a secret's name, a table key and a URL path. Xero's own look like 32 upper-case hex
# digits, but nothing promises it: anything harmless is accepted.
_CLIENT_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_SECRET = re.compile(rf"[\x21-\x7e]{{1,{LONGEST_SECRET}}}")
_SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{1,100}")
REQUIRED_SCOPES: Mapping[str, str] = {
    "offline_access": "Without it Xero gives no refresh token, and the connection would end after 30 minutes.",
    "openid": "Without it Xero gives no ID token, and nobody could tell whose consent this is.",
}
"""What every consent has to ask for, and why."""
FORBIDDEN_SCOPE = "app.connections"
_OF_A_USER = frozenset({"openid", "profile", "email", "offline_access"})
"""What only a consent can ask for: a Custom connection has no user and no refresh token."""
# In UAX #44's terms: control characters, lone surrogates, what is no character, and what breaks a line.
_NOT_OF_A_LABEL = frozenset({"Cc", "Cs", "Cn", "Zl", "Zp"})
_PICTOGRAPHS = range(0x1F000, 0x1FB00)
"""UTS #51 reserves what is not assigned here for emoji: one that is newer than this Python is no mistake."""
_BLANKS_OF_NO_WIDTH = "\u200b\u2060\ufeff"
_KNOWN = frozenset({"client_id", "client_secret", "label", "integration_type", "scopes"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """A pair as an admin entered it, and what goes with it."""

    pair: ClientPair
    label: str | None
    integration_type: IntegrationType
    scopes: tuple[str, ...] | None


def parse_submission(body: object) -> Submission:
    """Read the body of `POST /credentials`, or raise `MalformedRequest` that names the field."""
    fields = _object(body)
    _check_known(fields, _KNOWN)
    integration_type = _integration_type(fields.get("integration_type"))
    return Submission(
        pair=ClientPair(
            parse_client_id(_text(fields, "client_id")), parse_client_secret(_text(fields, "client_secret"))
        ),
        label=_label(fields.get("label")),
        integration_type=integration_type,
        scopes=_scopes(fields.get("scopes"), integration_type),
    )


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


def is_scope(text: str) -> bool:
    """Whether a text can be the name of a scope (RFC 6749 §3.3)."""
    return _SCOPE.fullmatch(text) is not None


def parse_secret_body(body: object) -> str:
    """Read the body of `PUT /credentials/{client_id}/secret`."""
    fields = _object(body)
    _check_known(fields, frozenset({"client_secret"}))
    return parse_client_secret(_text(fields, "client_secret"))


def _object(body: object) -> Mapping[str, object]:
    if not isinstance(body, dict):
        raise MalformedRequest("The body is not a JSON object.", hint="Send a JSON object as the body.")
    return body


def _check_known(fields: Mapping[str, object], known: frozenset[str]) -> None:
    if not known.issuperset(fields):
        raise MalformedRequest(
            "The request has a field that is not known.",
            code="unknown_field",
            hint=f"Use only: {', '.join(sorted(known))}.",
        )


def _text(fields: Mapping[str, object], name: str) -> str:
    value = fields.get(name)
    if value is None:
        raise MalformedRequest(
            f"The field {name} is missing.", code="missing_field", hint=f"Add {name} as a string."
        )
    if not isinstance(value, str):
        raise MalformedRequest(f"The field {name} is not a string.", hint=f"Send {name} as a string.")
    return value


def _label(value: object) -> str | None:
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


def _integration_type(value: object) -> IntegrationType:
    if value is None:
        return IntegrationType.WEB_APP
    try:
        return IntegrationType(value)  # type: ignore[arg-type] # anything else raises ValueError
    except ValueError:
        raise MalformedRequest(
            "The integration_type is not known.",
            code="malformed_integration_type",
            hint=f"Use one of: {', '.join(IntegrationType)}.",
        ) from None


def _scopes(value: object, integration_type: IntegrationType) -> tuple[str, ...] | None:
    if value is None:
        return None
    if not isinstance(value, list) or not 0 < len(value) <= MOST_SCOPES:
        raise MalformedRequest(
            "The scopes are not a list of names.",
            code="malformed_scopes",
            hint=f"Send an array of 1 to {MOST_SCOPES} scope names, or leave it out for the default.",
        )
    for scope in value:
        if not isinstance(scope, str) or not is_scope(scope):
            raise MalformedRequest(
                "One of the scopes is not a scope name.",
                code="malformed_scopes",
                hint="Write each scope as one string of the array, as Xero's scope list spells it.",
            )
    scopes = tuple(dict.fromkeys(value))
    if integration_type is IntegrationType.CUSTOM_CONNECTION:
        _check_for_no_user(scopes)
    else:
        _check_for_consent(scopes)
    return scopes


def _check_for_no_user(scopes: tuple[str, ...]) -> None:
    of_a_user = sorted(_OF_A_USER.intersection(scopes))
    if of_a_user:
        raise MalformedRequest(
            f"A Custom connection cannot have {' '.join(of_a_user)}: it acts for no user.",
            code="forbidden_scope",
            hint="Name only scopes that the Custom connection was set up with, or leave scopes out for all.",
        )


def _check_for_consent(scopes: tuple[str, ...]) -> None:
    for required, reason in REQUIRED_SCOPES.items():
        if required not in scopes:
            raise MalformedRequest(
                f"The scopes lack {required}. {reason}",
                code="missing_scope",
                hint=f"Add {required} to the scopes.",
            )
    if FORBIDDEN_SCOPE in scopes:
        raise MalformedRequest(
            f"The scope {FORBIDDEN_SCOPE} cannot be asked for in a consent.",
            code="forbidden_scope",
            hint=f"Leave {FORBIDDEN_SCOPE} out: Xero refuses the whole consent with it.",
        )
