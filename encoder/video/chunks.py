"""The chunk plan: a film cut into pieces of whole GOPs that are encoded independently and joined without a trace.

Theory. The film's pictures stand on a grid, start + k / rate. Each segment is one GOP (encoder/per_title/shots.py), a
chunk a run of segments, so chunk boundaries are keyframes of every rung and cutting changes nothing that a player can
see. A chunk begins half a frame *before* its first picture and ends half a frame before the next one's: each picture
then lies in the middle of its place, and timestamps may be off the grid by nearly half a frame. A seek that lands too
late leaves too few pictures before that end, which counting them shows.

A seek lands on a keyframe of the film, and all from there on is decoded. It must not land after the chunk's first
picture, and containers go by the time of showing or of decoding, which is that of an earlier picture: so it aims before
those. Where the first picture is a keyframe itself, as films often have one at a cut, that would decode what lies
before it, ten seconds of it or more; there it aims somewhat after it, if no other keyframe is near.

Where the frame rate varies, ffmpeg's fps filter puts the pictures on the grid. A chunk's first frame may then show a
picture from long before it, so the seek aims as much earlier as any picture lasts, and frames that are before the chunk
are thrown away. Films with pictures that last too long for that, or in a container that does not seek exactly, are one
chunk.

Pure.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import accumulate

from encoder.film.source import Source, VideoStream
from encoder.per_title.shots import divide
from encoder.video.ladder import output_rate

# The most of a film that shares a rate factor: what is off in a film of one shot is then put right in a part of it.
_LONGEST_SHOT = Fraction(1, 4)
# Seconds that a picture may last in a film that is cut: every chunk decodes so much more than its own frames.
_LONGEST_PICTURE_S = 5
# So much earlier ffmpeg seeks in containers that it does not know to go by the time of showing (ffmpeg_demux.c).
_EARLIER_S = Fraction(3, 23)
# mp4 times in fewer ticks a second than this trip old players; ffmpeg's own muxer doubles until it is reached.
_LEAST_TIMESCALE = 10_000


@dataclass(frozen=True)
class Chunk:
    """Frames [first, first + frames) of the output grid; `segments` are the frames of each segment in it.

    `shot` is the number of the only shot that it is of; None if it may be of several.
    """

    number: int
    first: int
    segments: tuple[int, ...]
    shot: int | None = None

    @property
    def frames(self) -> int:
        return sum(self.segments)

    @property
    def keyframes(self) -> tuple[int, ...]:
        """The first frame of each segment, counted from the chunk's own."""
        return tuple(accumulate(self.segments[:-1], initial=0))

    def after_one_more(self) -> Chunk:
        """The chunk with the frame before it, for who looks at what changes."""
        return Chunk(self.number, self.first - 1, (1, *self.segments))


@dataclass(frozen=True)
class Plan:
    """How a film is cut. `by_seek`: each chunk seeks to its first picture; else the only chunk reads from the start.

    `on_grid`: its pictures are the frames, as they come; else ffmpeg's fps filter makes frames of them.
    """

    frame_rate: Fraction  # of the output
    shots: tuple[tuple[int, ...], ...]  # frames in each segment (one GOP each) of each shot, or of a part of a long one
    step: int  # pictures of the film for each frame of the output: 2, 4 ... above 60 frames/s
    by_seek: bool
    chunks: tuple[Chunk, ...]
    on_grid: bool = True
    entries: frozenset[int] = frozenset()  # frames that a seek leads to, and nothing before them is decoded

    @property
    def timescale(self) -> int:
        """Ticks a second of every rung's file: a frame is a whole number of them."""
        timescale = self.frame_rate.numerator
        while timescale < _LEAST_TIMESCALE:
            timescale *= 2
        return timescale

    @property
    def frame_ticks(self) -> int:
        return int(self.timescale / self.frame_rate)

    @property
    def duration(self) -> Fraction:
        """Seconds."""
        return self.frames / self.frame_rate

    @property
    def segment_frames(self) -> tuple[int, ...]:
        """Frames in each segment."""
        return tuple(frames for shot in self.shots for frames in shot)

    @property
    def frames(self) -> int:
        return sum(self.segment_frames)

    @property
    def keyframes(self) -> tuple[int, ...]:
        """The first frame of each segment."""
        return tuple(accumulate(self.segment_frames[:-1], initial=0))

    def whole(self) -> Plan:
        """The same film in one chunk, for when seeking did not lead where it should."""
        chunk = Chunk(0, 0, self.segment_frames)
        return replace(self, by_seek=False, on_grid=False, chunks=(chunk,))

    def only(self, chunk: Chunk) -> Plan:
        """What one chunk needs to know of it. Whole, the plans sent with a film's chunks grow with their square."""
        return replace(self, shots=(), chunks=(chunk,), entries=self.entries & {chunk.first})

    def by_shot(self, longest_s: float) -> Plan:
        """The same film in chunks of one shot each, or of parts of one that is longer than `longest_s`."""
        if not self.by_seek:
            return self
        longest = round(longest_s * self.frame_rate)
        runs = [(shot, run) for shot, segments in enumerate(self.shots) for run in _runs(segments, longest)]
        firsts = accumulate((sum(run) for _, run in runs), initial=0)
        chunks = (
            Chunk(at, first, run, shot) for at, (first, (shot, run)) in enumerate(zip(firsts, runs, strict=False))
        )
        return replace(self, chunks=tuple(chunks))


