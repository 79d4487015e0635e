"""The real handlers and adapters over stores in memory; Xero is the simulator.

Each file plays the rows of one of Xero's two error tables, and asks two things: what are the admin and the Xero
user told, and what is stored afterwards?
"""

from collections.abc import Iterator
from datetime import timedelta
from http import HTTPStatus

import pytest
import requests

from local.xero_simulator.server import XeroSimulator
from tests.acceptance.actors import Admin, Browser, Schedule
from tests.acceptance.outages import LATE, PATIENCE, Impatience, Outage
from tests.fakes.simulated_world import SimulatedWorld
from tests.fakes.world import NOON
from tests.handlers.conftest import Invoke, invoke
from xero_connector.domain.tokens import ClientPair

__all__ = ["invoke"]  # a fixture of the handler tests


@pytest.fixture(scope="module")
def running_simulator() -> Iterator[XeroSimulator]:
    with XeroSimulator(now=lambda: NOON) as simulator:
        yield simulator


@pytest.fixture
def simulator(running_simulator: XeroSimulator) -> XeroSimulator:
    running_simulator.reset()
    return running_simulator


@pytest.fixture
def world(simulator: XeroSimulator) -> SimulatedWorld:
    return SimulatedWorld(simulator)


@pytest.fixture
def admin(invoke: Invoke) -> Admin:
    return Admin(invoke)


@pytest.fixture
def browser(invoke: Invoke) -> Iterator[Browser]:
    with requests.Session() as session:
        yield Browser(invoke, session)


@pytest.fixture
def tick(world: SimulatedWorld, invoke: Invoke) -> Schedule:
    return Schedule(world, invoke)


@pytest.fixture
def connected(world: SimulatedWorld, admin: Admin, browser: Browser) -> ClientPair:
    """The pair of a credential that a user has connected."""
    pair = world.register()
    page = browser.go_through(admin.submit(pair).content["connect_url"])
    assert page.status == HTTPStatus.OK
    return pair


@pytest.fixture
def impatience(world: SimulatedWorld) -> Impatience:
    """Have an outage that is about waiting not take long; `world.deploy()` brings the usual patience back."""

    def shorten(outage: Outage) -> None:
        if outage.document is LATE:
            world.deploy(within=timedelta(seconds=PATIENCE))

    return shorten
