"""What the servers' control adds for the kills: Xero's rotation, and a world that can be brought back."""

import copy
import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol
from uuid import uuid4

from tests.benchmarks.rotation import Rotation
from tests.doubles.dynamodb import StrictDynamoDB
from tests.doubles.secrets_manager import StrictSecretsManager

_AFTER_THE_LAST_ANSWER = 0.1
"""Seconds: what a process that was killed had sent to AWS is done by then."""


class World(Protocol):
    """What of the servers can be kept."""

    dynamodb: StrictDynamoDB
    secrets_manager: StrictSecretsManager
    rotation: Rotation | None
    xero_seconds: float


type Body = dict[str, Any]


def controls(world: World) -> Mapping[str, Callable[[Body], Body]]:
    """Return what the control understands, by path."""
    kept: list[tuple[StrictDynamoDB, StrictSecretsManager, Rotation]] = []

    def rotation() -> Rotation:
        assert world.rotation is not None, "reset with rotating=True first"
        return world.rotation

    def put_secrets(contents: Body) -> Body:
        for name, content in contents.items():
            world.secrets_manager.create_secret(Name=name)
            world.secrets_manager.put_secret_value(
                SecretId=name, ClientRequestToken=str(uuid4()), SecretString=content
            )
        return {}

    def secrets(asked: Body) -> Body:
        return {
            name: [version.content for version in secret.versions.values()]
            for name, secret in world.secrets_manager.secrets.items()
            if name.startswith(asked["prefix"])
        }

    def received(asked: Body) -> Body:
        return {"received": sum(1 for name in rotation().received if name.startswith(asked["prefix"]))}

    def keep(_: Body) -> Body:
        while rotation().in_flight:
            time.sleep(0.01)
        time.sleep(_AFTER_THE_LAST_ANSWER)
        kept[:] = [(copy.deepcopy(world.dynamodb), copy.deepcopy(world.secrets_manager), rotation().copy())]
        return {}

    def go_on(order: Body) -> Body:
        dynamodb, secrets_manager, rotated = kept[0]
        world.dynamodb, world.secrets_manager = copy.deepcopy(dynamodb), copy.deepcopy(secrets_manager)
        world.rotation = rotated.copy()
        world.rotation.advance(order["minutes"])
        world.xero_seconds = 0
        return {}

    def accepted(stored: Body) -> Body:
        """Which of the refresh tokens that are stored for each client ID Xero accepts."""
        return {
            client_id: [token for token in tokens if rotation().accepts(client_id, token)]
            for client_id, tokens in stored.items()
        }

    return {
        "/put-secrets": put_secrets,
        "/secrets": secrets,
        "/received": received,
        "/keep": keep,
        "/go-on": go_on,
        "/accepted": accepted,
    }
