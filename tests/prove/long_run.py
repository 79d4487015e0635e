"""The long run: weeks of ticks over many credentials, in the weather of a seed."""

import base64
import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from random import Random
from typing import Any, Self, cast, override
from unittest import mock
from uuid import UUID

from joserfc.jwk import RSAKey

from local.xero_simulator.apps import OIDC_SCOPES
from local.xero_simulator.identity_server import IdentityServer, TokenError
from tests.doubles.dynamodb import StrictDynamoDB
from tests.doubles.eventbridge import StrictEventBridge
from tests.doubles.faults import AwsFault
from tests.doubles.secrets_manager import StrictSecretsManager, Version
from tests.fakes.interruptions import ProcessDied
from tests.fakes.stores import InMemorySeal
from tests.fakes.world import NOON, SETTINGS
from tests.fakes.xero import DEMO_COMPANY, ELECTRO_LAND
from tests.prove import trail
from tests.prove.progress import Progress
from tests.prove.trail import Broken, StatusChanges
from tests.prove.weather import DAY, MINUTE, Spell, Trouble, Weather
from tests.prove.world import ADMIN, CrashPoint, GatedClient, HandClock, no_kms
from tests.prove.xero import register, signing_key
from xero_connector.adapters.dynamodb_registry import DynamoDBRegistry
from xero_connector.adapters.secret_keys import VaultKeys
from xero_connector.adapters.secrets_manager_vault import SecretsManagerVault
from xero_connector.application import Application
from xero_connector.bootstrap import AwsClients, Surroundings, ports
from xero_connector.domain.credential import Credential
from xero_connector.domain.errors import ConnectionsUnavailable
from xero_connector.domain.holding_tokens import holding
from xero_connector.domain.refresh_policy import next_refresh
from xero_connector.domain.status import Status
from xero_connector.domain.tenant import Tenant
from xero_connector.domain.token_endpoint import FailureKind, TokenEndpointFailure
from xero_connector.domain.tokens import ClientPair, TokenAnswer, TokenSet, TokensSecret
from xero_connector.domain.version_allowance import VersionAllowance
from xero_connector.use_cases import sweep_due_credentials

LONG_OUTAGE = 15 * MINUTE
NORMAL_OUTAGE = 3 * MINUTE
"""A token is due with 9 to 11 minutes left: no cadence within the quota keeps 5 through more than this."""
_AFTERMATH = 8 * MINUTE
"""How long after an outage its marks may still show: retries pause for minutes, by clocks that are wrong."""
SHARDS = 2
_SCOPES = ("accounting.contacts", "offline_access")
_ENVIRONMENT_LIVES = timedelta(hours=1)
_CLEARING_UP = 5
"""Ticks in good weather at the end: what the bad weather left unpublished has gone out by then, or never does."""


class _FreeSignature:
    """A signing operation that costs nothing: nothing in the long run verifies an access token."""

    def sign(self, *_: object) -> bytes:
        return b"not signed"


class UnsignedKey(RSAKey):
    """The key of a Xero whose access tokens are never verified: an RSA signature is most of a refresh."""

    @override
    def get_op_key(self, operation: Any) -> Any:
        return _FreeSignature()


@dataclass(frozen=True, slots=True, kw_only=True)
class LongRun:
    """What to simulate."""

    seed: str
    credentials: int
    days: int
    first_successor_survives: bool


@dataclass(slots=True)
class LongRunFigures:
    """What the run measured; seconds as a reader of AWSCURRENT would have counted them at Xero's clock."""

    run: LongRun
    refreshes: int = 0
    rolled_forward: int = 0
    ticks: int = 0
    killed: int = 0
    grants_lost: int = 0
    min_seconds_left: float = 1800
    min_seconds_left_outside_long_outages: float = 1800
    min_seconds_left_by_outage_minutes: dict[int, float] = field(default_factory=dict)
    max_versions_per_secret_per_day: int = 0
    broken: Broken = field(default_factory=Broken)
    status_changes: int = 0
    events_published: int = 0
    events_repeated: int = 0
    troubles: Counter[str] = field(default_factory=Counter)
    lost: list[str] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        return (
            self.grants_lost == 0
            and round(self.min_seconds_left) >= 300
            and self.max_versions_per_secret_per_day <= 90
            and not self.broken
        )

    def as_dict(self) -> dict[str, Any]:
        return {
            "seed": self.run.seed,
            "first_successor_survives": self.run.first_successor_survives,
            "simulated_days": self.run.days,
            "credentials": self.run.credentials,
            "refreshes": self.refreshes,
            "rolled_forward": self.rolled_forward,
            "ticks": self.ticks,
            "killed_invocations": self.killed,
            "grants_lost": self.grants_lost,
            "min_seconds_left": round(self.min_seconds_left),
            "min_seconds_left_outside_long_outages": round(self.min_seconds_left_outside_long_outages),
            "min_seconds_left_by_outage_minutes": {
                str(minutes): round(left)
                for minutes, left in sorted(self.min_seconds_left_by_outage_minutes.items())
            },
            "max_versions_per_secret_per_day": self.max_versions_per_secret_per_day,
            **asdict(self.broken),
            "status_changes": self.status_changes,
            "events_published": self.events_published,
            "events_repeated": self.events_repeated,
            "troubles": dict(sorted(self.troubles.items())),
            "lost": self.lost[:20],
        }


