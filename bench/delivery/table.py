"""The tables that a person reads, on a terminal or in Markdown.

Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich.table import Table
from rich.text import Text

from bench.delivery.cases import METRICS
from bench.delivery.result import Delivery, Summary, best
from config.units import show_bytes

# What a throughput case may be judged by: small answers by the first, the others by the second.
_THROUGHPUT = ("requests_per_s", "bytes_per_s")
_NONE = "-"


@dataclass(frozen=True)
class Grid:
    title: str
    header: list[str]
    rows: list[list[str]]


def headline(delivery: Delivery) -> str:
    """What it ran on."""
    about = delivery.machine
    return (
        f"{about['cpu']}, {about['cores']} cores, {show_bytes(float(about['memory_bytes']))}, Linux {about['kernel']}, "
        f"Python {about['python']}, commit {delivery.commit or 'unknown'}; "
        f"{delivery.rounds} rounds of {delivery.seconds} s"
    )


def grids(delivery: Delivery) -> list[Grid]:
    """Throughput, CPU, everything else, ratios, subjects; empty ones are left out."""
    families = list(dict.fromkeys(subject.family for subject in delivery.subjects))
    throughput, cpu, others = [], [], []
    for case, metric in dict.fromkeys((one.case, one.metric) for one in delivery.results):
        is_throughput = case.startswith("http")
        if metric == "cpu_s_per_gb":
            cpu.append((case, metric))
        elif is_throughput:
            throughput.append((case, metric))
        else:
            others.append((case, metric))
    made = [
        _grid("Throughput", delivery, families, _judged(throughput)),
        _grid("CPU seconds per GB", delivery, families, cpu),
        _grid("Latency at 70 % of the peak, crowds, stampedes, pull-through", delivery, families, others),
        Grid(
            "Ratios, ours / theirs",
            ["case", "metric", "against", "ratio", "better is"],
            [
                [one.case, one.metric, one.against, f"{one.ratio:.2f}",
                 "more" if METRICS[one.metric].more_is_better else "less"]
                for one in delivery.ratios
            ],
        ),
        Grid(
            "Subjects",
            ["name", "version", "note"],
            [[one.name, one.version or _NONE, one.note or _NONE] for one in delivery.subjects],
        ),
    ]  # fmt: skip
    return [grid for grid in made if grid.rows]


def _judged(cells: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Of a throughput case the one metric that it is judged by: 16 KiB by requests, the rest by bytes."""
    return [(case, metric) for case, metric in cells if metric == _THROUGHPUT[0 if case.split("/")[1] == "16K" else 1]]


def _grid(title: str, delivery: Delivery, families: Sequence[str], cells: Iterable[tuple[str, str]]) -> Grid:
    names = {family: [subject.name for subject in delivery.subjects if subject.family == family] for family in families}
    rows = []
    used: set[str] = set()
    for case, metric in cells:
        found = {family: best(delivery.results, case, metric, names[family]) for family in families}
        used |= {family for family, one in found.items() if one is not None}
        rows.append([case, metric, *(_cell(found[family], family) for family in families)])
    kept = [0, 1, *(number + 2 for number, family in enumerate(families) if family in used)]
    header = ["case", "metric", *families]
    return Grid(title, [header[number] for number in kept], [[row[number] for number in kept] for row in rows])


def _cell(one: Summary | None, family: str) -> str:
    """The median, the spread, and which configuration it was."""
    if one is None:
        return _NONE
    which = one.subject.removeprefix(family).lstrip("-")
    spread = f" ({show(one.metric, one.min)} to {show(one.metric, one.max)})" if one.min != one.max else ""
    return show(one.metric, one.median) + spread + (f" {which}" if which and not which.isdigit() else "")


def show(metric: str, value: float) -> str:
    """A value in its metric's unit, three digits."""
    match METRICS[metric].unit:
        case "bytes/s":
            return f"{value / 1e9:.3g} GB/s"
        case "requests/s":
            return f"{value / 1e3:.3g}k/s" if value >= 1000 else f"{value:.3g}/s"
        case "s":
            return f"{value * 1e3:.3g} ms" if value >= 1e-3 else f"{value * 1e6:.3g} us"
        case "bytes":
            return show_bytes(value) if value > 0 else "0 B"
        case _:
            return f"{value:.3g}"


def to_rich(grid: Grid) -> Table:
    table = Table(title=grid.title)
    for number, name in enumerate(grid.header):
        table.add_column(name, no_wrap=number < 2)
    for row in grid.rows:
        table.add_row(*(Text(cell) for cell in row))
    return table


def to_markdown(grid: Grid) -> str:
    lines = [f"### {grid.title}", "", _line(grid.header), _line(["---"] * len(grid.header)), *map(_line, grid.rows), ""]
    return "\n".join(lines)


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"
