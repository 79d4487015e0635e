"""Notice what AWS turns away, of every call and of every attempt that botocore makes of it."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from xero_connector.domain.ports import Observer

if TYPE_CHECKING:
    from botocore.client import BaseClient

_THROTTLED = frozenset(
    {
        "ProvisionedThroughputExceeded",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "ThrottledException",
        "Throttling",
        "ThrottlingError",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)
_REFUSED = frozenset(
    {
        "AccessDenied",
        "AccessDeniedException",
        "DecryptionFailure",
        "DisabledException",
        "EncryptionFailure",
        "KMSAccessDeniedException",
        "KMSInvalidStateException",
        "KMSNotFoundException",
        "KeyUnavailableException",
    }
)
"""No permission, or a key that is disabled, gone or not to be used.

Source: KMS and Secrets Manager, API references, "Errors" of each action and "Common errors".
"""


def count_refusals(client: "BaseClient", observer: Observer) -> None:
    """Have a client count `StoreThrottled` and `StoreRefused`, by the error codes of its service alone."""

    def received(parsed_response: Mapping[str, Any] | None, **_: object) -> None:
        codes = _codes(parsed_response or {})
        if codes & _THROTTLED:
            observer.count("StoreThrottled")
        if codes & _REFUSED:
            observer.count("StoreRefused")

    client.meta.events.register("response-received", received)


def _codes(answer: Mapping[str, Any]) -> set[str]:
    # A transaction is canceled for reasons of its own, one for each item.
    reasons = [answer.get("Error", {}), *answer.get("CancellationReasons", [])]
    return {str(reason.get("Code", "")) for reason in reasons}
