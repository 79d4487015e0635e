"""The guide as data: what a program that follows it can rely on."""

import pytest

from tests.fakes.setup_views import REDIRECT_URI
from xero_connector.web.pages.catalogue import SHIPPED, Catalogue, Catalogues
from xero_connector.web.pages.guide import Action, Route, Step, Verb, steps
from xero_connector.web.pages.shown_steps import ShownStep

ENGLISH = SHIPPED.open("en")
SCOPES = ("accounting.invoices", "accounting.contacts")


def guide(route: Route, catalogue: Catalogue = ENGLISH) -> tuple[Step, ...]:
    return steps(catalogue, route, redirect_uri=REDIRECT_URI, scopes=SCOPES)


def actions(route: Route) -> list[Action]:
    return [action for step in guide(route) for action in step.actions]


@pytest.mark.parametrize("route", Route)
def test_every_action_says_all_that_it_takes(route: Route) -> None:
    assert [step.number for step in guide(route)] == list(range(1, len(guide(route)) + 1))
    for action in actions(route):
        assert action.control
        told = bool(action.values) + (action.example is not None)
        assert told == (action.verb in {Verb.FILL, Verb.TICK_EACH}), action


@pytest.mark.parametrize("route", Route)
def test_every_step_has_words_for_each_of_its_actions(route: Route) -> None:
    for step in guide(route):
        shown = ShownStep(step, ENGLISH)
        assert shown.title
        assert shown.text
        for action in step.actions:
            assert action.control in shown.said(action).unescape()
            assert (action.example is not None) == ENGLISH.has(f"{step.texts}.own.{action.key}")


def test_every_step_and_every_control_is_used() -> None:
    told = {step.key for route in Route for step in guide(route)}
    assert told == set(ENGLISH.find("guide.steps"))
    pressed = {action.key for route in Route for action in actions(route)}
    only_mentioned = {"integration_type", "mobile_app", "add_redirect_uri"}
    assert pressed | only_mentioned == set(ENGLISH.find("controls"))
    assert set(ENGLISH.find("routes")) == set(Route)


def test_what_to_enter_is_exact() -> None:
    filled = {action.control: action.values for action in actions(Route.WEB_APP) if action.values}
    assert filled["Redirect URI"] == (REDIRECT_URI,)
    (ticked,) = [action for action in actions(Route.CUSTOM_CONNECTION) if action.verb is Verb.TICK_EACH]
    assert ticked.values == SCOPES


@pytest.mark.parametrize("route", [Route.WEB_APP, Route.CUSTOM_CONNECTION, Route.SECRET])
def test_a_secret_is_saved_after_it_was_read(route: Route) -> None:
    controls = [action.control for action in actions(route)]
    assert controls[-1] == "Save"
    assert controls[-2].startswith("Client secret")


def test_no_sentence_names_a_control_that_is_in_the_table() -> None:
    """A control's name stands once, in the table; sentences have placeholders for it."""
    names = {name for name in ENGLISH.find("controls").values() if " " in name}
    for step in ENGLISH.find("guide.steps").values():
        for text in [step["text"], *step.get("notes", {}).values()]:
            assert not [name for name in names if name in text], text


def test_a_translation_needs_no_controls_and_no_actions(german: Catalogues) -> None:
    catalogue = german.open("de")
    step, *_ = guide(Route.WEB_APP, catalogue)
    assert ShownStep(step, catalogue).title == "Bei Xero anmelden"
    assert step.actions == guide(Route.WEB_APP)[0].actions
