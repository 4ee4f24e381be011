"""The title's own ladder: for each step of quality, the size and rate factor that give it for the fewest bits.

At every bitrate one size looks best: a small one with few artefacts beats a large one with many, until there are bits
enough. The best points of all sizes are the convex hull (De Cock et al., "Complexity-based consistent-quality encoding
in the cloud", 2016), and rungs stand on it at even steps of VMAF, measured at the size that the film is shown at: from
the quality that nobody tells from the film's own down to what the slowest link can carry.

Pure.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from encoder.per_title.curves import Piece, Point, whole
from encoder.video.codec import Codec

# At 93 viewers tell no encode from its film, or are not annoyed (R. Rassool, "VMAF reproducibility: validating a
# perceptual practical video quality metric", 2017). The last points cost the most bits.
TOP_VMAF = 95.0
# Six points are one just noticeable difference (J. Ozer, "Finding the just noticeable difference with Netflix VMAF",
# 2017). Steps of eight cost less storage than those of six.
STEP_VMAF = 8.0
# And neighbours are at most a factor of two apart, on the mean ("should be a factor of 1.5 to 2", as Apple's authoring
# guide has it): a link between two of them gets the lower one.
STEP_OCTAVES = 1.0
# A rung that takes so little more than the slowest link carries needs none below it, in octaves.
_NO_STEP = 0.2
# Apple's lowest rung: what the slowest link that a film is watched on can carry.
LOWEST_BPS = 145_000
# Worse than this is no picture of the film.
_WORST_VMAF = 20.0
_ROUNDS = 30  # halvings: a millionth of the range


class Choice(NamedTuple):
    """A rung to be made: `bits` a frame and VMAF are what trials let expect."""

    height: int
    crf: float
    bits: float
    vmaf: float


def choose_rungs(
    pieces: Sequence[Piece],
    heights: Sequence[int],
    frame_rate: float,
    highest_bps: float,
    codec: Codec,
    least: int = 1,
) -> list[Choice]:
    """The ladder, best first; at least one rung, and `least` if the film has that many.

    `pieces` were tried with `codec`. `heights` are those that there may be, highest first; no rung has more than
    `highest_bps`, however hard the film is.
    """
    top = _cheapest(pieces, heights, TOP_VMAF, codec) or _best(pieces, heights[0], codec)
    if top.bits * frame_rate > highest_bps:
        most = _carried(pieces, heights, highest_bps / frame_rate, top, codec)
        top = _cheapest(pieces, heights, most, codec) or top
    lowest = _lowest(pieces, heights, frame_rate, top, codec)
    bottom = _cheapest(pieces, heights, lowest, codec)
    steps = max(_steps(top, bottom), least - 1) if bottom and bottom.bits < top.bits else 0
    rungs = [top]
    for step in range(1, steps + 1):
        # Where two sizes are as good as each other a trial's noise would put the larger one below.
        smaller = [height for height in heights if height <= rungs[-1].height]
        rung = _cheapest(pieces, smaller, top.vmaf - (top.vmaf - lowest) * step / steps, codec)
        if rung is not None:
            rungs.append(rung)
    return rungs


def crf_for(pieces: Sequence[Piece], height: int, vmaf: float, codec: Codec) -> float | None:
    """The rate factor that gives this mean VMAF; None if none that is known does."""
    low, high = codec.lowest_crf, codec.highest_crf
    if not whole(pieces, height, high).vmaf <= vmaf <= whole(pieces, height, low).vmaf:
        return None
    return _bisect(lambda crf: whole(pieces, height, crf).vmaf >= vmaf, low, high)


def _cheapest(pieces: Sequence[Piece], heights: Sequence[int], vmaf: float, codec: Codec) -> Choice | None:
    """The size that has this quality for the fewest bits."""
    found = []
    for height in heights:
        crf = crf_for(pieces, height, vmaf, codec)
        if crf is not None:
            found.append(Choice(height, crf, *whole(pieces, height, crf)))
    return min(found, key=lambda choice: choice.bits, default=None)


def _best(pieces: Sequence[Piece], height: int, codec: Codec) -> Choice:
    """For a film that the best quality cannot be had of: as good as is known."""
    point: Point = whole(pieces, height, codec.lowest_crf)
    crf = codec.lowest_crf if point.vmaf < TOP_VMAF else codec.highest_crf
    return Choice(height, crf, *whole(pieces, height, crf))


def _steps(top: Choice, bottom: Choice) -> int:
    """How many steps lead from one to the other."""
    octaves = math.log2(top.bits / bottom.bits) / STEP_OCTAVES
    return max(round((top.vmaf - bottom.vmaf) / STEP_VMAF), math.ceil(octaves - _NO_STEP))


def _lowest(pieces: Sequence[Piece], heights: Sequence[int], frame_rate: float, top: Choice, codec: Codec) -> float:
    """The VMAF that the slowest link can carry."""
    most = LOWEST_BPS / frame_rate
    return top.vmaf if top.bits <= most else _carried(pieces, heights, most, top, codec)


def _carried(pieces: Sequence[Piece], heights: Sequence[int], most_bits: float, top: Choice, codec: Codec) -> float:
    """The best VMAF for at most so many bits a frame, between the worst that there may be and the top's."""

    def is_carried(vmaf: float) -> bool:
        choice = _cheapest(pieces, heights, vmaf, codec)
        return choice is None or choice.bits <= most_bits

    return _bisect(is_carried, _WORST_VMAF, top.vmaf)


def _bisect(holds: Callable[[float], bool], low: float, high: float) -> float:
    """Where a claim that holds at `low` and not at `high` stops to hold."""
    for _ in range(_ROUNDS):
        middle = (low + high) / 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low
