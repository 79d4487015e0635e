"""A person at the simulator's pages, for tests and the demo."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import override
from urllib.parse import urljoin, urlsplit

import requests

MOST_HOPS = 10
TIMEOUT_SECONDS = 70  # longer than the longest delay that the simulator can be told to make

_SUCCESS = range(200, 300)
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


class StrandedError(Exception):
    """Xero showed a page that leads nowhere; `text` is what it says."""

    def __init__(self, url: str, text: str) -> None:
        super().__init__(f"stranded at {urlsplit(url).path}: {text}")
        self.text = text


@dataclass(slots=True)
class _Control:
    kind: str
    name: str
    value: str
    control_id: str
    checked: bool


@dataclass(slots=True)
class _Form:
    action: str
    method: str
    controls: list[_Control] = field(default_factory=list)


class _Page(HTMLParser):
    """The forms, labels and text of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.forms: list[_Form] = []
        self.labels: dict[str, str] = {}
        self._texts: list[str] = []
        self._label_for: str | None = None
        self._unseen = False
        self.feed(html)
        self.close()

    @property
    def text(self) -> str:
        return " ".join(" ".join(self._texts).split())

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append(_Form(attributes.get("action", ""), attributes.get("method", "get").lower()))
        elif tag in {"input", "button"} and self.forms:
            kind = attributes.get("type", "submit" if tag == "button" else "text")
            value = attributes.get("value", "on" if kind == "checkbox" else "")
            control = _Control(
                kind, attributes.get("name", ""), value, attributes.get("id", ""), "checked" in attributes
            )
            self.forms[-1].controls.append(control)
        elif tag == "label":
            self._label_for = attributes.get("for", "")
        elif tag in {"style", "title"}:
            self._unseen = True

    @override
    def handle_endtag(self, tag: str) -> None:
        if tag == "label":
            self._label_for = None
        elif tag in {"style", "title"}:
            self._unseen = False

    @override
    def handle_data(self, data: str) -> None:
        if self._unseen:
            return
        self._texts.append(data)
        if self._label_for is not None:
            self.labels[self._label_for] = self.labels.get(self._label_for, "") + data


class XeroUser:
    """A user with a browser, which is the session: it keeps the cookies from one consent to the next."""

    def __init__(self, session: requests.Session, *, email: str | None = None) -> None:
        self._session = session
        self._email = email

    def consent(
        self, authorize_url: str, *, decision: str = "allow", organisations: Iterable[str] | None = None
    ) -> str:
        """Log in if asked, decide, and return the address that Xero sends the browser back to.

        `organisations` names the boxes to leave ticked; None leaves all of them as they are. That last
        address is not opened. Raises `StrandedError` on a page that leads nowhere, `LookupError` for an
        organisation that is not on offer.
        """
        chosen = None if organisations is None else set(organisations)
        origin = _origin(authorize_url)
        response = self._open(requests.Request("GET", authorize_url))
        for _ in range(MOST_HOPS):
            if response.status_code in _REDIRECTS:
                location = urljoin(response.url, response.headers["Location"])
                if _origin(location) != origin:
                    return location
                response = self._open(requests.Request("GET", location))
                continue
            page = _Page(response.text)
            if response.status_code not in _SUCCESS or not page.forms:
                raise StrandedError(response.url, page.text)
            response = self._open(self._filled_in(response.url, page, decision, chosen))
        raise StrandedError(response.url, f"no end after {MOST_HOPS} pages")

    def _filled_in(self, url: str, page: _Page, decision: str, chosen: set[str] | None) -> requests.Request:
        form = page.forms[0]
        if chosen is not None and (boxes := [one for one in form.controls if one.kind == "checkbox"]):
            offered = {page.labels.get(box.control_id, "").strip(): box for box in boxes}
            if missing := chosen - offered.keys():
                raise LookupError(f"not on offer: {', '.join(sorted(missing))}")
            for name, box in offered.items():
                box.checked = name in chosen
        buttons = [one for one in form.controls if one.kind == "submit"]
        # A page with a single button has nothing to decide.
        pressed = [one for one in buttons if len(buttons) == 1 or one.value == decision]
        if len(pressed) != 1:
            raise LookupError(f"no button for {decision!r}")
        fields = [
            (one.name, self._typed(one))
            for one in form.controls
            if one.name and (one in pressed if one.kind == "submit" else one.checked or one.kind != "checkbox")
        ]
        target = urljoin(url, form.action)
        if form.method == "post":
            return requests.Request("POST", target, data=fields)
        return requests.Request("GET", target, params=fields)

    def _typed(self, control: _Control) -> str:
        return self._email if self._email is not None and control.kind == "email" else control.value

    def _open(self, request: requests.Request) -> requests.Response:
        # Redirects one by one: the last one leaves the simulator and is for the caller.
        return self._session.send(
            self._session.prepare_request(request), allow_redirects=False, timeout=TIMEOUT_SECONDS
        )


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}".lower()
