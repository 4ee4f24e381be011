"""Where addresses are, read out of a MaxMind database: the `location` of an address's record and nothing else.

Its library has two readers. The one in C is quick and dies of a damaged record, and all players' requests with it: of
3,000 databases with random bytes in them the 63rd ended the process. The one in Python takes 250 us for a record with
its names in eight languages. This one steps over what it does not need, and decodes a place once.

The format: https://maxmind.github.io/MaxMind-DB/ (2.0). A search tree of bits, then data; a tree's record above the
number of nodes is where the data is.

Pure.
"""

from __future__ import annotations

import struct
from array import array
from typing import NamedTuple, Protocol

from steering.prefixes.addresses import BITS, Address

_POINTER, _TEXT, _DOUBLE, _MAP, _ARRAY, _FLAG, _FLOAT = 1, 2, 3, 7, 11, 14, 15
_FIRST_BITS = 16  # of an address: steps that are made once, when the database is opened
_SEPARATOR_BYTES = 16  # between tree and data
# No record has as many values; one that seems to is damaged, and must not keep players waiting.
_MOST_STEPS = 2000
_MOST_DEPTH = 16
# Places that are kept in mind, in some 15 MB: all of a continent. Then it begins anew.
_MOST_KEPT = 2**16


class Point(NamedTuple):
    latitude: float  # degrees north
    longitude: float  # degrees east


class Damaged(Exception):
    """The database is not what its format says."""


class Bytes(Protocol):
    """A mapped file, or bytes."""

    def __len__(self) -> int: ...
    def __getitem__(self, index: slice, /) -> bytes: ...


class Places:
    def __init__(self, data: Bytes, *, nodes: int, record_bits: int, ip_version: int) -> None:
        """What the database's metadata says of its tree."""
        self._data, self._nodes, self._record_bits = data, nodes, record_bits
        self.ip_version = ip_version
        self._begin = nodes * record_bits // 4 + _SEPARATOR_BYTES
        self._kept: dict[int, Point | None] = {}
        start_4 = 0
        if ip_version == 6:  # IPv4 is what begins with 96 bits that are 0
            for _ in range(96):
                start_4 = self._step(start_4, 0)
        self._first = {4: self._after_first_bits(start_4)}
        if ip_version == 6:
            self._first[6] = self._after_first_bits(0)

    def find(self, address: Address) -> Point | None:
        """Where the address is, if its record says. Raises Damaged."""
        version, number = address
        if version > self.ip_version:
            return None
        bit, nodes = BITS[version] - _FIRST_BITS, self._nodes
        node = self._first[version][number >> bit]
        while node < nodes:
            bit -= 1
            if bit < 0:
                raise Damaged("its tree has no end")
            node = self._child(node, number >> bit & 1)
        if node == nodes:
            return None
        try:
            return self._kept[node]
        except KeyError:
            return self._decode(node)

    def _after_first_bits(self, node: int) -> array[int]:
        """Where one is in the tree after the first bits of an address: half the way of most."""
        reached = [node]
        for _ in range(_FIRST_BITS):
            reached = [self._step(node, side) for node in reached for side in (0, 1)]
        return array("I", reached)

    def _step(self, node: int, side: int) -> int:
        return self._child(node, side) if node < self._nodes else node

    def _child(self, node: int, side: int) -> int:
        size = self._record_bits
        if size == 24:
            at = node * 6 + side * 3
            return int.from_bytes(self._data[at : at + 3])
        if size == 32:
            at = node * 8 + side * 4
            return int.from_bytes(self._data[at : at + 4])
        both = int.from_bytes(self._data[node * 7 : node * 7 + 7])  # 24 low bits, the high 4 of each, 24 low bits
        return both & 0xFFFFFFF if side else both >> 32 | (both >> 28 & 0xF) << 24

    def _decode(self, node: int) -> Point | None:
        if len(self._kept) >= _MOST_KEPT:
            self._kept.clear()
        point = _Record(self._data, self._begin).place(node - self._nodes - _SEPARATOR_BYTES + self._begin)
        self._kept[node] = point
        return point


class _Record:
    """One record, read until it is known where it says that it is."""

    def __init__(self, data: Bytes, begin: int) -> None:
        self._data, self._begin, self._steps = data, begin, 0

    def place(self, at: int) -> Point | None:
        location = self._member(at, b"location")
        if location is None:
            return None
        latitude, longitude = (self._number(self._member(location, key)) for key in (b"latitude", b"longitude"))
        if latitude is None or longitude is None or not (-90 <= latitude <= 90 and -180 <= longitude <= 180):
            return None  # nor is NaN a place
        return Point(latitude, longitude)

    def _member(self, at: int, key: bytes) -> int | None:
        """Where the value of a map's key is; None if there is none, or no map."""
        kind, size, at = self._head(self._resolve(at))
        if kind != _MAP:
            return None
        for _ in range(size):
            name = self._text(self._resolve(at))
            at = self._after(at, 0)
            if name == key:
                return at
            at = self._after(at, 0)
        return None

    def _text(self, at: int) -> bytes | None:
        kind, size, at = self._head(at)
        return self._data[at : at + size] if kind == _TEXT else None

    def _number(self, at: int | None) -> float | None:
        if at is None:
            return None
        kind, size, at = self._head(self._resolve(at))
        layout = {(_DOUBLE, 8): ">d", (_FLOAT, 4): ">f"}.get((kind, size))
        return float(struct.unpack(layout, self._bytes(at, size))[0]) if layout is not None else None

    def _resolve(self, at: int) -> int:
        """Where the value is that is there, or that a pointer there points at."""
        kind, target, _ = self._head(at)
        return self._begin + target if kind == _POINTER else at

    def _after(self, at: int, depth: int) -> int:
        """Where what comes after a value begins."""
        kind, size, at = self._head(at)
        if kind in (_POINTER, _FLAG):
            return at
        if kind not in (_MAP, _ARRAY):
            return at + size
        if depth > _MOST_DEPTH:
            raise Damaged("a record is nested without end")
        for _ in range(2 * size if kind == _MAP else size):
            at = self._after(at, depth + 1)
        return at

    def _head(self, at: int) -> tuple[int, int, int]:
        """A value's type, its size (a pointer's target), and where what comes after that begins."""
        self._steps += 1
        if self._steps > _MOST_STEPS:
            raise Damaged("a record has no end")
        control = self._bytes(at, 1)[0]
        at += 1
        kind, size = control >> 5, control & 0x1F
        if kind == _POINTER:
            return self._pointer(control, at)
        if not kind:
            kind, at = 7 + self._bytes(at, 1)[0], at + 1
        if size < 29:
            return kind, size, at
        more = size - 28
        return kind, (29, 285, 65821)[more - 1] + int.from_bytes(self._bytes(at, more)), at + more

    def _pointer(self, control: int, at: int) -> tuple[int, int, int]:
        more = (control >> 3 & 3) + 1
        target = int.from_bytes(self._bytes(at, more))
        if more < 4:
            target += (control & 7) << 8 * more
        return _POINTER, target + (0, 2048, 526336, 0)[more - 1], at + more

    def _bytes(self, at: int, size: int) -> bytes:
        data = self._data[at : at + size]
        if len(data) < size or at < self._begin:
            raise Damaged(f"a record goes on at byte {at}, where there is none")
        return data
