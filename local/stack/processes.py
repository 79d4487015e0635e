import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from pathlib import Path
from types import FrameType, TracebackType
from typing import Self

from local.stack.progress import Progress

GUARDIAN = Path(__file__).with_name("guardian.py")
PR_SET_PDEATHSIG = 1
TAIL_LINES = 40
SPEAKS_EVERY_SECONDS = 5.0


class LocalStackError(Exception):
    """The local stack could not be started; the message says which step, and where its log is."""


class GuardedProcess:
    """A child process that cannot outlive this one, nor can anything that it starts.

    Both output streams go to `log`.
    """

    def __init__(
        self, command: Sequence[str], *, environment: Mapping[str, str], directory: Path, log: Path
    ) -> None:
        self.log = log
        self._name = Path(command[0]).name
        with log.open("wb") as output:
            self._guardian = subprocess.Popen(  # noqa: S603 - commands of our own
                [sys.executable, "-S", str(GUARDIAN), *command],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=dict(environment),
                cwd=directory,
                start_new_session=True,  # a Ctrl-C is for this process, which then ends the child in order
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def exit_code(self) -> int | None:
        """None while it runs."""
        return self._guardian.poll()

    def stop(self) -> None:
        """Kill it and its descendants, and wait until they are gone."""
        if self._guardian.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self._guardian.stdin.close()
        self._guardian.wait()

    def output(self) -> str:
        return self.log.read_text(errors="replace")

    def _last_words(self) -> str:
        lines = (line.strip() for line in reversed(self.output().splitlines()))
        return next((line for line in lines if any(map(str.isalpha, line))), "…")[:100]

    def failure(self, what: str) -> LocalStackError:
        """Say what went wrong, with the end of the output."""
        tail = "\n".join(self.output().splitlines()[-TAIL_LINES:])
        return LocalStackError(f"{what} (exit code {self.exit_code}).\n{tail}\nThe whole log: {self.log}")

    def wait_for[T](self, answer: Callable[[], T | None], *, seconds: float, what: str) -> T:
        """Ask until there is an answer; fail when the process ends, or after `seconds`."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.exit_code is not None:
                raise self.failure(f"{self._name} ended before {what}")
            if (found := answer()) is not None:
                return found
            time.sleep(0.05)
        raise self.failure(f"{what} did not happen within {seconds:.0f} s")

    def wait(self, *, seconds: float, what: str, report: Progress) -> None:
        """Wait for a successful end, and say now and then what it is about."""
        end = time.monotonic() + seconds
        speaks_at = time.monotonic() + SPEAKS_EVERY_SECONDS
        while self.exit_code is None:
            if time.monotonic() > end:
                raise self.failure(f"{what} took more than {seconds:.0f} s")
            if time.monotonic() > speaks_at:
                report(f"  {what}: {self._last_words()}")
                speaks_at += SPEAKS_EVERY_SECONDS
            time.sleep(0.05)
        if self.exit_code != 0:
            raise self.failure(f"{what} failed")


def free_port() -> int:
    """A loopback port that is free right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def terminating_signals_raise() -> Generator[None]:
    """Make SIGTERM and SIGHUP what Ctrl-C is, so that `with` blocks clean up and pytest stops."""
    numbers = (signal.SIGTERM, signal.SIGHUP)

    def leave(_number: int, _frame: FrameType | None) -> None:
        for each in numbers:  # a closing terminal sends both: once is enough
            signal.signal(each, signal.SIG_IGN)
        raise KeyboardInterrupt

    before = {number: signal.signal(number, leave) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def uninterrupted() -> Generator[None]:
    """Let a clean-up finish: further Ctrl-Cs and SIGTERMs are ignored."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, signal.SIG_IGN) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def end_with_parent() -> None:
    """Receive SIGTERM when the parent (make) dies, even by SIGKILL, and do not run on alone (Linux only)."""
    parent = os.getppid()
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        if os.getppid() != parent:
            raise SystemExit(128 + signal.SIGTERM)
