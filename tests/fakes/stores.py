"""In-memory stores, as strict as the real ones; the contract suites run on both."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Any

from xero_connector.domain.consent import AuthorizationRequest, ConnectTicket
from xero_connector.domain.credential import Credential
from xero_connector.domain.errors import (
    MalformedRequest,
    RevisionConflict,
    SecretDeleted,
    SecretUnderAnotherKey,
    StoreUnavailable,
    VersionTaken,
)
from xero_connector.domain.events import entries_of
from xero_connector.domain.fleet import Counted, FleetCount
from xero_connector.domain.history import HistoryEntry
from xero_connector.domain.ports import Due, Page
from xero_connector.domain.run import Run
from xero_connector.domain.setup_link import SetupLink
from xero_connector.domain.status import Status
from xero_connector.domain.tokens import ClientPair, StoredTokens, TokensSecret


class InMemoryRegistry:
    def __init__(self) -> None:
        self.rows: dict[str, Credential] = {}
        self.entries: dict[tuple[str, int, int], HistoryEntry] = {}
        """By client ID, revision and position."""
        self.reservations: dict[str, tuple[str, datetime]] = {}
        self.shards: dict[str, str] = {}
        """Where a credential is not in shard "0"."""

    def get(self, client_id: str) -> Credential | None:
        return self.rows.get(client_id)

    def create(self, credential: Credential, *, replacing: Credential | None) -> Credential:
        if replacing is None:
            return self._write(replace(credential, revision=1), seen=None)
        return self._write(replace(credential, revision=replacing.revision + 1), seen=replacing.revision)

    def save(self, credential: Credential) -> Credential:
        return self._write(replace(credential, revision=credential.revision + 1), seen=credential.revision)

    def _write(self, credential: Credential, *, seen: int | None) -> Credential:
        present = self.rows.get(credential.client_id)
        if (present.revision if present else None) != seen:
            raise RevisionConflict(credential.client_id)
        entries = {(entry.client_id, entry.revision, entry.position): entry for entry in entries_of(credential)}
        written = replace(credential, notes=())
        self.rows[credential.client_id] = written
        self.entries |= entries
        return written

    def shard_of(self, client_id: str) -> str:
        return self.shards.get(client_id, "0")

    def page(self, *, status: Status | None, limit: int, next_token: str | None) -> Page[Credential]:
        if next_token is not None and next_token not in self.rows:
            raise MalformedRequest("Not a token.", code="malformed_next_token", hint="")
        after = [
            credential
            for client_id, credential in sorted(self.rows.items())
            if (next_token is None or client_id > next_token) and (status is None or credential.status is status)
        ]
        found = after[:limit]
        return Page(found, found[-1].client_id if len(after) > limit else None)

    def due(self, *, shard: str, now: datetime, limit: int) -> Sequence[Due]:
        due = [
            Due(credential.due_at or now, credential.client_id)
            for credential in self.rows.values()
            if credential.is_due(now) and self.shard_of(credential.client_id) == shard
        ]
        return sorted(due, key=attrgetter("since"))[:limit]

    def reserve(self, client_id: str, *, owner: str, now: datetime, until: datetime) -> bool:
        held = self.reservations.get(client_id)
        if held is not None and held[1] >= now:
            return False
        self.reservations[client_id] = (owner, until)
        return True

    def unreserve(self, client_id: str, *, owner: str) -> None:
        held = self.reservations.get(client_id)
        if held is not None and held[0] == owner:
            del self.reservations[client_id]


class InMemoryFleet:
    """Counts the rows of an in-memory registry, which are all in the form of today."""

    def __init__(self, registry: InMemoryRegistry) -> None:
        self._registry = registry
        self.kept = FleetCount()

    def read(self) -> FleetCount:
        return self.kept

    def save(self, count: FleetCount) -> FleetCount:
        if count.revision != self.kept.revision:
            raise RevisionConflict("FLEET")
        self.kept = replace(count, revision=count.revision + 1)
        return self.kept

    def count(self, status: Status, *, after: str | None, most: int) -> Counted:
        ids = sorted(row.client_id for row in self._registry.rows.values() if row.status is status)
        rest = [client_id for client_id in ids if after is None or client_id > after]
        return Counted(len(rest[:most]), rest[most - 1] if len(rest) > most else None)

    def write_anew(self, *, most: int) -> bool:
        del most
        return False


class InMemoryRuns:
    def __init__(self) -> None:
        self.kept: dict[str, Run] = {}

    def latest(self, schedule: str) -> Run:
        return self.kept.get(schedule, Run(schedule=schedule))

    def begin(self, run: Run) -> Run:
        if run.number != self.latest(run.schedule).number:
            raise RevisionConflict(run.schedule)
        self.kept[run.schedule] = replace(run, number=run.number + 1)
        return self.kept[run.schedule]

    def end(self, run: Run) -> None:
        if run.number == self.latest(run.schedule).number:
            self.kept[run.schedule] = replace(run, begins_until=None)


class InMemoryHistory:
    """What an in-memory registry's writes left behind."""

    def __init__(self, registry: InMemoryRegistry) -> None:
        self._registry = registry

    def page(self, client_id: str, *, limit: int, next_token: str | None) -> Page[HistoryEntry]:
        entries = self._of(client_id)
        if next_token is not None:
            ids = [str(entry.entry_id) for entry in entries]
            if next_token not in ids:
                raise MalformedRequest("Not a token.", code="malformed_next_token", hint="")
            entries = entries[ids.index(next_token) + 1 :]
        found = entries[:limit]
        return Page(found, str(found[-1].entry_id) if len(entries) > limit else None)

    def unpublished(self, *, shard: str, now: datetime, limit: int) -> Sequence[HistoryEntry]:
        waited = now - timedelta(seconds=30)
        due = [
            entry
            for entry in self._registry.entries.values()
            if entry.unpublished and entry.at.replace(microsecond=0) <= waited and shard == "0"
        ]
        return sorted(due, key=lambda entry: (entry.at, entry.client_id, entry.revision, entry.position))[:limit]

    def mark_published(self, entry: HistoryEntry) -> None:
        key = (entry.setup_link_id or entry.client_id, entry.revision, entry.position)
        if key in self._registry.entries:
            self._registry.entries[key] = replace(entry, unpublished=False)

    def _of(self, client_id: str) -> list[HistoryEntry]:
        """A credential's entries, newest first."""
        return [
            entry for key, entry in sorted(self._registry.entries.items(), reverse=True) if key[0] == client_id
        ]


