"""What the setup page shows: how far a customer has come, and what came of this browser's last try."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from xero_connector.domain.checks import Check, CheckResult
from xero_connector.domain.credential import IntegrationType
from xero_connector.domain.tenant import Tenant


class Purpose(StrEnum):
    """What a setup link is for."""

    NEW_CREDENTIAL = "new_credential"
    REPLACE_SECRET = "replace_secret"  # noqa: S105 - the name of a purpose
    REAUTHORIZE = "reauthorize"


class Stage(StrEnum):
    """How far the customer has come with a setup link."""

    PAIR = "pair"
    """A new pair is asked for: the guide, and a form for client ID and client secret."""
    SECRET = "secret"  # noqa: S105 - the name of a stage
    """Only a new client secret is asked for: the credential is there, and Xero refuses its pair."""
    WAITING = "waiting"
    """The pair is kept. Xero has given no definite answer yet, and is asked again each minute."""
    CONSENT = "consent"
    """The pair is proven: a Xero user gives consent next, for the first time."""
    REAUTHORIZE = "reauthorize"
    """The grant is dead: a Xero user gives consent again."""
    CONNECTING = "connecting"
    """A Custom connection whose pair is proven and whose first tokens come within minutes."""
    RESUMING = "resuming"
    """Xero accepts the new secret of a connection, which is renewed with it within minutes."""
    CONNECTED = "connected"
    """There is nothing left to do."""
    REFUSED = "refused"
    """A pair that was kept while Xero gave no answer: Xero refused it since, and it is deleted."""
    ENDED = "ended"
    """The credential was disconnected since, or is being disconnected."""


class TryProblem(StrEnum):
    """Why a try led nowhere; the page has the words for each, beside the field that it concerns."""

    MISSING_CLIENT_ID = "missing_client_id"
    MISSING_CLIENT_SECRET = "missing_client_secret"  # noqa: S105 - the name of a problem
    MALFORMED_CLIENT_ID = "malformed_client_id"
    MALFORMED_CLIENT_SECRET = "malformed_client_secret"  # noqa: S105 - the name of a problem
    MISSING_INTEGRATION_TYPE = "missing_integration_type"
    CLIENT_ID_UNKNOWN = "client_id_unknown"
    """Xero does not know the client ID."""
    SECRET_WRONG = "secret_wrong"  # noqa: S105 - the name of a problem
    """Xero knows the client ID, and refuses the secret."""
    PAIR_REFUSED = "pair_refused"
    """Xero refuses the pair, and does not say which half."""
    CUSTOM_CONNECTION = "custom_connection"
    """Entered as a Web app, and is a Custom connection."""
    WEB_APP = "web_app"
    """Entered as a Custom connection, and is a Web app."""
    MOBILE_APP = "mobile_app"
    CREDENTIAL_EXISTS = "credential_exists"
    """OneEnterprise has a pair with this client ID already."""
    IN_PROGRESS = "in_progress"
    """Another window is handing over a pair by this link at this moment."""
    APP_BUSY = "app_busy"
    """The credential is in somebody else's hands, such as the schedule's: nothing was kept."""
    FORM_EXPIRED = "form_expired"
    """The form was not one that this browser got, or its cookie is gone: nothing was sent to Xero."""
    TOO_MANY_TRIES = "too_many_tries"
    """The limit of the link or of the address: nothing was sent to Xero."""
    TOO_MANY_REFUSALS = "too_many_refusals"
    """The limit of the link's whole life: nothing was sent to Xero, and nothing will be."""
    XERO_UNAVAILABLE = "xero_unavailable"
    """A replaced secret about which Xero gave no definite answer: it is not kept, and the old one stays."""
    UNAVAILABLE = "unavailable"
    """Our side could not keep the pair: it has to be entered again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Try:
    """What came of the last pair that this browser sent; never the secret.

    `client_id` is what was typed, which can be anything. `redirect_uri` and `scopes` are None where they were not
    checked. `again_at` is when another try is allowed, after `TOO_MANY_TRIES`.
    """

    problem: TryProblem
    client_id: str
    integration_type: IntegrationType | None = None
    redirect_uri: CheckResult | None = None
    scopes: CheckResult | None = None
    again_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SetupView:
    """Everything that the setup page shows.

    `integration_type` is None where the customer chooses. `scopes` are those that consent asks for, or that a
    Custom connection has to be given. `client_id`, `checks` and `tenants` belong to the credential, where there is
    one. `never_accepted` if Xero has refused its pair from the first: then the client ID may be the wrong half.
    `connect_ticket` opens `connect/{ticket}` in the stages `CONSENT` and `REAUTHORIZE`.
    """

    stage: Stage
    purpose: Purpose
    label: str | None
    integration_type: IntegrationType | None
    scopes: tuple[str, ...]
    redirect_uri: str
    expires_at: datetime
    client_id: str | None = None
    checks: Mapping[str, Check] = field(default_factory=dict)
    tenants: tuple[Tenant, ...] = ()
    tenants_pending: bool = False
    never_accepted: bool = False
    connect_ticket: str | None = field(default=None, repr=False)
    last_try: Try | None = None
