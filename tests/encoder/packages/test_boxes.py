from __future__ import annotations

import struct
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from encoder.errors import PackageError
from encoder.packages import boxes


def box(kind: str, *content: bytes) -> bytes:
    body = b"".join(content)
    return struct.pack(">I4s", 8 + len(body), kind.encode()) + body


def sidx(entries: list[tuple[int, int]], version: int = 0, timescale: int = 48000, first_offset: int = 0) -> bytes:
    times = struct.pack(">QQ" if version else ">II", 7, first_offset)
    head = struct.pack(">B3xII", version, 1, timescale) + times + struct.pack(">HH", 0, len(entries))
    return box("sidx", head, *(struct.pack(">III", size, duration, 0x9000_0000) for duration, size in entries))


def moof(tfhd_flags: int, tfhd: bytes, trun_flags: int, trun: bytes, samples: int, version: int = 0) -> bytes:
    header = box("tfhd", struct.pack(">II", tfhd_flags, 1), tfhd)
    time = box("tfdt", struct.pack(">IQ", 0x0100_0000, 96000))
    run = box("trun", struct.pack(">II", version << 24 | trun_flags, samples), trun)
    return box("moof", box("mfhd", bytes(8)), box("traf", header, time, run))


entries = st.lists(st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 2**31 - 1)), max_size=20)


@given(entries, st.sampled_from([0, 1]), st.integers(0, 2**31))
def test_index_reads_what_was_written(pairs: list[tuple[int, int]], version: int, first_offset: int) -> None:
    index = boxes.parse_sidx(sidx(pairs, version, first_offset=first_offset))
    assert list(zip(index.durations, index.sizes, strict=True)) == pairs
    assert (index.timescale, index.earliest, index.first_offset) == (48000, 7, first_offset)


def test_index_of_indexes_is_refused() -> None:
    data = bytearray(sidx([(1, 1)]))
    data[-12] |= 0x80
    with pytest.raises(PackageError, match="other indexes"):
        boxes.parse_sidx(bytes(data))


@given(st.binary(max_size=200))
def test_chance_bytes_are_refused_or_read_but_never_crash(data: bytes) -> None:
    for parse in (boxes.parse_sidx, boxes.parse_moof):
        with suppress(PackageError):
            parse(box("sidx", data) if parse is boxes.parse_sidx else data)


@given(st.data())
def test_fragment_cut_anywhere_is_refused(data: st.DataObject) -> None:
    whole = moof(0x20, struct.pack(">I", 0), 0x301, struct.pack(">iIIII", 500, 10, 20, 10, 20), 2)
    with pytest.raises(PackageError):
        boxes.parse_moof(whole[: data.draw(st.integers(0, len(whole) - 1))])


def test_first_sample_ends_after_its_own_size() -> None:
    run = struct.pack(">iIiIi", 500, 1234, -1024, 99, 0)
    fragment = boxes.parse_moof(moof(0x28, struct.pack(">II", 512, 0x0200_0000), 0xA01, run, 2, version=1))
    assert fragment == boxes.Fragment(96000, 96000 - 1024, 2, starts_with_sync=True, first_end=1734)


def test_size_and_flags_of_the_fragment_hold_unless_the_run_has_its_own() -> None:
    defaults = struct.pack(">II", 77, 0x0101_0000)
    fragment = boxes.parse_moof(moof(0x30, defaults, 0x1, struct.pack(">i", 100), 5))
    assert (fragment.first_end, fragment.starts_with_sync) == (177, False)
    first = boxes.parse_moof(moof(0x30, defaults, 0x5, struct.pack(">iI", 100, 0x0200_0000), 5))
    assert first.starts_with_sync


def test_box_of_64_bits_and_box_to_the_end_are_walked() -> None:
    data = struct.pack(">I4sQ", 1, b"wide", 20) + bytes(4) + struct.pack(">I4s", 0, b"last") + bytes(3)
    assert [(found.kind, found.body, found.end) for found in boxes.walk(data)] == [("wide", 16, 20), ("last", 28, 31)]


def test_box_larger_than_the_file_is_refused() -> None:
    with pytest.raises(PackageError, match="claims 100 bytes of 8"):
        list(boxes.walk(struct.pack(">I4s", 100, b"moov")))
