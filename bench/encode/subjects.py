"""Who encodes a clip, and what it cost: the product's own encode, and Apple's rungs by the same encoder and preset."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from fractions import Fraction
from itertools import accumulate
from pathlib import Path
from typing import NamedTuple

from bench.encode.metered import Metered, cpu_s
from config.encoder import EncoderSettings
from encoder import package
from encoder.package import Package
from encoder.pipeline import encode
from encoder.process import Tools
from encoder.source import Source

# Apple's authoring guide for H.264: width, height, bit/s. Those above the clip's size are left out.
APPLE = (
    (416, 234, 145_000), (640, 360, 365_000), (768, 432, 730_000), (768, 432, 1_100_000), (960, 540, 2_000_000),
    (1280, 720, 3_000_000), (1280, 720, 4_500_000), (1920, 1080, 6_000_000), (1920, 1080, 7_800_000),
)  # fmt: skip
# What Apple asks for: a keyframe each two seconds.
_APPLE_GOP_S = 2
_STAGES_OF_SEARCH = ("shots", "trials")


class Rung(NamedTuple):
    """One video file on disk; `bps` without what its container adds once."""

    name: str
    file: Path
    width: int
    height: int
    bps: float
    wanted_vmaf: float  # 0 if nobody asked for one


class Made(NamedTuple):
    """What a subject made of a clip."""

    subject: str
    rungs: tuple[Rung, ...]
    cpu_s: float  # of the final encodes
    search_cpu_s: float  # of what came before them to find out how
    gop: str  # the rule of its keyframes, in words
    longest_segment_s: float
    keyframes: tuple[int, ...]


def ours(clip: Path, folder: Path, settings: EncoderSettings, *, quiet: bool) -> tuple[Made, Package]:
    """The product's own encode, from its package on disk."""
    meter = Metered(quiet=quiet)
    made = encode(clip, "clip", folder / "ours", dataclasses.replace(settings, work=folder / "work"), meter)
    manifest = package.decode((made / package.MANIFEST_NAME).read_bytes())
    videos = manifest.of_kind("video")
    rungs = tuple(
        Rung(one.name, made / one.file, one.width, one.height, sum(one.sizes) * 8 / manifest.duration, one.vmaf)
        for one in videos
    )
    frames = [round(ticks * Fraction(videos[0].frame_rate) / videos[0].timescale) for ticks in videos[0].durations]
    return Made(
        "nearcast",
        rungs,
        meter.cpu_s["video"],
        sum(meter.cpu_s.get(stage, 0.0) for stage in _STAGES_OF_SEARCH),
        f"at cuts and at most {settings.segment_duration:g} s",
        max(videos[0].durations) / videos[0].timescale,
        tuple(accumulate(frames[:-1], initial=0)),
    ), manifest


def fixed(
    clip: Path, source: Source, folder: Path, preset: str, tools: Tools, *, keyframes: Sequence[int] = ()
) -> Made:
    """Apple's rungs in two passes. Keyframes each two seconds, or where they are given (frames)."""
    name = "apple, our keyframes" if keyframes else "apple"
    place = folder / name.replace(", ", "-").replace(" ", "-")
    place.mkdir(parents=True, exist_ok=True)
    rate = source.video.frame_rate
    gop = round(_APPLE_GOP_S * rate)
    before = cpu_s()
    wanted = [one for one in APPLE if one[1] <= source.video.height] or [APPLE[0]]
    rungs = [_two_pass(clip, place, tools, one, preset, rate, gop, keyframes) for one in wanted]
    duration = float(source.duration)
    return Made(
        name,
        tuple(
            Rung(file.stem, file, width, height, _media_bytes(tools, file) * 8 / duration, 0.0)
            for file, (width, height, _) in zip(rungs, wanted, strict=True)
        ),
        cpu_s() - before,
        0.0,
        "as ours" if keyframes else f"each {_APPLE_GOP_S} s",
        float(_APPLE_GOP_S),
        tuple(keyframes) or tuple(range(0, source.video.frames, gop)),
    )


def _two_pass(
    clip: Path, folder: Path, tools: Tools, rung: tuple[int, int, int], preset: str, rate: Fraction, gop: int,
    keyframes: Sequence[int],
) -> Path:  # fmt: skip
    width, height, bps = rung
    file = folder / f"{height}-{bps // 1000}.mp4"
    if keyframes:
        times = ",".join(f"{float((frame - Fraction(1, 2)) / rate):.6f}" for frame in keyframes[1:]) or "0"
        grid = ["-force_key_frames", times, "-x264-params", "keyint=infinite:scenecut=0:open-gop=0"]
    else:
        grid = ["-g", str(gop), "-keyint_min", str(gop), "-sc_threshold", "0"]
    for number, output in ((1, ["-f", "null", "-"]), (2, [file.name])):
        tools.ffmpeg(
            ["-i", str(clip.resolve()), "-map", "0:v:0", "-vf", f"scale={width}:{height}:flags=bicubic,format=yuv420p",
             "-c:v", "libx264", "-preset", preset, "-profile:v", "high", "-b:v", str(bps),
             "-maxrate", str(bps * 3 // 2), "-bufsize", str(bps * 2), *grid, "-threads", "2",
             "-pass", str(number), "-passlogfile", file.stem, "-fps_mode", "passthrough", *output],
            cwd=folder,
        )  # fmt: skip
    return file


def _media_bytes(tools: Tools, file: Path) -> int:
    """Of the pictures alone."""
    arguments = ["-v", "error", "-select_streams", "v:0", "-show_entries", "packet=size", "-of", "csv=p=0", str(file)]
    return tools.ffprobe_lines(
        arguments, lambda lines: sum(int(line.strip().rstrip(",")) for line in lines if line.strip())
    )
