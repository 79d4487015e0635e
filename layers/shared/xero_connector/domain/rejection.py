"""When a pair that was promised to be kept safe is given up: not on one word, and not for good at once."""

from dataclasses import replace
from datetime import datetime, timedelta

from xero_connector.domain.credential import Credential
from xero_connector.domain.refresh_policy import A_MINUTE, LONGEST_PAUSE, doubled
from xero_connector.domain.status import Status
from xero_connector.domain.token_endpoint import FailureKind

OF_THE_CLIENT = frozenset({FailureKind.INVALID_CLIENT, FailureKind.UNAUTHORIZED_CLIENT})
"""What says that Xero refuses the pair."""
REFUSALS_TO_REJECT = 3
REFUSED_FOR = timedelta(minutes=20)
"""Xero refuses a secret for some minutes after it was generated and saved; this is well above."""
SECRET_KEPT = timedelta(days=7)
"""How long the pair of a rejected credential stays, to be healed or proven again."""


def keeps_pair(credential: Credential) -> bool:
    """Whether a rejected credential still has its secret: it is due until the secret is deleted."""
    return credential.status is Status.REJECTED and credential.due_at is not None


def pair_kept_until(credential: Credential) -> datetime | None:
    """When the secret of a rejected credential is to be deleted."""
    return None if credential.last_error is None else credential.last_error.at + SECRET_KEPT


def is_refusal_sure(credential: Credential, now: datetime) -> bool:
    """Whether one more refusal by Xero confirms that the pair cannot work."""
    since = credential.refused_since
    return since is not None and credential.refusals + 1 >= REFUSALS_TO_REJECT and now >= since + REFUSED_FOR


def counted_refusal(credential: Credential, now: datetime) -> Credential:
    """Count that Xero refused the pair."""
    return replace(credential, refused_since=credential.refused_since or now, refusals=credential.refusals + 1)


def refused(credential: Credential, *, code: str, detail: str, now: datetime) -> Credential:
    """Write down that Xero refuses a pending pair, and reject it once that is sure."""
    counted = counted_refusal(credential.failed(code=code, detail=detail, now=now), now)
    sure_at = (credential.refused_since or now) + REFUSED_FOR
    if is_refusal_sure(credential, now):
        rejected = counted.move_to(Status.REJECTED)
        return rejected.released(due_at=now + SECRET_KEPT, attempt_finished=True, now=now)
    due_at = now + _pause(counted.failures)
    if now < sure_at < due_at:
        due_at = sure_at
    return counted.released(due_at=due_at, attempt_finished=True, now=now)


def undecided(credential: Credential, *, code: str, detail: str, now: datetime) -> Credential:
    """Write down that Xero gave no definite answer: that confirms nothing, and takes nothing back."""
    failed = credential.failed(code=code, detail=detail, now=now)
    return failed.released(due_at=now + _pause(failed.failures), attempt_finished=True, now=now)


def _pause(failures: int) -> timedelta:
    return doubled(A_MINUTE, failures, longest=LONGEST_PAUSE)
