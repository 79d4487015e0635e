"""The proof of a pair, and the status to which it leads a credential."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from xero_connector.domain.checks import SAVE_FIRST, Check
from xero_connector.domain.credential import Credential, IntegrationType
from xero_connector.domain.errors import PairRefused
from xero_connector.domain.history import Action
from xero_connector.domain.refresh_policy import RECHECK_REFUSED_PAIR
from xero_connector.domain.rejection import keeps_pair, refused, undecided
from xero_connector.domain.status import Status

_RECHECK_LATER = timedelta(hours=1)
_WITH_A_SECRET_IN_DOUBT = frozenset(
    {Status.VALIDATED, Status.CONNECTED, Status.DEGRADED, Status.REAUTHORIZATION_REQUIRED}
)


class Verdict(StrEnum):
    """The outcome of a proof."""

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
        "This Xero app is a Custom connection, which cannot take a user through consent.",
        "Submit the pair again with the integration_type custom_connection, or create a Web app at Xero.",
    ),
    Verdict.WEB_APP: (
        "This Xero app is a Web app, which gets tokens only through a user's consent.",
        "Submit the pair again with the integration_type web_app.",
    ),
    Verdict.MOBILE_APP: (
        "This Xero app is a Mobile or desktop app. Xero does not check its secret, so it is not secure.",
        "Create an app with the integration type Web app at Xero, then submit its pair.",
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """A verdict, the sentences that explain it, and the checks to store; `half` is that of `PairRefused`."""

    verdict: Verdict
    detail: str
    hint: str = ""
    checks: Mapping[str, Check]
    half: str | None = None

    @property
    def is_definite(self) -> bool:
        """Whether Xero gave an answer about the pair."""
        return self.verdict is not Verdict.UNKNOWN

    def raise_if_refused(self) -> None:
        """Raise `PairRefused` after a definite answer against the pair."""
        if self.verdict in REFUSALS:
            raise PairRefused(self.detail, code=self.verdict, hint=self.hint, checks=self.checks, half=self.half)


def proven(credential: Credential, now: datetime) -> Credential:
    """Lead a pending or rejected pair to `validated`; a Custom connection is due at once for its tokens."""
    custom = credential.integration_type is IntegrationType.CUSTOM_CONNECTION
    return replace(
        credential.move_to(Status.VALIDATED),
        due_at=now if custom else None,
        failures=0,
        last_error=None,
        refused_since=None,
        refusals=0,
        # The attempt that was cut off was a proof: nothing was presented for a grant.
        attempt_started_at=None,
        consenting=None,
        consenting_since=None,
    )


def with_finding(credential: Credential, proven_version_id: str, proof: Proof, now: datetime) -> Credential:
    """Record another proof of a stored secret; only a definite refusal changes the status."""
    if credential.client_version_id != proven_version_id:
        # The secret was replaced during the proof, which therefore says nothing about the new secret.
        return credential
    credential = credential.checked(**_news(credential, proof))
    if keeps_pair(credential) and proof.verdict is Verdict.GOOD:
        lease = None if credential.lease is None or credential.lease.until <= now else credential.lease
        return replace(proven(credential, now), lease=lease)
    if credential.status is Status.PENDING_VALIDATION and proof.verdict is not Verdict.UNKNOWN:
        # The sweep decides, and is made to do so at once.
        return replace(credential, due_at=now)
    if proof.verdict is Verdict.INVALID_CLIENT and credential.status in _WITH_A_SECRET_IN_DOUBT:
        failed = credential.failed(code=proof.verdict, detail=proof.checks["pair"].detail, now=now)
        return replace(failed.move_to(Status.CLIENT_REJECTED), due_at=now + RECHECK_REFUSED_PAIR)
    return _still_refused(credential, proof, now) if credential.status is Status.CLIENT_REJECTED else credential


def _still_refused(credential: Credential, proof: Proof, now: datetime) -> Credential:
    if proof.verdict is Verdict.GOOD:
        return accepted_again(credential, now)
    return replace(credential, due_at=now + _RECHECK_LATER) if credential.generation == 0 else credential


def _news(credential: Credential, proof: Proof) -> dict[str, Check]:
    # The scopes that the tokens lack are certain; those that the authorize endpoint would allow are not.
    lacking = credential.generation > 0 and not set(credential.granted_scopes).issuperset(
        credential.requested_scopes
    )
    return {name: check for name, check in proof.checks.items() if not (lacking and name == "scopes")}


def accepted_again(credential: Credential, now: datetime) -> Credential:
    """Lead a refused credential back: to `validated`, or to a refresh that proves the grant."""
    if credential.has_grant:
        return replace(credential, due_at=now)
    # A consent may have been cut off after it stored its tokens: then the schedule has to look for them.
    due_at = None if credential.attempt_started_at is None and credential.consenting is None else now
    return replace(credential.move_to(Status.VALIDATED), due_at=due_at, failures=0, last_error=None)


def decided(credential: Credential, proof: Proof, now: datetime) -> Credential:
    """Lead a pending pair to where its proof leads: `validated`, on to another proof, or `rejected`."""
    checked = credential.checked(**proof.checks)
    if proof.verdict is Verdict.GOOD:
        good = proven(checked, now)
        return good.released(due_at=good.due_at, attempt_finished=True, now=now)
    decide = undecided if proof.verdict is Verdict.UNKNOWN else refused
    return decide(checked, code=proof.verdict, detail=proof.checks["pair"].detail, now=now)


def with_new_secret(
    credential: Credential, proof: Proof, *, number: int, by: str, before: Credential, now: datetime
) -> Credential:
    """Put the `number`-th client secret in force and give the lease back; `before` is from before the lease."""
    swapped = replace(
        credential.checked(**proof.checks), client_secret_number=number, refused_since=None, refusals=0
    )
    swapped = swapped.noted(Action.SECRET_REPLACED, by=by).released(
        due_at=before.due_at, attempt_finished=before.attempt_started_at is None, now=now
    )
    if swapped.status is Status.CLIENT_REJECTED:
        return accepted_again(swapped, now)
    if swapped.status in {Status.PENDING_VALIDATION, Status.REJECTED}:
        return proven(swapped, now)
    if swapped.has_grant and not swapped.allowance.wait_for_spare(now):
        # Due at once, so that the new secret is used within a minute even if this process is cut off.
        return replace(swapped, due_at=now)
    return swapped
