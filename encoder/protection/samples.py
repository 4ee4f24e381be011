"""Which bytes of a segment are encrypted: the sizes of its samples, and what `senc` leaves in clear of each.

With cbcs a range is encrypted in blocks of 16 bytes, so of a sample of silence, which is shorter, nothing is (ISO/IEC
23001-7 9.6 and 10.4). Fields are those of ISO/IEC 14496-12 8.8.7 and 8.8.8, and ISO/IEC 23001-7 7.2.

Pure: bytes in, ranges out. What is malformed is a PackageError.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import NamedTuple

from encoder.errors import PackageError
from encoder.packages.boxes import find, walk

BLOCK = 16
# Parameter sets, a slice's header and its few bytes for a picture that repeats the last: no picture to be seen.
_LARGEST_IN_CLEAR = 1024
_TFHD_BASE, _TFHD_DESCRIPTION, _TFHD_DURATION, _TFHD_SIZE = 0x01, 0x02, 0x08, 0x10
_TRUN_OFFSET, _TRUN_FIRST_FLAGS, _TRUN_SIZE = 0x01, 0x04, 0x200
_TRUN_FIELDS = (0x100, 0x200, 0x400, 0x800)  # of each sample, four bytes each
_SENC_SUBSAMPLES = 0x02


class Segment(NamedTuple):
    """One fragment: its samples' bytes, and which ranges of them are encrypted."""

    data: bytes
    ranges: tuple[tuple[int, int], ...]  # offset in `data` and length


def read_segment(segment: bytes) -> Segment:
    """Takes a segment apart. One without `senc` is taken to be encrypted whole."""
    try:
        data = b"".join(segment[box.body : box.end] for box in walk(segment) if box.kind == "mdat")
        sizes = _sizes(segment)
        starts = accumulate(sizes[:-1], initial=0)
        senc = find(segment, "moof", "traf", "senc")
        if senc is None:
            return Segment(data, tuple(zip(starts, sizes, strict=True)))
        subsamples = _subsamples(segment[senc.body : senc.end], sizes)
        return Segment(data, tuple(_ranges(starts, subsamples)))
    except (struct.error, IndexError, ValueError) as error:
        raise PackageError(f"a fragment whose boxes end early: {error}") from error


def is_encrypted(encrypted: Segment, clear: bytes) -> bool:
    """Whether each range of at least a block begins with another block than in `clear`, the samples before."""
    return len(clear) == len(encrypted.data) and all(
        encrypted.data[at : at + BLOCK] != clear[at : at + BLOCK] for at, size in encrypted.ranges if size >= BLOCK
    )


def _sizes(segment: bytes) -> list[int]:
    header, run = (find(segment, "moof", "traf", kind) for kind in ("tfhd", "trun"))
    if header is None or run is None:
        raise PackageError("a moof box lacks tfhd or trun")
    flags = int.from_bytes(segment[run.body + 1 : run.body + 4], "big")
    (count,) = struct.unpack_from(">I", segment, run.body + 4)
    at = run.body + 8 + 4 * bool(flags & _TRUN_OFFSET) + 4 * bool(flags & _TRUN_FIRST_FLAGS)
    if not flags & _TRUN_SIZE:
        return [_default_size(segment[header.body : header.end])] * count
    stride = 4 * sum(bool(flags & field) for field in _TRUN_FIELDS)
    at += 4 * bool(flags & _TRUN_FIELDS[0])
    return [struct.unpack_from(">I", segment, at + stride * number)[0] for number in range(count)]


def _default_size(tfhd: bytes) -> int:
    flags = int.from_bytes(tfhd[1:4], "big")
    at = 8 + 8 * bool(flags & _TFHD_BASE) + 4 * bool(flags & _TFHD_DESCRIPTION) + 4 * bool(flags & _TFHD_DURATION)
    return int(struct.unpack_from(">I", tfhd, at)[0]) if flags & _TFHD_SIZE else 0


def _subsamples(senc: bytes, sizes: Sequence[int]) -> Iterator[list[tuple[int, int]]]:
    """Clear and encrypted bytes in turns, of each sample. There are no IVs: with cbcs it is constant."""
    has_subsamples = int.from_bytes(senc[1:4], "big") & _SENC_SUBSAMPLES
    at = 8
    for size in sizes:
        if not has_subsamples:
            yield [(0, size)]
            continue
        (count,) = struct.unpack_from(">H", senc, at)
        parts = [struct.unpack_from(">HI", senc, at + 2 + 6 * number) for number in range(count)]
        if size > _LARGEST_IN_CLEAR and all(encrypted < BLOCK for _, encrypted in parts):
            raise PackageError(f"a sample of {size} bytes, and all of them in clear")
        yield parts
        at += 2 + 6 * count


def _ranges(starts: Iterator[int], subsamples: Iterator[list[tuple[int, int]]]) -> Iterator[tuple[int, int]]:
    for start, parts in zip(starts, subsamples, strict=True):
        at = start
        for clear, encrypted in parts:
            yield at + clear, encrypted
            at += clear + encrypted
