from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oca.http.ranges import MOST_RANGES, RangeNotSatisfiable, Span, parse_ranges


@pytest.mark.parametrize(
    ("header", "span"),
    [
        ("bytes=0-0", (0, 1)),
        ("bytes=5-9", (5, 10)),
        ("bytes=5-", (5, 100)),
        ("bytes=5-999", (5, 100)),
        ("bytes=-7", (93, 100)),
        ("bytes=-999", (0, 100)),
        ("BYTES=1-2", (1, 3)),
        ("bytes=99-99", (99, 100)),
        ("bytes=0-9007199254740991", (0, 100)),  # RFC 8673: as much as there is
        ("bytes= 1-2 ", (1, 3)),
        ("bytes=,1-2,", (1, 3)),
        ("bytes=0-0,100-", (0, 1)),
        ("bytes=0-0, -0", (0, 1)),
    ],
)
def test_one_range_is_understood(header: str, span: tuple[int, int]) -> None:
    assert parse_ranges(header, 100) == (Span(*span),)


@pytest.mark.parametrize(
    ("header", "spans"),
    [
        ("bytes=0-0,5-6", [(0, 1), (5, 7)]),
        ("bytes=50-59, 0-9 ,\t20-29", [(50, 60), (0, 10), (20, 30)]),  # in the order asked for (14.2)
        ("bytes=0-9,-10", [(0, 10), (90, 100)]),
        ("bytes=-10,0-9", [(90, 100), (0, 10)]),
        ("bytes=0-49,50-", [(0, 50), (50, 100)]),
        ("bytes=0-9,100-,20-29", [(0, 10), (20, 30)]),  # what is not satisfiable is left out
        ("bytes=0-5,4-8", [(0, 6), (4, 9)]),  # overlapping, but less than the whole
        (f"bytes={','.join(f'{n}-{n}' for n in range(MOST_RANGES))}", [(n, n + 1) for n in range(MOST_RANGES)]),
    ],
)
def test_several_ranges_are_understood_in_their_order(header: str, spans: list[tuple[int, int]]) -> None:
    assert parse_ranges(header, 100) == tuple(Span(*span) for span in spans)


@pytest.mark.parametrize(
    "header",
    [
        None, "", "bytes=", "bytes=-", "bytes=5-4", "bytes=a-b", "items=0-1", "bytes 0-1", "bytes=0-1x",
        "bytes=0-1;5-6", "bytes=0-1 5-6", "bytes=0 - 1", "bytes=--1", "bytes=+1-2", "bytes=1_0-20", "bytes=0x1-2",
        "bytes=٣-٤",
        "bytes=0-1,5-4", "bytes=0-1,-", "bytes=0-1, bytes=5-6",
    ],
)  # fmt: skip
def test_what_is_malformed_or_not_ours_is_ignored(header: str | None) -> None:
    assert parse_ranges(header, 100) == ()


@pytest.mark.parametrize(
    "header",
    [
        "bytes=0-99,0-99",
        "bytes=0-,0-,0-,0-",
        "bytes=0-,-1",
        "bytes=-60,-60",
        f"bytes={','.join(f'{n}-{n}' for n in range(MOST_RANGES + 1))}",
        "bytes=0-1," + " " * 2000 + "5-6",
    ],
)
def test_more_than_there_is_and_more_ranges_than_are_sensible_are_ignored(header: str) -> None:
    assert parse_ranges(header, 100) == ()


@pytest.mark.parametrize(
    "header", ["bytes=100-", "bytes=100-200", "bytes=-0", "bytes=9999999999999999999-", "bytes=100-,-0,200-300"]
)
def test_where_no_range_lies_inside_it_is_416(header: str) -> None:
    with pytest.raises(RangeNotSatisfiable) as caught:
        parse_ranges(header, 100)
    assert (caught.value.status, caught.value.size) == (416, 100)


def test_nothing_of_an_empty_file_can_be_satisfied() -> None:
    for header in ("bytes=0-", "bytes=-5", "bytes=0-0,1-1"):
        with pytest.raises(RangeNotSatisfiable):
            parse_ranges(header, 0)


@pytest.mark.parametrize("digits", ["9" * 19, "9" * 20, "9" * 900, "0" * 900])
def test_numbers_of_many_digits_cost_nothing_and_break_nothing(digits: str) -> None:
    for header in (f"bytes=0-{digits}", f"bytes=-{digits}"):
        assert parse_ranges(header, 100) in ((), (Span(0, 100),))


@pytest.mark.parametrize(
    "nonsense",
    ["bytes=" + "0-," * 300 + "x", "bytes=" + "," * 1000 + "x", "bytes=" + ", " * 500, "bytes=" + "1-1" * 300,
     "bytes=-" * 140, "bytes=" + " " * 1000 + "x", "bytes=1-2" + " ," * 500 + "x", "bytes=1-2" + ", " * 500 + "x"],
)  # fmt: skip
def test_long_nonsense_takes_no_time(nonsense: str) -> None:
    started_at = time.process_time()
    parse_ranges(nonsense[:1024], 100)
    assert time.process_time() - started_at < 0.05


@given(st.one_of(st.text(max_size=60), st.from_regex(r"bytes=[0-9, \-]{0,40}", fullmatch=True)), st.integers(0, 1000))
def test_no_header_yields_bytes_that_are_not_there(header: str, size: int) -> None:
    try:
        spans = parse_ranges(header, size)
    except RangeNotSatisfiable:
        return
    assert all(0 <= first < end <= size for first, end in spans)
    assert len(spans) <= MOST_RANGES
    assert len(spans) < 2 or sum(end - first for first, end in spans) <= size


@given(st.integers(0, 2000), st.integers(0, 2000), st.integers(1, 1000))
def test_a_range_is_what_slicing_gives(first: int, last: int, size: int) -> None:
    try:
        spans = parse_ranges(f"bytes={first}-{last}", size)
    except RangeNotSatisfiable:
        assert first >= size and last >= first
        return
    if last < first:
        assert spans == ()
    else:
        assert [end - first for first, end in spans] == [len(bytes(size)[first : last + 1])]


@given(st.lists(st.tuples(st.integers(0, 99), st.integers(0, 99)), min_size=2, max_size=MOST_RANGES))
def test_several_ranges_are_each_what_it_would_be_alone(asked: list[tuple[int, int]]) -> None:
    pairs = [(min(pair), max(pair)) for pair in asked]
    spans = parse_ranges("bytes=" + ", ".join(f"{first}-{last}" for first, last in pairs), 100)
    if sum(last + 1 - first for first, last in pairs) > 100:
        assert spans == ()
    else:
        assert spans == tuple(Span(first, last + 1) for first, last in pairs)
