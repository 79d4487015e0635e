"""One line a step, so that a long experiment shows that it still runs."""

import sys
import time
from collections.abc import Callable

type Progress = Callable[[str], object]

_AT_MOST_EVERY = 5.0
"""Seconds."""


def printing(name: str) -> Progress:
    """Return a progress that prints now and then, whatever it is told more often."""
    began = time.monotonic()
    last = began

    def say(what: str) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= _AT_MOST_EVERY:
            last = now
            sys.stderr.write(f"  {name} [{now - began:.0f} s] {what}\n")
            sys.stderr.flush()

    return say


def silent(_: str) -> None:
    """Say nothing."""
