"""What a setup page can have to show."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from xero_connector.domain.checks import Check, CheckResult
from xero_connector.domain.credential import IntegrationType
from xero_connector.domain.setup_view import Purpose, SetupView, Stage, Try, TryProblem
from xero_connector.domain.tenant import Tenant

NOON = datetime(2026, 12, 7, 12, 0, tzinfo=UTC)
ID = "0A1B2C3D4E5F60718293A4B5C6D7E8F9"
REDIRECT_URI = "https://cloudmanager.oneenterprise.com/oAuth2CallBack"
TICKET = "T" * 43
SCOPES = (
    "offline_access",
    "openid",
    "profile",
    "email",
    "accounting.invoices",
    "accounting.payments",
    "accounting.contacts",
    "accounting.settings",
    "accounting.attachments",
)
_VIEW = SetupView(
    stage=Stage.PAIR,
    purpose=Purpose.NEW_CREDENTIAL,
    label="Electro Land Ltd",
    integration_type=None,
    scopes=SCOPES,
    redirect_uri=REDIRECT_URI,
    expires_at=NOON,
)


def a_view(stage: Stage = Stage.PAIR, **rest: Any) -> SetupView:  # noqa: ANN401 - any field of a view
    """Return a view of a stage as it usually is; a credential is there where the stage says so."""
    known: dict[str, Any] = {} if stage is Stage.PAIR else {"client_id": ID}
    if stage in {Stage.CONSENT, Stage.REAUTHORIZE}:
        known |= {"connect_ticket": TICKET, "checks": checks()}
    if stage is Stage.CONNECTED:
        known |= {"tenants": tenants("Electro Land", "Demo Company (UK)")}
    if stage is Stage.SECRET:
        known |= {"integration_type": IntegrationType.WEB_APP, "purpose": Purpose.REPLACE_SECRET}
    return replace(_VIEW, stage=stage, **{**known, **rest})


def a_try(problem: TryProblem, **rest: Any) -> Try:  # noqa: ANN401 - any field of a try
    """Return a try that led nowhere."""
    again_at = NOON if problem is TryProblem.TOO_MANY_TRIES else None
    usual = {"client_id": ID, "integration_type": IntegrationType.WEB_APP, "again_at": again_at}
    return Try(problem=problem, **{**usual, **rest})


def checks(**results: CheckResult) -> dict[str, Check]:
    """Return the three checks, passed unless said otherwise."""
    usual = dict.fromkeys(("pair", "redirect_uri", "scopes"), CheckResult.PASS)
    return {name: Check(result, "A sentence for admins.", NOON) for name, result in {**usual, **results}.items()}


def tenants(*names: str) -> tuple[Tenant, ...]:
    """Return organisations of these names."""
    return tuple(
        Tenant(tenant_id=f"t{number}", tenant_name=name, tenant_type="ORGANISATION", connection_id=f"c{number}")
        for number, name in enumerate(names)
    )
