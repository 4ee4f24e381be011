"""Two ladders compared: bits at equal quality (BD-rate), and what viewers on all kinds of links get of each.

BD-rate is the mean difference of the logarithm of bitrates over the qualities that both curves have (Bjontegaard,
VCEG-M33, 2001), with monotone cubics instead of his polynomial. A curve that is drawn through few points can say
anything in between, so it is computed with two kinds of cubic, and where they disagree neither is to be believed.

Pure.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.interpolate import Akima1DInterpolator, PchipInterpolator

# Fewer points than this make no curve.
FEWEST_POINTS = 5
# The links of a whole audience: bandwidths evenly spread on a logarithmic scale, and the part of it that players use.
_SLOWEST_BPS, _FASTEST_BPS = 0.2e6, 15e6
_LINKS = 512
_USED = 0.8

Numbers = npt.NDArray[np.float64]


class Point(NamedTuple):
    """A rung: bit/s on average, and mean VMAF."""

    bps: float
    vmaf: float


class BdRate(NamedTuple):
    """Of a curve against another, as parts: -0.2 is a fifth of the bits saved. NaN where there is too little to say."""

    pchip: float
    makima: float
    low_vmaf: float  # the range that both curves have
    high_vmaf: float
    points: int  # of the curve that has fewer

    @property
    def is_sound(self) -> bool:
        """Whether both cubics say the same, of enough points."""
        return self.points >= FEWEST_POINTS and abs(self.pchip - self.makima) <= 0.02


class Session(NamedTuple):
    """What viewers get on the mean of all links."""

    vmaf: float
    bps: float


def bd_rate(ours: Sequence[Point], theirs: Sequence[Point]) -> BdRate:
    first, second = rising(ours), rising(theirs)
    low, high = max(first[0].vmaf, second[0].vmaf), min(first[-1].vmaf, second[-1].vmaf)
    points = min(len(first), len(second))
    if points < 2 or low >= high:
        return BdRate(math.nan, math.nan, low, high, points)
    at = np.linspace(low, high, 1001)
    pchip, makima = (
        math.exp(float(np.trapezoid(make(first)(at) - make(second)(at), at)) / (high - low)) - 1
        for make in (_pchip, _makima)
    )
    return BdRate(pchip, makima, low, high, points)


def rising(points: Sequence[Point]) -> list[Point]:
    """In ascending order, without those that cost more than another and look no better."""
    kept: list[Point] = []
    for point in sorted(points):
        if not kept or point.vmaf > kept[-1].vmaf:
            kept.append(point)
    return kept


def session(points: Sequence[Point]) -> Session:
    """Each link gets the best rung that it carries, and the lowest where it carries none."""
    rungs = rising(points)
    links = np.geomspace(_SLOWEST_BPS, _FASTEST_BPS, _LINKS) * _USED
    chosen = np.maximum(0, np.searchsorted([rung.bps for rung in rungs], links, side="right") - 1)
    return Session(float(np.mean([rungs[at].vmaf for at in chosen])), float(np.mean([rungs[at].bps for at in chosen])))


def _pchip(points: Sequence[Point]) -> Callable[[Numbers], Numbers]:
    return PchipInterpolator([p.vmaf for p in points], [math.log(p.bps) for p in points])  # type: ignore[no-any-return]


def _makima(points: Sequence[Point]) -> Callable[[Numbers], Numbers]:
    return Akima1DInterpolator(  # type: ignore[no-any-return]
        [p.vmaf for p in points], [math.log(p.bps) for p in points], method="makima"
    )
