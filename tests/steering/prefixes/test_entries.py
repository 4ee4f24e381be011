"""Tables made by changes against a dictionary of what was announced."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steering.errors import TableError
from steering.prefixes.addresses import Prefix
from steering.prefixes.entries import Entries
from steering.prefixes.table import EMPTY, Names, Table
from tests.steering.tables import changes, ends, longest

# A prefix of length 0 takes 65,536 slabs of its version.
IMAGE_BYTES = 2**24


# A prefix of no length is in all slabs: an example may take 50 ms.
@settings(max_examples=40)
@given(st.lists(changes, max_size=6), st.booleans())
def test_after_any_changes_every_address_is_found_as_by_looking_at_each_prefix(
    steps: list[dict[Prefix, Names]], forgets: bool
) -> None:
    entries, known = Entries(), dict[Prefix, Names]()
    image = bytearray(IMAGE_BYTES)
    table, end = Table(memoryview(image)), len(EMPTY)
    for step in steps:
        entries.change(step)
        known = {prefix: sites for prefix, sites in (known | step).items() if sites}
        if forgets:
            entries.forget()
            table, end = Table(memoryview(image)), len(EMPTY)
        pieces, patch = entries.patch(end)
        image[end : end + len(pieces)] = pieces
        end += len(pieces)
        table.take([patch])
        assert sum(table.counts) == len(known) == len(entries)
        for prefix in (*known, *step):
            for address in ends(prefix):
                assert table.find(address) == longest(known, address)


def test_a_change_touches_only_what_it_changes() -> None:
    entries = Entries()
    entries.change({(4, slab << 16, 20): ("a",) for slab in range(1000)})
    entries.patch(0)
    entries.change({(4, 7 << 16, 20): ("b",), (4, 8 << 16, 20): ("a",)})
    pieces, patch = entries.patch(0)
    assert len(pieces) == 2 * 2 * 4  # two pieces, and for each a bound and a word
    assert patch.changes_anything
    assert not entries.patch(0)[1].changes_anything


def test_sites_that_nobody_names_any_more_are_forgotten() -> None:
    entries = Entries()
    for number in range(100):
        entries.change({(4, 0, 8): (f"site-{number}",)})
    entries.forget()
    assert entries.patch(0)[1].sites == [(), ("site-99",)]


@pytest.mark.parametrize(
    "wrong",
    [
        (4, 1, 24), (4, 0, 33), (4, 2**32, 32), (4, -1, 32), (4, 0, -1), (5, 0, 0),
        (6, 1, 64), (6, 1, 127), (6, 2**128, 32), (6, 0, 129), (6, -1, 128),
    ],
)  # fmt: skip
def test_what_is_no_prefix_is_refused_and_nothing_is_taken_over(wrong: Prefix) -> None:
    entries = Entries()
    with pytest.raises(TableError, match=r"found prefix \([456], .* expected IP version"):
        entries.change({(4, 0, 8): ("a",), (6, 1, 128): ("a",), wrong: ("b",)})
    assert len(entries) == 0
