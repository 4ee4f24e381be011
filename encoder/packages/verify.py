"""Checks a package before anything is called done: what would make a player stall must fail here.

The segment indexes are compared with the plan (pure); every file is decoded whole and its frames are counted; what the
manifests say is read back and held to the standards' rules (see encoder/rules/); the sound is laid over the film's.
"""

from __future__ import annotations

from fractions import Fraction
from itertools import accumulate
from pathlib import Path

import msgspec

from config.units import show_duration
from encoder import commands
from encoder.errors import CheckError, ToolError
from encoder.film.source import AudioStream, Source
from encoder.package import Package, Rendition, StoredFile
from encoder.packages.renditions import FileIndex
from encoder.rules import dash, hls
from encoder.rules.finding import sentence
from encoder.running.process import OnSeconds, Tools
from encoder.sound import sync
from encoder.video.chunks import Plan

# Frames: the first of AAC is the encoder's delay, and the last of any codec is filled up.
_AUDIO_TOLERANCE = 2
# Samples of the longest frame that there is, AC-3's; seconds depend on the rate.
_LONGEST_FRAME = 1536


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


def check_audio(name: str, index: FileIndex, plan: Plan, size: int, rate: int, frame: int) -> None:
    """Raises CheckError if a track of frames of `frame` samples is not as long as the film or has gaps."""
    _demand_whole_file(name, index, size)
    _demand(name, "ticks a second", index.timescale, rate)
    length = Fraction(sum(index.durations), index.timescale)
    if abs(length - plan.duration) > Fraction(_AUDIO_TOLERANCE * frame, rate):
        raise CheckError(f"{name} lasts {float(length):.3f} s, expected {float(plan.duration):.3f} s as the film")
    decode_times = tuple(f.decode_time for f in index.fragments)
    _demand(name, "first decode time", decode_times[0], 0)
    samples = accumulate((f.samples * frame for f in index.fragments[:-1]), initial=0)
    _demand(name, "segment starts in samples", decode_times, tuple(samples))


def decode(tools: Tools, folder: Path, rendition: Rendition, plan: Plan, on_seconds: OnSeconds | None = None) -> None:
    """Decodes a rendition's file whole. Raises CheckError if a frame is damaged or missing."""
    try:
        written = tools.ffmpeg(commands.decode_whole(rendition.file), cwd=folder, on_seconds=on_seconds)
    except ToolError as error:
        raise CheckError(f"{rendition.file} does not decode: {error.reason}") from error
    if rendition.kind == "video":
        _demand(rendition.file, "frames", written.frames, plan.frames)
    elif abs(written.seconds - plan.duration) > Fraction(_AUDIO_TOLERANCE * _LONGEST_FRAME, rendition.sample_rate):
        raise CheckError(f"{rendition.file} decodes to {written.seconds:.3f} s, expected {float(plan.duration):.3f} s")


def check_sync(
    tools: Tools, folder: Path, rendition: Rendition, film: str, source: Source, stream: AudioStream
) -> None:
    """Raises CheckError if a track's sound is not where the film has it. `film` is an ffmpeg URL."""
    starts = sync.pieces(float(source.duration)) if source.is_seekable else [0.0]
    lags = []
    for at_s in starts:
        heard = commands.sound_piece(film, str(stream.index), float(source.video.start), at_s)
        made = commands.sound_piece(rendition.file, "a:0", 0.0, at_s)
        late_s = sync.late_s(*(tools.ffmpeg_bytes(arguments, cwd=folder) for arguments in (heard, made)))
        if late_s is not None:
            lags.append(sync.Lag(at_s, late_s))
    worst = sync.worst(lags)
    if worst is not None:
        off = f"{abs(worst.late_s) * 1000:.0f} ms {'late' if worst.late_s > 0 else 'early'}"
        raise CheckError(
            f"{rendition.file}: at {show_duration(worst.at_s)} its sound is {off}, "
            f"expected within {sync.MOST_S * 1000:.0f} ms of the film's"
        )


def check_manifests(folder: Path, package: Package, master: str, mpd: str) -> list[str]:
    """Reads the manifests in `folder` back. Raises CheckError for broken rules; returns what is only recommended."""
    sizes = tuple(StoredFile(path.name, path.stat().st_size, "", ()) for path in sorted(folder.iterdir()))
    complete = msgspec.structs.replace(package, files=sizes)
    documents = {path.name: path.read_text(encoding="utf-8") for path in folder.glob("*.m3u8")}
    findings = [
        *hls.broken_rules(master, documents, complete),
        *dash.broken_rules(mpd, (folder / mpd).read_bytes(), complete),
    ]
    broken = [finding for finding in findings if finding.is_must]
    if broken:
        raise CheckError(f"the package's manifests break rules: {sentence(broken)}")
    return [str(finding) for finding in findings]


def _demand_whole_file(name: str, index: FileIndex, size: int) -> None:
    _demand(name, "bytes", index.media_offset + sum(index.sizes), size)


def _demand(name: str, what: str, found: object, wanted: object) -> None:
    if found != wanted:
        raise CheckError(f"{name}: {what}: found {_short(found)}, expected {_short(wanted)}")


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 120 else text[:117] + "..."
