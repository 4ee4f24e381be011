"""The files of registries."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steering.checks.registry import Space, parse_registry
from steering.errors import SitesError
from steering.prefixes.addresses import BITS, Prefix, parse_prefix, show_prefix
from tests.steering.tables import prefixes

DELEGATED = """\
2|ripencc|1700000000|5|19830705|20231114|+0100
ripencc|*|ipv4|*|3|summary
ripencc|DE|ipv4|192.0.2.0|512|20100101|allocated|one
ripencc|DE|ipv4|192.0.4.0|768|20100101|assigned|one
ripencc||ipv4|198.51.100.0|256||reserved
ripencc|DE|asn|64500|1|20100101|allocated|one
ripencc|DE|ipv6|2001:db8::|32|20100101|allocated|one
"""
ROUTES = """\
% This is a registry's answer.

route:          192.0.2.0/23
descr:          a network: 198.51.100.0/24
                of two lines
remarks:
+
+ and of three
origin:AS64500
route:  192.0.4.0/22   # with a comment

route6:2001:db8::/32
"""
LIST = "# ours\n192.0.2.0/23\n  192.0.4.0/22\nfc00::/7\n2001:db8::/32\n"


@pytest.mark.parametrize("text", [DELEGATED, ROUTES, LIST])
def test_space_that_was_given_out_is_known_from_every_form(text: str) -> None:
    space = parse_registry("registry", text)
    for prefix, is_covered in (
        ("192.0.2.0/24", True),
        ("192.0.2.0/23", True),
        ("192.0.4.128/25", True),
        ("198.51.100.0/24", False),
        ("192.0.0.0/21", False),  # only a part of it
        ("2001:db8:7::/48", True),
        ("2001:db9::/48", False),
        ("0.0.0.0/0", False),
    ):
        assert space.covers(parse_prefix(prefix, "here")) is is_covered


@given(st.lists(prefixes, max_size=20), prefixes)
def test_a_prefix_is_covered_if_each_of_its_ends_is_and_what_is_between(given_out: list[Prefix], asked: Prefix) -> None:
    space = parse_registry("registry", "\n".join(map(show_prefix, given_out)))
    version, network, length = asked
    left = [(network, network + (1 << BITS[version] - length) - 1)]
    for of, begin, bits in given_out:
        end = begin + (1 << BITS[of] - bits) - 1
        if of == version:
            parts = [((first, min(last, begin - 1)), (max(first, end + 1), last)) for first, last in left]
            left = [part for pair in parts for part in pair if part[0] <= part[1]]
    assert space.covers(asked) is (not left)


def test_ranges_that_meet_are_one() -> None:
    assert Space([(4, 0, 127), (4, 128, 255)]).covers((4, 0, 24))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("ripencc|DE|ipv4|192.0.2|256|20100101|allocated", "registry, line 2: found 'ripencc.*', expected an address"),
        ("ripencc|DE|ipv4|192.0.2.0|many|20100101|allocated", "registry, line 2: found"),
        ("ripencc|DE|ipv6|192.0.2.0|32|20100101|allocated", "registry, line 2: found"),
        ("192.0.2.7/24", "registry, line 2: found '192.0.2.7/24', expected 192.0.2.0/24"),
        ("route: everything", "registry, line 2: found 'everything', expected a prefix"),
    ],
)
def test_nonsense_is_refused_with_its_line(line: str, said: str) -> None:
    with pytest.raises(SitesError, match=said):
        parse_registry("registry", f"# a registry\n{line}\n")
