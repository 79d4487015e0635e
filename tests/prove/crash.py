"""Crash points: the process dies before and after the effect of every outside call, and in recovery once more."""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from itertools import product
from random import Random
from typing import Any, Protocol, override

from local.xero_simulator.faults import Endpoint, Fault, FaultKind
from tests.fakes.interruptions import ProcessDied
from tests.prove.progress import Progress
from tests.prove.trail import Broken, Trail
from tests.prove.world import ADMIN, CrashPoint, Life, World
from tests.prove.xero import InProcessXero
from xero_connector.application import Application
from xero_connector.domain.credential import IntegrationType
from xero_connector.domain.errors import ConnectorError, ConsentRefused
from xero_connector.domain.refresh_policy import TENANTS_RECHECK
from xero_connector.domain.status import Status
from xero_connector.use_cases.complete_consent import Callback

type Act = Callable[[World, Application], object]


@dataclass(frozen=True, slots=True)
class Variant:
    """One of the worlds that a crash may happen in; times in seconds.

    `read_lag` is how long new versions stay unseen, `away` how long nothing runs after the crash.
    """

    first_successor_survives: bool
    read_lag: int
    away: int


VARIANTS = tuple(
    Variant(survives, read_lag, away)
    for survives, (read_lag, away) in product((True, False), ((0, 0), (150, 0), (2, 20 * 60)))
)
REDUCED_VARIANTS = (Variant(first_successor_survives=False, read_lag=150, away=0),)
# Even the slowest of several recoveries ends within this; a recovery that takes longer is stuck.
_LONGEST_RECOVERY = timedelta(hours=4)
_A_CYCLE = timedelta(minutes=25)


@dataclass(slots=True)
class Verdict:
    """What one run did harm to."""

    grants_lost: int = 0
    secrets_lost: int = 0
    stuck: int = 0
    pages_untrue: int = 0
    consents_to_repeat: int = 0


class Recovery:
    """Runs what comes after a crash, with a new process whenever the one before died."""

    def __init__(self, world: World, crash: CrashPoint | None) -> None:
        self.world = world
        self.life = Life(world.clock, crash)

    def run(self, act: Act) -> bool:
        """Do something in the present process; False if it died of it."""
        try:
            act(self.world, self.world.process(self.life))
        except ConnectorError:
            return True
        except ProcessDied:
            self.life = Life(self.world.clock)
            return False
        return True

    def sweep_until_quiet(self) -> None:
        """Let the schedule run until the tokens were renewed by a whole cycle, or nothing is due any more."""
        world = self.world
        began = world.clock()
        while world.clock() < began + _LONGEST_RECOVERY:
            due_at = world.credential.due_at if _exists(world) else None
            if due_at is None or _went_round(world, began + _A_CYCLE):
                return
            world.clock.next_tick(not_before=due_at)
            self.run(World.sweep)

    def come_round(self) -> None:
        """Let the schedule come round twice, whatever is due, and once more with nothing left to die of."""
        for _ in range(2):
            self._next_sweep()
        self.life = Life(self.world.clock)
        self._next_sweep()

    def _next_sweep(self) -> None:
        self.world.clock.next_tick()
        self.run(World.sweep)


def _exists(world: World) -> bool:
    return world.registry.get(world.client_id) is not None


def _went_round(world: World, since: datetime) -> bool:
    credential = world.credential
    return (
        credential.last_refreshed_at is not None
        and credential.last_refreshed_at >= since
        and credential.attempt_started_at is None
    )


class Scenario(Protocol):
    """Something that may be cut off, and how to judge what became of it."""

    @property
    def name(self) -> str: ...

    @property
    def integration_type(self) -> IntegrationType:
        """What kind of Xero app it is played with."""

    def prepare(self, world: World, app: Application) -> None:
        """Come to where the act begins."""

    def act(self, world: World, app: Application) -> None:
        """Do what is cut off."""

    def recover(self, recovery: Recovery) -> None:
        """Let the schedule and the people go on."""

    def judge(self, world: World) -> Verdict:
        """Look at what is left, with nothing running any more."""


@dataclass(slots=True, kw_only=True)
class _OfAnApp:
    integration_type: IntegrationType = IntegrationType.WEB_APP

    @property
    def custom(self) -> bool:
        return self.integration_type is IntegrationType.CUSTOM_CONNECTION

    def named(self, what: str) -> str:
        return f"Custom connection, {what}" if self.custom else what


