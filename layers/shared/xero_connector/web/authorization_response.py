"""Reads the redirect back from Xero (RFC 6749 §4.1.2, RFC 9207)."""

import re

from aws_lambda_powertools.event_handler import APIGatewayRestResolver

from xero_connector.domain import consent_refusals
from xero_connector.use_cases.complete_consent import Callback
from xero_connector.web.browser_cookie import read_binding
from xero_connector.web.rest_requests import query_values

_NAMES = ("state", "code", "error", "error_description", "iss")
# RFC 6749 §A.11: printable ASCII, of any length. Xero's codes have about 40 characters.
_CODE = re.compile(r"[\x20-\x7e]{1,2048}")


def read_callback(app: APIGatewayRestResolver, *, issuer: str) -> Callback:
    """Return the parameters of the redirect, or raise `ConsentRefused` if it cannot be Xero's answer.

    Such a refusal leaves the authorization request open, because anyone can make such an address.
    """
    values = {name: query_values(app, name) for name in _NAMES}
    if any(len(given) > 1 for given in values.values()):
        raise consent_refusals.callback_malformed()
    # RFC 6749 §3.1: a parameter without a value counts as omitted.
    response = {name: given[0] or None if given else None for name, given in values.items()}
    if response["iss"] not in {None, issuer}:
        raise consent_refusals.wrong_issuer()
    code, error = response["code"], response["error"]
    if not error and code is not None and not _CODE.fullmatch(code):
        raise consent_refusals.callback_malformed()
    return Callback(
        state=response["state"],
        code=code,
        error=error,
        error_description=response["error_description"],
        bindings=lambda ticket_hash: read_binding(app, ticket_hash),
    )
