import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from local.stack.processes import GuardedProcess, LocalStackError

CHECKOUT = Path(__file__).resolve().parents[3]
# A child that has a child: both print their ids, and neither ends without a signal.
FAMILY = """
import os, pathlib, subprocess, sys, time
if len(sys.argv) == 2:
    subprocess.Popen([sys.executable, __file__, sys.argv[1], "grandchild"])
pathlib.Path(sys.argv[1], str(os.getpid())).touch()
time.sleep(600)
"""
HOLDER = """
import os, pathlib, sys, time
from local.stack.processes import GuardedProcess
place = pathlib.Path(sys.argv[1])
process = GuardedProcess([sys.executable, str(place / "family.py"), str(place / "pids")],
                         environment=os.environ, directory=place, log=place / "log")
time.sleep(600)
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "pids").mkdir()
    (tmp_path / "family.py").write_text(FAMILY)
    return tmp_path


def family_of_two(place: Path) -> list[int]:
    end = time.monotonic() + 10
    while time.monotonic() < end:
        pids = [int(entry.name) for entry in (place / "pids").iterdir()]
        if len(pids) == 2:
            return pids
        time.sleep(0.02)
    raise AssertionError((place / "log").read_text())


def is_running(pid: int) -> bool:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, 0)
        return True
    return False


def wait_until_gone(pids: list[int]) -> None:
    end = time.monotonic() + 10
    while any(map(is_running, pids)):
        assert time.monotonic() < end, f"still running: {pids}"
        time.sleep(0.02)


def test_stopping_ends_the_whole_family(place: Path) -> None:
    with GuardedProcess(
        [sys.executable, str(place / "family.py"), str(place / "pids")],
        environment=os.environ,
        directory=place,
        log=place / "log",
    ):
        pids = family_of_two(place)
    assert not any(map(is_running, pids))


def test_the_family_ends_when_its_holder_is_killed_outright(place: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(place)], cwd=CHECKOUT) as holder:  # noqa: S603
        pids = family_of_two(place)
        holder.send_signal(signal.SIGKILL)
    wait_until_gone(pids)


def test_a_failed_command_is_reported_with_the_end_of_its_output(place: Path) -> None:
    process = GuardedProcess(
        [sys.executable, "-c", "print('no such region'); raise SystemExit(3)"],
        environment=os.environ,
        directory=place,
        log=place / "log",
    )
    with process, pytest.raises(LocalStackError, match=r"(?s)sam deploy failed \(exit code 3\).*no such region"):
        process.wait(seconds=10, what="sam deploy", report=lambda _: None)
