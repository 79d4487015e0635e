"""What a refresh that brought no tokens does to its credential."""

from dataclasses import replace
from datetime import datetime, timedelta
from enum import StrEnum

from xero_connector.domain.checks import Check, CheckResult, refused_pair_check
from xero_connector.domain.credential import Credential, IntegrationType
from xero_connector.domain.error_codes import VERSION_ALLOWANCE
from xero_connector.domain.errors import StoreUnavailable
from xero_connector.domain.parked_grant import ParkedGrant
from xero_connector.domain.refresh_policy import LOOK_AGAIN_AFTER, REACTIONS, VISIBLE_WITHIN, retry_at
from xero_connector.domain.rejection import OF_THE_CLIENT, SECRET_KEPT, counted_refusal
from xero_connector.domain.status import Status
from xero_connector.domain.token_endpoint import INCONCLUSIVE, FailureKind, TokenEndpointFailure
from xero_connector.domain.version_allowance import LOWEST_TO_REFRESH

_LOOKS_APART = timedelta(minutes=5)
SECRET_UNREADABLE = "secret_unreadable"  # noqa: S105 - the name of an error
CLIENT_SECRET_MISSING = "client_secret_missing"  # noqa: S105 - the name of an error

_OF_ONE_CREDENTIAL = frozenset(
    {
        FailureKind.INVALID_GRANT,
        FailureKind.INVALID_CLIENT,
        FailureKind.UNAUTHORIZED_CLIENT,
        FailureKind.INVALID_SCOPE,
        SECRET_UNREADABLE,
    }
)
"""Errors that are about one app, one grant or one secret."""


class Secret(StrEnum):
    """One of the two secrets of a credential."""

    CLIENT = "client"
    TOKENS = "tokens"


_UNREADABLE = {
    None: "A secret of this credential could not be read from Secrets Manager a moment ago. It is tried again.",
    Secret.CLIENT: "The client secret cannot be read from Secrets Manager now. It is tried each minute.",
    Secret.TOKENS: "The tokens cannot be read from Secrets Manager now. They are tried each minute.",
}
PAIR_GONE = "The client secret is no longer in Secrets Manager. Generate a new one at Xero and PUT it."
_TOKENS_GONE = "The tokens are no longer in Secrets Manager. A new consent brings new ones: make a connect link."


def after_failure(
    credential: Credential, failure: TokenEndpointFailure, *, unfinished: bool, now: datetime
) -> Credential:
    """Return the credential after a failure of the token endpoint.

    `unfinished` tells that an earlier attempt's outcome is unknown as well.
    """
    reaction = REACTIONS[failure.kind]
    counted = credential.failed(code=failure.code, detail=failure.detail, now=now)
    if failure.kind in OF_THE_CLIENT:
        counted = counted_refusal(counted, now)
    elif failure.kind not in INCONCLUSIVE:
        # Xero looks at the client first: it accepted the pair.
        counted = replace(counted, refused_since=None, refusals=0)
    if failure.kind is FailureKind.INVALID_CLIENT:
        counted = counted.checked(pair=refused_pair_check(now))
    # That this call did nothing says nothing about an earlier one whose answer is still missing. A Custom
    # connection asks anew, whatever became of what it asked before.
    custom = credential.integration_type is IntegrationType.CUSTOM_CONNECTION
    finished = custom or (reaction.attempt_finished and not unfinished)
    due_at = retry_at(
        failure.kind,
        failures=counted.failures,
        retry_after=failure.retry_after,
        now=now,
        unfinished_since=None if finished else credential.attempt_started_at,
    )
    return counted.move_to(_status_after(credential, failure)).released(
        due_at=due_at, attempt_finished=finished, now=now
    )


def _status_after(credential: Credential, failure: TokenEndpointFailure) -> Status:
    # While Xero says nothing definite, a refused pair stays a refused pair.
    if credential.status is Status.CLIENT_REJECTED and failure.kind in INCONCLUSIVE:
        return credential.status
    status = REACTIONS[failure.kind].status
    if status is not Status.DEGRADED:
        return status
    if credential.status is Status.REAUTHORIZATION_REQUIRED:
        return credential.status
    # Without a token yet there is nothing whose service could be degraded.
    return Status.VALIDATED if credential.generation == 0 else status


def waiting_for_allowance(credential: Credential, *, now: datetime, until: datetime) -> Credential:
    """Return a credential whose token waits until Secrets Manager takes another version."""
    detail = (
        "Secrets Manager keeps no further version of the tokens for now, so they are refreshed later. Readers can "
        "find an expired access token meanwhile. The grant is safe."
    )
    failed = credential.failed(code=VERSION_ALLOWANCE, detail=detail, now=now)
    if failed.status is Status.CONNECTED:
        failed = failed.move_to(Status.DEGRADED)
    return failed.released(due_at=until, attempt_finished=True, now=now)


