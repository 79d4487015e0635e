"""The pages of a consent: which way each of them offers, and what each of them may load."""

from dataclasses import replace
from http import HTTPStatus

import pytest
from aws_lambda_powertools.event_handler import Response

from tests.fakes.page_reader import PageReader
from tests.fakes.setup_views import TICKET, tenants
from xero_connector.domain import consent_refusals
from xero_connector.domain.consent_refusals import Refusal
from xero_connector.services.exchange_code import Connected
from xero_connector.web.consent_pages import ConsentPages

CONSOLE = "https://console.oneenterprise.com/"
PAGES = ConsentPages(CONSOLE, "en")
ROWS = [row for row in vars(consent_refusals).values() if isinstance(row, Refusal)]
RELOADED = {
    "busy",
    "consent_cut_off",
    "consent_not_looked_up",
    "store_postponed",
    "store_unavailable",
    "throttled",
    "too_often",
    "xero_postponed",
}
HOSTILE = ["<script>alert(1)</script>", '"><img src=x>', "\u202eevil", "x" * 10_000, "a\x00b", "\ud800"]

each_row = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.key)


def read(response: Response[str]) -> PageReader:
    body = str(response.body)
    body.encode()
    return PageReader(body)


def ways(shown: PageReader) -> list[tuple[str, str]]:
    return [(one.text, one["href"]) for one in shown.all("a")]


@each_row
def test_every_refusal_says_what_happened_what_to_do_and_leads_on(row: Refusal) -> None:
    response = PAGES.refused(row().offering(TICKET), reference="request-1")
    shown = read(response)
    assert response.status_code == row.status
    assert "What to do" in shown.text
    assert f"Reference: {row.code} / request-1" in shown.text
    expected = [("Reload this page", "")] if row.key in RELOADED else []
    expected += [("Try again", f"connect/{TICKET}")] if row.can_retry else []
    assert ways(shown) == [*expected, ("Back to OneEnterprise", CONSOLE)]


@each_row
def test_who_does_not_hold_the_link_is_not_offered_it(row: Refusal) -> None:
    assert "Try again" not in read(PAGES.refused(row(), reference="1")).text


def test_a_page_at_another_address_leads_to_the_same_connect_link() -> None:
    pages = ConsentPages(None, "en", root="../")
    refused = pages.refused(consent_refusals.consent_denied().offering(TICKET), reference="1")
    assert ways(read(refused)) == [("Try again", f"../connect/{TICKET}")]


@each_row
def test_only_what_is_being_completed_looks_again_by_itself(row: Refusal) -> None:
    response = PAGES.refused(row(), reference="1")
    shown = read(response)
    looks = row.key == "busy"
    assert bool(shown.all("meta", **{"http-equiv": "refresh"})) == looks
    assert bool(shown.all("script")) == looks
    policy = str(response.headers["Content-Security-Policy"])
    assert ("script-src" in policy, "connect-src" in policy) == (looks, looks)
    assert "form-action 'none'" in policy


@each_row
def test_what_is_only_for_now_is_not_called_not_connected(row: Refusal) -> None:
    heading = read(PAGES.refused(row(), reference="1")).one("h1").text
    if row.status in {HTTPStatus.CONFLICT, HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}:
        assert "not connected" not in heading


def test_no_organisation_can_be_mended_at_once_by_who_holds_the_link() -> None:
    nothing = Connected((), tenants_pending=False, repeated=False)
    offered = PAGES.connected(replace(nothing, ticket=TICKET), reference="1")
    assert ways(read(offered))[0] == ("Choose an organisation", f"connect/{TICKET}")
    assert ways(read(PAGES.connected(nothing, reference="1"))) == [("Back to OneEnterprise", CONSOLE)]


@pytest.mark.parametrize("hostile", HOSTILE, ids=lambda text: repr(text)[:12])
def test_a_name_marks_up_nothing_and_is_not_too_long(hostile: str) -> None:
    connected = Connected(tenants(hostile, "Electro Land"), tenants_pending=False, repeated=False)
    shown = read(PAGES.connected(connected, reference=hostile))
    assert shown.all("script") == shown.all("img") == []
    assert [one.text.endswith("Electro Land") for one in shown.all("li")] == [False, True]
    assert len(shown.text) < 1_000
    assert "\x00" not in shown.html
