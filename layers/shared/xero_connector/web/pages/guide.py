"""The guide through Xero's developer portal, as steps that a page shows and a program can follow."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from xero_connector.web.pages.catalogue import Catalogue


class Route(StrEnum):
    """Where a guide leads."""

    WEB_APP = "web_app"
    CUSTOM_CONNECTION = "custom_connection"
    SECRET = "secret"  # noqa: S105 - the name of a route
    REDIRECT_URI = "redirect_uri"


class Verb(StrEnum):
    """What to do with one of Xero's controls."""

    VISIT = "visit"
    OPEN = "open"
    PRESS = "press"
    FILL = "fill"
    CHOOSE = "choose"
    TICK = "tick"
    TICK_EACH = "tick_each"
    READ = "read"


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """One thing to do at Xero's page; `control` is the name that stands there, and `key` that of the catalogue.

    `values` is what to enter or to tick, letter by letter. If the value is the reader's own, `example` is one.
    """

    verb: Verb
    key: str
    control: str
    values: tuple[str, ...] = ()
    example: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step: its words are under `guide.steps.{key}`; `by` is the key of who does it, if not the reader."""

    key: str
    number: int
    actions: tuple[Action, ...]
    by: str | None = None

    @property
    def texts(self) -> str:
        """Where its words are in the catalogue."""
        return f"guide.steps.{self.key}"


def steps(
    catalogue: Catalogue, route: Route, *, redirect_uri: str, scopes: tuple[str, ...] = ()
) -> tuple[Step, ...]:
    """Return the steps of a route, with the values of this customer."""
    exact = {"{redirect_uri}": (redirect_uri,), "{scopes}": scopes}
    found = []
    for number, key in enumerate(catalogue.find(f"routes.{route}"), start=1):
        told = catalogue.find(f"guide.steps.{key}")
        actions = tuple(_action(catalogue, one, exact) for one in told["actions"])
        found.append(Step(key=key, number=number, actions=actions, by=told.get("by")))
    return tuple(found)


def _action(catalogue: Catalogue, told: Mapping[str, str], exact: Mapping[str, tuple[str, ...]]) -> Action:
    (verb,) = told.keys() - {"with", "example"}
    key, value = told[verb], told.get("with")
    values = () if value is None else exact.get(value, (value,))
    control = catalogue.text(f"controls.{key}")
    return Action(verb=Verb(verb), key=key, control=control, values=values, example=told.get("example"))
