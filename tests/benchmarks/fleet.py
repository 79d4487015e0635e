"""Credentials that are due, written by the product's own adapters into the doubles of the benchmarks."""

import base64
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, cast
from uuid import UUID

from tests.doubles.dynamodb import StrictDynamoDB
from tests.doubles.secrets_manager import StrictSecretsManager
from tests.fakes.builders import a_credential
from xero_connector.adapters.dynamodb_consents import DynamoDBConsents
from xero_connector.adapters.dynamodb_registry import DynamoDBRegistry
from xero_connector.adapters.secret_keys import VaultKeys
from xero_connector.adapters.secrets_manager_vault import SecretsManagerVault
from xero_connector.domain.checks import Check, CheckResult, granted_scopes_check
from xero_connector.domain.consent import ConnectTicket, digest, new_token
from xero_connector.domain.credential import LastError
from xero_connector.domain.status import Status
from xero_connector.domain.tenant import Tenant
from xero_connector.domain.tokens import ClientPair, TokenSet, TokensSecret
from xero_connector.domain.version_allowance import VersionAllowance

TABLE, BUS, PREFIX, SHARDS = "registry", "events", "oneenterprise/xero", 4
KEY_ARN = "arn:aws:kms:us-east-1:123456789012:key/00000000-0000-0000-0000-000000000001"
SCOPE = "offline_access openid accounting.contacts"
_LIFETIME = timedelta(minutes=30)
_TICKET_LIVES = timedelta(days=7)


def access_token(client_id: str, now: datetime) -> str:
    """Return what looks like an access token of Xero's: a JWT of about 1,300 characters."""
    claims = {
        "nbf": int(now.timestamp()),
        "exp": int((now + _LIFETIME).timestamp()),
        "iss": "https://identity.xero.com",
        "aud": "https://identity.xero.com/resources",
        "client_id": client_id,
        "sub": "0" * 32,
        "auth_time": int(now.timestamp()),
        "xero_userid": str(UUID(int=7)),
        "global_session_id": "0" * 32,
        "jti": sha256(f"{client_id}{now}".encode()).hexdigest()[:32],
        "authentication_event_id": str(UUID(int=9)),
        "scope": SCOPE.split(),
    }
    parts = [json.dumps({"alg": "RS256", "kid": "0" * 40, "typ": "JWT"}), json.dumps(claims), "s" * 256]
    return ".".join(base64.urlsafe_b64encode(part.encode()).decode().rstrip("=") for part in parts)


class Fleet:
    """Makes connected credentials."""

    def __init__(
        self, dynamodb: StrictDynamoDB, secrets_manager: StrictSecretsManager, clock: Callable[[], datetime]
    ) -> None:
        self._registry = DynamoDBRegistry(cast("Any", dynamodb), TABLE, SHARDS)
        self._vault = SecretsManagerVault(
            cast("Any", secrets_manager), PREFIX, VaultKeys(KEY_ARN, None), "benchmark", lambda _: None
        )
        self._clock = clock

    def connect(
        self,
        count: int,
        *,
        prefix: str = "",
        due_in_seconds: float = -5,
        failures: int = 0,
        organisations: int = 2,
        status: str = Status.CONNECTED,
        secrets: bool = True,
    ) -> None:
        """Make so many, with secrets unless nobody will read them; a token that is due has ten minutes left."""
        now = self._clock()
        due_at = now + timedelta(seconds=due_in_seconds)
        tenants = tuple(
            Tenant(
                tenant_id=str(UUID(int=number)),
                tenant_name=f"Organisation {number}",
                tenant_type="ORGANISATION",
                connection_id=str(UUID(int=1000 + number)),
            )
            for number in range(organisations)
        )
        for number in range(count):
            client_id = prefix + sha256(f"{prefix}{number}".encode()).hexdigest()[len(prefix) : 32].upper()
            credential = a_credential(
                client_id,
                incarnation=UUID(bytes=sha256(client_id.encode()).digest()[:16]),
                status=Status(status),
                label=f"Customer {number}",
                granted_scopes=tuple(SCOPE.split()),
                # As an earlier refresh left them, so that this one has nothing to add.
                checks={
                    "pair": Check(CheckResult.PASS, "Xero gave tokens for this pair.", now),
                    "redirect_uri": Check(CheckResult.PASS, "The redirect URI is registered.", now),
                    "scopes": granted_scopes_check(tuple(SCOPE.split()), tuple(SCOPE.split()), now),
                },
                requested_scopes=tuple(SCOPE.split()),
                tenants=tenants,
                tenants_checked_at=now,
                generation=1,
                grant_began=1,
                xero_user_id=str(UUID(int=7)),
                access_token_expires_at=due_at + timedelta(minutes=10),
                refresh_token_expires_at=now + timedelta(days=60),
                last_refreshed_at=due_at - timedelta(minutes=20),
                due_at=due_at,
                failures=failures,
                last_error=LastError("unanswered", "Xero gave no answer.", now) if failures else None,
                allowance=VersionAllowance.full(now),
                created_at=now,
                updated_at=now,
            )
            if not secrets:
                self._registry.create(credential, replacing=None)
                continue
            stored = self._vault.put_tokens(
                TokensSecret(
                    client_id=client_id,
                    generation=1,
                    obtained_at=due_at - timedelta(minutes=20),
                    token=TokenSet(
                        access_token=access_token(client_id, now),
                        token_type="Bearer",
                        refresh_token=f"00000000{'r' * 36}",
                        expires_in=1800,
                        expires_at=int((due_at + timedelta(minutes=10)).timestamp()),
                        scope=SCOPE,
                    ),
                    tenants=tenants,
                ),
                version_id=credential.tokens_version_id(1),
            )
            self._vault.put_client_pair(ClientPair(client_id, "s" * 48), version_id=credential.client_version_id)
            self._registry.create(replace(credential, tokens_secret_arn=stored.arn), replacing=None)

    def await_consents(self, consents: DynamoDBConsents, count: int) -> Sequence[str]:
        """Make so many credentials that nobody has consented to yet; return a connect ticket for each."""
        now = self._clock()
        tickets = [new_token() for _ in range(count)]
        for ticket in tickets:
            client_id = digest(ticket)[:32].upper()
            credential = a_credential(
                client_id,
                incarnation=UUID(bytes=sha256(client_id.encode()).digest()[:16]),
                status=Status.VALIDATED,
                requested_scopes=tuple(SCOPE.split()),
                allowance=VersionAllowance.full(now),
                created_at=now,
                updated_at=now,
            )
            self._vault.put_client_pair(ClientPair(client_id, "s" * 48), version_id=credential.client_version_id)
            self._registry.create(credential, replacing=None)
            consents.add_ticket(
                ConnectTicket(
                    ticket_hash=digest(ticket), client_id=client_id, created_at=now, expires_at=now + _TICKET_LIVES
                )
            )
        return tickets

    def make_due(self, client_ids: Iterable[str]) -> None:
        """Have credentials that are there be due now, as they will be when their tokens have aged."""
        for client_id in client_ids:
            credential = self._registry.get(client_id)
            assert credential is not None
            self._registry.save(replace(credential, due_at=self._clock() - timedelta(seconds=5)))
