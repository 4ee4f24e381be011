"""What VMAF says of encodes: of each segment and each rung, and how low it may be before a package is refused.

Every fifth frame is scored, which has the mean of all within half a point; of a short piece each counts. A mean alone
hides a shot that was starved, so the harmonic mean, the fifth percentile and the worst frame are kept beside it.

The floor. A rung promises the quality that it was chosen for, on the mean; a chunk of it promises what trials of its
own shot let expect, or, where none of that shot was tried, what they let expect of the worst that was. Less by a margin
is a fault: an encode that is not what its factor gives (pictures out of place, wrong colours, damage; pictures that are
one place off cost a dozen points). The margin is what one viewer in two notices, as the rest of a shot may be harder
than what of it was tried. It grows downwards, for what is a point of VMAF at the top is four at the bottom. Of a chunk
that has all the bits that its rung's cap allows no more is promised than its trials let expect of so many bits.

Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import accumulate, pairwise

import msgspec

# Each so manieth frame is scored, and each of a piece with fewer frames than the second.
_EVERY, _SHORT = 5, 40
# The margin of the floor, in points: at VMAF 100, and what is added for each point below.
_MARGIN, _MARGIN_OF_MISSING = 6.0, 1 / 4
# VBV holds a chunk within its cap; from this share of it on, the cap and not the factor has decided.
_AT_CAP = 0.8


class Scored(msgspec.Struct, frozen=True):
    """A segment of a rung; frames are numbers of the film's, as encoded."""

    first: int
    frames: int
    mean: float
    worst: float  # of the frames that were scored
    worst_frame: int


class RungQuality(msgspec.Struct, frozen=True):
    rung: str
    asked: float  # the mean that it was chosen to have; 0 if nobody asked
    mean: float
    harmonic: float
    fifth_percentile: float
    segments: tuple[Scored, ...]

    @property
    def worst(self) -> Scored:
        """The segment with the worst frame."""
        return min(self.segments, key=lambda one: one.worst)


def every(frames: int) -> int:
    """Of a piece of so many frames each how manieth is scored."""
    return 1 if frames < _SHORT else _EVERY


def counted(scores: Sequence[float], frames: int) -> list[float]:
    """The scores of a piece's frames. libvmaf sometimes logs a frame more than there is.

    The first frame has the score of the next: with none before it VMAF takes it for a still, and scores it by up to 14
    points lower than within the film.
    """
    found = list(scores[: how_many(frames)])
    return [*found[1:2], *found[1:]] if len(found) > 1 else found


def how_many(frames: int) -> int:
    """The scored frames of a piece of so many."""
    return -(-frames // every(frames))


def mean(scores: Sequence[float]) -> float:
    return sum(scores) / len(scores)


def harmonic(scores: Sequence[float]) -> float:
    """The harmonic mean, of scores moved up by one for those that are 0, as libvmaf pools."""
    return len(scores) / sum(1 / (score + 1) for score in scores) - 1


def fifth_percentile(scores: Sequence[float]) -> float:
    return sorted(scores)[len(scores) // 20]


def segments(first: int, frames: Sequence[int], scores: Sequence[float]) -> tuple[Scored, ...]:
    """What the scores of a chunk say of its segments; the chunk begins at `first`.

    A segment that is so short that none of its frames was scored has the score of the frame before it.
    """
    step = every(sum(frames))
    found = []
    for start, end in pairwise(accumulate(frames, initial=0)):
        own = range(-(-start // step), -(-end // step)) or range(start // step, start // step + 1)
        worst = min(own, key=lambda at: scores[at])
        average = mean([scores[at] for at in own])
        frame = min(max(worst * step, start), end - 1)
        found.append(Scored(first + start, end - start, round(average, 2), round(scores[worst], 2), first + frame))
    return tuple(found)


def pooled(rung: str, asked: float, chunks: Iterable[tuple[Sequence[Scored], Sequence[float]]]) -> RungQuality:
    """A whole rung, from its chunks' segments and scores. Each segment counts by its frames."""
    parts: list[Scored] = []
    scores: list[float] = []
    for found, own in chunks:
        parts += found
        scores += own
    frames = sum(one.frames for one in parts)
    return RungQuality(
        rung,
        asked,
        round(sum(one.mean * one.frames for one in parts) / frames, 2),
        round(harmonic(scores), 2),
        round(fifth_percentile(scores), 2),
        tuple(parts),
    )


def floor(expected: float) -> float:
    """The least that a chunk may have of which so much was expected."""
    return max(0.0, expected - _MARGIN - (100 - expected) * _MARGIN_OF_MISSING)


def is_at_cap(bits: float, seconds: float, maxrate: int) -> bool:
    return maxrate > 0 and bits >= _AT_CAP * maxrate * seconds