@dataclass(slots=True)
class Refresh(_OfAnApp):
    """A scheduled refresh: afterwards the credential is connected, and no user was asked for consent."""

    @property
    def name(self) -> str:
        return self.named("refresh")

    def prepare(self, world: World, app: Application) -> None:
        world.connect(app)
        world.clock.next_tick(not_before=world.credential.due_at)

    def act(self, world: World, app: Application) -> None:
        world.sweep(app)

    def recover(self, recovery: Recovery) -> None:
        recovery.sweep_until_quiet()

    def judge(self, world: World) -> Verdict:
        return Verdict(grants_lost=int(not _alive(world)))


@dataclass(slots=True)
class OtherOrganisations(_OfAnApp):
    """A refresh that finds other organisations than before: wherever it is cut off, they become known."""

    name: str = "refresh, other organisations"
    _now: tuple[str, ...] = ("Electro Land", "Solar Land")

    def prepare(self, world: World, app: Application) -> None:
        world.connect(app)
        world.registry.save(replace(world.credential, tenants_checked_at=world.clock() - TENANTS_RECHECK))
        world.xero.server.connect_exactly(world.client_id, self._now)
        world.clock.next_tick(not_before=world.credential.due_at)

    def act(self, world: World, app: Application) -> None:
        world.sweep(app)

    def recover(self, recovery: Recovery) -> None:
        recovery.sweep_until_quiet()

    def judge(self, world: World) -> Verdict:
        known = {tenant.tenant_name for tenant in world.credential.tenants}
        return Verdict(grants_lost=int(not _alive(world)), stuck=int(known != set(self._now)))


@dataclass(slots=True)
class GrantEnded(_OfAnApp):
    """A user ended the grant at Xero: believed at the second refusal, and then an event has to say so."""

    name: str = "refresh, grant ended at Xero"

    def prepare(self, world: World, app: Application) -> None:
        world.connect(app)
        tokens = world.current_tokens()
        assert tokens is not None
        assert tokens.token.refresh_token is not None
        world.xero.server.revoke(
            {
                "token": tokens.token.refresh_token,
                "client_id": world.client_id,
                "client_secret": world.client_secret,
            }
        )
        world.clock.next_tick(not_before=world.credential.due_at)
        world.sweep(app)
        world.clock.next_tick(not_before=world.credential.due_at)

    def act(self, world: World, app: Application) -> None:
        world.sweep(app)

    def recover(self, recovery: Recovery) -> None:
        recovery.sweep_until_quiet()

    def judge(self, world: World) -> Verdict:
        return Verdict(stuck=int(world.credential.status is not Status.REAUTHORIZATION_REQUIRED))


@dataclass(slots=True)
class Consent(_OfAnApp):
    """A callback: what reached the vault is rolled forward, and otherwise the old grant and the link still work.

    `again` makes it the second consent of a credential that is connected; `reload_first` has the user reload the
    page before the schedule comes round.
    """

    again: bool
    reload_first: bool
    _callback: Callback | None = field(default=None, init=False)
    _stored_before: int = field(default=0, init=False)
    _accepted_before: int = field(default=0, init=False)
    _verdict: Verdict = field(default_factory=Verdict, init=False)

    @property
    def name(self) -> str:
        return f"{'second' if self.again else 'first'} consent, {'reload' if self.reload_first else 'sweep'} first"

    def prepare(self, world: World, app: Application) -> None:
        if self.again:
            world.connect(app)
            world.clock.advance(300)
        else:
            app.submit_credential(world.submission(), submitted_by=ADMIN)
        self._callback = world.start_consent(app)
        self._stored_before = len(world.stored_tokens())
        self._accepted_before = world.xero.accepted("authorization_code")

    def act(self, world: World, app: Application) -> None:
        del world
        assert self._callback is not None
        self._complete(self._callback, app)

    def recover(self, recovery: Recovery) -> None:
        world = recovery.world
        stored = len(world.stored_tokens()) > self._stored_before
        exchanged = world.xero.accepted("authorization_code") > self._accepted_before
        self._look(world)
        if self.reload_first:
            self._reload(recovery)
            self._look(world)
        recovery.sweep_until_quiet()
        self._look(world)
        if (stored or self.again) and not _connected(world):
            self._verdict.grants_lost = 1
        if not self.reload_first:
            self._reload(recovery)
            self._look(world)
        if exchanged and not stored:
            # The only copy of the answer died with the process: no program can get it back.
            self._verdict.consents_to_repeat = 1
        done = _connected(world) and not (exchanged and not stored)
        while not done:
            # Any crash of this one makes the user start over: that is counted once.
            world.clock.advance(90)
            done = recovery.run(lambda world, app: app.complete_consent(world.start_consent(app)))
        recovery.sweep_until_quiet()

    def judge(self, world: World) -> Verdict:
        self._look(world)
        if not _alive(world):
            self._verdict.stuck = 1
        return self._verdict

    def _look(self, world: World) -> None:
        """Open the page of the consent: it tells a connection exactly where there is one, of this consent."""
        callback = self._callback
        assert callback is not None
        app = world.application(lambda _, effect: effect())
        try:
            shown = app.show_consent(callback.consent_id, bindings=callback.bindings)
            told = shown.stored and not shown.replaced
        except ConsentRefused:
            told = False
        if told != (_connected(world) and world.credential.grant_consent == callback.consent_id):
            self._verdict.pages_untrue = 1

    def _reload(self, recovery: Recovery) -> None:
        recovery.world.clock.advance(61)
        callback = self._callback
        assert callback is not None
        recovery.run(lambda _, app: self._complete(callback, app))

    @staticmethod
    def _complete(callback: Callback, app: Application) -> None:
        app.complete_consent(callback)


