"""One clip through all subjects, and all clips' rows."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from bench.encode.chunking import Chunking, chunking
from bench.encode.curves import FEWEST_POINTS, BdRate, Point, bd_rate, rising, session
from bench.encode.grid import grid
from bench.encode.kills import Kills, kill_often
from bench.encode.master import Limits, master
from bench.encode.quality import Quality, measure
from bench.encode.result import (
    BD_APPLE,
    BD_AV1,
    BD_LOST,
    BD_MIXED,
    BD_PEER,
    BD_SAME_GOP,
    BD_WORST,
    CHUNK_CPU,
    CHUNK_SIZE,
    KILLS,
    MISS,
    SEARCH,
    SESSION_GAIN,
    SESSION_GAIN_AV1,
    STORAGE,
    WALL,
    WORST_SHOT,
    describe,
    row,
)
from bench.encode.shaka import SUBJECT as SHAKA
from bench.encode.shaka import shaka
from bench.encode.subjects import Made, fixed, ours
from bench.rows import OURS, Row
from config.encoder import EncoderSettings
from config.errors import NearcastError
from config.progress import Reporter
from encoder.film.probe import read_film
from encoder.running.process import Tools
from encoder.video.ladder import candidate_sizes

AV1, APPLE, APPLE_SAME, ONE_FACTOR = f"{OURS} av1", "apple", "apple, our keyframes", "one factor"
# What a ladder of ours is called that has more rungs than the film needs.
CLOSER = ", closer rungs"
_CORES = 2


class Cases(NamedTuple):
    """What is measured beside ours."""

    limits: Limits = Limits()
    apple: bool = True
    av1: bool = False
    peer: bool = False
    chunks: bool = False
    exhaustive: bool = False
    kills: int = 0


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

    def best(self) -> Ladder:
        """Without the rungs that cost more than another and look no better."""
        kept = set(rising(self.points))
        rungs = [at for at, point in enumerate(self.points) if point in kept]
        made = self.made._replace(rungs=tuple(self.made.rungs[at] for at in rungs))
        return Ladder(made, tuple(self.qualities[at] for at in rungs))

    def harmonic_points(self) -> list[Point]:
        return [Point(rung.bps, one.harmonic) for rung, one in zip(self.made.rungs, self.qualities, strict=True)]

    def worst_shot_points(self, starts: Sequence[int]) -> list[Point]:
        pairs = zip(self.made.rungs, self.qualities, strict=True)
        return [Point(rung.bps, one.worst_of(starts)) for rung, one in pairs]


@dataclasses.dataclass(frozen=True)
class Clip:
    """All subjects' ladders of one clip, by subject."""

    name: str
    ladders: dict[str, Ladder]
    chunking: Chunking | None = None
    kills: Kills | None = None
    notes: tuple[str, ...] = ()

    @property
    def mine(self) -> Ladder:
        return self.ladders[OURS]

    def curve(self, subject: str) -> Ladder:
        """The subject's ladder, or the one with more rungs where those are too few for a curve."""
        return self.ladders.get(subject + CLOSER, self.ladders[subject])

    def against(self, theirs: str, mine: str = OURS) -> BdRate | None:
        """None if one of the two was not measured."""
        if not {theirs, mine} <= self.ladders.keys():
            return None
        return bd_rate(self.curve(mine).points, self.curve(theirs).points)


