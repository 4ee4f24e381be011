"""What the fixed ladder would have been for this film, told from the trial encodes, and what ours saves beside it.

An estimate: nobody made that ladder. Its rungs are those of `--ladder fixed` (same encoder, same preset, rate factor
and caps of encoder/video/ladder.py); the trials say what each takes and looks like, also at sizes between theirs.

Pure.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from encoder.per_title.curves import Piece, whole
from encoder.video.ladder import Rung

_ROUNDS = 30  # halvings: a millionth of the range
_WORST_FACTOR = 51.0  # x264's scale ends there


class Point(NamedTuple):
    """A rung: bit/s on average, and mean VMAF."""

    name: str
    bps: float
    vmaf: float


class Saving(NamedTuple):
    """Ours beside the fixed ladder, as parts: -0.2 is a fifth less."""

    storage: float
    at_equal_quality: float  # NaN where the two share no quality
    low_vmaf: float
    high_vmaf: float


def fixed_points(pieces: Sequence[Piece], rungs: Sequence[Rung], frame_rate: float) -> tuple[Point, ...]:
    """What the fixed ladder's rungs would be; none without trials."""
    return tuple(_point(pieces, rung, frame_rate) for rung in rungs) if pieces else ()


def saving(ours: Sequence[Point], fixed: Sequence[Point]) -> Saving | None:
    """None where there is nothing to compare."""
    if not ours or not fixed:
        return None
    storage = sum(point.bps for point in ours) / sum(point.bps for point in fixed) - 1
    mine, theirs = _rising(ours), _rising(fixed)
    low, high = max(mine[0].vmaf, theirs[0].vmaf), min(mine[-1].vmaf, theirs[-1].vmaf)
    if low >= high or min(len(mine), len(theirs)) < 2:
        return Saving(storage, math.nan, low, high)
    steps = 100
    at = [low + (high - low) * step / steps for step in range(steps + 1)]
    difference = sum(_log_bps(mine, vmaf) - _log_bps(theirs, vmaf) for vmaf in at) / len(at)
    return Saving(storage, math.exp(difference) - 1, low, high)


def _point(pieces: Sequence[Piece], rung: Rung, frame_rate: float) -> Point:
    """At the rung's factor, or at the one that its cap allows."""
    low, high = rung.crf, _WORST_FACTOR
    if rung.maxrate and whole(pieces, rung.height, low).bits * frame_rate > rung.maxrate:
        for _ in range(_ROUNDS):
            middle = (low + high) / 2
            is_over = whole(pieces, rung.height, middle).bits * frame_rate > rung.maxrate
            low, high = (middle, high) if is_over else (low, middle)
    found = whole(pieces, rung.height, low)
    return Point(rung.name, found.bits * frame_rate, found.vmaf)


def _log_bps(rising: Sequence[Point], vmaf: float) -> float:
    """The logarithm of the bitrate of this quality, straight between the rungs beside it."""
    for below, above in pairwise(rising):
        if vmaf <= above.vmaf:
            share = (vmaf - below.vmaf) / (above.vmaf - below.vmaf)
            return math.log(below.bps) * (1 - share) + math.log(above.bps) * share
    return math.log(rising[-1].bps)


def _rising(points: Sequence[Point]) -> list[Point]:
    """In ascending order, without those that cost more than another and look no better."""
    kept: list[Point] = []
    for point in sorted(points, key=lambda point: (point.bps, point.vmaf)):
        if not kept or point.vmaf > kept[-1].vmaf:
            kept.append(point)
    return kept
