"""Units of AV1 as the specification has them, put together by hand."""

from __future__ import annotations

import struct
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from encoder.errors import PackageError
from encoder.film.colour import LightLevel, read_colour
from encoder.film.obus import side_data

LIGHT = struct.pack(">BHH", 1, 1000, 400)
# White 1000 cd/m2, black 0.005; the red of BT.2020 at 0.708, 0.292 in 1/65536.
MASTERING = struct.pack(">B8HII", 2, 46399, 19137, 11141, 52232, 8585, 3015, 20493, 21561, 1000 << 8, 82)


def unit(kind: int, payload: bytes, *, extended: bool = False) -> bytes:
    header = bytes([kind << 3 | (0b100 if extended else 0) | 0b10]) + (b"\0" if extended else b"")
    size, length = bytearray(), len(payload)
    while True:
        size.append(length & 0x7F | (0x80 if length > 0x7F else 0))
        length >>= 7
        if not length:
            return header + bytes(size) + payload


def test_display_and_light_are_found_among_other_units() -> None:
    units = unit(2, b"") + unit(1, bytes(200)) + unit(5, MASTERING) + unit(5, LIGHT, extended=True) + unit(6, bytes(9))
    colour = read_colour({"side_data_list": side_data(units)})
    assert colour.light == LightLevel(1000, 400)
    assert colour.mastering is not None
    assert [round(float(one), 3) for one in colour.mastering.red] == [0.708, 0.292]
    assert colour.mastering.white_nits == 1000
    assert round(float(colour.mastering.black_nits), 4) == 0.005


def test_other_metadata_says_nothing_of_this() -> None:
    assert side_data(unit(5, b"\x04itut-t35") + unit(1, b"x")) == []


def test_unit_without_a_size_goes_to_the_end() -> None:
    assert len(side_data(bytes([5 << 3]) + LIGHT)) == 1


def test_stream_that_ends_within_a_unit_is_an_error() -> None:
    with pytest.raises(PackageError, match="ends within a unit"):
        side_data(unit(5, MASTERING[:20]))
    with pytest.raises(PackageError, match="ends within a unit"):
        side_data(b"\x2a" + b"\xff" * 20)


@given(st.binary(max_size=200))
def test_no_bytes_break_it(data: bytes) -> None:
    with suppress(PackageError):
        side_data(data)
