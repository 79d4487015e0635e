"""What an admin submits, and the checks that need no network."""

import re
from collections.abc import Mapping
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
# RFC 6749 §3.3
_SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{1,100}")
REQUIRED_SCOPES: Mapping[str, str] = {
    "offline_access": "Without it Xero gives no refresh token, and the connection would end after 30 minutes.",
    "openid": "Without it Xero gives no ID token, and nobody could tell whose consent this is.",
}
"""What every consent has to ask for, and why."""
FORBIDDEN_SCOPE = "app.connections"
_OF_A_USER = frozenset({"openid", "profile", "email", "offline_access"})
"""What only a consent can ask for: a Custom connection has no user and no refresh token."""
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
    client_id = text.strip()
    if not _CLIENT_ID.fullmatch(client_id):
        raise MalformedRequest(
            "The client_id is not one that Xero gives out.",
            code="malformed_client_id",
            hint="Copy the client ID from the app's Configuration page at Xero: letters and digits only.",
        )
    return client_id


def parse_client_secret(text: str) -> str:
    """Trim a client secret and check that it can be one; the refusal never repeats it."""
    client_secret = text.strip()
    if not _SECRET.fullmatch(client_secret):
        raise MalformedRequest(
            "The client_secret is not one that Xero gives out.",
            code="malformed_client_secret",
            hint="Copy the whole secret from Xero right after it was generated, without spaces or line breaks.",
        )
    return client_secret


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
    if not isinstance(value, str) or len(value) > LONGEST_LABEL or not value.isprintable():
        raise MalformedRequest(
            "The label is not usable.",
            code="malformed_label",
            hint=f"Send a string of at most {LONGEST_LABEL} printable characters, or leave it out.",
        )
    return value.strip() or None


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
        if not isinstance(scope, str) or not _SCOPE.fullmatch(scope):
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
