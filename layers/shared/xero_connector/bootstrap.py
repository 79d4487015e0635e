"""Chooses the concrete classes for each function: the only place that knows them."""

import os
import secrets
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, cached_property, partial
from threading import Lock
from typing import TYPE_CHECKING, Self, cast

from aws_lambda_powertools import Logger, Metrics
from botocore.session import get_session

from xero_connector.adapters.at_first_use import at_first_use
from xero_connector.adapters.aws_connections import share_tls_context
from xero_connector.adapters.aws_errors import CLIENT_CONFIG, EVENTS_CONFIG, UNCHECKED
from xero_connector.adapters.aws_refusals import count_refusals
from xero_connector.adapters.dynamodb_consents import DynamoDBConsents
from xero_connector.adapters.dynamodb_fleet import DynamoDBFleet
from xero_connector.adapters.dynamodb_history import DynamoDBHistory
from xero_connector.adapters.dynamodb_registry import DynamoDBRegistry
from xero_connector.adapters.dynamodb_runs import DynamoDBRuns
from xero_connector.adapters.dynamodb_setup_links import DynamoDBSetupLinks
from xero_connector.adapters.eventbridge_event_bus import EventBridgeEventBus
from xero_connector.adapters.secret_keys import VaultKeys
from xero_connector.adapters.secrets_manager_vault import SecretsManagerVault
from xero_connector.application import Application, Ports
from xero_connector.domain.ports import Clock, Deadline, LeaseHolder, Observer, Pause
from xero_connector.invocation import Invocation
from xero_connector.observability import PowertoolsObserver
from xero_connector.services.pace import Pace
from xero_connector.settings import Settings

# What speaks to Xero, and what seals, is imported where it is made: many cold starts need none of it, and it takes
# about as long as all the rest.
if TYPE_CHECKING:
    from collections.abc import Callable

    from botocore.client import BaseClient
    from botocore.config import Config
    from mypy_boto3_dynamodb.client import DynamoDBClient
    from mypy_boto3_events.client import EventBridgeClient
    from mypy_boto3_kms.client import KMSClient
    from mypy_boto3_secretsmanager.client import SecretsManagerClient

    from xero_connector.adapters.budget import Transport
    from xero_connector.domain.ports import AuthorizeEndpoint, IdTokens, Seal, TokenEndpoint, XeroConnections


def utc_now() -> datetime:
    """Return the present moment."""
    return datetime.now(tz=UTC)


invocation = Invocation(utc_now)
"""The invocation that runs in this execution environment."""


