import sys
import time
from collections.abc import Callable

type Progress = Callable[[str], None]
"""Takes one line about what is going on."""


def print_progress() -> Progress:
    """Print each line with the seconds since now."""
    began = time.monotonic()

    def report(line: str) -> None:
        sys.stdout.write(f"[{time.monotonic() - began:6.1f} s] {line}\n")
        sys.stdout.flush()

    return report
