"""Each shot its own rate factor: the bits of a rung go where they are seen most.

At equal slope no bit would do more good in another shot (Lagrange; Katsavounidis's "Dynamic Optimizer", 2018). What is
minimised is the square of what is missing to perfection, for a mean of VMAF alone starves the hardest shots: they give
back the most bits for each point that they lose. And none may become worse than the worst was at one rate factor for
all, for that is what a viewer remembers.

Pure.
"""

from __future__ import annotations

from collections.abc import Sequence

from encoder.per_title.curves import BEST_VMAF, Piece, whole
from encoder.per_title.hull import crf_for
from encoder.video.codec import Codec

# How far a shot's rate factor may be from the rung's, as a part of the codec's range: further, and neighbours begin to
# look like different films.
_FURTHEST = 1 / 3
_ROUNDS = 40


def allot(pieces: Sequence[Piece], height: int, vmaf: float, codec: Codec) -> tuple[float, ...] | None:
    """The rate factor of each piece so that all together have this mean VMAF; None if no single one gives it."""
    even = crf_for(pieces, height, vmaf, codec)
    if even is None:
        return None
    worst = min(piece.at(height, even).vmaf for piece in pieces)
    offered = [_offer(piece, height, even, worst, codec) for piece in pieces]
    low, high = 1e-6, 1e9  # bits that a squared point of VMAF of a frame is worth: none, and any
    for _ in range(_ROUNDS):
        worth = (low * high) ** 0.5
        chosen = tuple(_choose(one, worth) for one in offered)
        if whole(pieces, height, chosen).vmaf < vmaf:
            low = worth
        else:
            high = worth
    return tuple(_choose(one, high) for one in offered)


_Offer = list[tuple[float, float, float]]  # rate factor, bits a frame, square of what is missing


def _offer(piece: Piece, height: int, even: float, worst: float, codec: Codec) -> _Offer:
    """What the piece may be made at: none worse than the worst at the even factor."""
    furthest = (codec.highest_crf - codec.lowest_crf) * _FURTHEST
    low, high = max(codec.lowest_crf, even - furthest), min(codec.highest_crf, even + furthest)
    steps = int((high - low) / codec.crf_step)
    offered = []
    for crf in (low + step * codec.crf_step for step in range(steps + 1)):
        point = piece.at(height, crf)
        if point.vmaf >= worst or crf <= even:
            offered.append((crf, point.bits, (BEST_VMAF - point.vmaf) ** 2))
    return offered


def _choose(offer: _Offer, worth: float) -> float:
    return min(offer, key=lambda one: one[1] + worth * one[2])[0]
