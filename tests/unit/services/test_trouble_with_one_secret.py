"""A secret that a store will not read or write: its own credential says so, and costs no other anything."""

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.fakes.world import CLIENT_ID, World
from xero_connector.domain.credential import IntegrationType
from xero_connector.domain.errors import UNDER_ANOTHER_KEY, StoreUnavailable
from xero_connector.domain.status import Status
from xero_connector.domain.tokens import StoredTokens, TokensSecret

if TYPE_CHECKING:
    from collections.abc import Callable

GOOD = [f"{number:032X}" for number in range(20)]


@pytest.fixture
def world() -> World:
    return World()


def refuse_writes(world: World, client_ids: list[str], reason: str) -> None:
    put = world.vault.put_tokens

    def put_tokens(secret: TokensSecret, *, version_id: str) -> StoredTokens:
        if secret.client_id in client_ids:
            raise StoreUnavailable("PutSecretValue", reason)
        return put(secret, version_id=version_id)

    world.vault.put_tokens = put_tokens  # type: ignore[method-assign]


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (2, "AccessDeniedException"),
        (4, "EncryptionFailure"),
        (12, "AccessDeniedException"),
        (2, "InternalServiceError"),
        (12, "InternalServiceError"),
        (4, UNDER_ANOTHER_KEY),
    ],
)
def test_secrets_that_take_no_writes_starve_no_other(world: World, broken: int, reason: str) -> None:
    bad = [f"{number:032X}" for number in range(100, 100 + broken)]
    for client_id in bad:
        world.connect(client_id)
    world.advance(30)
    for client_id in GOOD:
        world.connect(client_id)
    refuse_writes(world, bad, reason)
    began = world.now
    for minute in range(1, 90):
        # The next run comes a minute after the last, however long that one insists.
        world.advance((began + timedelta(minutes=minute) - world.now).total_seconds())
        world.sweep()
        late = [one for one in GOOD if _left(world, one) <= 0]
        assert late == []
    assert {world.credential(client_id).status for client_id in bad} == {Status.DEGRADED}
    assert {world.credential(client_id).status for client_id in GOOD} == {Status.CONNECTED}


def _left(world: World, client_id: str) -> float:
    expires_at = world.credential(client_id).access_token_expires_at
    assert expires_at is not None
    return (expires_at - world.now).total_seconds()


def _reads(world: World, method: str, reason: str) -> None:
    def fail(*_: object, **__: object) -> Any:  # noqa: ANN401 - never returns
        raise StoreUnavailable("GetSecretValue", reason)

    setattr(world.vault, method, fail)


@pytest.mark.parametrize("reason", ["AccessDeniedException", "DecryptionFailure", "UnreadableVersion"])
@pytest.mark.parametrize("method", ["get_client_pair", "get_tokens"])
def test_a_secret_that_cannot_be_read_is_told(world: World, method: str, reason: str) -> None:
    world.connect()
    read: Callable[..., Any] = getattr(world.vault, method)
    _reads(world, method, reason)
    world.sweep_when_due()
    credential = world.credential()
    assert (credential.status, credential.lease, credential.attempt_started_at) == (Status.DEGRADED, None, None)
    assert credential.last_error is not None
    assert credential.last_error.code == "store_unavailable"
    setattr(world.vault, method, read)
    assert world.sweep_when_due() == {"refreshed": 1}
    assert world.credential().status is Status.CONNECTED


def test_a_custom_connection_at_the_limit_of_versions_waits_and_says_so(world: World) -> None:
    world.xero.custom_connections.add(CLIENT_ID)
    world.submit(integration_type=IntegrationType.CUSTOM_CONNECTION)
    refuse_writes(world, [CLIENT_ID], "LimitExceededException")
    world.xero.calls.clear()
    for _ in range(60):
        world.advance(60)
        world.sweep()
    credential = world.credential()
    assert credential.status is Status.DEGRADED
    assert credential.last_error is not None
    assert world.xero.calls.count("client_credentials") < 10
