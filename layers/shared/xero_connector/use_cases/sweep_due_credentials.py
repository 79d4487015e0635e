"""What the schedule does each minute: work through everything that is due."""

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import datetime
from operator import itemgetter
from typing import Any

from xero_connector.domain.credential import Credential
from xero_connector.domain.errors import ConnectorError, LeaseUnavailable, StoreUnavailable
from xero_connector.domain.failed_refresh import is_unreadable
from xero_connector.domain.ports import Clock, Registry
from xero_connector.domain.status import Status
from xero_connector.domain.time_budget import LONGEST_WORK, TIME_TO_PUBLISH_WHAT_IS_LEFT
from xero_connector.services.count_fleet import CountFleet
from xero_connector.services.outage_brake import WIDEST, OutageBrake
from xero_connector.services.pace import Pace
from xero_connector.services.publish_events import PublishEvents
from xero_connector.services.refresh_credential import RefreshCredential
from xero_connector.services.refresh_turn import Outcome, Refresh
from xero_connector.services.report_sweep import ReportSweep
from xero_connector.services.turn_done import TurnDone
from xero_connector.services.validate_pending import ValidatePending
from xero_connector.services.vault_gate import VaultGate
from xero_connector.use_cases.disconnect_credential import DisconnectCredential
from xero_connector.use_cases.revalidate_credential import RevalidateCredential

_MOST_PER_SHARD = 500
_HEAD_START = 5
"""Seconds that the credentials that are well have for themselves."""

