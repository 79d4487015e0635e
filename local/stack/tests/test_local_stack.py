"""The local stack itself: two at once, and none left behind."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from local.stack import LocalStack
from local.stack.local_stack import CHECKOUT

pytestmark = pytest.mark.stack

GONE_WITHIN_SECONDS = 20
UP_WITHIN_SECONDS = 120
PORTS = re.compile(r"http://127\.0\.0\.1:(\d+)")


def is_open(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def processes_of(run: str) -> list[str]:
    """The processes whose command line or environment names this run's folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            told = (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
        except OSError:
            continue  # it ended in the meantime, or it belongs to another user
        if run.encode() in told:
            found.append(process.name)
    return found


# What the shared stack leaves at its default, so that the other side of each choice is deployed too.
# Not the gradual deployment: the local cloud has no CodeDeploy.
OTHER_CHOICES = {"ApiLogsRole": "create", "AlarmEmail": "ops@example.com", "RefreshConcurrency": "2"}


def test_two_stacks_run_side_by_side(local_stack: LocalStack) -> None:
    with LocalStack(report=lambda _: None, parameters=OTHER_CHOICES) as second:
        assert second.description.aws_endpoint_url != local_stack.description.aws_endpoint_url
        assert second.description.xero_url != local_stack.description.xero_url
        for stack in (local_stack, second):
            assert stack.admin.get("/credentials").status_code == 200
        assert second.aws("apigateway").get_account()["cloudwatchRoleArn"].startswith("arn:aws:iam::")
    assert local_stack.admin.get("/credentials").status_code == 200


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="looks processes up in /proc")
@pytest.mark.parametrize("blow", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda blow: blow.name)
def test_a_demo_that_is_killed_midway_leaves_no_process_and_no_port(blow: signal.Signals, tmp_path: Path) -> None:
    log = tmp_path / "demo.log"
    with log.open("w") as output:
        demo = subprocess.Popen(
            [sys.executable, "-m", "local.stack.demo"],
            cwd=CHECKOUT,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/")},
        )
    try:
        give_up_at = time.monotonic() + UP_WITHIN_SECONDS
        while "sam deploy" not in log.read_text():
            assert demo.poll() is None, log.read_text()
            assert time.monotonic() < give_up_at, log.read_text()
            time.sleep(0.2)
        ports = [int(port) for port in PORTS.findall(log.read_text())]
        assert len(ports) == 2
        assert all(is_open(port) for port in ports)
        assert processes_of(f"stacks/{demo.pid}-")
        demo.send_signal(blow)
        assert demo.wait(GONE_WITHIN_SECONDS) != 0
    finally:
        demo.kill()
        demo.wait()
    give_up_at = time.monotonic() + GONE_WITHIN_SECONDS
    while any(is_open(port) for port in ports) or processes_of(f"stacks/{demo.pid}-"):
        assert time.monotonic() < give_up_at, processes_of(f"stacks/{demo.pid}-")
        time.sleep(0.2)
