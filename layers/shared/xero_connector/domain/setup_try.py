"""What a try to hand over a pair came to, from the error that ended it."""

from xero_connector.domain.checks import CheckResult
from xero_connector.domain.errors import Conflict, ConnectorError, LeaseUnavailable, PairRefused, XeroUnavailable
from xero_connector.domain.proof import Verdict
from xero_connector.domain.setup_view import TryProblem

_HALVES = {"client_id": TryProblem.CLIENT_ID_UNKNOWN, "client_secret": TryProblem.SECRET_WRONG}
_TYPES = {
    Verdict.CUSTOM_CONNECTION: TryProblem.CUSTOM_CONNECTION,
    Verdict.WEB_APP: TryProblem.WEB_APP,
    Verdict.MOBILE_APP: TryProblem.MOBILE_APP,
}


def problem_of(error: ConnectorError) -> TryProblem:
    """Return the problem that the page explains; what is not the customer's is `UNAVAILABLE`."""
    match error:
        case PairRefused(half=str(half)):
            return _HALVES[half]
        case PairRefused(code=code):
            return _TYPES.get(Verdict(code), TryProblem.PAIR_REFUSED)
        case Conflict(code="credential_exists"):
            return TryProblem.CREDENTIAL_EXISTS
        case Conflict() | LeaseUnavailable():
            return TryProblem.APP_BUSY
        case XeroUnavailable():
            return TryProblem.XERO_UNAVAILABLE
        case _:
            return TryProblem.UNAVAILABLE


def advice_of(error: ConnectorError) -> dict[str, CheckResult]:
    """Return the results of the checks beside the pair's own, where Xero was asked."""
    if not isinstance(error, PairRefused):
        return {}
    return {name: check.result for name, check in error.checks.items() if name in {"redirect_uri", "scopes"}}
