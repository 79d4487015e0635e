"""Reads the JSON bodies of the admin API."""

from collections.abc import Mapping

from xero_connector.domain.credential import IntegrationType
from xero_connector.domain.errors import MalformedRequest
from xero_connector.domain.scopes import MOST_SCOPES, check_for_consent, check_for_no_user, is_scope
from xero_connector.domain.submission import Submission, parse_client_id, parse_client_secret, parse_label
from xero_connector.domain.tokens import ClientPair

_MALFORMED_SCOPES = "malformed_scopes"
_FIELDS = frozenset({"client_id", "client_secret", "label", "integration_type", "scopes"})


def parse_submission(body: object) -> Submission:
    """Read the body of `POST /credentials`, or raise `MalformedRequest` that names the field."""
    fields = json_object(body)
    check_names(fields, _FIELDS)
    integration_type = parse_integration_type(fields.get("integration_type"))
    return Submission(
        pair=ClientPair(
            parse_client_id(_text(fields, "client_id")), parse_client_secret(_text(fields, "client_secret"))
        ),
        label=parse_label(fields.get("label")),
        integration_type=integration_type,
        scopes=parse_scopes(fields.get("scopes"), integration_type),
    )


def parse_secret_body(body: object) -> str:
    """Read the body of `PUT /credentials/{client_id}/secret`."""
    fields = json_object(body)
    check_names(fields, frozenset({"client_secret"}))
    return parse_client_secret(_text(fields, "client_secret"))


def json_object(body: object) -> Mapping[str, object]:
    """Return the members of a JSON object, or raise `MalformedRequest`."""
    if not isinstance(body, dict):
        raise MalformedRequest("The body is not a JSON object.", hint="Send a JSON object as the body.")
    return body


def check_names(fields: Mapping[str, object], allowed: frozenset[str]) -> None:
    """Raise `MalformedRequest` for a field that does not exist."""
    if not allowed.issuperset(fields):
        raise MalformedRequest(
            "The request has a field that does not exist.",
            code="unknown_field",
            hint=f"Use only: {', '.join(sorted(allowed))}.",
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


def parse_integration_type(value: object) -> IntegrationType:
    """Read an integration type, a Web app by default, or raise `MalformedRequest`."""
    if value is None:
        return IntegrationType.WEB_APP
    try:
        return IntegrationType(value)  # type: ignore[arg-type] # anything else raises ValueError
    except ValueError:
        raise MalformedRequest(
            "There is no such integration_type.",
            code="malformed_integration_type",
            hint=f"Use one of: {', '.join(IntegrationType)}.",
        ) from None  # The cause repeats the value, which can be a client secret in the wrong field.


def parse_scopes(value: object, integration_type: IntegrationType) -> tuple[str, ...] | None:
    """Read scopes that fit the integration type, or raise `MalformedRequest`."""
    if value is None:
        return None
    if not isinstance(value, list) or not 0 < len(value) <= MOST_SCOPES:
        raise MalformedRequest(
            "The scopes are not a list of names.",
            code=_MALFORMED_SCOPES,
            hint=f"Send an array of 1 to {MOST_SCOPES} scope names, or leave scopes out for the default.",
        )
    for scope in value:
        if not isinstance(scope, str) or not is_scope(scope):
            raise MalformedRequest(
                "One of the scopes is not a scope name.",
                code=_MALFORMED_SCOPES,
                hint="Send each scope as one string of the array, spelled as in Xero's list of scopes.",
            )
    scopes = tuple(dict.fromkeys(value))
    if integration_type is IntegrationType.CUSTOM_CONNECTION:
        check_for_no_user(scopes)
    else:
        check_for_consent(scopes)
    return scopes
