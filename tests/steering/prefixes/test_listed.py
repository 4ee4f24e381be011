"""The longest of the prefixes that sites list, and what contradicts itself."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steering.errors import SitesError
from steering.prefixes.addresses import Prefix, parse_address, show_prefix
from steering.prefixes.listed import Listing, Prefixes
from steering.prefixes.table import Match
from tests.steering.tables import ends, longest, prefixes


def find(listed: Prefixes, text: str) -> Match | None:
    address = parse_address(text)
    assert address is not None
    return listed.find(address)


@given(st.lists(prefixes, unique=True, max_size=20))
def test_the_longest_covering_prefix_wins(listed: list[Prefix]) -> None:
    found = Prefixes(Listing(f"site-{n}", [show_prefix(prefix)]) for n, prefix in enumerate(listed))
    known = {prefix: (f"site-{n}",) for n, prefix in enumerate(listed)}
    assert len(found) == len(listed)
    for prefix in listed:
        for address in ends(prefix):
            assert found.find(address) == longest(known, address)


def test_a_prefix_of_length_zero_covers_what_no_longer_one_does() -> None:
    listed = Prefixes([Listing("everybody", ["0.0.0.0/0"]), Listing("home", ["192.0.2.0/24"])])
    assert find(listed, "198.51.100.1") == Match(("everybody",), 0)
    assert find(listed, "192.0.2.1") == Match(("home",), 24)
    assert find(listed, "2001:db8::1") is None


def test_no_prefixes_cover_nobody() -> None:
    assert find(Prefixes(), "192.0.2.1") is None
    assert len(Prefixes()) == 0


def test_an_address_inside_a_network_is_refused_with_the_network_that_was_meant() -> None:
    with pytest.raises(SitesError, match=r"site 'north', prefix 2: found '192.0.2.7/24', expected 192.0.2.0/24"):
        Prefixes([Listing("north", ["10.0.0.0/8", "192.0.2.7/24"])])


def test_nonsense_in_a_file_is_refused_with_its_line() -> None:
    with pytest.raises(SitesError, match=r"north.txt, line 7: found '10.0.0.0/33', expected a prefix such as"):
        Prefixes([Listing("north", ["10.0.0.0/33"], "north.txt", [7])])


@pytest.mark.parametrize("prefix", ["10.0.0.0/8", "2001:db8::/32", "2001:db8::/127"])
def test_two_sites_cannot_list_the_same_prefix(prefix: str) -> None:
    with pytest.raises(SitesError) as refused:
        Prefixes([Listing("north", ["192.0.2.0/24", prefix]), Listing("south", [prefix], "south.txt", [3])])
    assert str(refused.value) == (
        f"south.txt, line 3: {prefix} is listed for site 'north' already (site 'north', prefix 2), expected one site"
    )


@pytest.mark.parametrize("prefix", ["10.0.0.0/8", "2001:db8::/32", "2001:db8::/127"])
def test_a_site_may_name_a_prefix_twice(prefix: str) -> None:
    assert len(Prefixes([Listing("north", [prefix, prefix]), Listing("north", [prefix], "north.txt", [1])])) == 1
