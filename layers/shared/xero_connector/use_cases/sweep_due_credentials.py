"""What the schedule does each minute: work through everything that is due."""

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta

from xero_connector.domain.credential import Credential
from xero_connector.domain.errors import ConnectorError, LeaseUnavailable
from xero_connector.domain.ports import Clock, Observer, Registry
from xero_connector.domain.status import Status
from xero_connector.use_cases.disconnect_credential import DisconnectCredential
from xero_connector.use_cases.refresh_credential import RefreshCredential
from xero_connector.use_cases.revalidate_credential import RevalidateCredential
from xero_connector.use_cases.validate_pending import ValidatePending

WORKERS = 32
"""Threads: the work waits for Xero, so a core serves many."""
_MOST_PER_SHARD = 500
_LONGEST_WORK = timedelta(seconds=25)
"""What one credential may take: nothing is begun with less of the invocation left."""


@dataclass(frozen=True, slots=True)
class SweepDueCredentials:
    """Refreshes, proves and disconnects what is due; leaves the rest to the next minute."""

    registry: Registry
    refresh_credential: RefreshCredential
    validate_pending: ValidatePending
    revalidate_credential: RevalidateCredential
    disconnect_credential: DisconnectCredential
    clock: Clock
    observer: Observer

    def __call__(self, *, shards: Sequence[str], deadline: datetime) -> Counter[str]:
        """Return how many credentials had which outcome.

        An error that nobody foresaw ends the run with itself, after everything else that is due had its turn.
        """
        outcomes: Counter[str] = Counter()
        unforeseen: list[BaseException] = []
        with ThreadPoolExecutor(max_workers=WORKERS) as pool:
            futures = [
                pool.submit(self._work, client_id, deadline)
                for shard in shards
                for client_id in self.registry.due(shard=shard, now=self.clock(), limit=_MOST_PER_SHARD)
            ]
        for future in futures:
            outcomes[self._outcome(future, unforeseen)] += 1
        self.observer.event("sweep_done", due=len(futures), **dict(sorted(outcomes.items())))
        if unforeseen:
            raise unforeseen[0]
        return outcomes

    def _outcome(self, future: Future[str], unforeseen: list[BaseException]) -> str:
        error = future.exception()
        if error is None:
            return future.result()
        if isinstance(error, LeaseUnavailable):
            return "busy"
        if isinstance(error, ConnectorError):
            # Nothing is lost: the lease ends, and the row is due again.
            self.observer.count("SweepFailed")
            self.observer.event("sweep_failed", code=error.code, detail=error.detail)
            return error.code
        unforeseen.append(error)
        return "unforeseen"

    def _work(self, client_id: str, deadline: datetime) -> str:
        now = self.clock()
        if deadline - now < _LONGEST_WORK:
            return "left_for_later"
        row = self.registry.get(client_id)
        if row is None or not row.is_due(now):
            return "skipped"
        return self._by_status(row)

    def _by_status(self, row: Credential) -> str:
        match row.status:
            case Status.PENDING_VALIDATION | Status.REJECTED:
                return str(self.validate_pending(row).status)
            case Status.DISCONNECTING:
                return str(self.disconnect_credential.resume(row).status)
            case Status.CLIENT_REJECTED if row.generation == 0:
                return str(self.revalidate_credential(row.client_id).status)
            case _:
                return str(self.refresh_credential(row.client_id, only_if_due=True).outcome)
