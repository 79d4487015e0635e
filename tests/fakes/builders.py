"""Valid objects; a test names only what it is about."""

from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from tests.fakes.world import ADMIN, CLIENT_ID, NOON
from tests.fakes.xero import DEMO_COMPANY, GRANTED
from xero_connector.domain.consent import (
    AUTHORIZATION_REQUEST_LIFETIME,
    AuthorizationRequest,
    ConnectTicket,
    digest,
)
from xero_connector.domain.credential import Credential
from xero_connector.domain.history import Action, HistoryEntry
from xero_connector.domain.setup_link import DEFAULT_LIFETIME, BrowsersTry, SetupLink
from xero_connector.domain.setup_view import Purpose, Try, TryProblem
from xero_connector.domain.status import Status
from xero_connector.domain.tenant import Tenant
from xero_connector.domain.tokens import TokenAnswer, TokenSet, TokensSecret
from xero_connector.domain.version_allowance import VersionAllowance

SETUP_TICKET = "s" * 43
INCARNATION = UUID("8f6a1a70-5b0f-4a5e-9a53-0c7a3b6f2d11")


def a_credential(client_id: str = CLIENT_ID, **changes: Any) -> Credential:  # noqa: ANN401 - any field
    credential = Credential(
        client_id=client_id,
        incarnation=INCARNATION,
        status=Status.VALIDATED,
        requested_scopes=tuple(GRANTED.split()),
        allowance=VersionAllowance.full(NOON),
        created_at=NOON,
        created_by=ADMIN,
        updated_at=NOON,
    )
    return replace(credential, **changes)


def a_token(serial: int = 1, **changes: Any) -> TokenSet:  # noqa: ANN401 - any field
    token = TokenSet(
        access_token=f"access-{serial}",
        token_type="Bearer",
        refresh_token=f"refresh-{serial}",
        expires_in=1800,
        expires_at=int(NOON.timestamp()) + 1800,
        scope=GRANTED,
    )
    return replace(token, **changes)


def an_answer(serial: int = 1, *, obtained_at: datetime = NOON) -> TokenAnswer:
    return TokenAnswer(
        token=a_token(serial), obtained_at=obtained_at, id_token="id-token", auth_event_id="event-1"
    )


def a_tokens_secret(
    client_id: str = CLIENT_ID,
    *,
    generation: int = 1,
    obtained_at: datetime = NOON,
    token: TokenSet | None = None,
    tenants: tuple[Tenant, ...] = (DEMO_COMPANY,),
) -> TokensSecret:
    return TokensSecret(
        client_id=client_id,
        generation=generation,
        obtained_at=obtained_at,
        token=token or a_token(generation),
        tenants=tenants,
    )


def a_setup_link(ticket: str = SETUP_TICKET, **changes: Any) -> SetupLink:  # noqa: ANN401 - any field
    link = SetupLink(
        ticket_hash=digest(ticket),
        purpose=Purpose.NEW_CREDENTIAL,
        label="Electro Land",
        integration_type=None,
        scopes=None,
        created_at=NOON,
        created_by=ADMIN,
        expires_at=NOON + DEFAULT_LIFETIME,
    )
    return replace(link, **changes)


def a_try(problem: TryProblem, **changes: Any) -> BrowsersTry:  # noqa: ANN401 - any field
    return BrowsersTry(browser_hash="f" * 64, result=replace(Try(problem=problem, client_id=CLIENT_ID), **changes))


def a_ticket(ticket_hash: str = "a" * 64, **changes: Any) -> ConnectTicket:  # noqa: ANN401 - any field
    ticket = ConnectTicket(ticket_hash=ticket_hash, client_id=CLIENT_ID, created_at=NOON, expires_at=NOON)
    return replace(ticket, **changes)


def a_request(state_hash: str = "b" * 64, **changes: Any) -> AuthorizationRequest:  # noqa: ANN401 - any field
    request = AuthorizationRequest(
        state_hash=state_hash,
        client_id=CLIENT_ID,
        ticket_hash="a" * 64,
        binding_hash="c" * 64,
        created_at=NOON,
        expires_at=NOON + AUTHORIZATION_REQUEST_LIFETIME,
    )
    return replace(request, **changes)


def an_entry(position: int = 0, **changes: Any) -> HistoryEntry:  # noqa: ANN401 - any field
    entry = HistoryEntry(
        entry_id=INCARNATION,
        client_id=CLIENT_ID,
        revision=1,
        position=position,
        at=NOON,
        action=Action.SUBMITTED,
        by=ADMIN,
        status="validated",
        detail=None,
        event=None,
        unpublished=False,
    )
    return replace(entry, **changes)
