"""ISO base media files (ISO/IEC 14496-12), as far as a segment index needs them: `sidx`, and the start of a `moof`.

Pure: bytes in, values out. Everything malformed is a PackageError that names the box.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from encoder.errors import PackageError

# ISO/IEC 14496-12 8.8.3.1: sample_is_non_sync_sample, one of the flags of a sample.
_NON_SYNC = 0x0001_0000
# Flags of tfhd (8.8.7) and trun (8.8.8) that say which fields are there.
_TFHD_BASE, _TFHD_DESCRIPTION, _TFHD_DURATION, _TFHD_SIZE, _TFHD_FLAGS = 0x01, 0x02, 0x08, 0x10, 0x20
_TRUN_OFFSET, _TRUN_FIRST_FLAGS, _TRUN_DURATION, _TRUN_SIZE, _TRUN_FLAGS, _TRUN_CTS = (
    0x1,
    0x4,
    0x100,
    0x200,
    0x400,
    0x800,
)


class Box(NamedTuple):
    """One box: its content is bytes [body, end) of what was walked, the box itself [start, end)."""

    kind: str
    start: int
    body: int
    end: int


class SegmentIndex(NamedTuple):
    """What a `sidx` says: ticks and bytes of each segment. The first begins `first_offset` bytes after the box."""

    timescale: int
    earliest: int  # presentation time of the first sample, in ticks
    first_offset: int
    durations: tuple[int, ...]
    sizes: tuple[int, ...]


class Fragment(NamedTuple):
    """What a `moof` says of its one track. Times in ticks; `first_end` counts bytes from the start of the moof."""

    decode_time: int
    presentation_time: int  # of the first sample in decoding order, before any edit list
    samples: int
    starts_with_sync: bool
    first_end: int  # where the first sample ends


def walk(data: bytes, start: int = 0, end: int | None = None) -> Iterator[Box]:
    """The boxes of [start, end), one after the other. Raises PackageError if one does not fit."""
    end = len(data) if end is None else end
    while start < end:
        if end - start < 8:
            raise PackageError(f"an MP4 file has {end - start} bytes at {start} that are too few for a box")
        size, body = int.from_bytes(data[start : start + 4], "big"), start + 8
        kind = data[start + 4 : body].decode("latin-1")
        if size == 1:
            size, body = int.from_bytes(data[body : body + 8], "big"), body + 8
        elif size == 0:
            size = end - start
        if size < body - start or start + size > end:
            raise PackageError(f"the MP4 box {kind!r} at {start} claims {size} bytes of {end - start}")
        yield Box(kind, start, body, start + size)
        start += size


def find(data: bytes, *path: str) -> Box | None:
    """The first box at this path ("moov", "trak", "edts"), or None."""
    start, end, found = 0, len(data), None
    for kind in path:
        found = next((box for box in walk(data, start, end) if box.kind == kind), None)
        if found is None:
            return None
        start, end = found.body, found.end
    return found


def parse_sidx(data: bytes) -> SegmentIndex:
    """The segment index in the bytes of one whole `sidx` box (8.16.3)."""
    box = find(data, "sidx")
    if box is None:
        raise PackageError("an MP4 file has no sidx box where one was expected")
    body = data[box.body : box.end]
    try:
        version = body[0]
        _, timescale, earliest, first_offset, _, count = struct.unpack_from(
            ">IIIIHH" if not version else ">IIQQHH", body, 4
        )
        entries = list(struct.iter_unpack(">III", body[32 if version else 24 :][: count * 12]))
    except (struct.error, IndexError) as error:
        raise PackageError(f"the sidx box of an MP4 file ends early: {error}") from error
    if len(entries) != count or not timescale:
        raise PackageError(
            f"the sidx box of an MP4 file lists {len(entries)} segments of {count}, timescale {timescale}"
        )
    if any(reference >> 31 for reference, _, _ in entries):
        raise PackageError("the sidx box of an MP4 file refers to other indexes, expected segments")
    return SegmentIndex(
        timescale,
        earliest,
        first_offset,
        tuple(duration for _, duration, _ in entries),
        tuple(reference & 0x7FFF_FFFF for reference, _, _ in entries),
    )


def parse_moof(data: bytes) -> Fragment:
    """What the bytes of one whole `moof` box, of one track and one run of samples, say (8.8.4 to 8.8.12)."""
    header, run, time = (find(data, "moof", "traf", kind) for kind in ("tfhd", "trun", "tfdt"))
    if header is None or run is None or time is None:
        raise PackageError("a moof box of an MP4 file lacks tfhd, trun or tfdt")
    try:
        default_size, default_flags = _parse_tfhd(data[header.body : header.end])
        decode_time = struct.unpack_from(">Q" if data[time.body] else ">I", data, time.body + 4)[0]
        return _parse_trun(data[run.body : run.end], default_size, default_flags, decode_time)
    except (struct.error, IndexError) as error:
        raise PackageError(f"a moof box of an MP4 file ends early: {error}") from error


def _parse_tfhd(body: bytes) -> tuple[int, int]:
    """Size and flags that samples have unless `trun` says otherwise."""
    flags = int.from_bytes(body[1:4], "big")
    at, values = 8, {_TFHD_SIZE: 0, _TFHD_FLAGS: 0}
    for field, width in (
        (_TFHD_BASE, 8),
        (_TFHD_DESCRIPTION, 4),
        (_TFHD_DURATION, 4),
        (_TFHD_SIZE, 4),
        (_TFHD_FLAGS, 4),
    ):
        if flags & field:
            values[field] = int.from_bytes(body[at : at + width], "big")
            at += width
    return values[_TFHD_SIZE], values[_TFHD_FLAGS]


def _parse_trun(body: bytes, size: int, sample_flags: int, decode_time: int) -> Fragment:
    flags = int.from_bytes(body[1:4], "big")
    (count,) = struct.unpack_from(">I", body, 4)
    at, data_offset, composition = 8, 0, 0
    if flags & _TRUN_OFFSET:
        (data_offset,) = struct.unpack_from(">i", body, at)
        at += 4
    if flags & _TRUN_FIRST_FLAGS:
        (sample_flags,) = struct.unpack_from(">I", body, at)
        at += 4
    if flags & _TRUN_DURATION:
        at += 4
    if flags & _TRUN_SIZE:
        (size,) = struct.unpack_from(">I", body, at)
        at += 4
    if flags & _TRUN_FLAGS:
        (sample_flags,) = struct.unpack_from(">I", body, at)
        at += 4
    if flags & _TRUN_CTS:
        (composition,) = struct.unpack_from(">i" if body[0] else ">I", body, at)
    return Fragment(decode_time, decode_time + composition, count, not sample_flags & _NON_SYNC, data_offset + size)
