"""Before a token is spent: does the vault take what Xero will answer?"""

from collections.abc import Callable
from threading import Lock

from xero_connector.domain.errors import UNDER_ANOTHER_KEY, StoreUnavailable

_FAILED_PROBES = 2
"""Two credentials whose secrets take no write are the vault's trouble, and not theirs."""
_OF_ONE_SECRET = frozenset(
    {
        "AccessDeniedException",
        "DecryptionFailure",
        "EncryptionFailure",
        "InvalidParameterException",
        "InvalidRequestException",
        "LimitExceededException",
        "ResourceNotFoundException",
        UNDER_ANOTHER_KEY,
    }
)
"""What can be the trouble of a single secret. Where all have it, the probe of each keeps its token."""


class VaultGate:
    """Lets tokens be presented while the vault takes writes; one for each sweep, shared by its threads.

    A token that is presented is used up. The first credentials of a sweep therefore write something that changes
    nothing, until one of them succeeds. An answer that the vault does not take closes the gate for all. An answer
    that it takes opens the gate again. Each sweep begins with a new gate, so that a vault that is back is noticed
    within a minute.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._probed = False
        self._failed_probes = 0
        self._closed = False
        self._was_closed = False

    @property
    def closed(self) -> bool:
        """Whether nothing may be presented at the moment."""
        return self._closed

    @property
    def was_closed(self) -> bool:
        """Whether the gate was closed at any time."""
        return self._was_closed

    def admit(self, probe: Callable[[], None] | None, *, in_trouble: bool) -> None:
        """Return if a token may be presented now; raises the `StoreUnavailable` that stands in the way.

        `probe` writes to the secret of this credential and is called where nothing is known yet, and where this
        credential was `in_trouble` with the vault before. None where it has no version that could be written
        again.
        """
        with self._lock:
            if self._closed:
                raise StoreUnavailable("PutSecretValue", "VaultClosed")
            if probe is None or (self._probed and not in_trouble):
                return
            try:
                probe()
            except StoreUnavailable as trouble:
                self._failed_probes += trouble.reason not in _OF_ONE_SECRET
                if not self._probed and self._failed_probes >= _FAILED_PROBES:
                    self._close()
                raise
            self._probed = True

    def failed(self) -> None:
        """An answer of Xero could not be stored: nothing more is presented."""
        with self._lock:
            self._close()

    def succeeded(self) -> None:
        """An answer was stored: the vault takes writes."""
        with self._lock:
            self._probed = True
            self._closed = False

    def _close(self) -> None:
        self._closed = self._was_closed = True
