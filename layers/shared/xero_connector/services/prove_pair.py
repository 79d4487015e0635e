"""Prove a pair without a user, and find out what else would prevent a consent."""

import secrets
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from xero_connector.domain.checks import (
    SAVE_FIRST,
    AuthorizeFinding,
    Check,
    CheckResult,
    redirect_uri_check,
    scopes_check,
)
from xero_connector.domain.consent import new_token
from xero_connector.domain.credential import Credential, IntegrationType
from xero_connector.domain.ports import AuthorizeEndpoint, Clock, Deadline, TokenEndpoint
from xero_connector.domain.proof import REFUSALS, Proof, Verdict
from xero_connector.domain.status import Status
from xero_connector.domain.time_budget import (
    LEAST_FOR_A_PROOF,
    LONGEST_ANSWER,
    TIME_AFTER_PROOF,
    TIME_TO_PROBE,
    TIME_TO_PROBE_THOROUGHLY,
)
from xero_connector.domain.token_endpoint import EXPLANATIONS, FailureKind, TokenEndpointFailure
from xero_connector.domain.tokens import ClientPair

_SECRET_ALPHABET = string.ascii_letters + string.digits


_CLIENT_ID_UNKNOWN = (
    "Xero does not know this client ID, or the app is disabled.",
    "Copy the client ID again from the app's Configuration page at Xero. It has 32 characters.",
)
_WILL_BE_PROVEN_AGAIN = "The pair has been stored and will be proven again."
_STAYS_STORED = "This does not count against the pair, which stays stored."
_SECRET_WRONG = ("Xero knows this client ID, but refuses the client secret.", SAVE_FIRST)
_HALF = {_CLIENT_ID_UNKNOWN: "client_id", _SECRET_WRONG: "client_secret"}
_CLIENT_ID_CORRECT = frozenset(AuthorizeFinding) - {AuthorizeFinding.CLIENT_UNKNOWN, AuthorizeFinding.INCONCLUSIVE}


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ProvePair:
    """Presents a random authorization code with the pair, then with a random secret, then probes the consent.

    Xero checks the client before the code, so `invalid_grant` proves the pair if a wrong secret is refused. If a
    wrong secret is accepted, Xero does not check secrets for this app at all. The answer of the authorize endpoint
    is advice: it adds checks, and never refuses a pair.
    """

    token_endpoint: TokenEndpoint
    authorize: AuthorizeEndpoint
    clock: Clock
    deadline: Deadline
    redirect_uri: str

    def __call__(
        self,
        pair: ClientPair,
        *,
        integration_type: IntegrationType,
        scopes: Sequence[str],
        pending: bool = True,
        thorough: bool = False,
    ) -> Proof:
        """Prove the pair with at most four requests to Xero, and at most two more if `thorough`.

        A `pending` pair is proven again if Xero gives no definite answer.
        """
        verdict, failure = self._judge(pair, integration_type)
        proof = partial(self._proof, verdict, failure, pending)
        custom = integration_type is IntegrationType.CUSTOM_CONNECTION
        if verdict in {Verdict.CUSTOM_CONNECTION, Verdict.WEB_APP, Verdict.MOBILE_APP}:
            return proof({})
        if custom and verdict is not Verdict.INVALID_CLIENT:
            return proof(_no_consent(self.clock()))
        finding = AuthorizeFinding.INCONCLUSIVE
        if self._left >= TIME_TO_PROBE:
            thorough = thorough and not custom and self._left >= TIME_TO_PROBE_THOROUGHLY
            finding = self.authorize.probe(pair.client_id, scopes=scopes, try_other_case=thorough)
        if custom:
            # This only shows whether the client ID is wrong.
            return proof(_no_consent(self.clock()), finding)
        now = self.clock()
        checks = {
            "redirect_uri": redirect_uri_check(finding, self.redirect_uri, now),
            "scopes": scopes_check(finding, scopes, now),
        }
        return proof(checks, finding)

    def again(self, pair: ClientPair, credential: Credential, *, thorough: bool = False) -> Proof:
        """Prove the pair of a stored credential."""
        return self(
            pair,
            integration_type=credential.integration_type,
            scopes=credential.requested_scopes,
            pending=credential.status is Status.PENDING_VALIDATION,
            thorough=thorough,
        )

    def _judge(self, pair: ClientPair, integration_type: IntegrationType) -> tuple[Verdict, FailureKind]:
        custom = integration_type is IntegrationType.CUSTOM_CONNECTION
        # Each of the two requests gets half of the time.
        answer = self._present_random_code(pair, self._left / 2)
        if answer is FailureKind.INVALID_CLIENT:
            return Verdict.INVALID_CLIENT, answer
        if answer is FailureKind.UNAUTHORIZED_CLIENT:
            return Verdict.GOOD if custom else Verdict.CUSTOM_CONNECTION, answer
        if answer is not FailureKind.INVALID_GRANT:
            return Verdict.UNKNOWN, answer
        control = self._present_random_code(
            ClientPair(pair.client_id, _other_secret(pair.client_secret)), self._left
        )
        if control is FailureKind.INVALID_CLIENT:
            return Verdict.WEB_APP if custom else Verdict.GOOD, answer
        if control in {FailureKind.INVALID_GRANT, FailureKind.UNAUTHORIZED_CLIENT}:
            return Verdict.MOBILE_APP, answer
        return Verdict.UNKNOWN, control

    @property
    def _left(self) -> timedelta:
        return self.deadline() - self.clock() - TIME_AFTER_PROOF

    def _present_random_code(self, pair: ClientPair, within: timedelta) -> FailureKind:
        if within < LEAST_FOR_A_PROOF:
            return FailureKind.NOT_SENT
        try:
            self.token_endpoint.exchange_code(
                pair, code=new_token(), code_verifier=new_token(), within=min(within, LONGEST_ANSWER)
            )
        except TokenEndpointFailure as failure:
            return failure.kind
        return FailureKind.UNEXPECTED

    def _proof(
        self,
        verdict: Verdict,
        failure: FailureKind,
        pending: bool,  # noqa: FBT001 - given once, by partial
        checks: Mapping[str, Check],
        finding: AuthorizeFinding = AuthorizeFinding.INCONCLUSIVE,
    ) -> Proof:
        detail, hint = _sentences(verdict, failure, finding, pending=pending)
        result = {Verdict.GOOD: CheckResult.PASS, Verdict.UNKNOWN: CheckResult.UNKNOWN}.get(
            verdict, CheckResult.FAIL
        )
        check = Check(result, f"{detail} {hint}".rstrip(), self.clock())
        half = _HALF.get((detail, hint))
        return Proof(verdict=verdict, detail=detail, hint=hint, checks={"pair": check, **checks}, half=half)


def _sentences(
    verdict: Verdict, failure: FailureKind, finding: AuthorizeFinding, *, pending: bool
) -> tuple[str, str]:
    if verdict is Verdict.GOOD:
        return "Xero accepts this client ID and client secret.", ""
    if verdict is Verdict.UNKNOWN:
        return EXPLANATIONS[failure], _WILL_BE_PROVEN_AGAIN if pending else _STAYS_STORED
    if verdict is Verdict.INVALID_CLIENT and finding is AuthorizeFinding.CLIENT_UNKNOWN:
        return _CLIENT_ID_UNKNOWN
    if verdict is Verdict.INVALID_CLIENT and finding in _CLIENT_ID_CORRECT:
        return _SECRET_WRONG
    return REFUSALS[verdict]


def _no_consent(now: datetime) -> Mapping[str, Check]:
    return {
        "redirect_uri": Check(CheckResult.UNKNOWN, "Not needed: a Custom connection sends no user to Xero.", now),
        "scopes": Check(CheckResult.UNKNOWN, "The first token will show them.", now),
    }


def _other_secret(secret: str) -> str:
    while True:
        other = "".join(secrets.choice(_SECRET_ALPHABET) for _ in secret)
        if other != secret:
            return other
