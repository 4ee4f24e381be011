"""Who encodes a clip, and what it cost: the product's own encode, and Apple's rungs by the same encoder and preset."""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Sequence
from fractions import Fraction
from itertools import accumulate
from pathlib import Path
from typing import NamedTuple

from bench.encode.memory import PeakMemory
from bench.encode.metered import Metered
from bench.rows import OURS
from config.encoder import EncoderSettings
from encoder import package
from encoder.errors import ToolError
from encoder.film.source import Source
from encoder.package import Package
from encoder.pipeline import encode
from encoder.report.costs import cpu_s
from encoder.running.process import Tools
from encoder.video.codec import H264, Codec, chosen
from encoder.video.ladder import display_size

# Apple's authoring guide for H.264: width, height, bit/s. Those above the clip's size are left out.
APPLE = (
    (416, 234, 145_000), (640, 360, 365_000), (768, 432, 730_000), (768, 432, 1_100_000), (960, 540, 2_000_000),
    (1280, 720, 3_000_000), (1280, 720, 4_500_000), (1920, 1080, 6_000_000), (1920, 1080, 7_800_000),
)  # fmt: skip
# What Apple asks for: a keyframe each two seconds.
_APPLE_GOP_S = 2
# Labels of the encoder's bars; what scoring takes within one stands under "{label} VMAF".
_SEARCH, _FINAL, _SCORED = ("shots", "trials", "corrections"), "video", " VMAF"


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
    memory: int = 0  # bytes that its processes held at most
    wall_s: float = 0.0
    scoring_cpu_s: float = 0.0  # of VMAF of the final encodes: what checking them takes
    others: float = 0.0  # the share of the processors that everybody else took meanwhile
    whole_cpu_s: float = 0.0  # with all that is done beside: reading, sound, packaging, checks


def ours(clip: Path, folder: Path, settings: EncoderSettings, *, quiet: bool) -> list[Made]:
    """The product's own encode, from its package on disk: each codec's rungs, with what all codecs cost together."""
    meter = Metered(quiet=quiet)
    before, busy_before_s, began = cpu_s(), _busy_s(), time.monotonic()
    with PeakMemory() as memory:
        made = encode(clip, "clip", folder / "ours", dataclasses.replace(settings, work=folder / "work"), meter)
    wall_s, whole_cpu_s = time.monotonic() - began, cpu_s() - before
    others_s = max(0.0, _busy_s() - busy_before_s - whole_cpu_s)
    manifest = package.decode((made / package.MANIFEST_NAME).read_bytes())
    search = [label for label in meter.cpu_s if label.removesuffix(_SCORED) in _SEARCH]
    cost = Made(
        OURS,
        (),
        meter.cpu_s[_FINAL],
        sum(meter.cpu_s[label] for label in search),
        f"at cuts and at most {settings.segment_duration:g} s",
        0.0,
        (),
        memory.size,
        wall_s,
        meter.cpu_s.get(_FINAL + _SCORED, 0.0),
        others_s / wall_s / (os.cpu_count() or 1),
        whole_cpu_s,
    )
    return [_of_codec(cost, made, manifest, codec) for codec in chosen(settings.codecs)]


def _of_codec(cost: Made, folder: Path, manifest: Package, codec: Codec) -> Made:
    """One codec's rungs of the package in `folder`."""
    videos = [one for one in manifest.of_kind("video") if one.codecs.startswith(codec.tag)]
    frames = [round(ticks * Fraction(videos[0].frame_rate) / videos[0].timescale) for ticks in videos[0].durations]
    return cost._replace(
        subject=OURS if codec is H264 else f"{OURS} {codec.name}",
        rungs=tuple(
            Rung(one.name, folder / one.file, one.width, one.height, sum(one.sizes) * 8 / manifest.duration, one.vmaf)
            for one in videos
        ),
        longest_segment_s=max(videos[0].durations) / videos[0].timescale,
        keyframes=tuple(accumulate(frames[:-1], initial=0)),
    )


def _busy_s() -> float:
    """Seconds that all processors have worked, for anybody; 0 where the system does not say."""
    try:
        user, nice, system, _idle, _waiting, *rest = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]
    except OSError:
        return 0.0
    return sum(int(ticks) for ticks in (user, nice, system, *rest)) / os.sysconf("SC_CLK_TCK")


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
    wanted = apple_rungs(*display_size(source.video))
    rungs = [_two_pass(clip, place, tools, one, preset, rate, gop, keyframes) for one in wanted]
    duration = float(source.duration)
    return Made(
        name,
        tuple(
            Rung(file.stem, file, width, height, media_bytes(tools, file) * 8 / duration, 0.0)
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
    """One pass, and so named, where x264 finds the bitrate too low for the film: two would fail."""
    width, height, bps = rung
    file = folder / f"{height}-{bps // 1000}.mp4"
    grid = keyframe_arguments(keyframes, rate) if keyframes else _every(gop)
    arguments = [
        "-i", str(clip.resolve()), "-map", "0:v:0", "-vf", f"scale={width}:{height}:flags=bicubic,format=yuv420p",
        "-c:v", "libx264", "-preset", preset, "-profile:v", "high", "-b:v", str(bps),
        "-maxrate", str(bps * 3 // 2), "-bufsize", str(bps * 2), *grid, "-threads", "1", "-fps_mode", "passthrough",
    ]  # fmt: skip
    log = ["-passlogfile", file.stem]
    tools.ffmpeg([*arguments, "-pass", "1", *log, "-f", "null", "-"], cwd=folder)
    try:
        tools.ffmpeg([*arguments, "-pass", "2", *log, file.name], cwd=folder)
    except ToolError as error:
        if "bitrate is too low" not in str(error):
            raise
        file = file.with_stem(f"{file.stem}-one-pass")
        tools.ffmpeg([*arguments, file.name], cwd=folder)
    return file


def apple_rungs(width: int, height: int) -> list[tuple[int, int, int]]:
    """Apple's rungs for a film of this size: width, height, bit/s; boxes that it fits into, on end for one on end."""
    boxes = [(*(box[:2] if width >= height else box[1::-1]), box[2]) for box in APPLE]
    inside = [box for box in boxes if box[0] <= width or box[1] <= height] or [boxes[0]]
    return [(*_fit(width, height, box[0], box[1]), box[2]) for box in inside]


def _fit(width: int, height: int, across: int, down: int) -> tuple[int, int]:
    scale = min(1.0, across / width, down / height)
    return max(2, round(width * scale / 2) * 2), max(2, round(height * scale / 2) * 2)


def _every(gop: int) -> list[str]:
    return ["-g", str(gop), "-keyint_min", str(gop), "-sc_threshold", "0"]


def keyframe_arguments(keyframes: Sequence[int], rate: Fraction) -> list[str]:
    """Keyframes at these frames and nowhere else."""
    times = ",".join(f"{float((frame - Fraction(1, 2)) / rate):.6f}" for frame in keyframes[1:]) or "0"
    return ["-force_key_frames", times, "-x264-params", "keyint=infinite:scenecut=0:open-gop=0"]


def media_bytes(tools: Tools, file: Path) -> int:
    """Of the pictures alone."""
    arguments = ["-v", "error", "-select_streams", "v:0", "-show_entries", "packet=size", "-of", "csv=p=0", str(file)]
    return tools.ffprobe_lines(
        arguments, lambda lines: sum(int(line.strip().rstrip(",")) for line in lines if line.strip())
    )
