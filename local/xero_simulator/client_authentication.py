import base64
import binascii
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import unquote_plus

MOST_CHARACTERS = 100  # of an id and of a secret: IdentityServer's default InputLengthRestrictions


class ClientCredentials(NamedTuple):
    """What a client says about itself; nothing of it has been checked."""

    client_id: str
    client_secret: str | None


def presented_credentials(form: Mapping[str, str], authorization: str | None) -> ClientCredentials | None:
    """Read the client's id and secret: HTTP Basic first, then the form body, None where neither has any."""
    presented = _from_basic(authorization) or _from_form(form)
    if presented is None or len(presented.client_id) > MOST_CHARACTERS:
        return None
    if presented.client_secret is not None and len(presented.client_secret) > MOST_CHARACTERS:
        return None
    return presented


def _from_basic(authorization: str | None) -> ClientCredentials | None:
    scheme, _, encoded = (authorization or "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        client_id, colon, client_secret = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    if not colon or not client_id:
        return None
    # RFC 6749 section 2.3.1: both halves were form-encoded before they were joined.
    return ClientCredentials(unquote_plus(client_id), unquote_plus(client_secret) or None)


def _from_form(form: Mapping[str, str]) -> ClientCredentials | None:
    client_id = form.get("client_id")
    return ClientCredentials(client_id, form.get("client_secret") or None) if client_id else None
