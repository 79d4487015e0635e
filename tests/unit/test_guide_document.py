"""The guide for reading is that of the setup page."""

import re

import pytest

from tools.guide import TARGET, document
from xero_connector.web.pages.catalogue import SHIPPED
from xero_connector.web.pages.guide import Action, Route, steps

REDIRECT_URI = "https://cloudmanager.oneenterprise.com/oAuth2CallBack"


def test_the_guide_for_reading_is_made_from_the_words_of_the_page() -> None:
    assert document() == TARGET.read_text(), "docs/xero-setup.md is stale: run 'make guide' and commit the result"


@pytest.mark.parametrize("route", Route)
def test_every_control_and_every_value_of_the_guide_can_be_read_there(route: Route) -> None:
    shown = TARGET.read_text()
    actions: list[Action] = [
        action
        for step in steps(SHIPPED.open("en"), route, redirect_uri=REDIRECT_URI, scopes=("accounting.invoices",))
        for action in step.actions
    ]
    assert actions
    for action in actions:
        assert f"**{action.control}**" in shown or f"<https://{action.control}>" in shown
        assert all(f"   {value}\n" in shown for value in action.values)


def test_nothing_of_html_is_left_in_it() -> None:
    assert not re.findall(r"</|&\w+;|&#", TARGET.read_text())
