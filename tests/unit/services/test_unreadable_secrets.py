"""A secret that cannot be read: it may lag for a while; after that it is gone, and that is said."""

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.fakes.world import ADMIN, CLIENT_ID, World
from xero_connector.domain.credential import IntegrationType
from xero_connector.domain.errors import Conflict, ConsentRefused, StoreUnavailable
from xero_connector.domain.status import Status
from xero_connector.domain.token_endpoint import FailureKind
from xero_connector.domain.tokens import ClientPair

CUSTOM, WEB = IntegrationType.CUSTOM_CONNECTION, IntegrationType.WEB_APP


@pytest.fixture
def world() -> World:
    return World()


def connect(world: World, integration_type: IntegrationType) -> None:
    if integration_type is CUSTOM:
        world.xero.custom_connections.add(CLIENT_ID)
        world.submit(integration_type=CUSTOM)
    else:
        world.connect()


def blink(world: World, secret: str) -> None:
    """Have the next read of a secret find nothing, as a reader that lags does."""
    method, credential = f"get_{secret}", world.credential()
    unseen = (
        credential.client_version_id
        if secret == "client_pair"
        else credential.tokens_version_id(credential.generation)
    )
    read = getattr(world.vault, method)

    def lagging(client_id: str, *, version_id: str) -> object:
        if version_id != unseen:
            return read(client_id, version_id=version_id)
        setattr(world.vault, method, read)
        return None

    setattr(world.vault, method, lagging)


def a_quarter_of_failures(world: World) -> None:
    for _ in range(16):
        world.xero.failures.append(FailureKind.NOT_SENT)
        world.xero.failures.append(FailureKind.NOT_SENT)
        world.sweep_when_due()
    assert world.credential().failures >= 16


@pytest.mark.parametrize(
    ("integration_type", "secret"), [(WEB, "client_pair"), (WEB, "tokens"), (CUSTOM, "client_pair")]
)
def test_two_moments_of_lag_are_no_absence(world: World, integration_type: IntegrationType, secret: str) -> None:
    connect(world, integration_type)
    blink(world, secret)
    world.sweep_when_due()
    a_quarter_of_failures(world)
    blink(world, secret)
    world.sweep_when_due()
    assert world.credential().status is Status.DEGRADED
    world.sweep_when_due()
    assert (world.credential().status, world.credential().unreadable_since) == (Status.CONNECTED, None)


def test_a_custom_connection_is_never_sent_to_a_consent(world: World) -> None:
    connect(world, CUSTOM)
    world.vault.versions[world.vault.client_secret_name(CLIENT_ID)].clear()
    for _ in range(30):
        world.sweep_when_due() if world.credential().due_at else None
    credential = world.credential()
    assert credential.status is Status.CLIENT_REJECTED
    assert credential.last_error is not None
    assert credential.last_error.code == "client_secret_missing"


def test_an_old_moment_of_lag_does_not_make_a_disconnect_give_up(world: World) -> None:
    world.connect()
    blink(world, "client_pair")
    world.sweep_when_due()
    a_quarter_of_failures(world)
    blink(world, "client_pair")
    assert world.app.disconnect_credential(CLIENT_ID, by=ADMIN).status is Status.DISCONNECTING
    assert world.sweep_when_due() == {"disconnected": 1}
    assert world.credential().last_error is None
    assert "refresh-1" in world.xero.dead


def test_a_pending_pair_that_is_gone_is_said(world: World) -> None:
    world.xero.failures.append(FailureKind.UNAVAILABLE)
    assert world.submit().status is Status.PENDING_VALIDATION
    world.vault.versions.clear()
    for _ in range(40):
        if world.credential().status is not Status.PENDING_VALIDATION:
            break
        world.sweep_when_due()
    credential = world.credential()
    assert credential.status is Status.REJECTED
    assert credential.last_error is not None
    assert credential.last_error.code == "client_secret_missing"
    assert "CredentialRejected" in [event.event_type for event in world.event_bus.published]
    healed = world.app.replace_client_secret(CLIENT_ID, world.xero.secrets[CLIENT_ID], by=ADMIN)
    assert healed.status is Status.VALIDATED


