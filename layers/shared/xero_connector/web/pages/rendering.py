"""Jinja2's part of the pages. Only `respond` imports this module, and only when a page is rendered."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from xero_connector.web.pages.catalogue import Catalogue
from xero_connector.web.pages.shown_steps import ShownStep
from xero_connector.web.pages.wording import control, isolated, plain, say

_HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Assets:
    """The one style sheet and the one script, each inline."""

    style: str
    script: str


@cache
def assets() -> Assets:
    """Read them, once."""
    return Assets(*((_HERE / "assets" / name).read_text("utf-8") for name in ("page.css", "page.js")))


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.filters |= {"plain": plain, "isolated": isolated}
    return environment


def render(template: str, catalogue: Catalogue, values: Mapping[str, Any]) -> str:
    """Render a template with its values; `t(key, …)` in it says a text of the catalogue."""

    def t(key: str, **filled_in: object) -> Markup:
        return say(catalogue, key, filled_in)

    inline = assets()
    return (
        _environment()
        .get_template(template)
        .render(
            t=t,
            raw=catalogue.text,
            has=catalogue.has,
            control=lambda name: control(catalogue, name),
            shown=lambda step: ShownStep(step, catalogue),
            language=catalogue.language,
            style=Markup(inline.style),  # noqa: S704 - our own file
            script=Markup(inline.script),  # noqa: S704 - our own file
            **values,
        )
    )