class _CountingObserver:
    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def count(self, name: str, value: int = 1) -> None:
        self.counts[name] += value

    def measure(self, name: str, seconds: float) -> None: ...

    def gauge(self, name: str, value: int) -> None: ...

    def event(self, message: str, **fields: str | int | None) -> None:
        del fields
        self.counts[message] += 1

    warning = event

    def flush(self) -> None: ...


class _InTurn(Executor):
    """Works on credentials one after the other, so that the seed alone decides what happens.

    Each has the time for itself, as it would in a thread of its own. In an invocation that is killed, all that
    are at work at that moment die, each somewhere else.
    """

    wide = 32
    simulation: "Simulation"

    def __init__(self, max_workers: int) -> None:
        del max_workers
        self._died = 0

    @override
    def __enter__(self) -> Self:
        return self

    @override
    def submit[**P, Answer](self, fn: Callable[P, Answer], /, *args: P.args, **kwargs: P.kwargs) -> Future[Answer]:
        future: Future[Answer] = Future()
        clock, gate = self.simulation.clock, self.simulation.gate
        began = clock.now
        gate.start_work()
        try:
            future.set_result(fn(*args, **kwargs))
        except ProcessDied as died:
            self._died += 1
            if self._died == self.wide:
                raise
            future.set_exception(died)
        except Exception as error:  # noqa: BLE001 - the future hands it on
            future.set_exception(error)
        finally:
            clock.now = began
        return future

    @override
    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        del wait, cancel_futures
        # What comes after the credentials may be cut off as well: the publishing of what was left over.
        self.simulation.gate.start_work()


class _Gate:
    """Takes a little time for each AWS call; in a killed invocation, ends each credential's work somewhere."""

    def __init__(self, clock: HandClock, weather: Weather) -> None:
        self._clock = clock
        self._weather = weather
        self.killed = False
        self._crash: CrashPoint | None = None
        self._calls = 0
        self._dead = False

    def start_invocation(self, *, killed: bool) -> None:
        self.killed = killed
        self._crash = None

    def start_work(self) -> None:
        self._calls = 0
        self._dead = False
        self._crash = CrashPoint(*self._weather.crash_call()) if self.killed else None

    def __call__[Answer](self, name: str, effect: Callable[[], Answer]) -> Answer:
        del name
        if self._crash is None:
            return effect()
        if self._dead:
            raise ProcessDied
        call = self._calls
        self._calls += 1
        self._die_at(CrashPoint(call, after=False))
        try:
            return effect()
        finally:
            self._die_at(CrashPoint(call, after=True))

    def _die_at(self, point: CrashPoint) -> None:
        if point == self._crash:
            self._dead = True
            raise ProcessDied


