"""The words of every page: one file for each language, English complete, the others over it."""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from xero_connector.web.pages.languages import FALLBACK, chosen

_TEXTS = Path(__file__).parent / "texts"

type Texts = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The texts of one language, found by a dotted key such as `consent.connected.title`."""

    language: str
    texts: Texts = field(repr=False)

    def text(self, key: str) -> str:
        """Return one text; raises `KeyError` where there is none."""
        found = self.find(key)
        if not isinstance(found, str):
            raise KeyError(key)
        return found

    def find(self, key: str) -> Any:  # noqa: ANN401 - whatever TOML can hold
        """Return a text, a list or a table; raises `KeyError` where there is none."""
        found: Any = self.texts
        for part in key.split("."):
            if not isinstance(found, Mapping) or part not in found:
                raise KeyError(key)
            found = found[part]
        return found

    def has(self, key: str) -> bool:
        """Whether there is something under a key."""
        try:
            self.find(key)
        except KeyError:
            return False
        return True


@dataclass(frozen=True, slots=True)
class Catalogues:
    """The languages of a folder: each file is one, and its name is the language's tag (RFC 5646)."""

    folder: Path

    @property
    def languages(self) -> tuple[str, ...]:
        """The tags of all languages."""
        return tuple(sorted(path.stem for path in self.folder.glob("*.toml")))

    def choose(self, accepted: str | None) -> str:
        """Return the language that an `Accept-Language` asks for, or English."""
        return chosen(accepted, self.languages)

    def open(self, language: str) -> Catalogue:
        """Read a language; what it lacks is in English."""
        english = self._read(FALLBACK)
        if language == FALLBACK:
            return Catalogue(FALLBACK, english)
        return Catalogue(language, _over(english, self._read(language)))

    def _read(self, language: str) -> Texts:
        with (self.folder / f"{language}.toml").open("rb") as file:
            return tomllib.load(file)


SHIPPED = Catalogues(_TEXTS)
"""The languages of this release."""


@cache
def shipped(language: str) -> Catalogue:
    """Return a language of this release, read once."""
    return SHIPPED.open(language)


def keys(texts: Texts, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every dotted key with its text or list."""
    for name, value in texts.items():
        if isinstance(value, Mapping):
            yield from keys(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def _over(below: Texts, above: Texts) -> dict[str, Any]:
    merged = dict(below)
    for name, value in above.items():
        under = below.get(name)
        merged[name] = _over(under, value) if isinstance(value, Mapping) and isinstance(under, Mapping) else value
    return merged
