"""Make what takes long to make when it is first used, and only if it is."""

from collections.abc import Callable
from threading import Lock
from typing import Any, cast


def at_first_use[Made](make: Callable[[], Made]) -> Made:
    """Return a stand-in for what `make` returns: it makes it, once, when something is first asked of it.

    For adapters and clients: their methods are called, and nothing looks at what they are.
    """
    return cast("Made", _StandIn(make))


class _StandIn:
    def __init__(self, make: Callable[[], object]) -> None:
        self._make = make
        self._made: object | None = None
        self._making = Lock()

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the real one has
        # Python comes here only for what a stand-in does not have itself: all that the real one has.
        with self._making:
            if self._made is None:
                self._made = self._make()
        return getattr(self._made, name)
