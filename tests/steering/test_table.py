from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from steering.table import NOBODY, Pieces, Rows

prefixes = st.lists(st.tuples(st.integers(0, 2**64 - 1), st.integers(0, 64)), max_size=30)


def rows_of(prefixes: list[tuple[int, int]], bits: int) -> list[tuple[int, int]]:
    """Networks of so many bits, each once, without what is below their length."""
    found: dict[tuple[int, int], None] = {}
    for number, length in prefixes:
        length = min(length, bits)
        found[number >> (64 - length) << (bits - length) if length else 0, length] = None
    return list(found)


@pytest.mark.parametrize("bits", [32, 64])
@given(prefixes, st.integers(0, 2**64 - 1))
def test_every_address_is_found_as_by_looking_at_each_prefix(
    bits: int, prefixes: list[tuple[int, int]], somewhere: int
) -> None:
    rows = rows_of(prefixes, bits)
    pieces = Pieces(
        Rows(np.array([one[0] for one in rows], np.uint64), np.array([one[1] for one in rows], np.uint8)), bits
    )
    ends = [edge for network, length in rows for edge in (network, network + (1 << (bits - length)))]
    for address in (somewhere >> (64 - bits), 0, 2**bits - 1, *ends, *(end - 1 for end in ends)):
        if not 0 <= address < 2**bits:
            continue
        covering = [
            (length, row) for row, (network, length) in enumerate(rows)
            if address >> (bits - length) == network >> (bits - length)
        ]  # fmt: skip
        assert pieces.find(address) == (max(covering)[1] if covering else NOBODY)


def test_a_million_prefixes_take_no_more_memory_than_their_bounds() -> None:
    random = np.random.default_rng(1)
    network = np.unique(random.integers(0, 2**24, 300_000, dtype=np.uint64)) << np.uint64(8)
    pieces = Pieces(Rows(network, np.full(len(network), 24, np.uint8)), 32)
    assert pieces.size < 20 * len(network)
