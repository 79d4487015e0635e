"""The meaner world: people and the schedule, while every service fails in turn and Xero answers oddly.

The application runs with its real adapters. Each of its outside calls goes through one gate, where the weather
decides what becomes of it. Afterwards everything is looked at in good weather.
"""

import secrets
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from io import BytesIO
from itertools import count
from random import Random
from typing import Any, cast
from unittest import mock
from uuid import UUID

import requests
from botocore.exceptions import ReadTimeoutError
from urllib3 import HTTPResponse
from urllib3.exceptions import NewConnectionError, ProtocolError

from local.xero_simulator import apps
from local.xero_simulator.users import User
from tests.doubles.dynamodb import StrictDynamoDB
from tests.doubles.eventbridge import StrictEventBridge
from tests.doubles.faults import refusal
from tests.doubles.kms import StrictKms
from tests.doubles.secrets_manager import StrictSecretsManager, Version
from tests.fakes.interruptions import ProcessDied
from tests.fakes.world import NOON, SETTINGS, RecordingObserver
from tests.prove import trail
from tests.prove.long_run import in_turn
from tests.prove.mean_weather import Fate, MeanWeather, Trouble, reshaped
from tests.prove.progress import Progress
from tests.prove.trail import Broken, StatusChanges
from tests.prove.world import ADMIN, GatedClient, HandClock
from tests.prove.xero import InProcessXero, register
from xero_connector.adapters.dynamodb_registry import DynamoDBRegistry
from xero_connector.application import Application
from xero_connector.bootstrap import AwsClients, Surroundings, ports
from xero_connector.domain.consent import digest
from xero_connector.domain.credential import Credential, IntegrationType
from xero_connector.domain.error_codes import VERSION_ALLOWANCE
from xero_connector.domain.errors import ConnectorError
from xero_connector.domain.refresh_policy import GRACE
from xero_connector.domain.status import Status
from xero_connector.domain.submission import Submission
from xero_connector.domain.tokens import ClientPair, TokensSecret, consent_version_id
from xero_connector.use_cases.complete_consent import Callback

TICK = timedelta(minutes=1)
_OF_A_REQUEST, _OF_A_SWEEP = timedelta(seconds=25), timedelta(seconds=90)
_AFTERMATH = timedelta(minutes=35)
"""How long after a spell its marks may show: the grace, and a few ticks."""
_LONG_ENOUGH = timedelta(minutes=23)
"""A token is due after 18 minutes at the earliest, and readers are promised five more."""
_PAUSE = timedelta(minutes=15)
"""What a 429 of Xero asks for."""
_CLEARING_UP = 240
"""Ticks in good weather at the end."""
_RELOADS = 8
_ACT = 0.02
"""The chance that a customer, a user or an admin acts in a minute."""
_ACTS = ("consent", "refresh", "validate", "swap", "disconnect", "delete tokens", "delete pair")
_LIVES_ON = frozenset({Status.CONNECTED, Status.DEGRADED})


@dataclass(frozen=True, slots=True, kw_only=True)
class MeanRun:
    """What to simulate."""

    seed: str
    customers: int
    days: int
    longest: timedelta
    """The longest spell of each service."""
    first_successor_survives: bool


@dataclass(slots=True)
class MeanFigures:
    """What the run measured."""

    run: MeanRun
    consents: int = 0
    refreshes: int = 0
    consents_lost: int = 0
    """A code's answer reached a living process and was not kept."""
    grants_lost: int = 0
    grants_lost_in_windows: int = 0
    """Xero's answer never reached us, and something was away for the whole grace after it."""
    grants_left_behind: int = 0
    """Still alive at Xero after a disconnect that says nothing of it."""
    poisoned_rows: int = 0
    secrets_lost: int = 0
    stuck: int = 0
    healthy_tokens_expired: int = 0
    widest_window_seconds: float = 0
    """Between an answer of Xero and its being stored or parked."""
    parked: int = 0
    broken: Broken = field(default_factory=Broken)
    events_published: int = 0
    troubles: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        return not self.failures and not self.broken

    def as_dict(self) -> dict[str, Any]:
        found = asdict(self)
        run, broken = found.pop("run"), found.pop("broken")
        return {
            **run,
            "longest": run["longest"].total_seconds(),
            **found,
            **broken,
            "widest_window_seconds": round(self.widest_window_seconds, 1),
            "troubles": dict(sorted(self.troubles.items())),
            "outcomes": dict(sorted(self.outcomes.items())),
            "failures": self.failures[:20],
        }

    def fail(self, figure: str, what: str) -> None:
        setattr(self, figure, getattr(self, figure) + 1)
        self.failures.append(f"{figure}: {what}")


