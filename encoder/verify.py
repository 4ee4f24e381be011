"""Checks a package before anything is called done: what would make a player stall must fail here.

The segment indexes are compared with the plan (pure); every file is decoded whole and its frames are counted.
"""

from __future__ import annotations

from fractions import Fraction
from itertools import accumulate
from pathlib import Path

from encoder import commands
from encoder.chunks import Plan
from encoder.errors import CheckError, ToolError
from encoder.package import Rendition
from encoder.packaging import FileIndex
from encoder.process import OnSeconds, Tools

# The first AAC frame is the encoder's delay, the last one is filled up.
_AUDIO_TOLERANCE = Fraction(2 * commands.AAC_FRAME, commands.AUDIO_RATE)


def check_video(name: str, index: FileIndex, plan: Plan, size: int) -> None:
    """Raises CheckError if a rung does not have exactly the segments of the plan: a GOP each, on its clock, from 0."""
    _demand_whole_file(name, index, size)
    wanted = tuple(frames * plan.frame_ticks for frames in plan.segment_frames)
    _demand(name, "ticks a second", index.timescale, plan.timescale)
    _demand(name, "segment durations in ticks", index.durations, wanted)
    _demand(name, "frames in each segment", tuple(f.samples for f in index.fragments), plan.segment_frames)
    starts = tuple(accumulate(wanted[:-1], initial=0))
    _demand(name, "segment starts in ticks", tuple(f.presentation_time for f in index.fragments), starts)
    _demand(name, "first presentation time", index.earliest, 0)
    _demand(name, "segments that start with a keyframe", sum(f.starts_with_sync for f in index.fragments), len(wanted))
    # Not every player honours an edit list; those that do not would show the picture late.
    _demand(name, "edit list", index.has_edit_list, False)


def check_audio(name: str, index: FileIndex, plan: Plan, size: int) -> None:
    """Raises CheckError if a track is not as long as the film or has gaps."""
    _demand_whole_file(name, index, size)
    _demand(name, "ticks a second", index.timescale, commands.AUDIO_RATE)
    length = Fraction(sum(index.durations), index.timescale)
    if abs(length - plan.duration) > _AUDIO_TOLERANCE:
        raise CheckError(f"{name} lasts {float(length):.3f} s, expected {float(plan.duration):.3f} s as the film")
    decode_times = tuple(f.decode_time for f in index.fragments)
    _demand(name, "first decode time", decode_times[0], 0)
    samples = accumulate((f.samples * commands.AAC_FRAME for f in index.fragments[:-1]), initial=0)
    _demand(name, "segment starts in samples", decode_times, tuple(samples))


def decode(tools: Tools, folder: Path, rendition: Rendition, plan: Plan, on_seconds: OnSeconds | None = None) -> None:
    """Decodes a rendition's file whole. Raises CheckError if a frame is damaged or missing."""
    try:
        written = tools.ffmpeg(commands.decode_whole(rendition.file), cwd=folder, on_seconds=on_seconds)
    except ToolError as error:
        raise CheckError(f"{rendition.file} does not decode: {error.reason}") from error
    if rendition.kind == "video":
        _demand(rendition.file, "frames", written.frames, plan.frames)
    elif abs(written.seconds - plan.duration) > _AUDIO_TOLERANCE:
        raise CheckError(f"{rendition.file} decodes to {written.seconds:.3f} s, expected {float(plan.duration):.3f} s")


def _demand_whole_file(name: str, index: FileIndex, size: int) -> None:
    _demand(name, "bytes", index.media_offset + sum(index.sizes), size)


def _demand(name: str, what: str, found: object, wanted: object) -> None:
    if found != wanted:
        raise CheckError(f"{name}: {what}: found {_short(found)}, expected {_short(wanted)}")


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 120 else text[:117] + "..."
