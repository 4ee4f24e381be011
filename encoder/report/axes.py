"""Scales of a chart: from values to places, and the round numbers that stand at an axis.

Pure.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

# About as many round numbers as can be read beside each other.
_MOST_TICKS = 9
_STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200)


class Tick(NamedTuple):
    value: float
    text: str


@dataclass(frozen=True)
class Axis:
    """Values from `low` to `high`; on a logarithmic one equal ratios are equally far apart."""

    label: str
    low: float
    high: float
    ticks: tuple[Tick, ...]
    is_log: bool = False

    def share(self, value: float) -> float:
        """Where a value stands, 0 to 1 within the axis."""
        if self.is_log:
            return math.log(max(value, 1e-9) / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)


def quality_axis(values: Sequence[float]) -> Axis:
    """VMAF from a round number below the lowest value to 100."""
    low = max(0.0, math.floor(min(values, default=60.0) / 10) * 10)
    low = min(low, 90.0)
    step = 10 if 100 - low > 20 else 5 if 100 - low > 10 else 2
    return Axis("VMAF", low, 100.0, tuple(Tick(at, str(at)) for at in range(int(low), 101, step)))


def rate_axis(values: Sequence[float], show: Callable[[float], str]) -> Axis:
    """Bitrates, logarithmic, with 1, 2 and 5 of each decade."""
    low, high = min(values, default=1e5) / 1.15, max(values, default=1e7) * 1.15
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks = [factor * 10.0**decade for decade in decades for factor in (1, 2, 5)]
    return Axis("bit/s", low, high, tuple(Tick(at, show(at)) for at in ticks if low <= at <= high), is_log=True)


def time_axis(duration_s: float) -> Axis:
    step = next((step for step in _STEPS_S if duration_s / step <= _MOST_TICKS), _STEPS_S[-1])
    ticks = tuple(Tick(at, clock(at)) for at in range(0, int(duration_s) + 1, step))
    return Axis("film time", 0.0, max(duration_s, 0.001), ticks)


def number_axis(label: str, values: Sequence[float]) -> Axis:
    """Any numbers, with some room around them."""
    low, high = min(values, default=0.0), max(values, default=1.0)
    span = max(high - low, 1.0)
    step = next(step for step in (0.5, 1, 2, 5, 10, 20, 50, 100) if span / step <= _MOST_TICKS or step == 100)
    low, high = math.floor(low / step) * step, math.ceil(high / step) * step
    high = high if high > low else low + step
    count = round((high - low) / step)
    return Axis(label, low, high, tuple(Tick(low + at * step, f"{low + at * step:g}") for at in range(count + 1)))


def clock(seconds: float) -> str:
    """As in "0:07", "12:30" or "1:02:30"."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