def blocked(credential: Credential, trouble: StoreUnavailable, *, before: Credential, now: datetime) -> Credential:
    """Return a credential whose turn a store cut short, before anything was presented.

    `before` is the credential before the turn. It is tried again in a minute, behind those that are well.
    """
    failed = credential.failed(code=trouble.code, detail=trouble.detail, now=now)
    if failed.status is Status.CONNECTED:
        failed = failed.move_to(Status.DEGRADED)
    wait = max(LOOK_AGAIN_AFTER, credential.allowance.wait_for(LOWEST_TO_REFRESH, now))
    finished = before.attempt_started_at is None
    return failed.released(due_at=now + wait, attempt_finished=finished, now=now).looking_for(before)


def is_unreadable(credential: Credential) -> bool:
    """Whether the last that is known of a credential is that a secret of it could not be read."""
    return credential.last_error is not None and credential.last_error.code == SECRET_UNREADABLE


def is_its_own_trouble(credential: Credential) -> bool:
    """Whether the last that is known of a credential says that this one is in trouble, and not all of them."""
    return credential.last_error is not None and credential.last_error.code in _OF_ONE_CREDENTIAL


def unreadable_since(credential: Credential, now: datetime, *, detail: str) -> datetime:
    """Return since when a secret has been unreadable at every look; `detail` says which secret it is.

    Any other outcome in between begins anew, and so does a look that is missing: both can hide that it was there.
    """
    if credential.unreadable_since is None or credential.last_error is None or not is_unreadable(credential):
        return now
    if credential.last_error.detail != detail:
        # It was another secret.
        return now
    return credential.unreadable_since if now - credential.last_error.at <= _LOOKS_APART else now


def readable_again(credential: Credential) -> Credential:
    """Take back that a secret could not be read."""
    if not is_unreadable(credential):
        return credential
    others = credential.lease, credential.consenting, credential.attempt_started_at
    due = (
        credential.has_grant
        or credential.status is Status.PENDING_VALIDATION
        or any(one is not None for one in others)
    )
    due_at = credential.due_at if due else None
    return replace(credential, last_error=None, failures=0, unreadable_since=None, due_at=due_at)


def without_secret(credential: Credential, *, missing: Secret | None, now: datetime) -> Credential:
    """Return a credential whose secret could not be read: it may lag for a while, and then it is gone.

    `missing` is the secret that cannot be read at a second look either, None if it is there by now.
    """
    detail = _UNREADABLE[missing]
    since = now if missing is None else unreadable_since(credential, now, detail=detail)
    if now - since < VISIBLE_WITHIN:
        failed = replace(credential.failed(code=SECRET_UNREADABLE, detail=detail, now=now), unreadable_since=since)
        if failed.status is Status.CONNECTED:
            failed = failed.move_to(Status.DEGRADED)
        return failed.released(
            due_at=now + LOOK_AGAIN_AFTER, attempt_finished=credential.attempt_started_at is None, now=now
        )
    if missing is Secret.TOKENS:
        return given_up(credential, code="tokens_missing", detail=_TOKENS_GONE, now=now)
    check = Check(CheckResult.FAIL, PAIR_GONE, now)
    gone = credential.failed(code=CLIENT_SECRET_MISSING, detail=PAIR_GONE, now=now).checked(pair=check)
    if credential.status is Status.PENDING_VALIDATION:
        # It is kept like any rejected pair: a new secret heals it.
        return gone.move_to(Status.REJECTED).released(due_at=now + SECRET_KEPT, attempt_finished=True, now=now)
    return gone.move_to(Status.CLIENT_REJECTED).released(due_at=None, attempt_finished=True, now=now)


def given_up(credential: Credential, *, code: str, detail: str, now: datetime) -> Credential:
    """Return a credential that only a new consent helps; a disconnect tries a token that was parked."""
    failed = credential.failed(code=code, detail=detail, now=now).move_to(Status.REAUTHORIZATION_REQUIRED)
    if failed.parked is not None:
        failed = replace(failed, parked=None).leaving_behind(failed.parked, now=now)
    return failed.released(due_at=None, attempt_finished=True, now=now)


def look_again_or_forget(credential: Credential, now: datetime) -> Credential:
    """Return a credential of which cut-off work is looked for: what it stored may still lag."""
    started_at = credential.consenting_since or credential.attempt_started_at
    if started_at is not None and now - started_at < VISIBLE_WITHIN:
        again = now + LOOK_AGAIN_AFTER
        due_at = (
            again
            if credential.refresh_due_at is None or not credential.has_grant
            else min(again, credential.refresh_due_at)
        )
        return credential.released(due_at=due_at, attempt_finished=credential.has_grant, now=now)
    forgotten = replace(credential, consenting=None, consenting_since=None)
    if credential.consenting is not None and credential.consenting != credential.grant_consent:
        # Xero may still have given tokens for it: a disconnect says so.
        lost = ParkedGrant(
            sealed="", obtained_at=credential.consenting_since or now, consent=credential.consenting
        )
        forgotten = forgotten.leaving_behind(lost, now=now)
    looks_again = now + LOOK_AGAIN_AFTER if is_unreadable(credential) else None
    next_due_at = (credential.refresh_due_at if credential.has_grant else None) or looks_again
    return forgotten.released(due_at=next_due_at, attempt_finished=True, now=now)
