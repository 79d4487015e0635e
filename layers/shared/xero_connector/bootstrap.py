"""Chooses the concrete classes for each function: the only place that knows them."""

import os
import secrets
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, partial
from typing import TYPE_CHECKING, Self

import boto3
from aws_lambda_powertools import Logger, Metrics

from xero_connector.adapters.authlib_authorize_endpoint import AuthlibAuthorizeEndpoint
from xero_connector.adapters.authlib_token_endpoint import AuthlibTokenEndpoint
from xero_connector.adapters.aws_errors import CLIENT_CONFIG, EVENTS_CONFIG
from xero_connector.adapters.aws_refusals import count_refusals
from xero_connector.adapters.bounded_connections import Connections
from xero_connector.adapters.bounded_http import BoundedAdapter
from xero_connector.adapters.budget import Transport
from xero_connector.adapters.dynamodb_consents import DynamoDBConsents
from xero_connector.adapters.dynamodb_fleet import DynamoDBFleet
from xero_connector.adapters.dynamodb_history import DynamoDBHistory
from xero_connector.adapters.dynamodb_registry import DynamoDBRegistry
from xero_connector.adapters.dynamodb_runs import DynamoDBRuns
from xero_connector.adapters.dynamodb_setup_links import DynamoDBSetupLinks
from xero_connector.adapters.eventbridge_event_bus import EventBridgeEventBus
from xero_connector.adapters.joserfc_id_tokens import JoserfcIdTokens
from xero_connector.adapters.kms_seal import KmsSeal
from xero_connector.adapters.requests_xero_connections import RequestsXeroConnections
from xero_connector.adapters.secret_keys import VaultKeys
from xero_connector.adapters.secrets_manager_vault import SecretsManagerVault
from xero_connector.adapters.timed_transport import timed
from xero_connector.application import Application, Ports
from xero_connector.domain.ports import Clock, Deadline, LeaseHolder, Observer, Pause
from xero_connector.invocation import Invocation
from xero_connector.observability import PowertoolsObserver
from xero_connector.services.pace import Pace
from xero_connector.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from botocore.client import BaseClient
    from mypy_boto3_dynamodb.client import DynamoDBClient
    from mypy_boto3_events.client import EventBridgeClient
    from mypy_boto3_kms.client import KMSClient
    from mypy_boto3_secretsmanager.client import SecretsManagerClient


def utc_now() -> datetime:
    """Return the present moment."""
    return datetime.now(tz=UTC)


invocation = Invocation(utc_now)
"""The invocation that runs in this execution environment."""


@cache
def observer() -> PowertoolsObserver:
    """The logs and metrics of this function."""
    return PowertoolsObserver(Logger(), Metrics())


@dataclass(frozen=True, slots=True, kw_only=True)
class AwsClients:
    """The clients of one process; those that few invocations need are made when they are first needed."""

    dynamodb: "DynamoDBClient"
    secrets_manager: "SecretsManagerClient"
    kms: "Callable[[], KMSClient]"
    events: "Callable[[], EventBridgeClient]"

    @classmethod
    def of_this_account(cls, observer: Observer) -> Self:
        """Return real ones, with the credentials and the region of the environment; `observer` counts refusals."""

        def watched[Client: "BaseClient"](client: Client) -> Client:
            count_refusals(client, observer)
            return client

        return cls(
            dynamodb=watched(boto3.client("dynamodb", config=CLIENT_CONFIG)),
            secrets_manager=watched(boto3.client("secretsmanager", config=CLIENT_CONFIG)),
            kms=lambda: watched(boto3.client("kms", config=CLIENT_CONFIG)),
            events=lambda: watched(boto3.client("events", config=EVENTS_CONFIG)),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """Time, and whose process this is."""

    clock: Clock
    deadline: Deadline
    pause: Pause
    lease_holder: LeaseHolder
    observer: Observer


def ports(
    settings: Settings, aws: AwsClients, around: Surroundings, transport: Transport = BoundedAdapter
) -> Ports:
    """Put the adapters together; `transport` sends what goes to Xero."""

    def unreadable(client_id: str) -> None:
        around.observer.count("RowUnreadable")
        around.observer.warning("row_unreadable", client_id=client_id)

    registry = DynamoDBRegistry(aws.dynamodb, settings.table_name, settings.due_shards, unreadable)
    keys = VaultKeys(settings.kms_key_arn, settings.former_kms_key_arn)
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
        token_endpoint=AuthlibTokenEndpoint(
            identity_url=settings.xero_identity_url,
            redirect_uri=settings.redirect_uri,
            pkce=settings.pkce,
            clock=around.clock,
            transport=timed(transport, around.observer, "token"),
        ),
        id_tokens=JoserfcIdTokens(
            settings.xero_identity_url, around.clock, transport=timed(transport, around.observer, "keys")
        ),
        authorize=AuthlibAuthorizeEndpoint(
            login_url=settings.xero_login_url,
            redirect_uri=settings.redirect_uri,
            pkce=settings.pkce,
            transport=timed(transport, around.observer, "authorize"),
        ),
        connections=RequestsXeroConnections(
            api_url=settings.xero_api_url, transport=timed(transport, around.observer, "connections")
        ),
        observer=around.observer,
        seal=KmsSeal(aws.kms, keys, around.clock),
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
    # Connections to Xero live as long as the execution environment, if they are used again within seconds.
    transport = partial(BoundedAdapter, connections=Connections())
    clients = AwsClients.of_this_account(observer())
    return Application(ports(settings, clients, around, transport), settings, pace=pace)