def test_a_proof_that_finds_no_pair_says_so_in_the_end(world: World) -> None:
    world.submit()
    world.vault.versions.clear()
    with pytest.raises(StoreUnavailable):
        world.app.revalidate_credential(CLIENT_ID, by=ADMIN)
    until_nothing_is_due(world)
    with pytest.raises(Conflict) as caught:
        world.app.revalidate_credential(CLIENT_ID, by=ADMIN)
    assert caught.value.code == "client_secret_missing"
    assert world.credential().status is Status.CLIENT_REJECTED


@pytest.mark.parametrize("status", [Status.VALIDATED, Status.REAUTHORIZATION_REQUIRED, Status.CLIENT_REJECTED])
def test_where_no_refresh_reads_the_pair_the_schedule_looks_for_it(world: World, status: Status) -> None:
    world.submit()
    world.registry.save(replace(world.credential(), status=status))
    blink(world, "client_pair")
    with pytest.raises(StoreUnavailable):
        world.app.revalidate_credential(CLIENT_ID, by=ADMIN)
    assert world.credential().due_at is not None
    until_nothing_is_due(world)
    credential = world.credential()
    assert credential.status is (Status.VALIDATED if status is Status.CLIENT_REJECTED else status)
    assert (credential.last_error, credential.unreadable_since) == (None, None)


@pytest.mark.parametrize("status", [Status.VALIDATED, Status.REAUTHORIZATION_REQUIRED, Status.CLIENT_REJECTED])
def test_a_pair_that_is_gone_is_looked_for_no_longer_than_it_can_lag(world: World, status: Status) -> None:
    world.submit()
    world.registry.save(replace(world.credential(), status=status))
    world.vault.versions.clear()
    with pytest.raises(StoreUnavailable):
        world.app.revalidate_credential(CLIENT_ID, by=ADMIN)
    until_nothing_is_due(world)
    credential = world.credential()
    assert (credential.status, credential.due_at) == (Status.CLIENT_REJECTED, None)
    assert credential.last_error is not None
    assert credential.last_error.code == "client_secret_missing"


def test_two_looks_days_apart_are_no_absence(world: World) -> None:
    world.submit()
    blink(world, "client_pair")
    with pytest.raises(StoreUnavailable):
        world.app.revalidate_credential(CLIENT_ID, by=ADMIN)
    # The schedule does not run meanwhile.
    world.advance(2 * 86_400)
    blink(world, "client_pair")
    with pytest.raises(StoreUnavailable):
        world.app.revalidate_credential(CLIENT_ID, by=ADMIN)
    assert world.credential().status is Status.VALIDATED


def test_a_rejected_pair_that_is_gone_keeps_the_reason_of_its_rejection(world: World) -> None:
    world.submit()
    rejected = world.credential().failed(code="invalid_client", detail="Xero refuses it.", now=world.now)
    world.registry.save(replace(rejected, status=Status.REJECTED, due_at=world.now + timedelta(days=7)))
    world.vault.versions.clear()
    world.advance(3600)
    for _ in range(2):
        with pytest.raises(Conflict) as caught:
            world.app.revalidate_credential(CLIENT_ID, by=ADMIN)
        assert caught.value.code == "client_secret_missing"
        world.advance(16 * 60)
    assert world.credential().last_error == rejected.last_error


@pytest.mark.parametrize("status", [Status.PENDING_VALIDATION, Status.CLIENT_REJECTED])
def test_a_pair_that_a_store_does_not_give_is_told(world: World, status: Status) -> None:
    world.submit()
    world.registry.save(replace(world.credential(), status=status, due_at=world.now))
    read = world.vault.get_client_pair

    def refuse(*_: object, **__: object) -> ClientPair:
        raise StoreUnavailable("GetSecretValue", "AccessDeniedException")

    world.vault.get_client_pair = refuse  # type: ignore[method-assign]
    for _ in range(3):
        world.sweep_when_due()
    credential = world.credential()
    assert credential.last_error is not None
    assert (credential.last_error.code, credential.failures, credential.lease) == ("store_unavailable", 3, None)
    world.vault.get_client_pair = read  # type: ignore[method-assign]
    world.sweep_when_due()
    assert (world.credential().status, world.credential().last_error) == (Status.VALIDATED, None)


