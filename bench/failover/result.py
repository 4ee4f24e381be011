"""What the runs came to, each beside the undisturbed one.

Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from bench.failover.outcome import Outcome
from bench.rows import OURS, Row

# What a region's loss may add to the time that pictures stand still.
STALLED_MUST = 1.2
# Where nobody stalls undisturbed a ratio says nothing: so much is added to both sides.
_ADDED_S_PER_VIEWER = 0.1


class FailoverResult(msgspec.Struct, frozen=True, kw_only=True):
    """What `nearcast bench failover` says."""

    benchmark: str = "failover"
    machine: dict[str, str | int]
    commit: str
    players: int
    sites: int
    traces: str
    results: list[Row]
    notes: list[str]


def rows(outcomes: Sequence[Outcome]) -> list[Row]:
    """Of every run; the first is the undisturbed one."""
    undisturbed = outcomes[0]
    return [row for outcome in outcomes for row in _rows(outcome, undisturbed)]


def falls_short(results: Iterable[Row]) -> bool:
    return any(row.verdict == "short" for row in results)


def _rows(outcome: Outcome, undisturbed: Outcome) -> list[Row]:
    viewers, case = outcome.viewers, outcome.scenario.name
    stalled_s = sum(viewer.stalled_s for viewer in viewers)
    made = [
        _row(case, "failed sessions", sum(viewer.failed for viewer in viewers), must=0.0, more_is_better=False),
        _row(case, "stalls", sum(viewer.stalls for viewer in viewers), more_is_better=False),
        _row(case, "stalled_s", stalled_s, more_is_better=False),
    ]
    if outcome is not undisturbed:
        added_s = _ADDED_S_PER_VIEWER * len(viewers)
        ratio = (stalled_s + added_s) / (sum(viewer.stalled_s for viewer in undisturbed.viewers) + added_s)
        note = f"{_ADDED_S_PER_VIEWER} s a viewer added to both"
        made.append(_row(case, "stalled by undisturbed", ratio, must=STALLED_MUST, more_is_better=False, note=note))
    made += [
        _row(case, "switches of pathway", sum(viewer.switches for viewer in viewers), more_is_better=False),
        _row(case, "share of bytes from the origin", outcome.from_origin, more_is_better=False),
        _row(case, "busiest appliance, of its capacity", _peak(outcome), more_is_better=False),
    ]
    if outcome.scenario.cut_region:
        last_s = outcome.last_asked_s - outcome.scenario.from_s
        made.append(_row(case, "last seconds somebody waited for who is gone", last_s, more_is_better=False))
    return made


def _peak(outcome: Outcome) -> float:
    return max(outcome.peak_load.values(), default=0.0)


def _row(
    case: str,
    metric: str,
    value: float,
    *,
    must: float | None = None,
    more_is_better: bool = True,
    note: str = "",
) -> Row:
    return Row(
        subject=OURS, case=case, metric=metric, median=value, min=value, max=value, must=must,
        more_is_better=more_is_better, note=note,
    )  # fmt: skip
