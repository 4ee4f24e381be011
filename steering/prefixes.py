"""Longest prefix match: which site a client's address belongs to.

One dictionary for each prefix length that occurs, asked from the longest to the shortest. An ISP's own list has a
dozen lengths, so a look-up is a dozen dictionary reads at most, whatever the number of prefixes. A full BGP table
wants a compiled table instead; nothing outside this module would notice.

Pure: addresses and prefixes in, names of sites out.
"""

from __future__ import annotations

import contextlib
import ipaddress
from collections.abc import Iterable, Mapping
from typing import NamedTuple, TypeAlias

from steering.errors import SitesError

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

# IP version -> prefix length, longest first -> network address as a number -> site
Table: TypeAlias = Mapping[int, Mapping[int, Mapping[int, str]]]


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


class Prefixes:
    """The prefixes of all sites."""

    def __init__(self, announced: Iterable[tuple[str, Iterable[str]]] = ()) -> None:
        """`announced` pairs a site with its prefixes. Raises SitesError if two sites claim the same one."""
        found: dict[int, dict[int, dict[int, str]]] = {4: {}, 6: {}}
        for site, prefixes in announced:
            for position, text in enumerate(prefixes):
                where = f"site {site!r}, prefix {position + 1}"
                network = parse_prefix(text, where)
                sites = found[network.version].setdefault(network.prefixlen, {})
                other = sites.setdefault(int(network.network_address), site)
                if other != site:
                    raise SitesError(f"{where}: {network} is announced by site {other!r} already, expected one of them")
        self._table: Table = {
            version: {length: lengths[length] for length in sorted(lengths, reverse=True)}
            for version, lengths in found.items()
        }

    def __len__(self) -> int:
        return sum(len(sites) for lengths in self._table.values() for sites in lengths.values())

    def find(self, address: Address) -> Match | None:
        """The longest prefix that covers the address."""
        number, bits = int(address), address.max_prefixlen
        for length, sites in self._table[address.version].items():
            network = number >> (bits - length) << (bits - length)
            site = sites.get(network)
            if site is not None:
                return Match(f"{type(address)(network)}/{length}", site)
        return None
