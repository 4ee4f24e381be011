"""Longest prefix match over a full BGP table: a look-up in half a microsecond, in memory that processes share.

    image:  [nobody's slab] [slabs of a patch] [slabs of the next] ...     bounds, and a word for each
    slab:   the first 16 bits of an address -> where its bounds are in the image

A look-up is a binary search in the bounds of the address's slab, whatever the nesting of prefixes. The image is bytes
that only ever grow: a change appends the slabs that it touches, and a patch says where they are now. IPv6 is cut at 64
bits, the shortest network that hosts live in; what is longer is rare, and is looked up by its /64 first.

Pure.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import NamedTuple, TypeAlias

import msgspec
import numpy as np

from steering.prefixes.addresses import Address
from steering.prefixes.columns import LENGTH_BITS, SLAB_BITS, SLABS

# The image begins with a slab that nobody has: one bound, one word, both 0, of either version.
EMPTY = bytes(16)
# Bits of an IPv6 address that slabs do not go by.
DEEP_BITS = 64
_SHIFT_4, _SHIFT_6 = 32 - SLAB_BITS, 128 - DEEP_BITS - SLAB_BITS
_LOW = 2**DEEP_BITS - 1

# Names of sites, best path first.
Names: TypeAlias = tuple[str, ...]
# A prefix longer than 64 bits: its last 64 bits, its length, the number of its sites.
Deep: TypeAlias = tuple[int, int, int]
# Of a /64 those prefixes by the bits below them, the longest first: last 64 bits -> number of the sites. A look-up
# takes a step for each length there is: 4 us among 100,000 hosts that somebody lists one by one.
_Within: TypeAlias = dict[int, dict[int, int]]
# Of each slab of one IP version where its bounds begin, and where they end.
_Slabs: TypeAlias = "tuple[array[int], array[int]]"
_NOTHING: _Within = {}


class Match(NamedTuple):
    """The longest prefix of an address: shared by all prefixes of that length and those sites, so none is made anew."""

    sites: Names
    length: int


class Patch(msgspec.Struct, frozen=True, array_like=True):
    """What changes in a table beside its image."""

    slabs: tuple[bytes, bytes]  # of IPv4 and IPv6: columns of 32 bits, the slabs, where their bounds begin and end
    sites: list[Names]  # these get the next numbers
    deep: dict[int, list[Deep]]  # by the /64, the longest first; none: they are gone
    counts: tuple[int, int]  # prefixes of IPv4 and IPv6 in all

    @property
    def changes_anything(self) -> bool:
        return bool(any(self.slabs) or self.sites or self.deep)


class Table:
    """Look-ups may go on in one thread while another takes patches."""

    __slots__ = ("_deep", "_doubles", "_matches", "_sites", "_slabs_4", "_slabs_6", "_words", "counts")

    def __init__(self, image: memoryview) -> None:
        self._words, self._doubles = image.cast("I"), image.cast("Q")
        self._slabs_4: _Slabs = array("I", [0]) * SLABS, array("I", [1]) * SLABS
        self._slabs_6 = self._slabs_4
        self._deep: dict[int, _Within] = {}
        self._sites: list[Names] = []
        self._matches: dict[int, Match | None] = {0: None}
        self.counts = (0, 0)

    def take(self, patches: Sequence[Patch]) -> None:
        """Takes over changes, in their order."""
        deep = self._deep.copy()
        for patch in patches:
            self._sites += patch.sites
            deep.update((top, _by_length(within)) for top, within in patch.deep.items())
            self.counts = patch.counts
        self._deep = {top: within for top, within in deep.items() if within}
        self._slabs_4 = _changed(self._slabs_4, (patch.slabs[0] for patch in patches))
        self._slabs_6 = _changed(self._slabs_6, (patch.slabs[1] for patch in patches))

    def find(self, address: Address) -> Match | None:
        """The longest prefix that covers the address."""
        version, number = address
        words = self._words
        if version == 4:
            begins, ends = self._slabs_4
            slab = number >> _SHIFT_4
            begin, end = begins[slab], ends[slab]
            word = words[bisect_right(words, number, begin, end) - 1 - begin + end]
        else:
            top = number >> DEEP_BITS
            if self._deep and (deep := self._find_deep(top, number & _LOW)) is not None:
                return deep
            begins, ends = self._slabs_6
            slab = top >> _SHIFT_6
            begin, end = begins[slab], ends[slab]
            word = words[bisect_right(self._doubles, top, begin, end) - 1 - begin + 2 * end]
        try:
            return self._matches[word]
        except KeyError:
            return self._remember(word)

    def _find_deep(self, top: int, low: int) -> Match | None:
        for below, numbers in self._deep.get(top, _NOTHING).items():
            number = numbers.get(low >> below << below)
            if number is not None:
                return Match(self._sites[number], 2 * DEEP_BITS - below)
        return None

    def _remember(self, word: int) -> Match:
        match = self._matches[word] = Match(self._sites[word >> LENGTH_BITS], word & (2**LENGTH_BITS - 1))
        return match


def _by_length(within: Iterable[Deep]) -> _Within:
    found: _Within = {}
    for network, length, number in within:
        found.setdefault(2 * DEEP_BITS - length, {})[network] = number
    return found


def _changed(slabs: _Slabs, changes: Iterable[bytes]) -> _Slabs:
    """A copy: whoever looks up meanwhile has either."""
    fresh = slabs[0][:], slabs[1][:]
    begins, ends = np.asarray(fresh[0]), np.asarray(fresh[1])
    for columns in changes:
        changed, begin, end = np.frombuffer(columns, np.uint32).reshape(3, -1)
        begins[changed], ends[changed] = begin, end
    return fresh
