"""Connect tickets and authorization requests.

The registry keeps hashes only. The code verifier and the nonce are derived from what the browser's cookie
holds and from the state, so that neither a copy of the table nor a stolen callback URL is enough to go on.
"""

import hmac
import secrets
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import sha256

from xero_connector.domain.tenant import Tenant

AUTHORIZATION_REQUEST_LIFETIME = timedelta(hours=1)
"""Long enough to find the phone that Xero's two-step login asks for."""
AUTHORIZATION_REQUEST_KEPT = AUTHORIZATION_REQUEST_LIFETIME + timedelta(days=7)
"""How long browser and registry keep a request, so that its page still says what became of the consent."""
CLAIM_LIFETIME = timedelta(seconds=60)
"""Longer than a callback can run: after this its process is gone, and a reload may go on."""
_TOKEN_BYTES = 32
_TOKEN_LENGTH = 43
_DIGEST_LENGTH = 64
_DIGITS = frozenset("0123456789abcdef")


def new_token() -> str:
    """Return 256 random bits, base64url."""
    return secrets.token_urlsafe(_TOKEN_BYTES)


def is_token(text: str) -> bool:
    """Whether a text has the form of `new_token`."""
    return len(text) == _TOKEN_LENGTH and text.isascii() and text.replace("-", "").replace("_", "").isalnum()


def digest(token: str) -> str:
    """Return the hash under which the registry keeps a ticket, a state or a binding."""
    return sha256(token.encode()).hexdigest()


def is_digest(text: str) -> bool:
    """Whether a text has the form of `digest`."""
    return len(text) == _DIGEST_LENGTH and set(text) <= _DIGITS


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectTicket:
    """The right to start a consent for one credential, as often as needed, until it expires.

    It ends with the setup link whose page led to it, if one did.
    """

    ticket_hash: str
    client_id: str
    created_at: datetime
    expires_at: datetime
    setup_link_id: str | None = None


class RequestPhase(StrEnum):
    """How far an authorization request has come."""

    OPEN = "open"
    CLAIMED = "claimed"
    COMPLETED = "completed"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizationRequest:
    """One trip of one browser to Xero and back (RFC 6749 §4.1.1), under the hash of its state.

    `refusal` is the name of the refusal with which it failed, None where no code was presented to Xero.
    """

    state_hash: str
    revision: int = 0
    client_id: str
    ticket_hash: str
    binding_hash: str
    created_at: datetime
    expires_at: datetime
    phase: RequestPhase = RequestPhase.OPEN
    claimed_at: datetime | None = None
    tenants: tuple[Tenant, ...] = ()
    tenants_pending: bool = False
    refusal: str | None = None

    def is_bound_to(self, binding: str) -> bool:
        """Whether the browser that shows this binding is the one that started the request."""
        return hmac.compare_digest(self.binding_hash, digest(binding))

    def is_claimed(self, now: datetime) -> bool:
        """Whether another callback is at work on this request right now."""
        return (
            self.phase is RequestPhase.CLAIMED
            and self.claimed_at is not None
            and now < self.claimed_at + CLAIM_LIFETIME
        )

    def claimed(self, now: datetime) -> "AuthorizationRequest":
        """Start working on the callback."""
        return replace(self, phase=RequestPhase.CLAIMED, claimed_at=now)

    def reopened(self) -> "AuthorizationRequest":
        """Give a claim back: nothing came of it at Xero."""
        return replace(self, phase=RequestPhase.OPEN, claimed_at=None)

    def failed(self, refusal: str | None = None) -> "AuthorizationRequest":
        """End without a grant; the name of the refusal is kept for the page of the consent."""
        return replace(self, phase=RequestPhase.FAILED, refusal=refusal)

    def completed(self, tenants: tuple[Tenant, ...], *, pending: bool) -> "AuthorizationRequest":
        """End with a grant; the organisations are kept for a callback that comes twice."""
        return replace(self, phase=RequestPhase.COMPLETED, tenants=tenants, tenants_pending=pending)


@dataclass(frozen=True, slots=True)
class BrowserBinding:
    """What the cookie holds: the ticket it belongs to and a random value that only this browser knows."""

    ticket: str = field(repr=False)
    binding: str = field(repr=False)

    def code_verifier(self, state: str) -> str:
        """Derive the PKCE code verifier (RFC 7636 §4.1: 43 unreserved characters)."""
        return self._derive("code_verifier", state)

    def nonce(self, state: str) -> str:
        """Derive the nonce of the ID token (OpenID Connect Core §3.1.2.1)."""
        return self._derive("nonce", state)

    def _derive(self, purpose: str, state: str) -> str:
        mac = hmac.digest(self.binding.encode(), f"{purpose}/{state}".encode(), "sha256")
        return urlsafe_b64encode(mac).decode().rstrip("=")
