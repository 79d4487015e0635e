"""docs/performance.md against the list of figures that the benchmarks have."""

import re

import pytest

from tests.benchmarks.figures import FIGURES
from tests.benchmarks.growth_plot import PLOT, drawn
from tests.benchmarks.page import PAGE, rewritten, tables
from tests.unit.benchmarks.test_growth import POINTS

RESULTS = {
    "layer_mb": {"value": 28.25, "unit": "MB", "repetitions": [], "parts": {}},
    "refresh_cpu_ratio_tls": {"value": 1.2, "unit": "x", "repetitions": [], "parts": {"refresh_ms": 10}},
    **{
        f"cold_start_ratio_{name}": {"value": 1.2, "unit": "x", "parts": {"first_invocation_ms": 500}}
        for name in ("token_refresh", "credential_api", "oauth_callback")
    },
    "growth": POINTS,
    "run": {"date": "2026-11-30", "machine": "2 cores"},
}


def test_every_figure_that_the_page_names_is_one_of_the_bench() -> None:
    page = PAGE.read_text()
    table = page.partition("<!-- figures -->")[2].partition("<!-- end -->")[0]
    named = re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)
    mentioned = re.findall(r"`((?:refresh_cpu|sweep|cold_start|aws_calls|idle|list_by|head_of)_\w+)`", page)
    assert named
    assert {*named, *mentioned} <= FIGURES.keys()


def test_the_page_has_a_place_for_every_table() -> None:
    found = tables(RESULTS)
    assert found.keys() == {"run", "figures", "memory", "growth"}
    page = rewritten(PAGE.read_text(), {**found, "peers": "| who |"})
    assert "| `layer_mb` | 28.25 | MB | What the layer unpacks to |" in page
    # 1,024 of 1,769 MB are 0.58 of a vCPU, and a refresh takes 10 ms of a whole one.
    assert "| 1,024 MB | 0.58 | 58 | 0.9 s | 0.9 s | 0.9 s |" in page
    assert rewritten(page, {**found, "peers": "| who |"}) == page


def test_a_table_without_a_place_is_an_error() -> None:
    with pytest.raises(ValueError, match="no place for unknown"):
        rewritten(PAGE.read_text(), {"unknown": ""})


def test_the_page_shows_the_plot_that_lies_beside_it() -> None:
    assert f"]({PLOT.name})" in PAGE.read_text()
    assert PLOT.read_text().splitlines()[0] == drawn(POINTS).splitlines()[0]
