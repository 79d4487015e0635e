"""Rotation and grace, in process and by a controlled clock."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from joserfc.jwk import RSAKey

from local.xero_simulator.clock import SimulatorClock
from local.xero_simulator.identity_server import IdentityServer, TokenError, TokenResponse

START = datetime(2026, 1, 1, tzinfo=UTC)
GRACE = timedelta(minutes=30)
A_MOMENT = timedelta(seconds=1)
SCOPES = ["offline_access", "accounting.invoices"]  # no openid: half the signatures


class App:
    """One app of an identity server whose time stands still unless a test moves it."""

    def __init__(self, signing_key: RSAKey, *, first_successor_survives: bool) -> None:
        self.clock = SimulatorClock(lambda: START)
        self.identity_server = IdentityServer(
            now=self.clock, first_successor_survives=first_successor_survives, signing_key=signing_key
        )
        self.client_id, self.client_secret = self.identity_server.register_app()

    def consent(self) -> str:
        return self.identity_server.consent(self.client_id, scopes=SCOPES)["refresh_token"]

    def response(self, refresh_token: str) -> TokenResponse:
        return self.identity_server.token(
            {
                "grant_type": "refresh_token",
                "refresh_token": refresh_token,
                "client_id": self.client_id,
                "client_secret": self.client_secret or "",
            }
        )

    def refresh(self, refresh_token: str) -> str:
        return self.response(refresh_token)["refresh_token"]

    def is_dead(self, refresh_token: str) -> bool:
        try:
            self.refresh(refresh_token)
        except TokenError as refusal:
            return refusal.error == "invalid_grant"
        return False


@pytest.fixture(params=[True, False], ids=["survives", "dies"])
def app(request: pytest.FixtureRequest, signing_key: RSAKey) -> App:
    return App(signing_key, first_successor_survives=request.param)


@pytest.fixture
def survives(signing_key: RSAKey) -> App:
    return App(signing_key, first_successor_survives=True)


@pytest.fixture
def dies(signing_key: RSAKey) -> App:
    return App(signing_key, first_successor_survives=False)


# In both worlds


def test_every_refresh_returns_a_new_token(app: App) -> None:
    tokens = [app.consent()]
    for _ in range(5):
        app.clock.advance(GRACE)
        tokens.append(app.refresh(tokens[-1]))
    assert len(set(tokens)) == 6


def test_a_used_token_can_be_presented_again_several_times_in_its_grace(app: App) -> None:
    token = app.consent()
    successors = {app.refresh(token) for _ in range(4)}
    assert len(successors) == 4
    app.clock.advance(GRACE)
    assert not app.is_dead(token)


def test_a_used_token_is_dead_after_its_grace(app: App) -> None:
    token = app.consent()
    app.refresh(token)
    app.clock.advance(GRACE + A_MOMENT)
    assert app.is_dead(token)


def test_a_replay_does_not_prolong_the_grace(app: App) -> None:
    token = app.consent()
    app.refresh(token)
    app.clock.advance(GRACE - A_MOMENT)
    app.refresh(token)
    app.clock.advance(2 * A_MOMENT)
    assert app.is_dead(token)


def test_a_replay_after_the_grace_does_no_harm_to_the_successor(app: App) -> None:
    token = app.consent()
    successor = app.refresh(token)
    app.clock.advance(GRACE + A_MOMENT)
    assert app.is_dead(token)
    assert not app.is_dead(successor)


def test_the_latest_successor_is_good(app: App) -> None:
    token = app.consent()
    app.refresh(token)
    latest = app.refresh(token)
    app.clock.advance(timedelta(days=30))
    assert not app.is_dead(latest)


def test_using_a_successor_does_not_end_the_grace(app: App) -> None:
    token = app.consent()
    app.refresh(app.refresh(token))
    assert not app.is_dead(token)


def test_an_unused_token_lives_sixty_days(app: App) -> None:
    early, late = app.consent(), app.consent()
    app.clock.advance(timedelta(days=60))
    assert not app.is_dead(early)
    app.clock.advance(A_MOMENT)
    assert app.is_dead(late)


def test_the_grace_does_not_outlast_the_sixty_days(app: App) -> None:
    token = app.consent()
    app.clock.advance(timedelta(days=60) - timedelta(minutes=5))
    app.refresh(token)
    app.clock.advance(timedelta(minutes=5) + A_MOMENT)
    assert app.is_dead(token)


def test_refreshing_keeps_a_grant_alive_for_years(app: App) -> None:
    token = app.consent()
    for _ in range(40):
        app.clock.advance(timedelta(days=59))
        token = app.refresh(token)
    assert app.identity_server.connections(app.response(token)["access_token"])


def test_consents_are_families_of_their_own(app: App) -> None:
    first, second = app.consent(), app.consent()
    app.refresh(first)
    app.refresh(first)
    assert not app.is_dead(second)


def test_a_deleted_secret_stops_refreshing_and_a_new_one_resumes_it(app: App) -> None:
    token = app.consent()
    app.identity_server.delete_secrets(app.client_id)
    with pytest.raises(TokenError, match="invalid_client"):
        app.refresh(token)
    app.client_secret = app.identity_server.add_secret(app.client_id)
    assert not app.is_dead(token)


def test_concurrent_refreshes_all_succeed_with_tokens_of_their_own(app: App) -> None:
    token = app.consent()
    with ThreadPoolExecutor(16) as pool:
        successors = list(pool.map(app.refresh, [token] * 100))
    assert len(set(successors)) == 100
    alive = [successor for successor in successors if not app.is_dead(successor)]
    assert len(alive) == (100 if app.identity_server.first_successor_survives else 1)


# Where the worlds differ


def test_where_the_first_successor_survives_all_of_them_do(survives: App) -> None:
    token = survives.consent()
    successors = [survives.refresh(token) for _ in range(3)]
    assert [survives.is_dead(successor) for successor in successors] == [False, False, False]


def test_where_the_first_successor_dies_only_the_latest_is_good(dies: App) -> None:
    token = dies.consent()
    successors = [dies.refresh(token) for _ in range(3)]
    assert [dies.is_dead(successor) for successor in successors] == [True, True, False]


def test_where_the_first_successor_dies_so_does_all_that_came_of_it(dies: App) -> None:
    token = dies.consent()
    grandchild = dies.refresh(dies.refresh(token))
    latest = dies.refresh(token)
    assert dies.is_dead(grandchild)
    assert not dies.is_dead(latest)


def test_a_long_chain_can_die_at_once(dies: App) -> None:
    token = dies.consent()
    last = token
    for _ in range(1100):
        last = dies.refresh(last)
    dies.refresh(token)
    assert dies.is_dead(last)


def test_the_world_can_change_while_running(survives: App) -> None:
    token = survives.consent()
    first = survives.refresh(token)
    survives.identity_server.first_successor_survives = False
    survives.refresh(token)
    assert survives.is_dead(first)


# Any history


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    survives=st.booleans(),
    steps=st.lists(
        st.tuples(st.integers(0, 40), st.booleans()), max_size=12
    ),  # minutes that pass, and whether the answer arrives
)
def test_a_client_that_replays_in_the_grace_never_loses_its_grant(
    signing_key: RSAKey, *, survives: bool, steps: list[tuple[int, bool]]
) -> None:
    app = App(signing_key, first_successor_survives=survives)
    stored = app.consent()
    lost_since = timedelta(0)
    pending = False
    for minutes, arrives in steps:
        # A lost answer is asked for again before its half hour is over.
        wait = min(timedelta(minutes=minutes), GRACE - lost_since) if pending else timedelta(minutes=minutes)
        app.clock.advance(wait)
        lost_since = lost_since + wait if pending else timedelta(0)
        if pending and lost_since >= GRACE:
            arrives = True  # noqa: PLW2901 - the last chance: losing this one too ends the grant
        successor = app.refresh(stored)
        pending = not arrives
        if arrives:
            stored = successor
            lost_since = timedelta(0)
    assert app.refresh(stored)
