"""How the work of a sweep, of a page of the list and of a submission grows with the number of credentials.

The real application runs in this process over the strict doubles. Units are counted as AWS bills them. CPU is that
of this process, with what the doubles need for their answers.
"""

import gc
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from hashlib import sha256
from random import Random
from statistics import median
from threading import Lock
from uuid import UUID

from tests.doubles.capacity import Consumed
from tests.fakes.builders import a_credential
from tests.fakes.world import SETTINGS
from tests.prove.world import ADMIN, World
from tests.prove.xero import InProcessXero, register
from xero_connector.application import Application
from xero_connector.domain.status import Status
from xero_connector.domain.tokens import ClientPair

NUMBERS = (10, 100, 1_000, 10_000, 100_000)
PAGE = 50
_REPETITIONS = 5
_RUN = timedelta(seconds=58)
_FAR_OFF = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Point:
    """One kind of work among so many credentials: milliseconds of CPU, read and write units."""

    credentials: int
    cpu_ms: float
    read_units: float
    write_units: float


def measure_growth(
    say: Callable[[str], object], numbers: Sequence[int] = NUMBERS
) -> Mapping[str, Sequence[Point]]:
    """Measure each kind of work at each number of credentials."""
    points: dict[str, list[Point]] = {}
    for number, deployment in _deployments(InProcessXero(), numbers):
        say(f"growth: {number:,} credentials")
        for name, work in deployment.work().items():
            points.setdefault(name, []).append(deployment.measured(number, work))
    return points


def as_json(points: Mapping[str, Sequence[Point]]) -> Mapping[str, Sequence[Mapping[str, float]]]:
    """Return what is written into the results."""
    return {name: [asdict(point) for point in row] for name, row in points.items()}


def _deployments(xero: InProcessXero, numbers: Sequence[int]) -> Iterator[tuple[int, "_Deployment"]]:
    """One deployment, which grows; one of its credentials is connected at Xero, the others are due in a month."""
    deployment = _Deployment(xero)
    for number in numbers:
        deployment.grow(number)
        yield number, deployment


class _Deployment:
    def __init__(self, xero: InProcessXero) -> None:
        self._xero, self._draw = xero, Random(1)  # noqa: S311 - a seed is the point
        self._world = World(xero)
        lock = Lock()

        def one_at_a_time[Answer](_: str, effect: Callable[[], Answer]) -> Answer:
            with lock:
                return effect()

        self._application = self._world.application(one_at_a_time)
        self._world.connect(self._application)
        self._size = 1

    def grow(self, number: int) -> None:
        now = self._world.clock()
        for serial in range(self._size, number):
            client_id = sha256(str(serial).encode()).hexdigest()[:32].upper()
            credential = a_credential(
                client_id,
                incarnation=UUID(bytes=sha256(client_id.encode()).digest()[:16]),
                status=Status.CONNECTED,
                due_at=now + _FAR_OFF,
                created_at=now,
                updated_at=now,
            )
            self._world.registry.create(credential, replacing=None)
        self._size = max(self._size, number)
        # What the doubles hold is in AWS and not in the function: no collection of ours is to go through it.
        gc.collect()
        gc.freeze()

    def work(self) -> Mapping[str, Callable[[], None]]:
        """Return each kind of work; none of them needs another to be done first."""
        application = self._application
        return {
            "sweep": lambda: self._sweep(application),
            "list": lambda: self._list(application),
            "submission": lambda: self._submit(application),
        }

    def _sweep(self, application: Application) -> None:
        shards = [str(shard) for shard in range(SETTINGS.due_shards)]
        deadline = self._world.clock() + _RUN
        refreshed = application.sweep_due_credentials(shards=shards, deadline=deadline)
        assert dict(refreshed) == {"refreshed": 1}, refreshed

    def _list(self, application: Application) -> None:
        assert application.registry.page(status=None, limit=PAGE, next_token=None).items

    def _submit(self, application: Application) -> None:
        client_id, secret = register(self._xero.server, self._draw, redirect_uris=[SETTINGS.redirect_uri])
        assert secret is not None
        submission = replace(self._world.submission(), pair=ClientPair(client_id, secret))
        application.submit_credential(submission, submitted_by=ADMIN)

    def measured(self, number: int, work: Callable[[], None]) -> Point:
        cpu, reads, writes = [], [], []
        for _ in range(_REPETITIONS):
            self._world.clock.next_tick(not_before=self._world.credential.due_at)
            consumed = self._world.dynamodb.consumed = Consumed()
            began = time.process_time()
            work()
            cpu.append(1000 * (time.process_time() - began))
            reads.append(consumed.reads)
            writes.append(float(consumed.write_units))
        return Point(number, median(cpu), median(reads), median(writes))
