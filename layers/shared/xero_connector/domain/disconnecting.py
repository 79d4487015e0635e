"""What a disconnect does to its credential, step by step."""

from dataclasses import dataclass, field, replace
from datetime import datetime

from xero_connector.domain.credential import Credential, LastError
from xero_connector.domain.ending import Ending
from xero_connector.domain.parked_grant import ParkedGrant
from xero_connector.domain.rejection import counted_refusal
from xero_connector.domain.status import Status
from xero_connector.domain.token_endpoint import FailureKind


@dataclass(slots=True)
class GrantsAtHand:
    """What it takes to end the grants of one user: refresh tokens, the newest last, and an access token."""

    refresh_tokens: list[str] = field(repr=False)
    access_token: str | None = field(repr=False)
    sealed: tuple[ParkedGrant, ...]
    """Those that wait in the credential."""
    newest: ParkedGrant | None
    """Where the newest refresh token waits in the credential, None where it is in the vault or there is none."""
    scopes: tuple[str, ...] = ()
    is_last: bool = False
    may_be_rotated: bool = False
    """An attempt's answer was lost: the newest refresh token may have a successor that was never seen."""


def seems_dead(credential: Credential) -> bool:
    """Whether Xero called the only grant dead before."""
    if credential.earlier_grants or credential.parked is not None:
        return False
    refused = credential.last_error is not None and credential.last_error.code == FailureKind.INVALID_GRANT
    return refused or credential.status is Status.REAUTHORIZATION_REQUIRED


def begun(credential: Credential, *, before: Credential, by: str) -> Credential:
    """Begin a disconnect; `before` is the credential before the lease."""
    # Trouble from before says nothing about the disconnect; an attempt whose answer was lost says a lot.
    moved = credential.move_to(Status.DISCONNECTING, by=by)
    return replace(moved, last_error=None, failures=0, attempt_started_at=before.attempt_started_at)


def postponed(
    credential: Credential,
    *,
    code: str,
    detail: str,
    unreadable_since: datetime | None,
    client_refused: bool,
    now: datetime,
) -> Credential:
    """Write down what stands in the way of a disconnect."""
    failed = credential.failed(code=code, detail=detail, now=now)
    if client_refused:
        failed = counted_refusal(failed, now)
    return replace(failed, unreadable_since=unreadable_since or credential.unreadable_since)


def grants_done(credential: Credential) -> Credential:
    """Leave nothing of the grants: only the secrets are left."""
    return replace(credential, parked=None, earlier_grants=(), consenting=None, consenting_since=None, tenants=())


def ended(credential: Credential, ending: Ending, now: datetime) -> Credential:
    """End a credential, with what could not be ended at Xero."""
    leftover = ending.leftover
    return replace(
        grants_done(credential.move_to(Status.DISCONNECTED)),
        access_token_expires_at=None,
        refresh_token_expires_at=None,
        unreadable_since=None,
        refused_since=None,
        refusals=0,
        ending=None,
        last_error=None if leftover is None else LastError(leftover.code, leftover.detail, now),
    ).released(due_at=None, attempt_finished=True, now=now)


def with_successor(credential: Credential, grants: GrantsAtHand, successor: ParkedGrant) -> Credential:
    """Keep the successor of the newest refresh token in its place, or where the vault's may wait."""
    if grants.is_last:
        # The outcome of the attempt that was cut off is known now.
        credential = replace(credential, attempt_started_at=None)
    newest = grants.newest
    if newest is not None and newest != credential.parked:
        earlier = tuple(successor if grant == newest else grant for grant in credential.earlier_grants)
        return replace(credential, earlier_grants=earlier)
    if newest is None and not grants.is_last:
        waiting = replace(credential, consenting=None, consenting_since=None)
        return replace(waiting, earlier_grants=(*credential.earlier_grants, successor))
    return replace(credential, parked=successor)


def without_user(credential: Credential, grants: GrantsAtHand) -> Credential:
    """Take the grants of a user who is not the last out of the credential."""
    if not grants.sealed:
        return replace(credential, consenting=None, consenting_since=None)
    if credential.consenting in {grant.consent for grant in grants.sealed}:
        credential = replace(credential, consenting=None, consenting_since=None)
    return replace(
        credential,
        parked=None if credential.parked in grants.sealed else credential.parked,
        earlier_grants=tuple(grant for grant in credential.earlier_grants if grant not in grants.sealed),
    )
