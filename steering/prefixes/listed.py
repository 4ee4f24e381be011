"""The prefixes that sites list, and the longest that covers a client's address.

Pure: addresses and prefixes in, names of sites out.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from steering.errors import SitesError
from steering.prefixes.addresses import BITS, Prefix, parse_prefix, read_prefix, show_prefix
from steering.prefixes.entries import Entries
from steering.prefixes.table import DEEP_BITS


class Listing(NamedTuple):
    """Prefixes of a site from one source, as they are written there."""

    site: str
    prefixes: Sequence[str]
    file: str = ""  # none: the configuration
    lines: Sequence[int] = ()  # where in the file each is

    def where(self, position: int) -> str:
        if self.file:
            return f"{self.file}, line {self.lines[position]}"
        return f"site {self.site!r}, prefix {position + 1}"


class Prefixes:
    """The prefixes of all sites. Raises SitesError for what is no prefix, and if two sites claim the same one."""

    def __init__(self, listings: Iterable[Listing] = ()) -> None:
        self._listings = list(listings)
        entries = Entries()
        columns = {4: _Column(), 6: _Column()}
        deep: dict[Prefix, tuple[int, int]] = {}
        for number, listing in enumerate(self._listings):
            for position, text in enumerate(listing.prefixes):
                prefix = read_prefix(text) or parse_prefix(text, listing.where(position))
                version, network, length = prefix
                if version == 4:
                    columns[4].add(network, length, number, position)
                elif length <= BITS[6] - DEEP_BITS:
                    columns[6].add(network >> DEEP_BITS, length, number, position)
                else:
                    self._same_site(prefix, deep.setdefault(prefix, (number, position)), (number, position))
        sites = np.array([entries.number((listing.site,)) for listing in self._listings], np.uint32)
        for version, column in columns.items():
            self._settle(entries, version, column, sites)
        for (_, network, length), (number, _) in deep.items():
            entries.put_deep(network, length, int(sites[number]))
        self.counts = entries.counts()
        self.find = entries.table().find
        del self._listings

    def __len__(self) -> int:
        return sum(self.counts)

    def _settle(self, entries: Entries, version: int, column: _Column, sites: np.ndarray) -> None:
        """Puts a family's prefixes into the entries, each once."""
        network, length = np.asarray(column.network), np.asarray(column.length)
        order = np.lexsort((length, network))
        ranked, long = network[order], length[order]
        is_same = np.append(False, (ranked[1:] == ranked[:-1]) & (long[1:] == long[:-1]))[: len(order)]
        for place in np.flatnonzero(is_same).tolist():
            first, second = int(order[place - 1]), int(order[place])
            below = 0 if version == 4 else DEEP_BITS
            prefix = version, column.network[second] << below, column.length[second]
            self._same_site(prefix, column.listed(first), column.listed(second))
        once = order[~is_same]
        entries.put(version, network[once], length[once], sites[np.asarray(column.number)[once]])

    def _same_site(self, prefix: Prefix, first: tuple[int, int], second: tuple[int, int]) -> None:
        """Two listings may name a prefix only if they are of one site."""
        one, other = self._listings[first[0]], self._listings[second[0]]
        if one.site != other.site:
            raise SitesError(
                f"{other.where(second[1])}: {show_prefix(prefix)} is listed for site {one.site!r} already "
                f"({one.where(first[1])}), expected one site"
            )


class _Column:
    """The prefixes of one IP version as they are read."""

    def __init__(self) -> None:
        self.network, self.length = array("Q"), array("B")
        self.number, self.position = array("I"), array("I")  # of the listing, and in it

    def add(self, network: int, length: int, number: int, position: int) -> None:
        self.network.append(network)
        self.length.append(length)
        self.number.append(number)
        self.position.append(position)

    def listed(self, row: int) -> tuple[int, int]:
        return self.number[row], self.position[row]
