"""The charts of a report, and the tables that say the same in numbers.

Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

from config.units import show_rate
from encoder.report.axes import clock, number_axis, quality_axis, rate_axis, time_axis
from encoder.report.charts import COLOURS, Chart, Line, Mark
from encoder.report.estimate import Point
from encoder.report.facts import Curve, Made, Report, Search, Stretch, pooled

# A drawing has no more columns than this that one can tell apart; a table no more rows that anybody reads.
_MOST_POINTS, _MOST_ROWS = 240, 60
# More cuts than these make a grey wall of a chart.
_MOST_CUTS = 80
# What becomes a cell: a stretch with its mean, and its lowest value.
_Show: TypeAlias = Callable[[tuple[Stretch, float]], str]


class Table(NamedTuple):
    """Rows of text; all columns but the first `words` are numbers."""

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    words: int = 1


class Figure(NamedTuple):
    chart: Chart
    table: Table
    legend: tuple[tuple[str, str], ...] = ()  # class of the style sheet, words


def hull(report: Report, search: Search) -> Figure:
    """All trials of one codec, what they let expect, and the rungs on it."""
    made, curves = report.of_codec(search.codec), report.curves(search)
    fixed = sorted(report.fixed_estimate(), key=lambda point: point.bps)
    lines = [
        Line(str(curve.height), tuple(sorted((point.bps, point.vmaf) for point in curve.points)), at % COLOURS)
        for at, curve in enumerate(curves)
    ]
    if fixed:
        lines.append(Line("", tuple((point.bps, point.vmaf) for point in fixed), COLOURS, dashed=True))
    marks = [*_tried(curves), *_estimated(fixed), *_chosen(made)]
    rates = [x for line in lines for x, _ in line.points] + [mark.x for mark in marks]
    scores = [y for line in lines for _, y in line.points] + [mark.y for mark in marks]
    best = max(made, key=lambda one: one.vmaf)
    summary = f"{len(made)} rungs on the curves of {len(curves)} sizes; the best, {best.rung.name}, has VMAF "
    summary += f"{best.vmaf:.1f} at {show_rate(best.point.bps)}."
    legend = [("dot", "rung"), ("ring", "trials, by lines"), ("diamond", "fixed ladder (estimate)")]
    return Figure(
        Chart(f"{search.codec.label}: quality over bitrate", summary, rate_axis(rates, _short_rate),
              quality_axis(scores), lines, marks),
        _hull_table(search, made, curves, fixed),
        tuple(legend[: 3 if fixed else 2]),
    )  # fmt: skip


def _tried(curves: Sequence[Curve]) -> list[Mark]:
    return [
        Mark(point.bps, point.vmaf,
             f"{curve.height} lines at factor {point.factor:g}: {show_rate(point.bps)}, VMAF {point.vmaf:.1f}",
             at % COLOURS, "ring")
        for at, curve in enumerate(curves)
        for point in curve.tried
    ]  # fmt: skip


def _estimated(fixed: Sequence[Point]) -> list[Mark]:
    return [
        Mark(point.bps, point.vmaf, f"fixed ladder, {point.name}: {show_rate(point.bps)}, VMAF {point.vmaf:.1f}",
             COLOURS, "diamond")
        for point in fixed
    ]  # fmt: skip


def _chosen(made: Sequence[Made]) -> list[Mark]:
    return [
        Mark(one.point.bps, one.vmaf,
             f"{one.rung.name}: {one.rung.width}x{one.rung.height}, factor {one.rung.crf:g}, "
             f"{show_rate(one.point.bps)}, VMAF {one.vmaf:.1f}",
             COLOURS + 1, "dot", one.rung.name)
        for one in made
    ]  # fmt: skip


def _hull_table(search: Search, made: Sequence[Made], curves: Sequence[Curve], fixed: Sequence[Point]) -> Table:
    rows = [
        ("trial", str(curve.height), f"{point.factor:g}", show_rate(point.bps), f"{point.vmaf:.1f}")
        for curve in curves
        for point in curve.tried
    ]
    rows += [
        (one.rung.name, str(one.rung.height), f"{one.rung.crf:g}", show_rate(one.point.bps), f"{one.vmaf:.1f}")
        for one in made
    ]
    rows += [(f"fixed {one.name}, estimate", "", "", show_rate(one.bps), f"{one.vmaf:.1f}") for one in fixed]
    caption = f"Trials of {len(search.pieces)} pieces, as the whole film would be, and the rungs"
    return Table(caption, ("what", "lines", "factor", "bitrate", "VMAF"), tuple(rows))


def quality_over_time(report: Report) -> Figure | None:
    """VMAF of each rung along the film; None if nothing was scored."""
    scored = [one for one in report.rungs if one.quality is not None]
    if not scored:
        return None
    lines = [_steps(made, report.vmaf_over_time(made), at) for at, made in enumerate(scored)]
    worst = [
        Mark(float(low.worst_frame / report.plan.frame_rate), low.worst,
             f"{made.rung.name}: its worst frame, at {clock(float(low.worst_frame / report.plan.frame_rate))}, "
             f"VMAF {low.worst:.1f}", at % COLOURS, "ring")
        for at, made in enumerate(scored)
        if (low := made.quality.worst if made.quality else None) is not None
    ]  # fmt: skip
    scores = [y for line in lines for _, y in line.points] + [mark.y for mark in worst]
    top = scored[0]
    summary = f"{len(scored)} rungs; the first, {top.rung.name}, is at VMAF {top.vmaf:.1f} on the mean"
    summary += f" and {min(one.value for one in report.vmaf_over_time(top)):.1f} where it is worst."
    chart = Chart(
        "VMAF over time", summary, time_axis(float(report.plan.duration)), quality_axis(scores), lines, worst,
        _cuts(report),
    )  # fmt: skip
    columns = [pooled(report.vmaf_over_time(made), _MOST_ROWS) for made in scored]
    return Figure(chart, _over_time("Mean VMAF, and the lowest piece's", scored, columns, _mean_and_lowest),
                  (("ring", "worst frame that was scored"),))  # fmt: skip


def bitrate_over_time(report: Report) -> Figure:
    """What the segments of each rung take."""
    lines = [_steps(made, made.bitrates, at) for at, made in enumerate(report.rungs)]
    rates = [y for line in lines for _, y in line.points]
    worst = max(report.rungs, key=lambda one: one.rendition.bandwidth / one.rendition.average_bandwidth)
    summary = f"The largest peak beside its average is {worst.rung.name}'s, "
    summary += f"{worst.rendition.bandwidth / worst.rendition.average_bandwidth:.2f} times it."
    chart = Chart(
        "Bitrate over time", summary, time_axis(float(report.plan.duration)), rate_axis(rates, _short_rate), lines,
        (), _cuts(report),
    )  # fmt: skip
    columns = [pooled(made.bitrates, _MOST_ROWS) for made in report.rungs]
    return Figure(chart, _over_time("Mean bitrate", report.rungs, columns, lambda one: show_rate(one[0].value)))


def factors_over_time(report: Report) -> Figure | None:
    """The rate factor of each shot; None if all shots of a rung have the same."""
    free = [one for one in report.rungs if len(set(one.rung.shot_crfs)) > 1]
    if not free:
        return None
    stretches = {made.rung.name: _shots(report, made) for made in free}
    lines = [_steps(made, stretches[made.rung.name], at) for at, made in enumerate(free)]
    factors = [factor for made in free for factor in made.rung.shot_crfs]
    widest = max(free, key=lambda one: max(one.rung.shot_crfs) - min(one.rung.shot_crfs))
    summary = f"A higher factor is fewer bits. {widest.rung.name} has the widest range, "
    summary += f"{min(widest.rung.shot_crfs):g} to {max(widest.rung.shot_crfs):g}."
    chart = Chart(
        "Rate factor of each shot", summary, time_axis(float(report.plan.duration)), number_axis("factor", factors),
        lines, (), _cuts(report),
    )  # fmt: skip
    columns = [pooled(stretches[made.rung.name], _MOST_ROWS) for made in free]
    return Figure(chart, _over_time("Rate factor", free, columns, lambda one: f"{one[0].value:.4g}"))


def _steps(made: Made, stretches: list[Stretch], at: int) -> Line:
    """Flat along each stretch."""
    points: list[tuple[float, float]] = []
    for one, _ in pooled(stretches, _MOST_POINTS):
        points += [(one.start_s, one.value), (one.start_s + one.duration_s, one.value)]
    return Line(made.rung.name, tuple(points), at % COLOURS)


def _shots(report: Report, made: Made) -> list[Stretch]:
    ends = [*report.shot_starts_s[1:], float(report.plan.duration)]
    return [
        Stretch(start, end - start, factor)
        for start, end, factor in zip(report.shot_starts_s, ends, made.rung.shot_crfs, strict=False)
    ]


def _over_time(
    caption: str, rungs: Sequence[Made], columns: Sequence[list[tuple[Stretch, float]]], show: _Show
) -> Table:
    rows = []
    for at, (first, _) in enumerate(columns[0]):
        cells = (show(column[at]) if at < len(column) else "" for column in columns)
        rows.append((f"{clock(first.start_s)} to {clock(first.start_s + first.duration_s)}", *cells))
    return Table(caption, ("film time", *(made.rung.name for made in rungs)), tuple(rows))


def _mean_and_lowest(pool: tuple[Stretch, float]) -> str:
    one, lowest = pool
    return f"{one.value:.1f}" if one.value - lowest < 0.05 else f"{one.value:.1f} ({lowest:.1f})"


def _cuts(report: Report) -> Sequence[float]:
    starts = report.shot_starts_s[1:]
    return starts if len(starts) <= _MOST_CUTS else ()


def _short_rate(bps: float) -> str:
    return f"{bps / 1e6:g}M" if bps >= 1e6 else f"{bps / 1e3:g}k"
