"""Prove a pair at Xero's token endpoint, with no user and nothing that could mint a token."""

import secrets
import string
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from xero_connector.domain.consent import new_token
from xero_connector.domain.credential import Check, CheckResult
from xero_connector.domain.errors import PairRefused
from xero_connector.domain.ports import XeroIdentity
from xero_connector.domain.token_endpoint import EXPLANATIONS, FailureKind, TokenEndpointFailure
from xero_connector.domain.tokens import ClientPair

_SECRET_ALPHABET = string.ascii_letters + string.digits


class Verdict(StrEnum):
    """What the proof found."""

    GOOD = "good"
    INVALID_CLIENT = "invalid_client"
    CUSTOM_CONNECTION = "custom_connection"
    MOBILE_APP = "mobile_app"
    UNKNOWN = "unknown"


_REFUSALS = {
    Verdict.INVALID_CLIENT: (
        "Xero refuses this client ID and client secret.",
        (
            "In the Xero app: generate a secret, press Save, copy it and submit it again. A fresh secret can "
            "be refused for a few minutes."
        ),
    ),
    Verdict.CUSTOM_CONNECTION: (
        "This Xero app is a Custom connection: it cannot take a user through consent.",
        "Create an app of the integration type Web app at Xero and submit its pair.",
    ),
    Verdict.MOBILE_APP: (
        "This Xero app is a Mobile or desktop app: Xero does not check its secret.",
        "Create an app of the integration type Web app at Xero and submit its pair.",
    ),
}


@dataclass(frozen=True, slots=True)
class Proof:
    """A verdict, and the sentence that goes with it."""

    verdict: Verdict
    detail: str

    def raise_if_refused(self) -> None:
        """Raise `PairRefused` after a definite answer against the pair."""
        if self.verdict in _REFUSALS:
            detail, hint = _REFUSALS[self.verdict]
            raise PairRefused(detail, code=self.verdict, hint=hint)

    def as_check(self, now: datetime) -> Check:
        """Return the finding as the check named `pair`."""
        result = {Verdict.GOOD: CheckResult.PASS, Verdict.UNKNOWN: CheckResult.UNKNOWN}.get(
            self.verdict, CheckResult.FAIL
        )
        return Check(result, self.detail, now)


@dataclass(frozen=True, slots=True)
class ProvePair:
    """Presents a random authorization code, and then the same with a random secret as negative control.

    Xero looks at the client before it looks at the code: `invalid_grant` therefore proves the pair, as long as
    a wrong secret is refused. Where it is not, the server does not check secrets for this app at all.
    """

    identity: XeroIdentity

    def __call__(self, pair: ClientPair) -> Proof:
        """Make one or two requests to Xero and judge the pair."""
        answer = self._present_random_code(pair)
        if answer is FailureKind.INVALID_CLIENT:
            return _refusal(Verdict.INVALID_CLIENT)
        if answer is FailureKind.UNAUTHORIZED_CLIENT:
            return _refusal(Verdict.CUSTOM_CONNECTION)
        if answer is not FailureKind.INVALID_GRANT:
            return _unknown(answer)
        control = self._present_random_code(ClientPair(pair.client_id, _other_secret(pair.client_secret)))
        if control is FailureKind.INVALID_CLIENT:
            return Proof(Verdict.GOOD, "Xero accepts this client ID and client secret.")
        if control in {FailureKind.INVALID_GRANT, FailureKind.UNAUTHORIZED_CLIENT}:
            return _refusal(Verdict.MOBILE_APP)
        return _unknown(control)

    def _present_random_code(self, pair: ClientPair) -> FailureKind:
        try:
            self.identity.exchange_code(pair, code=new_token(), code_verifier=new_token())
        except TokenEndpointFailure as failure:
            return failure.kind
        return FailureKind.UNEXPECTED


def _refusal(verdict: Verdict) -> Proof:
    return Proof(verdict, " ".join(_REFUSALS[verdict]))


def _unknown(kind: FailureKind) -> Proof:
    return Proof(
        Verdict.UNKNOWN, f"{EXPLANATIONS[kind]} The pair is kept safe and will be proven again by itself."
    )


def _other_secret(secret: str) -> str:
    while True:
        other = "".join(secrets.choice(_SECRET_ALPHABET) for _ in secret)
        if other != secret:
            return other
