"""What a customer can do for a credential that no longer works."""

from xero_connector.domain.checks import CheckResult
from xero_connector.domain.credential import Credential, IntegrationType
from xero_connector.domain.rejection import keeps_pair
from xero_connector.domain.setup_view import Purpose
from xero_connector.domain.status import Status


def wants_secret(credential: Credential) -> bool:
    """Whether a new client secret heals this credential: Xero refuses the one that is stored."""
    if credential.status is Status.PENDING_VALIDATION:
        return credential.refusals > 0
    if credential.status is Status.CLIENT_REJECTED:
        return not _is_accepted_again(credential)
    return credential.status is Status.REJECTED and keeps_pair(credential)


def _is_accepted_again(credential: Credential) -> bool:
    """Whether Xero accepted the pair since it was refused, and only the refresh is ahead that shows it."""
    # Whatever leads to the status notes the refusal in this check.
    pair = credential.checks.get("pair")
    return pair is not None and pair.result is CheckResult.PASS


def healed_by(credential: Credential) -> Purpose | None:
    """Return the purpose of the link that heals a credential, None where there is nothing to heal."""
    if wants_secret(credential):
        return Purpose.REPLACE_SECRET
    web_app = credential.integration_type is IntegrationType.WEB_APP
    if web_app and credential.status is Status.REAUTHORIZATION_REQUIRED:
        return Purpose.REAUTHORIZE
    return None
