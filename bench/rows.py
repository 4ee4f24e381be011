"""What benchmarks say: one metric of one subject in one case, what it must reach, and the tables that a person reads.

Pure.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from rich.table import Table
from rich.text import Text

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


def tables(rows: Sequence[Row]) -> list[Table]:
    """One for each case, in the order in which they first come."""
    return [_table(case, [row for row in rows if row.case == case]) for case in dict.fromkeys(row.case for row in rows)]


def _table(case: str, rows: Sequence[Row]) -> Table:
    table = Table(title=case, title_justify="left")
    for name in ("metric", "who", "mean", "range", "must / aim / limit", "reaches", "note"):
        table.add_column(name, no_wrap=name != "note")
    for row in rows:
        spread = f"{row.min:.4g} to {row.max:.4g}" if row.min != row.max else ""
        goals = " / ".join("-" if goal is None else f"{goal:.3g}" for goal in (row.must, row.aim, row.limit))
        goals = "" if goals == "- / - / -" else goals
        cells = [row.metric, row.subject, f"{row.median:.4g}", spread, goals, row.verdict, row.note]
        table.add_row(*(Text(cell) for cell in cells))
    return table
