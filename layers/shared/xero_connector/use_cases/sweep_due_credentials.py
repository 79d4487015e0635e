"""What the schedule does each minute: work through everything that is due."""

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import datetime
from threading import Event
from time import monotonic
from typing import Any

from xero_connector.domain.credential import Credential
from xero_connector.domain.errors import (
    ConnectorError,
    LeaseUnavailable,
    RevisionConflict,
    StoreUnavailable,
)
from xero_connector.domain.failed_refresh import is_unreadable
from xero_connector.domain.ports import Clock, Registry
from xero_connector.domain.shards import EVENTS, shards_of_credentials
from xero_connector.domain.status import Status
from xero_connector.domain.time_budget import LONGEST_WORK, TIME_TO_PUBLISH_WHAT_IS_LEFT
from xero_connector.services.count_fleet import CountFleet
from xero_connector.services.due_queue import DueQueue, Turn
from xero_connector.services.lanes import MOST_AT_WORK, Lanes, Place
from xero_connector.services.pace import Pace
from xero_connector.services.publish_events import PublishEvents
from xero_connector.services.refresh_credential import RefreshCredential
from xero_connector.services.refresh_turn import Outcome, Refresh
from xero_connector.services.report_sweep import InDanger, ReportSweep
from xero_connector.services.take_over import RunAtWork, TakeOver
from xero_connector.services.turn_done import TurnDone
from xero_connector.services.validate_pending import ValidatePending
from xero_connector.services.vault_gate import VaultGate
from xero_connector.use_cases.disconnect_credential import DisconnectCredential
from xero_connector.use_cases.revalidate_credential import RevalidateCredential

