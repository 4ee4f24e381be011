"""The title's own ladder: for each step of quality, the size and rate factor that give it for the fewest bits.

At every bitrate one size looks best: a small one with few artefacts beats a large one with many, until there are bits
enough. The best points of all sizes are the convex hull (De Cock et al., "Complexity-based consistent-quality encoding
in the cloud", 2016), and rungs stand on it at even steps of VMAF, measured at the size that the film is shown at: from
the quality that nobody tells from the film's own down to what the slowest link can carry.

Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from encoder.curves import Piece, Point, whole

# Between 93 and 96 viewers cannot tell an encode from its film (Rassool 2017); the last points cost the most bits.
TOP_VMAF = 95.0
# Six points are one just noticeable difference; at steps of eight a ladder costs a quarter less storage than at six and
# its viewers see three quarters of a point less.
STEP_VMAF = 8.0
# Apple's lowest rung: what the slowest link that a film is watched on can carry.
LOWEST_BPS = 145_000
# Worse than this is no picture of the film.
_WORST_VMAF = 20.0
# Trials bound what is known; a little beyond them may be guessed.
CRFS = (14.0, 38.0)
_ROUNDS = 30  # halvings: a millionth of the range


class Choice(NamedTuple):
    """A rung to be made: `bits` a frame and VMAF are what trials let expect."""

    height: int
    crf: float
    bits: float
    vmaf: float


def choose_rungs(
    pieces: Sequence[Piece], heights: Sequence[int], frame_rate: float, highest_bps: float
) -> list[Choice]:
    """The ladder, best first; at least one rung.

    `heights` are those that there may be, highest first; no rung has more than `highest_bps`, however hard the film is.
    """
    top = _cheapest(pieces, heights, TOP_VMAF) or _best(pieces, heights[0])
    if top.bits * frame_rate > highest_bps:
        top = _cheapest(pieces, heights, _carried(pieces, heights, highest_bps / frame_rate, top)) or top
    lowest = _lowest(pieces, heights, frame_rate, top)
    steps = max(0, round((top.vmaf - lowest) / STEP_VMAF))
    rungs = [top]
    for step in range(1, steps + 1):
        # Where two sizes are as good as each other a trial's noise would put the larger one below.
        smaller = [height for height in heights if height <= rungs[-1].height]
        rung = _cheapest(pieces, smaller, top.vmaf - (top.vmaf - lowest) * step / steps)
        if rung is not None:
            rungs.append(rung)
    return rungs


def crf_for(pieces: Sequence[Piece], height: int, vmaf: float) -> float | None:
    """The rate factor that gives this mean VMAF; None if none that is known does."""
    low, high = CRFS
    if not whole(pieces, height, high).vmaf <= vmaf <= whole(pieces, height, low).vmaf:
        return None
    return _bisect(lambda crf: whole(pieces, height, crf).vmaf >= vmaf, low, high)


def _cheapest(pieces: Sequence[Piece], heights: Sequence[int], vmaf: float) -> Choice | None:
    """The size that has this quality for the fewest bits."""
    found = []
    for height in heights:
        crf = crf_for(pieces, height, vmaf)
        if crf is not None:
            found.append(Choice(height, crf, *whole(pieces, height, crf)))
    return min(found, key=lambda choice: choice.bits, default=None)


def _best(pieces: Sequence[Piece], height: int) -> Choice:
    """For a film that the best quality cannot be had of: as good as is known."""
    point: Point = whole(pieces, height, CRFS[0])
    crf = CRFS[0] if point.vmaf < TOP_VMAF else CRFS[1]
    return Choice(height, crf, *whole(pieces, height, crf))


def _lowest(pieces: Sequence[Piece], heights: Sequence[int], frame_rate: float, top: Choice) -> float:
    """The VMAF that the slowest link can carry."""
    most = LOWEST_BPS / frame_rate
    return top.vmaf if top.bits <= most else _carried(pieces, heights, most, top)


def _carried(pieces: Sequence[Piece], heights: Sequence[int], most_bits: float, top: Choice) -> float:
    """The best VMAF for at most so many bits a frame, between the worst that there may be and the top's."""

    def is_carried(vmaf: float) -> bool:
        choice = _cheapest(pieces, heights, vmaf)
        return choice is None or choice.bits <= most_bits

    return _bisect(is_carried, _WORST_VMAF, top.vmaf)


def _bisect(holds: Callable[[float], bool], low: float, high: float) -> float:
    """Where a claim that holds at `low` and not at `high` stops to hold."""
    for _ in range(_ROUNDS):
        middle = (low + high) / 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low