@dataclass(frozen=True, slots=True)
class PublishedEvent:
    event_type: str
    detail: Mapping[str, Any]
    at: datetime


class InMemoryEventBus:
    """Takes what can be JSON; `down` takes nothing, `answers_lost` takes everything and says that it failed."""

    def __init__(self) -> None:
        self.published: list[PublishedEvent] = []
        self.down = False
        self.answers_lost = False

    def publish(self, event_type: str, detail: Mapping[str, Any], *, at: datetime) -> None:
        assert at.tzinfo is not None
        if self.down:
            raise StoreUnavailable("PutEvents", "ThrottlingException")
        as_received = json.loads(json.dumps(dict(detail), allow_nan=False))
        self.published.append(PublishedEvent(event_type, as_received, at))
        if self.answers_lost:
            raise StoreUnavailable("PutEvents", "ReadTimeoutError")


class InMemoryConsents:
    def __init__(self) -> None:
        self.tickets: dict[str, ConnectTicket] = {}
        self.requests: dict[str, AuthorizationRequest] = {}

    def add_ticket(self, ticket: ConnectTicket) -> None:
        self.tickets.setdefault(ticket.ticket_hash, ticket)

    def get_ticket(self, ticket_hash: str) -> ConnectTicket | None:
        return self.tickets.get(ticket_hash)

    def add_request(self, request: AuthorizationRequest) -> None:
        self.requests.setdefault(request.state_hash, request)

    def get_request(self, state_hash: str) -> AuthorizationRequest | None:
        return self.requests.get(state_hash)

    def save_request(self, request: AuthorizationRequest) -> AuthorizationRequest:
        present = self.requests.get(request.state_hash)
        if present is None or present.revision != request.revision:
            raise RevisionConflict(request.client_id)
        changed = replace(request, revision=request.revision + 1)
        self.requests[request.state_hash] = changed
        return changed


class InMemorySetupLinks:
    """Keeps links; their entries are where those of an in-memory registry are."""

    def __init__(self, registry: InMemoryRegistry) -> None:
        self._registry = registry
        self.links: dict[str, SetupLink] = {}
        self.tries: dict[str, tuple[int, datetime]] = {}

    def add(self, link: SetupLink) -> None:
        self.links.setdefault(link.setup_link_id, link)

    def get(self, setup_link_id: str) -> SetupLink | None:
        return self.links.get(setup_link_id)

    def save(self, link: SetupLink, *entries: HistoryEntry) -> SetupLink:
        present = self.links.get(link.setup_link_id)
        if present is None or present.revision != link.revision:
            raise RevisionConflict(link.setup_link_id)
        changed = replace(link, revision=link.revision + 1)
        assert all(entry.revision == changed.revision for entry in entries)
        self.links[link.setup_link_id] = changed
        self._registry.entries |= {(link.setup_link_id, one.revision, one.position): one for one in entries}
        return changed

    def page(self, *, limit: int, next_token: str | None) -> Page[SetupLink]:
        newest_first = sorted(
            self.links.values(), key=lambda link: (link.created_at, link.setup_link_id), reverse=True
        )
        ids = [link.setup_link_id for link in newest_first]
        if next_token is not None and next_token not in ids:
            raise MalformedRequest("Not a token.", code="malformed_next_token", hint="")
        begin = 0 if next_token is None else ids.index(next_token) + 1
        found = newest_first[begin : begin + limit]
        return Page(found, found[-1].setup_link_id if len(found) == limit else None)

    def count_try(self, address_hash: str, *, now: datetime, window: timedelta) -> tuple[int, datetime]:
        tries, since = self.tries.get(address_hash, (0, now))
        if since + window <= now:
            tries, since = 0, now
        self.tries[address_hash] = tries + 1, since
        return self.tries[address_hash]


