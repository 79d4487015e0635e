"""One deployment: the real application over strict doubles, a Xero in this process and a clock in the hand."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING, Any, cast

from tests.doubles.dynamodb import StrictDynamoDB
from tests.doubles.eventbridge import StrictEventBridge
from tests.doubles.secrets_manager import StrictSecretsManager
from tests.fakes.in_turn import work_in_turn
from tests.fakes.interruptions import ProcessDied
from tests.fakes.stores import InMemorySeal
from tests.fakes.world import NOON, SETTINGS, RecordingObserver
from tests.prove import trail
from tests.prove.trail import StatusChanges, Trail
from tests.prove.xero import InProcessXero
from xero_connector.adapters.dynamodb_registry import DynamoDBRegistry
from xero_connector.adapters.secret_keys import VaultKeys
from xero_connector.adapters.secret_memory import SecretMemory
from xero_connector.adapters.secrets_manager_vault import SecretsManagerVault
from xero_connector.application import Application
from xero_connector.bootstrap import AwsClients, Surroundings, ports
from xero_connector.domain.credential import Credential, IntegrationType
from xero_connector.domain.submission import Submission
from xero_connector.domain.tokens import ClientPair, TokensSecret
from xero_connector.use_cases.complete_consent import Callback

ADMIN = "arn:aws:iam::123456789012:user/admin"
TICK = timedelta(minutes=1)

if TYPE_CHECKING:
    from mypy_boto3_kms.client import KMSClient


class HandClock:
    """The true time; it moves only when told."""

    def __init__(self, now: datetime = NOON) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    def next_tick(self, not_before: datetime | None = None) -> None:
        """Move to the next full minute, or to the first one that is not before a moment."""
        earliest = max(self.now + timedelta(microseconds=1), not_before or self.now)
        over = (earliest - NOON) % TICK
        self.now = earliest if not over else earliest + TICK - over


@dataclass(frozen=True, slots=True, order=True)
class CrashPoint:
    """Before or after the effect of the `call`-th outside call of a process."""

    call: int
    after: bool


@dataclass(slots=True)
class Life:
    """One process: counts its outside calls, takes time for each, and dies at the crash point."""

    clock: HandClock
    crash: CrashPoint | None = None
    calls: list[str] = field(default_factory=list)
    dead: bool = False

    def __call__[Answer](self, name: str, effect: Callable[[], Answer]) -> Answer:
        if self.dead:
            # A dead process runs no `finally` and no other thread either.
            raise ProcessDied
        call = len(self.calls)
        self.calls.append(name)
        self._die_at(CrashPoint(call, after=False))
        self.clock.advance(0.2 if name.startswith("xero") else 0.02)
        try:
            return effect()
        finally:
            self._die_at(CrashPoint(call, after=True))

    @property
    def crash_points(self) -> list[CrashPoint]:
        return [CrashPoint(call, after) for call in range(len(self.calls)) for after in (False, True)]

    def _die_at(self, point: CrashPoint) -> None:
        if self.crash == point:
            self.dead = True
            raise ProcessDied


def no_kms() -> "KMSClient":
    """Stand for the client of a service that is not part of an experiment."""
    raise AssertionError


class GatedClient:
    """A boto3 client whose every call goes through a gate."""

    def __init__(self, service: str, client: object, gate: Callable[[str, Callable[[], Any]], Any]) -> None:
        self._service = service
        self._client = client
        self._gate = gate

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        method: Callable[..., Any] = getattr(self._client, operation)
        return lambda **arguments: self._gate(f"{self._service}.{operation}", lambda: method(**arguments))


class World:
    """What outlives a process: AWS, Xero and the time."""

    def __init__(
        self,
        xero: InProcessXero,
        *,
        first_successor_survives: bool = True,
        integration_type: IntegrationType = IntegrationType.WEB_APP,
    ) -> None:
        self.clock = HandClock()
        self.xero = xero
        self.integration_type = integration_type
        xero.restart(self.clock, first_successor_survives=first_successor_survives)
        self.dynamodb = StrictDynamoDB(self.clock, table_name=SETTINGS.table_name, index_lag=timedelta(seconds=1))
        self.secrets = StrictSecretsManager(self.clock)
        self.events = StrictEventBridge(SETTINGS.event_bus_name)
        self.status_changes = StatusChanges()
        self.dynamodb.on_put = self.status_changes
        self.registry = DynamoDBRegistry(cast("Any", self.dynamodb), SETTINGS.table_name, SETTINGS.due_shards)
        self.vault = SecretsManagerVault(
            cast("Any", self.secrets),
            SETTINGS.secret_prefix,
            VaultKeys(SETTINGS.kms_key_arn, None),
            SETTINGS.stack_name,
            self.clock.advance,
        )
        self._holders = count(1)
        self.client_id, secret = xero.register(integration_type)
        assert secret is not None
        self.client_secret = secret

    def process(self, life: Life) -> Application:
        """Start a process: nothing that it knew survives it."""
        return self.application(life)

    def application(
        self,
        gate: Callable[[str, Callable[[], Any]], Any],
        *,
        clock: Callable[[], datetime] | None = None,
        pause: Callable[[float], None] | None = None,
    ) -> Application:
        clock = clock or self.clock
        dynamodb = cast("Any", GatedClient("dynamodb", self.dynamodb, gate))
        secrets = cast("Any", GatedClient("secretsmanager", self.secrets, gate))
        events = cast("Any", GatedClient("events", self.events, gate))
        aws = AwsClients(dynamodb=dynamodb, secrets_manager=secrets, kms=no_kms, events=lambda: events)
        around = Surroundings(
            clock=clock,
            deadline=lambda: clock() + timedelta(seconds=25),
            pause=pause or self.clock.advance,
            lease_holder=lambda: f"holder-{next(self._holders)}",
            observer=RecordingObserver(),
        )
        # A real seal would be one more outside call of few runs, and KMS has a suite of its own.
        adapters = replace(ports(SETTINGS, aws, around, self.xero.transport(gate)), seal=InMemorySeal())
        return Application(adapters, SETTINGS)

    # What people and the schedule do

    def submission(self) -> Submission:
        return Submission(
            pair=ClientPair(self.client_id, self.client_secret),
            label="Electro Land",
            integration_type=self.integration_type,
            scopes=None,
        )

    def start_consent(self, app: Application) -> Callback:
        """Make a link, open it, allow everything at Xero: what the browser then brings back."""
        link = app.create_connect_link(self.client_id, by=ADMIN)
        started = app.start_consent(link.connect_url.rsplit("/", 1)[1], binding=None)
        query = self.xero.consent(started.authorization_url)
        return Callback(
            state=query["state"],
            code=query["code"],
            error=None,
            error_description=None,
            bindings=lambda _: started.browser,
        )

    def connect(self, app: Application) -> None:
        app.submit_credential(self.submission(), submitted_by=ADMIN)
        if self.integration_type is IntegrationType.WEB_APP:
            app.complete_consent(self.start_consent(app))

    def sweep(self, app: Application, *, at: datetime | None = None) -> None:
        # The stores here are no objects for several threads, and a death is to come at the same call each time.
        with work_in_turn():
            app.sweep_due_credentials(
                shards=[str(shard) for shard in range(SETTINGS.due_shards)],
                deadline=(at or self.clock()) + timedelta(seconds=90),
            )

    # What a judge may look at

    @property
    def credential(self) -> Credential:
        credential = self.registry.get(self.client_id)
        assert credential is not None
        return credential

    def stored_tokens(self) -> list[TokensSecret]:
        """Every version of the tokens, oldest first, whether or not readers see it yet."""
        secret = self.secrets.secrets.get(self.vault.tokens_secret_name(self.client_id))
        return [TokensSecret.from_json(version.content) for version in secret.versions.values()] if secret else []

    def current_tokens(self) -> TokensSecret | None:
        """What a consumer reads."""
        secret = self.secrets.secrets.get(self.vault.tokens_secret_name(self.client_id))
        if secret is None or secret.current is None or secret.deleted:
            return None
        return TokensSecret.from_json(secret.current.content)

    def registry_tokens(self) -> TokensSecret | None:
        """What the registry vouches for."""
        version_id = self.credential.tokens_version_id(self.credential.generation)
        secret = self.secrets.secrets.get(self.vault.tokens_secret_name(self.client_id))
        version = secret.versions.get(version_id) if secret else None
        return TokensSecret.from_json(version.content) if version else None

    def registry_pair(self) -> ClientPair | None:
        """The client secret that the registry says is in force."""
        self.clock.advance(3600)
        vault = replace(self.vault, memory=SecretMemory())
        return vault.get_client_pair(self.client_id, version_id=self.credential.client_version_id)

    def still_refreshes(self) -> bool:
        """Whether Xero goes on giving tokens for what the registry vouches for; uses up a refresh token."""
        tokens = self.registry_tokens()
        if tokens is None:
            return False
        form = {"client_id": self.client_id, "client_secret": self.client_secret}
        if self.integration_type is IntegrationType.CUSTOM_CONNECTION:
            if tokens.token_expires_at <= self.clock():
                return False
            form |= {"grant_type": "client_credentials"}
        elif tokens.token.refresh_token is None:
            return False
        else:
            form |= {"grant_type": "refresh_token", "refresh_token": tokens.token.refresh_token}
        try:
            self.xero.server.token(form)
        except Exception:  # noqa: BLE001 - whatever Xero's reason
            return False
        return True

    def ended_at_xero(self) -> bool:
        """Whether what the grant gave access to can no longer be used."""
        if self.integration_type is IntegrationType.CUSTOM_CONNECTION:
            return self.xero.connections_of(self.client_id, self.client_secret) == 0
        return self.xero.revocations() > 0

    def look_at_trail(self) -> Trail:
        """Compare the audit trail with the rows and with the event bus."""
        return trail.look_at(self.dynamodb, self.events, self.status_changes)
