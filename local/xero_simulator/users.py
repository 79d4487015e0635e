import hashlib
from dataclasses import dataclass
from datetime import datetime
from uuid import NAMESPACE_DNS, uuid5

DEFAULT_EMAIL = "alex@example.com"

_USERS = uuid5(NAMESPACE_DNS, "users.xero-simulator.test")


@dataclass(frozen=True, slots=True)
class User:
    """A person with a Xero login; the simulator asks for no password."""

    email: str

    @property
    def user_id(self) -> str:
        return str(uuid5(_USERS, self.email))

    @property
    def subject(self) -> str:
        # Xero's `sub` differs from its user id, so that code that mixes them up fails here.
        return hashlib.sha256(self.email.encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Session:
    """A logged-in browser."""

    session_id: str
    user: User
    auth_time: datetime