def measure_clip(clip: Path, folder: Path, settings: EncoderSettings, cases: Cases, reporter: Reporter) -> Clip:
    """Encodes the clip as each subject does and scores every frame. Raises SourceError, ToolError, BenchError."""
    with Tools() as tools:
        path, notes = master(tools, clip, read_film(tools, clip), folder, cases.limits)
        source = read_film(tools, path)
        reporter.say(f"{clip.name}: ours")
        [mine] = subjects = ours(path, folder, settings, quiet=True)
        if cases.av1:
            reporter.say(f"{clip.name}: AV1")
            both = dataclasses.replace(settings, codecs=("h264", "av1"))
            subjects.append(ours(path, folder / "av1", both, quiet=True)[1])
        subjects += _closer(clip, path, folder, settings, subjects, reporter)
        if cases.apple:
            reporter.say(f"{clip.name}: Apple's rungs")
            subjects.append(fixed(path, source, folder, settings.preset, tools))
            subjects.append(fixed(path, source, folder, settings.preset, tools, keyframes=mine.keyframes))
        if cases.peer:
            reporter.say(f"{clip.name}: {SHAKA}")
            with _noted(clip, notes):
                subjects.append(shaka(path, source, folder, tools))
        if cases.exhaustive:
            reporter.say(f"{clip.name}: every size at every factor")
            sizes = candidate_sizes(source)
            subjects.append(grid(path, source, folder, tools, sizes, mine.keyframes, settings.preset))
        size = candidate_sizes(source)[0]
        ladders = {}
        with reporter.bar(f"{clip.name}: VMAF", sum(len(one.rungs) for one in subjects)) as bar:
            done = 0
            for subject in subjects:
                found = []
                for rung in subject.rungs:
                    found.append(measure(tools, rung.file, path, size, source.video.frame_rate, folder))
                    done += 1
                    bar.update(done)
                ladders[subject.subject] = Ladder(subject, tuple(found))
        cut = kills = None
        if cases.chunks:
            reporter.say(f"{clip.name}: in chunks and whole")
            with _noted(clip, notes):
                cut = chunking(path, float(source.duration), folder, settings)
        if cases.kills:
            reporter.say(f"{clip.name}: {cases.kills} kills")
            with _noted(clip, notes):
                kills = kill_often(path, folder, settings, cases.kills)
        return Clip(clip.name, ladders, cut, kills, tuple(notes))


def _closer(
    clip: Path, path: Path, folder: Path, settings: EncoderSettings, made: Sequence[Made], reporter: Reporter
) -> list[Made]:
    """Ladders of enough rungs for a curve, where a film needs so few that they are none."""
    few = [one.subject for one in made if 1 < len(one.rungs) < FEWEST_POINTS]
    if not few:
        return []
    reporter.say(f"{clip.name}: {' and '.join(few)} with {FEWEST_POINTS} rungs, for a curve")
    codecs = ("h264", "av1") if AV1 in few else ("h264",)
    settings = dataclasses.replace(settings, codecs=codecs, least_rungs=FEWEST_POINTS)
    found = ours(path, folder / "closer", settings, quiet=True)
    return [one._replace(subject=one.subject + CLOSER) for one in found if one.subject in few]


@contextmanager
def _noted(clip: Path, notes: list[str]) -> Iterator[None]:
    """What fails in it becomes a note: one case must not cost the others."""
    try:
        yield
    except NearcastError as error:
        notes.append(f"{clip.name}: {error}")


def rows(clips: Sequence[Clip]) -> list[Row]:
    """What all clips say together, then each of them."""
    return [*_rows_of_all(clips), *(one for clip in clips for one in _clip_rows(clip))]


