"""Races: many workers on one credential, and a seeded scheduler that decides at every outside call who goes on."""

import json
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from random import Random
from typing import Any
from uuid import UUID

from tests.doubles.dynamodb import never_torn, no_conflict
from tests.doubles.faults import AwsFault, Wire, no_faults
from tests.doubles.secrets_manager import Version
from tests.fakes.in_turn import work_in_turn
from tests.prove.crash import Recovery
from tests.prove.progress import Progress
from tests.prove.trail import Broken
from tests.prove.world import ADMIN, Life, World
from tests.prove.xero import InProcessXero
from xero_connector.application import Application
from xero_connector.domain.errors import ConnectorError
from xero_connector.domain.status import Status
from xero_connector.domain.tokens import tokens_version_id


class Kind(StrEnum):
    """What makes a race hard."""

    CALM = "calm"  # clocks within a second, no worker pauses: the lease alone must be enough
    FAULTY = "faulty"  # as calm, and AWS throttles, loses answers and finds writes in each other's way
    SKEWED = "skewed"  # clocks within ±60 s: leases end too early for some
    OVERRUN = "overrun"  # holders pause for longer than their lease, anywhere


_SKEW = {Kind.CALM: 1.0, Kind.FAULTY: 1.0, Kind.SKEWED: 60.0, Kind.OVERRUN: 5.0}
_STEP = 0.01
"""Seconds at most that pass between two outside calls of anybody."""


@dataclass(eq=False, slots=True)
class Worker:
    """A thread that goes on only while it holds the baton."""

    skew: timedelta
    priority: float
    pause_at: int
    pause_for: float
    wakes_at: datetime
    baton: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    calls: int = 0
    done: bool = False
    unforeseen: BaseException | None = None


class Scheduler:
    """Lets one worker at a time take one step; the same draws give the same run again."""

    def __init__(self, world: World, draw: Random, *, by_priority: bool) -> None:
        self._world = world
        self._draw = draw
        self._by_priority = by_priority
        self._baton = threading.Semaphore(0)
        self._here = threading.local()
        self.workers: list[Worker] = []

    def add(self, worker: Worker, work: Callable[[Application], object]) -> None:
        app = self._world.application(
            self.gate,
            clock=lambda: self._world.clock() + worker.skew,
            pause=lambda seconds: self._sleep(worker, seconds),
        )

        def live() -> None:
            self._here.worker = worker
            worker.baton.acquire()
            try:
                work(app)
            except ConnectorError:
                pass
            except BaseException as error:  # noqa: BLE001 - told by `run`, which would hang otherwise
                worker.unforeseen = error
            finally:
                worker.done = True
                self._baton.release()

        self.workers.append(worker)
        threading.Thread(target=live, daemon=True).start()

    def gate[Answer](self, name: str, effect: Callable[[], Answer]) -> Answer:
        del name
        worker: Worker = self._here.worker
        self._step(worker)
        try:
            return effect()
        finally:
            self._step(worker)

    def run(self) -> None:
        clock = self._world.clock
        while waiting := [worker for worker in self.workers if not worker.done]:
            ready = [worker for worker in waiting if worker.wakes_at <= clock.now]
            if not ready:
                clock.now = min(worker.wakes_at for worker in waiting)
                continue
            worker = self._choose(ready)
            worker.baton.release()
            self._baton.acquire()
            clock.advance(self._draw.uniform(0, _STEP))
        for worker in self.workers:
            if worker.unforeseen is not None:
                raise worker.unforeseen

    def _choose(self, ready: list[Worker]) -> Worker:
        if not self._by_priority:
            return self._draw.choice(ready)
        chosen = max(ready, key=lambda worker: worker.priority)
        # A few changes of priority reach orders that no fair choice would (probabilistic concurrency testing).
        if self._draw.random() < 0.1:
            chosen.priority = self._draw.random() - 1
        return chosen

    def _step(self, worker: Worker) -> None:
        if worker.calls == worker.pause_at:
            worker.wakes_at = self._world.clock.now + timedelta(seconds=worker.pause_for)
        worker.calls += 1
        self._yield(worker)

    def _sleep(self, worker: Worker, seconds: float) -> None:
        worker.wakes_at = self._world.clock.now + timedelta(seconds=seconds)
        self._yield(worker)

    def _yield(self, worker: Worker) -> None:
        self._baton.release()
        worker.baton.acquire()


