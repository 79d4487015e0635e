import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import requests

from local.xero_simulator.faults import LONGEST_DELAY, Endpoint, Fault, FaultKind
from local.xero_simulator.server import XeroSimulator
from local.xero_simulator.tests.conftest import Control, wait_until
from local.xero_simulator.tests.oauth_client import TIMEOUT, OAuthClient, refusal
from local.xero_simulator.user import XeroUser


def test_a_status_instead_of_the_effect(web_app: OAuthClient, user: XeroUser, control: Control) -> None:
    code = web_app.code(user)
    control(
        "faults",
        {"endpoint": "token", "kind": "status", "status": 429, "headers": {"Retry-After": "7"}, "times": 2},
    )
    for _ in range(2):
        answer = web_app.exchange(code)
        assert (answer.status_code, answer.headers["Retry-After"]) == (429, "7")
        with pytest.raises(requests.JSONDecodeError):
            answer.json()
    assert web_app.exchange(code).status_code == 200


def test_a_status_can_look_like_a_refusal(web_app: OAuthClient, user: XeroUser, control: Control) -> None:
    refresh_token = web_app.tokens(user)["refresh_token"]
    control("faults", {"endpoint": "token", "kind": "status", "status": 400, "error": "invalid_grant"})
    assert refusal(web_app.refresh(refresh_token)) == "invalid_grant"
    assert web_app.refresh(refresh_token).status_code == 200


def test_the_firewalls_page(web_app: OAuthClient, control: Control) -> None:
    control("faults", {"endpoint": "authorize", "kind": "html_403"})
    answer = web_app.authorize()
    assert answer.status_code == 403
    assert answer.headers["Content-Type"].startswith("text/html")
    assert "Access Denied" in answer.text
    assert web_app.authorize().status_code == 302


def test_a_delay(web_app: OAuthClient, user: XeroUser, control: Control) -> None:
    code = web_app.code(user)
    control("faults", {"endpoint": "token", "kind": "delay", "seconds": 0.3})
    started = time.monotonic()
    assert web_app.exchange(code).status_code == 200
    assert time.monotonic() - started >= 0.3


def test_a_delayed_answer_after_the_client_gave_up(
    simulator: XeroSimulator, web_app: OAuthClient, user: XeroUser, capfd: pytest.CaptureFixture[str]
) -> None:
    code = web_app.code(user)
    simulator.faults.add(Fault(Endpoint.TOKEN, FaultKind.DELAY, delay=timedelta(seconds=0.2)))
    with pytest.raises(requests.ReadTimeout):
        requests.post(
            f"{web_app.url}/connect/token",
            data={"grant_type": "authorization_code", "code": code},
            auth=web_app.basic,
            timeout=0.05,
        )
    # Xero carried it out, so the code is used up.
    wait_until(lambda: simulator.journal.entries[-1]["path"] == "/connect/token")
    assert refusal(web_app.exchange(code)) == "invalid_grant"
    assert capfd.readouterr().err == ""


def test_stopping_does_not_wait_for_delays() -> None:
    with XeroSimulator() as simulator, ThreadPoolExecutor(1) as pool:
        simulator.faults.add(Fault(Endpoint.JWKS, FaultKind.DELAY, delay=LONGEST_DELAY))
        address = f"{simulator.url}/.well-known/openid-configuration/jwks"
        answer = pool.submit(requests.get, address, timeout=TIMEOUT)
        wait_until(lambda: not simulator.faults.pending)
        simulator.stop()
        assert answer.result().status_code == 200  # within TIMEOUT, long before the delay is over


@pytest.mark.parametrize("kind", ["drop_before", "drop_after"])
def test_a_dropped_connection_makes_no_noise(
    web_app: OAuthClient, user: XeroUser, control: Control, capfd: pytest.CaptureFixture[str], kind: str
) -> None:
    code = web_app.code(user)
    control("faults", {"endpoint": "token", "kind": kind})
    with pytest.raises(requests.ConnectionError):
        web_app.exchange(code)
    captured = capfd.readouterr()
    assert (captured.out, captured.err) == ("", "")


def test_dropped_before_the_effect(web_app: OAuthClient, user: XeroUser, control: Control) -> None:
    code = web_app.code(user)
    control("faults", {"endpoint": "token", "kind": "drop_before"})
    with pytest.raises(requests.ConnectionError):
        web_app.exchange(code)
    assert web_app.exchange(code).status_code == 200