_COUNTS = "0"
"""Who has this shard counts the credentials, where several schedules divide the shards."""
_REPORT_EVERY = 10
"""Seconds between two writes of the metrics: a run that is cut off loses no more of them."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class SweepDueCredentials:
    """Refreshes, proves, disconnects and publishes what is due; leaves the rest to the next minute.

    The longest overdue go first, whatever their shard; among them the credentials that are well. Those that had
    trouble before come after them, in a lane of their own: what Xero does not answer for them is no news.
    """

    registry: Registry
    refresh_credential: RefreshCredential
    validate_pending: ValidatePending
    revalidate_credential: RevalidateCredential
    disconnect_credential: DisconnectCredential
    publish_events: PublishEvents
    count_fleet: CountFleet
    clock: Clock
    report: ReportSweep
    pace: Pace | None = None

    def __call__(self, *, shards: Sequence[str], deadline: datetime) -> Counter[str]:
        """Return how many credentials had which outcome.

        An unforeseen error, and a shard that could not be read, end the run with themselves, after
        everything else that is due had its turn.
        """
        self.report.begun()
        sweep = _Sweep(deadline)
        with ThreadPoolExecutor(max_workers=WIDEST) as well, ThreadPoolExecutor(max_workers=WIDEST) as troubled:
            credentials = self._due(shards, sweep, well)
            self.report.found(credentials, self.clock())
            self._begin(sweep, well, [credential for credential in credentials if not credential.failures])
            # The others do not wait long for one that is slow.
            wait(sweep.futures.values(), timeout=_HEAD_START)
            self._publish_left_over(shards, sweep)
            if _COUNTS in shards:
                self.count_fleet(deadline=sweep.deadline)
            self._begin(sweep, troubled, [credential for credential in credentials if credential.failures])
            self._await(sweep)
        for client_id, future in sweep.futures.items():
            sweep.outcomes[self._outcome(client_id, future, sweep.unforeseen)] += 1
        self.report.ended(sweep.outcomes, outage=sweep.brake.engaged, vault_closed=sweep.gate.was_closed)
        for error in (*sweep.unforeseen, *sweep.unread):
            raise error
        return sweep.outcomes

    def _due(self, shards: Sequence[str], sweep: "_Sweep", pool: ThreadPoolExecutor) -> Sequence[Credential]:
        """Read what is due, the longest overdue first."""
        now = self.clock()
        queries = [pool.submit(self.registry.due, shard=shard, now=now, limit=_MOST_PER_SHARD) for shard in shards]
        client_ids: list[str] = []
        for query in queries:
            try:
                client_ids.extend(query.result())
            except StoreUnavailable as error:
                # The other shards have their turn first; then this run fails, so that an alarm can go off.
                sweep.unread.append(error)
        reads = [(client_id, pool.submit(self._still_due, client_id)) for client_id in client_ids]
        due: list[tuple[datetime, Credential]] = []
        for client_id, future in reads:
            if future.exception() is not None:
                # Whatever is wrong with one credential, the others have their turn.
                sweep.outcomes[self._outcome(client_id, future, sweep.unforeseen)] += 1
            elif (read := future.result()) is None:
                sweep.outcomes[Outcome.SKIPPED] += 1
            else:
                due.append(read)
        return [credential for _, credential in sorted(due, key=itemgetter(0))]

    def _still_due(self, client_id: str) -> tuple[datetime, Credential] | None:
        """Read a credential, and since when it is due; None if it is not, for the index lags behind."""
        credential = self.registry.get(client_id)
        if credential is None or credential.due_at is None or not credential.is_due(self.clock()):
            return None
        return credential.due_at, credential

    def _begin(self, sweep: "_Sweep", pool: ThreadPoolExecutor, credentials: Sequence[Credential]) -> None:
        for credential in credentials:
            place = sweep.brake.queue(troubled=bool(credential.failures))
            sweep.futures[credential.client_id] = pool.submit(self._take_turn, credential, place, sweep)

    def _await(self, sweep: "_Sweep") -> None:
        """Wait for every turn, and write the metrics meanwhile."""
        at_work = set(sweep.futures.values())
        while at_work:
            at_work = wait(at_work, timeout=_REPORT_EVERY).not_done
            self.report.so_far()

    def _publish_left_over(self, shards: Sequence[str], sweep: "_Sweep") -> None:
        until = min(sweep.deadline, self.clock() + TIME_TO_PUBLISH_WHAT_IS_LEFT)
        try:
            self.publish_events.left_over(shards=shards, deadline=until)
        except StoreUnavailable as unavailable:
            sweep.unread.append(unavailable)

    def _outcome(self, client_id: str, future: Future[Any], unforeseen: list[BaseException]) -> str:
        error = future.exception()
        if error is None:
            return str(future.result())
        if isinstance(error, LeaseUnavailable):
            return Outcome.BUSY
        if isinstance(error, ConnectorError):
            # Nothing is lost: the lease ends, and the credential is due again.
            self.report.failed(client_id, error)
            return error.code
        unforeseen.append(error)
        return "unforeseen"

    def _take_turn(self, credential: Credential, place: int, sweep: "_Sweep") -> str:
        troubled = bool(credential.failures)
        if not sweep.brake.enter(place, troubled=troubled):
            return Outcome.LEFT_FOR_LATER
        answered = None
        try:
            now = self.clock()
            if sweep.deadline - now < LONGEST_WORK:
                return Outcome.LEFT_FOR_LATER
            self.report.turn(credential, now)
            done = self._work(credential, sweep.gate)
            answered = done.answered
            return str(done.outcome)
        finally:
            sweep.brake.leave(answered=answered, troubled=troubled)

    def _work(self, credential: Credential, gate: VaultGate) -> Refresh | TurnDone:
        match credential.status:
            case Status.PENDING_VALIDATION | Status.REJECTED:
                return self.validate_pending(credential)
            case Status.DISCONNECTING:
                return self.disconnect_credential.resume(credential)
            case Status.CLIENT_REJECTED if not credential.has_grant:
                return self.revalidate_credential.scheduled(credential.client_id)
            case Status.VALIDATED | Status.REAUTHORIZATION_REQUIRED if _is_looked_at_for_its_pair(credential):
                return self.revalidate_credential.scheduled(credential.client_id)
            case _:
                if self.pace is not None:
                    self.pace.wait()
                return self.refresh_credential(credential, only_if_due=True, gate=gate)


@dataclass(slots=True)
class _Sweep:
    """One run: its end, what its threads share, and what came of it."""

    deadline: datetime
    brake: OutageBrake = field(default_factory=OutageBrake)
    gate: VaultGate = field(default_factory=VaultGate)
    futures: dict[str, Future[str]] = field(default_factory=dict)
    outcomes: Counter[str] = field(default_factory=Counter)
    unforeseen: list[BaseException] = field(default_factory=list)
    unread: list[StoreUnavailable] = field(default_factory=list)


def _is_looked_at_for_its_pair(credential: Credential) -> bool:
    """Whether a credential without a grant is due because its pair could not be read."""
    left_behind = credential.consenting is not None or credential.attempt_started_at is not None
    return is_unreadable(credential) and not credential.has_grant and not left_behind
