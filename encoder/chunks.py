"""The chunk plan: a film cut into pieces of whole GOPs that are encoded independently and joined without a trace.

Theory. The film's pictures stand on a grid, start + k / rate. A GOP has a whole number of frames, a chunk a whole
number of GOPs, so chunk boundaries are keyframes of every rung and cutting changes nothing that a player can see. A
chunk is reached by seeking half a frame *before* its first picture and ends half a frame before the next one's: each
picture then lies in the middle of its place, and timestamps may be off the grid by nearly half a frame. A seek that
lands too late leaves too few pictures before that end, which counting them shows. All this needs a constant frame rate
and a container that seeks exactly; any other film is one chunk, put on the grid by ffmpeg's fps filter, for a seek into
a picture that lasts long would show the next one too early.

Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from encoder.ladder import output_rate
from encoder.source import Source

# mp4 times in fewer ticks a second than this trip old players; ffmpeg's own muxer doubles until it is reached.
_LEAST_TIMESCALE = 10_000


@dataclass(frozen=True)
class Chunk:
    """Frames [first, first + frames) of the output grid."""

    number: int
    first: int
    frames: int


@dataclass(frozen=True)
class Plan:
    """How a film is cut. `by_seek`: each chunk seeks to its first picture; else the only chunk reads from the start."""

    frame_rate: Fraction  # of the output
    gop_frames: int
    frames: int
    step: int  # pictures of the film for each frame of the output: 2, 4 ... above 60 frames/s
    by_seek: bool
    chunks: tuple[Chunk, ...]

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
        """Frames in each segment: one GOP each, the last one the rest."""
        whole, rest = divmod(self.frames, self.gop_frames)
        return (self.gop_frames,) * whole + ((rest,) if rest else ())

    def whole(self) -> Plan:
        """The same film in one chunk, for when seeking did not lead where it should."""
        chunk = Chunk(0, 0, self.frames)
        return Plan(self.frame_rate, self.gop_frames, self.frames, self.step, by_seek=False, chunks=(chunk,))


def plan_chunks(source: Source, segment_duration: float, chunk_duration: float) -> Plan:
    """Cuts a film into chunks of about `chunk_duration` seconds, in whole GOPs of about `segment_duration`."""
    rate = output_rate(source.video.frame_rate)
    step = int(source.video.frame_rate / rate)
    frames = -(-source.video.frames // step)
    gop = max(1, round(segment_duration * rate))
    by_seek = source.video.is_constant and source.is_seekable
    size = gop * max(1, round(chunk_duration * rate / gop)) if by_seek else frames
    chunks = tuple(
        Chunk(number, first, min(size, frames - first)) for number, first in enumerate(range(0, frames, size))
    )
    return Plan(rate, gop, frames, step, by_seek, chunks)


def seek_time(source: Source, plan: Plan, chunk: Chunk) -> Fraction:
    """Where to seek for a chunk, in seconds on the film's own clock; before its start for the first."""
    return source.video.start + (chunk.first * plan.step - Fraction(1, 2)) / source.video.frame_rate