@dataclass(slots=True)
class SecretSwap(_OfAnApp):
    """A new client secret: at every moment the registry names a pair that can be read and that Xero accepts."""

    _old: str = field(default="", init=False)
    _lost: int = field(default=0, init=False)

    @property
    def name(self) -> str:
        return self.named("secret swap")

    def prepare(self, world: World, app: Application) -> None:
        world.connect(app)
        world.clock.advance(60)
        self._old = world.client_secret
        world.client_secret = world.xero.server.add_secret(world.client_id)

    def act(self, world: World, app: Application) -> None:
        app.replace_client_secret(world.client_id, world.client_secret, by=ADMIN)

    def recover(self, recovery: Recovery) -> None:
        world = recovery.world
        recovery.sweep_until_quiet()
        pair = world.registry_pair()
        if pair is None or pair.client_secret not in {self._old, world.client_secret}:
            self._lost = 1
        # The admin got no answer and tries again; only an answer makes them delete the old secret at Xero.
        while not recovery.run(self.act):
            world.clock.advance(61)
        recovery.sweep_until_quiet()

    def judge(self, world: World) -> Verdict:
        alive = _alive(world)
        pair = world.registry_pair()
        lost = pair is None or pair.client_secret != world.client_secret
        return Verdict(grants_lost=int(not alive), secrets_lost=int(lost or self._lost))


@dataclass(slots=True)
class Submit(_OfAnApp):
    """A new pair: the admin who got no answer submits it again, and then it is there.

    A Custom connection is connected then, without anybody's doing.
    """

    @property
    def name(self) -> str:
        return self.named("submit")

    def prepare(self, world: World, app: Application) -> None:
        del world, app

    def act(self, world: World, app: Application) -> None:
        app.submit_credential(world.submission(), submitted_by=ADMIN)

    def recover(self, recovery: Recovery) -> None:
        recovery.world.clock.advance(61)
        while not recovery.run(self.act):
            recovery.world.clock.advance(61)
        recovery.sweep_until_quiet()

    def judge(self, world: World) -> Verdict:
        return _taken_in(world)


@dataclass(slots=True)
class ProvePending(_OfAnApp):
    """A pair that was taken in while Xero was away: kept, and proven by the schedule; or rejected and deleted."""

    good: bool

    @property
    def name(self) -> str:
        return self.named(f"prove a pending pair that is {'good' if self.good else 'wrong'}")

    def prepare(self, world: World, app: Application) -> None:
        world.xero.simulation.faults.add(Fault(Endpoint.TOKEN, FaultKind.STATUS, status=503), times=1)
        if not self.good:
            world.client_secret += "-with-a-slip"
        app.submit_credential(world.submission(), submitted_by=ADMIN)
        world.clock.next_tick(not_before=world.credential.due_at)

    def act(self, world: World, app: Application) -> None:
        world.sweep(app)

    def recover(self, recovery: Recovery) -> None:
        recovery.sweep_until_quiet()

    def judge(self, world: World) -> Verdict:
        if not self.good:
            secret = world.secrets.secrets[f"oneenterprise/xero/{world.client_id}/client"]
            return Verdict(stuck=int(world.credential.status is not Status.REJECTED or not secret.deleted))
        return _taken_in(world)


