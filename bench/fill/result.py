"""What a run of `nearcast bench fill` came to: rows, ratios, and the document of both.

Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from bench.delivery.result import Ratio
from bench.rows import OURS, Row


class FillResult(msgspec.Struct, frozen=True, kw_only=True):
    """What `nearcast bench fill` says."""

    benchmark: str = "fill"
    machine: dict[str, str | int]
    commit: str
    results: list[Row]
    ratios: list[Ratio]
    notes: list[str]


def spread(
    subject: str, case: str, metric: str, values: Sequence[float], **goals: float | bool | str | None
) -> Row | None:
    """A row of observations' mean and range; None if there are none."""
    if not values:
        return None
    mean = sum(values) / len(values)
    return msgspec.convert(
        {"subject": subject, "case": case, "metric": metric, "median": mean, "min": min(values), "max": max(values)}
        | {key: value for key, value in goals.items() if value is not None},
        Row,
    )


def ratios(rows: Iterable[Row]) -> list[Ratio]:
    """Ours by each other subject's of the same case and metric."""
    rows = list(rows)
    ours = {(row.case, row.metric): row.median for row in rows if row.subject == OURS}
    return [
        Ratio(row.case, row.metric, row.subject, ours[row.case, row.metric] / row.median)
        for row in rows
        if row.subject != OURS and (row.case, row.metric) in ours and row.median
    ]
