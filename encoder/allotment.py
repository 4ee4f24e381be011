"""Each shot its own rate factor: the bits of a rung go where they are seen most.

At equal slope no bit would do more good in another shot (Lagrange; Katsavounidis's "Dynamic Optimizer", 2018). What is
minimised is the square of what is missing to perfection, for a mean of VMAF alone starves the hardest shots: they give
back the most bits for each point that they lose. And none may become worse than the worst was at one rate factor for
all, for that is what a viewer remembers.

Pure.
"""

from __future__ import annotations

from collections.abc import Sequence

from encoder.curves import BEST_VMAF, CRF_STEP, Piece, whole
from encoder.hull import CRFS, crf_for

# How far a shot's rate factor may be from the rung's: further, and neighbours begin to look like different films.
_FURTHEST = 8.0
_ROUNDS = 40


def allot(pieces: Sequence[Piece], height: int, vmaf: float) -> tuple[float, ...] | None:
    """The rate factor of each piece so that all together have this mean VMAF; None if no single one gives it."""
    even = crf_for(pieces, height, vmaf)
    if even is None:
        return None
    worst = min(piece.at(height, even).vmaf for piece in pieces)
    offered = [_offer(piece, height, even, worst) for piece in pieces]
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


def _offer(piece: Piece, height: int, even: float, worst: float) -> _Offer:
    """What the piece may be made at: none worse than the worst at the even factor."""
    low, high = max(CRFS[0], even - _FURTHEST), min(CRFS[1], even + _FURTHEST)
    steps = int((high - low) / CRF_STEP)
    offered = []
    for crf in (low + step * CRF_STEP for step in range(steps + 1)):
        point = piece.at(height, crf)
        if point.vmaf >= worst or crf <= even:
            offered.append((crf, point.bits, (BEST_VMAF - point.vmaf) ** 2))
    return offered


def _choose(offer: _Offer, worth: float) -> float:
    return min(offer, key=lambda one: one[1] + worth * one[2])[0]
