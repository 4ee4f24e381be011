"""One clip through all subjects, and all clips' rows."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from bench.encode.curves import BdRate, Point, Session, bd_rate, session
from bench.encode.quality import Quality, measure
from bench.encode.result import (
    BD_APPLE,
    BD_SAME_GOP,
    BD_WORST,
    MISS,
    SEARCH,
    SESSION_GAIN,
    STORAGE,
    describe,
    row,
)
from bench.encode.subjects import Made, fixed, ours
from bench.rows import Row
from config.encoder import EncoderSettings
from config.progress import Reporter
from encoder.probe import read_film
from encoder.process import Tools


class Ladder(NamedTuple):
    """A subject's rungs with what they look like."""

    made: Made
    qualities: tuple[Quality, ...]

    @property
    def points(self) -> list[Point]:
        return [Point(rung.bps, one.mean) for rung, one in zip(self.made.rungs, self.qualities, strict=True)]

    @property
    def neg_points(self) -> list[Point]:
        return [Point(rung.bps, one.neg_mean) for rung, one in zip(self.made.rungs, self.qualities, strict=True)]

    @property
    def storage_bps(self) -> float:
        return sum(rung.bps for rung in self.made.rungs)


@dataclasses.dataclass(frozen=True)
class Clip:
    """All subjects' ladders of one clip, ours first."""

    name: str
    ladders: tuple[Ladder, ...]

    def against(self, at: int) -> BdRate:
        return bd_rate(self.ladders[0].points, self.ladders[at].points)

    def sessions(self) -> list[Session]:
        return [session(ladder.points) for ladder in self.ladders]


def measure_clip(path: Path, folder: Path, settings: EncoderSettings, reporter: Reporter) -> Clip:
    """Encodes the clip as each subject does and scores every frame. Raises SourceError, ToolError, BenchError."""
    with Tools() as tools:
        source = read_film(tools, path, lambda position: None)
        reporter.say(f"{path.name}: ours")
        made, _ = ours(path, folder, settings, quiet=True)
        reporter.say(f"{path.name}: Apple's rungs")
        subjects = [
            made,
            fixed(path, source, folder, settings.preset, tools),
            fixed(path, source, folder, settings.preset, tools, keyframes=made.keyframes),
        ]
        size = made.rungs[0].width, made.rungs[0].height
        rungs = [(subject, rung) for subject in subjects for rung in subject.rungs]
        found: dict[str, list[Quality]] = {subject.subject: [] for subject in subjects}
        with reporter.bar(f"{path.name}: VMAF", len(rungs)) as bar:
            for done, (subject, rung) in enumerate(rungs):
                found[subject.subject].append(measure(tools, rung.file, path, size, source.video.frame_rate, folder))
                bar.update(done + 1)
    return Clip(path.name, tuple(Ladder(subject, tuple(found[subject.subject])) for subject in subjects))


def rows(clips: Sequence[Clip]) -> list[Row]:
    """What all clips say together, then each of them."""
    apple, same = [clip.against(1) for clip in clips], [clip.against(2) for clip in clips]
    sessions = [clip.sessions() for clip in clips]
    storage = [clip.ladders[0].storage_bps / clip.ladders[1].storage_bps - 1 for clip in clips]
    search = [clip.ladders[0].made.search_cpu_s / clip.ladders[0].made.cpu_s for clip in clips]
    made = [
        row("all clips", "BD-rate, Apple's rungs", [one.pchip for one in apple], goals=BD_APPLE, more_is_better=False),
        row("all clips", "worst clip", [max(one.pchip for one in apple)], goals=BD_WORST, more_is_better=False),
        row("all clips", "BD-rate, same keyframes", [one.pchip for one in same], goals=BD_SAME_GOP,
            more_is_better=False),
        row("all clips", "storage, by Apple's", storage, goals=STORAGE, more_is_better=False),
        row("all clips", "session VMAF, above Apple's", [mine.vmaf - theirs.vmaf for mine, theirs, _ in sessions],
            goals=SESSION_GAIN),
        row("all clips", "session bits, by Apple's", [mine.bps / theirs.bps - 1 for mine, theirs, _ in sessions],
            more_is_better=False),
        row("all clips", "search, by final encodes (CPU)", search, goals=SEARCH, more_is_better=False),
        row("all clips", "VMAF missed, worst rung", [max(_missed(clip), default=0.0) for clip in clips], goals=MISS,
            more_is_better=False),
    ]  # fmt: skip
    return made + [one for clip in clips for one in _clip_rows(clip)]


def _missed(clip: Clip) -> list[float]:
    """How far each rung is from what it was made to have."""
    mine = clip.ladders[0]
    return [
        abs(one.mean - rung.wanted_vmaf)
        for rung, one in zip(mine.made.rungs, mine.qualities, strict=True)
        if rung.wanted_vmaf
    ]


def _clip_rows(clip: Clip) -> list[Row]:
    found = []
    for at, ladder in enumerate(clip.ladders[1:], start=1):
        against = clip.against(at)
        neg = bd_rate(clip.ladders[0].neg_points, ladder.neg_points)
        name = f"BD-rate, {ladder.made.subject}"
        found.append(row(clip.name, name, [against.pchip], more_is_better=False, note=describe(against)))
        found.append(row(clip.name, f"{name}, NEG", [neg.pchip], more_is_better=False, note=describe(neg)))
    for ladder in clip.ladders:
        for rung, quality in zip(ladder.made.rungs, ladder.qualities, strict=True):
            worst = quality.worst_of(clip.ladders[0].made.keyframes)
            note = f"{rung.bps / 1000:.0f} kbit/s, {rung.height} lines; harmonic {quality.harmonic:.1f}, p5 "
            note += f"{quality.fifth_percentile:.1f}, worst segment {worst:.1f}"
            note += f", asked {rung.wanted_vmaf:.1f}" if rung.wanted_vmaf else ""
            found.append(row(clip.name, f"VMAF {rung.name}", [quality.mean], note=note, subject=ladder.made.subject))
        note = f"keyframes {ladder.made.gop}, longest segment {ladder.made.longest_segment_s:.2f} s"
        found.append(
            row(clip.name, "CPU s", [ladder.made.cpu_s + ladder.made.search_cpu_s], more_is_better=False,
                subject=ladder.made.subject, note=note)
        )  # fmt: skip
    return found
