"""Refresh a credential at the request of an admin."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from xero_connector.domain.credential import Credential, IntegrationType
from xero_connector.domain.error_codes import BUSY
from xero_connector.domain.errors import Conflict, QuotaReached, XeroUnavailable
from xero_connector.domain.ports import Clock
from xero_connector.domain.status import FINAL, Status
from xero_connector.domain.token_endpoint import FailureKind
from xero_connector.services.find_credential import FindCredential
from xero_connector.services.refresh_credential import RefreshCredential
from xero_connector.services.refresh_turn import Outcome

_HEALED_BY = {
    Status.REAUTHORIZATION_REQUIRED: "Make a connect link and have a Xero user open it.",
    Status.CLIENT_REJECTED: "Generate a client secret at Xero and PUT it to /credentials/{client_id}/secret.",
}

_HINTS: Mapping[str, str] = {
    FailureKind.INVALID_GRANT: "Look again in two minutes. If Xero refuses again, a new consent is needed.",
    FailureKind.UNAUTHORIZED_CLIENT: "Check the app's integration type at Xero. The schedule tries again.",
    FailureKind.INVALID_SCOPE: "Check the app's scopes at Xero. The schedule tries again.",
}
_NO_GRANT = {
    IntegrationType.WEB_APP: _HEALED_BY[Status.REAUTHORIZATION_REQUIRED],
    IntegrationType.CUSTOM_CONNECTION: "Look at its status: the schedule gets tokens once the pair is proven.",
}


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class RefreshNow:
    """Runs the refresh protocol at once, within the version quota."""

    refresh_credential: RefreshCredential
    find_credential: FindCredential
    clock: Clock

    def __call__(self, client_id: str, *, by: str) -> Credential:
        """Refresh for an admin.

        Raises `NotFound`, `Conflict`, `QuotaReached`, or `XeroUnavailable` if Xero gave no new token.
        """
        credential = self.find_credential(client_id)
        wait = credential.allowance.wait_for_spare(self.clock())
        if wait:
            seconds = math.ceil(wait.total_seconds())
            raise QuotaReached(
                "More refreshes would use up the versions that Secrets Manager keeps of one secret.",
                code="version_quota",
                hint=f"Try again in {seconds} seconds. The schedule refreshes this credential in the meantime.",
                retry_after=seconds,
            )
        refresh = self.refresh_credential(credential, only_if_due=False, asked_by=by)
        if refresh.outcome is Outcome.BUSY:
            raise Conflict(
                "This credential is being refreshed right now.", code=BUSY, hint="Look at it again in a minute."
            )
        if refresh.outcome is Outcome.SKIPPED:
            raise Conflict(
                "This credential has no grant to refresh.",
                code="not_connected",
                hint=_how_to_connect(refresh.credential),
            )
        error = refresh.credential.last_error
        if refresh.outcome is Outcome.FAILED and error is not None:
            if refresh.credential.due_at is None or refresh.credential.status is Status.CLIENT_REJECTED:
                raise Conflict(
                    error.detail, code=str(refresh.credential.status), hint=_HEALED_BY[refresh.credential.status]
                )
            raise XeroUnavailable(
                error.detail,
                code=error.code,
                hint=_HINTS.get(
                    error.code, "The grant is safe, and the schedule tries again. Look again in a minute."
                ),
            )
        return refresh.credential


def _how_to_connect(credential: Credential) -> str:
    if credential.status in FINAL:
        return "It has ended: submit the pair again with POST /credentials."
    if credential.status is Status.DISCONNECTING:
        return "Wait until it is disconnected, then submit the pair again with POST /credentials."
    return _NO_GRANT[credential.integration_type]
