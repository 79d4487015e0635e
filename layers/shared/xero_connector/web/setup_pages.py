"""The page behind a setup link: the guide, the form, and where things stand."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from aws_lambda_powertools.event_handler import Response

from xero_connector.domain.checks import CheckResult
from xero_connector.domain.credential import IntegrationType
from xero_connector.domain.errors import SetupRefused
from xero_connector.domain.scopes import GRANULAR_SCOPES, OF_A_USER
from xero_connector.domain.setup_view import SetupView, Stage
from xero_connector.web.pages import catalogue
from xero_connector.web.pages.catalogue import Catalogue
from xero_connector.web.pages.guide import Route, Step, steps
from xero_connector.web.pages.respond import Page, respond
from xero_connector.web.setup_problems import Problem, problem_of

_LOOKS_AGAIN: Mapping[Stage, int] = {Stage.WAITING: 60, Stage.CONNECTING: 30, Stage.RESUMING: 30}
"""Seconds after which a page looks again by itself."""
_CHECKS = ("redirect_uri", "scopes", "pair")
_OUTCOMES = {
    "connected": "good",
    "unlisted": "good",
    "without_organisation": "note",
    "ended": "note",
    "refused": "bad",
    "reauthorize": "note",
}
_FOR_NOW = HTTPStatus.SERVICE_UNAVAILABLE
_FOR_NOW_LOOKS_AGAIN = 60
_OF_THE_FORM = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.FORBIDDEN, HTTPStatus.REQUEST_ENTITY_TOO_LARGE})


@dataclass(frozen=True, slots=True)
class _Shown:
    """A template, the place of its words in the catalogue, and what else it shows."""

    template: str
    texts: str
    values: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SetupPages:
    """Renders the page of a setup link in one language; `console_url` is the way back to OneEnterprise, if any."""

    console_url: str | None
    language: str

    def page(
        self, view: SetupView, *, token: str, reference: str, chosen: IntegrationType | None = None
    ) -> Response[str]:
        """Show where things stand; `token` goes into the form, and `chosen` is the type that the address names.

        Links are relative to `/setup/{ticket}`.
        """
        words = catalogue.shipped(self.language)
        match view.stage:
            case Stage.PAIR:
                shown = _pair(words, view, chosen)
            case Stage.SECRET:
                shown = _secret(words, view)
            case Stage.CONSENT | Stage.REAUTHORIZE:
                shown = _consent(words, view)
            case Stage.CONNECTED:
                shown = _connected(view)
            case Stage.WAITING | Stage.CONNECTING | Stage.RESUMING:
                shown = _Shown("setup/waiting.html", f"setup.{view.stage}")
            case Stage.REFUSED | Stage.ENDED:
                shown = _Shown("stopped.html", f"setup.{view.stage}")
        values = {
            "view": view,
            "token": token,
            "problem": None,
            "kind": _OUTCOMES.get(shown.texts.removeprefix("setup."), "wait"),
            **shown.values,
        }
        polls = _LOOKS_AGAIN.get(view.stage)
        with_form = view.stage in {Stage.PAIR, Stage.SECRET}
        page = Page(
            template=shown.template,
            status=HTTPStatus.OK,
            values={
                **self._around(words, shown.texts, reference, again="setup.look_now" if polls else None),
                **values,
            },
            scripted=True,
            form=with_form,
            polls=polls,
        )
        return respond(page, words)

    def refused(self, refusal: SetupRefused, *, reference: str, posted: bool = False) -> Response[str]:
        """Say why there is nothing to show, and what to do.

        What is so for now is looked at again, unless the page was `posted` to: that would send the form again.
        """
        words = catalogue.shipped(self.language)
        texts = f"setup.refusals.{refusal.key}"
        # A page that was posted to is opened anew, without what was posted.
        again = "setup.open_again" if refusal.status in {_FOR_NOW, *_OF_THE_FORM} else None
        values = {
            **self._around(words, texts, f"{refusal.code} / {reference}", again=again),
            "kind": "wait" if refusal.status is _FOR_NOW else "bad",
        }
        polls = _FOR_NOW_LOOKS_AGAIN if refusal.status is _FOR_NOW and not posted else None
        return respond(Page(template="stopped.html", status=refusal.status, values=values, polls=polls), words)

    def _around(self, words: Catalogue, texts: str, reference: str, *, again: str | None = None) -> dict[str, Any]:
        ways = [] if again is None else [{"href": "", "text": again}]
        if self.console_url is not None:
            ways.append({"href": self.console_url, "text": "common.console"})
        return {
            "title": words.text(f"{texts}.title"),
            "texts": texts,
            "what": f"{texts}.what" if words.has(f"{texts}.what") else f"{texts}.lead",
            "todo": f"{texts}.todo",
            "state": texts,
            "ways": ways,
            "reference": reference,
        }


def _pair(words: Catalogue, view: SetupView, chosen: IntegrationType | None) -> _Shown:
    problem = problem_of(view)
    preset = view.integration_type or (problem.integration_type if problem else None)
    kind = preset or chosen or IntegrationType.WEB_APP
    route = Route(kind.value)
    return _Shown(
        "setup/pair.html",
        "setup",
        {
            "problem": problem,
            "types": () if view.integration_type else tuple(IntegrationType),
            "type": kind,
            "steps": _steps(words, view, route),
            "first_of_an_app": _first_of_an_app(words, view, route),
            **_advice(words, view, problem, kind),
        },
    )


def _secret(words: Catalogue, view: SetupView) -> _Shown:
    problem = problem_of(view)
    kind = view.integration_type or IntegrationType.WEB_APP
    return _Shown(
        "setup/secret.html",
        "setup.secret",
        {
            "problem": problem,
            "types": (),
            "type": kind,
            "steps": _steps(words, view, Route.SECRET),
            **_advice(words, view, problem, kind),
        },
    )


def _consent(words: Catalogue, view: SetupView) -> _Shown:
    checks = [(name, view.checks[name]) for name in _CHECKS if name in view.checks]
    checks.sort(key=lambda one: one[1].result is not CheckResult.FAIL)
    failed = {name for name, check in checks if check.result is CheckResult.FAIL}
    kind = view.integration_type or IntegrationType.WEB_APP
    values = {
        "checks": [(name, check.result) for name, check in checks],
        "type": kind,
        **_wrong(words, view, failed),
        "kind": "wait" if failed else _OUTCOMES.get(view.stage, "good"),
    }
    texts = f"setup.{view.stage}"
    if failed:
        values["title"] = words.text(f"{texts}.title_wrong")
    return _Shown("setup/consent.html", texts, values)


def _connected(view: SetupView) -> _Shown:
    if view.tenants:
        names = [tenant.tenant_name for tenant in view.tenants]
        return _Shown("connected.html", "setup.connected", {"organisations": names})
    if view.tenants_pending:
        return _Shown("connected.html", "setup.unlisted", {"organisations": []})
    return _Shown("stopped.html", "setup.without_organisation")


def _advice(words: Catalogue, view: SetupView, problem: Problem | None, kind: IntegrationType) -> dict[str, Any]:
    """What the last try found beside its problem; a Custom connection has no redirect URI."""
    if problem is None or view.last_try is None:
        return _wrong(words, view, set())
    found = {"redirect_uri": view.last_try.redirect_uri, "scopes": view.last_try.scopes}
    failed = {name for name, result in found.items() if result is CheckResult.FAIL}
    return _wrong(words, view, failed if kind is IntegrationType.WEB_APP else failed - {"redirect_uri"})


def _wrong(words: Catalogue, view: SetupView, failed: set[str]) -> dict[str, Any]:
    (fix,) = _steps(words, view, Route.REDIRECT_URI)
    return {
        "redirect_uri_fix": fix if "redirect_uri" in failed else None,
        "wrong_scopes": _of_the_app(view.scopes) if "scopes" in failed else (),
        "retired_scopes": {old: new for old, new in GRANULAR_SCOPES.items() if old in view.scopes},
    }


def _steps(words: Catalogue, view: SetupView, route: Route) -> tuple[Step, ...]:
    return steps(words, route, redirect_uri=view.redirect_uri, scopes=_of_the_app(view.scopes))


def _of_the_app(scopes: tuple[str, ...]) -> tuple[str, ...]:
    """Leave out what only a consent asks for: it is no choice at Xero's page."""
    return tuple(scope for scope in scopes if scope not in OF_A_USER)


def _first_of_an_app(words: Catalogue, view: SetupView, route: Route) -> int:
    """Return the step at which somebody goes on who has an app already."""
    return next(one.number for one in _steps(words, view, route) if one.key == "copy_client_id")
