"""The weather of the meaner world: each service away for long, for writes only or for all, and odd answers."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from random import Random
from typing import Any

from tests.prove.weather import DAY, MINUTE, Spell

type Json = dict[str, Any]


class Away(StrEnum):
    """What is away during a spell."""

    VAULT = "vault"
    VAULT_WRITES = "vault, writes only"
    KEY = "key"
    REGISTRY = "registry"
    REGISTRY_WRITES = "registry, writes only"
    BUS = "bus"
    XERO = "Xero"


_WRITES = frozenset(
    {
        "secretsmanager.put_secret_value",
        "secretsmanager.create_secret",
        "secretsmanager.delete_secret",
        "secretsmanager.restore_secret",
        "secretsmanager.update_secret",
        "secretsmanager.tag_resource",
        "dynamodb.put_item",
        "dynamodb.transact_write_items",
        "dynamodb.delete_item",
    }
)
# A key that is away takes the vault's reads and writes with it.
_TOUCHES: Mapping[Away, Callable[[str], bool]] = {
    Away.VAULT: lambda name: name.startswith("secretsmanager."),
    Away.VAULT_WRITES: lambda name: name.startswith("secretsmanager.") and name in _WRITES,
    Away.KEY: lambda name: (
        name.startswith("kms.") or name in {"secretsmanager.put_secret_value", "secretsmanager.get_secret_value"}
    ),
    Away.REGISTRY: lambda name: name.startswith("dynamodb."),
    Away.REGISTRY_WRITES: lambda name: name.startswith("dynamodb.") and name in _WRITES,
    Away.BUS: lambda name: name.startswith("events."),
    Away.XERO: lambda name: name.startswith("xero."),
}
_ERRORS = ("ThrottlingException", "InternalServiceError", "AccessDeniedException", "EncryptionFailure")


_FLAKY = timedelta(minutes=30)
_REFUSED = 0.8


class Fate(StrEnum):
    """What becomes of one call."""

    REFUSED = "refused"
    SLOWLY_REFUSED = "slowly refused"
    REFUSED_AFTER = "refused after it took effect"
    EMPTY = "an empty answer"
    LOST = "lost after it took effect"
    UNAVAILABLE = "503"
    THROTTLED = "429"
    DRIPPING = "a whole answer that comes too late"
    STRAY = "one wrong refusal"
    HTML = "a page with 200"


@dataclass(frozen=True, slots=True)
class Trouble:
    """A call's fate, and the error code where AWS names one."""

    fate: Fate
    code: str = ""


