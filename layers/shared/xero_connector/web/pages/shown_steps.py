"""A step of the guide as a page shows it: sentences, and where everything stands in the drawing beside them."""

from dataclasses import dataclass
from itertools import accumulate

from markupsafe import Markup

from xero_connector.web.pages.catalogue import Catalogue
from xero_connector.web.pages.guide import Action, Step, Verb
from xero_connector.web.pages.wording import control, plain, say

_LONGEST_LABEL = 40
_LONGEST_VALUE = 32
_MOST_TICKS = 4
_LETTER = 7.3
"""The width of an average letter in the drawing's units."""
_HEIGHTS = {Verb.VISIT: 22, Verb.OPEN: 34, Verb.PRESS: 36, Verb.FILL: 50, Verb.READ: 50, Verb.CHOOSE: 32}
_TICK = 20


@dataclass(frozen=True, slots=True)
class Row:
    """One action in the drawing: `y` from the top, and where the middle of its control is."""

    verb: str
    labels: tuple[str, ...]
    value: str
    example: str
    y: int
    height: int

    @property
    def label(self) -> str:
        """The name of the control."""
        return self.labels[0]

    @property
    def width(self) -> int:
        """How wide the name is, about."""
        return round(len(self.label) * _LETTER)

    @property
    def middle(self) -> int:
        """Where the badge with the number of the action stands."""
        return {Verb.PRESS: 13, Verb.FILL: 27, Verb.READ: 27}.get(Verb(self.verb), 11)


@dataclass(frozen=True, slots=True)
class ShownStep:
    """A step with its words."""

    step: Step
    catalogue: Catalogue

    @property
    def number(self) -> int:
        """Its place in the route."""
        return self.step.number

    @property
    def actions(self) -> tuple[Action, ...]:
        """What to do, in order."""
        return self.step.actions

    @property
    def title(self) -> Markup:
        """What it is about."""
        return say(self.catalogue, f"{self.step.texts}.title", {})

    @property
    def text(self) -> Markup:
        """What to know before."""
        return say(self.catalogue, f"{self.step.texts}.text", {})

    def said(self, action: Action) -> Markup:
        """Return the sentence for one action."""
        values = {"control": control(self.catalogue, action.key)}
        own = f"{self.step.texts}.own.{action.key}"
        if self.catalogue.has(own):
            return say(self.catalogue, "guide.verbs.fill_own", {**values, "what": say(self.catalogue, own, {})})
        if action.verb is Verb.VISIT:
            link = '<a href="https://{0}" target="_blank" rel="noopener noreferrer">{0}</a>'
            values = {"control": Markup(link).format(action.control)}  # noqa: S704 - a constant, and it escapes
        return say(self.catalogue, f"guide.verbs.{action.verb}", values)

    def note(self, action: Action) -> Markup | None:
        """Return what else there is to know about one control."""
        key = f"{self.step.texts}.notes.{action.key}"
        return say(self.catalogue, key, {}) if self.catalogue.has(key) else None

    @property
    def rows(self) -> list[Row]:
        """The drawing, from top to bottom."""
        heights = [_height(action) for action in self.actions]
        return [
            _row(action, y, height)
            for action, y, height in zip(self.actions, accumulate(heights, initial=0), heights, strict=False)
        ]


def _height(action: Action) -> int:
    if action.verb in _HEIGHTS:
        return _HEIGHTS[action.verb]
    return 12 + _TICK * len(_ticked(action))


def _ticked(action: Action) -> tuple[str, ...]:
    return action.values[:_MOST_TICKS] if action.verb is Verb.TICK_EACH else (action.control,)


def _row(action: Action, y: int, height: int) -> Row:
    value = action.values[0] if action.values else ""
    return Row(
        verb=action.verb,
        labels=tuple(plain(label, _LONGEST_LABEL) for label in _ticked(action)) or (action.control,),
        value=plain(value, _LONGEST_VALUE),
        example=plain(action.example or "", _LONGEST_VALUE),
        y=y,
        height=height,
    )
