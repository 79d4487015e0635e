"""A disconnect ends the grants: whose are alive afterwards, the simulator says."""

from http import HTTPStatus
from urllib.parse import parse_qsl, urlsplit

import requests

from local.xero_simulator.user import XeroUser
from tests.fakes.simulated_world import SimulatedWorld
from tests.fakes.world import ADMIN
from xero_connector.domain.credential import Credential, IntegrationType
from xero_connector.domain.status import Status
from xero_connector.domain.submission import Submission
from xero_connector.domain.tokens import ClientPair

FIRST, SECOND = "first@example.com", "second@example.com"


def submit(world: SimulatedWorld) -> ClientPair:
    pair = world.register(organisations=["Demo Company", "Electro Land"])
    submission = Submission(pair=pair, label=None, integration_type=IntegrationType.WEB_APP, scopes=None)
    world.app.submit_credential(submission, submitted_by=ADMIN)
    return pair


def consent(world: SimulatedWorld, pair: ClientPair, email: str) -> str:
    """Take a user through consent; returns the refresh token that it brought."""
    link = world.app.create_connect_link(pair.client_id, by=ADMIN)
    started = world.app.start_consent(link.connect_url.rsplit("/", 1)[1], binding=None)
    with requests.Session() as session:
        location = XeroUser(session, email=email).consent(started.authorization_url)
    parameters = dict(parse_qsl(urlsplit(location).query))
    world.call_back(started.browser, parameters["state"], code=parameters["code"])
    return world.refresh_token(pair.client_id)


def disconnect(world: SimulatedWorld, pair: ClientPair) -> Credential:
    world.app.disconnect_credential(pair.client_id, by=ADMIN)
    return world.credential(pair.client_id)


def is_alive(world: SimulatedWorld, pair: ClientPair, refresh_token: str) -> bool:
    form = {"grant_type": "refresh_token", "refresh_token": refresh_token}
    return world.ask_xero(pair, data=form).status_code == HTTPStatus.OK


def connected_users(world: SimulatedWorld, pair: ClientPair) -> list[str]:
    """Who still has connections to the app: each logs in once more, and connects nothing."""
    server = world.simulator.identity_server
    return [
        email
        for email in (FIRST, SECOND)
        if server.connections(server.consent(pair.client_id, organisations=(), email=email)["access_token"])
    ]


def test_the_grants_of_two_users_are_dead_afterwards(world: SimulatedWorld) -> None:
    pair = submit(world)
    tokens = [consent(world, pair, FIRST), consent(world, pair, SECOND)]
    credential = disconnect(world, pair)
    assert (credential.status, credential.last_error) == (Status.DISCONNECTED, None)
    assert [is_alive(world, pair, token) for token in tokens] == [False, False]
    assert connected_users(world, pair) == []


def test_two_users_who_take_turns_are_both_disconnected(world: SimulatedWorld) -> None:
    pair = submit(world)
    tokens = [consent(world, pair, email) for email in (FIRST, SECOND, FIRST)]
    world.advance(7_200)
    credential = disconnect(world, pair)
    assert (credential.status, credential.last_error) == (Status.DISCONNECTED, None)
    assert [is_alive(world, pair, token) for token in tokens] == [False, False, False]
    assert connected_users(world, pair) == []


def test_a_grant_that_the_user_ended_at_xero_is_told(world: SimulatedWorld) -> None:
    pair = submit(world)
    token = consent(world, pair, FIRST)
    consent(world, pair, SECOND)
    world.ask_xero(pair, "revocation", data={"token": token})
    disconnect(world, pair)
    world.sweep_when_due(pair.client_id)
    credential = world.credential(pair.client_id)
    assert credential.last_error is not None
    assert (credential.status, credential.last_error.code) == (Status.DISCONNECTED, "grant_not_confirmed")
    assert connected_users(world, pair) == []


def test_a_revocation_that_a_page_answers_is_none(world: SimulatedWorld) -> None:
    pair = submit(world)
    token = consent(world, pair, FIRST)
    world.break_down("revocation", {"kind": "html_403"})
    assert disconnect(world, pair).status is Status.DISCONNECTING
    assert is_alive(world, pair, token)
    world.sweep_when_due(pair.client_id)
    assert world.credential(pair.client_id).status is Status.DISCONNECTED
    assert connected_users(world, pair) == []
