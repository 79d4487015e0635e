"""Chooses the concrete classes for each function: the only place that knows them."""

import os
import secrets
import time
from datetime import UTC, datetime
from functools import cache

import boto3
from aws_lambda_powertools import Logger, Metrics

from xero_connector.adapters.authlib_xero_identity import AuthlibXeroIdentity
from xero_connector.adapters.aws_errors import CLIENT_CONFIG, EVENTS_CONFIG
from xero_connector.adapters.dynamodb_consents import DynamoDBConsents
from xero_connector.adapters.dynamodb_history import DynamoDBHistory
from xero_connector.adapters.dynamodb_registry import DynamoDBRegistry
from xero_connector.adapters.eventbridge_event_bus import EventBridgeEventBus
from xero_connector.adapters.joserfc_id_tokens import IdTokenVerifier
from xero_connector.adapters.kms_seal import KmsSeal
from xero_connector.adapters.requests_authorize_probe import RequestsAuthorizeProbe
from xero_connector.adapters.requests_xero_connections import RequestsXeroConnections
from xero_connector.adapters.secrets_manager_vault import SecretsManagerVault
from xero_connector.application import Application, Ports
from xero_connector.invocation import Invocation
from xero_connector.observability import PowertoolsObserver
from xero_connector.services.pace import Pace
from xero_connector.settings import Settings


def utc_now() -> datetime:
    """Return the present moment."""
    return datetime.now(tz=UTC)


invocation = Invocation(utc_now)
"""The invocation that runs in this execution environment."""


@cache
def observer() -> PowertoolsObserver:
    """The logs and metrics of this function."""
    return PowertoolsObserver(Logger(), Metrics())


def _unreadable(client_id: str) -> None:
    observer().count("RowUnreadable")
    observer().event("row_unreadable", client_id=client_id)


@cache
def application() -> Application:
    """Put the function together once per execution environment, at the first invocation."""
    settings = Settings.from_env(os.environ)
    dynamodb = boto3.client("dynamodb", config=CLIENT_CONFIG)
    identity = AuthlibXeroIdentity(
        login_url=settings.xero_login_url,
        identity_url=settings.xero_identity_url,
        redirect_uri=settings.redirect_uri,
        pkce=settings.pkce,
        id_tokens=IdTokenVerifier(settings.xero_identity_url, utc_now),
        clock=utc_now,
    )
    ports = Ports(
        registry=DynamoDBRegistry(dynamodb, settings.table_name, settings.due_shards, _unreadable),
        consents=DynamoDBConsents(dynamodb, settings.table_name),
        history=DynamoDBHistory(dynamodb, settings.table_name, settings.due_shards, _unreadable),
        vault=SecretsManagerVault(
            boto3.client("secretsmanager", config=CLIENT_CONFIG),
            settings.secret_prefix,
            settings.kms_key_arn,
            time.sleep,
        ),
        event_bus=EventBridgeEventBus(
            lambda: boto3.client("events", config=EVENTS_CONFIG), settings.event_bus_name
        ),
        identity=identity,
        authorize=RequestsAuthorizeProbe(
            login_url=settings.xero_login_url,
            redirect_uri=settings.redirect_uri,
            authorization_url=identity.authorization_url,
        ),
        connections=RequestsXeroConnections(settings.xero_api_url),
        observer=observer(),
        seal=KmsSeal(lambda: boto3.client("kms", config=CLIENT_CONFIG), settings.kms_key_arn, utc_now),
        clock=utc_now,
        deadline=invocation.ends_at,
        pause=time.sleep,
        lease_holder=lambda: secrets.token_hex(8),
    )
    pace = Pace(settings.token_writes_per_second, clock=utc_now, pause=time.sleep)
    return Application(ports, settings, pace=pace)
