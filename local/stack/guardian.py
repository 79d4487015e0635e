"""Run one command, and kill it with all its descendants as soon as standard input ends.

The process that starts this has the other end of that pipe. However it ends, SIGKILL included, the pipe closes,
and the command ends with it.
Run by path, with the standard library only: `python guardian.py COMMAND [ARGUMENT ...]`.
"""

import contextlib
import ctypes
import os
import select
import signal
import subprocess
import sys
import time

PR_SET_CHILD_SUBREAPER = 36
KILL_WITHIN_SECONDS = 5.0


def main(command: list[str]) -> int:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # the pipe alone decides
    adopt_orphans()
    with subprocess.Popen(  # noqa: S603 - the caller's own command
        command,
        stdin=subprocess.DEVNULL,
        process_group=0,
        preexec_fn=default_signals,  # noqa: PLW1509 - no threads here
    ) as child:
        while child.poll() is None:
            readable, _, _ = select.select([0], [], [], 0.1)
            if readable and not os.read(0, 1):
                break
        exit_code = child.poll()
        kill_group(child.pid)
        child.wait()
    reap_adopted()
    return exit_code if exit_code is not None else 0


def default_signals() -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def adopt_orphans() -> None:
    """Have grandchildren reaped here, not left as zombies where process 1 does not reap (Linux only)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def kill_group(group: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


def reap_adopted() -> None:
    end = time.monotonic() + KILL_WITHIN_SECONDS
    while time.monotonic() < end:
        try:
            if os.waitpid(-1, os.WNOHANG) == (0, 0):
                time.sleep(0.01)
        except ChildProcessError:
            return


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
