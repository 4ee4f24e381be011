"""The codecs that a film is encoded with: what each one's encoder is called, its scale of quality, presets and limits.

H.264 plays everywhere and is always made. HEVC and AV1 are made beside it if they are asked for: a ladder of their own
on the same segments, for players that say they can.

Pure values; encoder/video/encoders.py makes an encoder's arguments of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import NamedTuple


class Level(NamedTuple):
    """What a decoder of this level does at most; sizes in luma samples, as each standard counts them."""

    name: str
    samples_per_second: int
    samples: int  # of one picture
    width: int
    height: int
    bps: int


@dataclass(frozen=True, eq=False)
class Codec:
    """One of CODECS, also after a process has sent it to another.

    The rate factor is its encoder's own scale of quality: lower is better, and larger.
    """

    name: str  # as settings and names of files have it
    label: str  # as people do
    encoder: str  # ffmpeg's
    tag: str  # the sample entry of its MP4 files: parameter sets stand there, never in between (hvc1, not hev1)
    suffix: str  # of its bare streams, and ffmpeg's name of that format
    fixed_crf: float  # of all rungs of the fixed ladder
    lowest_crf: float  # better than anybody asks for
    highest_crf: float  # as bad as a rung may get
    crf_step: float  # no encoder makes a difference of less
    trial_crfs: tuple[float, ...]  # from better than any rung to worse than most
    cap_share: float  # of the bits that H.264 needs
    deepest: int  # bits of a sample at most
    delay: int  # pictures that are decoded before they are shown, at its deepest order
    smallest_side: int  # that its encoder takes, in pixels
    block: int  # sides are counted in whole blocks of so many pixels
    levels: tuple[Level, ...] = field(repr=False)
    presets: Mapping[str, str] = field(repr=False)

    def __reduce__(self) -> tuple[Callable[[str], Codec], tuple[str]]:
        return _named, (self.name,)

    def rung_name(self, plain: str) -> str:
        """The name of a rung that is called `plain` among those of its codec."""
        return plain if self is H264 else f"{plain}-{self.name}"

    def level(self, width: int, height: int, rate: Fraction, bps: float) -> str:
        """The lowest level that allows this; the highest there is if none does."""
        across, down = (-(-side // self.block) * self.block for side in (width, height))
        return next(
            (
                level.name
                for level in self.levels
                if across * down <= level.samples
                and across <= level.width
                and down <= level.height
                and across * down * rate <= level.samples_per_second
                and bps <= level.bps
            ),
            self.levels[-1].name,
        )


def _by_blocks(name: str, blocks_per_second: int, blocks: int, kbps: int) -> Level:
    """A level of H.264: counted in macroblocks, its bit rate that of High profile, 1.25 times that of the table."""
    # A.3.1: no side is longer than sqrt(8 x macroblocks).
    side = 16 * math.isqrt(8 * blocks)
    return Level(name, 256 * blocks_per_second, 256 * blocks, side, side, 1250 * kbps)


def _by_samples(name: str, samples_per_second: int, samples: int, kbps: int) -> Level:
    """A level of HEVC, main tier; of the sides it says what H.264 says (A.4.1)."""
    side = math.isqrt(8 * samples)
    return Level(name, samples_per_second, samples, side, side, 1000 * kbps)


# H.264 Annex A, Table A-1.
_H264_LEVELS = tuple(
    _by_blocks(*limits)
    for limits in (
        ("1.0", 1_485, 99, 64), ("1.1", 3_000, 396, 192), ("1.2", 6_000, 396, 384), ("1.3", 11_880, 396, 768),
        ("2.0", 11_880, 396, 2_000), ("2.1", 19_800, 792, 4_000), ("2.2", 20_250, 1_620, 4_000),
        ("3.0", 40_500, 1_620, 10_000), ("3.1", 108_000, 3_600, 14_000), ("3.2", 216_000, 5_120, 20_000),
        ("4.0", 245_760, 8_192, 20_000), ("4.1", 245_760, 8_192, 50_000), ("4.2", 522_240, 8_704, 50_000),
        ("5.0", 589_824, 22_080, 135_000), ("5.1", 983_040, 36_864, 240_000), ("5.2", 2_073_600, 36_864, 240_000),
    )
)  # fmt: skip
# H.265 Annex A, Tables A.8 and A.9.
_HEVC_LEVELS = tuple(
    _by_samples(*limits)
    for limits in (
        ("1.0", 552_960, 36_864, 128), ("2.0", 3_686_400, 122_880, 1_500), ("2.1", 7_372_800, 245_760, 3_000),
        ("3.0", 16_588_800, 552_960, 6_000), ("3.1", 33_177_600, 983_040, 10_000),
        ("4.0", 66_846_720, 2_228_224, 12_000), ("4.1", 133_693_440, 2_228_224, 20_000),
        ("5.0", 267_386_880, 8_912_896, 25_000), ("5.1", 534_773_760, 8_912_896, 40_000),
        ("5.2", 1_069_547_520, 8_912_896, 60_000),
    )
)  # fmt: skip
# AV1 Bitstream & Decoding Process Specification, Annex A.3: MaxDisplayRate, MaxPicSize, MaxHSize, MaxVSize, MainMbps.
_AV1_LEVELS = (
    Level("2.0", 4_423_680, 147_456, 2048, 1152, 1_500_000),
    Level("2.1", 8_363_520, 278_784, 2816, 1584, 3_000_000),
    Level("3.0", 19_975_680, 665_856, 4352, 2448, 6_000_000),
    Level("3.1", 31_950_720, 1_065_024, 5504, 3096, 10_000_000),
    Level("4.0", 70_778_880, 2_359_296, 6144, 3456, 12_000_000),
    Level("4.1", 141_557_760, 2_359_296, 6144, 3456, 20_000_000),
    Level("5.0", 267_386_880, 8_912_896, 8192, 4352, 30_000_000),
    Level("5.1", 534_773_760, 8_912_896, 8192, 4352, 40_000_000),
    Level("5.2", 1_069_547_520, 8_912_896, 8192, 4352, 60_000_000),
)

_WORDS = ("ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow")

H264 = Codec(
    name="h264",
    label="H.264",
    encoder="libx264",
    tag="avc1",
    suffix="h264",
    # The cap decides for hard films; 21 keeps easy ones near VMAF 94 at the top rung.
    fixed_crf=21,
    lowest_crf=14,
    highest_crf=38,
    crf_step=0.25,
    trial_crfs=(21, 33),
    cap_share=1.0,
    deepest=8,  # what every decoder takes
    delay=2,  # a pyramid of B-frames
    smallest_side=2,
    block=16,
    levels=_H264_LEVELS,
    presets={word: word for word in _WORDS},
)
HEVC = Codec(
    name="hevc",
    label="HEVC",
    encoder="libx265",
    tag="hvc1",
    suffix="hevc",
    fixed_crf=24,
    lowest_crf=14,
    highest_crf=41,
    crf_step=0.25,
    trial_crfs=(20, 32),
    cap_share=0.7,
    deepest=10,
    delay=2,
    smallest_side=16,
    block=8,
    levels=_HEVC_LEVELS,
    presets={word: word for word in _WORDS},
)
AV1 = Codec(
    name="av1",
    label="AV1",
    encoder="libsvtav1",
    tag="av01",
    suffix="obu",
    fixed_crf=35,
    lowest_crf=12,
    highest_crf=63,
    crf_step=0.25,
    trial_crfs=(28, 56),
    cap_share=0.6,
    deepest=10,
    delay=0,  # what is not shown at once is no sample of its own
    smallest_side=16,
    block=1,
    levels=_AV1_LEVELS,
    # Of 1.0 to 1.6 times the processor time of x264's (measured at 360p); those above 9 are meant for SVT-AV1's own
    # tests, as it says itself.
    presets=dict(zip(_WORDS, ("9", "9", "9", "9", "8", "7", "6", "5", "4"), strict=True)),
)
CODECS = {codec.name: codec for codec in (H264, HEVC, AV1)}


def _named(name: str) -> Codec:
    return CODECS[name]


def chosen(names: Iterable[str]) -> tuple[Codec, ...]:
    """The codecs of these names, always in the same order, and H.264 whether it is asked for or not."""
    wanted = {H264.name, *names}
    return tuple(codec for name, codec in CODECS.items() if name in wanted)
