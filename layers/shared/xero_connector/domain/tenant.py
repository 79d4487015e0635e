"""A Xero organisation that a grant reaches."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

MOST_TENANTS = 500
LARGEST_LIST = 200_000
"""Bytes of organisations in a row: DynamoDB takes 400 KB, and a name of 255 characters can have a kilobyte."""


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
    def from_dict(cls, tenant: Mapping[str, Any]) -> "Tenant":
        """Read what `to_dict` made, of this release or another; raises `KeyError` without a `tenant_id`."""
        return cls(
            tenant_id=str(tenant["tenant_id"]),
            tenant_name=str(tenant.get("tenant_name", "(no name)")),
            tenant_type=str(tenant.get("tenant_type", "ORGANISATION")),
            connection_id=str(tenant.get("connection_id", "")),
        )


def fitting(
    tenants: Sequence[Tenant], *, most: int = MOST_TENANTS, largest: int = LARGEST_LIST
) -> tuple[Tenant, ...]:
    """Return as many organisations from the beginning as there is room for, in number and in bytes."""
    fit: list[Tenant] = []
    for tenant in tenants[:most]:
        largest -= len(json.dumps(tenant.to_dict(), ensure_ascii=False).encode(errors="replace")) + 2
        if largest < 0:
            break
        fit.append(tenant)
    return tuple(fit)


def tenants_from(listed: object) -> tuple[Tenant, ...]:
    """Read a stored list of organisations; one odd entry does not void it."""
    entries = listed if isinstance(listed, list) else []
    return tuple(Tenant.from_dict(one) for one in entries if isinstance(one, dict) and "tenant_id" in one)
