"""Which pieces of a film are encoded on trial, at which sizes, and what follows for all its shots.

Pure.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from itertools import accumulate
from typing import NamedTuple

from encoder.video.chunks import Chunk, Plan

# Trial sizes as parts of the film's. Interpolating between these misses the hull by less than a percent of the bits.
_PARTS = (1.0, 2 / 3, 1 / 3)
# Seconds of a segment that are tried at most: what a keyframe costs is told apart from the rest (see `bits_of`).
_LONGEST_S = 2
# More shots of a film than these tell nothing new of its ladder; of fewer, further segments are tried.
_MOST, _FEWEST = 48, 3


class Sample(NamedTuple):
    """The beginning of a segment, which is tried; how many frames that segment has, and how many it stands for."""

    shot: int
    piece: Chunk
    segment: int
    frames: int


def sample(plan: Plan) -> list[Sample]:
    """The middle segment of each shot; of evenly many shots of a long film, of more segments of one with few shots."""
    offered = [
        (shot, segment, len(segments))
        for shot, segments in enumerate(plan.shots)
        for segment in _middle_first(segments)
    ]
    usual = [one for one in offered if one[1] == _middle_first(plan.shots[one[0]])[0]]
    chosen = _evenly(usual, _MOST) if len(usual) >= _FEWEST else _evenly(offered, _FEWEST)
    firsts = _first_frames(plan)
    chosen.sort()
    weights = _weights(plan, [(shot, segment) for shot, segment, _ in chosen])
    longest = max(1, round(_LONGEST_S * plan.frame_rate))
    samples = []
    for number, ((shot, at, _), weight) in enumerate(zip(chosen, weights, strict=True)):
        frames = plan.shots[shot][at]
        piece = Chunk(number, firsts[shot][at], (min(frames, longest),), shot)
        samples.append(Sample(shot, piece, frames, weight))
    return samples


def bits_of(sizes: Sequence[int], segment: int) -> float:
    """Bits a frame of a segment of so many frames, from the bytes of each picture of its beginning, a keyframe first.

    Pictures after the tried ones take what those after the keyframe take.
    """
    key, others = sizes[0], sizes[1:]
    after = sum(others) / len(others) if others else key
    return 8 * (key + after * (segment - 1)) / segment


def trial_sizes(sizes: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Those of `sizes` (the film's own first) that are nearest to the parts that are tried."""
    largest = sizes[0][1]
    return list(dict.fromkeys(min(sizes, key=lambda size: abs(math.log(size[1] / largest / part))) for part in _PARTS))


def names(heights: Sequence[int]) -> list[str]:
    """A name for each rung: by its height, and a letter where several have the same."""
    seen: dict[int, int] = {}
    found = []
    for height in heights:
        before = seen.get(height, 0)
        found.append(f"v{height}" + (chr(ord("a") + before) if before else ""))
        seen[height] = before + 1
    return found


def for_all_shots(
    plan: Plan, samples: Sequence[Sample], even: float, factors: Sequence[float] | None
) -> tuple[float, ...]:
    """The rate factor of every shot: of those tried the mean of what their pieces were allotted, else the even one."""
    allotted: dict[int, list[float]] = {}
    for one, factor in zip(samples, factors or (), strict=False):
        allotted.setdefault(one.shot, []).append(factor)
    means = {shot: sum(found) / len(found) for shot, found in allotted.items()}
    return tuple(round(means.get(shot, even), 2) for shot in range(len(plan.shots)))


def _middle_first(segments: Sequence[int]) -> list[int]:
    """The segments of a shot, from the middle outwards."""
    middle = (len(segments) - 1) / 2
    return sorted(range(len(segments)), key=lambda at: (abs(at - middle), at))


def _evenly(offered: Sequence[tuple[int, int, int]], most: int) -> list[tuple[int, int, int]]:
    if len(offered) <= most:
        return list(offered)
    return [offered[int(at * len(offered) / most + len(offered) / most / 2)] for at in range(most)]


def _first_frames(plan: Plan) -> list[list[int]]:
    starts = accumulate(map(sum, plan.shots), initial=0)
    return [list(accumulate(shot[:-1], initial=start)) for shot, start in zip(plan.shots, starts, strict=False)]


def _weights(plan: Plan, chosen: Sequence[tuple[int, int]]) -> list[int]:
    """Each segment of the film counts for the nearest chosen one, of its own shot if there is any."""
    firsts = _first_frames(plan)
    places = [Fraction(firsts[shot][segment]) + Fraction(plan.shots[shot][segment], 2) for shot, segment in chosen]
    weights = [0] * len(chosen)
    for shot, segments in enumerate(plan.shots):
        own = [at for at, (of, _) in enumerate(chosen) if of == shot] or range(len(chosen))
        for segment, frames in enumerate(segments):
            place = firsts[shot][segment] + Fraction(frames, 2)
            weights[min(own, key=lambda at: abs(places[at] - place))] += frames
    return weights
