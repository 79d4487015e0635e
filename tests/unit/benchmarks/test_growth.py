"""The measurement of growth at two small numbers, and its plot."""

import re
from xml.etree import ElementTree as ET

import pytest

from tests.benchmarks.growth import Point, as_json, measure_growth
from tests.benchmarks.growth_plot import drawn

POINTS = as_json(
    {
        name: [Point(10, 10 * factor, 5, 1), Point(100, 20 * factor, 50, 1)]
        for factor, name in enumerate(("sweep", "list", "submission"), start=1)
    }
)


def test_a_submission_costs_the_same_units_whatever_the_number_of_credentials() -> None:
    points = measure_growth(lambda _: None, (2, 20))
    assert points.keys() == {"sweep", "list", "submission"}
    few, many = points["submission"]
    assert (few.credentials, many.credentials) == (2, 20)
    assert (few.read_units, few.write_units) == (many.read_units, many.write_units)
    assert points["list"][1].read_units > points["list"][0].read_units > 0


def test_the_plot_is_an_image_with_a_title_and_its_numbers_in_words() -> None:
    svg = ET.fromstring(drawn(POINTS))  # noqa: S314 - our own text
    inside = {element.tag.rpartition("}")[2]: element for element in svg}
    assert svg.get("role") == "img"
    assert svg.get("aria-labelledby") == f"{inside['title'].get('id')} {inside['desc'].get('id')}"
    assert "100 credentials 60 ms of CPU and 51 units" in (inside["desc"].text or "")


def test_the_plot_has_colours_for_a_dark_page() -> None:
    light, dark = drawn(POINTS).split("@media (prefers-color-scheme: dark)")
    for name in ("sweep", "list", "submission"):
        colours = [re.search(rf"\.{name} {{ stroke: (#\w+)", part) for part in (light, dark)]
        assert len({match[1] for match in colours if match}) == 2


@pytest.mark.parametrize("name", ["sweep", "list", "submission"])
def test_the_axes_are_logarithmic(name: str) -> None:
    line = re.search(rf'<polyline class="{name}" points="([\d.,]+) ([\d.,]+)"', drawn(POINTS))
    assert line is not None
    (left, upper), (right, lower) = (map(float, mark.split(",")) for mark in line.groups())
    # A decade is a quarter of the width, and CPU doubles for each of them.
    assert right - left == pytest.approx(250 / 4, abs=0.2)
    assert upper - lower == pytest.approx(250 * 0.30103, abs=0.2)
