"""Prefixes nested as those of BGP are, and the obvious way to find the longest."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from hypothesis import strategies as st

from steering.prefixes.addresses import BITS, Address, Prefix
from steering.prefixes.table import Names

# Where prefixes of a generated table begin: few places, so that they nest and meet.
_STEMS = {
    4: (0, 10 << 24, 10 << 24 | 128 << 16, 2**32 - 1),
    6: (0, 0x20010DB8 << 96, 0x20010DB8_0001_0002 << 64, 2**128 - 1),
}


def network(version: int, number: int, length: int) -> Prefix:
    below = BITS[version] - length
    return version, number >> below << below, length


def ends(prefix: Prefix) -> list[Address]:
    """The addresses on both sides of both ends."""
    version, begin, length = prefix
    after = begin + (1 << (BITS[version] - length))
    return [(version, at) for at in (begin - 1, begin, after - 1, after) if 0 <= at < 2 ** BITS[version]]


def longest(entries: Mapping[Prefix, Names], address: Address) -> tuple[Names, int] | None:
    """By looking for the prefix of each length, the longest first."""
    version, number = address
    for length in range(BITS[version], -1, -1):
        if sites := entries.get(network(version, number, length)):
            return sites, length
    return None


def like_bgp(draw: random.Random, count: int, version: int, sites: Sequence[Names]) -> dict[Prefix, Names]:
    """Allocations, and more specific prefixes inside them, some announced by others."""
    long, allocated = (24, range(8, 22)) if version == 4 else (48, range(20, 40))
    found: dict[Prefix, Names] = {}
    while len(found) < count:
        begin, length = draw.getrandbits(BITS[version]), draw.choice(allocated)
        own = found[network(version, begin, length)] = draw.choice(sites)
        for _ in range(draw.randrange(8)):
            inside = begin & ~(2 ** (BITS[version] - length) - 1) | draw.getrandbits(BITS[version] - length)
            found[network(version, inside, draw.randint(length, long))] = draw.choice((own, draw.choice(sites)))
    return found


def _prefixes(version: int) -> st.SearchStrategy[Prefix]:
    bits = BITS[version]
    return st.builds(
        lambda stem, noise, length: network(version, stem ^ noise, length),
        st.sampled_from(_STEMS[version]),
        st.one_of(st.just(0), st.integers(0, 2 ** (bits // 2) - 1), st.integers(0, 2**bits - 1)),
        st.integers(0, bits),
    )


prefixes = st.one_of(_prefixes(4), _prefixes(6))
# Nobody: the prefix is withdrawn.
changes = st.dictionaries(prefixes, st.sampled_from([(), ("a",), ("b",), ("a", "b"), ("b", "a")]), max_size=12)