@dataclass(slots=True)
class Customer:
    """An app, and what its admins and users have done so far."""

    client_id: str
    secret: str
    integration_type: IntegrationType
    accepted: set[str] = field(default_factory=set)
    """Secrets of which one has to be in the vault."""
    connected: bool = False
    """A user went through consent, and it was not ended since."""
    answered: dict[str, tuple[UUID, str]] = field(default_factory=dict)
    """Consents whose answer reached a process that lived to keep it: hash of the state, incarnation and user."""
    unseen_since: datetime | None = None
    """Xero rotated the refresh token, and no answer has reached a process that lived to keep it."""
    paused_until: datetime = NOON
    """Xero asked for no more calls before this moment."""

    @property
    def is_custom(self) -> bool:
        return self.integration_type is IntegrationType.CUSTOM_CONNECTION


class Gate:
    """Takes time for each outside call of a process, and lets the weather have its way with it."""

    def __init__(self, world: "MeanWorld") -> None:
        self._world = world
        self._dead = False
        self._calls_to_live: int | None = None

    def start(self, *, calls_to_live: int | None) -> None:
        """Begin an invocation, which may be killed after some calls."""
        self._dead, self._calls_to_live = False, calls_to_live

    def start_work(self) -> None:
        """Each credential of a sweep is worked on in a thread of its own; they die together."""

    def __call__(self, name: str, effect: Callable[[], Any]) -> Any:  # noqa: ANN401 - whatever the call answers
        self._live()
        world = self._world
        world.clock.advance(0.3 if name.startswith("xero.") else 0.02)
        trouble = world.weather.trouble(name, world.clock.now)
        if trouble is not None:
            world.figures.troubles[trouble.fate] += 1
        try:
            if name.startswith("xero."):
                return self._of_xero(name, effect, trouble)
            return self._of_aws(name, effect, trouble)
        finally:
            self._live()

    def _live(self) -> None:
        if self._calls_to_live is not None:
            self._calls_to_live -= 1
            self._dead = self._dead or self._calls_to_live < 0
        if self._dead:
            raise ProcessDied

    def _of_aws(self, name: str, effect: Callable[[], Any], trouble: Trouble | None) -> Any:  # noqa: ANN401
        if trouble is None:
            return effect()
        operation = name.split(".")[1]
        # An item that is not there is answered in the same way: no store would say that of one that is.
        if trouble.fate is Fate.EMPTY and operation != "get_item":
            effect()
            return {}
        if trouble.fate is Fate.REFUSED_AFTER:
            effect()
        if trouble.fate is Fate.SLOWLY_REFUSED:
            self._world.clock.advance(7)
            raise ReadTimeoutError(endpoint_url="https://aws.test")
        raise refusal(operation, trouble.code or "ThrottlingException")

    def _of_xero(self, name: str, effect: Callable[[], Any], trouble: Trouble | None) -> HTTPResponse:
        world = self._world
        match trouble.fate if trouble else None:
            case Fate.REFUSED:
                refused: Any = NewConnectionError(cast("Any", None), "refused")
                raise requests.ConnectionError(refused)
            case Fate.UNAVAILABLE:
                return _answer(503, b"<html>")
            case Fate.THROTTLED:
                world.asked_for_a_pause()
                return _answer(429, b"{}", {"Retry-After": str(int(_PAUSE.total_seconds()))})
            case Fate.STRAY if world.weather.is_stray(world.xero.client_id):
                return _answer(400, b'{"error": "invalid_grant"}')
            case _:
                answer: HTTPResponse = effect()
        content = answer.read()
        entry = world.xero.simulation.journal.entries[-1]
        if answer.status == requests.codes.ok and name == "xero.POST /connect/token":
            world.rotated(str(entry["client_id"]))
        match trouble.fate if trouble else None:
            case Fate.LOST:
                raise requests.ConnectionError(ProtocolError("Connection aborted."))
            case Fate.DRIPPING:
                world.clock.advance(10)
                raise requests.ReadTimeout("No whole answer within 10 seconds.")
            case Fate.HTML if answer.status == requests.codes.ok:
                return _answer(200, b"<html>Checking your browser</html>")
        if answer.status == requests.codes.ok and name == "xero.POST /connect/token":
            self._live()
            world.delivered(str(entry["client_id"]), str(entry.get("grant_type")))
        reshape = lambda document: world.weather.odd(name, document, world.clock.now)  # noqa: E731 - used at once
        return _answer(answer.status, reshaped(content, reshape), dict(answer.headers))


