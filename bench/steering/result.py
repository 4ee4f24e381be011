"""What `nearcast bench steering` comes to: the goals of each metric, and the document.

Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from bench.rows import Row

OURS = "nearcast"


class Goal(NamedTuple):
    must: float
    aim: float
    more_is_better: bool = False


# Of one worker on one core at full size.
GOALS = {
    ("session starts, HLS", "per second"): Goal(15_000, 30_000, True),
    ("session starts, DASH", "per second"): Goal(15_000, 30_000, True),
    ("polls", "per second"): Goal(25_000, 50_000, True),
    ("session starts, HLS", "p99 at half load, ms"): Goal(5, 2),
    ("session starts, DASH", "p99 at half load, ms"): Goal(5, 2),
    ("polls", "p99 at half load, ms"): Goal(5, 2),
    ("table", "build, s"): Goal(10, 3),
    ("table", "memory, MB"): Goal(200, 100),
    ("table", "look-up, us"): Goal(2, 0.5),
}


class SteeringResult(msgspec.Struct, frozen=True, kw_only=True):
    """What `nearcast bench steering` says."""

    benchmark: str = "steering"
    machine: dict[str, str | int]
    commit: str
    size: dict[str, int]
    seconds: float  # of each measurement
    rounds: int
    reports_per_s: float
    is_compiled: bool
    results: list[Row]
    notes: list[str]


def row(case: str, metric: str, values: Sequence[float], note: str = "", *, best: bool = False) -> Row:
    """The median of the rounds, or the best of them: of a peak, whatever else the machine does only takes away."""
    goal = GOALS.get((case, metric))
    ordered = sorted(values)
    middle = ordered[len(ordered) // 2]
    if best:
        middle = ordered[-1] if goal is not None and goal.more_is_better else ordered[0]
    return Row(
        subject=OURS,
        case=case,
        metric=metric,
        median=middle,
        min=ordered[0],
        max=ordered[-1],
        must=goal.must if goal is not None else None,
        aim=goal.aim if goal is not None else None,
        more_is_better=goal.more_is_better if goal is not None else True,
        note=note,
    )
