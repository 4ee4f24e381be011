"""Rungs brought to the quality that they were chosen for, while they are encoded and after.

Trials of a sample let expect what the film has; the film itself is scored as it is encoded, in waves of shots from all
over it. The odds of a point being missing change with a shot's factor as in its trials, in proportion, and what shots
that were scored have more or less than expected, others are expected to have as well: so the factors of each wave are
moved, all alike, such that the mean of the film becomes what was asked. That costs no encode. What is still off at the
end is put right in as few shots as can bear it, those first that are farthest from what was expected of them.

Several waves are on their way at once, or workers would wait for the last of each. Which waves the factors of one
follow from depends on the film alone, not on how many workers there are or which is the fastest: so its bytes do too.

Beside the mean, a shot may be much worse than its trials let expect, or, if little or nothing of it was tried, than the
worst that was: it gets a lower factor.

Pure.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise

from encoder.per_title import quality
from encoder.per_title.curves import Piece, odds_of, vmaf_of, whole
from encoder.per_title.trials import Sample
from encoder.video.chunks import Chunk
from encoder.video.ladder import Rung

# What a rung's mean may be off, in points: nobody sees half a point, and further encodes cost as much as the first.
_TOLERANCE = 0.4
# How many points a shot may be moved to make up for others: a third of what anybody notices.
_BEARABLE = 2.0
# How far the factors of a wave are moved at most, as a part of the codec's range: the shots before it may be freaks.
_FURTHEST = 1 / 6
# Factors are moved in such steps: a tenth of a point of VMAF at most.
_STEP = 0.02
# More would tell little more each.
_MOST_WAVES = 24
# One in so many waves is on its way at once: more keep more workers busy, and know less of the film. Of three shots
# each waits for the one before: its chunk alone keeps two cores busy, and what is off costs a further encode.
_AHEAD = 3
# What is off is made up for in so much of the film, or the last shots would pay for all.
_LEAST_LEFT = 1 / 6
# Whole numbers times it, without what is before the point, lie evenly between 0 and 1 however many there are.
_GOLDEN = (math.sqrt(5) - 1) / 2
_ROUNDS = 20
# A shot of which less than this was tried is not known by its trials.
_KNOWN = 0.5


@dataclass(frozen=True)
class Encoded:
    """A chunk of a rung, or several of one shot: as encoded, and scored."""

    shot: int | None
    frames: int
    crf: float
    vmaf: float
    bits: float  # a frame
    is_capped: bool  # all that the rung's cap allows


@dataclass(frozen=True)
class Expected:
    """What the trials of a film let expect, of one codec."""

    pieces: tuple[Piece, ...]
    samples: tuple[Sample, ...]
    shots: tuple[tuple[int, ...], ...]  # as the plan has them

    @cached_property
    def _of_shot(self) -> Mapping[int, tuple[Piece, ...]]:
        found: dict[int, list[Piece]] = {}
        for sample, piece in zip(self.samples, self.pieces, strict=True):
            found.setdefault(sample.shot, []).append(piece)
        return {shot: tuple(own) for shot, own in found.items()}

    @cached_property
    def _of_film(self) -> dict[tuple[int, float], float]:
        return {}

    @cached_property
    def _known(self) -> frozenset[int]:
        tried: dict[int, int] = {}
        for sample in self.samples:
            tried[sample.shot] = tried.get(sample.shot, 0) + sample.piece.frames
        return frozenset(shot for shot, frames in tried.items() if frames >= _KNOWN * sum(self.shots[shot]))

    def is_known(self, shot: int | None) -> bool:
        return shot in self._known

    def vmaf(self, rung: Rung, shot: int | None, crf: float) -> float:
        """Of a shot at a factor; of the whole film, if none of it was tried or a chunk is of several."""
        pieces = None if shot is None else self._of_shot.get(shot)
        if pieces is not None:
            return whole(pieces, rung.height, crf).vmaf
        # A film has thousands of shots that were not tried, all at one factor.
        if (rung.height, crf) not in self._of_film:
            self._of_film[rung.height, crf] = whole(self.pieces, rung.height, crf).vmaf
        return self._of_film[rung.height, crf]

    def least(self, rung: Rung, one: Encoded) -> float:
        """What a chunk must have, of a rung with the factors that were first chosen; 0 if there is no telling.

        A known shot has what its trials let expect of its factor, or of its bits where a cap kept it from that.
        """
        if one.shot is None:
            return quality.floor(rung.vmaf)
        if self.is_known(one.shot):
            asked = rung.crf_of(one.shot)
            crf = self._crf_of_bits(rung, one.shot, one.bits) if one.is_capped else asked
            return quality.floor(self.vmaf(rung, one.shot, max(asked, crf)))
        # It may be harder than all that was tried: then it is as good as its size shows it, or its cap carries.
        if one.is_capped or one.crf <= rung.codec.lowest_crf:
            return 0.0
        return quality.floor(min(self.vmaf(rung, tried, rung.crf_of(tried)) for tried in self._of_shot))

    def _crf_of_bits(self, rung: Rung, shot: int, bits: float) -> float:
        """The factor at which a shot would have so many bits a frame."""
        pieces, codec = self._of_shot[shot], rung.codec
        return _highest(lambda crf: whole(pieces, rung.height, crf).bits >= bits, codec.lowest_crf, codec.highest_crf)


def waves(chunks: Sequence[Chunk]) -> list[list[Chunk]]:
    """The chunks in the order that they are encoded in: whole shots, the first of them from all over the film."""
    shots: dict[int | None, list[Chunk]] = {}
    for chunk in chunks:
        shots.setdefault(chunk.shot, []).append(chunk)
    spread = [own for _, own in sorted(enumerate(shots.values()), key=lambda one: one[0] * _GOLDEN % 1)]
    count = min(_MOST_WAVES, len(spread))
    ends = [len(spread) * (wave + 1) // count for wave in range(count)]
    return [[chunk for own in spread[start:end] for chunk in own] for start, end in pairwise([0, *ends])]


def ahead(count: int) -> int:
    """How many of so many waves are on their way at once: one follows from all but so many before it."""
    return -(-count // _AHEAD)


def steered(
    rung: Rung, wave: Collection[int], found: Sequence[Encoded], begun: Collection[int], expected: Expected
) -> Rung:
    """The rung with such factors for the shots of a wave that its mean becomes what was asked.

    `found` is what is known; shots that are `begun`, but not known yet, have their factors. All others are to be moved
    as those of the wave are.
    """
    frames = [sum(segments) for segments in expected.shots]
    known = {one.shot for one in found}
    left = [shot for shot in range(len(frames)) if shot not in known and shot not in begun]
    share = _share_of_odds(rung, found, expected)

    def have(shots: Collection[int], by: float = 0.0) -> float:
        """All that so many frames have together."""
        odds = {shot: share * odds_of(expected.vmaf(rung, shot, rung.crf_of(shot) + by)) for shot in shots}
        return sum(vmaf_of(odds[shot]) * frames[shot] for shot in shots)

    count = sum(frames[shot] for shot in left)
    asked = sum(expected.vmaf(rung, shot, rung.crf_of(shot)) * frames[shot] for shot in left) / count
    off = missed(rung, found) * sum(one.frames for one in found)
    off += have(begun) - rung.vmaf * sum(frames[shot] for shot in begun)
    wanted = rung.vmaf - off / max(count, _LEAST_LEFT * sum(frames))
    wanted = min(asked + _BEARABLE, max(asked - _BEARABLE, wanted))
    furthest = _range(rung) * _FURTHEST
    by = _highest(lambda by: have(left, by) >= wanted * count, -furthest, furthest)
    return _with_factors(rung, {shot: _stepped(rung, rung.crf_of(shot) + by) for shot in wave})


def corrected(rung: Rung, found: Sequence[Encoded], expected: Expected) -> Rung | None:
    """The rung with other factors for some shots; None if it is as it was asked for, or no factor makes it so.

    `rung` has the factors that were first chosen, what was `found` those that it was encoded with.
    """
    shots = by_shot(found)
    moved = _moved(rung, shots, expected)
    for one in shots:
        if one.shot is not None and not one.is_capped:
            crf = moved.get(one.shot, one.crf)
            lower = _crf_of_worse(rung, one, crf, expected)
            if lower < crf:
                moved[one.shot] = lower
    moved = {shot: _stepped(rung, crf) for shot, crf in moved.items()}
    if all(moved.get(one.shot, one.crf) == one.crf for one in shots):
        return None
    return _with_factors(rung, {one.shot: one.crf for one in shots} | moved)


def missed(rung: Rung, found: Sequence[Encoded]) -> float:
    """By how much the mean is off what was asked."""
    return sum(one.vmaf * one.frames for one in found) / sum(one.frames for one in found) - rung.vmaf


def by_shot(found: Sequence[Encoded]) -> list[Encoded]:
    """Chunks of one shot together."""
    shots: dict[int | None, list[Encoded]] = {}
    for one in found:
        shots.setdefault(one.shot, []).append(one)
    return [
        replace(
            chunks[0],
            frames=sum(one.frames for one in chunks),
            vmaf=sum(one.vmaf * one.frames for one in chunks) / sum(one.frames for one in chunks),
            bits=sum(one.bits * one.frames for one in chunks) / sum(one.frames for one in chunks),
            is_capped=any(one.is_capped for one in chunks),
        )
        for chunks in shots.values()
    ]


def _moved(rung: Rung, shots: Sequence[Encoded], expected: Expected) -> dict[int | None, float]:
    """New factors for so few shots that none is moved by more than it bears, if the mean is off."""
    off = missed(rung, shots)
    if abs(off) <= _TOLERANCE:
        return {}
    frames = sum(one.frames for one in shots)
    # A lower factor gives no more bits to what is at its cap.
    movable = [one for one in shots if off > 0 or not one.is_capped]
    farthest_first = sorted(movable, key=lambda one: one.vmaf - expected.vmaf(rung, one.shot, one.crf), reverse=off > 0)
    chosen: list[Encoded] = []
    while len(chosen) < len(movable) and sum(one.frames for one in chosen) * _BEARABLE < abs(off) * frames:
        chosen.append(farthest_first[len(chosen)])
    wanted = sum(one.vmaf * one.frames for one in chosen) - off * frames

    def have(by: float) -> float:
        return sum(_vmaf_at(rung, one, one.crf + by, expected) * one.frames for one in chosen)

    by = _highest(lambda by: have(by) >= wanted, -_range(rung), _range(rung))
    return {one.shot: one.crf + by for one in chosen}


def _share_of_odds(rung: Rung, found: Sequence[Encoded], expected: Expected) -> float:
    """The odds of a point being missing in these shots, by those that were expected: the geometric mean.

    Those that a cap kept from their factor say nothing of others, and one shot says less of others than many do.
    """
    found = [one for one in found if not one.is_capped]
    if not found:
        return 1.0
    logs = [math.log(odds_of(one.vmaf) / odds_of(expected.vmaf(rung, one.shot, one.crf))) for one in found]
    mean = sum(log * one.frames for log, one in zip(logs, found, strict=True)) / sum(one.frames for one in found)
    return math.exp(mean * len(found) / (len(found) + 1))


def _vmaf_at(rung: Rung, shot: Encoded, crf: float, expected: Expected) -> float:
    """What an encoded shot would have at another factor."""
    here, there = (odds_of(expected.vmaf(rung, shot.shot, one)) for one in (shot.crf, crf))
    return vmaf_of(odds_of(shot.vmaf) * there / here)


def _crf_of_worse(rung: Rung, shot: Encoded, crf: float, expected: Expected) -> float:
    """The factor at which a shot is not worse than it may be; `crf` if it is not."""
    least = expected.least(rung, shot)
    if _vmaf_at(rung, shot, crf, expected) >= least:
        return crf
    return _highest(lambda one: _vmaf_at(rung, shot, one, expected) >= least, rung.codec.lowest_crf, crf)


def _with_factors(rung: Rung, factors: Mapping[int | None, float]) -> Rung:
    """The rung with these factors for these shots; None stands for chunks that are of several."""
    return replace(
        rung,
        crf=factors.get(None, rung.crf),
        shot_crfs=tuple(factors.get(shot, crf) for shot, crf in enumerate(rung.shot_crfs)),
    )


def _range(rung: Rung) -> float:
    return rung.codec.highest_crf - rung.codec.lowest_crf


def _stepped(rung: Rung, crf: float) -> float:
    return min(rung.codec.highest_crf, max(rung.codec.lowest_crf, round(round(crf / _STEP) * _STEP, 2)))


def _highest(holds: Callable[[float], bool], low: float, high: float) -> float:
    """Where a claim that holds at low factors stops to hold; `low` if it never does."""
    for _ in range(_ROUNDS):
        middle = (low + high) / 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low