class _TokenEndpoint:
    """`TokenEndpoint` straight over the simulator's rules; only what a sweep over connected credentials needs."""

    def __init__(self, simulation: "Simulation", clock: Callable[[], datetime]) -> None:
        self._simulation = simulation
        self._clock = clock

    def refresh(self, pair: ClientPair, *, refresh_token: str, within: timedelta | None = None) -> TokenAnswer:
        del within
        return self._simulation.gate("xero", lambda: self._refresh(pair, refresh_token))

    def _refresh(self, pair: ClientPair, refresh_token: str) -> TokenAnswer:
        simulation = self._simulation
        asked_at = self._clock()
        trouble = simulation.weather.of_refresh(pair.client_id, simulation.clock.now)
        if trouble is not None:
            simulation.figures.troubles[trouble] += 1
        match trouble:
            case Trouble.NOT_SENT:
                simulation.clock.advance(3)
                raise TokenEndpointFailure(FailureKind.NOT_SENT)
            case Trouble.UNAVAILABLE:
                raise TokenEndpointFailure(FailureKind.UNAVAILABLE)
            case Trouble.THROTTLED:
                raise TokenEndpointFailure(FailureKind.THROTTLED, retry_after=60)
            case Trouble.STRAY_INVALID_GRANT:
                raise TokenEndpointFailure(FailureKind.INVALID_GRANT)
            case Trouble.SLOW:
                simulation.clock.advance(8)
        answer = self._answer(pair, refresh_token, asked_at)
        if trouble is Trouble.LOST:
            simulation.clock.advance(10)
            raise TokenEndpointFailure(FailureKind.UNANSWERED)
        if trouble is Trouble.UNAVAILABLE_AFTER:
            raise TokenEndpointFailure(FailureKind.UNAVAILABLE)
        simulation.clock.advance(0.3)
        return answer

    def _answer(self, pair: ClientPair, refresh_token: str, asked_at: datetime) -> TokenAnswer:
        basic = base64.b64encode(f"{pair.client_id}:{pair.client_secret}".encode()).decode()
        try:
            token = self._simulation.server.token(
                {"grant_type": "refresh_token", "refresh_token": refresh_token}, authorization=f"Basic {basic}"
            )
        except TokenError as refused:
            raise TokenEndpointFailure(FailureKind(refused.error)) from None
        return TokenAnswer(token=_token_set(token, asked_at), obtained_at=asked_at)


class _Connections:
    """`XeroConnections` of grants that now and then reach one more organisation, and then lose it again."""

    def __init__(self, simulation: "Simulation") -> None:
        self._simulation = simulation
        self._draw = Random(f"{simulation.run.seed}/organisations")  # noqa: S311

    def tenants(self, access_token: str, *, auth_event_id: str | None) -> tuple[Tenant, ...]:
        del access_token, auth_event_id
        return self._simulation.gate("xero", self._listed)

    def _listed(self) -> tuple[Tenant, ...]:
        if self._simulation.weather.outages.at(self._simulation.clock.now) is not None:
            raise ConnectionsUnavailable("away")
        return (DEMO_COMPANY, ELECTRO_LAND) if self._draw.random() < 0.1 else (DEMO_COMPANY,)

    def remove(self, access_token: str, connection_id: str) -> None:
        del access_token, connection_id
        raise AssertionError("no credential of these runs is disconnected")


def _token_set(token: Any, asked_at: datetime) -> TokenSet:  # noqa: ANN401 - the simulator's TypedDict
    return TokenSet(
        access_token=token["access_token"],
        token_type=token["token_type"],
        refresh_token=token["refresh_token"],
        expires_in=token["expires_in"],
        expires_at=int(asked_at.timestamp()) + token["expires_in"],
        scope=token["scope"],
    )


