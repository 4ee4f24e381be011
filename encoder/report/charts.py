"""Charts as SVG: lines, marks and their names, without a library and without a script.

Text in a drawing shrinks with it, so each chart is drawn twice, for a desk and for a phone, and the style sheet shows
one of them. Colours are classes (`c0`, `c1` ...): the style sheet knows whether the page is light or dark.

Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Literal, NamedTuple

from encoder.report.axes import Axis, Tick

# How many colours the style sheet has.
COLOURS = 10
# Names at the ends of lines need this much height each, in units of the drawing.
_NAME_HEIGHT = 15.0
_MARK, _RING = 5.0, 3.0


class Size(NamedTuple):
    """Of a drawing, and what stands around its plot."""

    name: str  # a class of the style sheet
    width: int
    height: int
    left: int
    right: int
    top: int = 14
    bottom: int = 44


WIDE = Size("wide", 960, 430, 48, 96)
NARROW = Size("narrow", 380, 330, 34, 76)


class Line(NamedTuple):
    """Points in order; a name stands at the last one. `dashed` is for what nobody made."""

    name: str
    points: tuple[tuple[float, float], ...]
    colour: int
    dashed: bool = False


class Mark(NamedTuple):
    """One point, with a sentence that shows when it is pointed at."""

    x: float
    y: float
    sentence: str
    colour: int
    shape: Literal["ring", "dot", "diamond"] = "dot"
    name: str = ""


@dataclass(frozen=True)
class Chart:
    """`summary` says in a sentence or two what is to be seen, for who does not see it."""

    title: str
    summary: str
    x: Axis
    y: Axis
    lines: Sequence[Line] = ()
    marks: Sequence[Mark] = ()
    cuts: Sequence[float] = field(default=())  # places on the x axis where something ends


def draw(chart: Chart) -> str:
    """The chart in both sizes."""
    return _svg(chart, WIDE) + _svg(chart, NARROW)


def _svg(chart: Chart, size: Size) -> str:
    place = _Place(chart, size)
    parts = [
        f'<svg class="chart {size.name}" viewBox="0 0 {size.width} {size.height}" role="img" '
        f'aria-label="{escape(f"{chart.title}. {chart.summary}")}">',
        *_grid(chart, place),
        *(f'<path class="line c{line.colour}{" dashed" if line.dashed else ""}" d="{_path(line, place)}"/>'
          for line in chart.lines),
        *(_mark(mark, place) for mark in chart.marks),
        *_names(chart, place),
        "</svg>",
    ]  # fmt: skip
    return "".join(parts)


class _Place:
    """From values to units of the drawing."""

    def __init__(self, chart: Chart, size: Size) -> None:
        self._x, self._y, self.size = chart.x, chart.y, size
        self.left, self.top = size.left, size.top
        self.right, self.bottom = size.width - size.right, size.height - size.bottom

    def x(self, value: float) -> float:
        return self.left + _within(self._x.share(value)) * (self.right - self.left)

    def y(self, value: float) -> float:
        return self.bottom - _within(self._y.share(value)) * (self.bottom - self.top)


def _within(share: float) -> float:
    return min(1.0, max(0.0, share))


def _grid(chart: Chart, place: _Place) -> Iterator[str]:
    yield '<g class="grid" aria-hidden="true">'
    for at in chart.cuts:
        yield f'<path class="cut" d="M{place.x(at):.1f} {place.top}V{place.bottom}"/>'
    for tick in chart.y.ticks:
        y = place.y(tick.value)
        yield f'<path d="M{place.left} {y:.1f}H{place.right}"/>'
        yield f'<text x="{place.left - 8}" y="{y + 4:.1f}" text-anchor="end">{escape(tick.text)}</text>'
    for tick in _far_enough(chart.x, place):
        x = place.x(tick.value)
        yield f'<path d="M{x:.1f} {place.top}V{place.bottom}"/>'
        yield f'<text x="{x:.1f}" y="{place.bottom + 18}" text-anchor="middle">{escape(tick.text)}</text>'
    middle = (place.left + place.right) / 2
    yield (
        f'<text class="axis" x="{middle:.0f}" y="{place.size.height - 6}" text-anchor="middle">'
        f"{escape(chart.x.label)}</text></g>"
    )


def _far_enough(axis: Axis, place: _Place) -> Iterator[Tick]:
    """The ticks of the x axis, without those whose text would touch the one before."""
    end = float("-inf")
    for tick in axis.ticks:
        half = len(tick.text) * 3.6 + 4
        if place.x(tick.value) - half >= end:
            end = place.x(tick.value) + half
            yield tick


def _path(line: Line, place: _Place) -> str:
    return "M" + "L".join(f"{place.x(x):.1f} {place.y(y):.1f}" for x, y in line.points)


def _mark(mark: Mark, place: _Place) -> str:
    x, y, r = place.x(mark.x), place.y(mark.y), _MARK if mark.shape != "ring" else _RING
    look = f'class="mark {mark.shape} c{mark.colour}"'
    sentence = f"<title>{escape(mark.sentence)}</title>"
    if mark.shape == "diamond":
        return f'<path {look} d="M{x:.1f} {y - r:.1f}l{r} {r}l{-r} {r}l{-r} {-r}z">{sentence}</path>'
    return f'<circle {look} cx="{x:.1f}" cy="{y:.1f}" r="{r}">{sentence}</circle>'


def _names(chart: Chart, place: _Place) -> Iterator[str]:
    yield '<g class="names" aria-hidden="true">'
    ends = [(place.y(line.points[-1][1]), line) for line in chart.lines if line.name and line.points]
    ends.sort(key=lambda end: end[0])
    for y, (_, line) in zip(_apart([end[0] for end in ends], place.top, place.bottom), ends, strict=True):
        x = place.x(line.points[-1][0]) + 8
        yield f'<text class="c{line.colour}" x="{x:.1f}" y="{y + 4:.1f}">{escape(line.name)}</text>'
    for mark in chart.marks:
        if mark.name:
            yield (
                f'<text class="strong" x="{place.x(mark.x) - 9:.1f}" y="{place.y(mark.y) - 7:.1f}" '
                f'text-anchor="end">{escape(mark.name)}</text>'
            )
    yield "</g>"


def _apart(wanted: Sequence[float], top: float, bottom: float) -> list[float]:
    """Heights as near to the wanted ones (ascending) as they can be without touching; closer if there are too many."""
    gap = min(_NAME_HEIGHT, (bottom - top) / max(1, len(wanted) - 1))
    found: list[float] = []
    for y in wanted:
        found.append(max(y, found[-1] + gap) if found else max(y, top))
    if found:
        found[-1] = min(found[-1], bottom)
    for at in range(len(found) - 2, -1, -1):
        found[at] = min(found[at], found[at + 1] - gap)
    return found
