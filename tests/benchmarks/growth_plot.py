"""Draws docs/growth.svg: two panels, both axes logarithmic, readable on a light and on a dark page."""

import math
from collections.abc import Mapping, Sequence
from html import escape

from tests.benchmarks.artefact import CHECKOUT

PLOT = CHECKOUT / "docs" / "growth.svg"
_WIDTH, _HEIGHT, _LEFT, _TOP, _SIDE, _BETWEEN = 800, 350, 56, 44, 250, 130
_FEWEST, _MOST = 10, 100_000
_STYLE = """
text { font: 12px system-ui, sans-serif; fill: #24292f }
.axis { stroke: #57606a; fill: none } .grid { stroke: #d0d7de }
.sweep { stroke: #0a5fb4; fill: #0a5fb4 } .list { stroke: #a04100; fill: #a04100 }
.submission { stroke: #1a7f37; fill: #1a7f37 }
polyline { fill: none !important; stroke-width: 2 } text.name { stroke: none; font-weight: 600 }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 } .axis { stroke: #9198a1 } .grid { stroke: #3d444d }
  .sweep { stroke: #6cb6ff; fill: #6cb6ff } .list { stroke: #ffa657; fill: #ffa657 }
  .submission { stroke: #57d364; fill: #57d364 }
}
"""

type Points = Mapping[str, Sequence[Mapping[str, float]]]
type Marks = Sequence[tuple[float, float]]


def drawn(points: Points) -> str:
    """Return the plot as SVG, with the numbers as its text alternative."""
    panels = {
        "CPU, ms": {name: [row["cpu_ms"] for row in rows] for name, rows in points.items()},
        "read and write units": {
            name: [row["read_units"] + row["write_units"] for row in rows] for name, rows in points.items()
        },
    }
    credentials = [row["credentials"] for row in next(iter(points.values()))]
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}"',
        ' role="img" aria-labelledby="title description">',
        '<title id="title">Growth with the number of credentials</title>',
        f'<desc id="description">{escape(described(points))}</desc>',
        f"<style>{_STYLE}</style>",
    ]
    for number, (title, values) in enumerate(panels.items()):
        parts += _panel(_LEFT + number * (_SIDE + _BETWEEN), title, credentials, values)
    return "\n".join([*parts, "</svg>"]) + "\n"


def described(points: Points) -> str:
    """Say in words what the plot shows."""
    sentences = []
    for name, rows in points.items():
        values = "; ".join(
            f"{row['credentials']:,} credentials {row['cpu_ms']:.0f} ms of CPU and"
            f" {row['read_units'] + row['write_units']:.0f} units"
            for row in rows
        )
        sentences.append(f"{name}: {values}.")
    return " ".join(sentences)


def _panel(
    left: float, title: str, credentials: Sequence[float], values: Mapping[str, Sequence[float]]
) -> Sequence[str]:
    every = [value for row in values.values() for value in row]
    low, high = math.floor(math.log10(min(every))), math.ceil(math.log10(max(every)))

    def across(number: float) -> float:
        return left + _SIDE * math.log10(number / _FEWEST) / math.log10(_MOST / _FEWEST)

    def down(value: float) -> float:
        return _TOP + _SIDE * (high - math.log10(value)) / (high - low)

    parts = [f'<text x="{left}" y="{_TOP - 18}">{escape(title)}</text>']
    for power in range(low, high + 1):
        y = down(10**power)
        parts.append(f'<line class="grid" x1="{left}" x2="{left + _SIDE}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{left - 8}" y="{y + 4:.1f}" text-anchor="end">{10**power:g}</text>')
    for number in credentials:
        x = across(number)
        parts.append(f'<text x="{x:.1f}" y="{_TOP + _SIDE + 20}" text-anchor="middle">{number:,.0f}</text>')
    parts.append(f'<text x="{left + _SIDE / 2}" y="{_TOP + _SIDE + 42}" text-anchor="middle">credentials</text>')
    parts.append(f'<path class="axis" d="M{left} {_TOP}V{_TOP + _SIDE}H{left + _SIDE}"/>')
    ends = _apart({name: down(row[-1]) for name, row in values.items()})
    for name, row in values.items():
        marks = [(across(number), down(value)) for number, value in zip(credentials, row, strict=True)]
        parts += _line(name, marks, ends[name])
    return parts


def _line(name: str, marks: Marks, label_at: float) -> Sequence[str]:
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in marks)
    dots = [f'<circle class="{name}" cx="{x:.1f}" cy="{y:.1f}" r="3"/>' for x, y in marks]
    label = f'<text class="{name} name" x="{marks[-1][0] + 10:.1f}" y="{label_at + 4:.1f}">{name}</text>'
    return [f'<polyline class="{name}" points="{path}"/>', *dots, label]


def _apart(wanted: Mapping[str, float], least: float = 16) -> Mapping[str, float]:
    """Move labels down until none covers another."""
    placed: dict[str, float] = {}
    for name, y in sorted(wanted.items(), key=lambda item: item[1]):
        placed[name] = max([y, *(other + least for other in placed.values())])
    return placed
