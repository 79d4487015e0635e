"""What a proof of a pair found, and where that leads a credential."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from xero_connector.domain.checks import SAVE_FIRST, Check
from xero_connector.domain.credential import Credential, IntegrationType
from xero_connector.domain.errors import PairRefused
from xero_connector.domain.history import Action
from xero_connector.domain.rejection import keeps_pair, refused, undecided
from xero_connector.domain.status import Status

_RECHECK_REFUSED_PAIR = timedelta(minutes=5)
_RECHECK_LATER = timedelta(hours=1)
_WITH_A_SECRET_IN_DOUBT = frozenset(
    {Status.VALIDATED, Status.CONNECTED, Status.DEGRADED, Status.REAUTHORIZATION_REQUIRED}
)


class Verdict(StrEnum):
    """What the proof found."""

    GOOD = "good"
    INVALID_CLIENT = "invalid_client"
    CUSTOM_CONNECTION = "custom_connection"
    """Submitted as a Web app."""
    WEB_APP = "web_app"
    """Submitted as a Custom connection."""
    MOBILE_APP = "mobile_app"
    UNKNOWN = "unknown"


REFUSALS = {
    Verdict.INVALID_CLIENT: (
        "Xero refuses this client ID and client secret.",
        f"Compare the client ID with the app's Configuration page at Xero. {SAVE_FIRST}",
    ),
    Verdict.CUSTOM_CONNECTION: (
        "This Xero app is a Custom connection: it cannot take a user through consent.",
        "Submit the pair again with the integration_type custom_connection, or create a Web app at Xero.",
    ),
    Verdict.WEB_APP: (
        "This Xero app is a Web app: it gets tokens through a user's consent only.",
        "Submit the pair again with the integration_type web_app.",
    ),
    Verdict.MOBILE_APP: (
        "This Xero app is a Mobile or desktop app: Xero does not check its secret, so it cannot be kept safe.",
        "Create an app of the integration type Web app at Xero and submit its pair.",
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """A verdict, the sentences that go with it, and the checks as they are to be stored."""

    verdict: Verdict
    detail: str
    hint: str = ""
    checks: Mapping[str, Check]

    def raise_if_refused(self) -> None:
        """Raise `PairRefused` after a definite answer against the pair."""
        if self.verdict in REFUSALS:
            raise PairRefused(self.detail, code=self.verdict, hint=self.hint, checks=self.checks)


def proven(row: Credential, now: datetime) -> Credential:
    """Lead a pending or rejected pair to `validated`; a Custom connection is due at once for its tokens."""
    custom = row.integration_type is IntegrationType.CUSTOM_CONNECTION
    return replace(
        row.move_to(Status.VALIDATED),
        due_at=now if custom else None,
        failures=0,
        last_error=None,
        refused_since=None,
        refusals=0,
        # What was cut off was a proof: nothing was ever presented for a grant.
        attempt_started_at=None,
        consenting=None,
        consenting_since=None,
    )


def with_finding(row: Credential, proven_version_id: str, proof: Proof, now: datetime) -> Credential:
    """Write down what another proof of a stored secret found; only a definite refusal changes the status."""
    if row.client_version_id != proven_version_id:
        # The secret was replaced during the proof: what was found says nothing about the new one.
        return row
    row = row.checked(**_news(row, proof))
    if keeps_pair(row) and proof.verdict is Verdict.GOOD:
        lease = None if row.lease is None or row.lease.until <= now else row.lease
        return replace(proven(row, now), lease=lease)
    if row.status is Status.PENDING_VALIDATION and proof.verdict is not Verdict.UNKNOWN:
        # The sweep decides: have it do so at once.
        return replace(row, due_at=now)
    if proof.verdict is Verdict.INVALID_CLIENT and row.status in _WITH_A_SECRET_IN_DOUBT:
        failed = row.failed(code=proof.verdict, detail=proof.checks["pair"].detail, now=now)
        return replace(failed.move_to(Status.CLIENT_REJECTED), due_at=now + _RECHECK_REFUSED_PAIR)
    return _still_refused(row, proof, now) if row.status is Status.CLIENT_REJECTED else row


def _still_refused(row: Credential, proof: Proof, now: datetime) -> Credential:
    if proof.verdict is Verdict.GOOD:
        return accepted_again(row, now)
    return replace(row, due_at=now + _RECHECK_LATER) if row.generation == 0 else row


def _news(row: Credential, proof: Proof) -> dict[str, Check]:
    # What the tokens at hand lack is a fact; what the authorize endpoint would allow the next consent is not.
    lacking = row.generation > 0 and not set(row.granted_scopes).issuperset(row.requested_scopes)
    return {name: check for name, check in proof.checks.items() if not (lacking and name == "scopes")}


def accepted_again(row: Credential, now: datetime) -> Credential:
    """Lead a refused credential back: to `validated`, or to a refresh that proves the grant."""
    if row.has_grant:
        return replace(row, due_at=now)
    # A consent may have been cut off after it stored its tokens: then there is something to look for.
    due_at = None if row.attempt_started_at is None and row.consenting is None else now
    return replace(row.move_to(Status.VALIDATED), due_at=due_at, failures=0, last_error=None)


def decided(row: Credential, proof: Proof, now: datetime) -> Credential:
    """Lead a pending pair to where its proof leads: `validated`, on to another proof, or `rejected`."""
    checked = row.checked(**proof.checks)
    if proof.verdict is Verdict.GOOD:
        good = proven(checked, now)
        return good.released(due_at=good.due_at, attempt_finished=True, now=now)
    decide = undecided if proof.verdict is Verdict.UNKNOWN else refused
    return decide(checked, code=proof.verdict, detail=proof.checks["pair"].detail, now=now)


def with_new_secret(
    row: Credential, proof: Proof, *, number: int, by: str, before: Credential, now: datetime
) -> Credential:
    """Put the `number`-th client secret in force and give the lease back; `before` is the row before the lease."""
    swapped = replace(row.checked(**proof.checks), client_secret_number=number, refused_since=None, refusals=0)
    swapped = swapped.noted(Action.SECRET_REPLACED, by=by).released(
        due_at=before.due_at, attempt_finished=before.attempt_started_at is None, now=now
    )
    if swapped.status is Status.CLIENT_REJECTED:
        return accepted_again(swapped, now)
    if swapped.status in {Status.PENDING_VALIDATION, Status.REJECTED}:
        return proven(swapped, now)
    if swapped.has_grant and not swapped.allowance.wait_for_spare(now):
        # Due at once: whatever becomes of this process, the new secret is put to use within a minute.
        return replace(swapped, due_at=now)
    return swapped
