"""What a film's sample values mean: colour space, dynamic range, and the screen that HDR was graded on.

Names are ffmpeg's; numbers are those of ISO/IEC 23091-2 (CICP), which DASH, HEVC and AV1 share.

Pure: what ffprobe says of a stream in, values out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal, TypeAlias

VideoRange: TypeAlias = Literal["SDR", "PQ", "HLG"]  # as HLS says (RFC 8216bis 4.4.6.2)

# BT.2100's two curves.
RANGES: Mapping[str, VideoRange] = {"smpte2084": "PQ", "arib-std-b67": "HLG"}
# Colour primaries, transfer characteristics and matrix coefficients of what we make in HDR.
CICP: Mapping[VideoRange, tuple[int, int, int]] = {"PQ": (9, 16, 9), "HLG": (9, 18, 9)}
# ffprobe's names of side data.
MASTERING, LIGHT = "Mastering display metadata", "Content light level metadata"
_DOLBY, _HDR10_PLUS = "DOVI configuration record", "HDR Dynamic Metadata SMPTE2094-40 (HDR10+)"
# Units of x265's option and of the SEI message: SMPTE ST 2086.
_CHROMATICITY, _LUMINANCE = 50_000, 10_000

Point: TypeAlias = tuple[Fraction, Fraction]


@dataclass(frozen=True)
class MasteringDisplay:
    """SMPTE ST 2086: CIE 1931 xy of the primaries and the white point, cd/m2 of black and white."""

    red: Point
    green: Point
    blue: Point
    white: Point
    black_nits: Fraction
    white_nits: Fraction

    @property
    def numbers(self) -> tuple[Fraction, ...]:
        return (*self.red, *self.green, *self.blue, *self.white, self.black_nits, self.white_nits)

    @property
    def in_x265(self) -> str:
        points = zip("GBR", (self.green, self.blue, self.red), strict=True)
        colours = "".join(f"{name}({_units(point)})" for name, point in points)
        luminance = f"{round(self.white_nits * _LUMINANCE)},{round(self.black_nits * _LUMINANCE)}"
        return f"{colours}WP({_units(self.white)})L({luminance})"

    @property
    def in_svt_av1(self) -> str:
        points = zip("GBR", (self.green, self.blue, self.red), strict=True)
        colours = "".join(f"{name}({_decimals(*point)})" for name, point in points)
        return f"{colours}WP({_decimals(*self.white)})L({_decimals(self.white_nits, self.black_nits)})"


def _units(point: Point) -> str:
    return ",".join(str(round(part * _CHROMATICITY)) for part in point)


def _decimals(*values: Fraction) -> str:
    return ",".join(f"{float(value):.5f}" for value in values)


@dataclass(frozen=True)
class LightLevel:
    """CTA-861.3: cd/m2 of the brightest pixel, and of the brightest frame on average."""

    pixel: int
    frame: int

    def __str__(self) -> str:
        return f"{self.pixel},{self.frame}"


@dataclass(frozen=True)
class Colour:
    """ffmpeg's names; "" where the film does not say."""

    primaries: str = ""
    transfer: str = ""
    matrix: str = ""
    full_range: bool = False
    mastering: MasteringDisplay | None = None
    light: LightLevel | None = None

    @property
    def video_range(self) -> VideoRange:
        return RANGES.get(self.transfer, "SDR")

    @property
    def is_hdr(self) -> bool:
        return self.transfer in RANGES


def read_colour(stream: Mapping[str, Any]) -> Colour:
    """Of a stream as ffprobe describes it."""

    def known(key: str) -> str:
        value = stream.get(key, "")
        return "" if value in ("unknown", "unspecified", "reserved") else value

    full = stream.get("color_range") in ("pc", "jpeg") or stream.get("pix_fmt", "").startswith("yuvj")
    side = stream.get("side_data_list", [])
    return Colour(
        known("color_primaries"), known("color_transfer"), known("color_space"), full, _mastering(side), _light(side)
    )


def dynamic_metadata(stream: Mapping[str, Any]) -> list[str]:
    """Names of what is said of each picture for screens that adapt to it, beside what this module reads."""
    side = stream.get("side_data_list", [])
    found = (f"Dolby Vision profile {data.get('dv_profile')}" for data in side if data.get("side_data_type") == _DOLBY)
    return [*found, *("HDR10+" for data in side if data.get("side_data_type") == _HDR10_PLUS)]


def has_base_layer(stream: Mapping[str, Any]) -> bool:
    """Whether its pictures are right without Dolby Vision: those of profile 5 are in colours of its own."""
    side = stream.get("side_data_list", [])
    return all(data.get("dv_bl_signal_compatibility_id") for data in side if data.get("side_data_type") == _DOLBY)


def _mastering(side: Sequence[Mapping[str, Any]]) -> MasteringDisplay | None:
    """None as well if only a part of it is said: an encoder takes all or nothing."""
    try:
        found = next(data for data in side if data.get("side_data_type") == MASTERING)
        points = [
            (Fraction(found[f"{name}_x"]), Fraction(found[f"{name}_y"]))
            for name in ("red", "green", "blue", "white_point")
        ]
        red, green, blue, white = points
        display = MasteringDisplay(
            red, green, blue, white, Fraction(found["min_luminance"]), Fraction(found["max_luminance"])
        )
    except (StopIteration, KeyError, ValueError, ZeroDivisionError):
        return None
    return display if display.white_nits > display.black_nits else None


def _light(side: Sequence[Mapping[str, Any]]) -> LightLevel | None:
    found = next((data for data in side if data.get("side_data_type") == LIGHT), None)
    if found is None or not found.get("max_content"):
        return None
    return LightLevel(int(found["max_content"]), int(found.get("max_average", 0)))