@cache
def observer() -> PowertoolsObserver:
    """The logs and metrics of this function."""
    return PowertoolsObserver(Logger(), Metrics())


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class AwsClients:
    """The clients of one process."""

    dynamodb: "DynamoDBClient"
    secrets_manager: "SecretsManagerClient"
    kms: "Callable[[], KMSClient]"
    events: "Callable[[], EventBridgeClient]"

    @classmethod
    def of_this_account(cls, observer: Observer) -> Self:
        """Return real ones, with the credentials and the region of the environment; `observer` counts refusals.

        Each is made when it is first needed: that takes milliseconds, and few invocations need all of them. They
        are those of boto3, made by the session below it: boto3's own imports what moves files to and from S3.
        """
        session, making = get_session(), Lock()

        def client(service: str, config: "Config") -> "BaseClient":
            # A session is not made for several threads.
            with making:
                made = session.create_client(service, config=config.merge(UNCHECKED))
            share_tls_context(made)
            count_refusals(made, observer)
            return made

        return cls(
            dynamodb=at_first_use(lambda: cast("DynamoDBClient", client("dynamodb", CLIENT_CONFIG))),
            secrets_manager=at_first_use(
                lambda: cast("SecretsManagerClient", client("secretsmanager", CLIENT_CONFIG))
            ),
            kms=lambda: cast("KMSClient", client("kms", CLIENT_CONFIG)),
            events=lambda: cast("EventBridgeClient", client("events", EVENTS_CONFIG)),
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Surroundings:
    """Time, and whose process this is."""

    clock: Clock
    deadline: Deadline
    pause: Pause
    lease_holder: LeaseHolder
    observer: Observer


class _Xero:
    """Makes the adapters that speak to Xero; each is imported when it is made."""

    def __init__(self, settings: Settings, around: Surroundings, transport: "Transport | None") -> None:
        self._settings = settings
        self._around = around
        self._given = transport

    def token_endpoint(self) -> "TokenEndpoint":
        from xero_connector.adapters.authlib_token_endpoint import AuthlibTokenEndpoint

        return AuthlibTokenEndpoint(
            identity_url=self._settings.xero_identity_url,
            redirect_uri=self._settings.redirect_uri,
            pkce=self._settings.pkce,
            clock=self._around.clock,
            transport=self._timed("token"),
        )

    def id_tokens(self) -> "IdTokens":
        from xero_connector.adapters.joserfc_id_tokens import JoserfcIdTokens

        return JoserfcIdTokens(self._settings.xero_identity_url, self._around.clock, transport=self._timed("keys"))

    def authorize(self) -> "AuthorizeEndpoint":
        from xero_connector.adapters.authlib_authorize_endpoint import AuthlibAuthorizeEndpoint

        return AuthlibAuthorizeEndpoint(
            login_url=self._settings.xero_login_url,
            redirect_uri=self._settings.redirect_uri,
            pkce=self._settings.pkce,
            transport=self._timed("authorize"),
        )

    def connections(self) -> "XeroConnections":
        from xero_connector.adapters.requests_xero_connections import RequestsXeroConnections

        return RequestsXeroConnections(api_url=self._settings.xero_api_url, transport=self._timed("connections"))

    def _timed(self, call: str) -> "Transport":
        from xero_connector.adapters.timed_transport import timed

        return timed(self._transport, self._around.observer, call)

    @cached_property
    def _transport(self) -> "Transport":
        from xero_connector.adapters.bounded_connections import Connections
        from xero_connector.adapters.bounded_http import BoundedAdapter

        # Connections to Xero live as long as the execution environment, if they are used again within seconds.
        return self._given or partial(BoundedAdapter, connections=Connections())


def ports(
    settings: Settings, aws: AwsClients, around: Surroundings, transport: "Transport | None" = None
) -> Ports:
    """Put the adapters together; `transport` sends what goes to Xero: by default over connections of its own."""

    def unreadable(client_id: str) -> None:
        around.observer.count("RowUnreadable")
        around.observer.warning("row_unreadable", client_id=client_id)

    def seal() -> "Seal":
        from xero_connector.adapters.kms_seal import KmsSeal

        return KmsSeal(aws.kms, keys, around.clock)

    registry = DynamoDBRegistry(aws.dynamodb, settings.table_name, settings.due_shards, unreadable)
    keys = VaultKeys(settings.kms_key_arn, settings.former_kms_key_arn)
    xero = _Xero(settings, around, transport)
    return Ports(
        registry=registry,
        fleet=DynamoDBFleet(aws.dynamodb, settings.table_name, registry),
        consents=DynamoDBConsents(aws.dynamodb, settings.table_name),
        setup_links=DynamoDBSetupLinks(aws.dynamodb, settings.table_name, unreadable),
        history=DynamoDBHistory(aws.dynamodb, settings.table_name, unreadable),
        runs=DynamoDBRuns(aws.dynamodb, settings.table_name),
        vault=SecretsManagerVault(
            aws.secrets_manager, settings.secret_prefix, keys, settings.stack_name, around.pause
        ),
        event_bus=EventBridgeEventBus(aws.events, settings.event_bus_name),
        token_endpoint=at_first_use(xero.token_endpoint),
        id_tokens=at_first_use(xero.id_tokens),
        authorize=at_first_use(xero.authorize),
        connections=at_first_use(xero.connections),
        observer=around.observer,
        seal=at_first_use(seal),
        clock=around.clock,
        deadline=around.deadline,
        pause=around.pause,
        lease_holder=around.lease_holder,
    )


@cache
def application() -> Application:
    """Put the function together once per execution environment, at the first invocation."""
    settings = Settings.from_env(os.environ)
    around = Surroundings(
        clock=utc_now,
        deadline=invocation.ends_at,
        pause=time.sleep,
        lease_holder=lambda: secrets.token_hex(8),
        observer=observer(),
    )
    pace = Pace(settings.token_writes_per_second, clock=utc_now, pause=time.sleep)
    clients = AwsClients.of_this_account(observer())
    return Application(ports(settings, clients, around), settings, pace=pace)
