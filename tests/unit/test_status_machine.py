"""Random events in random order, over the whole application: no forbidden state, no lost secret, a way back."""

from collections.abc import Callable
from datetime import timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.fakes.interruptions import ProcessDied, die, step_in
from tests.fakes.world import ADMIN, CLIENT_ID, World
from tests.fakes.xero import DEMO_COMPANY, ELECTRO_LAND
from tests.prove.trail import LEADS_TO
from xero_connector.domain.consent import new_token
from xero_connector.domain.credential import Credential, IntegrationType
from xero_connector.domain.errors import ConnectorError, IllegalMove, RevisionConflict
from xero_connector.domain.status import CONSENTABLE, FINAL, MOVES, Status
from xero_connector.domain.token_endpoint import FailureKind

WITH_TOKENS = frozenset({Status.CONNECTED, Status.DEGRADED})


class WatchedRegistry:
    """Notes every status that a credential goes through."""

    def __init__(self, world: World) -> None:
        self.moves: list[tuple[Credential | None, Credential]] = []
        self._registry = world.registry
        self._write = world.registry._write  # noqa: SLF001 - the one place that every write passes
        world.registry._write = self._watched  # type: ignore[method-assign] # noqa: SLF001

    def _watched(self, credential: Credential, *, seen: int | None) -> Credential:
        before = self._registry.get(credential.client_id)
        written = self._write(credential, seen=seen)
        self.moves.append((before, written))
        return written


