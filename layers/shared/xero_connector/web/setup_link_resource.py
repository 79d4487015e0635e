"""The JSON of a setup link (see `docs/openapi.yaml`), without its address."""

from datetime import datetime
from typing import Any

from xero_connector.domain.events import iso_time
from xero_connector.domain.setup_link import SetupLink
from xero_connector.services.issue_setup_link import IssuedSetupLink


def setup_link_resource(link: SetupLink, now: datetime) -> dict[str, Any]:
    """Return the JSON form of a setup link; times are ISO 8601 in UTC."""
    return {
        "setup_link_id": link.setup_link_id,
        "purpose": str(link.purpose),
        "state": str(link.state(now)),
        "label": link.label,
        "integration_type": None if link.integration_type is None else str(link.integration_type),
        "scopes": None if link.scopes is None else list(link.scopes),
        "client_id": link.client_id,
        "refusals": link.refusals,
        "created_at": iso_time(link.created_at),
        "created_by": link.created_by,
        "expires_at": iso_time(link.expires_at),
        "last_opened_at": None if link.last_opened_at is None else iso_time(link.last_opened_at),
    }


def issued_setup_link_resource(issued: IssuedSetupLink, now: datetime) -> dict[str, Any]:
    """Return the same with the address, which is shown this once."""
    return setup_link_resource(issued.link, now) | {"setup_url": issued.setup_url}
