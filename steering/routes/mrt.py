"""Routing tables in the MRT format (RFC 6396), as route collectors, BIRD, FRR and bgpdump write them: TABLE_DUMP_V2.

    header: time, type, subtype, length (4, 2, 2, 4 bytes)  ->  a table of peers first, then one record for each prefix

What else there may be (multicast, several paths of one peer, messages of a session) is passed over and counted.

Pure: bytes come from a stream that is given.
"""

from __future__ import annotations

import struct
import zlib
from collections import Counter
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from steering.errors import DumpError, RouteError
from steering.routes.route import USUAL_PREFERENCE, AsPath, Attributes, Key, as_path, pack

_HEADER = struct.Struct("!IHHI")
_TABLE_DUMP_V2 = 13
_PEERS, _IPV4_UNICAST, _IPV6_UNICAST = 1, 2, 4
# No record of a real table is near it: a length beyond is damage.
_LARGEST_RECORD = 16 * 1024 * 1024
# Types of path attributes (RFC 4271 section 5).
_ORIGIN, _AS_PATH, _MED, _LOCAL_PREFERENCE = 1, 2, 4, 5
_EXTENDED_LENGTH = 0x10


class MrtPeer(NamedTuple):
    """Who said it to the collector: IP version and number of its address, and its AS number."""

    address: tuple[int, int]
    asn: int


class MrtRoute(NamedTuple):
    key: Key
    peer: MrtPeer
    attributes: Attributes


class Reader:
    """Goes through a dump once. `skipped` counts records of types that are passed over."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._peers: list[MrtPeer] | None = None
        # Attributes repeat: most prefixes have those of others.
        self._known: dict[bytes, Attributes] = {}
        self.skipped: Counter[tuple[int, int]] = Counter()

    def routes(self) -> Iterator[MrtRoute]:
        """Raises DumpError with the place of the record that is damaged; what came before is no table then."""
        offset = 0
        while header := self._read(_HEADER.size, offset, may_end=True):
            _, kind, subtype, length = _HEADER.unpack(header)
            if length > _LARGEST_RECORD:
                raise DumpError(f"the record at byte {offset} claims {length} bytes; this is no MRT, or damaged")
            body = self._read(length, offset)
            try:
                yield from self._record(kind, subtype, body)
            except (struct.error, IndexError, ValueError, RouteError) as error:
                raise DumpError(f"the record at byte {offset} is damaged: {error}") from error
            offset += _HEADER.size + length
        if self._peers is None:
            raise DumpError("there is no table of routes in it (TABLE_DUMP_V2), expected a dump of a whole table")

    def _read(self, size: int, offset: int, *, may_end: bool = False) -> bytes:
        try:
            found = self._stream.read(size)
        except (OSError, EOFError, ValueError, zlib.error) as error:  # what unpacks it found damage
            raise DumpError(f"the file cannot be read beyond the record at byte {offset}: {error}") from error
        if len(found) < size and (found or not may_end):
            raise DumpError(f"the record at byte {offset} is cut off: {len(found)} of {size} bytes are there")
        return found

    def _record(self, kind: int, subtype: int, body: bytes) -> Iterator[MrtRoute]:
        if kind == _TABLE_DUMP_V2 and subtype == _PEERS:
            self._peers = _peers(body)
        elif kind == _TABLE_DUMP_V2 and subtype in (_IPV4_UNICAST, _IPV6_UNICAST):
            if self._peers is None:
                raise ValueError("it comes before the table of peers")
            yield from self._prefix(body, 4 if subtype == _IPV4_UNICAST else 6, self._peers)
        else:
            self.skipped[kind, subtype] += 1

    def _prefix(self, body: bytes, version: int, peers: list[MrtPeer]) -> Iterator[MrtRoute]:
        bits = 32 if version == 4 else 128
        length = body[4]
        if length > bits:
            raise ValueError(f"an IPv{version} prefix of length {length}")
        at = 5 + (length + 7) // 8
        network = int.from_bytes(_part(body, 5, at)) << (bits - 8 * (at - 5))
        # Bits beyond the length are of no meaning (RFC 4271 section 4.3).
        key = pack(version, network >> (bits - length) << (bits - length), length)
        (count,) = struct.unpack_from("!H", body, at)
        at += 2
        for _ in range(count):
            peer, _, size = struct.unpack_from("!HIH", body, at)
            at += 8 + size
            raw = _part(body, at - size, at)
            attributes = self._known.get(raw)
            if attributes is None:
                attributes = self._known[raw] = _attributes(raw)
            yield MrtRoute(key, peers[peer], attributes)


def _part(body: bytes, begin: int, end: int) -> bytes:
    if end > len(body):
        raise ValueError(f"it ends at byte {len(body)}, before byte {end} that it needs")
    return body[begin:end]


def _peers(body: bytes) -> list[MrtPeer]:
    """RFC 6396 section 4.3.1."""
    (name_length,) = struct.unpack_from("!H", body, 4)
    at = 6 + name_length
    (count,) = struct.unpack_from("!H", body, at)
    at += 2
    peers = []
    for _ in range(count):
        kind = body[at]
        size = 16 if kind & 1 else 4
        address = int.from_bytes(_part(body, at + 5, at + 5 + size))
        at += 5 + size
        width = 4 if kind & 2 else 2
        peers.append(MrtPeer((6 if kind & 1 else 4, address), int.from_bytes(_part(body, at, at + width))))
        at += width
    return peers


def _attributes(raw: bytes) -> Attributes:
    """RFC 4271 section 4.3; AS numbers have four bytes here, whatever the session had (RFC 6396 section 4.3.4)."""
    path: AsPath = ()
    origin, preference, med = 2, USUAL_PREFERENCE, None
    at = 0
    while at < len(raw):
        flags, kind = raw[at], raw[at + 1]
        width = 2 if flags & _EXTENDED_LENGTH else 1
        size = int.from_bytes(_part(raw, at + 2, at + 2 + width))
        at += 2 + width + size
        value = _part(raw, at - size, at)
        if kind == _ORIGIN:
            origin = min(value[0], 2)
        elif kind == _AS_PATH:
            path = _as_path(value)
        elif kind == _MED:
            (med,) = struct.unpack("!I", value)
        elif kind == _LOCAL_PREFERENCE:
            (preference,) = struct.unpack("!I", value)
    return Attributes(path, preference, origin, med)


def _as_path(value: bytes) -> AsPath:
    segments, at = [], 0
    while at < len(value):
        kind, count = value[at], value[at + 1]
        if not 1 <= kind <= 4:
            raise ValueError(f"an AS path with a segment of type {kind}")
        segments.append((kind, struct.unpack_from(f"!{count}I", value, at + 2)))
        at += 2 + 4 * count
    return as_path(segments)