def _answer(status: int, content: bytes, headers: dict[str, str] | None = None) -> HTTPResponse:
    kept = {
        name: value for name, value in (headers or {}).items() if name.lower() not in {"content-length", "date"}
    }
    return HTTPResponse(body=BytesIO(content), headers=kept, status=status, preload_content=False)


class MeanWorld:
    """One run."""

    def __init__(self, run: MeanRun, xero: InProcessXero | None = None) -> None:
        self.run = run
        self.figures = MeanFigures(run)
        self.clock = HandClock()
        self.weather = MeanWeather(run.seed, NOON, run.days, longest=run.longest)
        self.gate = Gate(self)
        self.xero = xero or InProcessXero()
        self.xero.restart(self.clock, first_successor_survives=run.first_successor_survives)
        self.dynamodb = StrictDynamoDB(self.clock, table_name=SETTINGS.table_name, index_lag=timedelta(seconds=1))
        self.status_changes = StatusChanges()
        self.dynamodb.on_put = self._on_row
        self.secrets = StrictSecretsManager(self.clock, on_put=self._on_version)
        self.kms = StrictKms(SETTINGS.kms_key_arn)
        self.events = StrictEventBridge(SETTINGS.event_bus_name)
        self.customers: dict[str, Customer] = {}
        self._state = self._user = ""
        self._delivered: dict[str, datetime] = {}
        self._kept_ids: set[str] = set()
        """Of versions that were stored, and of consents that were parked."""
        self._holders = count(1)
        self._deadline = NOON
        self._deadline_of: dict[Application, Callable[[], datetime]] = {}
        self._draw = Random(f"{run.seed}/ids")  # noqa: S311 - a seed is the point

    def __call__(self, progress: Progress) -> MeanFigures:
        requests_app = schedule = self.application()
        ends = NOON + timedelta(days=self.run.days)
        with in_turn(self):
            while self.clock.now < ends:
                if (self.clock.now - NOON) % timedelta(hours=1) < TICK:
                    # Lambda starts a new environment now and then; its clock is off by as much as it likes.
                    requests_app = self.application(self.weather.clock_is_off())
                    schedule = self.application(self.weather.clock_is_off())
                self._minute(requests_app, schedule)
                progress(f"day {(self.clock.now - NOON).days} of {self.run.days}")
            self.weather.calm = True
            calm = self.application()
            for _ in range(_CLEARING_UP):
                self._tick(calm)
            self._judge(calm)
        return self.figures

    def application(self, skew: timedelta = timedelta()) -> Application:
        """Put the application together, with a clock that is off."""
        clock = lambda: self.clock.now + skew  # noqa: E731 - a clock
        dynamodb = cast("Any", GatedClient("dynamodb", self.dynamodb, self.gate))
        secrets_manager = cast("Any", GatedClient("secretsmanager", self.secrets, self.gate))
        kms = cast("Any", GatedClient("kms", self.kms, self.gate))
        events = cast("Any", GatedClient("events", self.events, self.gate))
        aws = AwsClients(
            dynamodb=dynamodb, secrets_manager=secrets_manager, kms=lambda: kms, events=lambda: events
        )
        around = Surroundings(
            clock=clock,
            deadline=lambda: self._deadline + skew,
            pause=self.clock.advance,
            lease_holder=lambda: f"holder-{next(self._holders)}",
            observer=RecordingObserver(),
        )
        app = Application(ports(SETTINGS, aws, around, self.xero.transport(self.gate)), SETTINGS)
        self._deadline_of[app] = around.deadline
        return app

    # What happens

    def _minute(self, app: Application, schedule: Application) -> None:
        began = self.clock.now
        if len(self.customers) < self.run.customers and self.weather.chance() < 0.2:
            self._new_customer(app)
        elif self.customers and self.weather.chance() < _ACT * len(self.customers) / 8:
            self._one_of_them_acts(app)
        self.clock.now = max(self.clock.now, began)
        self._tick(schedule)
        self._look_at_readers()

    def _tick(self, app: Application) -> None:
        self.xero.simulation.journal.clear()
        began = self.clock.now
        with self._invocation(_OF_A_SWEEP):
            try:
                shards = [str(shard) for shard in range(SETTINGS.due_shards)]
                app.sweep_due_credentials(shards=shards, deadline=self._deadline_of[app]())
            except ConnectorError as error:
                self.figures.outcomes[f"sweep: {error.code}"] += 1
        over = (self.clock.now - began) // TICK
        self.clock.now = began + TICK * (over + 1)

    @contextmanager
    def _invocation(self, length: timedelta) -> Iterator[None]:
        killed = not self.weather.calm and self.weather.chance() < 0.003
        self.gate.start(calls_to_live=self.weather.choice(range(30)) if killed else None)
        self._deadline = self.clock.now + length
        # What an earlier process had in its memory is gone with it.
        self._delivered.clear()
        try:
            yield
        except ProcessDied:
            self.figures.outcomes["killed"] += 1
            for client_id, since in self._delivered.items():
                self.customers[client_id].unseen_since = since
                self.customers[client_id].answered.pop(self._state, None)

    def _try(self, what: str, act: Callable[[], Any]) -> Any:  # noqa: ANN401 - what the act returns
        """Do something as an admin: the answer, or None without one."""
        done = None
        self.xero.simulation.journal.clear()
        with self._invocation(_OF_A_REQUEST):
            try:
                done = act()
                self.figures.outcomes[what] += 1
            except ConnectorError as error:
                self.figures.outcomes[f"{what}: {error.code}"] += 1
        return done

    def _new_customer(self, app: Application) -> None:
        integration_type = self.weather.choice([*[IntegrationType.WEB_APP] * 4, IntegrationType.CUSTOM_CONNECTION])
        app_at_xero = register(
            self.xero.server,
            self._draw,
            integration_type=apps.IntegrationType(integration_type),
            redirect_uris=[SETTINGS.redirect_uri],
        )
        assert app_at_xero.client_secret is not None
        customer = Customer(app_at_xero.client_id, app_at_xero.client_secret, integration_type)
        self.customers[customer.client_id] = customer
        self._submit(app, customer)

    def _submit(self, app: Application, customer: Customer) -> None:
        submission = Submission(
            pair=ClientPair(customer.client_id, customer.secret),
            label=None,
            integration_type=customer.integration_type,
            scopes=None,
        )
        if self._try("submit", lambda: app.submit_credential(submission, submitted_by=ADMIN)):
            customer.accepted = {customer.secret}
            customer.connected = customer.is_custom

    def _one_of_them_acts(self, app: Application) -> None:
        customer = self.weather.choice(list(self.customers.values()))
        credential = self._row(customer)
        if credential is None or credential.status in {Status.DISCONNECTED, Status.REJECTED}:
            self._submit(app, customer)
            return
        if not customer.connected:
            self._consent(app, customer)
            return
        client_id = customer.client_id
        act = self.weather.choice(
            ["consent", "refresh", "validate", "swap", "disconnect", "delete tokens", "delete pair"]
        )
        match act:
            case "consent":
                if not customer.is_custom:
                    self._consent(app, customer)
            case "refresh":
                self._try(act, lambda: app.refresh_now(client_id, by=ADMIN))
            case "validate":
                self._try(act, lambda: app.revalidate_credential(client_id, by=ADMIN))
            case "swap":
                self._swap(app, customer)
            case "disconnect":
                self._disconnect(app, customer)
            case _:
                self._delete_by_hand(act, client_id)

    def _delete_by_hand(self, act: str, client_id: str) -> None:
        name = f"{SETTINGS.secret_prefix}/{client_id}/{'tokens' if act == 'delete tokens' else 'client'}"
        secret = self.secrets.secrets.get(name)
        if secret is None:
            return
        if not secret.deleted:
            self.secrets.delete_secret(SecretId=name, RecoveryWindowInDays=30)
        self.figures.outcomes[act] += 1

    def _swap(self, app: Application, customer: Customer) -> None:
        secret = self.xero.server.add_secret(customer.client_id)
        customer.accepted.add(secret)
        if self._try("swap", lambda: app.replace_client_secret(customer.client_id, secret, by=ADMIN)):
            customer.secret, customer.accepted = secret, {secret}

    def _disconnect(self, app: Application, customer: Customer) -> None:
        customer.connected = False
        self._try("disconnect", lambda: app.disconnect_credential(customer.client_id, by=ADMIN))

    def _consent(self, app: Application, customer: Customer) -> None:
        started = self._try(
            "link",
            lambda: app.start_consent(
                app.create_connect_link(customer.client_id, by=ADMIN).connect_url.rsplit("/", 1)[1], binding=None
            ),
        )
        if started is None:
            return
        email = self.weather.choice(["one@example.com", "two@example.com", "three@example.com"])
        self._user = User(email).user_id
        query = self.xero.consent(started.authorization_url, email=email)
        callback = Callback(
            state=query["state"],
            code=query["code"],
            error=None,
            error_description=None,
            bindings=lambda _: started.browser,
        )
        self._state = digest(query["state"])
        for _ in range(_RELOADS):
            self.clock.advance(30)
            connected = self._try("callback", lambda: app.complete_consent(callback))
            if connected is not None:
                self.figures.consents += 1
                customer.connected = True
                return
        self.figures.outcomes["consent given up"] += 1

    # What the gate and the stores tell

    def asked_for_a_pause(self) -> None:
        """Xero answers 429 to a customer."""
        self.customers[self.xero.client_id].paused_until = self.clock.now + _PAUSE

    def rotated(self, client_id: str) -> None:
        """Xero gave tokens; whether they reach us is not said yet."""
        customer = self.customers.get(client_id)
        if customer is not None:
            customer.unseen_since = customer.unseen_since or self.clock.now

    def delivered(self, client_id: str, grant_type: str) -> None:
        """An answer with tokens reaches a living process."""
        self.weather.answered(client_id)
        customer = self.customers[client_id]
        self._delivered.setdefault(client_id, self.clock.now)
        self.figures.refreshes += grant_type == "refresh_token"
        customer.unseen_since = None
        credential = self._row(customer)
        if grant_type == "authorization_code" and credential is not None:
            customer.answered[self._state] = (credential.incarnation, self._user)

    def _kept(self, client_id: str) -> None:
        customer = self.customers.get(client_id)
        if customer is not None and client_id in self._delivered:
            waited = (self.clock.now - self._delivered.pop(client_id)).total_seconds()
            self.figures.widest_window_seconds = max(self.figures.widest_window_seconds, waited)

    def _on_version(self, name: str, _: Version | None, version: Version) -> None:
        self._kept_ids.add(version.version_id)
        if name.endswith("/tokens"):
            self._kept(name.split("/")[-2])

    def _on_row(self, item: dict[str, Any]) -> None:
        self.status_changes(item)
        for grant in item.get("earlier_grants", {}).get("L", ()):
            if grant["M"]["sealed"]["S"]:
                # Kept by a holder that was overtaken, or of a consent that was refused: a disconnect ends it.
                self._kept_ids.add(grant["M"].get("consent", {}).get("S", ""))
        if item["sk"]["S"] == "CREDENTIAL" and "parked" in item:
            self._kept_ids.add(item["parked"]["M"].get("consent", {}).get("S", ""))
            client_id = item["pk"]["S"].removeprefix("CREDENTIAL#")
            self.figures.parked += client_id in self._delivered
            self._kept(client_id)

    # What a judge looks at

    def _row(self, customer: Customer) -> Credential | None:
        registry = DynamoDBRegistry(cast("Any", self.dynamodb), SETTINGS.table_name, SETTINGS.due_shards)
        return registry.get(customer.client_id)

    def _look_at_readers(self) -> None:
        """Count the tokens that have run out although nothing stands in the way of fresh ones."""
        now = self.clock.now
        if self.weather.was_away(now - _AFTERMATH, now) or self.weather.lives(now - _AFTERMATH) is not None:
            return
        for customer in self.customers.values():
            item = self.dynamodb.items.get((f"CREDENTIAL#{customer.client_id}", "CREDENTIAL"))
            if item is None or item["status"]["S"] not in _LIVES_ON or "access_token_expires_at" not in item:
                continue
            error = item.get("last_error", {}).get("M", {}).get("code", {}).get("S")
            if error == VERSION_ALLOWANCE or customer.unseen_since is not None:
                continue
            if now < customer.paused_until + _AFTERMATH:
                continue
            expires_at = datetime.fromisoformat(item["access_token_expires_at"]["S"])
            if expires_at - datetime.fromisoformat(item["last_refreshed_at"]["S"]) < _LONG_ENOUGH:
                # From a time of short lives that has ended: another failure can stand where the row said so.
                continue
            if expires_at <= now:
                self.figures.fail("healthy_tokens_expired", f"{customer.client_id} at {now}: {error}")

    def _judge(self, app: Application) -> None:
        for customer in self.customers.values():
            try:
                credential = self._row(customer)
            except ConnectorError as error:
                self.figures.fail("poisoned_rows", f"{customer.client_id}: {error.code}")
                continue
            if credential is None:
                if customer.accepted:
                    self.figures.fail("secrets_lost", f"{customer.client_id}: no credential")
                continue
            self._judge_versions(customer)
            self._judge_pair(customer, credential)
            self._judge_grant(app, customer, credential)
        found = trail.look_at(self.dynamodb, self.events, self.status_changes)
        self.figures.broken, self.figures.events_published = found.broken, found.events_published

    def _judge_versions(self, customer: Customer) -> None:
        secret = self.secrets.secrets.get(f"{SETTINGS.secret_prefix}/{customer.client_id}/tokens")
        for version in secret.versions.values() if secret else ():
            try:
                TokensSecret.from_json(version.content)
            except Exception as error:  # noqa: BLE001 - whatever a reader would meet
                self.figures.fail("poisoned_rows", f"{customer.client_id}: {error!r}")

    def _judge_pair(self, customer: Customer, credential: Credential) -> None:
        if credential.status in {Status.DISCONNECTED, Status.REJECTED}:
            return
        secret = self.secrets.secrets.get(f"{SETTINGS.secret_prefix}/{customer.client_id}/client")
        version = secret.versions.get(credential.client_version_id) if secret and not secret.deleted else None
        if version is None or not any(one in version.content for one in (*customer.accepted, customer.secret)):
            self.figures.fail("secrets_lost", f"{customer.client_id}: {credential.status}")

    def _judge_grant(self, app: Application, customer: Customer, credential: Credential) -> None:
        figures, client_id = self.figures, customer.client_id
        if credential.status in {Status.DISCONNECTING, Status.PENDING_VALIDATION}:
            figures.fail("stuck", f"{client_id}: {credential.status}, {credential.last_error}")
        elif credential.status is Status.DISCONNECTED:
            if credential.last_error is None and self._alive_at_xero(customer):
                figures.fail("grants_left_behind", client_id)
        elif customer.connected:
            self._judge_connected(app, customer, credential)
        for state, (incarnation, _) in customer.answered.items():
            if not {state, consent_version_id(incarnation, state)} & self._kept_ids:
                figures.fail("consents_lost", f"{client_id}: {credential.status}, {credential.last_error}")

    def _judge_connected(self, app: Application, customer: Customer, credential: Credential) -> None:
        alive = credential.status in _LIVES_ON
        if alive:
            for _ in range(3):
                # In good weather: a first refusal only raises suspicion.
                refreshed = self._try("judge", lambda: app.refresh_now(customer.client_id, by=ADMIN))
                alive = refreshed is not None or self._quota(customer)
                if alive:
                    break
                self.clock.advance(120)
        if alive:
            return
        since = customer.unseen_since
        if since is not None and self.weather.was_away(since, since + GRACE):
            self.figures.grants_lost_in_windows += 1
            return
        self.figures.fail(
            "grants_lost",
            f"{customer.client_id}: {credential.status} at {credential.updated_at}, {credential.last_error}",
        )

    def _quota(self, customer: Customer) -> bool:
        credential = self._row(customer)
        return (
            credential is not None
            and credential.status is Status.CONNECTED
            and credential.allowance.level_at(self.clock.now) < 1
        )

    def _alive_at_xero(self, customer: Customer) -> bool:
        # A user whose code was not exchanged has connections, too; no token of ours reaches them.
        connections = self.xero.server._state.connections  # noqa: SLF001 - a judge may look behind the counter
        credential = self._row(customer)
        users: set[str | None] = {
            user for life, user in customer.answered.values() if credential and life == credential.incarnation
        }
        return any(
            connections.of((customer.client_id, user), None) for user in ({None} if customer.is_custom else users)
        )


def run(run: MeanRun, progress: Progress, xero: InProcessXero | None = None) -> MeanFigures:
    """Simulate, and judge."""
    draw = Random(f"{run.seed}/secrets")  # noqa: S311
    with mock.patch.object(secrets, "token_hex", lambda size=32: draw.randbytes(size).hex()):
        return MeanWorld(run, xero)(progress)
