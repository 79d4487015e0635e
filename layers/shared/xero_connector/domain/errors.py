"""Every error that the connector raises on purpose, by what its reader must do.

::

    ConnectorError
    ├── RequestRefused            change the request
    │   ├── MalformedRequest        its form is wrong                       400
    │   │   └── BodyTooLarge          it is larger than it could be           413
    │   ├── NotFound                it names something that is missing      404
    │   ├── Conflict                it does not fit the current state       409
    │   ├── PairRefused             Xero refuses the pair                   422
    │   └── QuotaReached            it comes too soon                       429
    ├── ConsentRefused            start the consent again, or ask the administrator (a page)
    ├── SetupRefused              ask the administrator for another link, or open the page again (a page)
    ├── TokenEndpointFailure      see `token_endpoint`: each kind has its own remedy
    ├── ConnectionsUnavailable    try again: Xero did not list the organisations
    ├── IdTokenRefused            do not trust this answer
    ├── XeroUnavailable           try again: Xero gave no definite answer
    ├── StoreUnavailable          try again: DynamoDB, Secrets Manager, KMS or EventBridge did not do it
    │   ├── SecretNotVisible        the same; after 15 minutes the secret is gone
    │   └── SecretUnderAnotherKey   decide whose secret it is                409
    ├── RevisionConflict          read again: another process wrote the credential
    ├── LeaseUnavailable          wait: another process works on this credential
    ├── SecretDeleted             submit the pair again
    ├── VersionTaken              the version id has other content
    ├── IllegalMove               a defect: the status table forbids this
    └── ConfigurationError        fix the deployment
"""

from http import HTTPStatus
from typing import TYPE_CHECKING

from xero_connector.domain.error_codes import BUSY, STORE_UNAVAILABLE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from xero_connector.domain.checks import Check


class ConnectorError(Exception):
    """Root of the tree: a stable code, what happened, and a hint that says what to do next."""

    def __init__(self, detail: str, *, code: str, hint: str = "") -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.hint = hint


class RequestRefused(ConnectorError):
    """The caller has to change the request."""


class MalformedRequest(RequestRefused):
    """The request is not of the documented form."""

    def __init__(self, detail: str, *, code: str = "malformed_request", hint: str) -> None:
        super().__init__(detail, code=code, hint=hint)


class NotFound(RequestRefused):
    """The request names something that does not exist."""


class BodyTooLarge(MalformedRequest):
    """The body is larger than any pair could make it."""


class Conflict(RequestRefused):
    """The request does not fit the current state."""


class PairRefused(RequestRefused):
    """Xero gave a definite answer against the pair, so it is not stored; `checks` are those that were made.

    `half` is the half of the pair that is wrong, "client_id" or "client_secret", None where Xero does not tell.
    """

    def __init__(
        self, detail: str, *, code: str, hint: str, checks: "Mapping[str, Check]", half: str | None = None
    ) -> None:
        super().__init__(detail, code=code, hint=hint)
        self.checks = checks
        self.half = half


class QuotaReached(RequestRefused):
    """The request would use up what Secrets Manager allows; `retry_after` is in seconds."""

    def __init__(self, detail: str, *, code: str, hint: str, retry_after: int) -> None:
        super().__init__(detail, code=code, hint=hint)
        self.retry_after = retry_after


class ConsentRefused(ConnectorError):
    """A consent cannot go on (see `consent_refusals`); `can_retry` if opening the connect link again can help.

    `key` names the words of its page. `ticket` is that of the connect link, None where this browser does not hold
    it. `consent_id` names the consent whose page shows this refusal from now on, None where only the present
    answer does.
    """

    def __init__(
        self,
        detail: str,
        *,
        key: str,
        code: str,
        status: HTTPStatus,
        can_retry: bool,
        ticket: str | None = None,
        consent_id: str | None = None,
    ) -> None:
        super().__init__(detail, code=code)
        self.key = key
        self.status = status
        self.can_retry = can_retry
        self.ticket = ticket
        self.consent_id = consent_id

    def offering(self, ticket: str) -> "ConsentRefused":
        """Return the same refusal for the page of a browser that holds a ticket."""
        return ConsentRefused(
            self.detail,
            key=self.key,
            code=self.code,
            status=self.status,
            can_retry=self.can_retry,
            ticket=ticket,
            consent_id=self.consent_id,
        )


class SetupRefused(ConnectorError):
    """There is no setup page to show (see `setup_refusals`); `key` names the words of the page that is shown."""

    def __init__(self, detail: str, *, key: str, code: str, status: HTTPStatus) -> None:
        super().__init__(detail, code=code)
        self.key = key
        self.status = status


