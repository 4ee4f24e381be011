"""Longest prefix match over a full BGP table: the address space cut where any prefix begins or ends.

    prefixes (network, length, value)  ->  bounds [0, a, b, ...) and, for each piece between two, its longest prefix

A look-up is a binary search for the piece that the address is in, within the first 16 bits' share of the bounds: half a
microsecond, whatever the nesting. Longer prefixes are painted over shorter ones, one length after the other, so making
it takes a second for a million prefixes. IPv6 is cut at 64 bits, the shortest network that hosts live in; what is
longer is rare, and is looked up by its /64 first.

Pure.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

# Bits of an address that the first step goes by.
_FIRST = 16
NOBODY = -1

Numbers = npt.NDArray[np.uint64]


class Rows(NamedTuple):
    """Prefixes of one IP version, each once: the first bits of the network as a number, and how many count."""

    network: Numbers  # of 32 bits for IPv4, the first 64 for IPv6
    length: npt.NDArray[np.uint8]


class Pieces:
    """Which row the longest prefix of an address is, for addresses of `bits` bits."""

    __slots__ = ("_begins", "_bounds", "_rows", "_shift")

    def __init__(self, rows: Rows, bits: int) -> None:
        bounds, row = _cut(rows, bits)
        self._shift = bits - _FIRST
        begins = np.searchsorted(bounds, np.arange(2**_FIRST, dtype=np.uint64) << np.uint64(self._shift), side="right")
        self._begins = array("I", begins.astype(np.uint32).tobytes())
        self._begins.append(len(bounds))
        self._bounds = array(
            "I" if bits == 32 else "Q", bounds.astype(np.uint32 if bits == 32 else np.uint64).tobytes()
        )
        self._rows = array("i", row.tobytes())

    def find(self, address: int) -> int:
        """The row, or NOBODY."""
        first = address >> self._shift
        begins = self._begins
        return self._rows[bisect_right(self._bounds, address, begins[first] - 1, begins[first + 1]) - 1]

    @property
    def size(self) -> int:
        """Bytes."""
        return sum(one.itemsize * len(one) for one in (self._begins, self._bounds, self._rows))


def _cut(rows: Rows, bits: int) -> tuple[Numbers, npt.NDArray[np.int32]]:
    """Where pieces begin, the first at 0, and the row of each."""
    order = np.argsort(rows.network, kind="stable")
    network, length = rows.network[order], rows.length[order]
    span = np.left_shift(np.uint64(1), (bits - length.astype(np.int64)).clip(0, 63).astype(np.uint64))
    # A prefix of no length would be one too long for 64 bits; its end is that of the space, as for all that end there.
    last = np.where(length == 0, np.uint64(2**bits - 1), network + (span - np.uint64(1)))
    after = last[last < 2**bits - 1] + np.uint64(1)
    bounds = np.unique(np.concatenate([np.zeros(1, np.uint64), network, after]))
    row = np.full(len(bounds), NOBODY, np.int32)
    begin = np.searchsorted(bounds, network)
    end = np.searchsorted(bounds, last, side="right")
    for bits_of in np.unique(length):
        own = np.flatnonzero(length == bits_of)
        counts = end[own] - begin[own]
        before = np.cumsum(counts) - counts
        at = np.arange(counts.sum()) + np.repeat(begin[own] - before, counts)
        row[at] = np.repeat(order[own], counts)
    is_new = np.concatenate([[True], row[1:] != row[:-1]])
    return bounds[is_new], row[is_new]