class MeanWeather:
    """Draws what goes wrong, by the seed: spells before the first day, single calls as they come."""

    def __init__(self, seed: str, start: datetime, days: int, *, longest: timedelta) -> None:
        draw = Random(seed)  # noqa: S311 - a seed is the point
        self._calls = Random(f"{seed}/calls")  # noqa: S311
        self.spells: list[tuple[Away, Spell]] = []
        pace = DAY * days / len(Away)
        for position, away in enumerate(Away):
            # One of the longest for each, one after the other; and short ones of any, any time.
            began = start + pace * position + timedelta(hours=2)
            self.spells.append((away, Spell(began, began + min(longest, pace - timedelta(hours=4)))))
        for _ in range(days * 3):
            began = start + DAY * days * draw.random()
            self.spells.append(
                (draw.choice(list(Away)), Spell(began, began + MINUTE * draw.choice([2, 5, 12, 25, 45])))
            )
        self._short_lives = [
            Spell(start + pace * position, start + pace * position + timedelta(hours=6)) for position in (1, 4)
        ]
        self._stray: set[str] = set()
        self.calm = False

    def away(self, now: datetime) -> set[Away]:
        """What is away at this moment."""
        if self.calm:
            return set()
        return {away for away, spell in self.spells if spell.start <= now < spell.end}

    def was_away(self, since: datetime, until: datetime) -> bool:
        """Whether anything was away within a stretch of time."""
        return any(spell.start < until and since < spell.end for _, spell in self.spells)

    def trouble(self, name: str, now: datetime) -> Trouble | None:
        """What happens to a call, by the name of its service and operation."""
        chance = self._calls.random()
        if self.calm:
            return None
        touching = [
            spell for away, spell in self.spells if spell.start <= now < spell.end and _TOUCHES[away](name)
        ]
        if touching and name.startswith("xero."):
            return self._of_xero(chance)
        if touching:
            # In a long spell nothing gets through; in a short one some of it does, unseen.
            through = max(spell.length for spell in touching) < _FLAKY
            return self._of_aws(chance if through else chance * _REFUSED)
        if name.startswith("xero."):
            return self._of_a_day(name, chance)
        return self._of_aws(self._calls.random()) if chance < 0.0005 else None

    def is_stray(self, client_id: str) -> bool:
        """Whether a refusal may go astray: two in a row would be no stray ones."""
        if client_id in self._stray:
            self._stray.discard(client_id)
            return False
        self._stray.add(client_id)
        return True

    def answered(self, client_id: str) -> None:
        """Xero answered: another stray refusal is possible."""
        self._stray.discard(client_id)

    def _of_aws(self, chance: float) -> Trouble:
        code = self._calls.choice(_ERRORS)
        shares = (
            (0.6, Fate.REFUSED),
            (_REFUSED, Fate.SLOWLY_REFUSED),
            (0.95, Fate.EMPTY),
            (1.0, Fate.REFUSED_AFTER),
        )
        return Trouble(next(fate for bound, fate in shares if chance < bound), code)

    @staticmethod
    def _of_xero(chance: float) -> Trouble:
        return Trouble(Fate.UNAVAILABLE if chance < 0.5 else Fate.REFUSED)

    @staticmethod
    def _of_a_day(name: str, chance: float) -> Trouble | None:
        if name != "xero.POST /connect/token":
            return Trouble(Fate.DRIPPING) if chance < 0.005 else None
        shares = (
            (0.004, Fate.LOST),
            (0.006, Fate.DRIPPING),
            (0.008, Fate.UNAVAILABLE),
            (0.011, Fate.THROTTLED),
            (0.012, Fate.HTML),
            (0.015, Fate.STRAY),
        )
        return next((Trouble(fate) for bound, fate in shares if chance < bound), None)

    def lives(self, now: datetime) -> int | None:
        """How long access tokens live just now, in seconds; None for as long as usual."""
        short = any(spell.start <= now < spell.end for spell in self._short_lives)
        return self._calls.choice((600, 1200)) if short and not self.calm else None

    def odd(self, name: str, content: object, now: datetime) -> object:
        """Return an answer of Xero in an odd shape that is still usable, or as it is."""
        odd = not self.calm and self._calls.random() < 0.2
        if isinstance(content, dict) and "access_token" in content:
            lives = self.lives(now)
            token = content if lives is None else content | {"expires_in": lives}
            return self._calls.choice(_ODD_TOKENS)(token) if odd else token
        if odd and name == "xero.GET /connections" and isinstance(content, list):
            return self._calls.choice(_ODD_LISTS)(content)
        return content

    def clock_is_off(self) -> timedelta:
        """By how much the clock of a new execution environment is wrong."""
        return timedelta(seconds=self._calls.uniform(-60, 60))

    def chance(self) -> float:
        """A draw for what people do."""
        return self._calls.random()

    def choice[One](self, ones: Sequence[One]) -> One:
        """Draw one of several."""
        return self._calls.choice(ones)


_ODD_TOKENS: Sequence[Callable[[Json], Json]] = (
    lambda token: token | {"expires_in": str(token["expires_in"])},
    lambda token: token | {"expires_in": float(token["expires_in"])},
    lambda token: {name: value for name, value in token.items() if name != "expires_in"},
    lambda token: token | {"scope": token["scope"].split()},
    lambda token: {name: value for name, value in token.items() if name != "scope"},
    lambda token: token | {"scope": None, "token_type": None},
    lambda token: token | {"token_type": "bearer", "more": {"a": [1, 2, 3]}},
    lambda token: token | {"scope": [*token["scope"].split(), 7, None]},
)
_ODD_LISTS: Sequence[Callable[[list[Any]], list[Any]]] = (
    lambda listed: [*listed, None],
    lambda listed: [7, *listed],
    lambda listed: [one | {"tenantName": 12} for one in listed],
    lambda listed: [one | {"tenantName": None, "tenantType": ["x"]} for one in listed],
    lambda listed: [*listed, {}],
    lambda listed: [one | {"tenantName": "\N{GRINNING FACE}" * 255} for one in listed],
)


def reshaped(content: bytes, reshape: Callable[[object], object]) -> bytes:
    """Return a JSON document in another shape; what is no JSON stays as it is."""
    try:
        document = json.loads(content)
    except ValueError:
        return content
    return json.dumps(reshape(document)).encode()