class InMemoryVault:
    """Keeps every version; a version id that holds other content is taken, as on AWS.

    `unseen` are versions that readers cannot see yet: Secrets Manager is eventually consistent.
    """

    def __init__(self, prefix: str = "oneenterprise/xero") -> None:
        self.prefix = prefix
        self.versions: dict[str, dict[str, ClientPair | TokensSecret]] = {}
        self.deleted: set[str] = set()
        self.unseen: set[str] = set()
        self.of_others: set[str] = set()
        """Names of living secrets that are under a key that is not this deployment's."""

    def refuse_secrets_of_others(self, client_id: str) -> None:
        for name in (self.client_secret_name(client_id), self.tokens_secret_name(client_id)):
            self._be_ours(name)

    def put_client_pair(self, pair: ClientPair, *, version_id: str) -> None:
        self._put(self.client_secret_name(pair.client_id), version_id, pair)

    def get_client_pair(self, client_id: str, *, version_id: str) -> ClientPair | None:
        found = self._get(self.client_secret_name(client_id), version_id)
        return found if isinstance(found, ClientPair) else None

    def delete_client_pair(self, client_id: str) -> None:
        self._delete(self.client_secret_name(client_id))

    def restore_client_pair(self, client_id: str) -> None:
        self.deleted.discard(self.client_secret_name(client_id))

    def put_tokens(self, secret: TokensSecret, *, version_id: str) -> StoredTokens:
        name = self.tokens_secret_name(secret.client_id)
        self._put(name, version_id, secret)
        return StoredTokens(secret, self._arn(name))

    def get_tokens(self, client_id: str, *, version_id: str) -> StoredTokens | None:
        name = self.tokens_secret_name(client_id)
        found = self._get(name, version_id)
        return StoredTokens(found, self._arn(name)) if isinstance(found, TokensSecret) else None

    def delete_tokens(self, client_id: str) -> None:
        self._delete(self.tokens_secret_name(client_id))

    def restore_tokens(self, client_id: str) -> None:
        self.deleted.discard(self.tokens_secret_name(client_id))

    def tokens_secret_name(self, client_id: str) -> str:
        return f"{self.prefix}/{client_id}/tokens"

    def client_secret_name(self, client_id: str) -> str:
        return f"{self.prefix}/{client_id}/client"

    def current_tokens(self, client_id: str) -> TokensSecret:
        """What a consumer reads: the version that was written last."""
        found = list(self.versions[self.tokens_secret_name(client_id)].values())[-1]
        assert isinstance(found, TokensSecret)
        return found

    def _be_ours(self, name: str) -> None:
        if name in self.of_others:
            raise SecretUnderAnotherKey("PutSecretValue", name=name, key_id="another", wanted="ours")

    def _put(self, name: str, version_id: str, content: ClientPair | TokensSecret) -> None:
        self._be_ours(name)
        self.deleted.discard(name)
        versions = self.versions.setdefault(name, {})
        if versions.setdefault(version_id, content) != content:
            raise VersionTaken(version_id)

    def _get(self, name: str, version_id: str) -> ClientPair | TokensSecret | None:
        if name in self.deleted:
            raise SecretDeleted(name)
        return None if version_id in self.unseen else self.versions.get(name, {}).get(version_id)

    def _delete(self, name: str) -> None:
        if name in self.versions:
            self.deleted.add(name)

    @staticmethod
    def _arn(name: str) -> str:
        return f"arn:aws:secretsmanager:eu-west-1:123456789012:secret:{name}-a1B2c3"


class InMemorySeal:
    """Seals recognisably; `down` is KMS being away, which stops what needs a call."""

    def __init__(self) -> None:
        self.down = False
        self.prepared = False

    def prepare(self) -> None:
        if self.down:
            raise StoreUnavailable("GenerateDataKey", "KMSInternalException")
        self.prepared = True

    def seal(self, text: str, *, context: str) -> str:
        if not self.prepared:
            self.prepare()
        return json.dumps({"context": context, "sealed": text[::-1]})

    def unseal(self, sealed: str, *, context: str) -> str:
        if self.down:
            raise StoreUnavailable("Decrypt", "KMSInternalException")
        parts = json.loads(sealed)
        if parts["context"] != context:
            raise StoreUnavailable("Decrypt", "InvalidSeal")
        text: str = parts["sealed"]
        return text[::-1]
