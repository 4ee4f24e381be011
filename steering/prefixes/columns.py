"""The prefixes of one IP version as sorted columns, and the pieces that they cut the address space into.

    prefixes (network, length, value)  ->  bounds [a, b, ...) and, for each piece between two, its longest prefix

The space is 65,536 slabs, by the first 16 bits of an address. A prefix of more bits lies in one slab; all shorter ones
together give each slab its ground. So a change is known by the slabs it touches, and only those are cut again: longer
prefixes are painted over shorter ones, one length after the other, for all touched slabs at once. A million prefixes
take a second, a change of a thousand a fiftieth of that.

Pure.
"""

from __future__ import annotations

from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

# Bits of an address that its slab goes by.
SLAB_BITS = 16
SLABS = 2**SLAB_BITS
# A piece's word is the value of its longest prefix and, below, the length: together they say which prefix it is. No
# value is 0, so 0 is the word of what nobody has.
LENGTH_BITS = 7

Numbers = npt.NDArray[np.uint64]
Words = npt.NDArray[np.uint32]
_Number = TypeVar("_Number", bound=np.generic)
Lengths = npt.NDArray[np.uint8]
Indexes = npt.NDArray[np.int64]


class Pieces(NamedTuple):
    """Some slabs, cut. The pieces of slab `slabs[n]` are those from `begins[n]` to before `begins[n + 1]`."""

    slabs: Indexes
    begins: Indexes
    bounds: Numbers  # where each piece begins; the first of a slab is where the slab does
    words: Words


class Columns:
    """The prefixes of addresses of `bits` bits: sorted by network, then by length, each once."""

    def __init__(self, bits: int) -> None:
        self._bits = bits
        self._shift = np.uint64(bits - SLAB_BITS)
        self.network = np.zeros(0, np.uint64)
        self.length = np.zeros(0, np.uint8)
        self.value = np.zeros(0, np.uint32)
        self._ground = np.zeros(SLABS, np.uint32)

    def __len__(self) -> int:
        return len(self.network)

    def put(self, network: Numbers, length: Lengths, value: Words) -> Indexes:
        """Takes over changes, each prefix once; value 0 takes a prefix away. Returns the slabs that it touches."""
        order = np.lexsort((length, network))
        network, length, value = network[order], length[order], value[order]
        at, is_known = self._find(network, length)
        old = np.zeros(len(at), np.uint32)
        old[is_known] = self.value[at[is_known]]
        is_changed = old != value
        stays, goes, comes = (
            is_changed & is_known & (value != 0), is_changed & (value == 0), is_changed & ~is_known
        )  # fmt: skip
        self.value[at[stays]] = value[stays]
        if goes.any():
            self.network = np.delete(self.network, at[goes])
            self.length = np.delete(self.length, at[goes])
            self.value = np.delete(self.value, at[goes])
            at, _ = self._find(network, length)
        if comes.any():
            self.network = np.insert(self.network, at[comes], network[comes])
            self.length = np.insert(self.length, at[comes], length[comes])
            self.value = np.insert(self.value, at[comes], value[comes])
        is_short = length <= SLAB_BITS
        touched = (network[is_changed & ~is_short] >> self._shift).astype(np.int64)
        return distinct(np.append(touched, self._lay_ground()) if (is_changed & is_short).any() else touched)

    def used(self) -> Indexes:
        """The slabs in which anything is."""
        is_long = self.length > SLAB_BITS
        slabs = (self.network[is_long] >> self._shift).astype(np.int64)
        return distinct(np.append(np.flatnonzero(self._ground), slabs))

    def renumber(self, values: Words) -> None:
        """Gives each value n the number `values[n]`."""
        self.value = values[self.value]
        self._lay_ground()

    def cut(self, slabs: Indexes) -> Pieces:
        """The pieces of these slabs, which are sorted, each once."""
        starts = slabs.astype(np.uint64) << self._shift
        low = (np.uint64(1) << self._shift) - np.uint64(1)
        rows = _ranges(np.searchsorted(self.network, starts), np.searchsorted(self.network, starts + low, side="right"))
        rows = rows[self.length[rows] > SLAB_BITS]
        network, length = self.network[rows], self.length[rows]
        last = network + ((np.uint64(1) << (self._bits - length.astype(np.int64)).astype(np.uint64)) - np.uint64(1))
        after = last[last & low != low] + np.uint64(1)  # where the slab ends nothing of it begins
        bounds = distinct(np.concatenate([starts, network, after]))
        begins = np.append(np.searchsorted(bounds, starts), len(bounds))
        words = np.repeat(self._ground[slabs], np.diff(begins))
        word = _words(self.value[rows], length)
        begin = np.searchsorted(bounds, network)
        end = np.searchsorted(bounds, last, side="right")
        for bits in distinct(length):
            own = np.flatnonzero(length == bits)
            words[_ranges(begin[own], end[own])] = np.repeat(word[own], end[own] - begin[own])
        is_new = np.append(True, words[1:] != words[:-1]) if len(words) else np.zeros(0, np.bool_)
        is_new[begins[:-1]] = True
        return Pieces(slabs, np.append(0, np.cumsum(is_new))[begins], bounds[is_new], words[is_new])

    def _find(self, network: Numbers, length: Lengths) -> tuple[Indexes, npt.NDArray[np.bool_]]:
        """Where these prefixes are, or would be, and which of them are there."""
        at = np.searchsorted(self.network, network)
        end = np.searchsorted(self.network, network, side="right")
        if not len(self):
            return at, np.zeros(len(at), np.bool_)
        # Prefixes of one network are few, and sorted by length: all step until none is longer than the one before it.
        while (is_shorter := (at < end) & (self.length[np.minimum(at, len(self) - 1)] < length)).any():
            at = at + is_shorter
        return at, (at < end) & (self.length[np.minimum(at, len(self) - 1)] == length)

    def _lay_ground(self) -> Indexes:
        """What the short prefixes give each slab; returns the slabs for which that has changed."""
        ground = np.zeros(SLABS, np.uint32)
        for bits in range(SLAB_BITS + 1):
            own = np.flatnonzero(self.length == bits)
            first = (self.network[own] >> self._shift).astype(np.int64)
            slabs = _ranges(first, first + 2 ** (SLAB_BITS - bits))
            ground[slabs] = np.repeat(_words(self.value[own], self.length[own]), 2 ** (SLAB_BITS - bits))
        changed = np.flatnonzero(ground != self._ground)
        self._ground = ground
        return changed


def distinct(numbers: npt.NDArray[_Number]) -> npt.NDArray[_Number]:
    """Sorted, each once. A tenth of the time of `np.unique`, which hashes first."""
    ranked = np.sort(numbers)
    return ranked[np.append(True, ranked[1:] != ranked[:-1])] if len(ranked) else ranked


def _words(value: Words, length: Lengths) -> Words:
    return value << np.uint32(LENGTH_BITS) | length.astype(np.uint32)


def _ranges(begins: Indexes, ends: Indexes) -> Indexes:
    """The numbers of all ranges, one range after the other."""
    counts = ends - begins
    before = np.cumsum(counts) - counts
    within: Indexes = np.arange(counts.sum(), dtype=np.int64) + np.repeat(begins - before, counts)
    return within
