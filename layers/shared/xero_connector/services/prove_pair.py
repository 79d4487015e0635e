"""The credential doctor: prove a pair with no user, and find out what else would stand in a consent's way."""

import secrets
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

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
from xero_connector.domain.refresh_policy import LONGEST_ANSWER
from xero_connector.domain.token_endpoint import EXPLANATIONS, FailureKind, TokenEndpointFailure
from xero_connector.domain.tokens import ClientPair

_SECRET_ALPHABET = string.ascii_letters + string.digits
_TIME_AFTER = timedelta(seconds=11)
"""What has to be left of an invocation after a proof, to store what came of it and to answer."""
_LEAST_FOR_AN_ANSWER = timedelta(seconds=2)
_TIME_TO_PROBE = timedelta(seconds=6)
_TIME_TO_PROBE_THOROUGHLY = timedelta(seconds=12)
"""The authorize endpoint is asked only where there is time for it: what it says is advice."""


_CLIENT_ID_UNKNOWN = (
    "Xero does not know this client ID, or the app is disabled.",
    "Copy the client ID again from the app's Configuration page at Xero, all of its 32 characters.",
)
_SECRET_WRONG = ("Xero knows this client ID, but refuses the client secret.", SAVE_FIRST)
_CLIENT_IS_KNOWN = frozenset(AuthorizeFinding) - {AuthorizeFinding.CLIENT_UNKNOWN, AuthorizeFinding.INCONCLUSIVE}


@dataclass(frozen=True, slots=True)
class ProvePair:
    """Presents a random authorization code, then the same with a random secret, and looks at the way to consent.

    Xero looks at the client before it looks at the code: `invalid_grant` therefore proves the pair, as long as
    a wrong secret is refused. Where it is not, the server does not check secrets for this app at all. What the
    authorize endpoint says is advisory: it adds findings and never takes a pair away.
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
        thorough: bool = False,
    ) -> Proof:
        """Make at most four requests to Xero and judge the pair; two more at most if `thorough`."""
        verdict, failure = self._judge(pair, integration_type)
        custom = integration_type is IntegrationType.CUSTOM_CONNECTION
        if verdict in {Verdict.CUSTOM_CONNECTION, Verdict.WEB_APP, Verdict.MOBILE_APP}:
            return self._proof(verdict, failure, {})
        if custom and verdict is not Verdict.INVALID_CLIENT:
            return self._proof(verdict, failure, _no_consent(self.clock()))
        finding = AuthorizeFinding.INCONCLUSIVE
        if self._left >= _TIME_TO_PROBE:
            thorough = thorough and not custom and self._left >= _TIME_TO_PROBE_THOROUGHLY
            finding = self.authorize.probe(pair.client_id, scopes=scopes, try_other_case=thorough)
        if custom:
            # Asked for one thing only: whether it is the client ID that is wrong.
            return self._proof(verdict, failure, _no_consent(self.clock()), finding)
        now = self.clock()
        found = {
            "redirect_uri": redirect_uri_check(finding, self.redirect_uri, now),
            "scopes": scopes_check(finding, scopes, now),
        }
        return self._proof(verdict, failure, found, finding)

    def again(self, pair: ClientPair, row: Credential, *, thorough: bool = False) -> Proof:
        """Prove the pair of a stored credential."""
        return self(pair, integration_type=row.integration_type, scopes=row.requested_scopes, thorough=thorough)

    def _judge(self, pair: ClientPair, integration_type: IntegrationType) -> tuple[Verdict, FailureKind]:
        custom = integration_type is IntegrationType.CUSTOM_CONNECTION
        # Half of the time for each of the two.
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
        return self.deadline() - self.clock() - _TIME_AFTER

    def _present_random_code(self, pair: ClientPair, within: timedelta) -> FailureKind:
        if within < _LEAST_FOR_AN_ANSWER:
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
        found: Mapping[str, Check],
        finding: AuthorizeFinding = AuthorizeFinding.INCONCLUSIVE,
    ) -> Proof:
        detail, hint = _sentences(verdict, failure, finding)
        result = {Verdict.GOOD: CheckResult.PASS, Verdict.UNKNOWN: CheckResult.UNKNOWN}.get(
            verdict, CheckResult.FAIL
        )
        check = Check(result, f"{detail} {hint}".rstrip(), self.clock())
        return Proof(verdict=verdict, detail=detail, hint=hint, checks={"pair": check, **found})


def _sentences(verdict: Verdict, failure: FailureKind, finding: AuthorizeFinding) -> tuple[str, str]:
    if verdict is Verdict.GOOD:
        return "Xero accepts this client ID and client secret.", ""
    if verdict is Verdict.UNKNOWN:
        return EXPLANATIONS[failure], "That says nothing against the pair, which is kept safe."
    if verdict is Verdict.INVALID_CLIENT and finding is AuthorizeFinding.CLIENT_UNKNOWN:
        return _CLIENT_ID_UNKNOWN
    if verdict is Verdict.INVALID_CLIENT and finding in _CLIENT_IS_KNOWN:
        return _SECRET_WRONG
    return REFUSALS[verdict]


def _no_consent(now: datetime) -> Mapping[str, Check]:
    return {
        "redirect_uri": Check(CheckResult.UNKNOWN, "Not needed: a Custom connection takes no user to Xero.", now),
        "scopes": Check(CheckResult.UNKNOWN, "The first token tells.", now),
    }


def _other_secret(secret: str) -> str:
    while True:
        other = "".join(secrets.choice(_SECRET_ALPHABET) for _ in secret)
        if other != secret:
            return other
