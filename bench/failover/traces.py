"""Bandwidth of viewers' links over time: real traces from files, or made-up ones where there are none.

A trace is lines of two numbers, seconds and Mbit/s, as the Pensieve data set has them (Mao, Netravali, Alizadeh:
"Neural Adaptive Video Streaming with Pensieve", SIGCOMM 2017): a value holds until the next line. After
the last, the trace begins again.
"""

from __future__ import annotations

import math
import random
from bisect import bisect_right
from dataclasses import dataclass

from bench.errors import TraceError

# A made-up link: it changes its state each few seconds, and states are a factor apart, as cells and loads are.
_STATES_MBPS = (0.4, 0.8, 1.4, 2.2, 3.2, 4.6, 7.0)
_STAYS_S = (2.0, 15.0)
_MADE_UP_S = 600.0
_MADE_UP = 100


@dataclass(frozen=True)
class Trace:
    """`bits_per_s[i]` holds from `starts_s[i]` on; the first starts at 0."""

    name: str
    starts_s: tuple[float, ...]
    bits_per_s: tuple[float, ...]
    length_s: float

    def at(self, moment_s: float) -> float:
        """Bit/s at a moment."""
        return self.bits_per_s[bisect_right(self.starts_s, moment_s % self.length_s) - 1]

    @property
    def mean_bps(self) -> float:
        ends = (*self.starts_s[1:], self.length_s)
        spans = zip(self.starts_s, ends, self.bits_per_s, strict=True)
        return sum((end - start) * rate for start, end, rate in spans) / self.length_s


def parse_trace(text: str, name: str) -> Trace:
    """Raises TraceError that names the line."""
    starts: list[float] = []
    rates: list[float] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            start, mbps = (float(field) for field in line.split())
        except ValueError:
            raise TraceError(f"{name}, line {number}: found {line!r}, expected seconds and Mbit/s") from None
        if not (math.isfinite(start) and math.isfinite(mbps)) or mbps < 0 or (starts and start <= starts[-1]):
            raise TraceError(f"{name}, line {number}: found {line!r}, expected rising seconds and Mbit/s from 0")
        starts.append(start)
        rates.append(mbps * 1e6)
    if len(starts) < 2 or not any(rates):
        raise TraceError(f"{name}: found {len(starts)} lines, expected at least two and not all of them 0 Mbit/s")
    begin = starts[0]
    from_zero = tuple(start - begin for start in starts)
    # The last value holds as long as the one before it did.
    return Trace(name, from_zero, tuple(rates), from_zero[-1] * 2 - from_zero[-2])


def made_up_traces(seed: int = 1) -> list[Trace]:
    """Links that wander among states; each link around one of its own."""
    draw = random.Random(seed)
    return [_made_up(draw, f"made-up-{number}") for number in range(_MADE_UP)]


def _made_up(draw: random.Random, name: str) -> Trace:
    state, moment = draw.randrange(len(_STATES_MBPS)), 0.0
    starts, rates = [], []
    while moment < _MADE_UP_S:
        starts.append(moment)
        rates.append(_STATES_MBPS[state] * draw.uniform(0.8, 1.25) * 1e6)
        moment += draw.uniform(*_STAYS_S)
        state = min(len(_STATES_MBPS) - 1, max(0, state + draw.choice((-1, 0, 1))))
    return Trace(name, tuple(starts), tuple(rates), moment)
