"""All prefixes of a table with the sites that announced them, and what of a table a change makes anew.

Whoever makes tables keeps the entries, in 13 bytes a prefix; whoever only looks up has a `Table`, which is made of the
patches that entries give.

Pure.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping

import numpy as np

from steering.errors import TableError
from steering.prefixes.addresses import BITS, Prefix
from steering.prefixes.columns import Columns, Indexes, Lengths, Numbers, Pieces, Words, distinct
from steering.prefixes.table import DEEP_BITS, EMPTY, Deep, Names, Patch, Table

_TOP = {4: 32, 6: BITS[6] - DEEP_BITS}  # bits of an address that columns go by
_LOW = 2**DEEP_BITS - 1
_NOBODY: Names = ()


class Entries:
    def __init__(self) -> None:
        self._columns = {version: Columns(bits) for version, bits in _TOP.items()}
        self._deep: dict[int, dict[tuple[int, int], int]] = {}
        self._ids: dict[Names, int] = {_NOBODY: 0}
        self._told = 0  # how many of the ids are in a patch already
        self._touched = {version: np.zeros(0, np.int64) for version in _TOP}
        self._touched_deep: set[int] = set()

    def __len__(self) -> int:
        return sum(self.counts())

    def counts(self) -> tuple[int, int]:
        """How many prefixes of IPv4 and of IPv6 there are."""
        return len(self._columns[4]), len(self._columns[6]) + sum(map(len, self._deep.values()))

    def number(self, sites: Names) -> int:
        """The number that stands for these sites, 0 for none."""
        return self._ids.setdefault(sites, len(self._ids))

    def change(self, changes: Mapping[Prefix, Names]) -> None:
        """Takes over who announces these prefixes; with nobody a prefix goes. Raises TableError before it does any."""
        columns = {version: (array("Q"), array("B"), array("I")) for version in _TOP}
        deep: list[tuple[int, int, int]] = []
        ids = self._ids
        for prefix, sites in changes.items():
            version, network, length = prefix
            number = ids.get(sites)
            if number is None:
                number = self.number(sites)
            below = 0
            if version == 6:
                if length > DEEP_BITS:
                    deep.append((network, length, number))
                    continue
                if network & _LOW:
                    raise _refusal(prefix)
                below = DEEP_BITS
            try:
                networks, lengths, numbers = columns[version]
                networks.append(network >> below)
                lengths.append(length)
                numbers.append(number)
            except (KeyError, OverflowError):
                raise _refusal(prefix) from None
        taken = {version: _arrays(*column) for version, column in columns.items()}
        for version, (network_of, length_of, _) in taken.items():
            _check(version, network_of, length_of)
        for network, length, _ in deep:
            if length > BITS[6] or not 0 <= network < 2 ** BITS[6] or network & (2 ** (BITS[6] - length) - 1):
                raise _refusal((6, network, length))
        for version, column in taken.items():
            self.put(version, *column)
        for network, length, number in deep:
            self.put_deep(network, length, number)

    def put(self, version: int, network: Numbers, length: Lengths, number: Words) -> None:
        """As `change`, in columns: the first 64 bits of an IPv6 network, and no prefix that is longer."""
        touched = self._columns[version].put(network, length, number)
        self._touched[version] = distinct(np.append(self._touched[version], touched))

    def put_deep(self, network: int, length: int, number: int) -> None:
        """As `change`, for an IPv6 prefix longer than the columns go."""
        top, low = network >> DEEP_BITS, network & _LOW
        within = self._deep.setdefault(top, {})
        if number:
            within[low, length] = number
        else:
            within.pop((low, length), None)
        if not within:
            del self._deep[top]
        self._touched_deep.add(top)

    def patch(self, at: int) -> tuple[bytes, Patch]:
        """What has changed since the last patch: the pieces, which begin `at` that byte of the table's image."""
        raw, slabs = b"", []
        for version, columns in self._columns.items():
            pieces = columns.cut(self._touched[version])
            written, where = (_narrow if version == 4 else _wide)(pieces, at + len(raw))
            raw += written
            slabs.append(where)
            self._touched[version] = np.zeros(0, np.int64)
        deep = {top: self._longest_first(top) for top in self._touched_deep}
        self._touched_deep = set()
        values = list(self._ids)[self._told :]
        self._told = len(self._ids)
        return raw, Patch((slabs[0], slabs[1]), values, deep, self.counts())

    def table(self) -> Table:
        """A table of its own, of what the next patch would tell."""
        pieces, patch = self.patch(len(EMPTY))
        table = Table(memoryview(EMPTY + pieces))
        table.take([patch])
        return table

    def forget(self) -> None:
        """The next patch is for a table that has nothing yet. Sites that nobody names any more lose their number."""
        live = distinct(np.concatenate([columns.value for columns in self._columns.values()])).tolist()
        live = sorted({0, *live, *(number for within in self._deep.values() for number in within.values())})
        numbers = np.zeros(len(self._ids), np.uint32)
        numbers[live] = np.arange(len(live), dtype=np.uint32)
        sites = list(self._ids)
        self._ids = {sites[number]: new for new, number in enumerate(live)}
        self._told = 0
        for version, columns in self._columns.items():
            columns.renumber(numbers)
            self._touched[version] = columns.used()
        self._deep = {
            top: {key: int(numbers[number]) for key, number in within.items()} for top, within in self._deep.items()
        }
        self._touched_deep = set(self._deep)

    def _longest_first(self, top: int) -> list[Deep]:
        within = self._deep.get(top, {})
        return [
            (low, length, number) for (low, length), number in sorted(within.items(), key=lambda one: -one[0][1])
        ]  # fmt: skip


