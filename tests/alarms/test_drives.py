"""Each alarm goes off in what it is for, and ends when that ends."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from tests.alarms.cloudformation import Stack
from tests.alarms.fleet import Fleet, board_of, drives
from tests.fakes.interruptions import die
from tests.handlers.conftest import Event, sample_event
from xero_connector.domain.errors import StoreUnavailable
from xero_connector.domain.ports import Due
from xero_connector.domain.token_endpoint import FailureKind

LIST = sample_event("credential_api/list")
CALLBACK = sample_event("oauth_callback/callback")
SETUP_PAGE = sample_event("setup_page/show")


def unavailable(*_: object, **__: object) -> None:
    raise StoreUnavailable("Query", "InternalServerError")


def break_down(fleet: Fleet, monkeypatch: pytest.MonkeyPatch, store: str, call: str) -> None:
    monkeypatch.setattr(getattr(fleet.world, store), call, unavailable)


# --- requests ----------------------------------------------------------------------------------------------------


@drives("CredentialApiErrors", "OAuthCallbackErrors", "SetupPageErrors", "RequestsFail")
@pytest.mark.parametrize(
    ("function", "event", "alarm"),
    [
        ("credential_api", LIST, "CredentialApiErrors"),
        ("oauth_callback", CALLBACK, "OAuthCallbackErrors"),
        ("setup_page", SETUP_PAGE, "SetupPageErrors"),
    ],
)
def test_a_function_that_fails(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, function: str, event: Event, alarm: str
) -> None:
    fleet.request(function, event)
    fleet.run(5)
    assert fleet.on == set()
    with monkeypatch.context() as patched:
        patched.setattr(f"functions.{function}.handler.app.resolve", lambda *_: die())
        assert fleet.request(function, event) == 502
    fleet.run(5)
    assert fleet.on == {alarm, "RequestsFail"}
    assert fleet.board.notices == ["RequestsFail"]
    fleet.run(15)
    assert fleet.on == set()


@drives("CredentialApiThrottles", "OAuthCallbackThrottles", "SetupPageThrottles")
@pytest.mark.parametrize("function", ["CredentialApi", "OAuthCallback", "SetupPage"])
def test_lambda_turns_requests_away(fleet: Fleet, function: str) -> None:
    fleet.put("AWS/Lambda", "Throttles", {"FunctionName": function}, 1)
    fleet.run(5)
    assert fleet.on == {f"{function}Throttles", "RequestsFail"}
    fleet.run(15)
    assert fleet.on == set()


@drives("ApiServerErrors")
def test_requests_are_answered_with_server_errors(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        break_down(fleet, patched, "registry", "page")
        assert fleet.request("credential_api", LIST) == 503
        fleet.run(5)
        assert fleet.on == set()
        for _ in range(2):
            for _ in range(5):
                assert fleet.request("credential_api", LIST) == 503
            fleet.run(5)
    assert fleet.on == {"ApiServerErrors", "RequestsFail"}
    fleet.run(15)
    assert fleet.on == set()


# --- why nothing is refreshed ------------------------------------------------------------------------------------


@drives("TokenRefreshErrors", "RefreshStopped", "RefreshCauses")
def test_ticks_that_fail(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        break_down(fleet, patched, "registry", "due")
        fleet.run(2)
        assert "TokenRefreshErrors" not in fleet.on
        fleet.run(1)
        assert {"TokenRefreshErrors", "RefreshStopped", "RefreshCauses"} <= fleet.on
        fleet.run(10)
    assert fleet.board.notices == ["RefreshStopped"]
    fleet.run(20)
    assert fleet.on == set()


@drives("TokenRefreshSilent")
def test_no_ticks(fleet: Fleet) -> None:
    fleet.skip(6)
    assert {"TokenRefreshSilent", "RefreshStopped"} <= fleet.on
    fleet.skip(10)
    assert fleet.board.notices == ["RefreshStopped"]
    fleet.run(30)
    assert fleet.on == set()


@drives("TokenRefreshThrottles")
def test_lambda_turns_ticks_away(fleet: Fleet) -> None:
    for _ in range(3):
        fleet.put("AWS/Lambda", "Throttles", {"FunctionName": "TokenRefresh"}, 1)
        fleet.skip(1)
    assert {"TokenRefreshThrottles", "RefreshStopped"} <= fleet.on
    fleet.run(20)
    assert fleet.on == set()


@drives("VaultRefusesWrites", "StoresInTrouble")
def test_the_vault_takes_no_writes(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        break_down(fleet, patched, "vault", "put_tokens")
        fleet.run(12)
        assert {"VaultRefusesWrites", "StoresInTrouble"} <= fleet.on
    fleet.run(30)
    assert fleet.on == set()


@drives("XeroAway")
def test_xero_answers_nobody(deployed: Fleet) -> None:
    deployed.connect(120)
    deployed.run(20, look=False)
    deployed.refuse(deployed.client_ids, FailureKind.UNANSWERED)
    deployed.run(12)
    assert {"XeroAway", "RefreshCauses"} <= deployed.on
    deployed.refused.clear()
    deployed.run(30)
    assert deployed.on == set()
    # What comes of it rings too, and sends nothing.
    assert "TokensRunningOut" in {name for _, name in deployed.board.rang}
    assert deployed.board.notices == ["XeroAway", "OK XeroAway"]


# --- what comes of it --------------------------------------------------------------------------------------------


@drives("TokensRunningOut", "RefreshSuffers")
@pytest.mark.parametrize("kind", [FailureKind.UNAVAILABLE, FailureKind.THROTTLED, FailureKind.EDGE_REFUSED])
def test_tokens_run_out(fleet: Fleet, kind: FailureKind) -> None:
    fleet.refuse(fleet.client_ids[:6], kind)
    fleet.run(40)
    assert {"TokensRunningOut", "RefreshSuffers"} <= fleet.on
    assert [name for _, name in fleet.board.rang].count("TokensRunningOut") == 1
    assert fleet.board.notices == ["RefreshSuffers"]
    fleet.refused.clear()
    fleet.run(30)
    assert fleet.on == set()
    assert fleet.board.notices == ["RefreshSuffers", "OK RefreshSuffers"]


@drives("RefreshUnanswered")
def test_outcomes_stay_unknown(fleet: Fleet) -> None:
    fleet.refuse(fleet.client_ids[:6], FailureKind.UNANSWERED)
    fleet.run(45)
    assert "RefreshUnanswered" in fleet.on
    fleet.refused.clear()
    fleet.run(30)
    assert fleet.on == set()


@drives("CredentialsBlocked")
def test_turns_end_with_errors_on_our_side(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        break_down(fleet, patched, "vault", "get_client_pair")
        fleet.run(30)
        assert "CredentialsBlocked" in fleet.on
    fleet.run(30)
    assert fleet.on == set()


@drives("SweepLagging")
def test_there_is_more_work_than_a_run_can_do(deployed: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    deployed.connect(40)
    deployed.run(20, look=False)
    due = deployed.world.registry.due

    def longest_overdue(*, shard: str, now: datetime, limit: int) -> Sequence[Due]:
        return due(shard=shard, now=now - timedelta(seconds=200), limit=limit)

    with monkeypatch.context() as patched:
        patched.setattr(deployed.world.registry, "due", longest_overdue)
        deployed.run(15)
        assert "SweepLagging" in deployed.on
    deployed.run(30)
    assert deployed.on == set()


@drives("SweepsCutOff")
def test_no_run_comes_to_its_end(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(fleet.world.registry, "due", lambda **_: die())
        fleet.run(6)
        assert "SweepsCutOff" in fleet.on
    fleet.run(30)
    assert fleet.on == set()


@pytest.mark.parametrize("number", ["2", "4"])
def test_one_of_several_schedules_stands_still(fleet: Fleet, number: str) -> None:
    stack = Stack(RefreshSchedules=number, AlarmEmail="ops@example.com")
    fleet.board = board_of(stack)
    ticks: list[Event] = [{"shards": [str(shard)]} for shard in range(int(number))]
    fleet.ticks = ticks
    fleet.run(10, look=False)
    fleet.run(20)
    assert "SweepsCutOff" not in fleet.on
    fleet.ticks = ticks[:-1]
    fleet.run(10)
    assert "SweepsCutOff" in fleet.on
    fleet.ticks = ticks
    fleet.run(10)
    assert "SweepsCutOff" not in fleet.on


@drives("TicksFailing")
def test_one_tick_fails_and_that_is_over_soon(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        break_down(fleet, patched, "registry", "due")
        fleet.run(1)
    fleet.run(5)
    assert fleet.on == {"TicksFailing", "RefreshSuffers"}
    fleet.run(15)
    assert fleet.on == set()


@drives("FleetUncounted")
def test_nobody_counts_the_fleet(fleet: Fleet) -> None:
    fleet.counted = lambda: None
    fleet.run(30)
    assert fleet.on == {"FleetUncounted", "RefreshSuffers"}
    fleet.counted = lambda: 12
    fleet.run(15)
    assert fleet.on == set()


# --- each by itself ----------------------------------------------------------------------------------------------


@drives("FleetShrunk")
@pytest.mark.parametrize(
    ("before", "after", "rings"), [(100, 0, True), (100, 49, True), (10, 0, True), (100, 51, False), (9, 0, False)]
)
def test_the_registry_is_emptied_or_replaced(deployed: Fleet, *, before: int, after: int, rings: bool) -> None:
    deployed.world.advance(300 - deployed.world.now.timestamp() % 300)
    deployed.counted = lambda: before
    deployed.run(20, look=False)
    deployed.run(20)
    assert deployed.on == set()
    deployed.counted = lambda: after
    deployed.run(10)
    assert ("FleetShrunk" in deployed.on) is rings
    deployed.run(60)
    assert deployed.on == set()
    assert deployed.board.notices == (["FleetShrunk", "OK FleetShrunk"] if rings else [])


@drives("ManyNeedCustomers")
@pytest.mark.parametrize(
    "kind",
    [
        FailureKind.INVALID_CLIENT,
        FailureKind.INVALID_GRANT,
        FailureKind.UNAUTHORIZED_CLIENT,
        FailureKind.INVALID_SCOPE,
    ],
)
def test_several_credentials_stop_at_once(fleet: Fleet, kind: FailureKind) -> None:
    fleet.refuse(fleet.client_ids[:2], kind)
    fleet.run(30)
    assert fleet.on == set()
    fleet.refuse(fleet.client_ids[2:8], kind)
    fleet.run(30)
    assert "ManyNeedCustomers" in fleet.on
    fleet.run(75)
    assert "ManyNeedCustomers" not in fleet.on


@drives("SecretsMissing")
def test_a_secret_is_gone(fleet: Fleet) -> None:
    name = fleet.world.vault.client_secret_name(fleet.client_ids[0])
    del fleet.world.vault.versions[name]
    fleet.run(45)
    assert "SecretsMissing" in {name for _, name in fleet.board.rang}
    fleet.run(20)
    assert fleet.on == set()


@drives("VersionsUsedUp")
def test_secrets_manager_takes_no_further_versions(fleet: Fleet) -> None:
    def exhaust(client_ids: list[str]) -> None:
        for client_id in client_ids:
            row = fleet.world.credential(client_id)
            used_up = row.allowance.exhausted(fleet.world.now)
            fleet.world.registry.save(replace(row, allowance=used_up))

    exhaust(fleet.client_ids[:1])
    fleet.run(30)
    assert fleet.on == set()
    for _ in range(3):
        exhaust(fleet.client_ids)
        fleet.run(15)
    assert "VersionsUsedUp" in fleet.on
    fleet.run(120)
    assert fleet.on == set()


@drives("EventsWaiting")
def test_the_bus_takes_no_events(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        break_down(fleet, patched, "event_bus", "publish")
        fleet.world.connect("F" * 32)
        fleet.run(25)
        assert fleet.on == {"EventsWaiting"}
    fleet.run(10)
    assert fleet.on == set()
