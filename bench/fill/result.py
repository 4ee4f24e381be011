"""What a run of `nearcast bench fill` came to: rows with what they must reach, ratios, and the document of both.

Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from bench.delivery.result import Ratio

OURS = "nearcast"


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One metric of one subject in one case; min and max are the interval or spread that `note` names."""

    subject: str
    case: str
    metric: str
    median: float
    min: float
    max: float
    must: float | None = None
    aim: float | None = None
    limit: float | None = None  # what cannot be exceeded, whatever is done
    more_is_better: bool = True
    note: str = ""

    @property
    def verdict(self) -> str:
        """Which of its goals it reaches; empty if it has none."""
        if self.must is None:
            return ""
        if self.aim is not None and self._reaches(self.aim):
            return "aim"
        if self._reaches(self.must):
            return "must"
        is_out_of_reach = self.limit is not None and (
            self.limit < self.must if self.more_is_better else self.limit > self.must
        )
        return "out of reach" if is_out_of_reach else "short"

    def _reaches(self, goal: float) -> bool:
        return self.median >= goal if self.more_is_better else self.median <= goal


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
