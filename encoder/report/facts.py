"""What a report tells of one encode, before anything of it is drawn.

Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate, groupby
from typing import NamedTuple

from encoder.package import Package, Rendition
from encoder.per_title.curves import Piece, whole
from encoder.per_title.quality import RungQuality
from encoder.report.estimate import Point, Saving, fixed_points, saving
from encoder.video.chunks import Plan
from encoder.video.codec import H264, Codec
from encoder.video.ladder import Rung

# Steps that come before the final encodes, to find out how to make them.
SEARCH_STAGES = ("shots", "trials", "corrections")
FINAL_STAGE = "video"
_CURVE_STEPS = 24


class Trial(NamedTuple):
    """A size at a rate factor, as the whole film would be."""

    factor: float
    bps: float
    vmaf: float


class Curve(NamedTuple):
    """What the search knows of one size: `tried` by trial encodes (none where it interpolates), best first."""

    height: int
    points: tuple[Trial, ...]
    tried: tuple[Trial, ...]


class Search(NamedTuple):
    """What trial encodes of pieces of the film say, of one codec."""

    codec: Codec
    pieces: tuple[Piece, ...]


class Still(NamedTuple):
    """The worst moment of a rung: the same picture of the film and of the encode, as JPEGs of one size."""

    time_s: float
    vmaf: float
    film: bytes
    encode: bytes


class Cost(NamedTuple):
    """Processor time of one stage."""

    stage: str
    cpu_s: float


class Stretch(NamedTuple):
    """A piece of the film, and what some rung has there."""

    start_s: float
    duration_s: float
    value: float


@dataclass(frozen=True)
class Made:
    """A rung with what became of it. `quality` is None where nothing was scored."""

    rung: Rung
    rendition: Rendition
    quality: RungQuality | None = None
    still: Still | None = None

    @property
    def size(self) -> int:
        """Bytes."""
        return self.rendition.media_offset + sum(self.rendition.sizes)

    @property
    def vmaf(self) -> float:
        """As measured, else as the search expected it; 0 where neither is known."""
        return self.quality.mean if self.quality is not None else self.rung.vmaf

    @property
    def point(self) -> Point:
        return Point(self.rung.name, self.rendition.average_bandwidth, self.vmaf)

    @property
    def bitrates(self) -> list[Stretch]:
        """bit/s of each segment."""
        one = self.rendition
        starts = accumulate(one.durations[:-1], initial=0)
        return [
            Stretch(start / one.timescale, ticks / one.timescale, size * 8 * one.timescale / ticks)
            for start, ticks, size in zip(starts, one.durations, one.sizes, strict=True)
        ]


@dataclass(frozen=True)
class Report:
    """One package and how it came about."""

    package: str  # its name
    manifest: Package
    plan: Plan
    rungs: tuple[Made, ...]
    searches: tuple[Search, ...] = ()
    fixed: tuple[Rung, ...] = ()  # the rungs of the fixed ladder
    costs: tuple[Cost, ...] = ()
    settings: tuple[tuple[str, str], ...] = ()  # name, value

    @property
    def shot_starts_s(self) -> list[float]:
        starts = accumulate(map(sum, self.plan.shots[:-1]), initial=0)
        return [float(start / self.plan.frame_rate) for start in starts]

    def of_codec(self, codec: Codec) -> list[Made]:
        return [made for made in self.rungs if made.rung.codec is codec]

    @property
    def codecs(self) -> list[Codec]:
        return list(dict.fromkeys(made.rung.codec for made in self.rungs))

    def curves(self, search: Search) -> list[Curve]:
        """Of the sizes that were tried and of those that have a rung, largest first."""
        tried = {(trial.height, trial.crf) for piece in search.pieces for trial in piece.trials}
        heights = {height for height, _ in tried} | {made.rung.height for made in self.of_codec(search.codec)}
        known = [crf for _, crf in tried] + [made.rung.crf for made in self.of_codec(search.codec)]
        low, high = min(known), max(known)
        factors = [low + (high - low) * step / _CURVE_STEPS for step in range(_CURVE_STEPS + 1)]
        return [
            Curve(
                height,
                tuple(self._trial(search, height, factor) for factor in factors),
                tuple(self._trial(search, height, crf) for at, crf in sorted(tried) if at == height),
            )
            for height in sorted(heights, reverse=True)
        ]

    def _trial(self, search: Search, height: int, factor: float) -> Trial:
        found = whole(search.pieces, height, factor)
        return Trial(factor, found.bits * float(self.plan.frame_rate), found.vmaf)

    def vmaf_over_time(self, made: Made) -> list[Stretch]:
        rate = self.plan.frame_rate
        segments = made.quality.segments if made.quality is not None else ()
        return [Stretch(float(one.first / rate), float(one.frames / rate), one.mean) for one in segments]

    def fixed_estimate(self) -> tuple[Point, ...]:
        """The fixed ladder of H.264, as the trials tell it; empty without trials."""
        search = next((one for one in self.searches if one.codec is H264), None)
        return fixed_points(search.pieces, self.fixed, float(self.plan.frame_rate)) if search is not None else ()

    def saved(self, codec: Codec) -> Saving | None:
        scored = [made.point for made in self.of_codec(codec) if made.vmaf]
        return saving(scored, self.fixed_estimate())

    def search_share(self) -> float | None:
        """Processor time of the search as a part of the final encodes'; None where it is not known."""
        final = sum(cost.cpu_s for cost in self.costs if cost.stage == FINAL_STAGE)
        search = sum(cost.cpu_s for cost in self.costs if cost.stage in SEARCH_STAGES)
        return search / final if final and self.searches else None


def pooled(stretches: list[Stretch], most: int) -> list[tuple[Stretch, float]]:
    """At most so many stretches of even length, each with its mean and its lowest; a long film has thousands."""
    if len(stretches) <= most:
        return [(one, one.value) for one in stretches]
    end = stretches[-1].start_s + stretches[-1].duration_s
    groups = groupby(stretches, lambda one: int((one.start_s + one.duration_s / 2) * most / end))
    return [_pool(list(group)) for _, group in groups]


def _pool(group: list[Stretch]) -> tuple[Stretch, float]:
    duration = sum(one.duration_s for one in group)
    mean = sum(one.value * one.duration_s for one in group) / duration
    return Stretch(group[0].start_s, duration, mean), min(one.value for one in group)
