"""What a piece of film costs and looks like at any size and quality, from a few trial encodes of it.

A trial says: at this height and this constant rate factor the piece takes so many bits and has this VMAF. Two rate
factors are enough, for both are nearly straight lines over the factor if they are drawn right: bits as their logarithm;
VMAF, which ends at 0 and at 100, as the logarithm of the odds of a point being missing, which bends a little and always
the same way. What is left is interpolated by monotone cubics (Fritsch and Carlson, 1980), first over the rate factor at
each height that was tried, then over the logarithm of the height; beyond them they go on straight.

Pure.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

# VMAF's scale.
BEST_VMAF = 100.0
# Odds are counted from a little beyond both ends of the scale, or their logarithm would have none.
_BEYOND = 1.0
# How far the line of the odds hangs through between two trial factors, of their logarithm. Measured: 0.07 to 0.12 in
# half of 17 segments of eight unlike clips (film, live, grain, text, darkness, pans) at five heights, with x264's
# medium between 21 and 33.
_SAG = 0.1


class Trial(NamedTuple):
    """One encode of one piece."""

    height: int
    crf: float
    bits: float  # a frame
    vmaf: float


class Point(NamedTuple):
    """What a piece has at some height and rate factor."""

    bits: float  # a frame
    vmaf: float


class Cubic:
    """A monotone cubic through points, straight beyond them; `xs` ascend."""

    __slots__ = ("_slopes", "_xs", "_ys")

    def __init__(self, xs: Sequence[float], ys: Sequence[float]) -> None:
        self._xs, self._ys = tuple(xs), tuple(ys)
        self._slopes = _slopes(self._xs, self._ys)

    def at(self, x: float) -> float:
        xs, ys, slopes = self._xs, self._ys, self._slopes
        if len(xs) == 1:
            return ys[0]
        if x <= xs[0]:
            return ys[0] + slopes[0] * (x - xs[0])
        if x >= xs[-1]:
            return ys[-1] + slopes[-1] * (x - xs[-1])
        at = bisect_right(xs, x) - 1
        width = xs[at + 1] - xs[at]
        t = (x - xs[at]) / width
        return (
            (1 + 2 * t) * (1 - t) ** 2 * ys[at]
            + t * (1 - t) ** 2 * width * slopes[at]
            + t * t * (3 - 2 * t) * ys[at + 1]
            + t * t * (t - 1) * width * slopes[at + 1]
        )


def _slopes(xs: Sequence[float], ys: Sequence[float]) -> tuple[float, ...]:
    """At each point: the weighted harmonic mean of the slopes beside it, none where they differ in sign."""
    if len(xs) == 1:
        return (0.0,)
    widths = [right - left for left, right in pairwise(xs)]
    rises = [(above - below) / width for (below, above), width in zip(pairwise(ys), widths, strict=True)]
    inner = [_inner(*beside, *slopes) for beside, slopes in zip(pairwise(widths), pairwise(rises), strict=True)]
    return (rises[0], *inner, rises[-1])


def _inner(left: float, right: float, before: float, after: float) -> float:
    if before * after <= 0:
        return 0.0
    first, second = 2 * right + left, right + 2 * left
    return (first + second) / (first / before + second / after)


@dataclass(frozen=True)
class Piece:
    """A piece of film: how many frames it stands for, and its trials.

    `bend` is how much a curve of the odds bends, of their logarithm for the square of a step of the rate factor.
    """

    frames: int
    trials: tuple[Trial, ...]
    bend: float = 0.0

    def at(self, height: int, crf: float) -> Point:
        bits, odds = _surface(self.trials, height, self.bend)
        return Point(2.0 ** bits.at(crf), vmaf_of(math.exp(odds.at(crf) + self.bend * crf * crf)))


def odds_of(vmaf: float) -> float:
    """The points that are missing to perfection by those that are there."""
    return (BEST_VMAF + _BEYOND - vmaf) / (vmaf + _BEYOND)


def vmaf_of(odds: float) -> float:
    vmaf = (BEST_VMAF + _BEYOND - odds * _BEYOND) / (1 + odds)
    return min(BEST_VMAF, max(0.0, vmaf))


def bend_of(lowest_crf: float, highest_crf: float) -> float:
    """The bend of curves through trials at these rate factors, whatever scale they are of."""
    return 4 * _SAG / (highest_crf - lowest_crf) ** 2


@lru_cache(maxsize=65536)
def _surface(trials: tuple[Trial, ...], height: int, bend: float) -> tuple[Cubic, Cubic]:
    """Logarithm of bits, and of the odds but for their bend, over the rate factor, at one height."""
    heights = sorted({trial.height for trial in trials})
    columns = [_column([trial for trial in trials if trial.height == tried], bend) for tried in heights]
    if height in heights:
        return columns[heights.index(height)]
    crfs = sorted({trial.crf for trial in trials})
    logs = [math.log2(tried) for tried in heights]
    rows = [
        [Cubic(logs, [column[what].at(crf) for column in columns]).at(math.log2(height)) for crf in crfs]
        for what in (0, 1)
    ]
    return Cubic(crfs, rows[0]), Cubic(crfs, rows[1])


def _column(trials: Iterable[Trial], bend: float) -> tuple[Cubic, Cubic]:
    ordered = sorted(trials, key=lambda trial: trial.crf)
    crfs = [trial.crf for trial in ordered]
    return (
        Cubic(crfs, [math.log2(max(1.0, trial.bits)) for trial in ordered]),
        Cubic(crfs, [math.log(odds_of(trial.vmaf)) - bend * trial.crf**2 for trial in ordered]),
    )


def whole(pieces: Sequence[Piece], height: int, crfs: float | Sequence[float]) -> Point:
    """All pieces one after the other, at one rate factor or each at its own: bits a frame, and mean VMAF."""
    each = [crfs] * len(pieces) if isinstance(crfs, int | float) else crfs
    points = [piece.at(height, crf) for piece, crf in zip(pieces, each, strict=True)]
    frames = sum(piece.frames for piece in pieces)
    return Point(
        sum(point.bits * piece.frames for point, piece in zip(points, pieces, strict=True)) / frames,
        sum(point.vmaf * piece.frames for point, piece in zip(points, pieces, strict=True)) / frames,
    )