_MOST_PER_SHARD = 2000
_READERS = 4
_A_FEW = 100
"""Refreshes that may come together with those of the run before: some seconds of the pace, and then it is done."""
_REPORT_EVERY = 10
"""Seconds between two writes of the metrics: a run that is cut off loses no more of them."""
_LOOK_EVERY = 0.25
"""Seconds until a look whether some turn takes long, where nothing else happens."""
_WROTE_TOKENS = frozenset({Outcome.REFRESHED, Outcome.PARKED})


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class SweepDueCredentials:
    """Refreshes, proves, disconnects and publishes what is due; leaves the rest to the next minute.

    Work is begun as long as it can be finished, until the next run takes over. Those that are well go first, the
    longest overdue before the others; see `DueQueue` for the order and `Lanes` for how many there are at work.
    """

    registry: Registry
    refresh_credential: RefreshCredential
    validate_pending: ValidatePending
    revalidate_credential: RevalidateCredential
    disconnect_credential: DisconnectCredential
    publish_events: PublishEvents
    count_fleet: CountFleet
    take_over: TakeOver
    clock: Clock
    report: ReportSweep
    pace: Pace | None = None

    def __call__(self, *, shards: Sequence[str], deadline: datetime) -> Counter[str]:
        """Return how many credentials had which outcome.

        An unforeseen error, and a shard that could not be read, end the run with themselves, after
        everything else that is due had its turn.
        """
        self.report.begun()
        sweep = _Sweep(deadline, Lanes(self.clock, self.pace))
        with ThreadPoolExecutor(max_workers=_READERS) as readers, ThreadPoolExecutor(MOST_AT_WORK + 1) as pool:
            aside = pool.submit(self._aside, sweep) if EVENTS in shards else None
            client_ids = self._due(shards, sweep, readers)
            queue = DueQueue(
                client_ids,
                lambda client_id: sweep.notified(readers.submit(self._still_due, client_id)),
                lambda client_id, read: self._sorted_out(client_id, read, sweep),
                self.clock(),
            )
            queue.await_first()
            self.report.found(sweep.danger)
            if client_ids:
                self._work_through(queue, shards[0], sweep, pool)
            self._await(sweep)
        for client_id, future in sweep.futures.items():
            sweep.outcomes[self._outcome(client_id, future, sweep.unforeseen)] += 1
        if aside is not None and (error := aside.exception()) is not None:
            sweep.unforeseen.append(error)
        self.report.ended(
            sweep.outcomes, sweep.danger, outage=sweep.lanes.engaged, vault_closed=sweep.gate.was_closed
        )
        for error in (*sweep.unforeseen, *sweep.unread):
            raise error
        return sweep.outcomes

    # What is due

    def _due(self, shards: Sequence[str], sweep: "_Sweep", readers: ThreadPoolExecutor) -> Sequence[str]:
        """Return the client IDs that the index shows as due, the longest overdue first."""
        now = self.clock()
        queries = [
            readers.submit(self.registry.due, shard=shard, now=now, limit=_MOST_PER_SHARD)
            for shard in shards_of_credentials(shards, now)
        ]
        due: dict[str, datetime] = {}
        for query in queries:
            try:
                due.update({client_id: since for since, client_id in query.result()})
            except StoreUnavailable as error:
                # The other shards have their turn first; then this run fails, so that an alarm can go off.
                sweep.unread.append(error)
        return sorted(due, key=due.__getitem__)

    def _still_due(self, client_id: str) -> Credential | None:
        """Read a credential; None if it is not due, for the index lags behind."""
        credential = self.registry.get(client_id)
        return credential if credential is not None and credential.is_due(self.clock()) else None

    def _sorted_out(self, client_id: str, read: Future[Credential | None], sweep: "_Sweep") -> Credential | None:
        if read.exception() is not None:
            # Whatever is wrong with one credential, the others have their turn.
            sweep.outcomes[self._outcome(client_id, read, sweep.unforeseen)] += 1
            return None
        credential = read.result()
        if credential is None:
            sweep.outcomes[Outcome.SKIPPED] += 1
        else:
            sweep.danger.add(credential, self.clock())
        return credential

    # Whose turn it is

    def _work_through(self, queue: DueQueue, schedule: str, sweep: "_Sweep", pool: ThreadPoolExecutor) -> None:
        run = self._taken_over(schedule, sweep) if len(queue) > _A_FEW else None
        reported = monotonic()
        while len(queue) and not self._is_over(run, sweep):
            sweep.news.clear()
            turn = None if sweep.waits_for_the_vault() else self._next(queue, sweep.lanes)
            if turn is not None:
                self._begin(turn, sweep, pool)
            elif len(queue):
                sweep.news.wait(min(_LOOK_EVERY, _REPORT_EVERY))
            if monotonic() - reported >= _REPORT_EVERY:
                reported = monotonic()
                self.report.found(sweep.danger)
        if left := len(queue):
            sweep.outcomes[Outcome.LEFT_FOR_LATER] += left
        if run is not None:
            run.end()

    @staticmethod
    def _next(queue: DueQueue, lanes: Lanes) -> Turn | None:
        well, troubled = lanes.has_room(), lanes.has_room(troubled=True)
        return queue.next(well=well, troubled=troubled, flowing=lanes.is_flowing())

    def _taken_over(self, schedule: str, sweep: "_Sweep") -> RunAtWork | None:
        try:
            return self.take_over(schedule, until=sweep.deadline - LONGEST_WORK)
        except (RevisionConflict, StoreUnavailable) as error:
            # Leases keep two runs apart; only their pace could be too fast together.
            sweep.unread.append(error)
            return None

    def _is_over(self, run: RunAtWork | None, sweep: "_Sweep") -> bool:
        if sweep.lanes.engaged or sweep.deadline - self.clock() < LONGEST_WORK:
            return True
        return run is not None and run.is_superseded()

    def _begin(self, turn: Turn, sweep: "_Sweep", pool: ThreadPoolExecutor) -> None:
        place = sweep.lanes.begin(troubled=turn.troubled, paced=turn.refreshes)
        sweep.futures[turn.client_id] = sweep.notified(pool.submit(self._take_turn, turn, place, sweep))

    def _await(self, sweep: "_Sweep") -> None:
        """Wait for every turn, and write the metrics meanwhile."""
        at_work = set(sweep.futures.values())
        while at_work:
            at_work = wait(at_work, timeout=_REPORT_EVERY).not_done
            self.report.found(sweep.danger)

    def _aside(self, sweep: "_Sweep") -> None:
        """Publish what is left, and count: neither waits for a credential, and none for them."""
        until = min(sweep.deadline, self.clock() + TIME_TO_PUBLISH_WHAT_IS_LEFT)
        try:
            self.publish_events.left_over(deadline=until)
        except StoreUnavailable as unavailable:
            sweep.unread.append(unavailable)
        self.count_fleet(deadline=sweep.deadline)

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

    # A turn

    def _take_turn(self, turn: Turn, place: Place, sweep: "_Sweep") -> str:
        # Whoever fails unforeseen may have written something.
        answered, wrote = None, True
        try:
            credential = None if sweep.lanes.engaged else turn.credential or self._still_due(turn.client_id)
            if credential is None:
                wrote = False
                return Outcome.LEFT_FOR_LATER if sweep.lanes.engaged else Outcome.SKIPPED
            now = self.clock()
            if sweep.deadline - now < LONGEST_WORK:
                wrote = False
                return Outcome.LEFT_FOR_LATER
            self.report.turn(credential, now)
            done = self._work(credential, sweep.gate)
            answered, wrote = done.answered, done.outcome in _WROTE_TOKENS
            return str(done.outcome)
        finally:
            sweep.lanes.end(place, answered=answered, wrote=wrote)

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
                return self.refresh_credential(credential, only_if_due=True, gate=gate)


@dataclass(slots=True)
class _Sweep:
    """One run: its end, what its threads share, and what came of it."""

    deadline: datetime
    lanes: Lanes
    gate: VaultGate = field(default_factory=VaultGate)
    danger: InDanger = field(default_factory=InDanger)
    news: Event = field(default_factory=Event)
    """Set when something was read, or a turn ended."""
    futures: dict[str, Future[str]] = field(default_factory=dict)
    outcomes: Counter[str] = field(default_factory=Counter)
    unforeseen: list[BaseException] = field(default_factory=list)
    unread: list[RevisionConflict | StoreUnavailable] = field(default_factory=list)

    def waits_for_the_vault(self) -> bool:
        """Whether nothing may be presented until one of those at work has been stored."""
        return self.gate.closed and self.lanes.is_at_work()

    def notified[Answer](self, future: Future[Answer]) -> Future[Answer]:
        """Have the end of this become news."""
        future.add_done_callback(lambda _: self.news.set())
        return future


def _is_looked_at_for_its_pair(credential: Credential) -> bool:
    """Whether a credential without a grant is due because its pair could not be read."""
    left_behind = credential.consenting is not None or credential.attempt_started_at is not None
    return is_unreadable(credential) and not credential.has_grant and not left_behind
