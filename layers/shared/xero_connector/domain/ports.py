"""What the use cases need from outside, in the connector's own words."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple, Protocol

from xero_connector.domain.checks import AuthorizeFinding
from xero_connector.domain.consent import AuthorizationRequest, ConnectTicket
from xero_connector.domain.credential import Credential
from xero_connector.domain.fleet import Counted, FleetCount
from xero_connector.domain.history import HistoryEntry
from xero_connector.domain.run import Run
from xero_connector.domain.setup_link import SetupLink
from xero_connector.domain.status import Status
from xero_connector.domain.tenant import Tenant
from xero_connector.domain.tokens import ClientPair, StoredTokens, TokenAnswer, TokensSecret

type Clock = Callable[[], datetime]
"""Returns the present moment, aware and in UTC."""
type Pause = Callable[[float], None]
"""Waits for some seconds."""
type Deadline = Callable[[], datetime]
"""Returns the moment at which the present invocation is cut off, aware and in UTC."""


@dataclass(frozen=True, slots=True)
class Page[Item]:
    """One page of a list; `next_token` leads to the next, None on the last."""

    items: Sequence[Item]
    next_token: str | None


class Due(NamedTuple):
    """A credential that is due, and since when, as far as an index knows it."""

    since: datetime
    client_id: str


class Registry(Protocol):
    """The authority on every credential: strongly consistent, and without secrets.

    A write takes the credential's notes into the audit trail (`events.entries_of`), all of it or nothing, and
    returns the credential without them. Every method of the stores may raise `StoreUnavailable`.
    """

    def get(self, client_id: str) -> Credential | None:
        """Read a credential as it stands after the last write."""

    def create(self, credential: Credential, *, replacing: Credential | None) -> Credential:
        """Write a credential that begins an incarnation; `replacing` is the ended one that was there, if any.

        Raises `RevisionConflict` if the credential is not what the caller saw.
        """

    def save(self, credential: Credential) -> Credential:
        """Write a changed credential and return it with its new revision.

        Raises `RevisionConflict` if the credential's revision is no longer the one that `credential` carries.
        """

    def page(self, *, status: Status | None, limit: int, next_token: str | None) -> Page[Credential]:
        """List credentials by client ID; raises `MalformedRequest` for a next_token that is not one."""

    def due(self, *, shard: str, now: datetime, limit: int) -> Sequence[Due]:
        """Return the credentials of a shard that are due, the longest overdue first.

        May lag a little, and may hold some that somebody is working on: they are due when that lease ends.
        """

    def reserve(self, client_id: str, *, owner: str, now: datetime, until: datetime) -> bool:
        """Reserve a client ID for one submission; False while another submission of it runs."""

    def unreserve(self, client_id: str, *, owner: str) -> None:
        """End one's own reservation."""


class History(Protocol):
    """The audit trail that the registry's writes leave behind, and which of its events are not published yet."""

    def page(self, client_id: str, *, limit: int, next_token: str | None) -> Page[HistoryEntry]:
        """List a credential's entries, newest first; raises `MalformedRequest` for a token that is not one."""

    def unpublished(self, *, shard: str, now: datetime, limit: int) -> Sequence[HistoryEntry]:
        """Return events of a shard that stayed unpublished for half a minute, the oldest first; may lag."""

    def mark_published(self, entry: HistoryEntry) -> None:
        """Write down that the event bus has an event; again changes nothing."""


class Fleet(Protocol):
    """The number of credentials in each status, and how far counting them has come."""

    def read(self) -> FleetCount:
        """Read the count as it stands after the last write; an empty one where there is none."""

    def save(self, count: FleetCount) -> FleetCount:
        """Write a count; raises `RevisionConflict` if another run was first."""

    def count(self, status: Status, *, after: str | None, most: int) -> Counted:
        """Count some credentials in a status, by client ID and beginning after one; may lag a little."""

    def write_anew(self, *, most: int) -> bool:
        """Write some credentials anew that an earlier release wrote in another form; False if there was none."""


