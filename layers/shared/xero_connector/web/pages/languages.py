"""Which language a page is in: the reader's first choice of those that there are (RFC 9110 §12.5.4, RFC 4647)."""

import re
from collections.abc import Collection

FALLBACK = "en"
_RANGE = re.compile(r"([A-Za-z]{1,8}(?:-[A-Za-z0-9]{1,8})*|\*)(?:\s*;\s*[qQ]\s*=\s*([01](?:\.\d{0,3})?))?")
_MOST = 30
"""Browsers send a handful; the rest of a longer list is not read."""


def chosen(accepted: str | None, available: Collection[str]) -> str:
    """Return the best of the languages that are available for an `Accept-Language`; English if none fits.

    A range that is not available is shortened from the end: `de-AT` is served by `de` (RFC 4647 §3.4, "lookup").
    """
    by_tag = {tag.lower(): tag for tag in available}
    for wanted in _by_preference(accepted or ""):
        if wanted == "*":
            return FALLBACK
        parts = wanted.split("-")
        while parts:
            if found := by_tag.get("-".join(parts)):
                return found
            parts.pop()
    return FALLBACK


def _by_preference(accepted: str) -> list[str]:
    weighed = []
    for item in accepted.split(",", maxsplit=_MOST)[:_MOST]:
        if (match := _RANGE.fullmatch(item.strip())) is None:
            continue
        weight = min(float(match[2] or 1), 1.0)
        if weight > 0:
            weighed.append((weight, match[1].lower()))
    # Equal weights stay in the order of the header.
    return [tag for _, tag in sorted(weighed, key=lambda one: -one[0])]
