"""Documents that differ in how they start and share their end, gzipped without compressing the end each time.

    gzip header | the start in one stored block | the end, deflated once | CRC-32 and size of both (RFC 1951, RFC 1952)

The MPD of a film is such a document: what is the session's stands in its first kilobyte, and 28 kB of timelines follow
that are everybody's. Only the end's deflated form is kept, which is a seventh of it. The CRC of the whole is combined
from that of its parts, as zlib's crc32_combine does: appending n bytes multiplies what stands before by x^8n, in the
field of polynomials over GF(2) modulo CRC-32's.

Pure.
"""

from __future__ import annotations

import struct
import zlib
from array import array
from collections.abc import Sequence
from functools import lru_cache, reduce
from operator import xor

_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"  # deflate, no name, no time, unknown system
_STORED = struct.Struct("<BHH")  # not the last block, its length, and the complement of that
_TRAILER = struct.Struct("<II")
_LARGEST_STORED = 0xFFFF
_LEVEL = 6  # 9 takes three times as long for 2 % less of a timeline
# Bits are reflected: the highest is x^0.
_POLYNOMIAL, _ONE = 0xEDB88320, 1 << 31
# Clients that take no gzip are few; for them the ends of the titles that are asked for stay inflated.
_MOST_INFLATED = 256


class SharedEnd:
    """The end of documents."""

    __slots__ = ("_crc", "_deflated", "_size", "_sums")

    def __init__(self, data: bytes) -> None:
        packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
        self._deflated = packer.compress(data) + packer.flush()
        self._size = len(data)
        self._crc = zlib.crc32(data)
        self._sums = _sums(_power(8 * len(data)))

    def plain(self, start: bytes) -> bytes:
        """The document that starts so."""
        return start + _inflated(self._deflated)

    def gzipped(self, start: bytes) -> bytes:
        """The document that starts so, gzipped; `start` has less than 64 KiB. 3 us where compressing takes 400."""
        size = len(start)
        if size > _LARGEST_STORED:
            raise ValueError(f"a start of {size} bytes, expected {_LARGEST_STORED} at most")
        block = _STORED.pack(0, size, size ^ _LARGEST_STORED)
        trailer = _TRAILER.pack(self._combined(zlib.crc32(start)), (size + self._size) & 0xFFFFFFFF)
        return b"".join((_HEADER, block, start, self._deflated, trailer))

    def _combined(self, before: int) -> int:
        """The CRC of what has the CRC `before`, followed by this end."""
        combined = self._crc
        for sums in self._sums:
            combined ^= sums[before & 0xF]
            before >>= 4
        return combined


@lru_cache(_MOST_INFLATED)
def _inflated(deflated: bytes) -> bytes:
    return zlib.decompress(deflated, -zlib.MAX_WBITS)


def _sums(factor: int) -> tuple[array[int], ...]:
    """What each four bits of a CRC become when it is multiplied by `factor`, the lowest bits first."""
    rows = []
    for _ in range(32):
        rows.append(factor)
        factor = _times_x(factor)
    rows.reverse()
    return tuple([array("I", [_sum(rows[first : first + 4], bits) for bits in range(16)]) for first in range(0, 32, 4)])


def _sum(rows: Sequence[int], bits: int) -> int:
    return reduce(xor, (row for number, row in enumerate(rows) if bits >> number & 1), 0)


def _power(exponent: int) -> int:
    """x to the power of `exponent`."""
    result, bit = _ONE, 0
    while exponent >> bit:
        if exponent >> bit & 1:
            result = _times(result, _squared(bit))
        bit += 1
    return result


@lru_cache(64)
def _squared(times: int) -> int:
    """x, squared so many times."""
    if not times:
        return _times_x(_ONE)
    half = _squared(times - 1)
    return _times(half, half)


def _times(a: int, b: int) -> int:
    product = 0
    while a:
        if a & _ONE:
            product ^= b
        a = a << 1 & 0xFFFFFFFF
        b = _times_x(b)
    return product


def _times_x(a: int) -> int:
    return a >> 1 ^ _POLYNOMIAL if a & 1 else a >> 1
