"""What a registry shows as due."""

from datetime import datetime

from xero_connector.domain.ports import Registry


def due_in(registry: Registry, *, now: datetime, shard: str = "0", limit: int = 10) -> list[str]:
    """Return the client IDs that are due in a shard."""
    return [one.client_id for one in registry.due(shard=shard, now=now, limit=limit)]
