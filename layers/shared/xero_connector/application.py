"""Every use case put together over ports: the functions, the tests and `prove` are wired by the same lines."""

from dataclasses import dataclass

from xero_connector.domain.errors import ConnectorError
from xero_connector.domain.ports import (
    AuthorizeEndpoint,
    Clock,
    Consents,
    Deadline,
    EventBus,
    Fleet,
    History,
    IdTokens,
    LeaseHolder,
    Observer,
    Pause,
    Registry,
    Runs,
    Seal,
    SetupLinks,
    TokenEndpoint,
    Vault,
    XeroConnections,
)
from xero_connector.services.adopt_tokens import AdoptTokens
from xero_connector.services.ask_for_tokens import AskForTokens
from xero_connector.services.change_credential import ChangeCredential
from xero_connector.services.change_setup_link import ChangeSetupLink
from xero_connector.services.commit_tokens import CommitTokens
from xero_connector.services.count_fleet import CountFleet
from xero_connector.services.end_grants import EndGrants
from xero_connector.services.end_request import EndRequest
from xero_connector.services.exchange_code import ExchangeCode
from xero_connector.services.fail_consent import FailConsent
from xero_connector.services.fail_refresh import FailRefresh
from xero_connector.services.find_credential import FindCredential
from xero_connector.services.find_setup_link import FindSetupLink
from xero_connector.services.hold_lease import HoldLease
from xero_connector.services.insist import Insist
from xero_connector.services.issue_connect_link import IssueConnectLink
from xero_connector.services.issue_setup_link import IssueSetupLink
from xero_connector.services.keep_earlier_grant import KeepEarlierGrant
from xero_connector.services.list_tenants import ListTenants
from xero_connector.services.pace import Pace
from xero_connector.services.present_older_tokens import PresentOlderTokens
from xero_connector.services.prove_pair import ProvePair
from xero_connector.services.publish_events import PublishEvents
from xero_connector.services.publishing_registry import PublishingRegistry
from xero_connector.services.read_grant import ReadGrant
from xero_connector.services.read_secrets import ReadSecrets
from xero_connector.services.refresh_credential import RefreshCredential
from xero_connector.services.report_refresh import ReportRefresh
from xero_connector.services.report_sweep import ReportSweep
from xero_connector.services.settle_setup_link import SettleSetupLink
from xero_connector.services.store_tokens import StoreTokens
from xero_connector.services.take_over import TakeOver
from xero_connector.services.users_grants import UsersGrants
from xero_connector.services.validate_pending import ValidatePending
from xero_connector.settings import Settings
from xero_connector.use_cases.complete_consent import CompleteConsent
from xero_connector.use_cases.create_connect_link import CreateConnectLink
from xero_connector.use_cases.create_healing_link import CreateHealingLink
from xero_connector.use_cases.create_setup_link import CreateSetupLink
from xero_connector.use_cases.disconnect_credential import DisconnectCredential
from xero_connector.use_cases.hand_over_pair import HandOverPair
from xero_connector.use_cases.list_setup_links import ListSetupLinks
from xero_connector.use_cases.open_setup_link import OpenSetupLink
from xero_connector.use_cases.read_history import ReadHistory
from xero_connector.use_cases.refresh_now import RefreshNow
from xero_connector.use_cases.replace_client_secret import ReplaceClientSecret
from xero_connector.use_cases.revalidate_credential import RevalidateCredential
from xero_connector.use_cases.show_consent import ShowConsent
from xero_connector.use_cases.start_consent import StartConsent
from xero_connector.use_cases.submit_credential import SubmitCredential
from xero_connector.use_cases.sweep_due_credentials import SweepDueCredentials
from xero_connector.use_cases.withdraw_setup_link import WithdrawSetupLink


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """The outside world as the use cases see it: real here, fake or broken on purpose in tests."""

    registry: Registry
    consents: Consents
    setup_links: SetupLinks
    history: History
    fleet: Fleet
    runs: Runs
    vault: Vault
    event_bus: EventBus
    token_endpoint: TokenEndpoint
    id_tokens: IdTokens
    authorize: AuthorizeEndpoint
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
        vault, token_endpoint, clock, observer = ports.vault, ports.token_endpoint, ports.clock, ports.observer
        issue_connect_link = IssueConnectLink(
            ports.consents, clock, settings.public_url, settings.connect_link_lifetime
        )
        issue_setup_link = IssueSetupLink(ports.setup_links, clock, settings.public_url)
        publish_events = PublishEvents(
            ports.history, ports.event_bus, issue_connect_link, issue_setup_link, clock, ports.deadline, observer
        )
        registry = PublishingRegistry(ports.registry, publish_events)
        hold_lease = HoldLease(registry, clock, ports.deadline, ports.pause, ports.lease_holder)
        list_tenants = ListTenants(ports.connections, clock, observer)
        read_secrets = ReadSecrets(registry, vault, observer)
        keep_earlier_grant = KeepEarlierGrant(read_secrets, ports.seal, clock)
        insist = Insist(clock, ports.deadline, ports.pause)
        commit_tokens = CommitTokens(vault, keep_earlier_grant, clock)
        adopt_tokens = AdoptTokens(vault, commit_tokens, list_tenants, clock, ports.deadline)
        store_tokens = StoreTokens(
            vault, ports.seal, commit_tokens, clock, ports.deadline, ports.pause, insist, observer
        )
        prove_pair = ProvePair(token_endpoint, ports.authorize, clock, ports.deadline, settings.redirect_uri)
        self.settings = settings
        self.clock = clock
        self.registry = registry
        self._observer = observer
        self.tokens_secret_name = vault.tokens_secret_name
        self.find_credential = FindCredential(registry)
        self.read_history = ReadHistory(ports.history, self.find_credential)
        change_credential = ChangeCredential(registry, self.find_credential)
        self.create_connect_link = CreateConnectLink(
            self.find_credential, change_credential, issue_connect_link, clock
        )
        read_grant, report_refresh = ReadGrant(read_secrets, ports.seal), ReportRefresh(observer)
        ask_for_tokens = AskForTokens(token_endpoint, clock, ports.deadline)
        self.refresh_credential = RefreshCredential(
            vault,
            ask_for_tokens,
            FailRefresh(
                read_grant,
                adopt_tokens,
                PresentOlderTokens(vault, read_secrets, ask_for_tokens, store_tokens),
                report_refresh,
                observer,
            ),
            report_refresh,
            read_secrets,
            read_grant,
            ports.seal,
            list_tenants,
            hold_lease,
            adopt_tokens,
            store_tokens,
            clock,
            ports.deadline,
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
            EndGrants(UsersGrants(vault, ports.seal, clock), ports.seal, token_endpoint, ports.connections),
            hold_lease,
            self.find_credential,
            clock,
            ports.deadline,
            observer,
        )
        self.start_consent = StartConsent(
            registry, ports.consents, ports.setup_links, ports.authorize, clock, observer
        )
        end_request = EndRequest(ports.consents, clock, ports.deadline, observer)
        exchange_code = ExchangeCode(
            read_secrets,
            ports.seal,
            ask_for_tokens,
            ports.id_tokens,
            list_tenants,
            store_tokens,
            FailConsent(ports.seal, end_request, clock, observer, settings.redirect_uri),
            end_request,
            clock,
            ports.deadline,
            ports.pause,
            observer,
        )
        self.complete_consent = CompleteConsent(
            registry,
            ports.consents,
            hold_lease,
            adopt_tokens,
            exchange_code,
            end_request,
            change_credential,
            clock,
            observer,
        )
        change_setup_link = ChangeSetupLink(ports.setup_links, publish_events, clock, observer)
        settle_setup_link = SettleSetupLink(registry, change_setup_link, clock)
        find_setup_link = FindSetupLink(ports.setup_links, settle_setup_link, clock)
        self.create_setup_link = CreateSetupLink(issue_setup_link)
        self.create_healing_link = CreateHealingLink(
            self.find_credential, change_credential, issue_setup_link, clock
        )
        self.list_setup_links = ListSetupLinks(ports.setup_links, change_setup_link, settle_setup_link, clock)
        self.withdraw_setup_link = WithdrawSetupLink(change_setup_link, settle_setup_link, clock)
        self.open_setup_link = OpenSetupLink(
            registry,
            ports.consents,
            find_setup_link,
            change_setup_link,
            clock,
            observer,
            redirect_uri=settings.redirect_uri,
            default_scopes=settings.scopes,
            connect_link_lifetime=settings.connect_link_lifetime,
        )
        self.hand_over_pair = HandOverPair(
            registry,
            ports.setup_links,
            find_setup_link,
            change_setup_link,
            self.submit_credential,
            self.replace_client_secret,
            clock,
            observer,
        )
        self.show_consent = ShowConsent(registry, ports.consents, clock)
        self.sweep_due_credentials = SweepDueCredentials(
            registry,
            self.refresh_credential,
            ValidatePending(registry, vault, read_secrets, prove_pair, hold_lease, clock, observer),
            self.revalidate_credential,
            self.disconnect_credential,
            publish_events,
            CountFleet(ports.fleet, clock, observer),
            TakeOver(ports.runs, clock, ports.pause),
            clock,
            ReportSweep(observer),
            pace,
        )

    def report(self, error: ConnectorError) -> None:
        """Write down why a request was refused."""
        self._observer.event("request_refused", code=error.code, detail=error.detail)
