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
# Seconds of a segment that are tried at most: what a keyframe costs is told apart from the rest (see `bits_of`). Of a
# film of which that would be more than half, trials would cost more than what is encoded in the end: fewer then, but
# not so few that the encoder has nothing to look ahead at.
_LONGEST_S, _SHORTEST_S = 2.0, 1.0
_MOST_OF_FILM = 0.5
# More shots of a film than these tell nothing new of its ladder.
_MOST = 48


class Sample(NamedTuple):
    """The beginning of a segment, which is tried; how many frames that segment has, and how many it stands for."""

    shot: int
    piece: Chunk
    segment: int
    frames: int


def sample(plan: Plan) -> list[Sample]:
    """The middle segment of each shot; of evenly many shots of a long film."""
    chosen = _evenly([(shot, (len(segments) - 1) // 2) for shot, segments in enumerate(plan.shots)], _MOST)
    firsts = _first_frames(plan)
    weights = _weights(plan, chosen)
    affordable_s = _MOST_OF_FILM * float(plan.duration) / len(chosen)
    longest = max(1, round(min(_LONGEST_S, max(_SHORTEST_S, affordable_s)) * plan.frame_rate))
    samples = []
    for number, ((shot, at), weight) in enumerate(zip(chosen, weights, strict=True)):
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
    """The rate factor of every shot: of those tried what they were allotted, else the even one."""
    allotted = {one.shot: factor for one, factor in zip(samples, factors or (), strict=False)}
    return tuple(round(allotted.get(shot, even), 2) for shot in range(len(plan.shots)))


def _evenly(offered: Sequence[tuple[int, int]], most: int) -> list[tuple[int, int]]:
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