@dataclass(slots=True)
class Disconnect(_OfAnApp):
    """A disconnect: whole or not begun; the admin who got no answer asks again, and then nothing is left."""

    _verdict: Verdict = field(default_factory=Verdict, init=False)

    @property
    def name(self) -> str:
        return self.named("disconnect")

    def prepare(self, world: World, app: Application) -> None:
        world.connect(app)
        world.clock.advance(60)

    def act(self, world: World, app: Application) -> None:
        app.disconnect_credential(world.client_id, by=ADMIN)

    def recover(self, recovery: Recovery) -> None:
        world = recovery.world
        recovery.sweep_until_quiet()
        if world.credential.status not in {Status.DISCONNECTING, Status.DISCONNECTED} and not _connected(world):
            self._verdict.grants_lost = 1
        if world.credential.status is Status.DISCONNECTING:
            self._verdict.stuck = 1
        while not recovery.run(self.act):
            world.clock.advance(61)
        recovery.sweep_until_quiet()

    def judge(self, world: World) -> Verdict:
        gone = all(secret.deleted for secret in world.secrets.secrets.values())
        if world.credential.status is not Status.DISCONNECTED or not gone or not world.ended_at_xero():
            self._verdict.stuck = 1
        return self._verdict


@dataclass(slots=True)
class RefreshThen(_OfAnApp):
    """A refresh is cut off, and the next thing that happens is not the schedule but a person."""

    then: str
    _old: str = field(default="", init=False)

    @property
    def name(self) -> str:
        return f"refresh, then {self.then}"

    def prepare(self, world: World, app: Application) -> None:
        world.connect(app)
        world.clock.next_tick(not_before=world.credential.due_at)

    def act(self, world: World, app: Application) -> None:
        world.sweep(app)

    def recover(self, recovery: Recovery) -> None:
        recovery.world.clock.advance(61)
        if self.then == "secret swap":
            self._old = recovery.world.client_secret
            recovery.world.client_secret = recovery.world.xero.server.add_secret(recovery.world.client_id)
        while not recovery.run(self._person):
            recovery.world.clock.advance(61)
        recovery.sweep_until_quiet()

    def _person(self, world: World, app: Application) -> None:
        match self.then:
            case "secret swap":
                app.replace_client_secret(world.client_id, world.client_secret, by=ADMIN)
            case "consent":
                app.complete_consent(world.start_consent(app))
            case "disconnect":
                app.disconnect_credential(world.client_id, by=ADMIN)
            case _:
                app.refresh_now(world.client_id, by=ADMIN)

    def judge(self, world: World) -> Verdict:
        if self.then == "disconnect":
            done = world.credential.status is Status.DISCONNECTED and world.ended_at_xero()
            return Verdict(stuck=int(not done))
        pair = world.registry_pair() if self.then == "secret swap" else None
        swapped = self.then != "secret swap" or (pair and pair.client_secret == world.client_secret)
        return Verdict(grants_lost=int(not _alive(world)), secrets_lost=int(not swapped))


def _taken_in(world: World) -> Verdict:
    if not _exists(world):
        return Verdict(secrets_lost=1, stuck=1)
    custom = world.integration_type is IntegrationType.CUSTOM_CONNECTION
    through = _alive(world) if custom else world.credential.status is Status.VALIDATED
    pair = world.registry_pair()
    lost = pair is None or pair.client_secret != world.client_secret
    return Verdict(secrets_lost=int(lost), stuck=int(not through))


def _connected(world: World) -> bool:
    return world.credential.status is Status.CONNECTED


def _alive(world: World) -> bool:
    return _connected(world) and world.still_refreshes()


SCENARIOS: tuple[Callable[[], Scenario], ...] = (
    Refresh,
    OtherOrganisations,
    GrantEnded,
    lambda: Consent(again=False, reload_first=False),
    lambda: Consent(again=False, reload_first=True),
    lambda: Consent(again=True, reload_first=False),
    lambda: Consent(again=True, reload_first=True),
    SecretSwap,
    Submit,
    lambda: ProvePending(good=True),
    lambda: ProvePending(good=False),
    Disconnect,
    lambda: RefreshThen("refresh now"),
    lambda: RefreshThen("secret swap"),
    lambda: RefreshThen("consent"),
    lambda: RefreshThen("disconnect"),
    *(
        partial(scenario, integration_type=IntegrationType.CUSTOM_CONNECTION)
        for scenario in (Submit, partial(ProvePending, good=True), Refresh, SecretSwap, Disconnect)
    ),
)


@dataclass(frozen=True, slots=True)
class Run:
    """One run, told well enough to be run again."""

    scenario: int
    variant: Variant
    first: CrashPoint | None
    second: CrashPoint | None

    @override
    def __str__(self) -> str:
        return f"{SCENARIOS[self.scenario]().name}: {self.variant}, {self.first}, {self.second}"


