"""What came of one turn of a credential."""

from dataclasses import dataclass

from xero_connector.domain.credential import Credential


@dataclass(frozen=True, slots=True)
class TurnDone:
    """The credential as it is after a turn; `answered` tells whether Xero answered, None if it was not asked."""

    credential: Credential
    answered: bool | None = None

    @property
    def outcome(self) -> str:
        """What a sweep counts it as."""
        return str(self.credential.status)
