from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from steering.errors import RouteError
from steering.routes.route import (
    AsPath,
    Kind,
    hops,
    neighbour,
    origin_as,
    pack,
    parse_path,
    parse_prefix,
    sequence,
    show_key,
    show_path,
    unpack,
)

NUMBERS = some.integers(0, 2**32 - 1)
PREFIXES = some.one_of(
    some.builds(lambda n, length: (4, n >> (32 - length) << (32 - length), length), NUMBERS, some.integers(0, 32)),
    some.builds(
        lambda n, length: (6, n >> (128 - length) << (128 - length), length),
        some.integers(0, 2**128 - 1),
        some.integers(0, 128),
    ),
)


@given(PREFIXES)
def test_a_prefix_is_the_same_after_packing(prefix: tuple[int, int, int]) -> None:
    assert unpack(pack(*prefix)) == prefix


@given(PREFIXES)
def test_a_prefix_is_the_same_after_printing(prefix: tuple[int, int, int]) -> None:
    assert parse_prefix(show_key(pack(*prefix))) == pack(*prefix)


@given(some.lists(PREFIXES, unique=True))
def test_different_prefixes_have_different_keys(prefixes: list[tuple[int, int, int]]) -> None:
    assert len({pack(*prefix) for prefix in prefixes}) == len(prefixes)


@pytest.mark.parametrize("text", ["", "11.0.0.1/8", "11.0.0.0/33", "nonsense", "2001:db8::/129", "11.0.0.0/-1", "/8"])
def test_what_is_no_prefix_is_refused(text: str) -> None:
    with pytest.raises(RouteError, match="expected a prefix"):
        parse_prefix(text)


def test_an_address_is_a_prefix_of_one() -> None:
    assert show_key(parse_prefix("11.0.0.1")) == "11.0.0.1/32"


@given(some.lists(some.tuples(some.sampled_from(list(Kind)), some.lists(NUMBERS, min_size=1, max_size=4)), max_size=5))
def test_an_as_path_is_the_same_after_printing(segments: list[tuple[Kind, list[int]]]) -> None:
    path: AsPath = ()
    for kind, numbers in segments:  # two sequences in a row are one
        if path and kind is Kind.SEQUENCE and path[-1][0] == Kind.SEQUENCE:
            path = (*path[:-1], (kind, (*path[-1][1], *numbers)))
        else:
            path = (*path, (kind, tuple(numbers)))
    assert parse_path(show_path(path)) == path


@pytest.mark.parametrize("text", ["64500 x", "{1 2", "4294967296", "-1"])
def test_what_is_no_as_path_is_refused(text: str) -> None:
    with pytest.raises(RouteError):
        parse_path(text)


def test_a_set_counts_one_hop_and_a_confederation_none() -> None:
    assert hops(parse_path("(65001 65002) 3356 1299 {13 14 15}")) == 3
    assert hops(()) == 0


def test_the_neighbour_is_the_first_as_outside_the_confederation() -> None:
    assert neighbour(parse_path("(65001) 3356 1299")) == 3356
    assert neighbour(parse_path("{3356 1299}")) == 0
    assert neighbour(()) == 0


def test_the_origin_is_the_last_as_unless_that_is_a_set() -> None:
    assert origin_as(sequence(3356, 1299)) == 1299
    assert origin_as(parse_path("3356 {1299 2914}")) is None
    assert origin_as(()) == 0
