"""Take in a pair: prove it and store it, and only then confirm it."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from xero_connector.domain.credential import Credential, IntegrationType
from xero_connector.domain.errors import (
    Conflict,
    ConnectorError,
    PairRefused,
    RevisionConflict,
    SecretUnderAnotherKey,
    StoreUnavailable,
)
from xero_connector.domain.history import Action
from xero_connector.domain.ports import Clock, Deadline, LeaseHolder, Observer, Registry, Vault
from xero_connector.domain.proof import Proof, Verdict, proven
from xero_connector.domain.rejection import keeps_pair
from xero_connector.domain.setup_link import by_setup_link
from xero_connector.domain.status import FINAL, Status
from xero_connector.domain.submission import Submission
from xero_connector.domain.time_budget import TIME_FOR_ANOTHER_CALL, TIME_FOR_TOKENS, TIME_TO_ANSWER, TIME_TO_SAVE
from xero_connector.domain.tokens import client_version_id
from xero_connector.domain.version_allowance import VersionAllowance
from xero_connector.services.insist import Insist
from xero_connector.services.issue_connect_link import ConnectLink, IssueConnectLink
from xero_connector.services.prove_pair import ProvePair
from xero_connector.services.refresh_credential import RefreshCredential

RESERVATION = timedelta(seconds=60)
"""Longer than a submission can run: one that was cut off blocks its client ID no longer than this."""
FIRST_PROOF_AFTER = timedelta(minutes=1)
"""With a sweep every minute, a pending pair is proven within two minutes."""

_NOTHING_CONFIRMED = (
    "Nothing was confirmed yet: keep the client secret, and submit the pair again in a minute. If this continues, "
    "look at the alarms of this deployment."
)


@dataclass(frozen=True, slots=True)
class Submitted:
    """The stored credential, with a connect link if its pair is proven and needs a consent."""

    credential: Credential
    connect_link: ConnectLink | None


@dataclass(frozen=True, slots=True)
class _Origin:
    """Who is responsible for a submission, and the setup link by which a customer made it."""

    submitted_by: str
    setup_link_id: str | None

    @property
    def actor(self) -> str:
        """Who did it, as the audit trail says it."""
        return self.submitted_by if self.setup_link_id is None else by_setup_link(self.setup_link_id)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class SubmitCredential:
    """Proves a pair and stores it; a pair that Xero definitely refuses leaves no trace."""

    registry: Registry
    vault: Vault
    prove_pair: ProvePair
    issue_connect_link: IssueConnectLink
    refresh_credential: RefreshCredential
    clock: Clock
    deadline: Deadline
    insist: Insist
    lease_holder: LeaseHolder
    observer: Observer
    default_scopes: tuple[str, ...]

    def __call__(
        self, submission: Submission, *, submitted_by: str, setup_link_id: str | None = None
    ) -> Submitted:
        """Take the pair in; `setup_link_id` names the setup link by which a customer handed it over, if one did.

        Raises `Conflict` if the client ID already has a credential, `PairRefused` if Xero refuses the pair.

        Raises `SecretUnderAnotherKey` if another deployment has secrets of these names.
        """
        outcome = "failed"
        try:
            submitted = self._submit(submission, _Origin(submitted_by, setup_link_id))
            outcome = "pending" if submitted.credential.status is Status.PENDING_VALIDATION else "proven"
        except Conflict:
            outcome = "conflict"
            raise
        except PairRefused:
            outcome = "refused"
            raise
        finally:
            self.observer.count(f"Submissions.{outcome}")
        return submitted

    def _submit(self, submission: Submission, origin: _Origin) -> Submitted:
        client_id = submission.pair.client_id
        earlier = self.registry.get(client_id)
        if earlier is not None and earlier.status not in FINAL:
            raise _already_exists(earlier)
        if earlier is not None and earlier.lease is not None and earlier.lease.until > self.clock():
            raise Conflict(
                "The secret of an earlier submission is still being deleted.",
                code="still_ending",
                hint="Submit the pair again in two minutes.",
            )
        owner = self.lease_holder()
        now = self.clock()
        if not self.registry.reserve(client_id, owner=owner, now=now, until=now + RESERVATION):
            raise Conflict(
                "This client_id is being submitted right now.",
                code="submission_in_progress",
                hint="Wait for the other submission to end, and look at the credential in a minute.",
            )
        try:
            return self._prove_and_store(submission, origin, earlier=earlier)
        finally:
            self._end_reservation(client_id, owner)

    def _end_reservation(self, client_id: str, owner: str) -> None:
        if self.deadline() - self.clock() < TIME_FOR_ANOTHER_CALL:
            # The answer comes first: the reservation expires within a minute.
            return
        try:
            self.registry.unreserve(client_id, owner=owner)
        except StoreUnavailable as unavailable:
            # It expires within a minute, and does not change the result of the submission.
            self.observer.warning("reservation_not_ended", client_id=client_id, detail=unavailable.detail)

    def _prove_and_store(
        self, submission: Submission, origin: _Origin, *, earlier: Credential | None
    ) -> Submitted:
        pair = submission.pair
        # Before Xero is asked: whoever else uses this client ID's secrets goes on undisturbed.
        self.vault.refuse_secrets_of_others(pair.client_id)
        scopes = self._scopes(submission)
        proof = self.prove_pair(pair, integration_type=submission.integration_type, scopes=scopes)
        self.observer.event("pair_proven", client_id=pair.client_id, verdict=proof.verdict)
        proof.raise_if_refused()
        incarnation = uuid4()
        # The secret comes first: once the answer confirms it, it must be stored. A process that is cut off in
        # between leaves a secret that was not confirmed, and the next submission replaces it.
        version_id = client_version_id(incarnation, 1)
        self._insist_on(lambda: self.vault.put_client_pair(pair, version_id=version_id), leaving=TIME_TO_SAVE)
        new = self._credential(submission, incarnation, origin, earlier=earlier, now=self.clock())
        new = _with_proof(new, proof, origin)
        credential = self._insist_on(lambda: self._create(new, earlier), leaving=TIME_TO_ANSWER)
        if credential.status is Status.PENDING_VALIDATION:
            return Submitted(credential, None)
        if origin.setup_link_id is not None:
            # The page behind a setup link leads on to the consent itself. Its function reads no secret and writes
            # no tokens: a Custom connection is due, so the schedule gets its tokens within a minute.
            return Submitted(credential, None)
        if credential.integration_type is IntegrationType.CUSTOM_CONNECTION:
            return Submitted(self._first_tokens(credential), None)
        return Submitted(credential, self._connect_link(pair.client_id))

    def _insist_on[Result](self, act: Callable[[], Result], *, leaving: timedelta) -> Result:
        try:
            return self.insist(act, leaving=leaving)
        except SecretUnderAnotherKey:
            raise
        except StoreUnavailable as unavailable:
            raise StoreUnavailable(
                unavailable.operation, unavailable.reason, code=unavailable.code, hint=_NOTHING_CONFIRMED
            ) from unavailable

    def _create(self, credential: Credential, earlier: Credential | None) -> Credential:
        try:
            return self.registry.create(credential, replacing=earlier)
        except RevisionConflict:
            present = self.registry.get(credential.client_id)
        if present is not None and present.incarnation == credential.incarnation:
            # An earlier attempt took effect, and its answer was lost.
            return present
        if present is not None and present.status in FINAL and not keeps_pair(present):
            # No credential uses the secret that this submission stored.
            self.vault.delete_client_pair(credential.client_id)
        raise _already_exists(present or credential)

    def _connect_link(self, client_id: str) -> ConnectLink | None:
        if self.deadline() - self.clock() < TIME_FOR_ANOTHER_CALL:
            self.observer.warning("connect_link_not_made", client_id=client_id, detail="There was no time left.")
            return None
        try:
            return self.issue_connect_link(client_id)
        except StoreUnavailable as unavailable:
            # The pair is stored, as was asked; a link can be made at any time.
            self.observer.warning("connect_link_not_made", client_id=client_id, detail=unavailable.detail)
            return None

    def _scopes(self, submission: Submission) -> tuple[str, ...]:
        if submission.scopes is not None:
            return submission.scopes
        # A Custom connection that asks for no scopes gets all that it was set up with.
        custom = submission.integration_type is IntegrationType.CUSTOM_CONNECTION
        return () if custom else self.default_scopes

    def _credential(
        self,
        submission: Submission,
        incarnation: UUID,
        origin: _Origin,
        *,
        earlier: Credential | None,
        now: datetime,
    ) -> Credential:
        credential = Credential(
            client_id=submission.pair.client_id,
            incarnation=incarnation,
            status=Status.PENDING_VALIDATION,
            label=submission.label,
            integration_type=submission.integration_type,
            requested_scopes=self._scopes(submission),
            due_at=now + FIRST_PROOF_AFTER,
            # The versions of an earlier incarnation are still in the same secret, and still count.
            allowance=VersionAllowance.full(now) if earlier is None else earlier.allowance,
            created_at=now,
            created_by=origin.submitted_by,
            setup_link_id=origin.setup_link_id,
            updated_at=now,
        ).noted(Action.SUBMITTED, by=origin.actor)
        if origin.setup_link_id is None:
            return credential
        return credential.noted(Action.SETUP_LINK_USED, by=origin.actor, detail=origin.setup_link_id)

    def _first_tokens(self, credential: Credential) -> Credential:
        if self.deadline() - self.clock() < TIME_FOR_TOKENS:
            return credential
        try:
            refresh = self.refresh_credential(credential, only_if_due=False)
        except ConnectorError as postponed:
            # The pair is stored, as was asked. The credential is due, so the schedule tries again within a minute,
            # and reports the problem if it continues.
            self.observer.event("tokens_postponed", client_id=credential.client_id, code=postponed.code)
            return self.registry.get(credential.client_id) or credential
        return refresh.credential


def _with_proof(credential: Credential, proof: Proof, origin: _Origin) -> Credential:
    checked = credential.checked(**proof.checks)
    if proof.verdict is not Verdict.GOOD:
        return checked
    good = proven(checked, credential.updated_at)
    custom = credential.integration_type is IntegrationType.CUSTOM_CONNECTION
    return good if custom else good.noted(Action.CONNECT_LINK_CREATED, by=origin.actor)


def _already_exists(credential: Credential) -> Conflict:
    ending = credential.status is Status.DISCONNECTING
    return Conflict(
        f"A credential with the client_id {credential.client_id} already exists.",
        code="credential_exists",
        hint="It is being disconnected: submit the pair again in a few minutes."
        if ending
        else "To replace its secret, PUT it to /credentials/{client_id}/secret; to start over, DELETE it.",
    )