def plan_chunks(
    source: Source,
    segment_duration: float,
    chunk_duration: float,
    cuts: Iterable[int] = (),
    keyframes: Sequence[int] = (),
) -> Plan:
    """Cuts a film into chunks of about `chunk_duration` seconds, in segments of at most `segment_duration`.

    `cuts` are frames of the output that begin a shot, `keyframes` pictures of the film that decoding may begin with.
    """
    rate = output_rate(source.video.frame_rate)
    step = int(source.video.frame_rate / rate)
    frames = -(-source.video.frames // step)
    longest_shot = math.ceil(frames * _LONGEST_SHOT)
    shots = tuple(part for shot in divide(frames, cuts, rate, segment_duration) for part in _runs(shot, longest_shot))
    by_seek = source.is_seekable and (source.video.is_constant or 0 < source.video.longest <= _LONGEST_PICTURE_S)
    longest = round(chunk_duration * rate) if by_seek else frames
    runs = list(_runs([part for shot in shots for part in shot], longest))
    firsts = accumulate(map(sum, runs), initial=0)
    chunks = (Chunk(number, first, run) for number, (first, run) in enumerate(zip(firsts, runs, strict=False)))
    on_grid = by_seek and source.video.is_constant
    return Plan(rate, shots, step, by_seek, tuple(chunks), on_grid, _entries(source.video, step, keyframes))


def _entries(video: VideoStream, step: int, keyframes: Sequence[int]) -> frozenset[int]:
    """Frames of the output that are keyframes of the film, with no other so near that a seek might land on that."""
    near = math.ceil(_EARLIER_S * video.frame_rate) + video.reordered + 1
    return frozenset(
        picture // step
        for picture, following in zip(keyframes, [*keyframes[1:], math.inf], strict=False)
        if picture and picture % step == 0 and following > picture + near
    )


def _runs(segments: Sequence[int], longest: int) -> Iterator[tuple[int, ...]]:
    """Runs of segments of at most `longest` frames; of one segment if that is longer."""
    run: list[int] = []
    for frames in segments:
        if run and sum(run) + frames > longest:
            yield tuple(run)
            run = []
        run.append(frames)
    yield tuple(run)


def seek_time(source: Source, plan: Plan, chunk: Chunk) -> Fraction:
    """Where to seek for a chunk, in seconds on the film's own clock; before its start for the first."""
    if not plan.on_grid:
        before = source.video.longest + source.video.reordered / source.video.frame_rate
        return source.video.start + chunk.first / plan.frame_rate - before
    begin, rate = begin_time(source, plan, chunk), source.video.frame_rate
    return begin + 1 / rate + _EARLIER_S if chunk.first in plan.entries else begin - source.video.reordered / rate


def begin_time(source: Source, plan: Plan, chunk: Chunk) -> Fraction:
    """Where a chunk of a film on its grid begins, on the same clock."""
    return source.video.start + (chunk.first * plan.step - Fraction(1, 2)) / source.video.frame_rate
