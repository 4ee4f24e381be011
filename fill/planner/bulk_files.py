"""The files of planning in bulk: what a region watches, what a fleet holds, and what is to change.

    FEED/size.npy         int32 [file]             KiB, rounded up
    FEED/group.npy        uint8 [file]             which of 64 groups a cluster corrects it with (genre, language, ...)
    FEED/key.npy          uint64 [file]            hash of its TITLE/PACKAGE, which its homes are drawn from
    FEED/density.npy      int16 [region, file]     hundredths of an octave of plays a day; -32768: not watched
    FEED/fleet.json       clusters: name, region (position), appliances (name, disk in KiB that may be used)
    FEED/correction.npy   int16 [cluster, group]   what the cluster watches a group more than its region, same unit

    HELD/{appliance}.held    what it holds: positions of files
    DIFFS/{appliance}.diff   what it shall fetch, and what it shall drop

A .held or .diff is 8 bytes of magic, the CRC-32 of all that follows, then for each list its length (both uint32, little
endian), then the lists one after the other: rising positions as the gaps between them, each a varint (LEB128).
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from fill.errors import BulkError
from fill.planner.kernels import GROUPS, LARGEST, decode_positions, encode_positions

Positions = npt.NDArray[np.int32]

_HELD, _DIFF = b"NCHELD1\n", b"NCDIFF1\n"
_UINT = struct.Struct("<I")


class Appliance(msgspec.Struct, frozen=True):
    name: str
    disk: int  # KiB


class Cluster(msgspec.Struct, frozen=True):
    name: str
    region: int
    appliances: tuple[Appliance, ...]


class Fleet(msgspec.Struct, frozen=True):
    clusters: tuple[Cluster, ...]


@dataclass(frozen=True)
class Feed:
    fleet: Fleet
    size: npt.NDArray[np.int32]
    group: npt.NDArray[np.uint8]
    key: npt.NDArray[np.uint64]
    density: npt.NDArray[np.int16]
    correction: npt.NDArray[np.int16]


def write_feed(folder: Path, feed: Feed) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("size", "group", "key", "density", "correction"):
        np.save(folder / f"{name}.npy", getattr(feed, name))
    (folder / "fleet.json").write_bytes(msgspec.json.encode(feed.fleet))


def read_feed(folder: Path) -> Feed:
    """The feed, `density` left on disk until it is used. Raises BulkError that says what does not fit together."""
    try:
        fleet = msgspec.json.decode((folder / "fleet.json").read_bytes(), type=Fleet)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BulkError(f"{folder / 'fleet.json'}: {_why(error)}") from error
    size = _array(folder / "size.npy", np.int32, 1)
    files, clusters = len(size), len(fleet.clusters)
    feed = Feed(
        fleet,
        size,
        _array(folder / "group.npy", np.uint8, 1, (files,)),
        _array(folder / "key.npy", np.uint64, 1, (files,)),
        _array(folder / "density.npy", np.int16, 2, (None, files), is_large=True),
        _array(folder / "correction.npy", np.int16, 2, (clusters, GROUPS)),
    )
    if files and (size.min() < 0 or feed.group.max() >= GROUPS):
        raise BulkError(f"{folder}: a negative size, or a group that is not below {GROUPS}")
    if clusters and np.abs(feed.correction.astype(np.int32)).max() > LARGEST // 2:
        raise BulkError(f"{folder / 'correction.npy'}: a correction beyond +-{LARGEST // 2}")
    for cluster in fleet.clusters:
        if not 0 <= cluster.region < len(feed.density) or not 0 < len(cluster.appliances) < 255:
            raise BulkError(
                f"{folder / 'fleet.json'}: cluster {cluster.name} has region {cluster.region} and "
                f"{len(cluster.appliances)} appliances, expected one of {len(feed.density)} and 1 to 254"
            )
    return feed


def _array(
    path: Path, kind: type, dimensions: int, shape: Sequence[int | None] | None = None, *, is_large: bool = False
) -> npt.NDArray[Any]:
    try:
        found: npt.NDArray[Any] = np.load(path, mmap_mode="r" if is_large else None, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise BulkError(f"{path}: {_why(error)}") from error
    fits = found.ndim == dimensions and all(
        expected in (None, length) for expected, length in zip(shape or (None,) * dimensions, found.shape, strict=True)
    )
    if found.dtype != kind or not fits:
        raise BulkError(f"{path}: {found.dtype} of shape {found.shape}, expected {np.dtype(kind)} of shape {shape}")
    return found


def encode_held(positions: Positions) -> bytes:
    return _packed(_HELD, positions)


def encode_diff(fetches: Positions, drops: Positions) -> bytes:
    return _packed(_DIFF, fetches, drops)


def decode_held(data: bytes, files: int, where: str) -> Positions:
    """Positions in a catalogue of so many `files`. Raises BulkError."""
    return _unpacked(_HELD, 1, data, files, where)[0]


def decode_diff(data: bytes, files: int, where: str) -> tuple[Positions, Positions]:
    """Fetches and drops. Raises BulkError."""
    fetches, drops = _unpacked(_DIFF, 2, data, files, where)
    return fetches, drops


def _packed(magic: bytes, *lists: Positions) -> bytes:
    body = b"".join(_UINT.pack(len(one)) for one in lists) + b"".join(encode_positions(one).tobytes() for one in lists)
    return magic + _UINT.pack(zlib.crc32(body)) + body


def _unpacked(magic: bytes, lists: int, data: bytes, files: int, where: str) -> list[Positions]:
    start = len(magic) + _UINT.size
    body = start + lists * _UINT.size
    if data[: len(magic)] != magic or len(data) < body:
        raise BulkError(f"{where} is no {magic[2:6].decode().lower()} list")
    if zlib.crc32(memoryview(data)[start:]) != _UINT.unpack_from(data, len(magic))[0]:
        raise BulkError(f"{where} is damaged: its checksum is another")
    counts = [_UINT.unpack_from(data, start + number * _UINT.size)[0] for number in range(lists)]
    if sum(counts) > len(data) - body:
        raise BulkError(f"{where} claims {sum(counts)} positions in {len(data) - body} bytes")
    raw = np.frombuffer(data, np.uint8)
    found = []
    at = body
    for count in counts:
        positions, at = decode_positions(raw, count, at)
        if len(positions) < count or (count and not 0 <= positions[-1] < files) or (positions < 0).any():
            raise BulkError(f"{where} names files that the feed of {files} has not")
        found.append(positions)
    return found


def _why(error: Exception) -> str:
    return (isinstance(error, OSError) and error.strerror) or str(error)