def until_nothing_is_due(world: World) -> None:
    for _ in range(60):
        due_at = world.credential().due_at
        if due_at is None:
            return
        world.sweep_when_due()
    pytest.fail("It is looked for without end.")


def test_a_consent_without_a_pair_says_so_in_the_end(world: World) -> None:
    world.submit()
    world.vault.versions.clear()
    browser, state = world.open_link()
    world.xero.codes.add("code")
    with pytest.raises(ConsentRefused) as caught:
        world.call_back(browser, state, code="code")
    assert caught.value.code == "store_unavailable"
    until_nothing_is_due(world)
    with pytest.raises(ConsentRefused) as caught:
        world.call_back(browser, state, code="code")
    assert caught.value.code == "not_connectable"
    assert world.credential().status is Status.CLIENT_REJECTED
    assert "code" in world.xero.codes


def park(world: World, *, first: bool) -> None:
    """Have a grant wait in the credential: that of the first consent, or of a refresh."""
    put = world.vault.put_tokens

    def refuse(*_: object, **__: object) -> None:
        raise StoreUnavailable("PutSecretValue", "InternalServiceError")

    if first:
        world.submit()
        world.vault.put_tokens = refuse  # type: ignore[assignment, method-assign]
        browser, state = world.open_link()
        world.xero.codes.add("code")
        world.call_back(browser, state, code="code")
    else:
        world.connect()
        world.advance(20 * 60)
        repeated = iter([True])

        def refuse_new(secret: object, *, version_id: str) -> object:
            return put(secret, version_id=version_id) if next(repeated, False) else refuse()  # type: ignore[arg-type, func-returns-value]

        world.vault.put_tokens = refuse_new  # type: ignore[assignment, method-assign]
        world.sweep()
    assert world.credential().parked is not None
    world.vault.put_tokens = put  # type: ignore[method-assign]


@pytest.mark.parametrize("first", [True, False], ids=["first consent", "refresh"])
def test_a_parked_grant_that_cannot_be_unsealed_ends_in_a_new_consent(world: World, *, first: bool) -> None:
    park(world, first=first)

    def broken(_: str, *, context: str) -> str:
        del context
        raise StoreUnavailable("Decrypt", "InvalidCiphertextException")

    world.seal.unseal = broken  # type: ignore[assignment, method-assign]
    world.advance(31 * 60)
    if not first:
        world.xero.dead.add("refresh-1")
    for _ in range(30):
        if world.credential().due_at is not None:
            world.sweep_when_due()
    assert world.credential().status is Status.REAUTHORIZATION_REQUIRED
    assert "ReauthorizationRequired" in [event.event_type for event in world.event_bus.published]


def test_a_parked_grant_outlives_the_tokens_secret(world: World) -> None:
    park(world, first=False)
    world.vault.versions[world.vault.tokens_secret_name(CLIENT_ID)].clear()
    world.advance(60)
    assert world.sweep() == {"refreshed": 1}
    assert world.credential().status is Status.CONNECTED


def test_a_first_grant_that_dies_while_it_is_parked_asks_for_a_new_consent(world: World) -> None:
    park(world, first=True)
    world.xero.dead.add("refresh-1")
    for _ in range(4):
        if world.credential().due_at is not None:
            world.sweep_when_due()
    credential = world.credential()
    assert (credential.status, credential.due_at, credential.parked) == (
        Status.REAUTHORIZATION_REQUIRED,
        None,
        None,
    )
    assert world.consent().status is Status.CONNECTED


def test_the_absence_of_one_secret_is_none_of_the_other(world: World) -> None:
    world.connect()
    world.advance(1200)
    pair, tokens = world.credential().client_version_id, world.credential().tokens_version_id(1)
    world.vault.unseen.add(pair)
    for _ in range(15):
        world.sweep_when_due()
    world.vault.unseen = {tokens}
    world.sweep_when_due()
    assert world.credential().status is Status.DEGRADED
    assert world.app.disconnect_credential(CLIENT_ID, by=ADMIN).status is Status.DISCONNECTING
    world.vault.unseen.clear()
    assert world.sweep_when_due() == {"disconnected": 1}
    assert world.credential().last_error is None
