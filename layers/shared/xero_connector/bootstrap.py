"""Puts each function together: the only place that knows concrete classes."""

import os
import secrets
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache

import boto3
from aws_lambda_powertools import Logger, Metrics

from xero_connector.adapters.authlib_xero_identity import AuthlibXeroIdentity
from xero_connector.adapters.aws_errors import CLIENT_CONFIG, EVENTS_CONFIG
from xero_connector.adapters.dynamodb_history import DynamoDBHistory
from xero_connector.adapters.dynamodb_registry import DynamoDBConsents, DynamoDBRegistry
from xero_connector.adapters.eventbridge_event_bus import EventBridgeEventBus
from xero_connector.adapters.joserfc_id_tokens import IdTokenVerifier
from xero_connector.adapters.kms_seal import KmsSeal
from xero_connector.adapters.requests_authorize_probe import RequestsAuthorizeProbe
from xero_connector.adapters.requests_xero_connections import RequestsXeroConnections
from xero_connector.adapters.secrets_manager_vault import SecretsManagerVault
from xero_connector.domain.errors import ConnectorError
from xero_connector.domain.ports import (
    Clock,
    Consents,
    Deadline,
    EventBus,
    History,
    LeaseHolder,
    Observer,
    Pause,
    Registry,
    Seal,
    Vault,
    XeroAuthorize,
    XeroConnections,
    XeroIdentity,
)
from xero_connector.invocation import Invocation
from xero_connector.observability import PowertoolsObserver
from xero_connector.settings import Settings
from xero_connector.use_cases.change_credential import ChangeCredential
from xero_connector.use_cases.complete_consent import CompleteConsent
from xero_connector.use_cases.create_connect_link import CreateConnectLink
from xero_connector.use_cases.disconnect_credential import DisconnectCredential
from xero_connector.use_cases.end_grants import EndGrants
from xero_connector.use_cases.find_credential import FindCredential
from xero_connector.use_cases.hold_lease import HoldLease
from xero_connector.use_cases.insist import Insist
from xero_connector.use_cases.issue_connect_link import IssueConnectLink
from xero_connector.use_cases.keep_earlier_grant import KeepEarlierGrant
from xero_connector.use_cases.list_tenants import ListTenants
from xero_connector.use_cases.pace import Pace
from xero_connector.use_cases.prove_pair import ProvePair
from xero_connector.use_cases.publish_events import PublishEvents
from xero_connector.use_cases.publishing_registry import PublishingRegistry
from xero_connector.use_cases.read_history import ReadHistory
from xero_connector.use_cases.read_secrets import ReadSecrets
from xero_connector.use_cases.refresh_credential import RefreshCredential
from xero_connector.use_cases.refresh_now import RefreshNow
from xero_connector.use_cases.replace_client_secret import ReplaceClientSecret
from xero_connector.use_cases.revalidate_credential import RevalidateCredential
from xero_connector.use_cases.start_consent import StartConsent
from xero_connector.use_cases.store_tokens import StoreTokens
from xero_connector.use_cases.submit_credential import SubmitCredential
from xero_connector.use_cases.sweep_due_credentials import SweepDueCredentials
from xero_connector.use_cases.users_grants import UsersGrants
from xero_connector.use_cases.validate_pending import ValidatePending


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """The outside world as the use cases see it: real here, fake or broken on purpose in tests."""

    registry: Registry
    consents: Consents
    history: History
    vault: Vault
    event_bus: EventBus
    identity: XeroIdentity
    authorize: XeroAuthorize
    connections: XeroConnections
    observer: Observer
    seal: Seal
    clock: Clock
    deadline: Deadline
    pause: Pause
    lease_holder: LeaseHolder


class Application:
    """Every use case, put together over one set of ports."""

    def __init__(self, ports: Ports, settings: Settings, *, pace: Pace | None = None) -> None:
        vault, identity, clock, observer = ports.vault, ports.identity, ports.clock, ports.observer
        issue_connect_link = IssueConnectLink(
            ports.consents, clock, settings.public_url, settings.connect_link_lifetime
        )
        publish_events = PublishEvents(
            ports.history, ports.event_bus, issue_connect_link, clock, ports.deadline, observer
        )
        registry = PublishingRegistry(ports.registry, publish_events)
        hold_lease = HoldLease(registry, clock, ports.pause, ports.lease_holder)
        list_tenants = ListTenants(ports.connections, clock, observer)
        read_secrets = ReadSecrets(registry, vault, observer)
        keep_earlier_grant = KeepEarlierGrant(read_secrets, ports.seal, clock)
        store_tokens = StoreTokens(
            vault, ports.seal, keep_earlier_grant, list_tenants, clock, ports.deadline, ports.pause, observer
        )
        prove_pair = ProvePair(identity, ports.authorize, clock, ports.deadline, settings.redirect_uri)
        insist = Insist(clock, ports.deadline, ports.pause)
        self.settings = settings
        self.registry = registry
        self._observer = observer
        self.tokens_secret_name = vault.tokens_secret_name
        self.find_credential = FindCredential(registry)
        self.read_history = ReadHistory(ports.history, self.find_credential)
        change_credential = ChangeCredential(registry, self.find_credential)
        self.create_connect_link = CreateConnectLink(
            self.find_credential, change_credential, issue_connect_link, clock
        )
        self.refresh_credential = RefreshCredential(
            registry,
            vault,
            identity,
            read_secrets,
            ports.seal,
            list_tenants,
            hold_lease,
            store_tokens,
            clock,
            ports.deadline,
            observer,
        )
        self.submit_credential = SubmitCredential(
            registry,
            vault,
            prove_pair,
            issue_connect_link,
            self.refresh_credential,
            clock,
            ports.deadline,
            insist,
            ports.lease_holder,
            observer,
            default_scopes=settings.scopes,
        )
        self.revalidate_credential = RevalidateCredential(
            read_secrets, prove_pair, self.find_credential, change_credential, clock
        )
        self.replace_client_secret = ReplaceClientSecret(
            vault,
            prove_pair,
            hold_lease,
            self.find_credential,
            self.refresh_credential,
            clock,
            ports.deadline,
            insist,
            observer,
        )
        self.refresh_now = RefreshNow(self.refresh_credential, self.find_credential, clock)
        self.disconnect_credential = DisconnectCredential(
            registry,
            vault,
            EndGrants(UsersGrants(vault, ports.seal, clock), ports.seal, identity, ports.connections),
            hold_lease,
            self.find_credential,
            clock,
            ports.deadline,
            observer,
        )
        self.start_consent = StartConsent(registry, ports.consents, identity, clock, observer)
        self.complete_consent = CompleteConsent(
            registry,
            ports.consents,
            read_secrets,
            ports.seal,
            identity,
            list_tenants,
            hold_lease,
            store_tokens,
            change_credential,
            clock,
            ports.deadline,
            observer,
            settings.redirect_uri,
        )
        self.sweep_due_credentials = SweepDueCredentials(
            registry,
            self.refresh_credential,
            ValidatePending(registry, vault, read_secrets, prove_pair, hold_lease, clock, observer),
            self.revalidate_credential,
            self.disconnect_credential,
            publish_events,
            clock,
            observer,
            pace,
        )

    def report(self, error: ConnectorError) -> None:
        """Write down why a request was refused."""
        self._observer.event("request_refused", code=error.code, detail=error.detail)


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
