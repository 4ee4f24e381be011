"""The prefixes of all sites, and the longest that covers a client's address.

Pure: addresses and prefixes in, names of sites out.
"""

from __future__ import annotations

import contextlib
import ipaddress
from array import array
from collections.abc import Iterable
from typing import NamedTuple, TypeAlias

import numpy as np

from steering.errors import SitesError
from steering.table import NOBODY, Pieces, Rows

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

# Bits of an IPv6 address that the table goes by.
TABLE_BITS = 64


class Match(NamedTuple):
    prefix: str  # "127.0.0.0/9"
    site: str


def parse_address(text: str) -> Address | None:
    """The address, or None if it is none. An IPv4 client of a dual-stack socket (::ffff:a.b.c.d) is an IPv4 client."""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def parse_prefix(text: str, where: str) -> Network:
    """Raises SitesError that names `where` it was written. A /0 is a prefix: it covers what no longer one does."""
    try:
        return ipaddress.ip_network(text)
    except ValueError as error:
        expected = "a prefix such as 192.0.2.0/24 or 2001:db8::/32"
        with contextlib.suppress(ValueError):
            # The usual slip is an address inside the network, 192.0.2.7/24: say what was meant.
            expected = str(ipaddress.ip_network(text, strict=False))
        raise SitesError(f"{where}: found {text!r}, expected {expected}") from error


def _parse_usual(text: str) -> tuple[int, int] | None:
    """Network and length of an IPv4 prefix as everybody writes it; None for anything else.

    A quarter of the time of `ipaddress`, for a full table has a million of them.
    """
    numbers, _, length = text.partition("/")
    parts = numbers.split(".")
    if len(parts) != 4 or not length.isdecimal() or not text.isascii():
        return None
    network = 0
    for part in parts:
        if not part.isdecimal() or len(part) > 3 or (part[0] == "0" and part != "0"):
            return None
        number = int(part)
        if number > 255:
            return None
        network = network << 8 | number
    bits = int(length) if len(length) <= 2 else 33
    return None if bits > 32 or length != str(bits) or network & (0xFFFFFFFF >> bits) else (network, bits)


class _Family:
    """The prefixes of one IP version: columns while they are announced, then a table of them."""

    def __init__(self, network: type[Network], bits: int) -> None:
        self._make, self._bits = network, bits
        self._below = network(0).max_prefixlen - bits  # bits of an address that the table does not go by
        self._network, self._length = array("Q"), array("B")
        self._site, self._position = array("i"), array("I")

    def add(self, network: int, length: int, site: int, position: int) -> None:
        self._network.append(network >> self._below)
        self._length.append(length)
        self._site.append(site)
        self._position.append(position)

    def settle(self, sites: list[str]) -> int:
        """Makes the table; how many different prefixes there are. Raises SitesError."""
        network = np.frombuffer(self._network, np.uint64) if self._network else np.zeros(0, np.uint64)
        length = np.frombuffer(self._length, np.uint8) if self._length else np.zeros(0, np.uint8)
        order = np.lexsort((length, network))
        ranked, long = network[order], length[order]
        is_same = np.concatenate([[False], (ranked[1:] == ranked[:-1]) & (long[1:] == long[:-1])])
        for place in np.flatnonzero(is_same).tolist():
            first, second = int(order[place - 1]), int(order[place])
            if self._site[first] != self._site[second]:
                raise SitesError(
                    f"site {sites[self._site[second]]!r}, prefix {self._position[second] + 1}: {self._text(second)} is "
                    f"announced by site {sites[self._site[first]]!r} already, expected one of them"
                )
        self._table = Pieces(Rows(network, length), self._bits)
        return len(order) - int(is_same.sum())

    def find(self, address: int, sites: list[str]) -> Match | None:
        row = self._table.find(address >> self._below)
        return None if row == NOBODY else Match(self._text(row), sites[self._site[row]])

    def _text(self, row: int) -> str:
        return str(self._make((self._network[row] << self._below, self._length[row])))


class Prefixes:
    """The prefixes of all sites."""

    def __init__(self, announced: Iterable[tuple[str, Iterable[str]]] = ()) -> None:
        """`announced` pairs a site with its prefixes. Raises SitesError if two sites claim the same one."""
        self._sites: list[str] = []
        self._families = {4: _Family(ipaddress.IPv4Network, 32), 6: _Family(ipaddress.IPv6Network, TABLE_BITS)}
        # IPv6 prefixes that are longer than the table goes are few: by the /64 that they are in, the longest first.
        self._deep: dict[int, dict[ipaddress.IPv6Network, str]] = {}
        for site, prefixes in announced:
            for position, text in enumerate(prefixes):
                usual = _parse_usual(text)
                if usual is not None:
                    self._families[4].add(*usual, len(self._sites), position)
                    continue
                where = f"site {site!r}, prefix {position + 1}"
                network = parse_prefix(text, where)
                if isinstance(network, ipaddress.IPv6Network) and network.prefixlen > TABLE_BITS:
                    self._add_deep(network, site, where)
                else:
                    address = int(network.network_address)
                    self._families[network.version].add(address, network.prefixlen, len(self._sites), position)
            self._sites.append(site)
        self._count = sum(family.settle(self._sites) for family in self._families.values())
        self._count += sum(len(networks) for networks in self._deep.values())
        for within, networks in self._deep.items():
            self._deep[within] = dict(sorted(networks.items(), key=lambda item: -item[0].prefixlen))

    def _add_deep(self, network: ipaddress.IPv6Network, site: str, where: str) -> None:
        networks = self._deep.setdefault(int(network.network_address) >> TABLE_BITS, {})
        other = networks.setdefault(network, site)
        if other != site:
            raise SitesError(f"{where}: {network} is announced by site {other!r} already, expected one of them")

    def __len__(self) -> int:
        return self._count

    def find(self, address: Address) -> Match | None:
        """The longest prefix that covers the address."""
        number = int(address)
        if address.version == 6 and self._deep:
            for network, site in self._deep.get(number >> TABLE_BITS, {}).items():
                if address in network:
                    return Match(str(network), site)
        return self._families[address.version].find(number, self._sites)
