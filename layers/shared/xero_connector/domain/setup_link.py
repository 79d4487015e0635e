"""Setup links: the right of a customer to hand over one pair, or to heal one credential.

The registry keeps the hash of the ticket in the link's address. The id of a link is a part of that hash, so that
the link is found by its ticket, and no id leads back to a ticket.
"""

import hmac
from base64 import urlsafe_b64encode
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from xero_connector.domain.consent import digest
from xero_connector.domain.credential import Credential, IntegrationType
from xero_connector.domain.setup_view import Purpose, Try, TryProblem

SHORTEST_LIFETIME = timedelta(days=1)
DEFAULT_LIFETIME = timedelta(days=7)
LONGEST_LIFETIME = timedelta(days=30)
KEPT_AFTER_EXPIRY = timedelta(days=90)
"""An admin can still read what became of a link."""
CLAIM_LIFETIME = timedelta(seconds=60)
"""Longer than a submission can run: a process that was cut off blocks its link no longer than this."""
MOST_TRIES = 10
"""Within `TRIES_WINDOW`: enough to correct what was copied wrong, too few to guess."""
TRIES_WINDOW = timedelta(minutes=15)
MOST_REFUSALS = 50
"""In the whole life of a link."""
MOST_TRIES_OF_AN_ADDRESS = 60
"""In an hour: the customers of one office may share an address."""
FAILING_AFTER = 3
"""Refusals in a row after which the customer needs a call."""
OPENED_AGAIN_AFTER = timedelta(minutes=5)
"""How often at most an opening is written down: a page that waits loads itself again and again."""
_ID_DIGITS = 32

REFUSALS = frozenset(
    {
        TryProblem.CLIENT_ID_UNKNOWN,
        TryProblem.SECRET_WRONG,
        TryProblem.PAIR_REFUSED,
        TryProblem.CUSTOM_CONNECTION,
        TryProblem.WEB_APP,
        TryProblem.MOBILE_APP,
        TryProblem.CREDENTIAL_EXISTS,
    }
)
"""What counts against a link."""


class LinkState(StrEnum):
    """Where a setup link stands."""

    OPEN = "open"
    OPENED = "opened"
    FAILING = "failing"
    """Several pairs in a row were refused."""
    USED = "used"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"


def setup_link_id(ticket: str) -> str:
    """Return the id of the link that a ticket belongs to."""
    return digest(ticket)[:_ID_DIGITS]


def is_setup_link_id(text: str) -> bool:
    """Whether a text has the form of an id of a link."""
    return len(text) == _ID_DIGITS and set(text) <= set("0123456789abcdef")


def by_setup_link(setup_link_id: str) -> str:
    """Who handed over a pair, as the audit trail says it."""
    return f"setup_link:{setup_link_id}"


def connect_ticket(ticket: str) -> str:
    """Return the connect ticket that belongs to a setup ticket.

    It is derived, so that each visit can show the same one and no store has it in the clear. It does not lead back
    to the setup ticket: who is given the connect link cannot hand over a pair.
    """
    mac = hmac.digest(ticket.encode(), b"connect ticket", "sha256")
    return urlsafe_b64encode(mac).decode().rstrip("=")


