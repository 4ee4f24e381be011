"""AV1's open bitstream units, as far as HDR goes: the screen that a film was graded on and how bright it gets.

ffprobe reads that of pictures it can decode, and our ffprobe decodes no AV1.

Pure: bytes in, ffprobe's words out. Section numbers are of the AV1 Bitstream & Decoding Process Specification.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

from encoder.errors import PackageError
from encoder.film.colour import LIGHT, MASTERING

# Types of units (6.2.2) and of metadata (6.7.1).
_METADATA, _METADATA_CLL, _METADATA_MDCV = 5, 1, 2
# 6.7.4: chromaticities have 16 bits after the point, the luminance of white 8, that of black 14.
_CHROMATICITY, _WHITE, _BLACK = 1 << 16, 1 << 8, 1 << 14


def side_data(units: bytes) -> list[dict[str, Any]]:
    """Mastering display and content light level, each if it is there. Raises PackageError for what is no AV1."""
    try:
        found = [_side_data(payload) for kind, payload in _walk(units) if kind == _METADATA]
    except (IndexError, struct.error) as error:
        raise PackageError(f"an AV1 stream ends within a unit: {error}") from error
    return [one for one in found if one]


def _walk(units: bytes) -> Iterator[tuple[int, bytes]]:
    """Type and payload of each unit (5.3)."""
    at = 0
    while at < len(units):
        header = units[at]
        at += 2 if header & 0b100 else 1
        size, at = _leb128(units, at) if header & 0b10 else (len(units) - at, at)
        yield header >> 3 & 0b1111, units[at : at + size]
        at += size


def _leb128(data: bytes, at: int) -> tuple[int, int]:
    """A number of 7 bits a byte, lowest first (4.10.5), and where it ends."""
    value = 0
    for place in range(8):
        value |= (data[at + place] & 0x7F) << 7 * place
        if not data[at + place] & 0x80:
            return value, at + place + 1
    raise IndexError("a number of more than eight bytes")


def _side_data(payload: bytes) -> dict[str, Any]:
    kind, at = _leb128(payload, 0)
    if kind == _METADATA_CLL:
        pixel, frame = struct.unpack_from(">HH", payload, at)
        return {"side_data_type": LIGHT, "max_content": pixel, "max_average": frame}
    if kind == _METADATA_MDCV:
        *points, white, black = struct.unpack_from(">8HII", payload, at)
        names = ("red_x", "red_y", "green_x", "green_y", "blue_x", "blue_y", "white_point_x", "white_point_y")
        return {
            "side_data_type": MASTERING,
            **{name: f"{point}/{_CHROMATICITY}" for name, point in zip(names, points, strict=True)},
            "max_luminance": f"{white}/{_WHITE}",
            "min_luminance": f"{black}/{_BLACK}",
        }
    return {}