@dataclass(slots=True)
class RaceVerdict:
    """What one race did harm to."""

    double_refreshes: int = 0
    stale_overwrites: int = 0
    behind_the_newest_stored: int = 0
    grants_lost: int = 0
    events_published: int = 0
    broken: Broken = field(default_factory=Broken)


@dataclass(frozen=True, slots=True)
class Race:
    """One race, told well enough to be run again."""

    seed: str
    kind: Kind
    workers: int
    first_successor_survives: bool


def run(xero: InProcessXero, race: Race) -> RaceVerdict:
    """Run one race and let the schedule clear up behind it."""
    draw = Random(race.seed)  # noqa: S311 - a seed is the point
    world = World(xero, first_successor_survives=race.first_successor_survives)
    app = world.process(Life(world.clock))
    world.connect(app)
    ledger = _Ledger(world)
    world.clock.next_tick(not_before=world.credential.due_at)
    scheduler = Scheduler(world, draw, by_priority=draw.random() < 0.5)
    works = [_draw_work(world, app, draw) for _ in range(race.workers)]
    lag = draw.choice((0.0, 0.5, 90.0))
    world.secrets.read_lag = lambda: timedelta(seconds=lag)
    for work in works:
        scheduler.add(_draw_worker(world, draw, race.kind), work)
    if race.kind is Kind.FAULTY:
        world.dynamodb.faults = world.secrets.faults = world.events.faults = _draw_faults(draw)
        world.dynamodb.conflicts = lambda _: draw.random() < 0.05
        world.dynamodb.torn = lambda: draw.random() < 0.05
    # Around all workers, so that none of them ends it for another.
    with work_in_turn():
        scheduler.run()
    world.dynamodb.faults = world.secrets.faults = world.events.faults = no_faults
    world.dynamodb.conflicts, world.dynamodb.torn = no_conflict, never_torn
    verdict = RaceVerdict(double_refreshes=ledger.double_refreshes)
    recovery = Recovery(world, None)
    _finish_what_is_open(recovery)
    verdict.stale_overwrites, verdict.behind_the_newest_stored = ledger.staleness()
    recovery.sweep_until_quiet()
    recovery.come_round()
    trail = world.look_at_trail()
    verdict.events_published, verdict.broken = trail.events_published, trail.broken
    ended = world.credential.status in {Status.DISCONNECTING, Status.DISCONNECTED}
    verdict.grants_lost = int(
        not ended and not (world.credential.status is Status.CONNECTED and world.still_refreshes())
    )
    return verdict


def _draw_work(world: World, app: Application, draw: Random) -> Callable[[Application], object]:
    chance = draw.random()
    if chance < 0.02:
        callback = world.start_consent(app)
        return lambda app: app.complete_consent(callback)
    if chance < 0.04:
        return lambda app: app.replace_client_secret(world.client_id, world.client_secret, by=ADMIN)
    if chance < 0.05:
        return lambda app: app.disconnect_credential(world.client_id, by=ADMIN)
    if chance < 0.15:
        return lambda app: app.refresh_now(world.client_id, by=ADMIN)
    return lambda app: app.refresh_credential(app.find_credential(world.client_id), only_if_due=True)


def _draw_worker(world: World, draw: Random, kind: Kind) -> Worker:
    pauses = kind is Kind.OVERRUN and draw.random() < 0.4
    return Worker(
        skew=timedelta(seconds=draw.uniform(-1, 1) * _SKEW[kind]),
        priority=draw.random(),
        pause_at=draw.randrange(3, 14) if pauses else -1,
        pause_for=draw.choice((45.0, 75.0, 150.0)),
        # Ticks are doubled and late: not everybody comes at once. A holder that AWS failed leaves its lease
        # behind, and the next holder after the lease refreshes again as it should: that is no race.
        wakes_at=world.clock.now
        + timedelta(seconds=draw.choice((0.0, draw.uniform(0, 50 if kind is Kind.FAULTY else 130)))),
    )


def _draw_faults(draw: Random) -> Callable[[str], AwsFault | None]:
    def fault(_: str) -> AwsFault | None:
        return draw.choice(list(AwsFault)) if draw.random() < 0.05 else None

    return fault


def _finish_what_is_open(recovery: Recovery) -> None:
    world = recovery.world
    for _ in range(10):
        credential = world.credential
        if credential.attempt_started_at is None or credential.due_at is None:
            return
        world.clock.next_tick(not_before=credential.due_at)
        recovery.run(World.sweep)


