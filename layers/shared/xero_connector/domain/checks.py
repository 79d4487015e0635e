"""What a proof learned about an app at Xero, in sentences that a person can act on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from xero_connector.domain.scopes import GRANULAR_SCOPES, OF_A_USER

_SAID_AGAIN_AFTER = timedelta(days=1)


class CheckResult(StrEnum):
    """The result of a check; `unknown` never counts against a pair."""

    PASS = "pass"  # noqa: S105 - a verdict, not a password
    FAIL = "fail"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Check:
    """One result about the app at Xero."""

    result: CheckResult
    detail: str
    checked_at: datetime | None = None


UNCHECKED: Mapping[str, Check] = {
    "pair": Check(CheckResult.UNKNOWN, "Not checked yet."),
    "redirect_uri": Check(
        CheckResult.UNKNOWN, "Not checked yet. The first consent will show whether it is correct."
    ),
    "scopes": Check(CheckResult.UNKNOWN, "Not checked yet. The first consent will show whether they are correct."),
}


class AuthorizeFinding(StrEnum):
    """How the authorize endpoint answered a request without a user."""

    ACCEPTED = "accepted"
    """The login page: client ID, redirect URI and scopes are correct."""
    CLIENT_UNKNOWN = "client_unknown"
    REDIRECT_URI_REFUSED = "redirect_uri_refused"
    REDIRECT_URI_CASE = "redirect_uri_case"
    """Refused as it is, accepted in another letter case."""
    SCOPE_UNKNOWN = "scope_unknown"
    """The scope does not exist, or was retired."""
    SCOPE_NOT_ALLOWED = "scope_not_allowed"
    """The scope exists, but not for this app."""
    INCONCLUSIVE = "inconclusive"
    """Anything else: bot protection, an outage, an answer that is not documented."""


_REDIRECT_URI_IS_GOOD = frozenset(
    {AuthorizeFinding.ACCEPTED, AuthorizeFinding.SCOPE_UNKNOWN, AuthorizeFinding.SCOPE_NOT_ALLOWED}
)
_REDIRECT_URI_IS_BAD = frozenset({AuthorizeFinding.REDIRECT_URI_REFUSED, AuthorizeFinding.REDIRECT_URI_CASE})
_NOT_REACHED = "Xero does not know the client ID, so it did not check this."
_NO_ANSWER = "Xero's login page gave no definite answer. The first consent will show it."


SAVE_FIRST = (
    "In the Xero app, under Configuration, generate a secret, press Save, then paste it. Xero can take a few "
    "minutes to accept a new secret."
)


def refused_pair_check(now: datetime) -> Check:
    """Return the check named `pair` after Xero refused a pair that it accepted before."""
    return Check(CheckResult.FAIL, f"Xero now refuses this client ID and client secret. {SAVE_FIRST}", now)


def redirect_uri_check(finding: AuthorizeFinding, redirect_uri: str, now: datetime) -> Check:
    """Return the check named `redirect_uri`. It is advice: Xero's bot protection may have answered."""
    if finding in _REDIRECT_URI_IS_GOOD:
        return Check(CheckResult.PASS, "The redirect URI is registered for the app at Xero.", now)
    if finding is AuthorizeFinding.REDIRECT_URI_CASE:
        return Check(
            CheckResult.FAIL,
            "The redirect URI that is registered at Xero differs only in capital and small letters. "
            f"In the Xero app, replace it with exactly this redirect URI and press Save: {redirect_uri}",
            now,
        )
    if finding is AuthorizeFinding.REDIRECT_URI_REFUSED:
        return Check(
            CheckResult.FAIL,
            "The redirect URI is not registered for the app at Xero. In the Xero app, under Configuration, add "
            f"exactly this redirect URI (capital and small letters matter) and press Save: {redirect_uri}",
            now,
        )
    unknown = finding is AuthorizeFinding.CLIENT_UNKNOWN
    return Check(CheckResult.UNKNOWN, _NOT_REACHED if unknown else _NO_ANSWER, now)


def redirect_uri_refused_check(redirect_uri: str, now: datetime) -> Check:
    """Return the check named `redirect_uri` after a consent that only the token endpoint refused."""
    return Check(
        CheckResult.FAIL,
        "A user gave consent at Xero, but then Xero refused the redirect URI. In the Xero app, under "
        "Configuration, register exactly this redirect URI (capital and small letters matter) and press Save: "
        f"{redirect_uri}",
        now,
    )


def scopes_check(finding: AuthorizeFinding, scopes: Sequence[str], now: datetime) -> Check:
    """Return the check named `scopes`; Xero does not say which one it refuses, so it names all likely ones."""
    if finding is AuthorizeFinding.ACCEPTED:
        return Check(CheckResult.PASS, "Xero accepts the scopes for this app.", now)
    if finding in {AuthorizeFinding.SCOPE_UNKNOWN, AuthorizeFinding.SCOPE_NOT_ALLOWED}:
        return Check(CheckResult.FAIL, _scopes_advice(scopes), now)
    if finding in _REDIRECT_URI_IS_BAD:
        return Check(CheckResult.UNKNOWN, "Xero checks the scopes only if the redirect URI is correct.", now)
    unknown = finding is AuthorizeFinding.CLIENT_UNKNOWN
    return Check(CheckResult.UNKNOWN, _NOT_REACHED if unknown else _NO_ANSWER, now)


def granted_scopes_check(requested: Sequence[str], granted: Sequence[str], now: datetime) -> Check:
    """Return the check named `scopes` after a token: the answer lists what was granted, which can be more."""
    missing = sorted(set(requested) - set(granted))
    if missing:
        advice = (
            _instead_of(missing) or "Enable them for the app at Xero. The next consent or token will include them."
        )
        return Check(CheckResult.FAIL, f"Xero did not grant: {' '.join(missing)}. {advice}", now)
    return Check(CheckResult.PASS, "Xero granted every scope that was requested.", now)


def _scopes_advice(scopes: Sequence[str]) -> str:
    retired = _instead_of(scopes)
    if retired:
        return retired
    requested = " ".join(scope for scope in scopes if scope not in OF_A_USER)
    return (
        f"Xero does not allow this app at least one of these scopes: {requested}. Enable all of them for the app "
        "in Xero's portal, or submit the pair again with only the scopes that the app has (DELETE the credential "
        "first)."
    )


def _instead_of(scopes: Sequence[str]) -> str:
    retired = [scope for scope in scopes if scope in GRANULAR_SCOPES]
    if not retired:
        return ""
    instead = " ".join(dict.fromkeys(name for scope in retired for name in GRANULAR_SCOPES[scope]))
    return (
        f"These scopes are not enabled: {' '.join(retired)}. Apps created on or after 2 March 2026 do not have "
        f"them. Use {instead} instead, and submit the pair again (DELETE the credential first)."
    )


def is_news(check: Check, before: Check, now: datetime) -> bool:
    """Whether a check says something else than before, or says the same again after a day."""
    same = (check.result, check.detail) == (before.result, before.detail)
    return not same or before.checked_at is None or now - before.checked_at >= _SAID_AGAIN_AFTER


def merged(before: Mapping[str, Check], new: Mapping[str, Check]) -> dict[str, Check]:
    """Return the checks with the new ones; an advisory `unknown` does not replace a definite result."""
    return {**before, **{name: check for name, check in new.items() if _tells_more(name, check, before)}}


def _tells_more(name: str, check: Check, before: Mapping[str, Check]) -> bool:
    if name == "pair" or check.result is not CheckResult.UNKNOWN:
        return True
    return before.get(name, check).result is CheckResult.UNKNOWN