def _rows_of_all(clips: Sequence[Clip]) -> Iterator[Row]:
    apple = [clip.against(APPLE) for clip in clips]
    yield _bd("BD-rate, Apple's rungs", apple, BD_APPLE)
    worst = max((one.pchip for one in apple if one is not None), default=math.nan)
    yield row("all clips", "BD-rate, worst clip", [worst], goals=BD_WORST, more_is_better=False)
    yield _bd("BD-rate, same keyframes", [clip.against(APPLE_SAME) for clip in clips], BD_SAME_GOP)
    if peers := [clip for clip in clips if SHAKA in clip.ladders]:
        yield _bd(f"BD-rate, {SHAKA}", [clip.against(SHAKA) for clip in peers], BD_PEER)
    modern = [clip for clip in clips if AV1 in clip.ladders]
    if modern:
        yield _bd("BD-rate, AV1 by Apple's H.264", [clip.against(APPLE, AV1) for clip in modern], BD_AV1)
    stored = [clip.mine.storage_bps / clip.ladders[APPLE].storage_bps - 1 for clip in clips]
    tops = [max(point.vmaf for point in clip.mine.points) for clip in clips]
    yield _less("storage, by Apple's", stored, STORAGE, f"top VMAF {min(tops):.1f} to {max(tops):.1f}")
    yield from _session_rows(clips, OURS, "", SESSION_GAIN)
    if modern:
        yield from _session_rows(modern, AV1, ", AV1", SESSION_GAIN_AV1)
    search = [clip.mine.made.search_cpu_s / clip.mine.made.cpu_s for clip in clips]
    yield _less("search, by final encodes (CPU)", search, SEARCH)
    scoring = [clip.mine.made.scoring_cpu_s / clip.mine.made.cpu_s for clip in clips]
    yield _less("scoring of what was encoded, by it (CPU)", scoring, None)
    tried = [clip.against(ONE_FACTOR) for clip in clips if ONE_FACTOR in clip.ladders]
    if tried:
        yield _bd("BD-rate lost to the exhaustive hull", tried, BD_LOST)
    missed = [max(_missed(clip), default=math.nan) for clip in clips]
    yield _less("VMAF missed, worst rung", missed, MISS)
    yield _wall([clip.mine.made for clip in clips])
    if cut := [clip.chunking for clip in clips if clip.chunking is not None]:
        yield _less("chunking, CPU", [one.cpu for one in cut], CHUNK_CPU)
        yield _less("chunking, bytes", [one.size for one in cut], CHUNK_SIZE)
    if killed := [clip.kills for clip in clips if clip.kills is not None]:
        note = f"{sum(one.killed for one in killed)} kills, {sum(one.left for one in killed)} processes left"
        yield row("all clips", "killed, and the same package", [float(one.is_same) for one in killed], goals=KILLS,
                  note=note)  # fmt: skip


def mixed_rows(programme: Clip) -> Iterator[Row]:
    """Of a programme of unlike clips: each shot its own factor, beside one factor for all at the best sizes."""
    mine, even = programme.curve(OURS), programme.ladders[ONE_FACTOR].best()
    starts = mine.made.keyframes
    pairs = (
        ("mean", mine.points, even.points, None),
        ("harmonic", mine.harmonic_points(), even.harmonic_points(), BD_MIXED),
        ("worst shot", mine.worst_shot_points(starts), even.worst_shot_points(starts), WORST_SHOT),
    )
    for name, ours_points, even_points, goals in pairs:
        found = bd_rate(ours_points, even_points)
        metric = f"BD-rate by one factor, {name}"
        yield row(programme.name, metric, [found.pchip], goals=goals, more_is_better=False, note=describe(found))


def _bd(metric: str, found: Sequence[BdRate | None], goals: tuple[float, float]) -> Row:
    known = [one for one in found if one is not None]
    sound = sum(one.is_sound for one in known)
    note = "" if sound == len(known) else f"{sound} of {len(known)} sound"
    return row("all clips", metric, [one.pchip for one in known], goals=goals, more_is_better=False, note=note)


def _less(metric: str, values: Sequence[float], goals: tuple[float, float] | None, note: str = "") -> Row:
    return row("all clips", metric, values, goals=goals, more_is_better=False, note=note)


def _session_rows(clips: Sequence[Clip], subject: str, words: str, goals: tuple[float, float]) -> Iterator[Row]:
    pairs = [(session(clip.ladders[subject].points), session(clip.ladders[APPLE].points)) for clip in clips]
    gains = [mine.vmaf - theirs.vmaf for mine, theirs in pairs]
    yield row("all clips", f"session VMAF, above Apple's{words}", gains, goals=goals)
    yield _less(f"session bits, by Apple's{words}", [mine.bps / theirs.bps - 1 for mine, theirs in pairs], None)


