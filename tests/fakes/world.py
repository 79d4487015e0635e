"""The whole application over fakes, with a clock that moves only when told."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import count

from tests.fakes.stores import (
    InMemoryConsents,
    InMemoryEventBus,
    InMemoryFleet,
    InMemoryHistory,
    InMemoryRegistry,
    InMemoryRuns,
    InMemorySeal,
    InMemorySetupLinks,
    InMemoryVault,
)
from tests.fakes.xero import ScriptedXero
from xero_connector.application import Application, Ports
from xero_connector.domain.consent import BrowserBinding, new_token
from xero_connector.domain.credential import Credential, IntegrationType
from xero_connector.domain.status import Status
from xero_connector.domain.submission import Submission
from xero_connector.domain.tokens import ClientPair
from xero_connector.services.exchange_code import Connected
from xero_connector.settings import Settings
from xero_connector.use_cases.complete_consent import Callback

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
CLIENT_ID = "0123456789ABCDEF0123456789ABCDEF"
CLIENT_SECRET = "correct-horse-battery-staple"
ADMIN = "arn:aws:iam::123456789012:user/admin"

SETTINGS = Settings(
    table_name="registry",
    due_shards=4,
    token_writes_per_second=40,
    secret_prefix="oneenterprise/xero",
    kms_key_arn="arn:aws:kms:eu-west-1:123456789012:key/1",
    former_kms_key_arn=None,
    stack_name="xero-connector",
    event_bus_name="events",
    redirect_uri="https://cloudmanager.oneenterprise.com/oAuth2CallBack",
    xero_login_url="https://login.xero.test",
    xero_identity_url="https://identity.xero.test",
    xero_api_url="https://api.xero.test",
    scopes=("offline_access", "openid", "accounting.contacts"),
    pkce=True,
    connect_link_lifetime=timedelta(days=7),
    console_url=None,
)


class RecordingObserver:
    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.measures: list[tuple[str, float]] = []
        self.gauges: dict[str, int] = {}
        self.events: list[tuple[str, dict[str, str | int | None]]] = []

    def count(self, name: str, value: int = 1) -> None:
        self.counts[name] += value

    def measure(self, name: str, seconds: float) -> None:
        self.measures.append((name, seconds))

    def gauge(self, name: str, value: int) -> None:
        self.gauges[name] = value

    def event(self, message: str, **fields: str | int | None) -> None:
        self.events.append((message, fields))

    warning = event

    def flush(self) -> None: ...


class World:
    """One deployment in memory, with the steps that most tests begin with."""

    def __init__(self) -> None:
        self.now = NOON
        self.time_left = timedelta(seconds=25)
        """What an invocation begins with."""
        self._paused = timedelta()
        self.registry = InMemoryRegistry()
        self.consents = InMemoryConsents()
        self.setup_links = InMemorySetupLinks(self.registry)
        self.history = InMemoryHistory(self.registry)
        self.event_bus = InMemoryEventBus()
        self.vault = InMemoryVault()
        self.seal = InMemorySeal()
        self.xero = ScriptedXero(self.clock)
        self.observer = RecordingObserver()
        holders = count(1)
        self.ports = Ports(
            registry=self.registry,
            consents=self.consents,
            setup_links=self.setup_links,
            history=self.history,
            fleet=InMemoryFleet(self.registry),
            runs=InMemoryRuns(),
            event_bus=self.event_bus,
            vault=self.vault,
            token_endpoint=self.xero,
            id_tokens=self.xero,
            authorize=self.xero,
            connections=self.xero,
            observer=self.observer,
            seal=self.seal,
            clock=self.clock,
            deadline=self.deadline,
            pause=self.pause,
            lease_holder=lambda: f"holder-{next(holders)}",
        )
        self.app = Application(self.ports, SETTINGS)

    def clock(self) -> datetime:
        return self.now

    def advance(self, seconds: float) -> None:
        """Let time pass between invocations."""
        self.now += timedelta(seconds=seconds)
        self._paused = timedelta()

    def pause(self, seconds: float) -> None:
        """Let time pass within an invocation."""
        self.now += timedelta(seconds=seconds)
        self._paused += timedelta(seconds=seconds)

    def deadline(self) -> datetime:
        return self.now + self.time_left - self._paused

    def credential(self, client_id: str = CLIENT_ID) -> Credential:
        credential = self.registry.get(client_id)
        assert credential is not None
        return credential

    def submit(
        self,
        client_id: str = CLIENT_ID,
        *,
        secret: str = CLIENT_SECRET,
        known_to_xero: bool = True,
        integration_type: IntegrationType = IntegrationType.WEB_APP,
        scopes: tuple[str, ...] | None = None,
    ) -> Credential:
        if known_to_xero:
            self.xero.secrets[client_id] = secret
        submission = Submission(
            pair=ClientPair(client_id, secret),
            label="Electro Land",
            integration_type=integration_type,
            scopes=scopes,
        )
        return self.app.submit_credential(submission, submitted_by=ADMIN).credential

    def open_link(self, client_id: str = CLIENT_ID) -> tuple[BrowserBinding, str]:
        """Make a connect link and open it; returns the browser's cookie and the state."""
        link = self.app.create_connect_link(client_id, by=ADMIN)
        started = self.app.start_consent(link.connect_url.rsplit("/", 1)[1], binding=None)
        return started.browser, started.authorization_url.rsplit("state=", 1)[1]

    def call_back(
        self,
        browser: BrowserBinding | None,
        state: str | None,
        *,
        code: str | None = None,
        error: str | None = None,
        error_description: str | None = None,
    ) -> Connected:
        self._paused = timedelta()
        return self.app.complete_consent(
            Callback(
                state=state,
                code=code,
                error=error,
                error_description=error_description,
                bindings=lambda _: browser,
            )
        )

    def consent(self, client_id: str = CLIENT_ID) -> Credential:
        browser, state = self.open_link(client_id)
        code = new_token()
        self.xero.codes.add(code)
        self.call_back(browser, state, code=code)
        return self.credential(client_id)

    def connect(self, client_id: str = CLIENT_ID) -> Credential:
        self.submit(client_id)
        return self.consent(client_id)

    def sweep(self) -> Counter[str]:
        self._paused = timedelta()
        of_a_request, self.time_left = self.time_left, timedelta(seconds=90)
        try:
            return self.app.sweep_due_credentials(shards=["0", "1"], deadline=self.deadline())
        finally:
            self.time_left = of_a_request

    def reject(self, client_id: str = CLIENT_ID) -> Credential:
        """Let the schedule go on until a pending pair that Xero refuses is rejected."""
        while self.credential(client_id).status is Status.PENDING_VALIDATION:
            self.sweep_when_due(client_id)
        return self.credential(client_id)

    def sweep_when_due(self, client_id: str = CLIENT_ID) -> Counter[str]:
        due_at = self.credential(client_id).due_at
        assert due_at is not None
        self.now = max(self.now, due_at)
        return self.sweep()
