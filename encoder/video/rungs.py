"""The rungs of a film: encoded in waves of chunks, scored, put right where they miss what was asked, checked, joined.

    waves of chunks -> scores -> factors of later waves ... -> [shots that are off, again, at most twice] -> floor
    -> `{rung}.mp4`, quality.json

What is encoded again is encoded alone: other rungs and shots stand. Which those are follows from scores, so from the
film: the same film gives the same bytes. A rung that nobody asked a quality of (of the fixed ladder, or HDR) is not
scored, for it promises none.
"""

from __future__ import annotations

import functools
import shutil
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import msgspec

from config.units import show_duration
from encoder import commands
from encoder.errors import CheckError
from encoder.per_title import quality
from encoder.per_title.correction import Encoded, Expected, ahead, corrected, missed, steered, waves
from encoder.per_title.quality import RungQuality
from encoder.per_title.scoring import promised
from encoder.per_title.search import Found
from encoder.running.work import Work
from encoder.video.chunks import Chunk, Plan
from encoder.video.ladder import Rung, jobs
from encoder.video.units import ChunkEncode, chunk_encode, read_scores

_QUALITY = "quality.json"
# Further encodes of a rung bring it no nearer.
_MOST_CORRECTIONS = 2


def make_video(work: Work, plan: Plan, rungs: Sequence[Rung], found: Sequence[Found]) -> Path:
    """`{rung}.mp4` of each rung, whole. Raises CheckError if a rung is worse somewhere than it may be."""
    return work.chunked(plan, functools.partial(_made, work, rungs, found))


def read_quality(folder: Path) -> tuple[RungQuality, ...]:
    """The quality of the rungs in `folder`, as `make_video` left it; of those that were scored."""
    return msgspec.json.decode((folder / _QUALITY).read_bytes(), type=tuple[RungQuality, ...])


class _Piece(NamedTuple):
    """A chunk of a rung: where it was encoded, at which factor, and the scores of its frames if it was scored."""

    folder: Path
    crf: float
    scores: list[float]


@dataclass(frozen=True)
class _Made:
    """A rung as it was asked for, as it is now made, and what there is of it: by its chunks' numbers."""

    asked: Rung
    rung: Rung
    pieces: Mapping[int, _Piece]

    def encoded(self, plan: Plan) -> list[Encoded]:
        """What there is, if it was scored."""
        return [
            self._encoded(chunk, piece, float(chunk.frames / plan.frame_rate))
            for chunk in plan.chunks
            if (piece := self.pieces.get(chunk.number)) is not None and piece.scores
        ]

    def _encoded(self, chunk: Chunk, piece: _Piece, seconds: float) -> Encoded:
        bits = (piece.folder / f"{self.rung.name}.mp4").stat().st_size * 8
        is_capped = quality.is_at_cap(bits, seconds, self.rung.maxrate)
        vmaf = quality.mean(piece.scores)
        return Encoded(chunk.shot, chunk.frames, piece.crf, vmaf, bits / chunk.frames, is_capped)

    def quality(self, plan: Plan) -> RungQuality:
        scores = [self.pieces[chunk.number].scores for chunk in plan.chunks]
        segments = [
            quality.segments(chunk.first, chunk.segments, own) for chunk, own in zip(plan.chunks, scores, strict=True)
        ]
        return quality.pooled(self.rung.name, self.rung.vmaf, zip(segments, scores, strict=True))


@dataclass(frozen=True)
class _Wanted:
    """Some rungs of a chunk, to be encoded in one job."""

    chunk: Chunk
    rungs: list[Rung]


def _made(work: Work, rungs: Sequence[Rung], found: Sequence[Found], plan: Plan) -> Path:
    expected = {one.codec.name: Expected(one.pieces, one.samples, plan.shots) for one in found}
    units = [chunk_encode(work.source, plan, rungs, chunk, work.settings.preset) for chunk in plan.chunks]

    def make(folder: Path) -> None:
        made = _in_waves(work, plan, rungs, expected)
        for _ in range(_MOST_CORRECTIONS):
            made = _corrected(work, plan, made, expected)
        scored = [one for one in made if promised([one.rung])]
        for one in scored:
            _demand_floor(one, plan, expected[one.rung.codec.name])
        (folder / _QUALITY).write_bytes(msgspec.json.encode([one.quality(plan) for one in scored]))
        work.in_parallel([functools.partial(_join, work, plan, one, folder) for one in made])

    joined = work.run("video", [argument for unit in units for argument in unit.inputs()], make)
    for chunk in work.steps.folder.glob("chunk-*"):
        shutil.rmtree(chunk)
    return joined


