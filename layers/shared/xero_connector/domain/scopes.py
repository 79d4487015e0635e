"""The scopes that can be asked for, and those that Xero has retired."""

import re
from collections.abc import Mapping

from xero_connector.domain.errors import MalformedRequest

MOST_SCOPES = 60
_SCOPE_FORBIDDEN = "forbidden_scope"
_SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{1,100}")
REQUIRED_SCOPES: Mapping[str, str] = {
    "offline_access": "Without it Xero gives no refresh token, and the connection would end after 30 minutes.",
    "openid": "Without it Xero gives no ID token, and the user who gave the consent would be unknown.",
}
"""What every consent has to ask for, and why."""
FORBIDDEN_SCOPE = "app.connections"
OF_A_USER = frozenset({"openid", "profile", "email", "offline_access"})
"""What only a consent can ask for: a Custom connection has no user and no refresh token."""
GRANULAR_SCOPES: Mapping[str, tuple[str, ...]] = {
    "accounting.transactions": (
        "accounting.invoices",
        "accounting.payments",
        "accounting.banktransactions",
        "accounting.manualjournals",
    ),
    "accounting.transactions.read": (
        "accounting.invoices.read",
        "accounting.payments.read",
        "accounting.banktransactions.read",
        "accounting.manualjournals.read",
    ),
    "accounting.reports.read": (
        "accounting.reports.aged.read",
        "accounting.reports.balancesheet.read",
        "accounting.reports.banksummary.read",
        "accounting.reports.budgetsummary.read",
        "accounting.reports.executivesummary.read",
        "accounting.reports.profitandloss.read",
        "accounting.reports.trialbalance.read",
    ),
}
"""The scopes that apps made on or after 2 March 2026 do not have, and what they have instead (Xero, "Scopes")."""


def is_scope(text: str) -> bool:
    """Whether a text can be the name of a scope (RFC 6749 §3.3)."""
    return _SCOPE.fullmatch(text) is not None


def check_for_no_user(scopes: tuple[str, ...]) -> None:
    """Raise `MalformedRequest` for scopes that a Custom connection cannot have."""
    of_a_user = sorted(OF_A_USER.intersection(scopes))
    if of_a_user:
        raise MalformedRequest(
            f"A Custom connection cannot have {' '.join(of_a_user)}, because it does not act for a user.",
            code=_SCOPE_FORBIDDEN,
            hint="Send only scopes that the Custom connection was set up with, or leave scopes out to get all.",
        )


def check_for_consent(scopes: tuple[str, ...]) -> None:
    """Raise `MalformedRequest` if a required scope is missing, or a consent cannot ask for one."""
    for required, reason in REQUIRED_SCOPES.items():
        if required not in scopes:
            raise MalformedRequest(
                f"The scope {required} is missing. {reason}",
                code="missing_scope",
                hint=f"Add {required} to the scopes.",
            )
    if FORBIDDEN_SCOPE in scopes:
        raise MalformedRequest(
            f"A consent cannot ask for the scope {FORBIDDEN_SCOPE}.",
            code=_SCOPE_FORBIDDEN,
            hint=f"Leave {FORBIDDEN_SCOPE} out: with it, Xero refuses the whole consent.",
        )
