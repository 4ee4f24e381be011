from __future__ import annotations

import struct
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from encoder.errors import PackageError
from encoder.protection.samples import is_encrypted, read_segment


def box(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(body), kind) + body


def segment(data: bytes, sizes: Sequence[int], senc: bytes = b"", *, same_size: int = 0) -> bytes:
    """One fragment with samples of these sizes; of `same_size` each, if that is given."""
    if same_size:
        tfhd = box(b"tfhd", struct.pack(">IIII", 0x02_0008 | 0x10, 1, 40, same_size))
        trun = box(b"trun", struct.pack(">IIi", 0x01, len(sizes), 0))
    else:
        tfhd = box(b"tfhd", struct.pack(">II", 0x02_0000, 1))
        rows = b"".join(struct.pack(">III", 40, size, 0) for size in sizes)
        trun = box(b"trun", struct.pack(">IIiI", 0x01 | 0x04 | 0x100 | 0x200 | 0x800, len(sizes), 0, 0) + rows)
    traf = box(b"traf", tfhd + trun + (box(b"senc", senc) if senc else b""))
    return box(b"moof", box(b"mfhd", bytes(8)) + traf) + box(b"mdat", data)


def subsamples(*samples: Sequence[tuple[int, int]]) -> bytes:
    rows = [struct.pack(">H", len(one)) + b"".join(struct.pack(">HI", *pair) for pair in one) for one in samples]
    return struct.pack(">II", 0x02, len(samples)) + b"".join(rows)


def test_without_senc_all_of_each_sample_is_encrypted() -> None:
    found = read_segment(segment(bytes(60), [20, 40]))
    assert found.data == bytes(60) and found.ranges == ((0, 20), (20, 40))
    assert read_segment(segment(bytes(60), [30, 30], same_size=30)).ranges == ((0, 30), (30, 30))


def test_with_senc_what_it_leaves_in_clear_is_left_out() -> None:
    found = read_segment(segment(bytes(100), [60, 40], subsamples([(8, 32), (4, 16)], [(10, 30)])))
    assert found.ranges == ((8, 32), (44, 16), (70, 30))
    assert read_segment(segment(bytes(60), [20, 40], struct.pack(">II", 0, 2))).ranges == ((0, 20), (20, 40))


def test_every_range_of_a_block_has_to_be_another_than_before() -> None:
    clear = bytes(60)
    both = segment(b"x" * 16 + bytes(4) + b"x" * 16 + bytes(24), [20, 40])
    one = segment(b"x" * 16 + bytes(44), [20, 40])
    assert is_encrypted(read_segment(both), clear)
    assert not is_encrypted(read_segment(one), clear)
    assert not is_encrypted(read_segment(both), clear[1:])


def test_samples_shorter_than_a_block_are_in_clear_by_the_standard() -> None:
    assert is_encrypted(read_segment(segment(bytes(30), [15, 15])), bytes(30))
    assert not is_encrypted(read_segment(segment(bytes(31), [15, 16])), bytes(31))


def test_sample_of_a_picture_that_is_said_to_be_in_clear_is_refused() -> None:
    small, large = subsamples([(1000, 15)]), subsamples([(2000, 15)])
    assert read_segment(segment(bytes(1015), [1015], small)).ranges == ((1000, 15),)
    with pytest.raises(PackageError, match="a sample of 2015 bytes, and all of them in clear"):
        read_segment(segment(bytes(2015), [2015], large))


@pytest.mark.parametrize(
    "damaged",
    [
        box(b"mdat", b""),
        box(b"moof", box(b"traf", box(b"tfhd", b"") + box(b"trun", b""))),
        segment(bytes(9), [4, 5], struct.pack(">IIH", 0x02, 2, 9)),
        segment(bytes(9), [4, 5])[:-10],
    ],
)
def test_damaged_fragments_are_package_errors(damaged: bytes) -> None:
    with pytest.raises(PackageError):
        read_segment(damaged)


@given(st.lists(st.integers(1, 50), min_size=1, max_size=20))
def test_ranges_cover_all_samples_in_order(sizes: list[int]) -> None:
    found = read_segment(segment(bytes(sum(sizes)), sizes))
    assert [size for _, size in found.ranges] == sizes
    assert sum(size for _, size in found.ranges) == len(found.data)
