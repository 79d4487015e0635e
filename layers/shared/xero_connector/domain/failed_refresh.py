"""What a refresh that brought no tokens does to its row."""

from dataclasses import replace
from datetime import datetime

from xero_connector.domain.checks import Check, CheckResult, refused_pair_check
from xero_connector.domain.credential import VERSION_ALLOWANCE, Credential, IntegrationType
from xero_connector.domain.refresh_policy import LOOK_AGAIN_AFTER, REACTIONS, VISIBLE_WITHIN, retry_at
from xero_connector.domain.status import Status
from xero_connector.domain.token_endpoint import INCONCLUSIVE, FailureKind, TokenEndpointFailure

_PAIR_GONE = "The client secret is no longer in Secrets Manager. Generate a new one at Xero and PUT it."
_TOKENS_GONE = "The tokens are no longer in Secrets Manager. A new consent brings new ones: make a connect link."


def after_failure(
    row: Credential, failure: TokenEndpointFailure, *, unfinished: bool, now: datetime
) -> Credential:
    """Return the row after a failure of the token endpoint.

    `unfinished` tells that an earlier attempt's outcome is unknown as well.
    """
    reaction = REACTIONS[failure.kind]
    counted = row.failed(code=failure.code, detail=failure.detail, now=now)
    if failure.kind is FailureKind.INVALID_CLIENT:
        counted = counted.checked(pair=refused_pair_check(now))
    # That this call did nothing says nothing about an earlier one whose answer is still missing. A Custom
    # connection asks anew, whatever became of what it asked before.
    custom = row.integration_type is IntegrationType.CUSTOM_CONNECTION
    finished = custom or (reaction.attempt_finished and not unfinished)
    due_at = retry_at(
        failure.kind,
        failures=counted.failures,
        retry_after=failure.retry_after,
        now=now,
        unfinished_since=None if finished else row.attempt_started_at,
    )
    return counted.move_to(_status_after(row, failure)).released(due_at=due_at, attempt_finished=finished, now=now)


def _status_after(row: Credential, failure: TokenEndpointFailure) -> Status:
    # While Xero says nothing definite, a refused pair stays a refused pair.
    if row.status is Status.CLIENT_REJECTED and failure.kind in INCONCLUSIVE:
        return row.status
    status = REACTIONS[failure.kind].status
    if status is not Status.DEGRADED:
        return status
    # Without a token yet there is nothing whose service could be degraded, nor where a consent alone would help.
    if row.generation == 0:
        return Status.VALIDATED
    return row.status if row.status is Status.REAUTHORIZATION_REQUIRED else status


def waiting_for_allowance(row: Credential, *, now: datetime, until: datetime) -> Credential:
    """Return the row of a credential whose token waits until Secrets Manager takes another version."""
    detail = (
        "Secrets Manager keeps no further version of the tokens for now, so they are refreshed later. Readers can "
        "find an expired access token meanwhile. The grant is safe."
    )
    failed = row.failed(code=VERSION_ALLOWANCE, detail=detail, now=now)
    if failed.status is Status.CONNECTED:
        failed = failed.move_to(Status.DEGRADED)
    return failed.released(due_at=until, attempt_finished=True, now=now)


def without_secret(row: Credential, *, pair_is_there: bool, now: datetime) -> Credential:
    """Return the row of a credential whose secret cannot be read: it may lag for a while, and then it is gone."""
    since = row.unreadable_since or now
    if now - since < VISIBLE_WITHIN:
        detail = "A secret of this credential cannot be read from Secrets Manager now. It is tried each minute."
        failed = replace(row.failed(code="secret_unreadable", detail=detail, now=now), unreadable_since=since)
        if failed.status is Status.CONNECTED:
            failed = failed.move_to(Status.DEGRADED)
        return failed.released(
            due_at=now + LOOK_AGAIN_AFTER, attempt_finished=row.attempt_started_at is None, now=now
        )
    if pair_is_there:
        gone = row.failed(code="tokens_missing", detail=_TOKENS_GONE, now=now).move_to(
            Status.REAUTHORIZATION_REQUIRED
        )
    else:
        check = Check(CheckResult.FAIL, _PAIR_GONE, now)
        gone = row.failed(code="client_secret_missing", detail=_PAIR_GONE, now=now).checked(pair=check)
        gone = gone.move_to(Status.CLIENT_REJECTED)
    return gone.released(due_at=None, attempt_finished=True, now=now)


def look_again_or_forget(row: Credential, now: datetime) -> Credential:
    """Return the row of a credential of which cut-off work is looked for: what it stored may still lag."""
    started_at = row.consenting_since or row.attempt_started_at
    if started_at is not None and now - started_at < VISIBLE_WITHIN:
        again = now + LOOK_AGAIN_AFTER
        due_at = again if row.refresh_due_at is None or not row.has_grant else min(again, row.refresh_due_at)
        return row.released(due_at=due_at, attempt_finished=row.has_grant, now=now)
    forgotten = replace(row, consenting=None, consenting_since=None)
    return forgotten.released(due_at=row.refresh_due_at if row.has_grant else None, attempt_finished=True, now=now)
