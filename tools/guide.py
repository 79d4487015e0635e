"""`make guide`: docs/xero-setup.md, the guide of the setup page for reading.

Each sentence is made as the page makes it, of the same catalogue, and then turned from HTML into Markdown.
"""

from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import override

import yaml

from xero_connector.domain.credential import IntegrationType
from xero_connector.domain.scopes import OF_A_USER
from xero_connector.domain.setup_view import TryProblem
from xero_connector.web.pages.catalogue import SHIPPED, Catalogue
from xero_connector.web.pages.guide import Action, Route, Verb, steps
from xero_connector.web.pages.shown_steps import ShownStep
from xero_connector.web.pages.wording import control, say

ROOT = Path(__file__).parents[1]
TARGET = ROOT / "docs/xero-setup.md"
# What only the page itself can say, because it is about a try in progress.
_OF_THE_PAGE = frozenset({TryProblem.IN_PROGRESS, TryProblem.FORM_EXPIRED, TryProblem.UNAVAILABLE})
_LATER = "the time that the page names"
_MARKS = {"b": "**", "strong": "**", "code": "`"}


class _Markdown(HTMLParser):
    """Sentences of a page as Markdown."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.text = ""
        self._in_a_link = False
        # Not as Markup, which would escape what is added to it.
        self.feed(str(html))
        self.close()

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._in_a_link = tag == "a"
        self.text += _MARKS.get(tag, "")

    @override
    def handle_endtag(self, tag: str) -> None:
        self._in_a_link = False
        self.text += _MARKS.get(tag, "")

    @override
    def handle_data(self, data: str) -> None:
        self.text += f"<https://{data}>" if self._in_a_link else data


class _Words:
    """The catalogue's texts as Markdown."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue

    def __call__(self, key: str, **values: object) -> str:
        return _Markdown(say(self.catalogue, key, values)).text

    def control(self, key: str) -> str:
        return _Markdown(control(self.catalogue, key)).text


def document() -> str:
    """Return what docs/xero-setup.md has to hold."""
    words = _Words(SHIPPED.open("en"))
    redirect_uri, scopes = _defaults()

    def route(which: Route) -> Iterator[str]:
        for one in steps(words.catalogue, which, redirect_uri=redirect_uri, scopes=scopes):
            yield from _step(ShownStep(one, words.catalogue))

    parts = [
        *_beginning(words),
        *_route("Create a Web app", words("setup.type.web_app"), route(Route.WEB_APP)),
        *_route(
            "Create a Custom connection", words("setup.type.custom_connection"), route(Route.CUSTOM_CONNECTION)
        ),
        *_hand_over(words),
        *_consent(words),
        *_route("Hand over a new client secret", words("setup.secret.lead"), route(Route.SECRET)),
        *_route("Correct the redirect URI", words("setup.redirect_uri.what"), route(Route.REDIRECT_URI)),
    ]
    return "\n".join([*parts, *_problems(words)]) + "\n"


def _beginning(words: _Words) -> Iterator[str]:
    yield "<!-- Made by `make guide` from the words of the setup page, and overwritten by it. -->"
    yield "\n# Connect Xero to OneEnterprise\n"
    yield "You receive a **setup link** from your OneEnterprise administrator."
    yield "It opens a page that shows these steps, takes the two values, and leads on to Xero."
    yield "This is the same guide for reading."
    yield "Where it says *this page* or *here*, it means the page behind your setup link.\n"
    yield _lines(words("setup.pair.lead"))
    yield f"\n## {words('setup.pair.need')}\n"
    yield f"- {_lines(words('setup.pair.need_login'), indent=2)}"
    yield f"- {_lines(words('setup.pair.need_window'), indent=2)}"
    yield f"\n## {words('setup.type.question')}\n"
    yield _lines(words("setup.type.intro"))
    yield "\n| type | for whom |\n| --- | --- |"
    for kind in IntegrationType:
        yield f"| {words.control(kind)} | {words(f'setup.type.{kind}')} |"


def _route(title: str, lead: str, told: Iterator[str]) -> Iterator[str]:
    yield f"\n## {title}\n"
    yield _lines(lead)
    yield from told


def _step(shown: ShownStep) -> Iterator[str]:
    yield f"\n### {shown.number}. {_Markdown(shown.title).text}\n"
    yield _lines(_Markdown(shown.text).text) + "\n"
    for number, action in enumerate(shown.actions, start=1):
        yield f"{number}. {_Markdown(shown.said(action)).text}"
        yield from _below(shown, action)


def _below(shown: ShownStep, action: Action) -> Iterator[str]:
    if action.values and action.verb in {Verb.FILL, Verb.TICK_EACH}:
        yield "\n   ```text"
        yield from (f"   {value}" for value in action.values)
        yield "   ```\n"
    note = shown.note(action)
    if note is not None:
        yield f"   {_lines(_Markdown(note).text, indent=3)}"


def _hand_over(words: _Words) -> Iterator[str]:
    yield f"\n## {words('setup.form.title')}\n"
    yield "Open your setup link, and enter them there:\n"
    for name in ("client_id", "client_secret"):
        yield f"- **{words(f'setup.form.{name}')}**: {_lines(words(f'setup.form.{name}_hint'), indent=2)}"
    yield f"\nPress **{words('setup.form.submit')}**."
    yield _lines(words("setup.form.promise"))


def _consent(words: _Words) -> Iterator[str]:
    yield "\n## Allow access\n"
    yield "This is for a Web app only."
    yield f"Press **{words('setup.consent.button')}** when Xero has accepted the two values."
    yield _lines(words("setup.consent.what_next"))
    yield f"\n**{words('setup.consent.who')}** {words('setup.consent.who_text')}"
    yield f"\nThe last page says **{words('consent.connected.title')}** and names the organisations."
    yield _lines(words("consent.connected.next_text"))


def _problems(words: _Words) -> Iterator[str]:
    yield "\n## If it does not work yet\n"
    yield "The page says what is wrong, beside the field that it is about."
    yield _lines(words("setup.summary.kept"))
    yield "\n| the page says | do |\n| --- | --- |"
    for problem in TryProblem:
        if problem not in _OF_THE_PAGE:
            texts = f"setup.problems.{problem}"
            yield f"| {words(f'{texts}.what', time=_LATER)} | {words(f'{texts}.todo', time=_LATER)} |"
    yield "\nEach page ends with a reference."
    yield _lines(words("common.reference_hint"))


def _lines(text: str, *, indent: int = 0) -> str:
    """One line a sentence."""
    return text.replace(". ", f".\n{' ' * indent}")


def _defaults() -> tuple[str, tuple[str, ...]]:
    """What the template asks for if a deployer chooses nothing else."""
    parameters = yaml.load((ROOT / "template.yaml").read_text("utf-8"), _Template)["Parameters"]  # noqa: S506 - a SafeLoader
    scopes = str(parameters["Scopes"]["Default"]).split()
    return str(parameters["RedirectUri"]["Default"]), tuple(one for one in scopes if one not in OF_A_USER)


class _Template(yaml.SafeLoader):
    """Reads CloudFormation's tags as nothing: they stand where no parameter is."""


_nothing: Callable[[yaml.SafeLoader, str, yaml.Node], None] = lambda *_: None  # noqa: E731 - a constructor, typed
_Template.add_multi_constructor("!", _nothing)


if __name__ == "__main__":
    TARGET.write_text(document(), "utf-8")