class ConnectionsUnavailable(ConnectorError):
    """Xero did not list or remove the organisations; `definite` if asking again would not help.

    `unauthorized` means that Xero refuses the access token itself; that is definite, too.
    """

    def __init__(self, detail: str, *, definite: bool = False, unauthorized: bool = False) -> None:
        definite = definite or unauthorized
        super().__init__(detail, code="connections_refused" if definite else "connections_unavailable")
        self.definite = definite
        self.unauthorized = unauthorized


KEYS_UNAVAILABLE = "keys_unavailable"
"""The code of an `IdTokenRefused` if the signing keys could not be fetched."""


class IdTokenRefused(ConnectorError):
    """The ID token does not prove what it must (OpenID Connect Core §3.1.3.7)."""


class XeroUnavailable(ConnectorError):
    """Xero gave no definite answer; nothing was changed by the request."""


class StoreUnavailable(ConnectorError):
    """DynamoDB, Secrets Manager or EventBridge did not do what was asked, or did not say whether it did.

    `operation` is the API action and `reason` the service's error code: both are safe to log.
    """

    def __init__(
        self,
        operation: str,
        reason: str,
        *,
        detail: str | None = None,
        code: str = STORE_UNAVAILABLE,
        hint: str = "Try again in a minute. If this continues, look at the alarms of this deployment.",
    ) -> None:
        super().__init__(detail or f"{operation} failed: {reason}.", code=code, hint=hint)
        self.operation = operation
        self.reason = reason


UNUSABLE = frozenset({"UnreadableVersion", "MalformedSeal", "InvalidSeal", "InvalidCiphertextException"})
"""Reasons for which the store answered, but its content is unusable: this is not an outage."""


class RowUnreadable(StoreUnavailable):
    """An item of the registry cannot be read: it was changed by hand, or a later release wrote it."""

    def __init__(self, operation: str) -> None:
        super().__init__(
            operation,
            "UnreadableItem",
            code="row_unreadable",
            hint="The log line row_unreadable names the item. Restore it from the table's point-in-time recovery, "
            "or go back to the release that wrote it.",
        )


class SecretNotVisible(StoreUnavailable):
    """A version that the registry names cannot be read: not yet visible to this reader, or deleted."""

    def __init__(self) -> None:
        super().__init__("GetSecretValue", "VersionNotVisible")


UNDER_ANOTHER_KEY = "SecretUnderAnotherKey"
"""The reason of a `SecretUnderAnotherKey`."""


class SecretUnderAnotherKey(StoreUnavailable):
    """A secret is encrypted with a key that is not this deployment's; trying again does not help."""

    def __init__(self, operation: str, *, name: str, key_id: str, wanted: str) -> None:
        super().__init__(
            operation,
            UNDER_ANOTHER_KEY,
            detail=f"The secret {name} is encrypted with the key {key_id}. This deployment uses {wanted}.",
            code="secret_under_another_key",
            hint="If another deployment uses the secret, one of the two needs another SecretPrefix. If a "
            "deployment that is gone left it, schedule the secret for deletion and submit the pair again, or "
            "deploy with its key (VaultKeyArn). docs/operations.md says more: An old vault.",
        )


class RevisionConflict(ConnectorError):
    """Another process wrote the credential since it was read."""

    def __init__(self, client_id: str) -> None:
        super().__init__(
            f"The credential {client_id} changed while this request was working on it.",
            code="revision_conflict",
            hint="Look at the credential, then try again. This request wrote nothing.",
        )


class LeaseUnavailable(ConnectorError):
    """Another process has the lease of this credential, or took it over."""

    def __init__(self, client_id: str) -> None:
        super().__init__(
            f"Another process is working on {client_id}.",
            code=BUSY,
            hint="Try again in a minute: nothing is lost.",
        )


class SecretDeleted(ConnectorError):
    """The secret is scheduled for deletion, so it cannot be read."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"The secret {name} is scheduled for deletion.",
            code="secret_deleted",
            hint="Restore the secret in Secrets Manager, or submit the pair again with POST /credentials.",
        )


class VersionTaken(ConnectorError):
    """The version id is in use for other content."""

    def __init__(self, version_id: str) -> None:
        super().__init__(f"Version {version_id} has other content.", code="version_taken")


class IllegalMove(ConnectorError):
    """The status table does not allow this move."""


class ConfigurationError(ConnectorError):
    """The deployment lacks a setting, or has an invalid one."""