class Runs(Protocol):
    """Which run of each schedule is at work."""

    def latest(self, schedule: str) -> Run:
        """Read the latest as it stands after the last write; number 0 where there was none."""

    def begin(self, run: Run) -> Run:
        """Write the run after this one and return it; raises `RevisionConflict` if another was first."""

    def end(self, run: Run) -> None:
        """Write down that a run begins nothing any more, unless another one has begun."""


class EventBus(Protocol):
    """Where domain events are published."""

    def publish(self, event_type: str, detail: Mapping[str, Any], *, at: datetime) -> None:
        """Publish one event; raises `StoreUnavailable`, also where the event may have been published."""


class Consents(Protocol):
    """Connect tickets and authorization requests, by hash."""

    def add_ticket(self, ticket: ConnectTicket) -> None:
        """Keep a ticket until it expires."""

    def get_ticket(self, ticket_hash: str) -> ConnectTicket | None:
        """Find a ticket; it may be expired."""

    def add_request(self, request: AuthorizationRequest) -> None:
        """Keep an authorization request until some time after it expires."""

    def get_request(self, state_hash: str) -> AuthorizationRequest | None:
        """Find an authorization request; it may be expired."""

    def save_request(self, request: AuthorizationRequest) -> AuthorizationRequest:
        """Write a changed request; raises `RevisionConflict` if another writer was first."""


class SetupLinks(Protocol):
    """Setup links by id, and how often an address has tried."""

    def add(self, link: SetupLink) -> None:
        """Keep a link until some time after it expires."""

    def get(self, setup_link_id: str) -> SetupLink | None:
        """Read a link as it stands after the last write; it may be expired."""

    def save(self, link: SetupLink, *entries: HistoryEntry) -> SetupLink:
        """Write a changed link, and entries with it; raises `RevisionConflict` if another writer was first.

        The entries carry the revision that this write gives the link.
        """

    def page(self, *, limit: int, next_token: str | None) -> Page[SetupLink]:
        """List links, the newest first; raises `MalformedRequest` for a next_token that is not one."""

    def count_try(self, address_hash: str, *, now: datetime, window: timedelta) -> tuple[int, datetime]:
        """Count a try of an address; returns how many it has made since its window began, and when that was."""


class Vault(Protocol):
    """The secrets: read by version id only, and every write names the id of its version.

    Reads raise `SecretDeleted` once the secret is scheduled for deletion; writes bring it back, under the key of
    this deployment. Writes raise `SecretUnderAnotherKey` where a secret cannot be used.
    """

    def refuse_secrets_of_others(self, client_id: str) -> None:
        """Raise `SecretUnderAnotherKey` if a living secret of this client ID is not this deployment's."""

    def put_client_pair(self, pair: ClientPair, *, version_id: str) -> None:
        """Store a pair as the current version; the same again changes nothing.

        Raises `VersionTaken` if the id holds another pair.
        """

    def get_client_pair(self, client_id: str, *, version_id: str) -> ClientPair | None:
        """Read a pair; None if this version does not exist, or not yet for this reader."""

    def delete_client_pair(self, client_id: str) -> None:
        """Schedule the secret for deletion; nothing happens if that was done or there is none."""

    def restore_client_pair(self, client_id: str) -> None:
        """Bring back a secret that is scheduled for deletion; nothing happens if it is not, or is gone."""

    def put_tokens(self, secret: TokensSecret, *, version_id: str) -> StoredTokens:
        """Store an answer as the current version; the same again changes nothing.

        Raises `VersionTaken` if the id holds another answer.
        """

    def get_tokens(self, client_id: str, *, version_id: str) -> StoredTokens | None:
        """Read an answer; None if this version does not exist, or not yet for this reader."""

    def delete_tokens(self, client_id: str) -> None:
        """Schedule the secret for deletion; nothing happens if that was done or there is none."""

    def restore_tokens(self, client_id: str) -> None:
        """Bring back a secret that is scheduled for deletion; nothing happens if it is not, or is gone."""

    def tokens_secret_name(self, client_id: str) -> str:
        """The name that consumers read the tokens by."""


