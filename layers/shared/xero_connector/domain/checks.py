"""What the doctor found out about an app at Xero, in sentences that a person can act on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from xero_connector.domain.scopes import GRANULAR_SCOPES, OF_A_USER


class CheckResult(StrEnum):
    """What a check found; `unknown` never counts against a pair."""

    PASS = "pass"  # noqa: S105 - a verdict, not a password
    FAIL = "fail"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Check:
    """One finding about the app at Xero."""

    result: CheckResult
    detail: str
    checked_at: datetime | None = None


UNCHECKED: Mapping[str, Check] = {
    "pair": Check(CheckResult.UNKNOWN, "Not checked yet."),
    "redirect_uri": Check(CheckResult.UNKNOWN, "Not checked yet: the first consent tells at the latest."),
    "scopes": Check(CheckResult.UNKNOWN, "Not checked yet: the first consent tells at the latest."),
}


class AuthorizeFinding(StrEnum):
    """What the authorize endpoint made of a request without a user."""

    ACCEPTED = "accepted"
    """The login page: client ID, redirect URI and scopes are as they should be."""
    CLIENT_UNKNOWN = "client_unknown"
    REDIRECT_URI_REFUSED = "redirect_uri_refused"
    REDIRECT_URI_CASE = "redirect_uri_case"
    """Refused as it is, accepted in other capital or small letters."""
    SCOPE_UNKNOWN = "scope_unknown"
    """There is no such scope, or not any more."""
    SCOPE_NOT_ALLOWED = "scope_not_allowed"
    """The scope exists, but not for this app."""
    INCONCLUSIVE = "inconclusive"
    """Anything else: bot protection, an outage, an answer that is not documented."""


_REDIRECT_URI_IS_GOOD = frozenset(
    {AuthorizeFinding.ACCEPTED, AuthorizeFinding.SCOPE_UNKNOWN, AuthorizeFinding.SCOPE_NOT_ALLOWED}
)
_REDIRECT_URI_IS_BAD = frozenset({AuthorizeFinding.REDIRECT_URI_REFUSED, AuthorizeFinding.REDIRECT_URI_CASE})
_LOOKED_NO_FURTHER = "Xero does not know the client ID, and looked no further."
_NO_ANSWER = "Xero's login page gave no definite answer. The first consent tells."


SAVE_FIRST = (
    "In the Xero app, under Configuration: generate a secret, press Save, then paste it. A fresh secret may need "
    "a few minutes before Xero accepts it."
)


def refused_pair_check(now: datetime) -> Check:
    """Return the check named `pair` after Xero refused a pair that it accepted before."""
    return Check(CheckResult.FAIL, f"Xero refuses this client ID and client secret now. {SAVE_FIRST}", now)


def redirect_uri_check(finding: AuthorizeFinding, redirect_uri: str, now: datetime) -> Check:
    """Return the check named `redirect_uri`: advisory, for Xero's bot protection may answer instead of Xero."""
    if finding in _REDIRECT_URI_IS_GOOD:
        return Check(CheckResult.PASS, "The redirect URI is registered for the app at Xero.", now)
    if finding is AuthorizeFinding.REDIRECT_URI_CASE:
        return Check(
            CheckResult.FAIL,
            "The redirect URI is registered at Xero with other capital or small letters; nothing else differs. "
            f"In the Xero app, replace it by exactly this redirect URI and press Save: {redirect_uri}",
            now,
        )
    if finding is AuthorizeFinding.REDIRECT_URI_REFUSED:
        return Check(
            CheckResult.FAIL,
            "The redirect URI is not registered for the app at Xero. In the Xero app, under Configuration, add "
            f"exactly this redirect URI (capital letters count) and press Save: {redirect_uri}",
            now,
        )
    unknown = finding is AuthorizeFinding.CLIENT_UNKNOWN
    return Check(CheckResult.UNKNOWN, _LOOKED_NO_FURTHER if unknown else _NO_ANSWER, now)


def redirect_uri_refused_check(redirect_uri: str, now: datetime) -> Check:
    """Return the check named `redirect_uri` after a consent that only the token endpoint refused."""
    return Check(
        CheckResult.FAIL,
        "Xero took a user through consent, then refused the redirect URI. In the Xero app, under Configuration, "
        f"make sure that exactly this one is registered, capital letters included, and press Save: {redirect_uri}",
        now,
    )


def scopes_check(finding: AuthorizeFinding, scopes: Sequence[str], now: datetime) -> Check:
    """Return the check named `scopes`: Xero does not say which one it refuses, so the likely ones are named."""
    if finding is AuthorizeFinding.ACCEPTED:
        return Check(CheckResult.PASS, "Xero accepts the scopes for this app.", now)
    if finding in {AuthorizeFinding.SCOPE_UNKNOWN, AuthorizeFinding.SCOPE_NOT_ALLOWED}:
        return Check(CheckResult.FAIL, _scopes_advice(scopes), now)
    if finding in _REDIRECT_URI_IS_BAD:
        return Check(CheckResult.UNKNOWN, "Xero looks at the scopes only once the redirect URI is right.", now)
    unknown = finding is AuthorizeFinding.CLIENT_UNKNOWN
    return Check(CheckResult.UNKNOWN, _LOOKED_NO_FURTHER if unknown else _NO_ANSWER, now)


def granted_scopes_check(requested: Sequence[str], granted: Sequence[str], now: datetime) -> Check:
    """Return the check named `scopes` after a token: Xero may grant more than was asked for, and says so."""
    missing = sorted(set(requested) - set(granted))
    if missing:
        advice = _instead_of(missing) or "Enable them for the app at Xero; the next consent or token brings them."
        return Check(CheckResult.FAIL, f"Xero did not grant: {' '.join(missing)}. {advice}", now)
    return Check(CheckResult.PASS, "Xero granted every scope that was asked for.", now)


def _scopes_advice(scopes: Sequence[str]) -> str:
    retired = _instead_of(scopes)
    if retired:
        return retired
    asked_for = " ".join(scope for scope in scopes if scope not in OF_A_USER)
    return (
        f"Xero does not allow this app at least one of these scopes: {asked_for}. Enable all of them for the app "
        "in Xero's portal, or submit the pair again with those that it has (DELETE the credential first)."
    )


def _instead_of(scopes: Sequence[str]) -> str:
    retired = [scope for scope in scopes if scope in GRANULAR_SCOPES]
    if not retired:
        return ""
    instead = " ".join(dict.fromkeys(name for scope in retired for name in GRANULAR_SCOPES[scope]))
    return (
        f"These scopes are not enabled: {' '.join(retired)}. Apps made on or after 2 March 2026 do not have "
        f"them. Use {instead} instead: submit the pair again with these scopes (DELETE the credential first)."
    )


def merged(before: Mapping[str, Check], found: Mapping[str, Check]) -> dict[str, Check]:
    """Return the checks with what was found; an advisory `unknown` replaces nothing definite."""
    return {**before, **{name: check for name, check in found.items() if _tells_more(name, check, before)}}


def _tells_more(name: str, check: Check, before: Mapping[str, Check]) -> bool:
    if name == "pair" or check.result is not CheckResult.UNKNOWN:
        return True
    return before.get(name, check).result is CheckResult.UNKNOWN
