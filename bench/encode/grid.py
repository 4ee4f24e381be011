"""A clip at many sizes and at one constant rate factor each: what there is to choose from, with nothing clever done.

The best of it is the exhaustive hull, which a search may miss, and what a ladder of one factor for all shots can be.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

from bench.encode.subjects import Made, Rung, keyframe_arguments, media_bytes
from encoder.film.probe import film_url
from encoder.film.source import Source
from encoder.report.costs import cpu_s
from encoder.running.process import Tools

FACTORS = (15, 18, 21, 24, 27, 30, 33, 36, 39)


def grid(
    clip: Path, source: Source, folder: Path, tools: Tools, sizes: Sequence[tuple[int, int]],
    keyframes: Sequence[int], preset: str,
) -> Made:  # fmt: skip
    """Each of `sizes` at each of FACTORS by x264, with keyframes where they are given (frames)."""
    place = folder / "grid"
    place.mkdir()
    before = cpu_s()
    rungs = [
        _encode(clip, source, place, tools, size, factor, keyframes, preset) for size in sizes for factor in FACTORS
    ]
    return Made("one factor", tuple(rungs), cpu_s() - before, 0.0, "as ours", 0.0, tuple(keyframes))


def _encode(
    clip: Path, source: Source, folder: Path, tools: Tools, size: tuple[int, int], factor: int,
    keyframes: Sequence[int], preset: str,
) -> Rung:  # fmt: skip
    width, height = size
    file = folder / f"{height}-{factor}.mp4"
    rate: Fraction = source.video.frame_rate
    tools.ffmpeg(
        ["-i", film_url(clip), "-map", f"0:{source.video.index}",
         "-vf", f"scale={width}:{height}:flags=bicubic+accurate_rnd,format=yuv420p",
         "-c:v", "libx264", "-preset", preset, "-profile:v", "high", "-crf", str(factor),
         *keyframe_arguments(keyframes, rate), "-threads", "1", "-fps_mode", "passthrough", file.name],
        cwd=folder,
    )  # fmt: skip
    bps = media_bytes(tools, file) * 8 / float(source.duration)
    return Rung(f"{height}-{factor}", file, width, height, bps, 0.0)
