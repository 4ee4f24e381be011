"""Scales, and drawings that stay within their frame."""

from __future__ import annotations

import re
from itertools import pairwise
from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st

from encoder.report.axes import clock, number_axis, quality_axis, rate_axis, time_axis
from encoder.report.charts import NARROW, WIDE, Chart, Line, Mark, draw

numbers = st.floats(0.1, 1e8)


@given(st.lists(numbers, min_size=1), st.floats(0.01, 40_000))
def test_every_axis_holds_its_values_and_some_round_numbers(values: list[float], duration: float) -> None:
    for axis in (rate_axis(values, str), number_axis("factor", [min(one, 60) for one in values])):
        assert all(-1e-9 <= axis.share(min(one, 60) if axis.label == "factor" else one) <= 1 + 1e-9 for one in values)
    assert 1 <= len(time_axis(duration).ticks) <= 10


def test_quality_goes_to_a_hundred_from_a_round_number_below_the_worst() -> None:
    assert (quality_axis([93.4, 61]).low, quality_axis([99.9]).low, quality_axis([]).high) == (60, 90, 100)


def test_times_are_shown_as_a_player_shows_them() -> None:
    assert [clock(at) for at in (0, 7.9, 750, 3750)] == ["0:00", "0:07", "12:30", "1:02:30"]


@given(st.lists(st.tuples(numbers, st.floats(0, 100)), min_size=1, max_size=12))
def test_nothing_is_drawn_outside_and_names_do_not_touch(points: list[tuple[float, float]]) -> None:
    chart = Chart(
        "Title", "Summary & more.", rate_axis([x for x, _ in points], str), quality_axis([y for _, y in points]),
        [Line(f"<{at}>", (point,), at) for at, point in enumerate(points)],
        [Mark(*point, "a mark", 0, "diamond") for point in points],
    )  # fmt: skip
    drawings = re.findall(r"<svg.*?</svg>", draw(chart))
    assert len(drawings) == 2
    for drawing, size in zip(drawings, (WIDE, NARROW), strict=True):
        root = ElementTree.fromstring(drawing)
        names = root.findall("g[@class='names']/text")
        heights = sorted(float(one.attrib["y"]) for one in names)
        assert all(below - above > 14.8 for above, below in pairwise(heights))
        assert heights[-1] <= size.height - size.bottom + 5


def test_more_names_than_there_is_room_for_stay_within_the_drawing() -> None:
    lines = [Line(f"v{at}", ((0.0, 95.0 - at / 100),), at) for at in range(60)]
    drawing = draw(Chart("Title", "Summary.", time_axis(10), quality_axis([90.0]), lines))
    heights = [float(y) for y in re.findall(r'<text class="c\d+" x="[\d.]+" y="([-\d.]+)"', drawing)]
    assert len(heights) == 120 and min(heights) >= WIDE.top