def _wall(made: Sequence[Made]) -> Row:
    """How long the encodes took, without what others took of the cores meanwhile, by what no idle core would make it.

    Others fill idle cores, too, which flatters: so the note has the time by the clock.
    """
    ideal_s = [one.whole_cpu_s / _CORES for one in made]
    walls = [one.wall_s * (1 - one.others) / ideal for one, ideal in zip(made, ideal_s, strict=True)]
    worst = max(one.wall_s / ideal for one, ideal in zip(made, ideal_s, strict=True))
    others = max(one.others for one in made)
    note = f"by the clock up to {worst:.2f}: others took up to {others:.0%} of the processors"
    return _less(f"wall, by CPU on {_CORES} cores", walls, WALL, note)


def _missed(clip: Clip) -> list[float]:
    """How far each rung is from what it was made to have."""
    return [
        abs(one.mean - rung.wanted_vmaf)
        for ladder in (clip.mine, *(clip.ladders[name] for name in (AV1,) if name in clip.ladders))
        for rung, one in zip(ladder.made.rungs, ladder.qualities, strict=True)
        if rung.wanted_vmaf
    ]


def _clip_rows(clip: Clip) -> Iterator[Row]:
    for name in clip.ladders:
        if name == OURS or name.endswith(CLOSER):
            continue
        mine, theirs = (clip.curve(AV1), clip.ladders[APPLE]) if name == AV1 else (clip.curve(OURS), clip.ladders[name])
        against = bd_rate(mine.points, theirs.points)
        neg = bd_rate(mine.neg_points, theirs.neg_points)
        note = describe(against) + ("" if _agree(against, neg) else "; NEG HAS THE OTHER SIGN")
        metric = "BD-rate, AV1 by apple" if name == AV1 else f"BD-rate, {name}"
        yield row(clip.name, metric, [against.pchip], more_is_better=False, note=note)
        yield row(clip.name, f"{metric}, NEG", [neg.pchip], more_is_better=False, note=describe(neg))
    for ladder in clip.ladders.values():
        if ladder.made.subject != ONE_FACTOR:
            yield from _rung_rows(clip, ladder)
        if not ladder.made.subject.endswith(CLOSER):
            yield from _cost_rows(clip.name, ladder.made)


def _agree(one: BdRate, other: BdRate) -> bool:
    """Whether both have the same sign, or say next to nothing."""
    return not (one.pchip * other.pchip < 0 and abs(one.pchip - other.pchip) > 0.02)


def _rung_rows(clip: Clip, ladder: Ladder) -> Iterator[Row]:
    for rung, quality in zip(ladder.made.rungs, ladder.qualities, strict=True):
        worst = quality.worst_of(clip.mine.made.keyframes)
        note = f"{rung.bps / 1000:.0f} kbit/s, {rung.height} lines; harmonic {quality.harmonic:.1f}, p5 "
        note += f"{quality.fifth_percentile:.1f}, worst segment {worst:.1f}"
        note += f", asked {rung.wanted_vmaf:.1f}" if rung.wanted_vmaf else ""
        yield row(clip.name, f"VMAF {rung.name}", [quality.mean], note=note, subject=ladder.made.subject)


def _cost_rows(case: str, made: Made) -> Iterator[Row]:
    longest = f", longest segment {made.longest_segment_s:.2f} s" if made.longest_segment_s else ""
    note = f"keyframes {made.gop}{longest}"
    spent_s = made.cpu_s + made.search_cpu_s
    yield row(case, "CPU s", [spent_s], more_is_better=False, subject=made.subject, note=note)
    if made.memory:
        yield row(case, "memory MiB", [made.memory / 2**20], more_is_better=False, subject=made.subject)
