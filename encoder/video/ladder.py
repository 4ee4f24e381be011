"""The ladder: which sizes a film is encoded in, at what quality and under what cap.

Quality is a constant rate factor, so an easy film gets few bits, and a cap (VBV) keeps a hard one playable on the link
that its size is meant for. Pure: a `Source` in, rungs out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from encoder.film.source import Source, VideoStream
from encoder.video.codec import H264, Codec

# Boxes that a rung fits into, whatever the film's shape; a film that stands on end gets them on end. Apple's authoring
# guide with its doubled rungs left out: under a constant rate factor two rungs of one size differ too little.
_BOXES = ((3840, 2160), (2560, 1440), (1920, 1080), (1280, 720), (960, 540), (640, 360), (416, 234))
# Boxes of a ladder that is chosen by quality: closer, for rungs then stand where they are worth their bits.
_CLOSE_BOXES = (*_BOXES[:3], (1600, 900), (1280, 720), (960, 540), (768, 432), (640, 360), (480, 270), (384, 216))
# A rung must be this much smaller than the one above: closer ones cost storage and a switch that nobody sees.
_STEP, _CLOSE_STEP = 0.8, 0.9
# Below the film's own size nothing smaller is worth a rung.
_SMALLEST_SIDE = 90
# The cap of 1080p at up to 30 frames/s, from Apple's guide; other sizes by pixels^0.75, which gives its 2-4.5 Mbit/s
# for 540p and 720p, and by the square root of the frame rate, for neighbouring frames resemble each other more.
_CAP_1080P = 6_000_000
_CAP_PIXELS = 1920 * 1080
_CAP_EXPONENT = 0.75
_CAP_RATE = 30
_HIGHEST_1080P = 7_800_000
_MOST_PEAK = 2
# HLS asks that the peak be at most twice the average; a buffer of a second and a half keeps a 4 s segment within 1.4.
_BUFFER_S = 1.5
# Pixels. Three ladders of 1080p take 1.8 GB in one job, and 16 % less processor time than in three (x264 veryfast).
_LARGEST_TOGETHER = 1920 * 1080
# Above 60 frames/s no common player has a hardware decoder for H.264 at full size, and the bits go up for nothing that
# a 60 Hz screen shows.
_HIGHEST_RATE = 60


@dataclass(frozen=True)
class Rung:
    """One video rendition to be made. Square pixels; `maxrate` in bit/s, `bufsize` in bits, 0 for no cap.

    `crf` is its quality, the constant rate factor of its codec's encoder; `shot_crfs` are those of shots that have
    their own.
    """

    name: str
    width: int
    height: int
    crf: float
    maxrate: int
    bufsize: int
    level: str
    codec: Codec = H264
    depth: int = 8  # bits of a sample
    is_hdr: bool = False  # as the film is; else HDR becomes SDR
    tells_display: bool = True  # that HDR was graded on
    vmaf: float = 0.0  # what it was chosen to have; 0 if it was not chosen by that
    shot_crfs: tuple[float, ...] = ()

    def crf_of(self, shot: int | None) -> float:
        return self.shot_crfs[shot] if shot is not None and self.shot_crfs else self.crf


def ladder(source: Source, codec: Codec = H264) -> tuple[Rung, ...]:
    """The rungs that fit a film whatever it shows, largest first; at least one, none larger than the film."""
    rate = output_rate(source.video.frame_rate)
    return tuple(_rung(source, size, rate, codec) for size in _sizes(source, _BOXES, _STEP))


def jobs(rungs: Sequence[Rung]) -> list[list[Rung]]:
    """The rungs that one job encodes: all of them, for the film is then decoded once.

    Of a film above 1080p those of one codec: the encoders of a job hold their pictures at the same time.
    """
    if all(rung.width * rung.height <= _LARGEST_TOGETHER for rung in rungs):
        return [list(rungs)]
    return [[rung for rung in rungs if rung.codec is codec] for codec in dict.fromkeys(rung.codec for rung in rungs)]


def fits(source: Source, codec: Codec) -> bool:
    """Whether the film is large enough for the codec."""
    return min(_sizes(source, _BOXES, _STEP)[0]) >= codec.smallest_side


def candidate_sizes(source: Source) -> list[tuple[int, int]]:
    """Widths and heights that a rung may have, largest first; at least one."""
    return _sizes(source, _CLOSE_BOXES, _CLOSE_STEP)


def rung_of(
    source: Source,
    size: tuple[int, int],
    crf: float,
    *,
    name: str,
    average_bps: float = 0.0,
    vmaf: float = 0.0,
    codec: Codec = H264,
) -> Rung:
    """A rung that was chosen by its quality; capped at twice its average, as HLS asks, or not if that is not known."""
    rate = output_rate(source.video.frame_rate)
    cap = round(_MOST_PEAK * average_bps / 1000) * 1000
    return Rung(
        name=name,
        width=size[0],
        height=size[1],
        crf=round(crf, 2),
        maxrate=cap,
        bufsize=cap,
        level=codec.level(*size, rate, cap or highest_bps(size, rate)),
        codec=codec,
        depth=_depth(source.video, codec),
        is_hdr=keeps_hdr(source, codec),
        vmaf=round(vmaf, 2),
    )


def _depth(video: VideoStream, codec: Codec) -> int:
    return min(video.depth, codec.deepest)


def keeps_hdr(source: Source, codec: Codec) -> bool:
    """Whether rungs of this codec are as bright as the film; not in 8 bit, which would show bands."""
    return source.video.colour.is_hdr and _depth(source.video, codec) > H264.deepest


def highest_bps(size: tuple[int, int], rate: Fraction) -> float:
    """What no rung exceeds on average, in bit/s: Apple's highest, 7.8 Mbit/s for 1080p at up to 30 frames/s."""
    return _HIGHEST_1080P / _CAP_1080P * _cap(*size, rate)


