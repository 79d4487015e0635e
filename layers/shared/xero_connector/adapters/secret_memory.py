"""What this process read from the vault or wrote to it, so that it does not ask again.

A version of a secret never changes under its id, and the registry says which id is in force. So what is remembered
is handed out under its id alone: who asks for another version, because somebody swapped the secret or refreshed
the tokens meanwhile, is not served from here. The memory ends with the execution environment.
"""

from dataclasses import dataclass, field
from threading import Lock

MOST_CHARACTERS = 32_000_000
"""About ten thousand credentials, of a memory of 1,024 MB. What comes later is read each time."""


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a secret, and the ARN of the secret."""

    version_id: str
    content: str = field(repr=False)
    arn: str


class SecretMemory:
    """Remembers one version of each secret, that which was read or written last."""

    def __init__(self, most_characters: int = MOST_CHARACTERS) -> None:
        self._left = most_characters
        self._versions: dict[str, Version] = {}
        self._lock = Lock()

    def recall(self, name: str, version_id: str) -> Version | None:
        """Return this very version of a secret, if it is remembered."""
        found = self._versions.get(name)
        return found if found is not None and found.version_id == version_id else None

    def remember(self, name: str, version: Version) -> None:
        """Keep what was read, or was surely written, in the place of the version before, while there is room."""
        with self._lock:
            self._forget(name)
            if len(version.content) <= self._left:
                self._left -= len(version.content)
                self._versions[name] = version

    def forget(self, name: str) -> None:
        """Let go of a secret."""
        with self._lock:
            self._forget(name)

    def _forget(self, name: str) -> None:
        before = self._versions.pop(name, None)
        if before is not None:
            self._left += len(before.content)
