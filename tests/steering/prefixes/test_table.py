"""Look-ups in tables like those of BGP, against the obvious way, and what they cost in memory."""

from __future__ import annotations

import random

import pytest

from steering.prefixes.addresses import BITS
from steering.prefixes.entries import Entries
from steering.prefixes.table import EMPTY, Match, Table
from tests.steering.tables import ends, like_bgp, longest

SITES = [("a",), ("b",), ("c",), ("a", "b"), ("c", "a", "b")]


@pytest.mark.parametrize("version", [4, 6])
def test_every_address_of_a_table_like_bgp_is_found_as_by_brute_force(version: int) -> None:
    draw = random.Random(version)
    known = like_bgp(draw, 20_000, version, SITES)
    entries = Entries()
    entries.change(known)
    table = entries.table()
    inside = [address for prefix in draw.sample(sorted(known), 10_000) for address in ends(prefix)]
    anywhere = [(version, draw.getrandbits(BITS[version])) for _ in range(10_000)]
    wrong = [address for address in (*inside, *anywhere) if table.find(address) != longest(known, address)]
    assert not wrong


def test_in_an_empty_table_nobody_is_found() -> None:
    table = Table(memoryview(EMPTY))
    for version in (4, 6):
        assert table.find((version, 0)) is None
        assert table.find((version, 2 ** BITS[version] - 1)) is None


def test_prefixes_longer_than_64_bits_are_found() -> None:
    entries = Entries()
    host = 0x20010DB8 << 96 | 0xBEEF
    entries.change({(6, host, 128): ("host",), (6, host & ~0xFF, 120): ("few",), (6, 0x20010DB8 << 96, 64): ("net",)})
    table = entries.table()
    assert table.find((6, host)) == Match(("host",), 128)
    assert table.find((6, host ^ 1)) == Match(("few",), 120)
    assert table.find((6, host ^ 1 << 32)) == Match(("net",), 64)


def test_a_table_takes_at_most_20_bytes_a_prefix() -> None:
    known = like_bgp(random.Random(1), 100_000, 4, SITES)
    entries = Entries()
    entries.change(known)
    pieces, _ = entries.patch(len(EMPTY))
    assert len(pieces) < 20 * len(known)
