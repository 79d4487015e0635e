"""The redirect back from Xero, read as its standards say (RFC 6749 §4.1.2, RFC 9207)."""

import re

from aws_lambda_powertools.event_handler import APIGatewayRestResolver

from xero_connector.domain import consent_refusals
from xero_connector.use_cases.complete_consent import Callback
from xero_connector.web.browser_cookie import read_binding
from xero_connector.web.rest_requests import query_values

_NAMES = ("state", "code", "error", "error_description", "iss")
# RFC 6749 §A.11: printable ASCII. Nothing says how long; Xero's have some 40 characters.
_CODE = re.compile(r"[\x20-\x7e]{1,2048}")


def read_callback(app: APIGatewayRestResolver, *, issuer: str) -> Callback:
    """Return what the browser brings back, or raise `ConsentRefused` for what cannot be Xero's answer.

    Such a refusal leaves the authorization request open: anybody can make an address that looks like that.
    """
    values = {name: query_values(app, name) for name in _NAMES}
    if any(len(found) > 1 for found in values.values()):
        raise consent_refusals.callback_malformed()
    # RFC 6749 §3.1: a parameter without a value is one that was left out.
    response = {name: found[0] or None if found else None for name, found in values.items()}
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