def test_dropped_after_the_effect(web_app: OAuthClient, user: XeroUser, control: Control) -> None:
    code = web_app.code(user)
    control("faults", {"endpoint": "token", "kind": "drop_after"})
    with pytest.raises(requests.ConnectionError):
        web_app.exchange(code)
    assert refusal(web_app.exchange(code)) == "invalid_grant"


def test_a_refresh_dropped_after_its_effect_starts_the_grace(
    web_app: OAuthClient, user: XeroUser, control: Control
) -> None:
    refresh_token = web_app.tokens(user)["refresh_token"]
    control("faults", {"endpoint": "token", "kind": "drop_after"})
    with pytest.raises(requests.ConnectionError):
        web_app.refresh(refresh_token)
    control("clock", {"advance_seconds": 1790})
    assert web_app.refresh(refresh_token).status_code == 200
    control("clock", {"advance_seconds": 20})
    assert refusal(web_app.refresh(refresh_token)) == "invalid_grant"


def test_a_disconnection_dropped_after_its_effect(web_app: OAuthClient, user: XeroUser, control: Control) -> None:
    access_token = web_app.tokens(user)["access_token"]
    connection_id = web_app.connections(access_token).json()[0]["id"]
    control("faults", {"endpoint": "connections", "kind": "drop_after"})
    with pytest.raises(requests.ConnectionError):
        web_app.disconnect(access_token, connection_id)
    assert web_app.disconnect(access_token, connection_id).status_code == 404


def test_a_revocation_that_fails_for_now(web_app: OAuthClient, user: XeroUser, control: Control) -> None:
    refresh_token = web_app.tokens(user)["refresh_token"]
    control("faults", {"endpoint": "revocation", "kind": "status", "status": 503})
    assert web_app.revoke(refresh_token).status_code == 503
    assert web_app.revoke(refresh_token).status_code == 200
    assert refusal(web_app.refresh(refresh_token)) == "invalid_grant"


def test_a_fault_stays_at_its_endpoint(web_app: OAuthClient, user: XeroUser, control: Control) -> None:
    control("faults", {"endpoint": "jwks", "kind": "status", "status": 500})
    web_app.tokens(user)
    address = f"{web_app.url}/.well-known/openid-configuration/jwks"
    answers = [requests.get(address, timeout=TIMEOUT).status_code for _ in range(2)]
    assert answers == [500, 200]


def test_faults_come_in_the_order_in_which_they_were_added(web_app: OAuthClient, control: Control) -> None:
    for status in (500, 503):
        control("faults", {"endpoint": "token", "kind": "status", "status": status})
    assert [web_app.exchange("bogus").status_code for _ in range(3)] == [500, 503, 400]


def test_faults_can_be_called_off(web_app: OAuthClient, control: Control) -> None:
    control("faults", {"endpoint": "token", "kind": "status", "status": 500, "times": 9})
    assert control("faults", method="DELETE").status_code == 204
    assert web_app.exchange("bogus").status_code == 400


def test_a_fault_happens_so_many_times_even_to_concurrent_requests(web_app: OAuthClient, control: Control) -> None:
    control("faults", {"endpoint": "token", "kind": "status", "status": 500, "times": 10})
    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(lambda _: web_app.exchange("bogus").status_code, range(20)))
    assert sorted(statuses) == [400] * 10 + [500] * 10


def test_an_answer_that_drips_comes_a_byte_at_a_time(
    web_app: OAuthClient, user: XeroUser, control: Control
) -> None:
    code = web_app.code(user)
    control("faults", {"endpoint": "token", "kind": "drip", "seconds": 0.001})
    assert web_app.exchange(code).json()["token_type"] == "Bearer"
    code = web_app.code(user)
    control("faults", {"endpoint": "token", "kind": "drip", "seconds": 0.1})
    with requests.post(
        f"{web_app.url}/connect/token",
        data={"grant_type": "authorization_code", "code": code},
        auth=web_app.basic,
        stream=True,
        timeout=TIMEOUT,
    ) as answer:
        assert next(answer.iter_content(1)) == b"{"
    # Xero carried it out.
    assert refusal(web_app.exchange(code)) == "invalid_grant"


def test_an_endless_answer_does_not_end(web_app: OAuthClient, control: Control) -> None:
    control("faults", {"endpoint": "jwks", "kind": "endless"})
    address = f"{web_app.url}/.well-known/openid-configuration/jwks"
    with requests.get(address, stream=True, timeout=TIMEOUT) as answer:
        assert "Content-Length" not in answer.headers
        read = 0
        for piece in answer.iter_content(65_536):
            read += len(piece)
            if read > 1_000_000:
                break
    assert read > 1_000_000
    assert requests.get(address, timeout=TIMEOUT).json()["keys"]
