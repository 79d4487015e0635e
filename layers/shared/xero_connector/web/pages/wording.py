"""Texts with what is filled in, as safe HTML: what people or Xero chose is isolated and shortened."""

import re
import unicodedata
from collections.abc import Mapping
from datetime import UTC, datetime

from markupsafe import Markup, escape

from xero_connector.web.pages.catalogue import Catalogue

LONGEST_SHOWN = 120
_CONTROLS = "controls."
_STRONG = re.compile(r"\*\*(.+?)\*\*")
_CODE = re.compile(r"`(.+?)`")
_PLACEHOLDER = re.compile(r"\{(\w+)\}")
# Control characters and lone surrogates (UAX #44): no page can hold them, and UTF-8 cannot encode the latter.
_UNSHOWABLE = frozenset({"Cc", "Cs"})


def placeholders(text: str) -> set[str]:
    """Return the names that a text has to be filled in with."""
    return set(_PLACEHOLDER.findall(text))


def plain(value: str, longest: int = LONGEST_SHOWN) -> str:
    """Return a text from outside so that it can be shown: no control characters, and not too long."""
    cut = value[: longest + 1]
    shown = "".join("\ufffd" if unicodedata.category(one) in _UNSHOWABLE else one for one in cut)
    return shown if len(shown) <= longest else shown[: longest - 1].rstrip() + "…"


def isolated(value: str, longest: int = LONGEST_SHOWN) -> Markup:
    """Return a text from outside for a sentence or a list; its writing direction ends where it ends."""
    return Markup("<bdi>{}</bdi>").format(plain(value, longest))


def say(catalogue: Catalogue, key: str, values: Mapping[str, object]) -> Markup:
    """Return a text of the catalogue as HTML.

    `**strong**` and `` `code` `` are marked up. `{name}` is filled in: with a value of this name, or with the name
    of one of Xero's controls. What is filled in is never read again, so it cannot mark up anything.
    """
    marked = _CODE.sub(r"<code>\1</code>", _STRONG.sub(r"<strong>\1</strong>", str(escape(catalogue.text(key)))))

    def filled(match: re.Match[str]) -> str:
        name = match[1]
        if name in values:
            value = values[name]
            return str(_shown(value))
        return str(control(catalogue, name))

    return Markup(_PLACEHOLDER.sub(filled, marked))  # noqa: S704 - the catalogue is ours, and values are escaped


def moment(time: datetime) -> Markup:
    """Return a moment as everybody can read it; with JavaScript it becomes the reader's own time."""
    in_utc = time.astimezone(UTC)
    return Markup('<time datetime="{}">{}</time>').format(
        in_utc.strftime("%Y-%m-%dT%H:%M:%SZ"), in_utc.strftime("%Y-%m-%d, %H:%M UTC")
    )


def _shown(value: object) -> Markup:
    if isinstance(value, Markup):
        return value
    return moment(value) if isinstance(value, datetime) else isolated(str(value))


def control(catalogue: Catalogue, name: str) -> Markup:
    """Return the name of one of Xero's controls, as it stands on Xero's page."""
    # Xero's portal speaks English, whatever the language of the page.
    return Markup('<b class="control" lang="en">{}</b>').format(catalogue.text(_CONTROLS + name))