class _Ledger:
    """Remembers in which order Xero gave out refresh tokens, and which versions were committed."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._issued = {token: serial for serial, token in enumerate(world.xero.issued)}
        self._committed = {world.credential.tokens_version_id(world.credential.generation)}
        world.xero.presented.clear()
        world.dynamodb.on_put = self._note_commit

    def _note_commit(self, item: Wire) -> None:
        self._world.status_changes(item)
        if item["sk"]["S"] == "CREDENTIAL":
            generation, began = int(item["generation"]["N"]), int(item["grant_began"]["N"])
            of_consent = item.get("grant_version_id", {}).get("S") if generation == began else None
            incarnation = UUID(item["incarnation"]["S"])
            self._committed.add(of_consent or tokens_version_id(incarnation, generation))

    @property
    def double_refreshes(self) -> int:
        return sum(times - 1 for times in self._world.xero.presented.values())

    def staleness(self) -> tuple[int, int]:
        """Whether consumers or the registry hold tokens older than the newest committed, or the newest stored."""
        world = self._world
        secret = world.secrets.secrets[world.vault.tokens_secret_name(world.client_id)]
        if secret.deleted:
            return 0, 0
        serials = {token: serial for serial, token in enumerate(world.xero.issued)}

        def serial(version: Version) -> int:
            return serials[json.loads(version.content)["token"]["refresh_token"]]

        credential = world.credential
        committed = max(serial(secret.versions[version_id]) for version_id in self._committed)
        stored = max(serial(version) for version in secret.versions.values())
        assert secret.current is not None
        held = min(
            serial(secret.current), serial(secret.versions[credential.tokens_version_id(credential.generation)])
        )
        return int(held < committed), int(held < stored)


@dataclass(slots=True)
class RaceFigures:
    """What the races measured; double refreshes under skew and overrun are no defect and told apart."""

    race_runs: int = 0
    by_kind: dict[Kind, Counter[str]] = field(default_factory=lambda: {kind: Counter() for kind in Kind})
    broken: Broken = field(default_factory=Broken)
    failures: list[str] = field(default_factory=list)

    def add(self, race: Race, verdict: RaceVerdict) -> None:
        self.race_runs += 1
        counts = self.by_kind[race.kind]
        counts["runs"] += 1
        counts["double_refreshes"] += verdict.double_refreshes
        counts["stale_overwrites"] += verdict.stale_overwrites
        counts["behind_the_newest_stored"] += verdict.behind_the_newest_stored
        counts["grants_lost"] += verdict.grants_lost
        counts["events_published"] += verdict.events_published
        self.broken.add(verdict.broken)
        excused = race.kind in {Kind.SKEWED, Kind.OVERRUN}
        harm = verdict.stale_overwrites or verdict.grants_lost or verdict.broken
        if harm or (verdict.double_refreshes and not excused):
            self.failures.append(f"{race}: {verdict}")

    def total(self, name: str, *kinds: Kind) -> int:
        return sum(self.by_kind[kind][name] for kind in kinds or Kind)

    @property
    def passed(self) -> bool:
        return not self.failures

    def as_dict(self) -> dict[str, Any]:
        return {
            "race_runs": self.race_runs,
            "double_refreshes": self.total("double_refreshes", Kind.CALM, Kind.FAULTY),
            "double_refreshes_with_broken_leases": self.total("double_refreshes", Kind.SKEWED, Kind.OVERRUN),
            "stale_overwrites": self.total("stale_overwrites"),
            "behind_the_newest_stored": self.total("behind_the_newest_stored"),
            "grants_lost": self.total("grants_lost"),
            **asdict(self.broken),
            "events_published": self.total("events_published"),
            "by_kind": {str(kind): dict(counts) for kind, counts in self.by_kind.items()},
            "failures": self.failures[:20],
        }


def measure(*, seed: int, runs: int, progress: Progress) -> RaceFigures:
    """Run races of every kind in both worlds, from 2 to 50 workers."""
    figures = RaceFigures()
    xero = InProcessXero()
    draw = Random(seed)  # noqa: S311 - a seed is the point
    for number in range(runs):
        race = Race(
            seed=f"{seed}/{number}",
            kind=list(Kind)[number % len(Kind)],
            workers=draw.choice((2, 2, 2, 3, 3, 4, 5, 8, 13, 21, 34, 50)),
            first_successor_survives=number // len(Kind) % 2 == 0,
        )
        figures.add(race, run(xero, race))
        progress(f"{number + 1} of {runs} races")
    return figures