@dataclass(frozen=True, slots=True, kw_only=True)
class BrowsersTry:
    """The last try of a link, and the browser that made it: no other is shown it."""

    browser_hash: str
    result: Try


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A pair that is being handed over: whose, and until when no other can be."""

    client_id: str
    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SetupLink:
    """One setup link, without its ticket.

    `client_id` is None until a pair was accepted. `refusals` counts the pairs that were refused, and
    `refused_in_a_row` those since the last that was not. `tries` counts what was sent to Xero since `tries_since`.
    """

    ticket_hash: str
    revision: int = 0
    purpose: Purpose
    label: str | None
    integration_type: IntegrationType | None
    scopes: tuple[str, ...] | None
    client_id: str | None = None
    created_at: datetime
    created_by: str
    expires_at: datetime
    last_opened_at: datetime | None = None
    used_at: datetime | None = None
    withdrawn_at: datetime | None = None
    refusals: int = 0
    refused_in_a_row: int = 0
    tries: int = 0
    tries_since: datetime | None = None
    claim: Claim | None = None
    last_try: BrowsersTry | None = None

    @property
    def setup_link_id(self) -> str:
        """The public id of the link."""
        return self.ticket_hash[:_ID_DIGITS]

    def state(self, now: datetime) -> LinkState:
        """Where the link stands."""
        if self.used_at is not None:
            return LinkState.USED
        if self.withdrawn_at is not None:
            return LinkState.WITHDRAWN
        if self.expires_at <= now:
            return LinkState.EXPIRED
        if self.refused_in_a_row >= FAILING_AFTER:
            return LinkState.FAILING
        return LinkState.OPEN if self.last_opened_at is None else LinkState.OPENED

    def is_over(self, now: datetime) -> bool:
        """Whether the link takes no pair any more."""
        return self.withdrawn_at is not None or self.expires_at <= now

    @property
    def is_exhausted(self) -> bool:
        """Whether so many pairs were refused that the link takes no other."""
        return self.refusals >= MOST_REFUSALS

    def try_allowed_at(self, now: datetime) -> datetime:
        """When the next try is allowed: not later than `now` if it is allowed already."""
        if self.tries_since is None or self.tries < MOST_TRIES:
            return now
        return self.tries_since + TRIES_WINDOW

    def opened(self, now: datetime) -> "SetupLink":
        """Note that the page was loaded."""
        return replace(self, last_opened_at=now)

    def withdrawn(self, now: datetime) -> "SetupLink":
        """End the link."""
        return replace(self, withdrawn_at=now)

    def takes_claim(self, now: datetime) -> bool:
        """Whether a pair may be handed over at this moment."""
        return not self.is_over(now) and (self.claim is None or self.claim.until <= now)

    def leads_to(self, credential: Credential) -> bool:
        """Whether a credential is the one that this link is for, and not a later one of the same client ID."""
        known_at = self.used_at or self.created_at
        return credential.client_id == self.client_id and credential.created_at <= known_at

    def claimed(self, client_id: str, now: datetime) -> "SetupLink":
        """Begin to hand over a pair; counts a try."""
        began_anew = self.tries_since is None or self.tries_since + TRIES_WINDOW <= now
        return replace(
            self,
            claim=Claim(client_id=client_id, until=now + CLAIM_LIFETIME),
            tries=1 if began_anew else self.tries + 1,
            tries_since=now if began_anew else self.tries_since,
        )

    def tried(self, browser_hash: str, result: Try, now: datetime) -> "SetupLink":
        """End a try that led nowhere; only a refusal counts against the link.

        Where a store did not answer, the pair may have been kept: its claim ends, but stays to be looked at.
        """
        refused = result.problem in REFUSALS
        claim = self.claim if result.problem is TryProblem.UNAVAILABLE else None
        return replace(
            self,
            claim=None if claim is None else replace(claim, until=now),
            last_try=BrowsersTry(browser_hash=browser_hash, result=result),
            refusals=self.refusals + refused,
            refused_in_a_row=self.refused_in_a_row + refused,
        )

    def told(self, browser_hash: str, result: Try) -> "SetupLink":
        """Keep for a browser what came of a form that was not sent to Xero."""
        return replace(self, last_try=BrowsersTry(browser_hash=browser_hash, result=result))

    def used(self, client_id: str, now: datetime) -> "SetupLink":
        """End with a pair that was accepted."""
        return replace(
            self, client_id=client_id, used_at=self.used_at or now, claim=None, last_try=None, refused_in_a_row=0
        )

    def has_just_begun_to_fail(self, before: "SetupLink") -> bool:
        """Whether this is the refusal after which the customer needs a call."""
        return before.refused_in_a_row < FAILING_AFTER <= self.refused_in_a_row
