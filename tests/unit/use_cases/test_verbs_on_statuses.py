"""Every verb on every status, with leftovers of cut-off work and without: one table says what comes of it."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from tests.fakes.world import ADMIN, CLIENT_ID, CLIENT_SECRET, World
from xero_connector.domain.consent import digest
from xero_connector.domain.credential import Credential, IntegrationType, Lease
from xero_connector.domain.errors import ConnectorError, StoreUnavailable
from xero_connector.domain.parked_grant import ParkedGrant
from xero_connector.domain.status import MOVES, Status

type Verb = Callable[[World], object]

WEB, CUSTOM = IntegrationType.WEB_APP, IntegrationType.CUSTOM_CONNECTION
NEW_SECRET = "another-horse-battery-staple"
WITH_A_GRANT = frozenset(
    {Status.CONNECTED, Status.DEGRADED, Status.REAUTHORIZATION_REQUIRED, Status.CLIENT_REJECTED}
)
ENDED = frozenset({Status.DISCONNECTED, Status.REJECTED})


def a_world(status: Status, integration_type: IntegrationType) -> World:
    """A world with one credential that has come to a status by the ways there are, and Xero in order by now."""
    world = World()
    if integration_type is CUSTOM:
        world.xero.custom_connections.add(CLIENT_ID)
    world.submit(integration_type=integration_type)
    if integration_type is WEB:
        world.old_link = world.open_link()  # type: ignore[attr-defined] # a callback can come at any time
        if status in WITH_A_GRANT | {Status.DISCONNECTING, Status.DISCONNECTED}:
            world.consent()
    world.advance(1500)
    credential = world.credential()
    due_at = {
        Status.PENDING_VALIDATION: world.now,
        Status.DISCONNECTING: world.now,
        Status.REJECTED: world.now + timedelta(days=7),
        Status.CONNECTED: world.now,
        Status.DEGRADED: world.now,
        Status.CLIENT_REJECTED: world.now,
    }.get(status)
    if status is Status.VALIDATED and integration_type is CUSTOM:
        due_at = world.now
    if status is Status.DISCONNECTED:
        world.app.disconnect_credential(CLIENT_ID, by=ADMIN)
        return world
    if status not in WITH_A_GRANT | {Status.DISCONNECTING}:
        credential = replace(credential, generation=0, tokens_secret_arn=None, last_refreshed_at=None)
    if status is Status.REJECTED:
        credential = credential.failed(code="invalid_client", detail="Xero refuses it.", now=world.now)
    world.registry.rows[CLIENT_ID] = replace(credential, status=status, due_at=due_at, notes=())
    return world


def nothing(credential: Credential, _: World) -> Credential:
    return credential


def an_attempt(credential: Credential, world: World) -> Credential:
    return replace(
        credential, attempt_started_at=world.now - timedelta(minutes=5), due_at=credential.due_at or world.now
    )


def a_consent(credential: Credential, world: World) -> Credential:
    since = world.now - timedelta(minutes=5)
    return replace(
        credential, consenting=digest("cut off"), consenting_since=since, due_at=credential.due_at or world.now
    )


def a_dead_holder(credential: Credential, world: World) -> Credential:
    lease = Lease("dead", world.now - timedelta(seconds=1))
    return replace(
        credential, lease=lease, due_at=lease.until, attempt_started_at=world.now - timedelta(seconds=61)
    )


LEFTOVERS = {
    "nothing": nothing,
    "an attempt": an_attempt,
    "a consent": a_consent,
    "a dead holder": a_dead_holder,
}


def submit(world: World) -> object:
    integration_type = world.credential().integration_type
    return world.submit(integration_type=integration_type)


def call_back(world: World) -> object:
    browser, state = world.old_link  # type: ignore[attr-defined] # see above
    world.xero.codes.add("code")
    return world.call_back(browser, state, code="code")


def replace_secret(world: World) -> object:
    world.xero.secrets[CLIENT_ID] = NEW_SECRET
    return world.app.replace_client_secret(CLIENT_ID, NEW_SECRET, by=ADMIN)


VERBS: dict[str, Verb] = {
    "submit": submit,
    "validate": lambda world: world.app.revalidate_credential(CLIENT_ID, by=ADMIN),
    "replace secret": replace_secret,
    "refresh": lambda world: world.app.refresh_now(CLIENT_ID, by=ADMIN),
    "connect link": lambda world: world.app.create_connect_link(CLIENT_ID, by=ADMIN),
    "callback": call_back,
    "disconnect": lambda world: world.app.disconnect_credential(CLIENT_ID, by=ADMIN),
    "sweep": lambda world: world.sweep(),
}

# What comes of it for a Web app: the status afterwards, or the code of the refusal.
P, V, C, G = Status.PENDING_VALIDATION, Status.VALIDATED, Status.CONNECTED, Status.DEGRADED
A, R, D, X, J = (
    Status.REAUTHORIZATION_REQUIRED,
    Status.CLIENT_REJECTED,
    Status.DISCONNECTING,
    Status.DISCONNECTED,
    Status.REJECTED,
)
EXISTS, NO_LINK, NO_PROOF = "credential_exists", "not_connectable", "nothing_to_prove"
TABLE: dict[Status, dict[str, str]] = {
    P: {"submit": EXISTS, "validate": P, "replace secret": V, "refresh": "not_connected", "connect link": NO_LINK,
        "callback": NO_LINK, "disconnect": X, "sweep": V},
    V: {"submit": EXISTS, "validate": V, "replace secret": V, "refresh": "not_connected", "connect link": V,
        "callback": C, "disconnect": X, "sweep": V},
    C: {"submit": EXISTS, "validate": C, "replace secret": C, "refresh": C, "connect link": C,
        "callback": C, "disconnect": X, "sweep": C},
    G: {"submit": EXISTS, "validate": G, "replace secret": C, "refresh": C, "connect link": G,
        "callback": C, "disconnect": X, "sweep": C},
    A: {"submit": EXISTS, "validate": A, "replace secret": A, "refresh": "not_connected", "connect link": A,
        "callback": C, "disconnect": X, "sweep": A},
    R: {"submit": EXISTS, "validate": R, "replace secret": C, "refresh": C, "connect link": NO_LINK,
        "callback": NO_LINK, "disconnect": X, "sweep": C},
    D: {"submit": EXISTS, "validate": NO_PROOF, "replace secret": "not_replaceable", "refresh": "not_connected",
        "connect link": NO_LINK, "callback": NO_LINK, "disconnect": X, "sweep": X},
    X: {"submit": V, "validate": NO_PROOF, "replace secret": "not_replaceable", "refresh": "not_connected",
        "connect link": NO_LINK, "callback": NO_LINK, "disconnect": X, "sweep": X},
    J: {"submit": V, "validate": V, "replace secret": V, "refresh": "not_connected", "connect link": NO_LINK,
        "callback": NO_LINK, "disconnect": X, "sweep": J},
}  # fmt: skip
cases = [
    pytest.param(status, verb, leftover, id=f"{verb} on {status} with {leftover}")
    for status in Status
    for verb in VERBS
    for leftover in LEFTOVERS
]


def outcome(world: World, verb: str) -> str:
    try:
        VERBS[verb](world)
    except ConnectorError as error:
        return error.code
    return world.credential().status


def check_what_must_always_hold(before: Credential, world: World) -> None:
    credential = world.credential()
    if credential.incarnation == before.incarnation and credential.status is not before.status:
        steps = MOVES[before.status] | {end for step in MOVES[before.status] for end in MOVES[step]}
        assert credential.status in steps
    if credential.status in {Status.PENDING_VALIDATION, Status.DISCONNECTING}:
        assert credential.due_at is not None, "it would never come to its end"
    if credential.status is Status.DISCONNECTED:
        assert credential.due_at is None
    elif (
        credential.attempt_started_at is not None
        or credential.consenting is not None
        or credential.lease is not None
    ):
        assert credential.due_at is not None, "what was left behind would never be looked at"
    if credential.status in {Status.CONNECTED, Status.DEGRADED}:
        assert credential.due_at is not None, "its tokens would run out"
    if credential.status not in {Status.DISCONNECTED, Status.REJECTED, Status.DISCONNECTING}:
        pair = world.vault.get_client_pair(CLIENT_ID, version_id=credential.client_version_id)
        assert pair is not None
        assert pair.client_secret in {CLIENT_SECRET, NEW_SECRET}


@pytest.mark.parametrize(("status", "verb", "leftover"), cases)
def test_a_web_app(status: Status, verb: str, leftover: str) -> None:
    world = a_world(status, WEB)
    if status is not Status.DISCONNECTED:
        world.registry.rows[CLIENT_ID] = LEFTOVERS[leftover](world.credential(), world)
    before = world.credential()
    expected = TABLE[status][verb]
    assert outcome(world, verb) == expected
    check_what_must_always_hold(before, world)


@pytest.mark.parametrize(("status", "verb", "leftover"), cases)
def test_a_custom_connection_comes_to_no_harm(status: Status, verb: str, leftover: str) -> None:
    if verb == "callback" or leftover == "a consent" or status is Status.REAUTHORIZATION_REQUIRED:
        # There is no consent to come back from, and no grant that a user could renew.
        return
    world = a_world(status, CUSTOM)
    if status is not Status.DISCONNECTED:
        world.registry.rows[CLIENT_ID] = LEFTOVERS[leftover](world.credential(), world)
    before = world.credential()
    came_to = outcome(world, verb)
    check_what_must_always_hold(before, world)
    if verb == "connect link":
        assert came_to == "no_consent_needed"
    if verb in {"refresh", "sweep"} and status in {Status.VALIDATED, *WITH_A_GRANT}:
        assert came_to == Status.CONNECTED
    if verb == "disconnect":
        assert came_to == Status.DISCONNECTED


@pytest.mark.parametrize("leftover", [name for name in LEFTOVERS if name != "nothing"])
@pytest.mark.parametrize("status", [status for status in Status if status not in ENDED])
def test_leftovers_are_gone_after_a_while(status: Status, leftover: str) -> None:
    world = a_world(status, WEB)
    world.registry.rows[CLIENT_ID] = LEFTOVERS[leftover](world.credential(), world)
    for _ in range(30):
        world.advance(60)
        world.sweep()
    credential = world.credential()
    assert (credential.lease, credential.attempt_started_at, credential.consenting) == (None, None, None)


def test_dying_while_healing_a_rejected_pair_does_not_cost_its_secret() -> None:
    world = a_world(Status.REJECTED, WEB)
    world.registry.rows[CLIENT_ID] = a_dead_holder(world.credential(), world)
    world.sweep()
    assert world.vault.deleted == set()
    assert replace_secret(world) is not None
    assert world.credential().status is Status.VALIDATED


def _parked(world: World, *, by_consent: bool) -> None:
    """Have the newest token of a credential wait in its credential, one that the vault does not have."""
    token = "refresh-parked"
    world.xero.owner_of[token] = (CLIENT_ID, world.xero.user)
    world.seal.prepare()
    credential = world.credential()
    grant = ParkedGrant(
        sealed=world.seal.seal(token, context=credential.seal_context),
        obtained_at=world.now,
        consent=digest("its state") if by_consent else None,
    )
    world.registry.rows[CLIENT_ID] = replace(credential, parked=grant, due_at=world.now)


def _dead(world: World) -> None:
    world.xero.dead |= {token for token in world.xero.owner_of if token.startswith("refresh-")}


def _unsealable(world: World) -> None:
    def unseal(sealed: str, *, context: str) -> str:
        del sealed, context
        raise StoreUnavailable("Decrypt", "InvalidCiphertextException")

    world.seal.unseal = unseal  # type: ignore[method-assign]


@pytest.mark.parametrize("trouble", [lambda _: None, _dead, _unsealable], ids=["alive", "dead", "unsealable"])
@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb != "submit"])
@pytest.mark.parametrize(
    ("status", "by_consent"),
    [
        (Status.VALIDATED, True),
        (Status.CONNECTED, False),
        (Status.DEGRADED, False),
        (Status.DEGRADED, True),
        (Status.REAUTHORIZATION_REQUIRED, True),
    ],
)
def test_a_parked_grant_comes_to_an_end_in_every_status(
    status: Status, verb: str, trouble: Callable[[World], None], *, by_consent: bool
) -> None:
    world = a_world(status, WEB)
    _parked(world, by_consent=by_consent)
    trouble(world)
    before = world.credential()
    assert outcome(world, verb) != "illegal_move"
    check_what_must_always_hold(before, world)
    for _ in range(60):
        world.advance(60)
        outcomes = world.sweep()
        assert "illegal_move" not in outcomes
        if world.credential().parked is None:
            break
    credential = world.credential()
    assert credential.parked is None
    assert credential.status in {Status.CONNECTED, Status.REAUTHORIZATION_REQUIRED, Status.DISCONNECTED}
    assert (credential.lease, credential.attempt_started_at) == (None, None)
