"""The film as all subjects get it: of any clip a plain one, so that nobody is measured by what he takes a clip for.

Plain is: a constant frame rate, progressive, upright, square pixels, even sides, a standard dynamic range, the first
stream, from 0 s on. What is not so is made so once, without loss, and all subjects encode that; a clip that is plain
already is taken as it is.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from encoder.film.probe import film_url
from encoder.film.source import Source
from encoder.running.process import Tools
from encoder.video.ladder import display_size, output_rate

# VMAF v0.6.1 knows nothing but BT.709: as the product shows HDR to screens that cannot.
_TONE_MAPPED = (
    "zscale=t=linear:npl=100,format=gbrpf32le,zscale=p=bt709,tonemap=hable:desat=0,zscale=t=bt709:m=bt709:r=limited"
)
# Intra, and decoded in a seventh of the time of FFV1, which would take as long as x264 needs for half a rung.
LOSSLESS = "utvideo"


class Limits(NamedTuple):
    """What is taken of a clip; 0 for all of it."""

    seconds: float = 0.0
    lines: int = 0


def master(tools: Tools, clip: Path, source: Source, folder: Path, limits: Limits) -> tuple[Path, list[str]]:
    """The plain film, and sentences on what was changed."""
    notes = _changes(clip, source, limits)
    if not notes:
        return clip, []
    video = source.video
    width, height = _size(source, limits)
    filters = [
        "setpts=PTS-STARTPTS",
        *(["bwdif=mode=send_frame"] if video.interlaced else []),
        *([_TONE_MAPPED] if video.colour.is_hdr else []),
        f"fps={output_rate(video.frame_rate)}",
        f"scale={width}:{height}:flags=lanczos+accurate_rnd",
        "setsar=1",
        "format=yuv420p",
    ]
    file = folder / f"{clip.stem}.master.mkv"
    seconds = ["-t", f"{limits.seconds:g}"] if limits.seconds else []
    tools.ffmpeg(
        ["-i", film_url(clip), "-map", f"0:{video.index}", *seconds, "-vf", ",".join(filters), "-c:v", LOSSLESS,
         "-fps_mode", "passthrough", "-map_metadata", "-1", "-f", "matroska", file.name],
        cwd=folder,
    )  # fmt: skip
    return file, notes


def _changes(clip: Path, source: Source, limits: Limits) -> list[str]:
    video = source.video
    width, height = display_size(video)
    sayings = (
        (video.index != 0 or video.start != 0, "its picture was taken alone, and from 0 s on"),
        (not video.is_constant, "its variable frame rate was made constant"),
        (video.interlaced, "it was deinterlaced"),
        (video.colour.is_hdr, "it is HDR and was tone-mapped, for VMAF v0.6.1 knows none"),
        ((video.width, video.height) != (width, height), "its pixels were made square and upright"),
        (bool(width % 2 or height % 2), "its odd sides were made even"),
        (output_rate(video.frame_rate) != video.frame_rate, "its frame rate was halved"),
        (bool(limits.lines) and min(width, height) > limits.lines, f"it was scaled down to {limits.lines} lines"),
        (0 < limits.seconds < float(source.duration), f"its first {limits.seconds:g} s were taken"),
    )
    return [f"{clip.name}: {words}" for is_so, words in sayings if is_so]


def _size(source: Source, limits: Limits) -> tuple[int, int]:
    width, height = display_size(source.video)
    scale = min(1.0, limits.lines / min(width, height)) if limits.lines else 1.0
    return max(2, int(width * scale / 2) * 2), max(2, int(height * scale / 2) * 2)