def _narrow(pieces: Pieces, at: int) -> tuple[bytes, bytes]:
    """Of each slab its bounds of 32 bits, then its words; and where the bounds are, in words of the image."""
    begins, counts = pieces.begins[:-1], np.diff(pieces.begins)
    out = np.empty(2 * len(pieces.bounds), np.uint32)
    place = np.arange(len(pieces.bounds)) + np.repeat(begins, counts)
    out[place] = pieces.bounds
    out[place + np.repeat(counts, counts)] = pieces.words
    return out.tobytes(), _where(pieces.slabs, at // 4 + 2 * begins, counts)


def _wide(pieces: Pieces, at: int) -> tuple[bytes, bytes]:
    """As `_narrow`, with bounds of 64 bits, and begin and end in double words of the image."""
    begins, counts = pieces.begins[:-1], np.diff(pieces.begins)
    sizes = counts + (counts + 1) // 2
    starts = np.cumsum(sizes) - sizes
    out = np.zeros(sizes.sum(), np.uint64)
    within = np.arange(len(pieces.bounds)) - np.repeat(begins, counts)
    out[within + np.repeat(starts, counts)] = pieces.bounds
    out.view(np.uint32)[within + np.repeat(2 * (starts + counts), counts)] = pieces.words
    return out.tobytes(), _where(pieces.slabs, at // 8 + starts, counts)


def _where(slabs: Indexes, begins: Indexes, counts: Indexes) -> bytes:
    return np.stack([slabs, begins, begins + counts]).astype(np.uint32).tobytes()


def _arrays(network: array[int], length: array[int], number: array[int]) -> tuple[Numbers, Lengths, Words]:
    return np.asarray(network), np.asarray(length), np.asarray(number)


def _check(version: int, network: Numbers, length: Lengths) -> None:
    """Raises TableError for what is no prefix."""
    bits = _TOP[version]
    one = np.uint64(1)
    host = (one << (bits - np.minimum(length, bits)).astype(np.uint64)) - one  # numpy shifts 1 by 64 to 0
    is_wrong = (length > bits) | (network & host != 0) | (network > np.uint64(2**bits - 1))
    for place in np.flatnonzero(is_wrong)[:1].tolist():
        raise _refusal((version, int(network[place]) << (BITS[version] - bits), int(length[place])))


def _refusal(prefix: Prefix) -> TableError:
    return TableError(f"found prefix {prefix}, expected IP version 4 or 6, a network and its length")
