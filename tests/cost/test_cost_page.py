"""docs/cost.md says what counting and pricing come to."""

import re
from pathlib import Path

import pytest

from tests.cost import prices
from tests.cost.bill import REFRESHES, Month, month, tables

PAGE = (Path(__file__).parents[2] / "docs/cost.md").read_text()


@pytest.fixture(scope="module")
def found() -> Month:
    return month()


def rows_under(heading: str) -> list[list[str]]:
    (section,) = re.findall(rf"^## {heading}\n(.*?)(?=^## |\Z)", PAGE, re.DOTALL | re.MULTILINE)
    rows = [line.strip("|").split("|") for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row] for row in rows[2:]]


@pytest.mark.parametrize(
    "heading", ["At rest", "For each credential", "Organisations", "Fleets", "What the account adds"]
)
def test_each_table_is_what_was_counted(found: Month, heading: str) -> None:
    assert rows_under(heading) == [list(row) for row in tables(found)[heading]]


def test_the_page_says_of_when_the_prices_are() -> None:
    assert f"noted on {prices.NOTED_ON}" in PAGE


def test_the_page_says_how_often_a_token_is_refreshed() -> None:
    assert f"{REFRESHES:,.0f} times a month" in PAGE


def test_a_joining_customer_costs_what_the_page_says(found: Month) -> None:
    assert found.joined.write_units == 52
    assert found.joined.secrets_manager == 9
    assert f"${found.join:.4f}" in PAGE


def test_a_refresh_makes_the_calls_that_the_page_names(found: Month) -> None:
    counted = found.refreshes[0].counted
    assert (counted.secrets_manager, counted.kms, counted.management_events) == (2, 2, 4)


def test_a_refresh_of_an_ordinary_credential_writes_four_units(found: Month) -> None:
    assert [cost.counted.write_units for cost in found.refreshes] == [4, 4, 4]
    assert all(cost.state_bytes < 1024 for cost in found.refreshes)