@dataclass(slots=True)
class Ran:
    """What a run showed: its calls tell where the next ones may crash."""

    verdict: Verdict
    trail: Trail
    acted: Life
    recovered: Life


def run(xero: InProcessXero, todo: Run) -> Ran:
    """Make one run."""
    variant = todo.variant
    scenario = SCENARIOS[todo.scenario]()
    world = World(
        xero,
        first_successor_survives=variant.first_successor_survives,
        integration_type=scenario.integration_type,
    )
    scenario.prepare(world, world.process(Life(world.clock)))
    world.secrets.read_lag = lambda: timedelta(seconds=variant.read_lag)
    acted = Life(world.clock, todo.first)
    recovery = Recovery(world, todo.second)
    recovered = recovery.life
    try:
        scenario.act(world, world.process(acted))
    except (ProcessDied, ConnectorError):
        world.clock.advance(variant.away)
    scenario.recover(recovery)
    recovery.come_round()
    return Ran(scenario.judge(world), world.look_at_trail(), acted, recovered)


@dataclass(slots=True)
class CrashFigures:
    """What the crash experiment measured."""

    crash_points: int = 0
    crash_runs: int = 0
    grants_lost: int = 0
    secrets_lost: int = 0
    stuck: int = 0
    pages_untrue: int = 0
    consents_to_repeat: int = 0
    broken: Broken = field(default_factory=Broken)
    status_changes: int = 0
    events_published: int = 0
    events_repeated: int = 0
    failures: list[str] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        return self.grants_lost == self.secrets_lost == self.stuck == self.pages_untrue == 0 and not self.broken

    def add(self, todo: Run, ran: Ran) -> None:
        verdict, trail = ran.verdict, ran.trail
        self.crash_runs += 1
        self.grants_lost += verdict.grants_lost
        self.secrets_lost += verdict.secrets_lost
        self.stuck += verdict.stuck
        self.pages_untrue += verdict.pages_untrue
        self.consents_to_repeat += verdict.consents_to_repeat
        self.broken.add(trail.broken)
        self.status_changes += trail.status_changes
        self.events_published += trail.events_published
        self.events_repeated += trail.events_repeated
        harm = verdict.grants_lost or verdict.secrets_lost or verdict.stuck or verdict.pages_untrue
        if harm or trail.broken:
            self.failures.append(f"{todo}: {verdict}, {trail.broken}")

    def as_dict(self) -> dict[str, Any]:
        return {
            "crash_points": self.crash_points,
            "crash_runs": self.crash_runs,
            "grants_lost": self.grants_lost,
            "secrets_lost": self.secrets_lost,
            "stuck": self.stuck,
            "pages_untrue": self.pages_untrue,
            "consents_to_repeat": self.consents_to_repeat,
            **asdict(self.broken),
            "status_changes": self.status_changes,
            "events_published": self.events_published,
            "events_repeated": self.events_repeated,
            "failures_by_scenario": dict(Counter(failure.split(":")[0] for failure in self.failures)),
            "failures": self.failures[:20],
        }


def measure(
    *,
    seed: int,
    share_of_pairs: float,
    progress: Progress,
    variants: Sequence[Variant] = VARIANTS,
    only: Collection[str] = (),
) -> CrashFigures:
    """Crash at every point of every scenario (or of those that `only` names), and twice at a share."""
    figures = CrashFigures()
    draw = Random(seed)  # noqa: S311 - a seed is the point
    xero = InProcessXero()
    points: set[tuple[int, CrashPoint]] = set()
    scenarios = [number for number, scenario in enumerate(SCENARIOS) if not only or scenario().name in only]
    for scenario, variant in product(scenarios, variants):
        for todo, ran in _runs(xero, scenario, variant, draw, share_of_pairs):
            if todo.first is not None:
                points.add((scenario, todo.first))
            figures.add(todo, ran)
            progress(f"{figures.crash_runs} runs, {SCENARIOS[scenario]().name}")
    figures.crash_points = len(points)
    return figures


def _runs(
    xero: InProcessXero, scenario: int, variant: Variant, draw: Random, share_of_pairs: float
) -> Iterator[tuple[Run, Ran]]:
    whole = Run(scenario, variant, None, None)
    unhurt = run(xero, whole)
    yield whole, unhurt
    for first in unhurt.acted.crash_points:
        single = Run(scenario, variant, first, None)
        ran = run(xero, single)
        yield single, ran
        for second in ran.recovered.crash_points:
            if draw.random() < share_of_pairs:
                pair = Run(scenario, variant, first, second)
                yield pair, run(xero, pair)
