"""Reads the JSON bodies of the admin API's routes for setup links."""

from collections.abc import Mapping
from datetime import timedelta

from xero_connector.domain.errors import MalformedRequest
from xero_connector.domain.setup_link import DEFAULT_LIFETIME, LONGEST_LIFETIME, SHORTEST_LIFETIME
from xero_connector.domain.submission import parse_label
from xero_connector.use_cases.create_setup_link import SetupLinkWish
from xero_connector.web.submission_body import check_names, json_object, parse_integration_type, parse_scopes


def parse_setup_link(body: object) -> SetupLinkWish:
    """Read the body of `POST /setup-links`, or raise `MalformedRequest` that names the field."""
    fields = json_object(body)
    check_names(fields, frozenset({"label", "integration_type", "scopes", "expires_in_days"}))
    integration_type = None
    if fields.get("integration_type") is not None:
        integration_type = parse_integration_type(fields["integration_type"])
    # Without a type the customer chooses, and the scopes are those of a consent.
    scopes = parse_scopes(fields.get("scopes"), integration_type or parse_integration_type(None))
    return SetupLinkWish(
        label=parse_label(fields.get("label")),
        integration_type=integration_type,
        scopes=scopes,
        lifetime=_lifetime(fields),
    )


def parse_healing_link(body: object) -> timedelta:
    """Read the body of `POST /credentials/{client_id}/setup-link`: how long the link is to live."""
    fields = json_object(body)
    check_names(fields, frozenset({"expires_in_days"}))
    return _lifetime(fields)


def _lifetime(fields: Mapping[str, object]) -> timedelta:
    days = fields.get("expires_in_days")
    if days is None:
        return DEFAULT_LIFETIME
    # A truth value is a number to Python, and none to JSON; 7.0 is a whole number to both.
    if isinstance(days, bool) or not isinstance(days, int | float):
        raise _malformed_days()
    if not SHORTEST_LIFETIME.days <= days <= LONGEST_LIFETIME.days or days != int(days):
        raise _malformed_days()
    return timedelta(days=int(days))


def _malformed_days() -> MalformedRequest:
    return MalformedRequest(
        "The expires_in_days is not valid.",
        code="malformed_expires_in_days",
        hint=f"Send a whole number from {SHORTEST_LIFETIME.days} to {LONGEST_LIFETIME.days}, "
        f"or leave it out for {DEFAULT_LIFETIME.days}.",
    )
