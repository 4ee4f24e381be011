"""Pieces of the address space against looking at each prefix."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from steering.prefixes.columns import LENGTH_BITS, SLAB_BITS, Columns, distinct

rows = st.lists(st.tuples(st.integers(0, 2**64 - 1), st.integers(0, 64), st.integers(0, 3)), max_size=30)


def changes_of(rows: list[tuple[int, int, int]], bits: int) -> dict[tuple[int, int], int]:
    found = {}
    for number, length, value in rows:
        length = min(length, bits)
        found[number >> (64 - length) << (bits - length) if length else 0, length] = value
    return found


def put(columns: Columns, changes: dict[tuple[int, int], int]) -> set[int]:
    network, length = [key[0] for key in changes], [key[1] for key in changes]
    touched = columns.put(
        np.array(network, np.uint64), np.array(length, np.uint8), np.array(list(changes.values()), np.uint32)
    )
    return set(touched.tolist())


@pytest.mark.parametrize("bits", [32, 64])
@given(rows, rows)
def test_what_is_touched_is_cut_right_and_nothing_else_has_changed(
    bits: int, first: list[tuple[int, int, int]], second: list[tuple[int, int, int]]
) -> None:
    columns, known = Columns(bits), {}
    put(columns, changes_of(first, bits))
    known = {key: value for key, value in changes_of(first, bits).items() if value}
    before = dict(known)
    touched = put(columns, changes_of(second, bits))
    known.update(changes_of(second, bits))
    known = {key: value for key, value in known.items() if value}
    assert list(zip(columns.network.tolist(), columns.length.tolist(), strict=True)) == sorted(known)
    slabs = {network >> (bits - SLAB_BITS) for network, _ in (*known, *before)}
    pieces = columns.cut(np.array(sorted(slabs), np.int64))
    for place, slab in enumerate(sorted(slabs)):
        own = range(int(pieces.begins[place]), int(pieces.begins[place + 1]))
        assert int(pieces.bounds[own[0]]) == slab << (bits - SLAB_BITS)
        for piece in own:
            address = int(pieces.bounds[piece])
            assert int(pieces.words[piece]) == word(known, address, bits)
            if slab not in touched:
                assert word(known, address, bits) == word(before, address, bits)


def word(known: dict[tuple[int, int], int], address: int, bits: int) -> int:
    for length in range(bits, -1, -1):
        if value := known.get((address >> (bits - length) << (bits - length), length)):
            return value << LENGTH_BITS | length
    return 0


def test_neighbours_that_say_the_same_are_one_piece() -> None:
    columns = Columns(32)
    put(columns, {(10 << 24 | third << 8, 24): 1 for third in range(256)})
    assert len(columns.cut(np.array([10 << 8])).bounds) == 1


@given(st.lists(st.integers(0, 9)))
def test_distinct_numbers_are_sorted_and_each_is_there_once(numbers: list[int]) -> None:
    assert distinct(np.array(numbers, np.int64)).tolist() == sorted(set(numbers))
