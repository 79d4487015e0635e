"""Step in at one call of a fake: to end the process there, or to do what another process does meanwhile."""

from collections.abc import Callable
from threading import Lock
from typing import Any


class ProcessDied(BaseException):
    """The process is gone: no error handling of ours sees this."""


def die() -> None:
    raise ProcessDied


def _nothing() -> None: ...


def step_in(
    fake: object,
    method: str,
    *,
    before: Callable[[], object] = _nothing,
    after: Callable[[], object] = _nothing,
    skip: int = 0,
) -> None:
    """Do something right before or after one call of a fake's method: the next one, or the one after `skip`."""
    original: Callable[..., Any] = getattr(fake, method)
    first = Lock()
    skipped = iter(range(skip))

    def interrupted(*args: object, **kwargs: object) -> object:
        if next(skipped, None) is not None or not first.acquire(blocking=False):
            return original(*args, **kwargs)
        setattr(fake, method, original)
        before()
        answer: object = original(*args, **kwargs)
        after()
        return answer

    setattr(fake, method, interrupted)
