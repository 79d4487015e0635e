"""What a developer sets up in Xero's portal under "New app"."""

import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from ipaddress import ip_address
from urllib.parse import urlsplit
from uuid import NAMESPACE_DNS, uuid4, uuid5

from local.xero_simulator.users import DEFAULT_EMAIL

DEFAULT_REDIRECT_URI = "https://cloudmanager.oneenterprise.com/oAuth2CallBack"
DEFAULT_ORGANISATIONS = ("Demo Company (UK)", "Electro Land")
MOST_REDIRECT_URIS = 50

# Every app may ask for these: the portal does not list them.
OIDC_SCOPES = frozenset({"openid", "profile", "email", "offline_access"})
DEFAULT_API_SCOPES = (
    "accounting.invoices",
    "accounting.payments",
    "accounting.contacts",
    "accounting.settings",
    "accounting.manualjournals",
    "accounting.attachments",
)
APP_CONNECTIONS_SCOPE = "app.connections"
RETIRED_SCOPES = frozenset({"accounting.transactions", "accounting.transactions.read", "accounting.reports.read"})
_READ_AND_WRITE_SCOPES = frozenset(
    {*DEFAULT_API_SCOPES, "accounting.banktransactions", "assets", "files", "projects"}
)
_READ_ONLY_SCOPES = frozenset(
    {
        "accounting.budgets.read",
        "accounting.journals.read",
        "accounting.reports.aged.read",
        "accounting.reports.balancesheet.read",
        "accounting.reports.banksummary.read",
        "accounting.reports.budgetsummary.read",
        "accounting.reports.executivesummary.read",
        "accounting.reports.profitandloss.read",
        "accounting.reports.trialbalance.read",
    }
)
API_SCOPES = _READ_AND_WRITE_SCOPES | {f"{scope}.read" for scope in _READ_AND_WRITE_SCOPES} | _READ_ONLY_SCOPES

_ORGANISATIONS = uuid5(NAMESPACE_DNS, "organisations.xero-simulator.test")


class InvalidRegistrationError(ValueError):
    """The portal would not accept this app; the message says why."""


class IntegrationType(StrEnum):
    """The choice an admin makes under "New app"."""

    WEB_APP = "web_app"
    MOBILE_APP = "mobile_app"
    CUSTOM_CONNECTION = "custom_connection"


_GRANT_TYPES = {
    IntegrationType.WEB_APP: frozenset({"authorization_code", "refresh_token"}),
    IntegrationType.MOBILE_APP: frozenset({"authorization_code", "refresh_token"}),
    IntegrationType.CUSTOM_CONNECTION: frozenset({"client_credentials"}),
}


@dataclass(frozen=True, slots=True)
class Organisation:
    """An organisation; the same name is the same organisation, whichever app asks for it."""

    name: str

    @property
    def tenant_id(self) -> str:
        return str(uuid5(_ORGANISATIONS, self.name))


@dataclass(frozen=True, slots=True)
class AppDetails:
    """What an app tells about itself; nothing in OAuth rests on it."""

    name: str
    company_url: str = "https://example.com"
    privacy_policy_url: str = ""
    terms_url: str = ""


@dataclass(frozen=True, slots=True)
class ClientSecret:
    """One of an app's secrets."""

    created_at: datetime
    value: str = field(default_factory=lambda: secrets.token_urlsafe(36), repr=False)
    secret_id: str = field(default_factory=lambda: uuid4().hex)


@dataclass(slots=True)
class App:
    """A registered app: the client of RFC 6749."""

    client_id: str
    details: AppDetails
    owner: str
    integration_type: IntegrationType
    redirect_uris: tuple[str, ...]
    scopes: frozenset[str]
    organisations: tuple[Organisation, ...]
    granular_scopes: bool
    case_sensitive_redirect_uris: bool
    client_secrets: list[ClientSecret] = field(default_factory=list)
    # A Custom connection is inactive until the user whom it names has authorised it.
    active: bool = True
    authorising_user: str = ""

    @property
    def is_public(self) -> bool:
        return self.integration_type is IntegrationType.MOBILE_APP

    @property
    def grant_types(self) -> frozenset[str]:
        return _GRANT_TYPES[self.integration_type]

    @property
    def known_scopes(self) -> frozenset[str]:
        """The scopes that exist for this app, registered or not."""
        # Only apps made before 2 March 2026 still know the retired ones.
        retired = frozenset() if self.granular_scopes else RETIRED_SCOPES
        return API_SCOPES | OIDC_SCOPES | retired | {APP_CONNECTIONS_SCOPE}

    def has_redirect_uri(self, redirect_uri: str) -> bool:
        """Tell whether the URI is registered, comparing as IdentityServer's authorize endpoint does: without case.

        It is not observed what live Xero does, so an app can be set to compare letter by letter.
        """
        if self.case_sensitive_redirect_uris:
            return redirect_uri in self.redirect_uris
        return redirect_uri.lower() in {registered.lower() for registered in self.redirect_uris}

    def accepts_secret(self, client_secret: str | None) -> bool:
        """Tell whether the client is who it says; a public app has no secret, so any "fits"."""
        return self.is_public or client_secret in {one.value for one in self.client_secrets}


