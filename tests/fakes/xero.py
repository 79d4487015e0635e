"""A Xero that answers as it is told, and remembers what it was asked."""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import count

from xero_connector.domain.checks import AuthorizeFinding
from xero_connector.domain.errors import ConnectionsUnavailable, IdTokenRefused
from xero_connector.domain.tenant import Tenant
from xero_connector.domain.token_endpoint import FailureKind, TokenEndpointFailure
from xero_connector.domain.tokens import ClientPair, TokenAnswer, TokenSet

DEMO_COMPANY = Tenant(
    tenant_id="t-1", tenant_name="Demo Company (UK)", tenant_type="ORGANISATION", connection_id="c-1"
)
ELECTRO_LAND = Tenant(tenant_id="t-2", tenant_name="Electro Land", tenant_type="ORGANISATION", connection_id="c-2")
_ID_TOKEN = "id-token"
GRANTED = "offline_access openid accounting.contacts"

type Owner = tuple[str, str]
"""An app and a user."""


class ScriptedXero:
    """All four ports of Xero: answers failures from a queue first, then with fresh tokens to the pairs it knows.

    `refresh_tokens` lists the refresh tokens that were presented, whatever came of it. Each token is its user's:
    `user` is the one who consents next. A revocation is answered like any other where the token is dead.
    """

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self.clock = clock
        self.secrets: dict[str, str] = {}
        self.checks_secrets = True
        self.custom_connections: set[str] = set()
        """The apps that may ask for tokens by themselves, and for nothing else."""
        self.finding = AuthorizeFinding.ACCEPTED
        self.failures: deque[FailureKind | TokenEndpointFailure] = deque()
        self.key_failures: deque[FailureKind] = deque()
        self.codes: set[str] = set()
        self.refresh_tokens: list[str] = []
        self.revoked: list[str] = []
        self.granted = GRANTED
        self.terse = False
        """Whether refreshes leave out what RFC 6749 §6 lets them leave out."""
        self.user = "user-1"
        self.organisations: tuple[Tenant, ...] = (DEMO_COMPANY, ELECTRO_LAND)
        """What each user connects who has no others in `organisations_of`."""
        self.organisations_of: dict[str, tuple[Tenant, ...]] = {}
        self.disconnected: set[Owner] = set()
        """Whose connections are gone."""
        self.owner_of: dict[str, Owner] = {}
        """By token, of either kind."""
        self.dead: set[str] = set()
        """Refresh tokens that Xero accepts no more, and access tokens that it refuses."""
        self.revocation_ends_access = False
        """Whether a revocation makes the access tokens refused; otherwise they list nothing any more."""
        self.revocation_does_nothing = False
        self.connections_down = False
        self.keeps_connections = False
        self.says_scope = True
        self.id_token_code: str | None = None
        self.calls: list[str] = []
        self._serial = count(1)

    def authorization_url(
        self, *, client_id: str, scopes: Sequence[str], state: str, code_verifier: str, nonce: str
    ) -> str:
        del code_verifier, nonce
        return f"https://login.xero.test/authorize?client_id={client_id}&scope={'%20'.join(scopes)}&state={state}"

    def load_keys(self) -> None:
        if self.key_failures:
            raise TokenEndpointFailure(self.key_failures.popleft())

    def exchange_code(
        self, pair: ClientPair, *, code: str, code_verifier: str, within: timedelta | None = None
    ) -> TokenAnswer:
        del code_verifier, within
        self._enter("exchange_code", pair)
        if pair.client_id in self.custom_connections:
            raise TokenEndpointFailure(FailureKind.UNAUTHORIZED_CLIENT)
        if code not in self.codes:
            raise TokenEndpointFailure(FailureKind.INVALID_GRANT)
        self.codes.discard(code)
        return self._connect(pair)

    def probe(self, client_id: str, *, scopes: Sequence[str], try_other_case: bool) -> AuthorizeFinding:
        del client_id, scopes
        self.calls.append("probe thoroughly" if try_other_case else "probe")
        return self.finding

    def client_credentials(
        self, pair: ClientPair, *, scopes: Sequence[str], within: timedelta | None = None
    ) -> TokenAnswer:
        del within
        self._enter("client_credentials", pair)
        if pair.client_id not in self.custom_connections:
            raise TokenEndpointFailure(FailureKind.UNAUTHORIZED_CLIENT)
        if not set(self.granted.split()).issuperset(scopes):
            raise TokenEndpointFailure(FailureKind.INVALID_SCOPE)
        answer = self._connect(pair)
        scope = answer.token.scope if self.says_scope else ""
        return replace(answer, token=replace(answer.token, refresh_token=None, scope=scope), id_token=None)

    def refresh(self, pair: ClientPair, *, refresh_token: str, within: timedelta | None = None) -> TokenAnswer:
        del within
        self.refresh_tokens.append(refresh_token)
        self._enter("refresh", pair)
        if refresh_token in self.dead:
            raise TokenEndpointFailure(FailureKind.INVALID_GRANT)
        answer = self._answer(self.owner_of.get(refresh_token, (pair.client_id, self.user)))
        return replace(answer, token=replace(answer.token, refresh_token=None, scope="")) if self.terse else answer

    def revoke(self, pair: ClientPair, *, refresh_token: str) -> None:
        self._enter("revoke", pair)
        self.revoked.append(refresh_token)
        owner = self.owner_of.get(refresh_token)
        if owner is None or refresh_token in self.dead or self.revocation_does_nothing:
            return
        self.disconnected.add(owner)
        ends = ("refresh-", "access-") if self.revocation_ends_access else "refresh-"
        self.dead |= {token for token, its in self.owner_of.items() if its == owner and token.startswith(ends)}

    def verify_id_token(self, id_token: str | None, *, client_id: str, nonce: str) -> str:
        del client_id, nonce
        if not id_token:
            raise IdTokenRefused("Xero sent no ID token.", code="id_token_missing")
        if self.id_token_code is not None or id_token != _ID_TOKEN:
            raise IdTokenRefused("Not acceptable.", code=self.id_token_code or "id_token_malformed")
        return self.user

    def tenants(self, access_token: str, *, auth_event_id: str | None) -> tuple[Tenant, ...]:
        self.calls.append("tenants" if auth_event_id is None else "tenants of the consent")
        if self.connections_down:
            raise ConnectionsUnavailable("Down.")
        return self._connected(self._owner(access_token))

    def remove(self, access_token: str, connection_id: str) -> None:
        self.calls.append("remove")
        if self.connections_down or self.keeps_connections:
            raise ConnectionsUnavailable("Down.", definite=self.keeps_connections)
        owner = self._owner(access_token)
        left = tuple(one for one in self._connected(owner) if one.connection_id != connection_id)
        if owner[1] in self.organisations_of:
            self.organisations_of[owner[1]] = left
        else:
            self.organisations = left

    def _owner(self, access_token: str) -> Owner:
        if access_token in self.dead:
            raise ConnectionsUnavailable("Refused.", unauthorized=True)
        return self.owner_of.get(access_token, ("", self.user))

    def _connected(self, owner: Owner) -> tuple[Tenant, ...]:
        return () if owner in self.disconnected else self.organisations_of.get(owner[1], self.organisations)

    def _connect(self, pair: ClientPair) -> TokenAnswer:
        owner = (pair.client_id, self.user)
        self.disconnected.discard(owner)
        return self._answer(owner)

    def _enter(self, call: str, pair: ClientPair) -> None:
        self.calls.append(call)
        failure = self._next_failure()
        if failure is not None:
            raise failure if isinstance(failure, TokenEndpointFailure) else TokenEndpointFailure(failure)
        if self.checks_secrets and self.secrets.get(pair.client_id) != pair.client_secret:
            raise TokenEndpointFailure(FailureKind.INVALID_CLIENT)

    def _next_failure(self) -> FailureKind | TokenEndpointFailure | None:
        try:
            return self.failures.popleft()
        except IndexError:  # not asked for beforehand: a sweep's threads may take the last one in between
            return None

    def _answer(self, owner: Owner) -> TokenAnswer:
        serial = next(self._serial)
        self.owner_of |= {f"access-{serial}": owner, f"refresh-{serial}": owner}
        now = self.clock()
        return TokenAnswer(
            token=TokenSet(
                access_token=f"access-{serial}",
                token_type="Bearer",
                refresh_token=f"refresh-{serial}",
                expires_in=1800,
                expires_at=int(now.timestamp()) + 1800,
                scope=self.granted,
            ),
            obtained_at=now,
            id_token=_ID_TOKEN,
            auth_event_id="event-1",
        )