class Credentials(RuleBasedStateMachine):
    """Admins, users, Xero and the schedule, in any order; now and then a process dies in the middle."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.watched = WatchedRegistry(self.world)
        self.secrets = 0
        self.integration_type = IntegrationType.WEB_APP

    @property
    def credential(self) -> Credential | None:
        return self.world.registry.get(CLIENT_ID)

    def attempt(self, action: Callable[[], object]) -> None:
        """Do something that may be refused or cut off, but is never a defect."""
        try:
            action()
        except (IllegalMove, RevisionConflict):
            raise
        except (ConnectorError, ProcessDied):
            pass

    @initialize(
        how=st.sampled_from(["connected", "connected", "connected", "validated", "unproven", "wrong"]),
        custom=st.sampled_from([False, False, True]),
    )
    def begin(self, how: str, custom: bool) -> None:  # noqa: FBT001
        if custom:
            self.integration_type = IntegrationType.CUSTOM_CONNECTION
            self.world.xero.custom_connections.add(CLIENT_ID)
        if how == "unproven":
            self.world.xero.failures.append(FailureKind.UNAVAILABLE)
        self.attempt(lambda: self.submit(known=how != "wrong"))
        if how == "connected" and not custom:
            self.world.consent()

    def submit(self, *, known: bool) -> None:
        self.secrets += 1
        secret = f"secret-{self.secrets}"
        self.world.submit(secret=secret, known_to_xero=known, integration_type=self.integration_type)

    # What people do

    @rule(known=st.booleans())
    def an_admin_submits(self, known: bool) -> None:  # noqa: FBT001
        self.attempt(lambda: self.submit(known=known))

    @rule(good=st.booleans())
    def an_admin_replaces_the_secret(self, good: bool) -> None:  # noqa: FBT001
        self.secrets += 1
        secret = f"secret-{self.secrets}"
        if good:
            self.world.xero.secrets[CLIENT_ID] = secret
        self.attempt(lambda: self.world.app.replace_client_secret(CLIENT_ID, secret, by=ADMIN))

    @rule()
    def an_admin_proves_again(self) -> None:
        self.attempt(lambda: self.world.app.revalidate_credential(CLIENT_ID, by=ADMIN))

    @rule()
    def an_admin_refreshes(self) -> None:
        self.attempt(lambda: self.world.app.refresh_now(CLIENT_ID, by=ADMIN))

    @rule(sure=st.sampled_from([False, False, False, True]))
    @precondition(lambda self: self.credential is not None and self.credential.status not in FINAL)
    def an_admin_disconnects(self, sure: bool) -> None:  # noqa: FBT001
        if sure:
            self.attempt(lambda: self.world.app.disconnect_credential(CLIENT_ID, by=ADMIN))

    @rule(decision=st.sampled_from(["allow", "deny", "stale code"]))
    def a_user_follows_a_link(self, decision: str) -> None:
        def consent() -> None:
            browser, state = self.world.open_link()
            if decision == "deny":
                self.world.call_back(browser, state, error="access_denied")
            code = new_token()
            if decision == "allow":
                self.world.xero.codes.add(code)
            self.world.call_back(browser, state, code=code)

        self.attempt(consent)

    # What Xero, time and the platform do

    @rule(kinds=st.lists(st.sampled_from(FailureKind), max_size=3))
    def xero_fails(self, kinds: list[FailureKind]) -> None:
        self.world.xero.failures.extend(kinds)

    @rule()
    def the_secret_is_deleted_at_xero(self) -> None:
        self.world.xero.secrets.pop(CLIENT_ID, None)

    @rule()
    def the_connections_are_down(self) -> None:
        self.world.xero.connections_down = not self.world.xero.connections_down

    @rule()
    def the_event_bus_is_away(self) -> None:
        self.world.event_bus.down = not self.world.event_bus.down

    @rule()
    def an_organisation_comes_or_goes(self) -> None:
        several = len(self.world.xero.organisations) > 1
        self.world.xero.organisations = (DEMO_COMPANY,) if several else (DEMO_COMPANY, ELECTRO_LAND)

    @rule(minutes=st.sampled_from([1, 5, 25, 90, 400]))
    def time_passes(self, minutes: int) -> None:
        self.world.now += timedelta(minutes=minutes)

    @rule(times=st.integers(1, 3))
    def the_schedule_runs(self, times: int) -> None:
        for _ in range(times):
            credential = self.credential
            if credential is not None and credential.due_at is not None:
                self.world.now = max(self.world.now, credential.due_at)
            self.attempt(self.world.sweep)

    @rule()
    def the_grant_dies_at_xero(self) -> None:
        self.world.xero.failures.extend([FailureKind.INVALID_GRANT] * 3)

    @rule(
        where=st.sampled_from(
            [("vault", "put_tokens"), ("registry", "save"), ("xero", "refresh"), ("vault", "put_client_pair")]
        ),
        after=st.booleans(),
    )
    def a_scheduled_run_dies(self, where: tuple[str, str], after: bool) -> None:  # noqa: FBT001
        self.the_next_process_dies(where, after=after)
        self.the_schedule_runs(times=1)

    @rule(
        where=st.sampled_from([("vault", "put_tokens"), ("vault", "put_client_pair"), ("registry", "save")]),
        after=st.booleans(),
    )
    def a_process_will_be_cut_off(self, where: tuple[str, str], after: bool) -> None:  # noqa: FBT001
        self.the_next_process_dies(where, after=after)

    def the_next_process_dies(self, where: tuple[str, str], *, after: bool) -> None:
        part, method = where
        if after:
            step_in(getattr(self.world, part), method, after=die)
        else:
            step_in(getattr(self.world, part), method, before=die)

    # What must hold at all times

    @invariant()
    def every_move_was_legal(self) -> None:
        for before, after in self.watched.moves:
            if before is not None and before.incarnation == after.incarnation:
                assert after.status is before.status or after.status in MOVES[before.status]
            elif before is not None:
                assert before.status in FINAL
        self.watched.moves.clear()

    @invariant()
    def no_secret_is_lost(self) -> None:
        credential = self.credential
        if credential is None or credential.status in FINAL | {Status.DISCONNECTING}:
            return
        pair = self.world.vault.get_client_pair(CLIENT_ID, version_id=credential.client_version_id)
        assert pair is not None, "the registry names a client secret that is not there"
        if credential.generation > 0:
            tokens = self.world.vault.get_tokens(
                CLIENT_ID, version_id=credential.tokens_version_id(credential.generation)
            )
            assert tokens is not None, "the registry names tokens that are not there"

    @invariant()
    def a_connected_credential_has_tokens_and_is_due_again(self) -> None:
        credential = self.credential
        if credential is not None and credential.status in WITH_TOKENS:
            assert credential.generation > 0
            assert credential.due_at is not None

    @invariant()
    def nothing_is_forgotten_in_the_middle(self) -> None:
        credential = self.credential
        if credential is not None and credential.status in {Status.PENDING_VALIDATION, Status.DISCONNECTING}:
            assert credential.due_at is not None

    @invariant()
    def every_status_has_its_entry(self) -> None:
        credential = self.credential
        if credential is None:
            return
        told = [entry.action for entry in self.world.history.page(CLIENT_ID, limit=100, next_token=None).items]
        latest = next(action for action in told if action in LEADS_TO)
        assert LEADS_TO[latest] is credential.status

    @invariant()
    def no_event_tells_of_what_never_was(self) -> None:
        committed = {str(entry.entry_id) for entry in self.world.registry.entries.values()}
        assert {event.detail["event_id"] for event in self.world.event_bus.published} <= committed

    def teardown(self) -> None:
        """From wherever this ended, the ways that the documentation names lead back to `connected`."""
        world = self.world
        for part in (world.registry, world.vault, world.xero):
            for method in ("save", "put_tokens", "put_client_pair", "refresh"):
                vars(part).pop(method, None)
        world.xero.failures.clear()
        world.xero.connections_down = False
        world.event_bus.down = False
        for _ in range(8):
            world.now += timedelta(minutes=61)
            world.sweep()
        credential = self.credential
        if credential is None or credential.status in FINAL:
            world.submit(secret="secret-of-the-end", integration_type=self.integration_type)
        else:
            world.xero.secrets[CLIENT_ID] = "secret-of-the-end"
            world.app.replace_client_secret(CLIENT_ID, "secret-of-the-end", by=ADMIN)
        for _ in range(3):
            world.now += timedelta(minutes=61)
            world.sweep()
        if self.integration_type is IntegrationType.WEB_APP and world.credential().status in CONSENTABLE:
            world.consent()
        assert world.credential().status is Status.CONNECTED
        self.every_move_was_legal()
        self.no_secret_is_lost()
        to_tell = {str(entry.entry_id) for entry in world.registry.entries.values() if entry.event is not None}
        assert {event.detail["event_id"] for event in world.event_bus.published} == to_tell


Credentials.TestCase.settings = settings(max_examples=100, stateful_step_count=25)
TestStatusMachine = Credentials.TestCase