class Seal(Protocol):
    """Encrypts what has to wait in the registry, under the vault's key; `context` is the same at both ends."""

    def prepare(self) -> None:
        """Have a data key at hand, so that sealing needs no call; raises `StoreUnavailable`."""

    def seal(self, text: str, *, context: str) -> str:
        """Encrypt a text; calls KMS only where no data key is at hand. Raises `StoreUnavailable`."""

    def unseal(self, sealed: str, *, context: str) -> str:
        """Decrypt what `seal` made; raises `StoreUnavailable`."""


class TokenEndpoint(Protocol):
    """Xero's token and revocation endpoints, asked by one app. Calls raise `TokenEndpointFailure`.

    `within` is how long the whole answer may take, where that is shorter than the adapter's own limit.
    """

    def exchange_code(
        self, pair: ClientPair, *, code: str, code_verifier: str, within: timedelta | None = None
    ) -> TokenAnswer:
        """Exchange an authorization code (RFC 6749 §4.1.3)."""

    def client_credentials(
        self, pair: ClientPair, *, scopes: Sequence[str], within: timedelta | None = None
    ) -> TokenAnswer:
        """Get a token for a Custom connection (RFC 6749 §4.4); without scopes for all that it was set up with."""

    def refresh(self, pair: ClientPair, *, refresh_token: str, within: timedelta | None = None) -> TokenAnswer:
        """Present a refresh token (RFC 6749 §6): the answer is the only copy of its successor."""

    def revoke(self, pair: ClientPair, *, refresh_token: str) -> None:
        """Revoke a grant (RFC 7009 §2.1); a token that is dead already counts as revoked."""


class IdTokens(Protocol):
    """The ID tokens that Xero signs."""

    def load_keys(self) -> None:
        """Fetch the signing keys if they are too old; raises `TokenEndpointFailure`.

        A code is exchanged only after this: its answer could not be checked without them.
        """

    def verify_id_token(self, id_token: str | None, *, client_id: str, nonce: str) -> str:
        """Check signature, issuer, audience, times and nonce, and return the id of the Xero user.

        Raises `IdTokenRefused`.
        """


class AuthorizeEndpoint(Protocol):
    """Xero's authorize endpoint: where browsers go for consent, and what they would meet there."""

    def authorization_url(
        self, *, client_id: str, scopes: Sequence[str], state: str, code_verifier: str, nonce: str
    ) -> str:
        """Return where the browser goes for consent (RFC 6749 §4.1.1, RFC 7636 §4.3)."""

    def probe(self, client_id: str, *, scopes: Sequence[str], try_other_case: bool) -> AuthorizeFinding:
        """Find out what a user would meet there: two requests at most, two more with `try_other_case`.

        Never raises: what is not understood is `INCONCLUSIVE`.
        """


class XeroConnections(Protocol):
    """Xero's list of the organisations that a token reaches."""

    def tenants(self, access_token: str, *, auth_event_id: str | None) -> tuple[Tenant, ...]:
        """Return the organisations of one consent, or all of the user's where Xero kept an older consent's id.

        None for `auth_event_id` lists all of the user's. Raises `ConnectionsUnavailable`.
        """

    def remove(self, access_token: str, connection_id: str) -> None:
        """Remove one connection; nothing happens if it is gone. Raises `ConnectionsUnavailable`."""


class Observer(Protocol):
    """Where the use cases report what operators need to see; never a secret."""

    def count(self, name: str, value: int = 1) -> None:
        """Add to a metric."""

    def measure(self, name: str, seconds: float) -> None:
        """Record a duration."""

    def gauge(self, name: str, value: int) -> None:
        """Tell how many of something there are; of several values in an invocation the last one counts."""

    def event(self, message: str, **fields: str | int | None) -> None:
        """Write a log line about what is in order, or up to the caller."""

    def warning(self, message: str, **fields: str | int | None) -> None:
        """Write a log line about what is not as it should be."""

    def flush(self) -> None:
        """Write the metrics so far: what is not written is lost where the invocation is cut off."""


type LeaseHolder = Callable[[], str]
"""Returns a new owner name for a lease."""