class Simulation:
    """One long run."""

    def __init__(self, run: LongRun) -> None:
        self.run = run
        self.figures = LongRunFigures(run)
        self.clock = HandClock()
        self.weather = Weather(run.seed, NOON, run.days)
        self.gate = _Gate(self.clock, self.weather)
        self._draw = Random(f"{run.seed}/ids")  # noqa: S311
        self.server = IdentityServer(
            now=self.clock,
            first_successor_survives=run.first_successor_survives,
            signing_key=UnsignedKey.import_key(signing_key().as_dict(private=True)),
        )
        self.dynamodb = StrictDynamoDB(self.clock, table_name=SETTINGS.table_name, faults=self._aws_fault)
        self.status_changes = StatusChanges()
        self.dynamodb.on_put = self.status_changes
        self.events = StrictEventBridge(SETTINGS.event_bus_name, faults=self._aws_fault)
        self.secrets = StrictSecretsManager(
            self.clock, faults=self._aws_fault, read_lag=self.weather.read_lag, on_put=self._measure
        )
        self.observer = _CountingObserver()
        self._holders = count(1)
        self._calm = True
        self._skew = timedelta()
        self._environment_ends = NOON
        self._deadline = NOON
        self._issued: dict[str, datetime] = {}

    def __call__(self, progress: Progress) -> LongRunFigures:
        self._calm = True
        self._connect_everybody()
        self._calm = False
        app = self._application()
        end = NOON + DAY * self.run.days
        with in_turn(self):
            while self.clock.now < end:
                self._tick(app)
                if self.figures.ticks % 600 == 0:
                    days = (self.clock.now - NOON) / DAY
                    progress(f"{days:.1f} of {self.run.days} days, {self.observer.counts['refreshed']} refreshes")
            self._calm = True
            self._judge()
            for _ in range(_CLEARING_UP):
                self._tick(app)
        self._judge_events()
        return self.figures

    # The schedule

    def _tick(self, app: Application) -> None:
        tick = self.clock.now
        self.figures.ticks += 1
        if tick >= self._environment_ends:
            self._environment_ends = tick + _ENVIRONMENT_LIVES
            self._skew = self.weather.skew()
        self.clock.now = tick + self.weather.tick_is_late()
        self._invoke(app)
        if self.weather.tick_is_doubled():
            # The second invocation finds the first one's environment busy, and gets one of its own.
            mine, self._skew = self._skew, self.weather.skew()
            self.clock.advance(2)
            self._invoke(app)
            self._skew = mine
        self.clock.now = tick + MINUTE

    def _invoke(self, app: Application) -> None:
        killed = self.weather.tick_is_killed()
        self.gate.start_invocation(killed=killed)
        self.figures.killed += killed
        self._deadline = self._app_clock() + timedelta(seconds=90)
        try:
            app.sweep_due_credentials(shards=[str(shard) for shard in range(SHARDS)], deadline=self._deadline)
        except ProcessDied:
            return
        except Exception as error:
            if not hasattr(error, "code"):
                raise
            # A throttled query of the due index: the next minute asks again.
            self.observer.counts["sweeps_without_effect"] += 1

    def _app_clock(self) -> datetime:
        return self.clock.now + self._skew

    def _aws_fault(self, operation: str) -> AwsFault | None:
        if self._calm:
            return None
        chance = self.weather.aws_fails(self.clock.now)
        if chance is None:
            return None
        fault = (
            AwsFault.THROTTLED
            if chance < 0.8
            else AwsFault.ANSWER_LOST
            if chance < 0.95
            else AwsFault.FAILED_AFTER
        )
        self.figures.troubles[f"aws_{fault}"] += 1
        del operation
        return fault

    # What it is made of

    def _application(self) -> Application:
        dynamodb = cast("Any", GatedClient("dynamodb", self.dynamodb, self.gate))
        secrets_manager = cast("Any", GatedClient("secretsmanager", self.secrets, self.gate))
        events = cast("Any", GatedClient("events", self.events, self.gate))
        aws = AwsClients(dynamodb=dynamodb, secrets_manager=secrets_manager, kms=no_kms, events=lambda: events)
        around = Surroundings(
            clock=self._app_clock,
            deadline=lambda: self._deadline,
            pause=self.clock.advance,
            lease_holder=lambda: f"holder-{next(self._holders)}",
            observer=self.observer,
        )
        adapters = replace(
            ports(replace(SETTINGS, due_shards=SHARDS), aws, around),
            token_endpoint=cast("Any", _TokenEndpoint(self, self._app_clock)),
            connections=_Connections(self),
            seal=InMemorySeal(),
        )
        return Application(adapters, SETTINGS)

    def _connect_everybody(self) -> None:
        registry = DynamoDBRegistry(cast("Any", self.dynamodb), SETTINGS.table_name, SHARDS)
        vault = SecretsManagerVault(
            cast("Any", self.secrets),
            SETTINGS.secret_prefix,
            VaultKeys(SETTINGS.kms_key_arn, None),
            SETTINGS.stack_name,
            self.clock.advance,
        )
        start = self.clock.now
        lag, self.secrets.read_lag = self.secrets.read_lag, timedelta
        for _ in range(self.run.credentials):
            # Anywhere within the cadence: real customers do not connect all at once.
            self.clock.now = start - timedelta(minutes=20) * self._draw.random()
            client_id, client_secret = register(self.server, self._draw, scopes=set(_SCOPES) - OIDC_SCOPES)
            assert client_secret is not None
            token = _token_set(self.server.consent(client_id, scopes=_SCOPES), self.clock.now)
            credential = self._row(client_id)
            vault.put_client_pair(ClientPair(client_id, client_secret), version_id=credential.client_version_id)
            first = TokensSecret(
                client_id=client_id, generation=1, obtained_at=self.clock.now, token=token, tenants=(DEMO_COMPANY,)
            )
            stored = vault.put_tokens(first, version_id=credential.tokens_version_id(1))
            due_at = next_refresh(client_id, generation=1, obtained_at=self.clock.now, expires_in=1800)
            registry.create(holding(credential, stored, due_at=due_at, now=self.clock.now), replacing=None)
        self.clock.now = start
        self.secrets.read_lag = lag

    def _row(self, client_id: str) -> Credential:
        now = self.clock.now
        return Credential(
            client_id=client_id,
            incarnation=UUID(bytes=self._draw.randbytes(16)),
            status=Status.VALIDATED,
            requested_scopes=_SCOPES,
            allowance=VersionAllowance.full(now),
            created_at=now,
            created_by=ADMIN,
            updated_at=now,
        )

    # What it measures

    def _measure(self, name: str, before: Version | None, after: Version) -> None:
        if not name.endswith("/tokens"):
            return
        if not self._calm:
            self.figures.refreshes += 1
        self._issued[name] = after.created_at
        if before is not None:
            self._look_back(before, until=after.created_at)

    def _look_back(self, version: Version, *, until: datetime) -> None:
        """Find the least that was left of a token while it was current: it is what was left at its end."""
        ends_at = _ends_at(version.content)
        left = (ends_at - until).total_seconds()
        outages = self.weather.outages
        spell = outages.at(until) or outages.at(until - _AFTERMATH)
        if spell is None:
            # An outage that is shorter than its aftermath.
            spell = next((one for one in _ended_within(outages.spells, until)), None)
        if spell is not None:
            minutes = spell.length // MINUTE
            by_minutes = self.figures.min_seconds_left_by_outage_minutes
            by_minutes[minutes] = min(left, by_minutes.get(minutes, 1800))
        self._note(left, ends_at, version, spell.start if spell and spell.length > NORMAL_OUTAGE else None)
        if spell is None or spell.length <= LONG_OUTAGE:
            figures = self.figures
            figures.min_seconds_left_outside_long_outages = min(
                left, figures.min_seconds_left_outside_long_outages
            )

    def _note(self, left: float, ends_at: datetime, version: Version, excused_from: datetime | None) -> None:
        if excused_from is not None:
            if excused_from <= version.created_at:
                return
            left = (ends_at - excused_from).total_seconds()
        self.figures.min_seconds_left = min(left, self.figures.min_seconds_left)

    def _judge(self) -> None:
        figures = self.figures
        figures.rolled_forward = self.observer.counts["rolled_forward"]
        registry = DynamoDBRegistry(cast("Any", self.dynamodb), SETTINGS.table_name, SHARDS)
        for pk, sk in list(self.dynamodb.items):
            if sk != "CREDENTIAL":
                continue
            credential = registry.get(pk.removeprefix("CREDENTIAL#"))
            assert credential is not None
            name = f"{SETTINGS.secret_prefix}/{credential.client_id}/tokens"
            secret = self.secrets.secrets[name]
            figures.max_versions_per_secret_per_day = max(
                figures.max_versions_per_secret_per_day, secret.most_in_a_day
            )
            assert secret.current is not None
            lost = credential.status not in {Status.CONNECTED, Status.DEGRADED}
            if lost or self.clock.now > _ends_at(secret.current.content):
                figures.grants_lost += 1
                figures.lost.append(
                    f"{credential.client_id}: {credential.status} at {credential.updated_at}, "
                    f"{credential.last_error}"
                )

    def _judge_events(self) -> None:
        found = trail.look_at(self.dynamodb, self.events, self.status_changes)
        figures = self.figures
        figures.broken = found.broken
        figures.status_changes = found.status_changes
        figures.events_published = found.events_published
        figures.events_repeated = found.events_repeated


def _ended_within(spells: Sequence[Spell], until: datetime) -> Iterator[Spell]:
    for spell in spells:
        if spell.start > until:
            return
        if spell.end <= until < spell.end + _AFTERMATH:
            yield spell


def _ends_at(content: str) -> datetime:
    """When Xero stops to accept the access token, by the token itself."""
    payload = json.loads(content)["token"]["access_token"].split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return datetime.fromtimestamp(claims["exp"], tz=UTC)


@contextmanager
def in_turn(simulation: Any) -> Iterator[None]:  # noqa: ANN401 - whatever has a clock and a gate
    """Have sweeps work on credentials one after the other."""

    class InTurn(_InTurn):
        pass

    InTurn.simulation = simulation
    with mock.patch.object(sweep_due_credentials, "ThreadPoolExecutor", InTurn):
        yield


def run(todo: LongRun, progress: Progress) -> LongRunFigures:
    """Simulate the days and measure."""
    return Simulation(todo)(progress)
