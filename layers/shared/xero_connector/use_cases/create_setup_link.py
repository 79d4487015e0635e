"""Make the link by which a customer hands over a pair, at the request of an admin."""

from dataclasses import dataclass
from datetime import timedelta

from xero_connector.domain.credential import IntegrationType
from xero_connector.domain.setup_view import Purpose
from xero_connector.services.issue_setup_link import IssuedSetupLink, IssueSetupLink


@dataclass(frozen=True, slots=True, kw_only=True)
class SetupLinkWish:
    """What the pair will be called, and what it has to be; None leaves the choice to the customer."""

    label: str | None
    integration_type: IntegrationType | None
    scopes: tuple[str, ...] | None
    lifetime: timedelta


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class CreateSetupLink:
    """Issues a link for a new credential."""

    issue_setup_link: IssueSetupLink

    def __call__(self, wish: SetupLinkWish, *, by: str) -> IssuedSetupLink:
        """Make the link."""
        return self.issue_setup_link(
            Purpose.NEW_CREDENTIAL,
            by=by,
            lifetime=wish.lifetime,
            label=wish.label,
            integration_type=wish.integration_type,
            scopes=wish.scopes,
        )
