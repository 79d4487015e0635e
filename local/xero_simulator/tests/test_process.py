import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from local.xero_simulator.__main__ import main
from local.xero_simulator.server import XeroSimulator
from local.xero_simulator.tests.oauth_client import TIMEOUT, OAuthClient
from local.xero_simulator.user import XeroUser

CHECKOUT = Path(__file__).parents[3]


@contextmanager
def simulator_process(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "local.xero_simulator", *arguments]
    process = subprocess.Popen(  # noqa: S603 - this interpreter, with arguments from the tests below
        command, cwd=CHECKOUT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def url_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return str(json.loads(process.stdout.readline())["url"])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_serves_until_told_to_stop(number: signal.Signals) -> None:
    with simulator_process("--port", "0") as process:
        url = url_of(process)
        configuration = requests.get(f"{url}/.well-known/openid-configuration", timeout=TIMEOUT).json()
        assert configuration["issuer"] == url
        process.send_signal(number)
        out, err = process.communicate(timeout=TIMEOUT)
    assert (process.returncode, out, err) == (0, "", "")


@pytest.mark.parametrize(("world", "status"), [("first-successor-survives", 200), ("first-successor-dies", 400)])
def test_the_world_is_an_option(world: str, status: int) -> None:
    with simulator_process("--grace-world", world) as process:
        url = url_of(process)
        app = requests.post(f"{url}/_simulator/apps", json={"integration_type": "web_app"}, timeout=TIMEOUT)
        client = OAuthClient(url, **app.json())
        with requests.Session() as browser:
            refresh_token = client.tokens(XeroUser(browser))["refresh_token"]
        first = client.refresh(refresh_token).json()["refresh_token"]
        client.refresh(refresh_token)
        assert client.refresh(first).status_code == status


def test_a_port_that_is_taken_is_told_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with simulator_process("--port", str(port)) as process:
            _, err = process.communicate(timeout=TIMEOUT)
    assert process.returncode == 1
    assert err.startswith(f"cannot listen on port {port}: ")
    assert err.count("\n") == 1
    with pytest.raises(SystemExit):
        main(["--grace-world", "flat"])
    assert "invalid choice" in capsys.readouterr().err


def test_two_simulators_run_side_by_side() -> None:
    with XeroSimulator() as first, XeroSimulator() as second:
        assert first.url != second.url
        client_id, client_secret = first.identity_server.register_app()
        assert second.identity_server.is_registered(client_id) is False
        assert OAuthClient(first.url, client_id, client_secret).exchange("bogus").json() == {
            "error": "invalid_grant"
        }


def test_a_stopped_simulator_frees_its_port_and_may_be_stopped_again() -> None:
    with XeroSimulator() as simulator:
        port = int(simulator.url.rpartition(":")[2])
    simulator.stop()
    with XeroSimulator(port=port) as again:
        assert again.url == simulator.url
