"""A person at the developer portal who goes by what the page says, as somebody with a guide does."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import override
from urllib.parse import urljoin

import requests

TIMEOUT_SECONDS = 10

_FIELDS = frozenset({"input", "textarea"})
_BUTTONS = frozenset({"submit", "button"})
_BOXES = frozenset({"checkbox", "radio"})


@dataclass(slots=True)
class _Control:
    kind: str
    name: str
    value: str
    control_id: str
    form: "_Form"
    checked: bool = False
    text: str = ""


@dataclass(slots=True)
class _Form:
    action: str
    method: str
    controls: list[_Control] = field(default_factory=list)


@dataclass(slots=True)
class _Link:
    href: str
    text: str = ""


class _Page(HTMLParser):
    """The links, forms, labels and headings of a page; what people cannot use is left out."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.forms: list[_Form] = []
        self.links: list[_Link] = []
        self.labels: dict[str, str] = {}
        self.heading = ""
        self.text = ""
        self._open: list[str] = []
        self._label_for = ""
        self._pressed: _Control | None = None
        self._written: _Control | None = None
        self.feed(html)
        self.close()

    @property
    def controls(self) -> Iterator[_Control]:
        for form in self.forms:
            yield from form.controls

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self._open.append(tag)
        match tag:
            case "form":
                self.forms.append(_Form(given.get("action", ""), given.get("method", "get")))
            case "a":
                self.links.append(_Link(given.get("href", "")))
            case "label":
                self._label_for = given.get("for", "")
            case "input" | "textarea" | "button":
                self._add_control(tag, given)

    def _add_control(self, tag: str, given: dict[str, str]) -> None:
        kind = given.get("type", "submit" if tag == "button" else "text")
        value = given.get("value", "on" if kind in _BOXES else "")
        form = self.forms[-1]
        control = _Control(
            kind, given.get("name", ""), value, given.get("id", ""), form, checked="checked" in given
        )
        if tag == "textarea":
            self._written = control
        if tag == "button":
            self._pressed = control
            if given.get("aria-hidden") == "true" or "hidden" in given:
                return
        form.controls.append(control)

    @override
    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop() != tag:
            pass
        match tag:
            case "label":
                self._label_for = ""
            case "button":
                self._pressed = None
            case "textarea":
                self._written = None

    @override
    def handle_data(self, data: str) -> None:
        if {"title", "style", "script"}.intersection(self._open):
            return
        self.text += data
        if self._written is not None:
            self._written.value += data
        if self._label_for:
            self.labels[self._label_for] = self.labels.get(self._label_for, "") + data
        if self._pressed is not None:
            self._pressed.text += data
        if "a" in self._open:
            self.links[-1].text += data
        if "h1" in self._open:
            self.heading += data


class PortalUser:
    """Reads pages, fills in fields by their labels, presses buttons and follows links by their words.

    Letter case does not count, since guides differ in it. A control that is not there, or is there twice, is a
    `LookupError`.
    """

    def __init__(self, session: requests.Session, url: str) -> None:
        self.session = session
        self.url = url
        self._page = _Page("")
        self.response: requests.Response | None = None

    @property
    def heading(self) -> str:
        return _plain(self._page.heading)

    @property
    def text(self) -> str:
        return _plain(self._page.text)

    @property
    def buttons(self) -> list[str]:
        return [_plain(one.text) for one in self._page.controls if one.kind in _BUTTONS]

    def open(self, path: str = "/app/manage") -> None:
        """Open a page of the portal by its path."""
        self.see(self.session.get(urljoin(self.url, path), timeout=TIMEOUT_SECONDS))

    def follow(self, words: str) -> None:
        """Follow the link with these words; where several have them they have to lead to one page."""
        targets = {link.href for link in self._page.links if _same(link.text, words)}
        if len(targets) != 1:
            raise LookupError(f"{len(targets)} links {words!r} on {self.heading!r}")
        self.open(urljoin(self._shown_url, targets.pop()))

    def fill(self, label: str, value: str) -> None:
        """Type into a field."""
        self._labelled(label).value = value

    def tick(self, label: str, *, on: bool = True) -> None:
        """Tick a box or choose a radio button."""
        control = self._labelled(label)
        if control.kind == "radio":
            for other in control.form.controls:
                other.checked = other.checked and other.name != control.name
        control.checked = on

    def read(self, label: str) -> str:
        """Read what a field holds."""
        return self._labelled(label).value

    def is_ticked(self, label: str) -> bool:
        return self._labelled(label).checked

    def press(self, words: str) -> None:
        """Press a button, and with it send its form."""
        found = [one for one in self._page.controls if one.kind in _BUTTONS and _same(one.text, words)]
        if len(found) != 1:
            raise LookupError(f"{len(found)} buttons {words!r} on {self.heading!r}, which has {self.buttons}")
        (button,) = found
        sent = [
            (one.name, one.value)
            for one in button.form.controls
            if one.name and (one is button if one.kind in _BUTTONS else one.checked or one.kind not in _BOXES)
        ]
        target = urljoin(self._shown_url, button.form.action)
        # As browsers do, and as the portal expects of its own forms.
        headers = {"Origin": self.url}
        self.see(self.session.post(target, data=sent, headers=headers, timeout=TIMEOUT_SECONDS))

    def add_button(self, action: str) -> None:
        """Tamper with the page: a button that it does not have, in the form with what was typed."""
        form = self._page.forms[-1]
        form.controls.append(_Control("submit", "action", action, "", form, text=action))

    def log_in(self, email: str = "alex@example.com") -> None:
        """Log in at the portal's first page."""
        self.open()
        self.fill("Email address", email)
        self.press("Log in")

    def see(self, response: requests.Response) -> None:
        """Look at a page that was opened before, as the browser's Back does."""
        self.response = response
        self._page = _Page(response.text)

    @property
    def _shown_url(self) -> str:
        return self.response.url if self.response is not None else self.url

    def _labelled(self, label: str) -> _Control:
        ids = {control_id for control_id, text in self._page.labels.items() if _same(text, label)}
        found = [one for one in self._page.controls if one.control_id in ids]
        if len(found) != 1:
            raise LookupError(f"{len(found)} fields {label!r} on {self.heading!r}")
        return found[0]


def _plain(text: str) -> str:
    return " ".join(text.split())


def _same(text: str, words: str) -> bool:
    return _plain(text).casefold() == words.casefold()
