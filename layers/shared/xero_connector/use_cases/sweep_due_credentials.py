"""What the schedule does each minute: work through everything that is due."""

from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta

from xero_connector.domain.credential import Credential
from xero_connector.domain.errors import ConnectorError, LeaseUnavailable, StoreUnavailable
from xero_connector.domain.ports import Clock, Observer, Registry
from xero_connector.domain.status import Status
from xero_connector.domain.token_endpoint import OUTAGE
from xero_connector.use_cases.disconnect_credential import DisconnectCredential
from xero_connector.use_cases.outage_brake import WIDEST, OutageBrake
from xero_connector.use_cases.pace import Pace
from xero_connector.use_cases.prove_pair import Verdict
from xero_connector.use_cases.publish_events import PublishEvents
from xero_connector.use_cases.refresh_credential import RefreshCredential
from xero_connector.use_cases.revalidate_credential import RevalidateCredential
from xero_connector.use_cases.validate_pending import ValidatePending
from xero_connector.use_cases.vault_gate import VaultGate

_MOST_PER_SHARD = 500
_LONGEST_WORK = timedelta(seconds=25)
"""What one credential may take: nothing is begun with less of the invocation left."""

_LONG_UNFINISHED = timedelta(minutes=10)
_NO_ANSWER = OUTAGE | {Verdict.UNKNOWN}
_PROMISED = frozenset({Status.CONNECTED, Status.DEGRADED})
"""Readers of these credentials' tokens are promised a live one."""


@dataclass(frozen=True, slots=True)
class SweepDueCredentials:
    """Refreshes, proves, disconnects and publishes what is due; leaves the rest to the next minute."""

    registry: Registry
    refresh_credential: RefreshCredential
    validate_pending: ValidatePending
    revalidate_credential: RevalidateCredential
    disconnect_credential: DisconnectCredential
    publish_events: PublishEvents
    clock: Clock
    observer: Observer
    pace: Pace | None = None

    def __call__(self, *, shards: Sequence[str], deadline: datetime) -> Counter[str]:
        """Return how many credentials had which outcome.

        An error that nobody foresaw, and a shard that could not be read, end the run with themselves, after
        everything else that is due had its turn.
        """
        outcomes: Counter[str] = Counter()
        unforeseen: list[BaseException] = []
        unread: list[StoreUnavailable] = []
        brake, gate = OutageBrake(), VaultGate()
        with ThreadPoolExecutor(max_workers=WIDEST) as pool:
            futures = [
                (client_id, pool.submit(self._take_turn, client_id, deadline, brake, gate))
                for client_id in self._due(shards, unread)
            ]
        for client_id, future in futures:
            outcomes[self._outcome(client_id, future, unforeseen)] += 1
        if brake.engaged:
            self.observer.count("OutageNoticed")
        if gate.was_closed:
            self.observer.count("VaultClosed")
        self.observer.event("sweep_done", due=len(futures), **dict(sorted(outcomes.items())))
        try:
            self.publish_events.left_over(shards=shards, deadline=deadline)
        except StoreUnavailable as unavailable:
            unread.append(unavailable)
        for error in (*unforeseen, *unread):
            raise error
        return outcomes

    def _due(self, shards: Sequence[str], unread: list[StoreUnavailable]) -> Iterator[str]:
        for shard in shards:
            try:
                yield from self.registry.due(shard=shard, now=self.clock(), limit=_MOST_PER_SHARD)
            except StoreUnavailable as error:
                # The other shards have their turn first; then this run fails, so that an alarm can go off.
                unread.append(error)

    def _outcome(self, client_id: str, future: Future[str], unforeseen: list[BaseException]) -> str:
        error = future.exception()
        if error is None:
            return future.result()
        if isinstance(error, LeaseUnavailable):
            return "busy"
        if isinstance(error, ConnectorError):
            # Nothing is lost: the lease ends, and the row is due again.
            self.observer.count("SweepFailed")
            self.observer.event("sweep_failed", client_id=client_id, code=error.code, detail=error.detail)
            return error.code
        unforeseen.append(error)
        return "unforeseen"

    def _take_turn(self, client_id: str, deadline: datetime, brake: OutageBrake, gate: VaultGate) -> str:
        if not brake.enter():
            return "left_for_later"
        answered = None
        try:
            now = self.clock()
            if deadline - now < _LONGEST_WORK:
                return "left_for_later"
            row = self.registry.get(client_id)
            if row is None or not row.is_due(now):
                return "skipped"
            self._measure(row, now)
            after, outcome = self._work(row, gate)
            answered = _answered(before=row, after=after)
            return outcome
        finally:
            brake.leave(answered=answered)

    def _measure(self, row: Credential, now: datetime) -> None:
        if row.due_at is not None:
            self.observer.measure("SweepLag", (now - row.due_at).total_seconds())
        if row.access_token_expires_at is not None and row.status in _PROMISED:
            # A credential that is not due has a third of its token's life left: the minimum is among these.
            self.observer.measure("SecondsLeft", (row.access_token_expires_at - now).total_seconds())
        if row.attempt_started_at is not None and now - row.attempt_started_at > _LONG_UNFINISHED:
            self.observer.count("UnfinishedAttempts")

    def _work(self, row: Credential, gate: VaultGate) -> tuple[Credential | None, str]:
        match row.status:
            case Status.PENDING_VALIDATION | Status.REJECTED:
                after = self.validate_pending(row)
            case Status.DISCONNECTING:
                after = self.disconnect_credential.resume(row)
            case Status.CLIENT_REJECTED if not row.has_grant:
                after = self.revalidate_credential(row.client_id)
            case _:
                if self.pace is not None:
                    self.pace.wait()
                refresh = self.refresh_credential(row.client_id, only_if_due=True, gate=gate)
                return refresh.row, str(refresh.outcome)
        return after, str(after.status)


def _answered(*, before: Credential, after: Credential | None) -> bool | None:
    """Whether Xero answered; None if nothing tells."""
    if after is None or after.revision == before.revision:
        return None
    if after.last_error is None or after.last_error == before.last_error:
        return True
    return after.last_error.code not in _NO_ANSWER