def _sizes(source: Source, boxes: Sequence[tuple[int, int]], step: float) -> list[tuple[int, int]]:
    width, height = display_size(source.video)
    sizes: list[tuple[int, int]] = []
    for box in (None, *boxes):
        size = _fit(width, height, box or _BOXES[0])
        # The first size is the film's own (or the largest box); a box that it fits into as it is adds nothing.
        if not sizes or (size[1] <= step * sizes[-1][1] and min(size) >= _SMALLEST_SIDE):
            sizes.append(size)
    return sizes


def display_size(video: VideoStream) -> tuple[int, int]:
    """Width and height as people see the film: square pixels, upright.

    A non-square pixel is made square by stretching its shorter side, as DVDs are shown (720x576 at 64:45 is 1024x576):
    the other way would throw lines or columns away.
    """
    aspect = video.sample_aspect
    width = round(video.width * max(aspect, Fraction(1)))
    height = round(video.height / min(aspect, Fraction(1)))
    return (height, width) if video.rotation in (90, 270) else (width, height)


def output_rate(rate: Fraction) -> Fraction:
    """The frame rate of the ladder: the film's, halved until it is at most 60."""
    while rate > _HIGHEST_RATE:
        rate /= 2
    return rate


def _fit(width: int, height: int, box: tuple[int, int]) -> tuple[int, int]:
    """The size in even numbers (4:2:0 needs them) that fits the box, and never above the film's own."""
    across, down = box if width >= height else (box[1], box[0])
    scale = min(1.0, across / width, down / height)
    return _even(width * scale, width), _even(height * scale, height)


def _even(wanted: float, limit: int) -> int:
    return max(2, min(round(wanted / 2) * 2, limit - limit % 2))


def _rung(source: Source, size: tuple[int, int], rate: Fraction, codec: Codec) -> Rung:
    maxrate = max(50_000, round(codec.cap_share * _cap(*size, rate) / 1000) * 1000)
    return Rung(
        name=codec.rung_name(f"v{size[1]}"),
        width=size[0],
        height=size[1],
        crf=codec.fixed_crf,
        maxrate=maxrate,
        bufsize=round(maxrate * _BUFFER_S),
        level=codec.level(*size, rate, maxrate),
        codec=codec,
        depth=_depth(source.video, codec),
        is_hdr=keeps_hdr(source, codec),
    )


def _cap(width: int, height: int, rate: Fraction) -> float:
    tempo = math.sqrt(max(1.0, float(rate) / _CAP_RATE))
    scale: float = (width * height / _CAP_PIXELS) ** _CAP_EXPONENT
    return _CAP_1080P * scale * tempo
