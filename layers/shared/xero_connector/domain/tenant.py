"""A Xero organisation that a grant reaches."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

MOST_TENANTS = 500
"""As many organisations as a row surely holds: DynamoDB takes 400 KB, and a name has up to 255 characters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenant:
    """One connection of `GET /connections`: the organisation and the id that deletes the connection."""

    tenant_id: str
    tenant_name: str
    tenant_type: str
    connection_id: str

    def to_dict(self) -> dict[str, str]:
        """Return the JSON form of the contract."""
        return asdict(self)

    @classmethod
    def from_dict(cls, tenant: Mapping[str, str]) -> "Tenant":
        """Read what `to_dict` made."""
        return cls(**tenant)