def _in_waves(work: Work, plan: Plan, rungs: Sequence[Rung], expected: Mapping[str, Expected]) -> list[_Made]:
    """The rungs with all their chunks; the factors of each wave as encoder/per_title/correction.py has them."""
    made = [_Made(rung, rung, {}) for rung in rungs]
    in_waves = waves(plan.chunks) if promised(rungs) else [plan.chunks]
    begun: deque[tuple[list[_Wanted], list[Path]]] = deque()
    seconds = float(plan.duration) * len(jobs(rungs))
    with work.flow("video", seconds) as flow:
        for wave in in_waves:
            if len(begun) == ahead(len(in_waves)):
                wanted, folders = begun.popleft()
                made = _with_pieces(made, wanted, flow.made(folders))
                others = _shots(one.chunk for some, _ in begun for one in some)
                made = [_steered(one, plan, _shots(wave), others, expected) for one in made]
            wanted = [_Wanted(chunk, some) for chunk in wave for some in jobs([one.rung for one in made])]
            begun.append((wanted, flow.begin(_units(work, plan, wanted))))
        for wanted, folders in begun:
            made = _with_pieces(made, wanted, flow.made(folders))
    return made


def _units(work: Work, plan: Plan, wanted: Sequence[_Wanted]) -> list[ChunkEncode]:
    return [chunk_encode(work.source, plan, one.rungs, one.chunk, work.settings.preset) for one in wanted]


def _with_pieces(made: Sequence[_Made], wanted: Sequence[_Wanted], folders: Sequence[Path]) -> list[_Made]:
    """The rungs, with what was wanted and now is in these folders."""
    pieces = {one.rung.name: dict(one.pieces) for one in made}
    for one, folder in zip(wanted, folders, strict=True):
        scores = read_scores(folder)
        for rung in one.rungs:
            crf = rung.crf_of(one.chunk.shot)
            pieces[rung.name][one.chunk.number] = _Piece(folder, crf, scores.get(rung.name, []))
    return [replace(one, pieces=pieces[one.rung.name]) for one in made]


def _shots(chunks: Iterable[Chunk]) -> frozenset[int]:
    return frozenset(chunk.shot for chunk in chunks if chunk.shot is not None)


def _steered(
    made: _Made, plan: Plan, wave: Collection[int], begun: Collection[int], expected: Mapping[str, Expected]
) -> _Made:
    found = made.encoded(plan)
    if not found:
        return made
    return replace(made, rung=steered(made.rung, wave, found, begun, expected[made.rung.codec.name]))


def _corrected(work: Work, plan: Plan, made: Sequence[_Made], expected: Mapping[str, Expected]) -> list[_Made]:
    """The rungs, with those shots encoded again that bring them nearer to what was asked."""
    others = {
        one.rung.name: other
        for one in made
        if (found := one.encoded(plan)) and (other := corrected(one.asked, found, expected[one.rung.codec.name]))
    }
    wanted: list[_Wanted] = []
    for chunk in plan.chunks:
        rungs = [
            others[one.rung.name]
            for one in made
            if one.rung.name in others and others[one.rung.name].crf_of(chunk.shot) != one.pieces[chunk.number].crf
        ]
        if rungs:
            wanted += [_Wanted(chunk, some) for some in jobs(rungs)]
    if not wanted:
        return list(made)
    again = [replace(one, rung=others.get(one.rung.name, one.rung)) for one in made]
    again = _with_pieces(again, wanted, work.units("corrections", _units(work, plan, wanted)))
    return [
        new if new.rung is old.rung or _is_better(new, old, plan, expected[new.rung.codec.name]) else old
        for new, old in zip(again, made, strict=True)
    ]


def _is_better(new: _Made, old: _Made, plan: Plan, expected: Expected) -> bool:
    """Whether it is nearer to what was asked, or something of the other is worse than it may be."""
    nearer = abs(missed(new.asked, new.encoded(plan))) <= abs(missed(old.asked, old.encoded(plan)))
    return nearer or any(True for _ in _too_bad(old, plan, expected))


def _too_bad(made: _Made, plan: Plan, expected: Expected) -> Iterator[tuple[Chunk, float, float]]:
    """The chunks that are worse than they may be, what they have and what they must have."""
    for chunk, one in zip(plan.chunks, made.encoded(plan), strict=True):
        least = expected.least(made.asked, one)
        if one.vmaf < least:
            yield chunk, one.vmaf, least


def _demand_floor(made: _Made, plan: Plan, expected: Expected) -> None:
    """Raises CheckError if a chunk is worse than it may be."""
    for chunk, found, least in _too_bad(made, plan, expected):
        raise CheckError(
            f"{made.rung.name} has VMAF {found:.1f} {_place(plan, chunk)}, expected at least {least:.1f} of a rung "
            f"that is to have {made.rung.vmaf:.1f}; if its pictures are right, encode with --ladder fixed"
        )


def _place(plan: Plan, chunk: Chunk) -> str:
    start, end = (float(frame / plan.frame_rate) for frame in (chunk.first, chunk.first + chunk.frames))
    return f"from {show_duration(start)} to {show_duration(end)} of the film"


def _join(work: Work, plan: Plan, made: _Made, folder: Path) -> None:
    listing = folder / f"{made.rung.name}.txt"
    chunks = [made.pieces[chunk.number].folder.name for chunk in plan.chunks]
    # The names of steps need no quoting, and relative ones no escape from strange work folders.
    listing.write_text("".join(f"file '../{chunk}/{made.rung.name}.mp4'\n" for chunk in chunks))
    work.tools.ffmpeg(commands.join(listing.name, plan, made.rung), cwd=folder)
    listing.unlink()
