import time
from collections.abc import Callable, Iterator
from typing import Protocol

import pytest
import requests
from joserfc.jwk import RSAKey

from local.xero_simulator.portal_user import PortalUser
from local.xero_simulator.server import XeroSimulator
from local.xero_simulator.tests.oauth_client import TIMEOUT, OAuthClient
from local.xero_simulator.token_signer import new_signing_key
from local.xero_simulator.user import XeroUser


class Register(Protocol):
    def __call__(self, integration_type: str = "web_app", **app: object) -> OAuthClient: ...


class Control(Protocol):
    def __call__(self, path: str, body: object = None, *, method: str = "POST") -> requests.Response: ...


def wait_until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + TIMEOUT
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture(scope="session")
def running_simulator() -> Iterator[XeroSimulator]:
    with XeroSimulator() as simulator:
        yield simulator


@pytest.fixture
def simulator(running_simulator: XeroSimulator) -> Iterator[XeroSimulator]:
    yield running_simulator
    running_simulator.reset()


@pytest.fixture
def control(simulator: XeroSimulator) -> Control:
    def send(path: str, body: object = None, *, method: str = "POST") -> requests.Response:
        return requests.request(method, f"{simulator.url}/_simulator/{path}", json=body, timeout=TIMEOUT)

    return send


@pytest.fixture
def register(simulator: XeroSimulator, control: Control) -> Register:
    def new(integration_type: str = "web_app", **app: object) -> OAuthClient:
        response = control("apps", {"integration_type": integration_type, **app})
        assert response.status_code == 201, response.text
        return OAuthClient(simulator.url, **response.json())

    return new


@pytest.fixture
def web_app(register: Register) -> OAuthClient:
    return register("web_app")


@pytest.fixture
def user() -> Iterator[XeroUser]:
    with requests.Session() as session:
        yield XeroUser(session)


@pytest.fixture
def person(simulator: XeroSimulator) -> Iterator[PortalUser]:
    """Somebody who is at the developer portal, logged in."""
    with requests.Session() as session:
        person = PortalUser(session, simulator.url)
        person.log_in()
        yield person


@pytest.fixture(scope="session")
def signing_key() -> RSAKey:
    return new_signing_key()
