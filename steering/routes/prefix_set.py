"""Sets of address space, and whether a prefix is inside.

Pure.
"""

from __future__ import annotations

from collections.abc import Iterable

from steering.prefixes.addresses import BITS, Prefix
from steering.routes.route import Key, unpack


class PrefixSet:
    """Prefixes by their length: asking costs one look-up for each length that there is."""

    __slots__ = ("_by_length", "_first")

    def __init__(self, keys: Iterable[Key] = ()) -> None:
        collected: dict[int, dict[int, set[int]]] = {4: {}, 6: {}}
        # Whether anything at all is in the /8 of an address: almost every route is done with after this.
        self._first = {4: bytearray(256), 6: bytearray(256)}
        for key in keys:
            version, network, length = unpack(key)
            collected[version].setdefault(length, set()).add(network >> (BITS[version] - length))
            first = network >> (BITS[version] - 8)
            for place in range(first, first + (1 << max(0, 8 - length))):
                self._first[version][place] = 1
        self._by_length = {
            version: tuple((length, frozenset(found)) for length, found in sorted(lengths.items()))
            for version, lengths in collected.items()
        }

    def __bool__(self) -> bool:
        return any(self._by_length.values())

    def covers(self, prefix: Prefix) -> bool:
        """Whether the prefix is one of them or inside one."""
        version, network, length = prefix
        bits = 32 if version == 4 else 128
        if not self._first[version][network >> (bits - 8)]:
            return False
        for own, networks in self._by_length[version]:
            if own > length:
                return False
            if network >> (bits - own) in networks:
                return True
        return False