def new_app(
    integration_type: IntegrationType = IntegrationType.WEB_APP,
    *,
    redirect_uris: Iterable[str] = (DEFAULT_REDIRECT_URI,),
    scopes: Iterable[str] = DEFAULT_API_SCOPES,
    organisations: Iterable[str] | None = None,
    granular_scopes: bool = True,
    case_sensitive_redirect_uris: bool = False,
    details: AppDetails | None = None,
    owner: str = DEFAULT_EMAIL,
    active: bool = True,
) -> App:
    """Make an app without a secret; raises `InvalidRegistrationError` for what the portal refuses.

    `owner` is the email address of the user under whose My Apps it is.
    """
    is_custom = integration_type is IntegrationType.CUSTOM_CONNECTION
    if organisations is None:
        # A Custom connection is bound to exactly one organisation.
        organisations = DEFAULT_ORGANISATIONS[:1] if is_custom else DEFAULT_ORGANISATIONS
    connectable = checked_organisations(organisations)
    if is_custom and active and len(connectable) != 1:
        raise InvalidRegistrationError("a custom_connection has exactly one organisation")
    client_id = secrets.token_hex(16).upper()
    app = App(
        client_id=client_id,
        details=details or AppDetails(f"App {client_id[:8]}"),
        owner=owner,
        integration_type=integration_type,
        redirect_uris=checked_redirect_uris(redirect_uris, at_least=0 if is_custom else 1),
        scopes=frozenset(scopes) | OIDC_SCOPES,
        organisations=connectable,
        granular_scopes=granular_scopes,
        case_sensitive_redirect_uris=case_sensitive_redirect_uris,
        active=active,
    )
    unknown = sorted((app.scopes - app.known_scopes) | (app.scopes & {APP_CONNECTIONS_SCOPE}))
    if unknown:
        raise InvalidRegistrationError(f"no scope to register: {', '.join(unknown)}")
    return app


def checked_organisations(names: Iterable[str]) -> tuple[Organisation, ...]:
    """Return the organisations of these names; raises `InvalidRegistrationError` for empty or repeated ones."""
    checked = tuple(names)
    if len(set(checked)) != len(checked) or not all(name.strip() for name in checked):
        raise InvalidRegistrationError("organisations must be different, non-empty names")
    return tuple(map(Organisation, checked))


def checked_redirect_uris(redirect_uris: Iterable[str], *, at_least: int = 1) -> tuple[str, ...]:
    """Return the redirect URIs of an app; raises `InvalidRegistrationError` for any or too many that are wrong."""
    checked = tuple(redirect_uris)
    if not at_least <= len(checked) <= MOST_REDIRECT_URIS:
        raise InvalidRegistrationError(f"an app has {at_least} to {MOST_REDIRECT_URIS} redirect_uris")
    for redirect_uri in checked:
        if complaint := complaint_about(redirect_uri):
            raise InvalidRegistrationError(f"{complaint}: {redirect_uri}")
    return checked


def complaint_about(redirect_uri: str) -> str | None:
    """Say what is wrong with a redirect URI, None where it may be registered."""
    # urlsplit drops tabs and line breaks without a word. RFC 3986 knows printable ASCII only.
    if not redirect_uri.isascii() or not redirect_uri.isprintable() or " " in redirect_uri:
        return "not a URI"
    try:
        parts = urlsplit(redirect_uri)
        secure = parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(parts.hostname))
        _ = parts.port  # raises for a port that is no number
    except ValueError:
        return "not a URI"
    if not secure or not parts.hostname:
        return "redirect URIs are https, except on localhost"
    if "#" in redirect_uri or "*" in redirect_uri:
        return "redirect URIs have no fragment and no wildcard"
    return None


def _is_loopback(host: str | None) -> bool:
    # Xero says "localhost". Loopback addresses are let in too, since local stacks listen there.
    if host is None or host == "localhost" or host.endswith(".localhost"):
        return host is not None
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
